"""How test-time training is measured: 3b's transformer with a few steps, against as many steps of other kinds.

Everything has the same grid of alpha x steps and the same validation tasks (`tune` prints them): 40 waves each with
K = 5 and 10, inside the family and upside down, of a seed of their own. Chosen for each number of steps is the alpha
with the least geometric mean of the four errors, so that the small errors inside count as much as the large ones
outside; who tunes so must know that upside-down waves may come. More steps were better, for all; five are taken, for
their cost, and MAML has twenty as well. No theta is trained: the transformer is chapter 3b's one, MAML's chapter 3's.
"""

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Generator, Tensor, nn

from mapping_lib.learners import MetaLearner
from mapping_lib.over_tasks import over_tasks
from mapping_lib.set_networks import ContextTransformer
from mapping_lib.study import Recipe, Table, Tolerance
from mapping_lib.study.sinusoids import LEARNERS, shipped
from mapping_lib.task import Params, Task

from .methods_test_time import test_time
from .study_contestants import N_QUERY, Contestant, errors_on, table_of, waves

ALPHAS, STEPS = (0.001, 0.003, 0.01, 0.02), (1, 2, 5, 10, 20)
"""What was tried for each method."""

VALIDATION = {"seed": 1904, "n": 40, "shots": (5, 10), "away": (0.0, 1.0)}


def by_steps(alpha: float, steps: int, *, leave_one_out: bool = True) -> tuple[MetaLearner, Params]:
    """Chapter 3b's transformer, as it is shipped, with steps at test time.

    >>> learner, theta = by_steps(0.01, 5)
    >>> learner.claims, sum(p.numel() for p in theta.values())
    ('exact', 80977)
    """
    transformer = ContextTransformer(width=48, heads=4, layers=4)
    settings = {"alpha": alpha, "steps": steps, "leave_one_out": leave_one_out}
    return test_time(transformer, nn.functional.mse_loss, **settings), shipped("in_context")[1]


def maml_by_steps(alpha: float, steps: int, seed: int = 0) -> tuple[MetaLearner, Params]:
    """Chapter 3's MAML with other steps at test time than its recipe's."""
    return LEARNERS["maml"].learner(alpha=alpha, steps=steps), shipped("maml", seed)[1]


WAYS = {
    "test-time steps": by_steps,
    "plain steps": partial(by_steps, leave_one_out=False),
    "MAML": maml_by_steps,
}


def validation_tasks() -> dict[tuple[float, int], Task]:
    """The waves that settings are chosen on, by (away, K)."""
    g = Generator().manual_seed(VALIDATION["seed"])
    pairs = [(away, k) for away in VALIDATION["away"] for k in VALIDATION["shots"]]
    return {(away, k): waves(away).sample(VALIDATION["n"], k, N_QUERY, generator=g) for away, k in pairs}


def errors_by_steps(way: str, alpha: float, tasks: Task, steps: tuple[int, ...] = STEPS) -> Tensor:
    """The error of each task after each number of ``steps``, ``(number, task)``; every step is taken once."""
    learner, theta = WAYS[way](alpha, 1)

    def one(support, query) -> Tensor:
        phi, errors, done = theta, [], 0
        for m in steps:
            moved = {name: phi[name] for name in theta}
            phi, done = learner.adapt(moved, support, steps=m - done), m
            errors.append((learner.predict(phi, query.x) - query.y).square().mean())
        return torch.stack(errors)

    with torch.no_grad():
        return over_tasks(one, tasks.support, tasks.query, at_once=20).T


def tune(ways: tuple[str, ...] = tuple(WAYS)) -> Iterator[str]:
    """What each method makes of the validation tasks, a line for each alpha and number of steps."""
    tasks = validation_tasks()
    for way in ways:
        for alpha in ALPHAS:
            columns = [errors_by_steps(way, alpha, drawn).mean(1).tolist() for drawn in tasks.values()]
            for m, errors in zip(STEPS, zip(*columns, strict=True), strict=True):
                mean = math.exp(sum(math.log(e) if math.isfinite(e) else math.inf for e in errors) / len(errors))
                yield f"{way:16} alpha {alpha:5} steps {m:2}: {mean:8.4f}  " + " ".join(f"{e:8.4f}" for e in errors)


ALPHA, M = 0.003, 5
"""Of `tune`: the best of the grid for five steps, of both kinds."""

MAML_ALPHA = 0.01
"""Of `tune`: the best for five steps and for twenty, and what MAML was trained with."""

CONTESTANTS = {
    "test-time steps": Contestant(lambda seed: by_steps(ALPHA, M), "(θ, S) ↦ φ", "80,977", "tasks", M),
    "plain steps": Contestant(lambda seed: by_steps(ALPHA, M, leave_one_out=False), "(θ, S) ↦ φ", "80,977", "tasks", M),
}
OUTSIDE = {
    "in-context": lambda: shipped("in_context"),
    "test-time steps": partial(by_steps, ALPHA, M),
    "plain steps": partial(by_steps, ALPHA, M, leave_one_out=False),
    "MAML": partial(maml_by_steps, MAML_ALPHA, M),
    "MAML, 20 steps": partial(maml_by_steps, MAML_ALPHA, 20),
}
"""Who is led out of the family, step by step; MAML without a number takes as many steps as the others."""

HOW_FAR = {f"away {away:g}": {"k_shot": 5, "away": away} for away in (0.0, 0.25, 0.5, 0.75, 1.0)}


def outside_score(method: str, setting: str, n: int, generator: Generator) -> Tensor:
    """The errors of waves that are some way outside of the family."""
    tasks = waves(HOW_FAR[setting]["away"]).sample(n, HOW_FAR[setting]["k_shot"], N_QUERY, generator=generator)
    return errors_on(*OUTSIDE[method](), tasks)


RECIPES: dict[str, Recipe] = {}
TABLES = {
    "after_test_time": table_of(CONTESTANTS),
    "after_how_far": Table(
        "mean squared error",
        tuple(OUTSIDE),
        HOW_FAR,
        outside_score,
        **{"fixed": {"n_query": N_QUERY}, "tolerance": Tolerance(1e-3)},
        rough={"MAML, 20 steps": Tolerance(1e-3, "most scores")},  # twenty steps magnify rounding on a few waves
    ),
}
