"""Floor 4: the outer loop, as a generator of progress."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Generator

from mapping_lib.checks import check_choice, check_count, check_generator, check_number
from mapping_lib.learners import MetaLearner
from mapping_lib.params import copied
from mapping_lib.task import Params, TaskFamily

OPTIMISERS = {
    "adam": lambda params, beta: torch.optim.Adam(params, lr=beta, fused=True),
    "sgd": lambda params, beta: torch.optim.SGD(params, lr=beta),
}
SCHEDULES = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
}


class Progress(NamedTuple):
    """What one outer step gave: its number (from 1), the meta-loss before it, and theta after it."""

    step: int
    meta_loss: float
    theta: Params


class MetaTrainingDiverged(ArithmeticError):
    """Meta-training met a meta-loss or a direction that is not finite, and stopped.

    ``step`` is the outer step it happened at; ``theta`` holds the last meta-parameters whose meta-loss
    was finite.
    """

    def __init__(self, message: str, step: int, theta: Params) -> None:
        super().__init__(message)
        self.step = step
        self.theta = theta


def meta_train(
    learner: MetaLearner,
    family: TaskFamily,
    *,
    beta: float,
    outer_steps: int,
    generator: Generator,
    tasks_per_step: int = 25,
    k_shot: int = 10,
    n_query: int = 10,
    theta: Params | None = None,
    optimiser: str = "adam",
    schedule: str = "constant",
) -> Iterator[Progress]:
    """Improve theta by descending the learner's direction on fresh tasks; yield after every outer step.

    ``beta`` > 0 is the outer step size, which a ``schedule`` of "cosine" brings down to 0 over
    ``outer_steps``; ``optimiser`` is "adam" or "sgd". Training begins at ``theta``, or at
    ``learner.init`` drawn from ``generator``; the caller's theta is left as it was. To stop, ask for no
    further item. Arguments are checked at the call; a value out of range is a ValueError. Raises
    MetaTrainingDiverged, with the last good theta, when the meta-loss or the direction is not finite.

    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> from mapping_lib.learners.gradient import maml
    >>> from mapping_lib.networks import mlp
    >>> learner = maml(mlp((1, 40, 40, 1)), torch.nn.functional.mse_loss)
    >>> g = torch.Generator().manual_seed(0)
    >>> [p.step for p in meta_train(learner, Sinusoids(), beta=0.001, outer_steps=3, generator=g)]
    [1, 2, 3]
    """
    check_number("beta", beta, above=0)
    check_count("outer_steps", outer_steps, at_least=0)
    check_count("tasks_per_step", tasks_per_step, at_least=1)
    check_count("k_shot", k_shot, at_least=0)
    check_count("n_query", n_query, at_least=0)
    check_generator(generator)
    make_optimiser = OPTIMISERS[check_choice("optimiser", optimiser, OPTIMISERS)]
    decay = SCHEDULES[check_choice("schedule", schedule, SCHEDULES)]
    theta = learner.init(generator=generator) if theta is None else theta
    theta = copied(theta)

    def steps() -> Iterator[Progress]:
        outer = make_optimiser(list(theta.values()), beta)
        now = last_good = copied(theta)
        for step in range(1, outer_steps + 1):
            tasks = family.sample(tasks_per_step, k_shot, n_query, generator=generator)
            meta_loss, direction = learner.meta_grad(now, tasks)
            loss = float(meta_loss)
            if not (math.isfinite(loss) and _is_finite(direction)):
                raise MetaTrainingDiverged(_message(step, loss, beta), step, last_good)
            last_good = now
            for name, p in theta.items():
                p.grad = direction[name]
            outer.param_groups[0]["lr"] = beta * decay((step - 1) / outer_steps)
            outer.step()
            now = copied(theta)
            yield Progress(step, loss, now)

    return steps()


def _is_finite(direction: Params) -> bool:
    return math.isfinite(float(torch.stack([d.sum() for d in direction.values()]).sum()))


def _message(step: int, loss: float, beta: float) -> str:
    return (
        f"meta-training stopped at outer step {step}: the meta-loss is {loss}, or its gradient is not finite."
        f" Try a beta below {beta:g}, a smaller alpha or fewer inner steps. The last good theta is in .theta"
    )
