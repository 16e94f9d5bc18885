"""What a method gains over another on the same episodes, with the interval that this sameness allows."""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_choice, check_count, check_generator
from mapping_lib.study import Row

ERRORS = {"accuracy": lambda scores: 1 - scores, "return": lambda scores: -scores, "error": lambda scores: scores}
"""What is called the error of an episode: the share that is wrong, the cost paid, or the error itself."""


class Gain(NamedTuple):
    """How much smaller an error is; ``low`` and ``high`` bound the ``mean`` by its 95 % interval."""

    mean: float
    low: float
    high: float


def paired(method: Row, baseline: Row) -> Gain:
    """The mean difference of two methods' scores, method minus baseline, episode by episode.

    Its interval is mean -+ 1.96 standard errors *of the differences*: what makes an episode hard for both methods
    drops out. Raises ValueError for rows of different settings or lengths.

    >>> hard_and_easy = torch.tensor([0.2, 0.9, 0.3, 0.8])
    >>> paired(Row("b", "1-shot", hard_and_easy + 0.1), Row("a", "1-shot", hard_and_easy)).low
    0.1
    """
    _check_pair(method, baseline)
    difference = method.scores.double() - baseline.scores.double()
    mean, half = float(difference.mean()), float(1.96 * difference.std() / len(difference) ** 0.5)
    return Gain(*(round(value, 6) for value in (mean, mean - half, mean + half)))


def error_removed(method: Row, baseline: Row, measure: str, *, generator: Generator, n_resamples: int = 2000) -> Gain:
    """The share of the baseline's mean error that the method removes: 1 - E[error of method] / E[error of baseline].

    1 means no error is left, 0 none is removed, below 0 it has become worse. ``measure`` is a name in `ERRORS`.
    The interval is the percentile bootstrap over episodes (Efron & Tibshirani 1993, section 13.3), each drawn with
    both its scores. Raises ValueError for rows of different settings or lengths, or an unknown measure.

    >>> half, whole = Row("b", "1-shot", torch.full((9,), 2.0)), Row("a", "1-shot", torch.full((9,), 4.0))
    >>> error_removed(half, whole, "error", generator=torch.Generator().manual_seed(0))
    Gain(mean=0.5, low=0.5, high=0.5)
    """
    _check_pair(method, baseline)
    check_choice("measure", measure, ERRORS)
    check_count("n_resamples", n_resamples, at_least=1)
    errors = torch.stack([ERRORS[measure](row.scores.double()) for row in (method, baseline)])
    drawn = torch.randint(errors.shape[1], (n_resamples, errors.shape[1]), generator=check_generator(generator))
    shares = _share(errors[:, drawn].mean(-1))
    ends = torch.tensor([0.025, 0.975], dtype=shares.dtype)
    low, high = (float(q) for q in shares.quantile(ends))
    return Gain(float(_share(errors.mean(-1))), low, high)


def _share(means: Tensor) -> Tensor:
    of_method, of_baseline = means
    return 1 - of_method / of_baseline


def _check_pair(method: Row, baseline: Row) -> None:
    if (method.setting, len(method.scores)) != (baseline.setting, len(baseline.scores)):
        of_method, of_baseline = (f"{len(row.scores)} scores of {row.setting!r}" for row in (method, baseline))
        raise ValueError(f"method has {of_method} and baseline {of_baseline}; allowed: the same episodes for both")
