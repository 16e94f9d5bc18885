"""Who is compared on the sine waves, on which tasks, and how: every method of the chapter meets the same waves.

A wave's phase is drawn from [0, π] + ``away`` · π, where the learners were trained with ``away`` = 0; with 1 every wave
is an upside-down wave of the family. `SETTINGS` say where, and at what K.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_number
from mapping_lib.evaluation import adaptation_path, query_errors
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.inner_loop import mean_squared_error
from mapping_lib.learners import MetaLearner
from mapping_lib.over_tasks import over_tasks
from mapping_lib.study import Table, Tolerance
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Params, Task

N_QUERY = 50
DIVERGED = 100.0
"""An error above this, or none, counts as this: no wave of the family has a mean square above 12.5."""

SETTINGS = {
    "K = 3": {"k_shot": 3, "away": 0.0},
    "K = 5": {"k_shot": 5, "away": 0.0},
    "K = 10": {"k_shot": 10, "away": 0.0},
    "K = 20": {"k_shot": 20, "away": 0.0},
    "upside down, K = 5": {"k_shot": 5, "away": 1.0},
    "upside down, K = 10": {"k_shot": 10, "away": 1.0},
}


class Contestant(NamedTuple):
    """One row of the chapter's table: ``ready(seed)`` gives the learner and its shipped theta.

    ``steps`` is what `adapt` is given: None where a learner takes none, or its own number. ``seeds`` are those of its
    trainings. For the table in words: its mapping as a ``type``, how many numbers ``changes`` say are new for a task,
    and what must be ``known`` beforehand.
    """

    ready: Callable[[int], tuple[MetaLearner, Params]]
    type: str
    changes: str
    known: str
    steps: int | None = None
    seeds: tuple[int, ...] = (0,)


SHARED = {
    "MAML": Contestant(lambda seed: shipped("maml", seed), "(θ, S) ↦ φ", "1,761", "tasks", 10, (0, 1, 2)),
    "in-context": Contestant(lambda seed: shipped("in_context"), "(S, x) ↦ y", "0", "tasks"),
    "joint training": Contestant(lambda seed: shipped("joint", seed), "(θ, S) ↦ φ", "1,761", "tasks", 10, (0, 1, 2)),
}
"""Who has stood in the chapters before."""


def waves(away: float = 0.0) -> Sinusoids:
    """The family of the sine waves, its phases moved ``away`` half turns: 0 is as in training, 1 is upside down.

    >>> [round(end, 2) for end in waves(1.0).phase]
    [3.14, 6.28]
    """
    away = check_number("away", away, at_least=0)
    return Sinusoids(phase=(away * math.pi, (1 + away) * math.pi))


def errors_on(learner: MetaLearner, theta: Params, tasks: Task, steps: int | None = None) -> Tensor:
    """The mean squared error of each task, ``(task,)``, after ``steps``, or as the learner adapts by itself."""
    with torch.no_grad():
        if steps is not None and learner.adapt_path:
            path = adaptation_path(learner, theta, tasks.support, tasks.description, steps)
            return query_errors(learner, {name: p[-1:] for name, p in path.items()}, tasks.query)[0]

        def one(support, query, description):
            phi = learner.adapt(theta, support, description=description, steps=steps)
            return mean_squared_error(learner.predict(phi, query.x), query.y)

        return over_tasks(one, tasks.support, tasks.query, tasks.description, at_once=20)


def table_of(contestants: dict[str, Contestant], *, n: int = 600, **others) -> Table:
    """Their errors in all of `SETTINGS`: a row for each seed of each, called "name, seed 1" for another than 0."""
    rows = {row_name(name, seed): (one, seed) for name, one in contestants.items() for seed in one.seeds}

    def score(method: str, setting: str, n: int, generator: Generator) -> Tensor:
        one, seed = rows[method]
        family = waves(SETTINGS[setting]["away"])
        tasks = family.sample(n, SETTINGS[setting]["k_shot"], N_QUERY, generator=generator)
        return errors_on(*one.ready(seed), tasks, one.steps).nan_to_num(DIVERGED).clamp(max=DIVERGED)

    settings = {"fixed": {"n_query": N_QUERY, "at most": DIVERGED}, "n": n, "tolerance": Tolerance(1e-3), **others}
    return Table("mean squared error", tuple(rows), SETTINGS, score, **settings)


def row_name(name: str, seed: int) -> str:
    """What the row of one training is called in the stored table."""
    return f"{name}, seed {seed}" if seed else name
