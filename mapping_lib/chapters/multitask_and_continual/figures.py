"""Pictures of chapter 4e: a sequence of tasks, the forgetting matrix, and errors of many methods."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from torch import Tensor

from mapping_lib.page.plots import COLOUR_OF as ALL
from mapping_lib.page.plots import COLOURS
from mapping_lib.task import Batch

SHADES = LinearSegmentedColormap.from_list("errors", ["white", "#E9A06A", COLOURS["rival"]])
META, JOINT, NEIGHBOURS, OTHERS = ALL["MAML"], ALL["joint training"], "#000000", "#777777"
COLOUR_OF = {
    **dict.fromkeys(("MAML", "MAML, relabelled", "online MAML", "online MAML, no memory"), META),
    **dict.fromkeys(("MAML, relabelled, features", "prototypical"), META),
    **dict.fromkeys(("joint", "joint, heads", "joint, heads, features"), JOINT),
    "nearest neighbour": NEIGHBOURS,
}
"""The colour of a method; all others are grey."""


def plot_examples(ax: Axes, batch: Batch, n: int) -> Axes:
    """The first ``n`` images of one task ``(example, 64)`` side by side, each under its label."""
    images = batch.x[:n].unflatten(-1, (8, 8)).numpy()
    ax.imshow(np.pad(images, ((0, 0), (0, 0), (1, 1))).transpose(1, 0, 2).reshape(8, -1), cmap="gray_r")
    for i, label in enumerate(batch.y[:n].tolist()):
        ax.text(10 * i + 4.5, -1.2, str(label), ha="center", va="bottom", color=COLOURS["after"], weight="bold")
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return ax


def plot_forgetting(ax: Axes, matrix: Tensor, title: str, *, top: float = 0.5) -> Axes:
    """The forgetting matrix ``(after, on)``: white is no error, full colour is an error of ``top`` or more.

    Above the diagonal, in grey or white, are tasks that had not come yet.
    """
    ax.imshow(matrix.numpy(), cmap=SHADES, vmin=0, vmax=top)
    for i, row in enumerate(matrix.tolist()):
        for j, error in enumerate(row):
            later = "white" if error > 0.7 * top else "#555555"  # legible on either shade
            style = {"weight": "bold"} if i == j else {"color": "black" if j < i else later}
            ax.text(j, i, f"{error:.2f}", ha="center", va="center", **style)
    names = [str(i + 1) for i in range(len(matrix))]
    ax.set_xticks(range(len(matrix)), names)
    ax.set_yticks(range(len(matrix)), names)
    ax.set(xlabel="error on task", ylabel="after learning task", title=title)
    ax.grid(False)
    return ax


def plot_objectives(ax: Axes, x: Tensor, tasks: Tensor, mean: Tensor, best: float, title: str) -> Axes:
    """The losses of tasks ``(task, x)``, faint, solid and dashed in turn; their mean, bold; and the minimum of that."""
    for i, loss in enumerate(tasks):
        ax.plot(x, loss, "--" if i % 2 else "-", color=COLOURS["before"], lw=1.2)
    ax.plot(x, mean, color=COLOURS["after"], lw=3)
    ax.axvline(best, color=COLOURS["rival"], ls=":", lw=2)
    ax.text(best, 0.97 * ax.get_ylim()[1], f" {best:.2f}", color=COLOURS["rival"], va="top")
    ax.set(xlabel="θ", ylabel="loss", title=title)
    return ax


def plot_rows(ax: Axes, names: Sequence[str], rows: Mapping[str, object], *, chance: float) -> Axes:
    """One row a method: the mean error with its 95 % interval. ``rows`` are those of a table, by method.

    A name that is not in ``rows`` leaves its place empty. The dotted line is guessing.
    """
    for place, name in enumerate(names):
        if name in rows:
            row, colour = rows[name], COLOUR_OF.get(name, OTHERS)
            ax.plot([row.low, row.high], [place, place], color=colour, lw=3)
            ax.plot([row.mean], [place], "o", ms=8, color=colour)
            beside = {"xytext": (8, 0), "textcoords": "offset points", "va": "center"}
            beside["bbox"] = {"fc": "white", "ec": "none", "pad": 0.5}  # legible on the dotted line
            ax.annotate(f"{row.mean:.2f}", (row.high, place), color=colour, fontsize=11, **beside)
    ax.axvline(chance, color=COLOURS["before"], ls=":")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlim=(0, 1.22 * chance), ylim=(len(names) - 0.5, -0.5), xlabel="share of wrong labels")
    return ax


def plot_settings(
    axes: Sequence[Axes],
    names: Sequence[str],
    table: Mapping[tuple[str, str], object],
    settings: Mapping[str, str],
    *,
    chance: float,
) -> Sequence[Axes]:
    """`plot_rows` for each of the ``settings`` of a table, by the title that it gets."""
    for ax, (title, setting) in zip(axes, settings.items(), strict=True):
        plot_rows(ax, names, {name: table[name, setting] for name in names}, chance=chance)
        ax.set_title(title)
    return axes
