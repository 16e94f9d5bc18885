"""The picture of fewer numbers to adapt: the error by how many numbers are new for a task."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from mapping_lib.page.plots import COLOUR_OF, log_scale
from mapping_lib.study.rows import Row

from .figures import COLOUR_OF_METHODS
from .study_fewer_numbers import CONTESTANTS, PARTS, WRITES, count

COLOURS = COLOUR_OF | COLOUR_OF_METHODS | {"all weights": COLOUR_OF["MAML"]}
Measured = Mapping[tuple[str, str], Row]
"""A stored table: its rows by (method, setting)."""


class Point(NamedTuple):
    """One method in the picture: its name, how many numbers are new for a task, and its rows, one a training."""

    name: str
    numbers: int
    rows: Sequence[Row]

    @property
    def pooled(self) -> Row:
        """The mean of the trainings, task by task: its interval is over tasks."""
        first, several = self.rows[0], [row.scores for row in self.rows]
        return Row.of(self.name, first.setting, sum(several) / len(several), first.units)


def points_of(measured: Measured, setting: str) -> list[Point]:
    """The methods on the waves, each with the rows of all its trainings."""
    numbers = {part: count(part) for part in PARTS}
    numbers |= {WRITES: count("LoRA, rank 1"), "hypernetwork": count("all weights")}
    rows = {
        name: [measured[f"{name}, seed {s}" if s else name, setting] for s in CONTESTANTS[name].seeds]
        for name in CONTESTANTS
    }
    return [Point(name, numbers[name], rows[name]) for name in rows]


def plot_by_numbers(ax: Axes, points: Sequence[Point], places: Mapping[str, tuple[float, float]]) -> Axes:
    """One dot a method with its interval over tasks; every single training as a tick.

    Squares are told what the task is. ``places`` say where a name stands, in points beside its dot.
    """
    for point in points:
        row, colour = point.pooled, COLOURS[point.name]
        ax.plot([point.numbers] * 2, [row.low, row.high], color=colour, lw=3, solid_capstyle="butt")
        ax.plot([point.numbers], [row.mean], "s" if "hypernetwork" in point.name else "o", ms=8, color=colour)
        if len(point.rows) > 1:
            ax.plot([point.numbers] * len(point.rows), [one.mean for one in point.rows], "_", ms=15, color=colour)
        beside = {"xytext": places[point.name], "textcoords": "offset points", "ha": "center", "va": "center"}
        ax.annotate(point.name, (point.numbers, row.mean), color=colour, fontsize=10, **beside)
    ax.set(xscale="log", xlabel="numbers that are new for a task")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.margins(x=0.2, y=0.15)
    return ax


PLACES = {
    "context parameters": (30, -18),
    "head only": (0, 20),
    "biases only": (46, 4),
    "LoRA, rank 1": (-50, -6),
    "LoRA, rank 2": (48, -4),
    "all weights": (0, 20),
    WRITES: (0, -18),
    "hypernetwork": (0, -18),
}
"""Where the names stand in the picture of the waves."""


def plot_waves(ax: Axes, measured: Measured, setting: str) -> Axes:
    """The error on the waves by how many numbers are new for one, on two log axes."""
    plot_by_numbers(ax, points_of(measured, setting), PLACES)
    ax.set(ylabel="mean squared error", title=setting)
    return log_scale(ax)
