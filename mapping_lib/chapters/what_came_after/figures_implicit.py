"""Pictures of chapter 4g's page on implicit MAML."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from .figures import COLOUR_OF_METHODS

STRENGTH_COLOURS = ("#56B4E9", "#0072B2", "#000000")
"""From a weak pull towards theta to a strong one."""


def plot_kept(ax: Axes, steps: Sequence[int], kept: Mapping[str, Sequence[int]]) -> Axes:
    """How many numbers wait for the backward pass, by the number of inner steps, a line for each method."""
    for label, numbers in kept.items():
        ax.plot(steps, numbers, "o-", color=COLOUR_OF_METHODS[label], label=label)
    ax.set(xlabel="inner steps m", ylabel="numbers kept", ylim=(0, None), title="for the backward pass of one task")
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.legend()
    return ax


def plot_agreement(axes: Sequence[Axes], steps: Sequence[int], by_strength: Mapping[float, Mapping[str, list]]) -> None:
    """The cosine with the exact gradient, and the relative error, by inner steps: a line for each λ."""
    for (strength, lines), colour in zip(by_strength.items(), STRENGTH_COLOURS, strict=True):
        for ax, name in zip(axes, ("cosine", "error"), strict=True):
            ax.plot(steps, lines[name], "o-", color=colour, label=f"λ = {strength:g}")
    for ax in axes:
        ax.set_xscale("log")
        ax.set_xticks(steps, [str(m) for m in steps])
        ax.minorticks_off()
        ax.set(xlabel="inner steps m")
    axes[0].axhline(1, color="#999999", lw=1, ls=":")
    axes[0].set(ylabel="cosine with the exact gradient")
    axes[1].set(ylabel="relative error", yscale="log")
    axes[0].legend()
