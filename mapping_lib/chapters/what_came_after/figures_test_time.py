"""The pictures of test-time training: a wave before and after the steps, and the error on the way out of the family."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from mapping_lib.page.plots import log_scale, plot_batch, plot_truth
from mapping_lib.study import Row
from mapping_lib.task import Batch

from .figures import COLOUR_OF_METHODS


def colour_of(label: str) -> str:
    """The colour of a method, also of "method, with a remark".

    >>> colour_of("MAML, 20 steps") == colour_of("MAML")
    True
    """
    return COLOUR_OF_METHODS[label.partition(", ")[0]]


def plot_answers(ax: Axes, support: Batch, x: Tensor, truth: Tensor, answers: Mapping[str, Tensor]) -> Axes:
    """A wave's support, its truth, and what each method answers at ``x (point, 1)``."""
    plot_truth(ax, x, truth)
    for label, y_hat in answers.items():
        ax.plot(x.flatten(), y_hat.flatten(), color=colour_of(label), lw=2.5, label=label)
    plot_batch(ax, support, "support")
    ax.set(xlabel="x", ylabel="y")
    ax.legend(loc="upper left", bbox_to_anchor=(0, -0.14), ncol=2)
    return ax


def plot_outside(ax: Axes, away: Sequence[float], rows: Mapping[str, Sequence[Row]]) -> Axes:
    """The mean error of each method by how far outside the waves lie, its 95 % interval as a band; remarks dash."""
    for label, line in rows.items():
        colour, style = colour_of(label), "--" if "," in label else "-"
        ax.plot(away, [row.mean for row in line], style, marker="o", ms=5, color=colour, label=label)
        low = np.maximum([row.low for row in line], 1e-3)
        ax.fill_between(away, low, [row.high for row in line], color=colour, alpha=0.15, lw=0)
    ax.set(xlabel="how far outside, in half turns of the phase", ylabel="mean squared error")
    ax.set_xticks(list(away))
    ax.legend(loc="upper left", bbox_to_anchor=(0, -0.14), ncol=2)
    return log_scale(ax)
