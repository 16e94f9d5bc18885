"""Pictures of what meta-learning gains, one row an application or one curve over the examples."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator, PercentFormatter

from mapping_lib.page.plots import COLOURS
from mapping_lib.study import Row
from mapping_lib.study.gains import Gain

LINES = (COLOURS["before"], COLOURS["rival"], COLOURS["after"], "#000000", COLOURS["support"])
"""In `plot_rows`: a task alone, other tasks put together, learning to learn, and what more there is."""


def plot_gains(ax: Axes, gains: Mapping[str, Gain], left: float = -0.6) -> Axes:
    """One row a label: the share of the baseline's error that is removed, with its 95 % interval.

    Blue where the whole interval is above zero, orange-red where it is below, grey where it holds zero. A share below
    ``left`` is an arrow at the edge. The first label stands on top.
    """
    for row, gain in enumerate(gains.values()):
        colour = _colour(gain)
        inside = gain.mean > left
        ax.barh(row, max(gain.mean, left), height=0.55, color=colour, alpha=0.35, lw=0)
        ax.plot([max(gain.low, left), max(gain.high, left)], [row, row], color=colour, lw=3)
        ax.plot([gain.mean if inside else left], [row], "o" if inside else "<", ms=8, color=colour, clip_on=False)
        percent = f"{round(100 * gain.mean)} %".replace("-", "−")
        if gain.high < 1:
            ax.text(max(gain.high, 0) + 0.04, row, percent, va="center")
        else:  # no room beside an interval that leaves the picture: above it
            ax.text(1.08, row - 0.1, percent, ha="right", va="bottom")
    ax.axvline(0, color=COLOURS["truth"], lw=1)
    ax.set_yticks(range(len(gains)), list(gains))
    ax.xaxis.set_major_locator(MultipleLocator(0.5))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set(xlim=(left, 1.1), ylim=(len(gains) - 0.5, -0.5), xlabel="share of error removed")
    ax.grid(axis="y", visible=False)
    return ax


def plot_rows(ax: Axes, rows: Mapping[str, Sequence[Row]], labels: Sequence[str]) -> Axes:
    """One line a method over the settings, named ``labels``: the means with their 95 % intervals."""
    for (method, scores), colour in zip(rows.items(), LINES, strict=False):
        halves = [row.half for row in scores]
        ax.errorbar(labels, [row.mean for row in scores], halves, fmt="o-", ms=5, color=colour, label=method)
    ax.legend(fontsize=10)
    return ax


def plot_gain_by_examples(ax: Axes, examples: Sequence[int], gains: Sequence[Gain], label: str, color: str) -> Axes:
    """A curve over the number of examples K (log scale) with a band for the 95 % interval, named at its end."""
    ax.fill_between(examples, [g.low for g in gains], [g.high for g in gains], color=color, alpha=0.15, lw=0)
    ax.plot(examples, [g.mean for g in gains], "o-", color=color, label=label)
    ax.axhline(0, color=COLOURS["truth"], lw=1)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set(xlabel="examples K", ylabel="share of error removed")
    return ax


def plot_grouped_gains(ax: Axes, groups: Mapping[str, Mapping[str, Gain]], left: float = -0.6) -> Axes:
    """Rows of gains under headings: the share of error removed, a dot with its 95 % interval, in `plot_gains`' colours.

    What lies below ``left`` is an arrow at the edge. The first group stands on top, and in a group the largest gain.
    """
    height = 0.0
    for heading, gains in groups.items():
        ax.text(left - 0.05, height, heading, ha="right", va="center", weight="bold", fontsize=12)
        ordered = sorted(gains.items(), key=lambda item: -item[1].mean)
        for place, (label, gain) in enumerate(ordered, 1):
            row = height + place
            colour, inside = _colour(gain), gain.mean > left
            ax.plot([max(gain.low, left), max(gain.high, left)], [row, row], color=colour, lw=2.5)
            ax.plot([gain.mean if inside else left], [row], "o" if inside else "<", ms=6, color=colour, clip_on=False)
            ax.text(left - 0.05, row, label, ha="right", va="center", fontsize=11.5)
        height += len(gains) + 1.6
    ax.axvline(0, color=COLOURS["truth"], lw=1)
    ax.xaxis.set_major_locator(MultipleLocator(0.5))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set(xlim=(left, 1), ylim=(height - 0.8, -0.8), yticks=[], xlabel="share of error removed")
    return ax


def _colour(gain: Gain) -> str:
    """Blue where the whole interval is above zero, orange-red where it is below, grey where it holds zero."""
    return COLOURS["after" if gain.low > 0 else "rival" if gain.high < 0 else "before"]
