"""Pictures of chapter 4f, the map of alpha and beta and what searches find."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter

from mapping_lib.page import shades
from mapping_lib.page.plots import COLOURS, log_scale
from mapping_lib.page.shades import HIGHEST, LOWEST, depth
from mapping_lib.study.intervals import half_width

PALEST = 0.04
"""How much blue is left in the palest."""

BAD = dict(enumerate(shades.BAD.values(), start=1))
"""Colours of cells where adaptation diverges (1), and where meta-training did (2)."""

SEARCHERS = {
    "default": "#808080",
    "four trials": "#56B4E9",
    "random search": "#CC79A7",
    "TPE": "#D55E00",
    "successive halving": "#0072B2",
    "Meta-SGD": "#000000",
    "Meta-SGD, four trials": "#117733",
    "Meta-SGD + TPE": "#4B0092",
}
"""One colour per method, for chapter 4f."""


def shade(error: float) -> tuple[float, float, float]:
    """Blue for an error: full at 0.3 and below, nearly white at 5 and above, on a log scale.

    >>> shade(0.2) == shade(0.3), shade(0.4) < shade(1.0) < shade(5.0)
    (True, True)
    """
    share = PALEST + (1 - PALEST) * depth(error)
    return tuple(float(1 - share * (1 - c)) for c in to_rgb(COLOURS["after"]))


def colour_of(error: float, kind: int) -> tuple[float, float, float]:
    """A cell's colour: blue, the darker the lower its error, or that of one of the two ways to diverge."""
    return to_rgb(BAD[int(kind)]) if kind else shade(error)


def plot_map_of_settings(
    ax: Axes, side: Sequence[float], errors: np.ndarray, kinds: np.ndarray, best: tuple[int, int]
) -> Axes:
    """Errors ``(alpha, beta)`` as blue cells, diverged ones in their own colours; a star on the best cell."""
    cells = [[colour_of(e, k) for e, k in zip(*row, strict=True)] for row in zip(errors, kinds, strict=True)]
    ax.imshow(cells, origin="lower", interpolation="nearest")
    ax.plot(best[1], best[0], "*", ms=16, color="white", mec="black")
    decades = [i for i, value in enumerate(side) if abs(np.log10(value) - round(np.log10(value))) < 1e-6]
    names = [f"{side[i]:g}" for i in decades]
    ax.set_xticks(decades, names)
    ax.set_yticks(decades, names)
    ax.set(xlabel="β", ylabel="α")
    ax.grid(False)
    return ax


def legend_of_settings(ax: Axes, **where: object) -> Axes:
    """The legend of `plot_map_of_settings`: three blues, two ways to diverge."""
    patches = [Patch(fc=shade(e), ec="#999999", label=f"error {e:g}") for e in (LOWEST, 1.0, HIGHEST)]
    patches += [Patch(fc=BAD[1], label="adaptation diverges"), Patch(fc=BAD[2], label="meta-training diverged")]
    ax.legend(handles=patches, **where)
    return ax


def plot_searches(
    ax: Axes, means: Mapping[str, Sequence[float]], halves: Mapping[str, Sequence[float]], ticks: Sequence[float]
) -> Axes:
    """A row per method: one dot per search seed with its 95 % interval over tasks, the mean of the seeds as a bar.

    The thin line is the interval of that mean over the seeds, with an arrow where it goes on outside the picture.
    The errors stand on a log axis with these ``ticks``.
    """
    left, right = 0.7 * ticks[0], 1.3 * ticks[-1]
    for row, (name, values) in enumerate(means.items()):
        mean, over_seeds = np.mean(values), half_width(torch.tensor(values, dtype=torch.float64))
        ax.plot([max(mean - over_seeds, 1e-3), mean + over_seeds], [row, row], color="#555555", lw=1.3, zorder=1)
        for edge, marker, outside in ((left, "<", mean - over_seeds < left), (right, ">", mean + over_seeds > right)):
            if outside:
                ax.plot([edge], [row], marker, ms=7, color="#555555", clip_on=False)
        colour, shifts = SEARCHERS[name], np.linspace(-0.22, 0.22, len(values))
        for shift, value, half in zip(shifts, values, halves[name], strict=True):
            ax.plot([max(value - half, 1e-3), value + half], [row + shift] * 2, color=colour, lw=2, alpha=0.6)
            ax.plot([value], [row + shift], "o", ms=7, color=colour)
        ax.plot([mean] * 2, [row - 0.36, row + 0.36], color=colour, lw=3.5)
    ax.set_yticks(range(len(means)), list(means))
    ax.set(ylim=(len(means) - 0.5, -0.5), xscale="log")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xlim(left, right)
    ax.xaxis.set_minor_formatter(NullFormatter())
    return ax


def plot_best_so_far(ax: Axes, errors: Mapping[str, np.ndarray], xlabel: str) -> Axes:
    """The error of the best setting so far against the number of trials: ``errors[label] (search, trial)``.

    The line is the mean over searches, the band its 95 % interval.
    """
    for label, values in errors.items():
        trials = np.arange(1, values.shape[1] + 1)
        mean, half = values.mean(0), 1.96 * values.std(0, ddof=1) / len(values) ** 0.5
        ax.plot(trials, mean, color=SEARCHERS[label], label=label)
        ax.fill_between(trials, mean - half, mean + half, color=SEARCHERS[label], alpha=0.18, lw=0)
    ax.set(xlabel=xlabel)
    ax.legend()
    return log_scale(ax)
