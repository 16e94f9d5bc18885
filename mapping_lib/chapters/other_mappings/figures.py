"""Pictures of chapter 3b and its two pages."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation
from torch import Tensor

from mapping_lib.evaluation import ErrorByStep
from mapping_lib.page.plots import (
    COLOUR_OF,
    COLOURS,
    log_scale,
    plot_batch,
    plot_dots,
    plot_error_by_shots,
    plot_error_by_step,
    plot_fit,
    plot_truth,
)
from mapping_lib.task import Batch

NOISE_COLOURS = ("#000000", "#4B0092", "#A05195", "#D55E00")
"""From no noise to much."""

PATH_COLOURS = ("#0072B2", "#CC79A7", "#D55E00")


def plot_race(ax: Axes, race: Mapping[str, ErrorByStep], trained_for: int) -> Axes:
    """Error by inner step of every rule; a label with a remark is dash-dotted. Dotted: what all were made for."""
    for label, errors in race.items():
        method, _, remark = label.partition(", ")
        if remark:
            ax.plot(errors.mean, color=COLOUR_OF[method], ls="-.", label=label)
        else:
            plot_error_by_step(ax, errors, label)
    ax.axvline(trained_for, color=COLOURS["before"], lw=1, ls=":")
    ax.set(ylim=(0.15, 20))
    ax.legend(ncols=2)
    return ax


def plot_times(ax: Axes, times: Tensor, above: Mapping[float, Tensor]) -> Axes:
    """The error above the noise by adaptation time, one line for each level of noise, its lowest point marked."""
    for (noise, line), colour in zip(above.items(), NOISE_COLOURS, strict=True):
        ax.plot(times, line, color=colour, label=f"noise {noise:g}")
        ax.plot(times[line.argmin()], line.min(), "v", ms=10, color=colour)
    ax.set(xlabel="adaptation time τ", ylabel="error above the noise", title="▼ the best time")
    ax.legend(ncols=2)
    return log_scale(ax)


def plot_orders(ax: Axes, sizes: Sequence[float], errors: Mapping[str, Sequence[float]]) -> Axes:
    """The distance from the flow by step size, on log axes; steps get smaller to the right."""
    for (label, line), colour in zip(errors.items(), ("#0072B2", "#4B0092"), strict=True):
        ax.loglog(sizes, line, "o-", color=colour, label=label)
    ax.set(xlabel="step size α = 0.2 / m", ylabel="distance from the flow", title="one task, from θ to φ(0.2)")
    ax.legend()
    ax.invert_xaxis()
    return ax


def plot_attention(ax: Axes, x: Tensor, truth: Tensor, answer: Tensor, support: Batch) -> Axes:
    """One wave, some of its points, and what one head of attention answers."""
    plot_truth(ax, x, truth)
    plot_fit(ax, x, answer, "after", "one head of attention")
    plot_batch(ax, support, "support").legend(ncols=3)
    ax.set(xlabel="x", ylabel="y", ylim=(-6, 6))
    return ax


def plot_readers(ax: Axes, shots: Sequence[int], errors: Mapping[str, ErrorByStep], most: int) -> Axes:
    """Error by number of examples of every learner. Dotted: the most examples that they met in training."""
    for label, e in errors.items():
        plot_error_by_shots(ax, shots, e, label)
    ax.axvline(most, color=COLOURS["before"], lw=1, ls=":")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def plot_medians(axes: Sequence[Axes], shots: Sequence[int], panels: Mapping[str, Mapping[str, ErrorByStep]]) -> None:
    """One panel a family: the median error by number of examples, in the method's colour; dashed with a remark."""
    for ax, (title, errors) in zip(axes, panels.items(), strict=True):
        for label, e in errors.items():
            method, _, remark = label.partition(", ")
            ax.plot(shots, e.median, "o--" if remark else "o-", ms=4, color=COLOUR_OF[method], label=label)
        log_scale(ax).set(title=title, xlabel="examples K", xticks=shots)
    axes[0].set_ylabel("median squared error")
    axes[0].legend()


def plot_side_by_side(axes: Sequence[Axes], panels: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """One panel a family, one row a method: its median error with the interval (median, low, high).

    The first panel names the rows; one that a later panel lacks comes last, and has no dot there.
    """
    rows = list(next(iter(panels.values())))
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        highest = max(high for *_, high in values.values())
        plot_dots(ax, values, "median squared error", digits=3 if highest < 0.5 else 2)
        right_of_dot = ScaledTranslation(6 / 72, 0, ax.get_figure().dpi_scale_trans)  # short intervals hide behind it
        for number in ax.texts:
            number.set_transform(number.get_transform() + right_of_dot)
        ax.set(title=title, ylim=(len(rows) - 0.5, -0.5), xlim=(-0.03 * highest, 1.3 * highest))
        if ax is not axes[0]:
            ax.set_yticks(range(len(rows)), [""] * len(rows))


def plot_paths(ax: Axes, share: Tensor, lines: Mapping[str, Sequence[float]], flat: float) -> Axes:
    """The error on the straight way from one network to others, and that of a flat line."""
    for (label, line), colour in zip(lines.items(), PATH_COLOURS, strict=True):
        ax.plot(share, line, color=colour, label=label)
    ax.axhline(flat, color=COLOURS["before"], ls=":", label="a flat line, y = 0")
    ax.set(xlabel="share of the way from φ to the other network", ylabel="mean squared error")
    ax.set_title("one wave, good at both ends")
    ax.legend()
    return ax


def plot_told(ax: Axes, levels: Sequence[float], curves: Mapping[str, Sequence[ErrorByStep]]) -> Axes:
    """Mean error by noise of the description, with its 95 % interval, of every learner."""
    for label, errors in curves.items():
        mean, low, high = (np.array([float(e[part][0]) for e in errors]) for part in (1, 3, 4))
        ax.plot(levels, mean, "o-", ms=4, color=COLOUR_OF[label], label=label)
        ax.fill_between(levels, low, high, color=COLOUR_OF[label], alpha=0.18)
    ax.set(xlabel="noise of the description (share of its spread)", ylabel="mean squared error")
    ax.set_title("told, shown, or both (K = 10)")
    ax.legend()
    return log_scale(ax)


POOL_MARKS = {
    "waves of the pool": ("o", "white"),
    "the same, by θ of endless tasks": ("s", "#999999"),
    "new waves": ("o", "#333333"),
}


def plot_pools(ax: Axes, tested: Mapping[tuple[str, int], Sequence[Sequence[float]]], endless: float) -> Axes:
    """Three errors (see `POOL_MARKS`) of each pool, the pools of one size side by side."""
    for i, rows in enumerate(tested.values()):
        for j, row in enumerate(rows):
            for (label, (shape, fill)), error in zip(POOL_MARKS.items(), row, strict=True):
                name = label if i == j == 0 else None
                ax.plot(i + 0.2 * (j - 1), error, shape, ms=9, color="#333333", mfc=fill, mew=1.5, label=name)
    ax.axhline(endless, color="#333333", ls=":", lw=1.5, label="MAML, endless tasks, new waves")
    ax.set_xticks(range(len(tested)), [f"{size} tasks\n{who}" for who, size in tested])
    log_scale(ax).set_ylabel("mean squared error")
    ax.legend(ncols=2)
    return ax
