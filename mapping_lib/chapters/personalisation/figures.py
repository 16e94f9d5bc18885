"""Pictures of chapter 4b, new individuals."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from mapping_lib.page.plots import COLOURS
from mapping_lib.study import Row, read_about, read_table

from .methods_individual import Individual

Interval = tuple[float, float, float]
"""A value, and the lower and upper end of its interval."""

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


def plot_stages(axes: Sequence[Axes], one: Individual, shots: Sequence[int], methods: Sequence[str]) -> None:
    """One individual's truth and the methods' forecasts of it, one picture for each number of observations."""
    for ax, k in zip(axes, shots, strict=True):
        now, seen = one.outcomes[k], one.observed(k)
        plot_forecasts(ax, one.x, {name: now.forecasts[name] for name in methods}, now.band)
        ax.plot(one.x, one.truth, "o", color=COLOURS["truth"], mfc="white", ms=5, label="truth")
        ax.plot(one.x[seen], one.truth[seen], "o", color=COLOURS["support"], ms=9, mec="black", label="shown")
        ax.set(title=f"{one.name}, K = {k}")


def root(row: Row) -> Interval:
    """The root of a mean squared error, in the unit of the data, and of its interval.

    >>> [round(value, 1) for value in root(read_table("chicks")["mixed effects", "spread, 3"])]
    [14.8, 12.5, 16.7]
    """
    return row.mean**0.5, max(row.low, 0) ** 0.5, row.high**0.5


def share(row: Row) -> Interval:
    """A mean that is a share, with its interval."""
    return row.mean, row.low, row.high


def by_shots(name: str, order: str, value: Callable[[Row], Interval] = root) -> tuple[list[int], dict]:
    """The numbers of observations in a table, and each method's value at each of them.

    >>> shots, rows = by_shots("chicks", "first")
    >>> shots, len(rows["MAML"])
    ([1, 2, 3, 4, 5], 5)
    """
    about, rows = read_about(name), read_table(name)
    shots = [int(setting.split(", ")[1]) for setting in about["settings"] if setting.startswith(order)]
    return shots, {m: [value(rows[m, f"{order}, {k}"]) for k in shots] for m in about["methods"]}


def plot_by_shots(ax: Axes, shots: Sequence[int], rows: Mapping[str, Sequence[Interval]]) -> Axes:
    """(middle, low, high) of each method by number of observations, the interval as a band.

    A method that has no colour in `PEOPLE` is left out.
    """
    for label, values in ((label, values) for label, values in rows.items() if label in PEOPLE):
        middle, low, high = np.array(values).T
        ax.fill_between(shots, low, high, color=PEOPLE[label], alpha=0.15, lw=0)
        above = 3 if label in DASHES else 2  # where two lines are one, both are seen
        ax.plot(shots, middle, "o", ms=4, color=PEOPLE[label], ls=DASHES.get(label, "-"), label=label, zorder=above)
    ax.set(xlabel="observations K", xticks=list(shots))
    return ax
