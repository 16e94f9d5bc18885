"""The typical errors that the explorer of chapter 4g draws: medians over waves, by K and how far outside they lie."""

import math
from functools import cache
from pathlib import Path

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_choice
from mapping_lib.study.theta import load_theta, save_numbers
from mapping_lib.task import Task

from . import study_fewer_numbers as fewer
from . import study_neural_process as processes
from . import study_prior_fitted as priors
from .study_contestants import N_QUERY, SHARED, errors_on, waves
from .study_test_time import ALPHA, errors_by_steps

FILE = Path(__file__).with_name("data") / "after_typical.npz"
SHOTS = (1, 2, 3, 5, 7, 10, 15, 20)
AWAY = (0.0, 0.25, 0.5, 0.75, 1.0)
MOST_STEPS = 10
N, SEED = 100, 1971
GONE = 1e3
"""A method whose error is not below this has diverged: no wave has a variance above 12.5."""

SETTINGS = {"K": [*SHOTS], "away": [*AWAY], "steps": MOST_STEPS, "alpha": ALPHA, "n": N, "seed": SEED}
"""All that the stored numbers hang on; they are stored with it."""


def drawn(away: float, k_shot: int, n: int = N) -> Task:
    """The waves of one setting: the same wherever K and ``away`` are, but for their points and the turn."""
    return waves(away).sample(n, k_shot, N_QUERY, generator=Generator().manual_seed(SEED))


CONTESTANTS = {
    "in-context": SHARED["in-context"],
    **priors.CONTESTANTS,
    **processes.CONTESTANTS,
    **{name: fewer.CONTESTANTS[name] for name in ("context parameters", "LoRA, rank 1")},
    "MAML": SHARED["MAML"],
}
"""Who is measured as in the chapter's table, beside test-time steps, whose number is the reader's to choose."""

METHODS = ("test-time steps", *CONTESTANTS)


def errors(method: str, tasks: Task) -> Tensor:
    """The error of each task, ``(task,)``, of test-time steps after 0 ... `MOST_STEPS` of them ``(step, task)``."""
    if check_choice("method", method, METHODS) in CONTESTANTS:
        one = CONTESTANTS[method]
        return errors_on(*one.ready(0), tasks, one.steps)
    after = errors_by_steps(method, ALPHA, tasks, tuple(range(1, MOST_STEPS + 1)))
    return torch.cat([errors("in-context", tasks)[None], after])


def measured(method: str, away: float, k_shot: int, n: int = N) -> Tensor:
    """The median of a method's errors over ``n`` waves: one number, or one by steps; `GONE` where half diverge."""
    each = errors(method, drawn(away, k_shot, n)).nan_to_num(nan=math.inf)
    return each.quantile(0.5, -1).nan_to_num(nan=GONE).clamp_max(GONE)  # halfway between two infinite ones is nan


def save_typical() -> Path:
    """Measure all methods in all settings and write it, with the settings; 5 minutes on one core."""
    numbers = {}
    for method in METHODS:
        rows = [torch.stack([measured(method, away, k) for k in SHOTS], -1) for away in AWAY]
        numbers[method] = torch.stack(rows, -2)
    return save_numbers(FILE, numbers, SETTINGS)


@cache
def read_typical() -> dict[str, Tensor]:
    """The medians of each method, ``(away, K)``, those of test-time steps ``(step, away, K)``.

    >>> {name: [*median.shape] for name, median in read_typical().items()}["test-time steps"]
    [11, 5, 8]
    """
    return load_theta(FILE)
