"""Pictures. ``plot_*(ax, data) -> ax`` draws what it is given and never computes.

One colour for one role everywhere, from the palette of Okabe and Ito (2008), which colour-blind
readers can tell apart.
"""

import itertools
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from torch import Tensor

from mapping_lib.evaluation import ErrorByStep
from mapping_lib.task import Batch

COLOURS = {
    "truth": "#333333",
    "support": "#E69F00",
    "query": "#009E73",
    "before": "#999999",
    "after": "#0072B2",
    "rival": "#D55E00",
}

COLOUR_OF = {
    "MAML": "#0072B2",
    "joint training": "#D55E00",
    "from scratch": "#808080",
    "FOMAML": "#56B4E9",
    "Reptile": "#CC79A7",
    "ANIL": "#8C6510",
    "Meta-SGD": "#000000",
    "hypernetwork": "#E0457B",
    "learned rule": "#661100",
    "gradient flow": "#4B0092",
    "in-context": "#607830",
    "hypernetwork + steps": "#7A0F3F",
    "set network": "#56B4E9",
    "SGD": "#808080",
    "Adam": "#D55E00",
    "Bayes": "#000000",
}
"""One colour a method; orange and green stay with support and query. Methods that never meet may share one."""

STYLE = {
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.labelsize": 12,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "lines.linewidth": 2.0,
    "axes.prop_cycle": mpl.cycler(color=list(COLOUR_OF.values())[:7]),
}

_OF_THE_MACHINE = ("backend", "interactive", "toolbar", "webagg", "tk.", "keymap", "savefig.directory", "date.epoch")
WHOLE_STYLE = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith(_OF_THE_MACHINE)}
WHOLE_STYLE |= STYLE
"""Every setting of a picture, so that nothing is left to a style, a TeX or a font of the reader's own."""


def use_style() -> None:
    """Make every later figure look like the suite's: large type, light grid, colour-blind-safe colours.

    It writes matplotlib's ``rcParams``, all that say how a picture looks: a style chosen before is gone.
    """
    mpl.rcParams.update(WHOLE_STYLE)


def plot_truth(ax: Axes, x: Tensor, y: Tensor, label: str = "truth") -> Axes:
    """The true function: a dark dashed line."""
    ax.plot(x.flatten(), y.flatten(), color=COLOURS["truth"], lw=1.8, ls=(0, (4, 2)), label=label)
    return ax


def plot_batch(ax: Axes, batch: Batch, role: str) -> Axes:
    """The examples of one task, in the colour of their ``role``: "support" filled, "query" hollow."""
    fill = {"mfc": "white", "mec": COLOURS["query"], "mew": 2} if role == "query" else {"mec": "black"}
    ax.plot(batch.x.flatten(), batch.y.flatten(), "o", color=COLOURS[role], ms=8, label=role, zorder=3, **fill)
    return ax


def plot_fit(ax: Axes, x: Tensor, y: Tensor, role: str, label: str) -> Axes:
    """One fitted function: "before" dotted, "after" and "rival" solid."""
    style = {"lw": 2, "ls": ":"} if role == "before" else {"lw": 3, "ls": "-"}
    ax.plot(x.flatten(), y.flatten(), color=COLOURS[role], label=label, **style)
    return ax


def plot_error_by_step(ax: Axes, errors: ErrorByStep, label: str) -> Axes:
    """Mean error by inner step with its 95 % interval over tasks as a band; the median dashed.

    Where the interval is infinite there is no band.
    """
    steps, colour = np.arange(len(errors.mean)), COLOUR_OF.get(label)
    (line,) = ax.plot(steps, errors.mean, marker="o", ms=4, label=label, color=colour)
    fine = np.asarray(errors.high < 10 * errors.mean.min())
    ax.fill_between(steps[fine], errors.low[fine], errors.high[fine], color=line.get_color(), alpha=0.18, lw=0)
    ax.plot(steps, errors.median, color=line.get_color(), ls="--", lw=1.2)
    ax.set(xlabel="inner steps m", ylabel="mean squared error")
    return log_scale(ax)


def plot_error_by_shots(ax: Axes, shots: Sequence[int], errors: ErrorByStep, label: str) -> Axes:
    """Mean error by number of examples, with its 95 % interval over tasks as a band; the method's colour.

    A label is the method, or "method, with a remark": the remark dashes the line. An interval that is infinite
    has no band.
    """
    method, _, remark = label.partition(", ")
    style = {"color": COLOUR_OF.get(method), "ls": "--" if remark else "-"}
    (line,) = ax.plot(shots, errors.mean, marker="o", ms=4, label=label, **style)
    low, high = (np.asarray(bound.clamp_min(1e-9)) for bound in (errors.low, errors.high))
    ax.fill_between(shots, low, high, where=np.isfinite(high), color=line.get_color(), alpha=0.18, lw=0)
    ax.set(xlabel="examples K", ylabel="mean squared error")
    ax.xaxis.set_major_locator(MaxNLocator(steps=(1, 2, 5, 10), integer=True))
    return log_scale(ax)


