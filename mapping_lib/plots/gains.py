"""Floor 5: pictures of what meta-learning gains, one row an application or one curve over the examples."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from mapping_lib.applications.gains import Gain
from mapping_lib.plots import COLOURS


def plot_gains(ax: Axes, gains: Mapping[str, Gain]) -> Axes:
    """One row a label: the share of the baseline's error that is removed, with its 95 % interval.

    Blue where the whole interval is above zero, orange-red where it is below, grey where it holds zero. The first
    label stands on top.
    """
    for row, gain in enumerate(gains.values()):
        colour = COLOURS["after" if gain.low > 0 else "rival" if gain.high < 0 else "before"]
        ax.barh(row, gain.mean, height=0.55, color=colour, alpha=0.35, lw=0)
        ax.plot([gain.low, gain.high], [row, row], color=colour, lw=3)
        ax.plot([gain.mean], [row], "o", ms=8, color=colour)
        ax.text(max(gain.high, 0) + 0.015, row, f"{100 * gain.mean:.0f} %".replace("-", "−"), va="center")
    ax.axvline(0, color=COLOURS["truth"], lw=1)
    ax.set_yticks(range(len(gains)), list(gains))
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set(ylim=(len(gains) - 0.5, -0.5), xlabel="share of the baseline's error that is removed")
    ax.grid(axis="y", visible=False)
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
