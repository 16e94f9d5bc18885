"""What a method gains over another on the same episodes, with the interval that this sameness allows."""

from typing import NamedTuple

import torch

from mapping_lib.checks import check_choice
from mapping_lib.study import Row
from mapping_lib.study.intervals import half_width

ERRORS = {"accuracy": lambda scores: 1 - scores, "return": lambda scores: -scores, "error": lambda scores: scores}
"""What is called the error of an episode: the share that is wrong, the cost paid, or the error itself."""


class Gain(NamedTuple):
    """How much smaller an error is; ``low`` and ``high`` bound the ``mean`` by its 95 % interval."""

    mean: float
    low: float
    high: float


def paired(method: Row, baseline: Row) -> Gain:
    """The mean difference of two methods' scores, method minus baseline, episode by episode.

    Its interval is that of the differences, clustered by the rows' units (`intervals.half_width`): what makes an
    episode hard for both methods drops out, what a unit does to their difference does not. Raises ValueError for rows
    of different settings, lengths or units.

    >>> hard_and_easy = torch.tensor([0.2, 0.9, 0.3, 0.8])
    >>> paired(Row("b", "1-shot", hard_and_easy + 0.1), Row("a", "1-shot", hard_and_easy)).low
    0.1
    """
    _check_pair(method, baseline)
    difference = method.scores.double() - baseline.scores.double()
    mean, half = float(difference.mean()), half_width(difference, method.units)
    return Gain(*(round(value, 6) for value in (mean, mean - half, mean + half)))


def error_removed(method: Row, baseline: Row, measure: str) -> Gain:
    """The share of the baseline's mean error that the method removes: 1 - E[error of method] / E[error of baseline].

    1 means no error is left, 0 none is removed, below 0 it has become worse. ``measure`` is a name in `ERRORS`.
    The interval is that of the delta method (Efron & Tibshirani 1993, section 21.9): with R the ratio of the means,
    the share moves as the mean of (R error of baseline - error of method) / E[error of baseline], and that mean is
    clustered by the rows' units. Raises ValueError for rows of different settings, lengths or units, or an unknown
    measure.

    >>> half, whole = Row("b", "1-shot", torch.full((9,), 2.0)), Row("a", "1-shot", torch.full((9,), 4.0))
    >>> error_removed(half, whole, "error")
    Gain(mean=0.5, low=0.5, high=0.5)
    """
    _check_pair(method, baseline)
    check_choice("measure", measure, ERRORS)
    of_method, of_baseline = (ERRORS[measure](row.scores.double()) for row in (method, baseline))
    ratio = of_method.mean() / of_baseline.mean()
    half = half_width((ratio * of_baseline - of_method) / of_baseline.mean(), method.units)
    share = 1 - float(ratio)
    return Gain(share, share - half, share + half)


def _check_pair(method: Row, baseline: Row) -> None:
    if (method.setting, len(method.scores)) != (baseline.setting, len(baseline.scores)):
        of_method, of_baseline = (f"{len(row.scores)} scores of {row.setting!r}" for row in (method, baseline))
        raise ValueError(f"method has {of_method} and baseline {of_baseline}; allowed: the same episodes for both")
    a, b = method.units, baseline.units
    if (a is None) != (b is None) or (a is not None and not torch.equal(a, b)):
        raise ValueError("method and baseline have different units; allowed: the same episodes for both")
