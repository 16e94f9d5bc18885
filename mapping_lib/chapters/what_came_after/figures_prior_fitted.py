"""Pictures of prior-data fitted networks: what is imagined, what is said of y, who errs how much on real curves."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from torch import Tensor

from mapping_lib.page.plots import COLOURS
from mapping_lib.study import Row
from mapping_lib.task import Batch

from .figures import COLOUR_OF_METHODS
from .methods_density import Said

COLOUR = COLOUR_OF_METHODS["prior-fitted"]
COLOUR_OF_CURVES = COLOUR_OF_METHODS | {"own fit": "#D55E00", "mixed effects": "#8C1D62", "best possible": "#000000"}
"""Chapter 4b's methods keep their colours; where two are near each other, the label beside the dot says who it is."""


def plot_curves(ax: Axes, x: Tensor, curves: Tensor, title: str, colour: str = COLOURS["before"]) -> Axes:
    """Curves ``(curve, place)`` at ``x (place,)``, thin: imagined ones, or real ones with gaps where y is nan."""
    ax.plot(x, curves.T, color=colour, lw=0.9, alpha=0.6)
    ax.set_title(title)
    return ax


def plot_shades(ax: Axes, x: Tensor, y: Tensor, said: Said, support: Batch) -> Axes:
    """The density at ``y (row,)`` for every ``x (column,)``, dark where it is high, and the support on it.

    ``said`` is of all places x. A shade is a density by the highest of its column, so that each column has its black.
    """
    raw = said.raw[None].expand(len(y), -1, -1)
    density = Said(said.kind, raw).log_density(y[:, None, None].expand(-1, len(x), 1)).exp()[..., 0]
    reach = (float(x[0]), float(x[-1]), float(y[0]), float(y[-1]))
    shades = mpl.colors.LinearSegmentedColormap.from_list("said", ["#FFFFFF", COLOUR])
    ax.imshow(density / density.amax(0), origin="lower", extent=reach, aspect="auto", cmap=shades)
    ax.plot(*support, "o", ms=9, color=COLOURS["support"], mec="black")
    ax.grid(False)
    return ax


def plot_cut(ax: Axes, y: Tensor, said: Said, exact: Tensor) -> Axes:
    """What is said of one y, as bars, and the ``exact (row,)`` density by Bayes' rule as a line, at ``y (row,)``."""
    density = said.log_density(y[:, None]).exp()[:, 0]
    ax.fill_between(y, density, color=COLOUR, alpha=0.4, lw=0, step="mid", label="prior-fitted")
    ax.plot(y, exact, color=COLOUR_OF_METHODS["Bayes"], lw=2, label="Bayes")
    ax.set(xlabel="y", ylabel="density", ylim=(0, None))
    return ax


def roots(rows: Mapping[str, Row]) -> dict[str, tuple[float, float, float]]:
    """Roots of mean squared errors and of the ends of their intervals: in the unit of the data, by method.

    >>> import torch
    >>> roots({"own fit": Row.of("own fit", "K = 3", torch.tensor([4.0, 4.0]))})
    {'own fit': (2.0, 2.0, 2.0)}
    """
    return {name: (row.mean**0.5, max(row.low, 0.0) ** 0.5, row.high**0.5) for name, row in rows.items()}


def shown_table(rows: Mapping[str, Sequence[Row]]) -> list[list]:
    """Rows of a table: a method, and the root of its error with half of its interval, for each of several settings."""
    shown = []
    for name, of_settings in rows.items():
        parts = [roots({name: row})[name] for row in of_settings]
        shown.append([name, *((middle, (high - low) / 2) for middle, low, high in parts)])
    return shown