def plot_sweep(ax: Axes, values: Sequence[float], errors: Mapping[str, Sequence[float]], xlabel: str) -> Axes:
    """One line a learner over the values of one setting, on log axes.

    Labels are "method" or "method, 10 steps"; a line for "1 step" is dashed.
    """
    for label, line in errors.items():
        method, _, steps = label.partition(", ")
        style = {"color": COLOUR_OF.get(method), "ls": "--" if steps == "1 step" else "-"}
        ax.plot(values, line, marker="o", ms=4, label=label, **style)
    ax.set(xlabel=xlabel, ylabel="mean squared error")
    ax.legend()
    return log_scale(ax)


def plot_training(ax: Axes, losses: Sequence[float], window: int = 50) -> Axes:
    """The meta-loss of every outer step, faint, and its mean over ``window`` steps, bold."""
    ax.plot(range(1, len(losses) + 1), losses, color=COLOURS["before"], lw=0.5, alpha=0.6)
    smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
    ax.plot(range(window, len(losses) + 1), smooth, color=COLOURS["after"], lw=2.5, label=f"mean of {window} steps")
    ax.set(xlabel="outer step", ylabel="meta-loss")
    ax.legend()
    return log_scale(ax)


def plot_spread(ax: Axes, values: Sequence[Tensor], labels: Sequence[str], ylabel: str) -> Axes:
    """One column a group: every value as a faint dot, the median as a bar.

    A label is the method, a line break, the seed.
    """
    for i, (group, label) in enumerate(zip(values, labels, strict=True)):
        colour = COLOUR_OF.get(label.split("\n")[0])
        ax.plot(i + np.linspace(-0.25, 0.25, len(group)), group, "o", ms=4, color=colour, alpha=0.4, mec="none")
        ax.hlines(group.median(), i - 0.32, i + 0.32, color=colour, lw=3.5)
    ax.set_xticks(range(len(labels)), labels, fontsize=10)
    ax.set_ylabel(ylabel)
    return ax


def plot_means(ax: Axes, errors: Mapping[str, ErrorByStep], step: int) -> Axes:
    """One row a label: the mean error after ``step`` inner steps with its 95 % interval, the median as a bar.

    A mean that is infinite is drawn as an arrow at the right edge. The first label stands on top.
    """
    finite = [float(e.high[step]) for e in errors.values() if e.mean[step].isfinite()]
    edge = 1.08 * max(finite)
    for row, (label, e) in enumerate(errors.items()):
        colour, mean = COLOUR_OF.get(label, COLOURS["truth"]), float(e.mean[step])
        if not np.isfinite(mean):
            ax.plot([edge], [row], ">", ms=11, color=colour, clip_on=False)
            ax.text(0.97 * edge, row, "diverged", ha="right", va="center", color=colour)
            continue
        ax.plot([e.low[step], e.high[step]], [row, row], color=colour, lw=3)
        ax.plot([mean], [row], "o", ms=9, color=colour)
        ax.plot([e.median[step]], [row], "|", ms=16, mew=2.5, color=colour)
        ax.text(float(e.high[step]) + 0.015 * edge, row, f"{mean:.2f}", va="center", color=colour)
    ax.set_yticks(range(len(errors)), list(errors))
    ax.set(xlim=(0, edge), ylim=(len(errors) - 0.5, -0.5), xlabel=f"mean squared error after {step} inner steps")
    return ax


def plot_dots(
    ax: Axes,
    values: Mapping[str, tuple[float, float, float]],
    xlabel: str,
    *,
    digits: int = 2,
    zero: bool = True,
    colours: Mapping[str, str] = COLOUR_OF,
) -> Axes:
    """One row a label: a value as a dot with its interval (value, low, high) and its number; the first on top.

    A label is the method, or "method, with a remark": it has the method's colour, from ``colours``. ``zero`` says
    whether the axis begins at 0.
    """
    highest = max(high for _, _, high in values.values())
    lowest = min(0.0, *(low for _, low, _ in values.values())) if zero else min(low for _, low, _ in values.values())
    for row, (label, (value, low, high)) in enumerate(values.items()):
        colour = colours.get(label.partition(", ")[0], COLOURS["truth"])
        plot_dot(ax, row, (value, low, high), colour, f"{value:.{digits}f}".replace("-", "−"))
    ax.set_yticks(range(len(values)), list(values))
    ax.set(xlim=(lowest - 0.03 * (highest - lowest) * (not zero), highest + 0.12 * (highest - lowest)))
    ax.set(ylim=(len(values) - 0.5, -0.5), xlabel=xlabel)
    ax.grid(False, axis="y")
    return ax


