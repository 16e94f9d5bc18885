"""The chapter's last table: every contestant's errors, from the stored tables, and what an answer costs it."""

import math

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mapping_lib.checks import check_choice
from mapping_lib.study import read_table
from mapping_lib.study.intervals import half_width
from mapping_lib.task import Batch

from .study_contestants import SETTINGS, Contestant, row_name

ASKED = 50
"""How many queries are answered where a cost is counted."""


def scores_of(table: str, name: str, contestant: Contestant, setting: str) -> Tensor:
    """The stored errors of all its trainings on the waves of a setting, ``(seed, task)``."""
    check_choice("setting", setting, SETTINGS)
    rows = read_table(table)
    return torch.stack([rows[row_name(name, seed), setting].scores for seed in contestant.seeds])


def mean_error(scores: Tensor) -> tuple[float, float]:
    """The mean of ``scores (seed, task)`` and half the width of its 95 % interval over tasks.

    Of each task the mean over the trainings counts: another draw would draw other waves.

    >>> mean, half = mean_error(torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    >>> mean, half
    (2.0, 0.0)
    """
    by_task = scores.double().mean(0)
    return float(by_task.mean()), half_width(by_task)


def typical_error(scores: Tensor) -> tuple[float, float, float]:
    """The median over tasks of ``scores (seed, task)``, each task's mean over the trainings, with its 95 % interval.

    The interval's ends are order statistics: the number of tasks below the true median is binomial, here by its
    normal approximation (Conover 1999, section 3.2).

    >>> typical_error(torch.arange(1.0, 102.0)[None])
    (51.0, 41.0, 61.0)
    """
    ordered = scores.double().mean(0).sort().values
    n = len(ordered)
    reach = 0.98 * n**0.5  # 1.96 standard deviations of a binomial number with p = 1/2
    low, high = max(math.floor((n + 1) / 2 - reach), 1), min(math.ceil((n + 1) / 2 + reach), n)
    return float(ordered.quantile(0.5)), float(ordered[low - 1]), float(ordered[high - 1])


def cost(contestant: Contestant, *, k_shot: int = 10) -> int:
    """How many multiplications and additions of matrices one task needs: to adapt, and to answer `ASKED` queries.

    Counted by `torch.utils.flop_counter`, so the same on every machine; what is not a product of matrices is left out.
    """
    learner, theta = contestant.ready(contestant.seeds[0])
    support = Batch(*torch.zeros(2, k_shot, 1, dtype=torch.float32))
    description = torch.ones(2, dtype=torch.float32)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        phi = learner.adapt(theta, support, description=description, steps=contestant.steps)
        learner.predict(phi, torch.zeros(ASKED, 1, dtype=torch.float32))
    return counter.get_total_flops()
