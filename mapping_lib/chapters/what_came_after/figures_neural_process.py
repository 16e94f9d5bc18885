"""The pictures of neural processes: what is believed after K examples, and what holds by K."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from mapping_lib.page.plots import plot_batch, plot_truth
from mapping_lib.task import Batch

from .figures import COLOUR_OF_METHODS

COLOUR_OF_READERS = {
    "mean": COLOUR_OF_METHODS["neural process"],
    "attention": "#AA4499",
    "together": "#B8860B",
    "transformer": COLOUR_OF_METHODS["in-context"],
    "neural process": COLOUR_OF_METHODS["neural process"],
    "Bayes": COLOUR_OF_METHODS["Bayes"],
}
"""By the first word of a reader's name."""


def plot_doubt(ax: Axes, support: Batch, x: Tensor, truth: Tensor, mean: Tensor, ends: tuple[Tensor, Tensor]) -> Axes:
    """What is believed of a curve: the mean, and a band between two ``ends``; all ``(point, 1)``."""
    colour, low, high = COLOUR_OF_METHODS["neural process"], *(end.flatten() for end in ends)
    ax.fill_between(x.flatten(), low, high, color=colour, alpha=0.3, lw=0, label="90 % band")
    ax.plot(x.flatten(), mean.flatten(), color=colour, lw=2.5, label="mean")
    plot_truth(ax, x, truth)
    if len(support.x):
        plot_batch(ax, support, "support")
    ax.set(xlabel="x", ylim=(-6.5, 6.5))
    ax.set_title(f"K = {len(support.x)}")
    return ax


def plot_by_k(ax: Axes, shots: Sequence[int], values: Mapping[str, Sequence[tuple[float, float]]], ylabel: str) -> Axes:
    """A line a method over the number of examples: (mean, half width of its interval) for each of ``shots``."""
    for label, line in values.items():
        mean, half = np.array(line).T
        colour = COLOUR_OF_READERS[label.partition(",")[0]]
        style = "--" if label.endswith("wide") else "-"
        ax.plot(range(len(shots)), mean, style, marker="o", ms=5, color=colour, label=label)
        ax.fill_between(range(len(shots)), mean - half, mean + half, color=colour, alpha=0.18, lw=0)
    ax.set_xticks(range(len(shots)), [str(k) for k in shots])
    ax.set(xlabel="examples K", ylabel=ylabel)
    ax.legend()
    return ax