def plot_dot(ax: Axes, row: int, values: tuple[float, float, float], colour: str, number: str) -> Axes:
    """A value as a dot in its ``row``, with its interval (value, low, high) and beside it its ``number``."""
    value, low, high = values
    ax.plot([low, high], [row, row], color=colour, lw=3, solid_capstyle="butt")
    ax.plot([value], [row], "o", ms=9, color=colour)
    beside = {"xytext": (9, 0), "textcoords": "offset points"}
    ax.annotate(number, (high, row), va="center", color=colour, **beside)
    return ax


def plot_plane(ax: Axes, values: Tensor, limits: Sequence[tuple[float, float]], minima: Tensor) -> Axes:
    """A loss ``(row, column)`` over a plane of two parameters, in grey bands, with numbered minima ``(task, 2)``.

    White is low. The bands are equal steps of the square root of what lies above the lowest value.
    """
    above = (values - values.min()).sqrt().numpy()
    (left, right), (bottom, top) = limits
    shades = mpl.colors.ListedColormap(np.linspace(1.0, 0.55, 14)[:, None].repeat(3, 1))
    ax.imshow(above, origin="lower", extent=(left, right, bottom, top), cmap=shades, interpolation="bilinear")
    ax.plot(minima[:, 0], minima[:, 1], "X", ms=9, color=COLOURS["truth"], mec="white")
    for number, (x, y) in enumerate(minima.tolist(), start=1):
        ax.text(x + 0.03 * (right - left), y, str(number), weight="bold", va="bottom")
    ax.grid(False)
    return ax


def plot_field(ax: Axes, points: Tensor, directions: Tensor) -> Axes:
    """Arrows of one length at ``points (..., 2)`` along ``directions (..., 2)``."""
    unit = directions / directions.norm(dim=-1, keepdim=True).clamp_min(1e-30)
    (x, y), (u, v) = points.flatten(0, -2).unbind(-1), unit.flatten(0, -2).unbind(-1)
    ax.quiver(x, y, u, v, color=COLOURS["truth"], scale=22, width=0.006)
    return ax


def plot_band(ax: Axes, x: Sequence[float], values: Tensor, label: str, color: str) -> Axes:
    """The median of ``values (x, repetition)`` as a line, from the smallest to the largest as a band.

    Where a value is not a number the line and the band have a gap.
    """
    ax.plot(x, values.quantile(0.5, dim=1), "o-", ms=4, color=color, label=label)
    ax.fill_between(x, values.amin(1), values.amax(1), color=color, alpha=0.18, lw=0)
    return ax


def plot_blocks(ax: Axes, matrix: Tensor, names: Sequence[str], ends: Sequence[int]) -> Axes:
    """A symmetric matrix in colours (red positive, blue negative), with lines between named blocks.

    ``ends`` are the rows where each block ends.
    """
    bound = float(matrix.abs().max())
    # the square root lets small entries be seen
    squeezed = (matrix.sign() * (matrix.abs() / bound).sqrt()).numpy()
    ax.imshow(squeezed, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    for end in ends[:-1]:
        ax.axhline(end - 0.5, color=COLOURS["truth"], lw=0.7)
        ax.axvline(end - 0.5, color=COLOURS["truth"], lw=0.7)
    middles = [(a + b) / 2 - 0.5 for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    ax.set_xticks(middles, names, rotation=45, ha="right", fontsize=10)
    ax.set_yticks(middles, names, fontsize=10)
    ax.grid(False)
    return ax


def plot_map(ax: Axes, columns: Sequence[str], rows: Mapping[str, Mapping[str, str]]) -> Axes:
    """A table of mappings as boxes and arrows: one row a field, one column a time scale, slow to fast.

    ``rows`` gives for each field the text of its boxes by column. Boxes of the last column are pale.
    """
    for y, (field, boxes) in enumerate(rows.items()):
        ax.text(-0.04, y, field, ha="right", va="center", weight="bold")
        places = [x for x, column in enumerate(columns) if column in boxes]
        for x in places:
            colour = "#EEEEEE" if x == len(columns) - 1 else "#CFE3F2"
            style = {"boxstyle": "round,pad=0.02", "fc": colour, "ec": "none"}
            ax.add_patch(FancyBboxPatch((x + 0.07, y - 0.27), 0.86, 0.54, **style))
            ax.text(x + 0.5, y, boxes[columns[x]], ha="center", va="center")
        for a, b in itertools.pairwise(places):
            ax.annotate("", (b + 0.05, y), (a + 0.95, y), arrowprops={"arrowstyle": "->", "color": COLOURS["truth"]})
    ax.set_xticks([i + 0.5 for i in range(len(columns))], columns)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.set(xlim=(0, len(columns)), ylim=(len(rows) - 0.5, -0.5), yticks=[])
    ax.spines[:].set_visible(False)
    ax.grid(False)
    return ax


def log_scale(ax: Axes) -> Axes:
    """A log axis with plain numbers: 0.1, 0.2, 0.5, 1 ... instead of powers of ten."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    return ax
