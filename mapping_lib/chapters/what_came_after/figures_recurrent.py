"""Pictures of a policy that remembers: its paths by episode, and returns beside those of updates."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from mapping_lib.page.plots import COLOURS
from mapping_lib.study import Row
from mapping_lib.worlds.goals import Rollouts

from .figures import COLOUR_OF_METHODS

REMEMBERS = COLOUR_OF_METHODS["a policy that remembers"]
STYLES = {
    "a policy that remembers": {"color": REMEMBERS, "marker": "o"},
    "seed 0": {"color": REMEMBERS, "marker": "o"},
    "seed 1": {"color": REMEMBERS, "marker": "s", "mfc": "white", "lw": 1.2},
    "seed 2": {"color": REMEMBERS, "marker": "v", "ls": "--"},
    "memory wiped": {"color": REMEMBERS, "ls": "--", "marker": "s", "mfc": "white"},
    "memory swapped": {"color": REMEMBERS, "ls": ":", "marker": "^", "mfc": "white"},
    "a search by hand": {"color": COLOURS["truth"], "marker": "D"},
    "MAML": {"color": COLOUR_OF_METHODS["MAML"], "marker": "o"},
    "pretrained": {"color": COLOUR_OF_METHODS["joint training"], "marker": "o"},
}
"""How the line of each method looks; what is done to one policy's memory keeps its colour."""


def plot_episode(ax: Axes, path: Tensor, goal: Tensor, *, half: float = 0.5, reach: float = 0.62) -> Axes:
    """One episode's ``path (step, 2)``, a dot a move, from the black square at the origin to the green cross.

    The grey square, from -half to half, is where goals are drawn; axes go from -reach to reach.
    """
    ax.add_patch(Rectangle((-half, -half), 2 * half, 2 * half, fc="#F4F4F4", ec="#CCCCCC", zorder=0))
    ax.plot(*path.T, color=REMEMBERS, lw=1.6, alpha=0.75)
    ax.plot(*path[1:].T, "o", ms=4, color=REMEMBERS, mec="white", mew=0.4)
    ax.plot(0, 0, "s", ms=6, color="black", zorder=4)
    ax.plot(*goal, "X", ms=11, color=COLOURS["query"], mec="white", zorder=3)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)  # the grey square is frame enough
    return ax


def plot_trials(axes: np.ndarray, rollouts: Rollouts, goals: Tensor, *, reach: float = 0.62) -> None:
    """One row of ``axes`` a goal, one column an episode, each with the number of its moves and its return."""
    for i, row in enumerate(axes):
        for k, ax in enumerate(row):
            moves, result = int(rollouts.alive[i, k].sum()), float(rollouts.returns[i, k])
            plot_episode(ax, rollouts.positions[i, k, : moves + 1], goals[i], reach=reach)
            ax.set_xlabel(f"{moves} moves, return {result:.1f}".replace("-", "−"), fontsize=10)
            if i == 0:
                ax.set_title(f"episode {k + 1}", fontsize=12)


def plot_lines(ax: Axes, rows: Mapping[str, Sequence[Row]], ticks: Sequence[str], xlabel: str) -> Axes:
    """The mean return of each method, one point a tick, with its 95 % interval over goals."""
    for i, (method, cells) in enumerate(rows.items()):
        x = np.arange(len(cells)) + 0.05 * (i - (len(rows) - 1) / 2)
        half = [cell.half for cell in cells]
        ax.errorbar(x, [cell.mean for cell in cells], half, ms=6, capsize=3, label=method, **STYLES[method])
    ax.set(xlabel=xlabel, ylabel="return", xticks=range(len(ticks)), xticklabels=ticks)
    ax.legend(fontsize=10)
    return ax


def by_ratios(ax: Axes, ticks: Sequence[float] = (-0.5, -1, -2, -5, -10, -20, -40)) -> Axes:
    """Show returns, which are below 0, by their ratios, the best on top."""
    ax.set_yscale("function", functions=(lambda y: -np.log(np.maximum(-y, 1e-9)), lambda z: -np.exp(-z)))
    ax.set(ylim=(1.3 * ticks[-1], 0.75 * ticks[0]), yticks=ticks, yticklabels=[f"−{-tick:g}" for tick in ticks])
    return ax


def plot_ends(ax: Axes, ends: Tensor, goals: Tensor, *, half: float = 0.5, reach: float = 0.7) -> Axes:
    """Where an episode ended, ``ends (trial, 2)``, each joined by a line to its goal, the green cross."""
    ax.add_patch(Rectangle((-half, -half), 2 * half, 2 * half, fc="#F4F4F4", ec="#CCCCCC", zorder=0))
    for end, goal in zip(ends, goals, strict=True):
        ax.plot(*np.stack([end, goal]).T, color=REMEMBERS, lw=1.2, alpha=0.6, zorder=2)
    ax.plot(*goals.T, "X", ms=10, color=COLOURS["query"], mec="white", zorder=3, label="goal")
    ax.plot(*ends.T, "o", ms=4.5, color=REMEMBERS, mec="white", mew=0.4, zorder=4, label="last place")
    ax.plot(0, 0, "s", ms=6, color="black", zorder=4, label="origin")
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    return ax


def legend_below(ax: Axes) -> None:
    """The legend in the middle below the axes of the whole figure, of what ``ax`` has."""
    ax.figure.legend(*ax.get_legend_handles_labels(), loc="lower center", ncols=3, fontsize=11)
