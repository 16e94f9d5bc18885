"""The exercises of chapter 4, the map of applications."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.page.checking import answered, check, need


@check("subtract first, episode by episode; then take mean - and + 1.96 * std / sqrt(n) of the differences.")
def check_interval(interval: Callable[[Tensor, Tensor], tuple[float, float]]) -> str:
    """Chapter 4, exercise 1: ``interval(a, b) -> (low, high)`` of the mean of a - b on the same episodes."""
    for seed, n in ((0, 50), (1, 400)):
        generator = torch.Generator().manual_seed(seed)
        hard = 5 * torch.randn(n, generator=generator, dtype=torch.float64)
        a, b = (hard + torch.randn(n, generator=generator, dtype=torch.float64) for _ in range(2))
        low, high = (float(end) for end in answered(interval(a, b)))
        difference = a - b
        half = 1.96 * float(difference.std()) / math.sqrt(n)
        apart = 1.96 * math.sqrt(float(a.var() + b.var()) / n)
        need(low <= high, f"low is {low:.3f} and high {high:.3f}: they are exchanged.")
        need(
            abs((high - low) / 2 - apart) > 1e-3,
            "that is the interval for two independent samples: here both methods met the same episodes.",
        )
        need(abs((high + low) / 2 - float(difference.mean())) < 1e-6, "its middle is not the mean of a - b.")
        need(abs((high - low) / 2 - half) < 0.02 * half, f"its half width is {(high - low) / 2:.3f}, not {half:.3f}.")
    return "What makes an episode hard for both has dropped out."


@check("1.96 * sd / sqrt(n) must not be larger than the gain: solve for n, and round up.")
def check_units_needed(units_needed: Callable[[float, float], int]) -> str:
    """Chapter 4, exercise 2: how many units show a ``gain`` when their differences have the deviation ``sd``."""
    for sd, gain in ((0.2, 0.02), (0.1, 0.05), (0.15, 0.01), (1.0, 0.5)):
        n = answered(units_needed(sd, gain))
        need(float(n) == int(n), f"units_needed({sd}, {gain}) is {n}: a unit cannot be cut. Round up.")
        wanted = math.ceil((1.96 * sd / gain) ** 2)
        need(abs(int(n) - wanted) <= 1, f"units_needed({sd}, {gain}) is {int(n)}, not {wanted}.")
    return "Half the gain wants four times the units."
