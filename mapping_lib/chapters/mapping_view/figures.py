"""Pictures of five points, and of what is drawn through them: each way of learning in its own colour."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from mapping_lib.evaluation import ErrorByStep
from mapping_lib.page import plots
from mapping_lib.page.plots import COLOUR_OF, COLOURS
from mapping_lib.task import Batch

DASHES = ("-", "--", ":", "-.")


def plot_points(ax: Axes, support: Batch) -> Axes:
    """The examples of a wave, and room for what may be drawn through them."""
    plots.plot_batch(ax, support, "support")
    ax.set(xlabel="x", ylabel="y", xlim=(-5.2, 5.2), ylim=(-7, 7))
    return ax


def plot_curves(ax: Axes, x: Tensor, curves: Tensor, support: Batch) -> Axes:
    """Faint curves ``(curve, x)`` behind the points that all of them meet."""
    ax.plot(x.flatten(), curves.T, color=COLOURS["truth"], lw=0.5, alpha=0.15)
    return plot_points(ax, support)


def plot_functions(ax: Axes, x: Tensor, functions: Mapping[str, Tensor]) -> Axes:
    """Functions that belong to no method: one dash each, in the colour of ink."""
    for dash, (label, y) in zip(DASHES, functions.items(), strict=False):
        ax.plot(x.flatten(), y.flatten(), ls=dash, color=COLOURS["truth"], label=label)
    ax.set(xlabel="x", ylabel="y")
    ax.legend(ncols=2)
    return ax


def plot_adapted(ax: Axes, x: Tensor, fits: tuple[Tensor, Tensor], method: str) -> Axes:
    """The function of θ, dotted, and that of φ, solid, in the colour of the method."""
    for y, label, style in zip(fits, ("before: θ", "after: φ"), ({"lw": 2, "ls": ":"}, {"lw": 3}), strict=True):
        ax.plot(x.flatten(), y.flatten(), color=COLOUR_OF[method], label=label, **style)
    return ax


def plot_one_of_five(ax: Axes, x: Tensor, y: Tensor, name: str, mapping: str) -> Axes:
    """What one of the five draws, below its name and its type, all in its colour."""
    ax.plot(x.flatten(), y.flatten(), color=COLOUR_OF[name], lw=4, alpha=0.7)
    ax.set_title(f"{name}\n{mapping}", color=COLOUR_OF[name], weight="bold")
    ax.set(xlabel="x", ylim=(-6, 6))
    return ax


def plot_by_shots(ax: Axes, shots: Sequence[int], by_shots: Mapping[str, ErrorByStep]) -> Axes:
    """Mean error by number of examples, each line with its name at its end, one below the other.

    A ring marks a first dot that no line joins to the next: others may hide it.
    """
    for name, errors in by_shots.items():
        plots.plot_error_by_shots(ax, shots, errors, name)
        if errors.mean[0].isfinite() and not errors.mean[1].isfinite():
            ax.plot(shots[0], errors.mean[0], "o", ms=13, mfc="none", mec=COLOUR_OF[name], mew=2, zorder=4)
    above = np.inf
    for name, errors in sorted(by_shots.items(), key=lambda pair: -float(pair[1].mean[-1])):
        above = min(float(errors.mean[-1]), above / 1.6)
        ax.text(shots[-1] + 0.4, above, name, color=COLOUR_OF[name], va="center", weight="bold")
    ax.set(xlim=(-0.5, shots[-1] + 5), ylim=(7e-4, 12), xticks=range(0, shots[-1] + 1, 5))
    return ax


def plot_outside(ax: Axes, errors: Mapping[str, Tensor], flat: float) -> Axes:
    """One row a method, on a log axis: the middle half of its errors as a bar, their median as a dot with its number.

    The dashed line, at ``flat``, is the error of y = 0.
    """
    ax.axvline(flat, color=COLOURS["truth"], ls=(0, (4, 2)), lw=1.5)
    for row, (name, values) in enumerate(errors.items()):
        low, middle, high = (float(values.quantile(q)) for q in (0.25, 0.5, 0.75))
        ax.plot([low, high], [row, row], color=COLOUR_OF[name], lw=4, alpha=0.4, solid_capstyle="butt")
        ax.plot([middle], [row], "o", ms=9, color=COLOUR_OF[name])
        ax.text(middle, row - 0.28, f"{middle:.2g}", color=COLOUR_OF[name], ha="center", va="bottom")
    ax.set(xscale="log", xlim=(8e-3, 90), ylim=(len(errors) - 0.5, -0.75), xlabel="mean squared error")
    ax.set_xticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
    ax.set_yticks(range(len(errors)), list(errors))
    for label, name in zip(ax.get_yticklabels(), errors, strict=False):  # inner axes that share theirs show none
        label.set(color=COLOUR_OF[name], weight="bold")
    ax.grid(False, axis="y")
    return ax
