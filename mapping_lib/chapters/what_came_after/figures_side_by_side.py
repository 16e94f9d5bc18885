"""The picture of chapter 4g's last table: every contestant's typical error, inside the family and upside down."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mapping_lib.page.plots import COLOURS, plot_dot

from .figures import COLOUR_OF_METHODS


def plot_side_by_side(axes: Sequence[Axes], panels: Mapping[str, Mapping[str, tuple[float, float, float]]]) -> None:
    """One panel a setting, one row a contestant: its error with the interval (value, low, high), on a log axis.

    The rows are in the order of the first panel; a contestant that a panel lacks has no dot there.
    """
    names = list(next(iter(panels.values())))
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        for row, name in enumerate(names):
            if name in values:
                colour = COLOUR_OF_METHODS.get(name, COLOURS["truth"])
                plot_dot(ax, row, values[name], colour, f"{values[name][0]:.2g}")
        _log(ax)
        ax.set(title=title, ylim=(len(names) - 0.5, -0.5), xlabel="typical squared error")
        ax.set_yticks(range(len(names)), names if ax is axes[0] else [""] * len(names))
        ax.grid(False, axis="y")


def _log(ax: Axes) -> None:
    """Numbers as one writes them, and room at the right for the last one."""
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    low, high = ax.get_xlim()
    ax.set_xlim(low, high * (high / low) ** 0.12)
