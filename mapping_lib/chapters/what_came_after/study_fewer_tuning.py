"""How the step sizes of "fewer numbers" were chosen: the same trials for every part, judged on validation waves.

Every part is trained for `OUTER_STEPS` outer steps with every (alpha, m) of `GRID`, and judged at the best of the
steps in `JUDGED`, on waves of a seed that no table uses. What is best stands in `study_fewer_numbers.TUNED`; after the
whole training, so does the number of steps that is best then.
"""

from collections.abc import Iterator
from itertools import product

import torch

from mapping_lib.evaluation import adaptation_path, query_errors
from mapping_lib.learners import MetaLearner
from mapping_lib.meta_training import MetaTrainingDiverged
from mapping_lib.study.training import last
from mapping_lib.task import Params

from .study_contestants import N_QUERY, waves
from .study_fewer_numbers import PARTS, training

GRID = tuple(product((0.01, 0.03, 0.1, 0.3, 1.0), (1, 2)))
"""The step sizes alpha and the steps m of training that are tried."""

JUDGED, OUTER_STEPS, SEED, N_TASKS = (1, 2, 5, 10), 300, 1_000_003, 100


def validate(learner: MetaLearner, theta: Params) -> dict[int, float]:
    """The mean error on validation waves, of K = 5 and K = 10 alike, by the steps taken.

    >>> learner = training("head only", 0.01, 1).learner()
    >>> list(validate(learner, learner.init(generator=torch.Generator().manual_seed(0))))
    [1, 2, 5, 10]
    """
    scores = []
    for k_shot in (5, 10):
        generator = torch.Generator().manual_seed(SEED + k_shot)
        tasks = waves().sample(N_TASKS, k_shot, N_QUERY, generator=generator)
        path = adaptation_path(learner, theta, tasks.support, tasks.description, max(JUDGED))
        with torch.no_grad():
            scores.append(query_errors(learner, {name: p[[*JUDGED]] for name, p in path.items()}, tasks.query))
    return dict(zip(JUDGED, torch.cat(scores, 1).mean(1).tolist(), strict=True))


def tried(part: str) -> Iterator[tuple[float, float, int, int]]:
    """For every choice the error, and the choice: (error, alpha, steps in training, steps afterwards)."""
    for alpha, steps in GRID:
        trial = training(part, alpha, steps, OUTER_STEPS)._replace(keep=last)
        try:
            errors = validate(trial.learner(), trial.theta(0))
        except MetaTrainingDiverged:
            errors = {1: float("inf")}
        best = min(errors, key=errors.get)
        yield errors[best], alpha, steps, best


def tune() -> Iterator[str]:
    """Every choice with its error, a line each."""
    for part in PARTS:
        for error, alpha, steps, after in tried(part):
            yield f"{part}: alpha {alpha}, {steps} in training: {error:.3f} after {after}"
