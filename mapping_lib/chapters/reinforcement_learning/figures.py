"""Pictures of trajectories in the plane, of returns by number of updates, and of what one method gains."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from mapping_lib.page.plots import COLOURS, plot_dots
from mapping_lib.study import Row
from mapping_lib.study.gains import Gain

PAPER = (-40.41, -11.68, -3.33, -3.23)
"""Finn et al. 2017, section 5.3: MAML's return after 0 to 3 updates, a mean over goals."""

COLOUR_OF = {
    "MAML": "#0072B2",
    "MAML, 40 trajectories": "#00429D",
    "MAML, Adam": "#56B4E9",
    "MAML, Adam, no score term": "#8CD0F5",
    "pretrained": "#D55E00",
    "pretrained, 40 trajectories": "#A34700",
    "pretrained, not tuned": "#E8A87C",
    "random": "#808080",
    "hypernetwork": "#E0457B",
    "oracle": "#000000",
}
"""One colour a method, as in the other chapters."""


def plot_paths(
    ax: Axes, positions: Tensor, goal: Tensor, arrived: Tensor, *, half: float = 0.5, reach: float = 1.0
) -> Axes:
    """Trajectories ``positions (trajectory, step, 2)`` from the origin: blue where they arrived, orange where not.

    The grey square, from -half to half, is where goals are drawn; the cross is this one. Axes go from -reach to reach.
    """
    ax.add_patch(Rectangle((-half, -half), 2 * half, 2 * half, fc="#F4F4F4", ec="#CCCCCC", zorder=0))
    for path, there in zip(positions, arrived, strict=True):
        colour = COLOURS["after" if there else "rival"]
        ax.plot(*path.T, color=colour, lw=1, alpha=0.6)
        ax.plot(*path[-1], "o", ms=4, color=colour)
    ax.plot(0, 0, "s", ms=6, color="black", zorder=4)
    ax.plot(*goal, "X", ms=12, color=COLOURS["query"], mec="white", zorder=5)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=(-0.5, 0, 0.5), yticks=(-0.5, 0, 0.5), aspect="equal")
    ax.grid(False)
    return ax


def plot_returns(ax: Axes, rows: Mapping[str, Sequence[Row]]) -> Axes:
    """The mean return after 0, 1, 2 ... updates, one line a method, with its 95 % interval over goals.

    The lines stand a little apart, so that equal ones are seen.
    """
    for i, (method, cells) in enumerate(rows.items()):
        x = np.arange(len(cells)) + 0.04 * (i - len(rows) / 2)
        half = [cell.half for cell in cells]
        colour = COLOUR_OF.get(method, COLOURS["truth"])
        ax.errorbar(x, [cell.mean for cell in cells], half, color=colour, marker="o", ms=5, capsize=3, label=method)
    ax.set(xlabel="updates", ylabel="return", xticks=range(len(cells)))
    return ax


def plot_gains(axes: Sequence[Axes], gains: Mapping[str, Sequence[Gain]], titles: Sequence[str]) -> None:
    """What one method gains over another, one row a pair, one picture a number of updates, on one scale."""
    every = [gain for row in gains.values() for gain in row]
    low, high = min(0.0, *(gain.low for gain in every)), max(0.0, *(gain.high for gain in every))
    for i, (ax, title) in enumerate(zip(axes, titles, strict=True)):
        plot_dots(ax, {pair: row[i] for pair, row in gains.items()}, "points of return", colours={})
        ax.axvline(0, color=COLOURS["truth"], lw=1)
        ax.set(title=title, xlim=(low - 0.05 * (high - low), high + 0.3 * (high - low)))
