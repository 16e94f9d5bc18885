"""How sure is a mean? The one interval of the suite's tables, over what the result is to generalise to."""

import math
from functools import cache

import torch
from torch import Tensor


def half_width(scores: Tensor, units: Tensor | None = None) -> float:
    """Half the width of the 95 % interval of the mean of ``scores (n,)``, clustered by ``units``.

    A unit is what another draw would draw anew: a language, a letter, a person, a search seed. ``units`` says by
    number which unit each score is of, ``(n,)``, or which r different units had a part in it, ``(n, r)`` (the five
    languages of an episode). None: every score is a unit of its own, and the half width is t s / sqrt(n).

    With e_i = score_i - mean and T_u the sum of the e_i that unit u has a part in, divided by n, the variance is

        L (L - 1) / (L - r)^2 [ sum_u T_u^2 - (r - 1) sum_i e_i^2 / n^2 ]

    for L units: e_i e_j of two scores counts as often as they have a unit in common, e_i^2 once. For r = 1 this is
    the cluster-robust variance (Cameron & Miller 2015), for r = 2 nearly that of pairs (Fafchamps & Gubert 2007). The
    factor makes it s^2 / n for one score a unit; for r > 1 it corrects for the company: who meets an easy unit meets
    the L - 1 others without it. The variance is never below that of scores that are all units of their own. t is
    Student's quantile for L - 1 degrees of freedom.

    Infinite where nothing can be said: one unit, or the same units in every score. Raises ValueError for units that
    do not fit the scores.

    >>> three = torch.tensor([1.0, 2.0, 3.0])
    >>> round(half_width(three), 3), round(half_width(three.repeat(100)), 3)
    (2.484, 0.093)
    >>> round(half_width(three.repeat(100), torch.arange(3).repeat(100)), 3)  # three seeds, each asked 100 times
    2.484
    """
    n = len(scores)
    members = _members(n, units)
    r, n_units = members.shape[1], int(members.max()) + 1
    if n_units <= max(r, 1) or not scores.isfinite().all():
        return math.inf
    away = scores.double() - scores.double().mean()
    alone = away.square().sum() / n**2
    totals = torch.zeros(n_units, dtype=torch.float64).index_add(0, members.flatten(), away.repeat_interleave(r)) / n
    shared = n_units * (n_units - 1) / (n_units - r) ** 2 * (totals.square().sum() - (r - 1) * alone)
    return student(n_units - 1) * float(max(shared, alone * n / (n - 1))) ** 0.5


def count_units(n: int, units: Tensor | None) -> int:
    """How many units ``n`` scores are of.

    >>> count_units(600, None), count_units(3, torch.tensor([[0, 7], [7, 2], [0, 2]]))
    (600, 3)
    """
    return n if units is None else len(units.unique())


@cache
def student(df: int) -> float:
    """The 97.5 % quantile of Student's t distribution with ``df`` degrees of freedom.

    By bisection of its distribution function in closed form (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4), up to 200;
    beyond by the expansion about the normal one (26.7.5), right to nine digits there.

    >>> [round(student(df), 3) for df in (1, 2, 39, 599)]
    [12.706, 4.303, 2.023, 1.964]
    """
    if df > 200:
        z = 1.959963984540054
        terms = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
        return z + sum(term / df**power for power, term in enumerate(terms, 1))
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, df) < 0.95 else (low, middle)
    return math.sqrt(df) * math.tan(low)


def _within(angle: float, df: int) -> float:
    """P(|t| < sqrt(df) tan(angle))."""
    sine, cosine = math.sin(angle), math.cos(angle)
    term = total = 1.0 if df % 2 == 0 else cosine
    for k in range(2 + df % 2, df, 2):
        term *= (k - 1) / k * cosine**2
        total += term
    if df % 2 == 0:
        return sine * total
    return 2 / math.pi * (angle + (sine * total if df > 1 else 0.0))


def _members(n: int, units: Tensor | None) -> Tensor:
    """The units of each score, ``(n, r)``, counted from 0 without gaps."""
    if units is None:
        return torch.arange(n)[:, None]
    if units.ndim not in (1, 2) or units.shape[0] != n or units.is_floating_point():
        form = f"shape {tuple(units.shape)} and dtype {units.dtype}"
        raise ValueError(f"units has {form}; allowed: one whole number, or a row of them, for each of {n} scores")
    return units.reshape(n, -1).unique(return_inverse=True)[1]
