"""Pictures of chapter 4b, new individuals."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from mapping_lib.page.plots import COLOURS

PEOPLE = {
    "population": "#808080",
    "own fit": "#D55E00",
    "MAML": "#0072B2",
    "learned prior": "#56B4E9",
    "mixed effects": "#8C1D62",
    "Bayes": "#000000",
}
"""One colour a method of chapter 4b."""

DASHES = {"population": ":", "learned prior": "--", "Bayes": (0, (1, 1.5))}


def plot_individuals(ax: Axes, times: Tensor, values: Tensor, chosen: int | None = None) -> Axes:
    """All curves ``(individual, time)``, faint; one of them dark."""
    ax.plot(times, values.T, color=COLOURS["before"], lw=0.8, alpha=0.45)
    if chosen is not None:
        ax.plot(times, values[chosen], "o-", ms=4, color=COLOURS["truth"], lw=2)
    return ax


def plot_forecasts(ax: Axes, times: Tensor, curves: Mapping[str, Tensor], band: tuple[Tensor, Tensor] | None) -> Axes:
    """One forecast a method, and a band ``(low, high)`` around that of mixed effects."""
    if band is not None:
        ax.fill_between(times, *band, color=PEOPLE["mixed effects"], alpha=0.15, lw=0)
    for label, curve in curves.items():
        ax.plot(times, curve, color=PEOPLE[label], ls=DASHES.get(label, "-"), label=label)
    return ax


def plot_by_shots(ax: Axes, shots: Sequence[int], rows: Mapping[str, Sequence[tuple[float, float, float]]]) -> Axes:
    """(middle, low, high) of each method by number of observations, the interval as a band.

    A method that has no colour in `PEOPLE` is left out.
    """
    for label, values in ((label, values) for label, values in rows.items() if label in PEOPLE):
        middle, low, high = np.array(values).T
        ax.fill_between(shots, low, high, color=PEOPLE[label], alpha=0.15, lw=0)
        ax.plot(shots, middle, "o", ms=4, color=PEOPLE[label], ls=DASHES.get(label, "-"), label=label)
    ax.set(xlabel="observations K", xticks=list(shots))
    return ax
