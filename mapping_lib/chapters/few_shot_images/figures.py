"""Pictures of chapter 4a."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from mapping_lib.page.plots import COLOUR_OF as ALL
from mapping_lib.page.plots import COLOURS
from mapping_lib.study import Row

COLOUR_OF = {
    "pixel 1-NN": "#999999",
    "from scratch": ALL["from scratch"],
    "joint training": ALL["joint training"],
    "joint features": "#CC79A7",
    "joint, cosine": "#C8102E",
    "MAML": ALL["MAML"],
    "ANIL": ALL["ANIL"],
    "prototypical": "#000000",
    "prototypical, cosine": "#7B4FB5",
}
"""One colour a method: the suite's, and those of the methods that only this chapter has."""

MARKS = {
    "pixel 1-NN": "x",
    "from scratch": "v",
    "joint training": "s",
    "joint features": "D",
    "joint, cosine": "P",
    "MAML": "o",
    "ANIL": "^",
    "prototypical, cosine": "h",
}
"""Marks besides colours; who is not here has a star."""


def plot_images(ax: Axes, images: Tensor, role: str, *, columns: int, labels: Sequence[str] = ()) -> Axes:
    """Images ``(example, 1, 28, 28)`` in a grid, framed in the colour of their ``role``, with words below each."""
    height = 37 if labels else 30
    for i, image in enumerate(images[:, 0].numpy()):
        left, top = 32 * (i % columns), height * (i // columns)
        ax.imshow(image, extent=(left, left + 28, top + 28, top), cmap="gray_r", vmin=0, vmax=1)
        ax.add_patch(Rectangle((left, top), 28, 28, fill=False, ec=COLOURS[role], lw=2))
        if labels:
            ax.text(left + 14, top + 29.5, labels[i], ha="center", va="top", fontsize=9)
    rows = -(-len(images) // columns)
    ax.set(xlim=(-1, 32 * columns - 3), ylim=(height * rows - 1, -1), aspect="equal")
    ax.set_axis_off()
    return ax


def plot_methods(ax: Axes, rows: Mapping[tuple[str, str], Row], settings: Sequence[str]) -> Axes:
    """One row a setting, one mark a method: the mean accuracy with its 95 % interval. The first setting is on top."""
    methods = list(dict.fromkeys(method for method, _ in rows))
    for row in range(1, len(settings), 2):  # bands keep the settings apart
        ax.axhspan(row - 0.5, row + 0.5, color="#F4F4F4", lw=0)
    ax.grid(False, axis="y")
    for i, method in enumerate(methods):
        chosen = [rows[method, setting] for setting in settings]
        y = np.arange(len(settings)) + 0.1 * (i - len(methods) / 2 + 0.5)
        mean, half = [row.mean for row in chosen], [row.half for row in chosen]
        style = {"fmt": MARKS.get(method, "*"), "color": COLOUR_OF[method], "ms": 8, "lw": 2, "clip_on": False}
        ax.errorbar(mean, y, xerr=half, label=method, **style)
    ax.set_yticks(range(len(settings)), [setting.replace(", ", ",\n") for setting in settings])
    ax.set(xlabel="accuracy on held-out alphabets", ylim=(len(settings) - 0.5, -0.5), xlim=(0, 1))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def plot_leads(ax: Axes, leads: Mapping[str, Sequence[tuple[float, float]]], settings: Sequence[str]) -> Axes:
    """One row a setting, one mark a method of ``leads``: a difference (mean, half width), hollow where it may be 0."""
    for i, (method, found) in enumerate(leads.items()):
        mark, colour = MARKS.get(method, "*"), COLOUR_OF[method]
        ax.plot([], [], mark, color=colour, ms=9, label=method)
        for row, (mean, half) in enumerate(found):
            y, fill = row + 0.24 * (i - len(leads) / 2 + 0.5), colour if abs(mean) > half else "white"
            ax.errorbar(mean, y, xerr=half, fmt=mark, color=colour, mfc=fill, mew=1.5, ms=9, lw=2)
    ax.axvline(0, color=COLOURS["truth"], lw=1.2)
    ax.set_yticks(range(len(settings)), [setting.replace(", ", ",\n") for setting in settings])
    ax.set(ylim=(len(settings) - 0.5, -0.5))
    return ax


def plot_company(ax: Axes, rows: Mapping[tuple[str, str], Row], names: Mapping[str, str]) -> Axes:
    """One group a network of ``names`` (key in the table: words), one mark a company in which queries are judged.

    A mark is the mean accuracy with its 95 % interval. The axis does not begin at zero: differences are small.
    """
    companies = list(dict.fromkeys(company for _, company in rows))
    styles = zip(companies, (COLOURS["after"], COLOURS["rival"], COLOURS["truth"]), "osD", strict=True)
    for i, (company, colour, mark) in enumerate(styles):
        chosen = [rows[name, company] for name in names]
        x = np.arange(len(names)) + 0.22 * (i - 1)
        mean, half = [row.mean for row in chosen], [row.half for row in chosen]
        ax.errorbar(x, mean, half, fmt=mark, ms=9, lw=2.5, color=colour, label=company)
    ax.set_xticks(range(len(names)), list(names.values()))
    ax.set(ylabel="accuracy", xlim=(-0.5, len(names) - 0.5))
    ax.grid(axis="x", visible=False)
    ax.legend(title="a query is judged with", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax
