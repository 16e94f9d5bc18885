"""The exercises of chapter 4, the map of applications."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.page.checking import check, close, expect, need, number, numbers


@check("subtract first, episode by episode; then mean - and + 1.96 * std / sqrt(n).")
def check_interval(interval: Callable[[Tensor, Tensor], tuple[float, float]]) -> str:
    """Chapter 4, exercise 1: ``interval(a, b) -> (low, high)`` of the mean of a - b on the same episodes."""
    for seed, n in ((0, 50), (1, 400)):
        generator = torch.Generator().manual_seed(seed)
        hard = 5 * torch.randn(n, generator=generator, dtype=torch.float64)
        a, b = (hard + torch.randn(n, generator=generator, dtype=torch.float64) for _ in range(2))
        low, high = numbers(interval(a.clone(), b.clone()), (2,), "(low, high), the ends of the interval,").tolist()
        difference = a - b
        half, mean, sd = (high - low) / 2, float(difference.mean()), float(difference.std())
        wanted = 1.96 * sd / math.sqrt(n)
        apart = 1.96 * math.sqrt(float(a.var() + b.var()) / n)
        need(low <= high, f"low is {low:.3f} and high {high:.3f}: they are exchanged.")
        need(
            abs(half / apart - 1) > 0.03,
            "that is the interval for two independent samples: here both methods met the same episodes.",
        )
        middle = (high + low) / 2
        need(not close(middle, -mean), "its middle is the mean of b - a: asked for is that of a - b.")
        need(close(middle, mean), "its middle is not the mean of a - b.")
        need(abs(half / (1.96 * sd) - 1) > 0.03, "single episodes spread as far; for a mean, divide by the root of n.")
        need(
            abs(half * math.sqrt(n) / sd - 1) > 0.03, "that is one standard error to each side: 95 % want 1.96 of them."
        )
        near = 0.03 * wanted  # 2 for 1.96, Student's t, and n for n - 1 are fine
        need(abs(half - wanted) < near, f"its half width is {half:.3f}, not {wanted:.3f}.")
    return "What makes an episode hard for both has dropped out."


@check("1.96 * sd / sqrt(n) must not be larger than the gain: solve for n, and round up.")
def check_units_needed(units_needed: Callable[[float, float], int]) -> str:
    """Chapter 4, exercise 2: how many units show a ``gain`` when their differences have the deviation ``sd``."""
    for sd, gain in ((0.2, 0.02), (0.1, 0.05), (0.15, 0.01), (1.0, 0.5), (0.3, 0.07)):
        given = f"for units_needed({sd}, {gain})"
        n = number(units_needed(sd, gain))
        need(not math.isfinite(n) or n == round(n), f"{given} you give {n:.4g}: a unit cannot be cut. Round up.")
        exact = (1.96 * sd / gain) ** 2
        mistakes = {
            f"{given} you give {n:.0f}, and {exact:.1f} are needed: rounded down, zero is still inside.": exact // 1,
            "for n the ratio has to be squared.": math.ceil(math.sqrt(exact)),
            "that is for two independent samples; sd is that of the differences.": math.ceil(2 * exact),
            "it is upside down: a *small* gain wants many units.": math.ceil((1.96 * gain / sd) ** 2),
            "that is where one standard error leaves zero out: 95 % want 1.96 of them.": math.ceil((sd / gain) ** 2),
            "2 is near to 1.96, and not near enough for a whole number of units.": math.ceil((2 * sd / gain) ** 2),
        }
        expect(n, math.ceil(exact), given, mistakes)
    return "Half the gain wants four times the units."
