"""The outer loop, as a generator of progress."""

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.optim import Optimizer

from mapping_lib.checks import (
    check_choice,
    check_count,
    check_drawn,
    check_family,
    check_generator,
    check_number,
    check_params,
)
from mapping_lib.data_checks import blown_up, not_finite, not_scaled
from mapping_lib.learners import MetaLearner
from mapping_lib.params import copied
from mapping_lib.task import Params, Task, TaskFamily

OPTIMISERS: dict[str, Callable[[list[Tensor], float], Optimizer]] = {
    "adam": lambda params, beta: torch.optim.Adam(params, lr=beta, fused=True),
    "sgd": lambda params, beta: torch.optim.SGD(params, lr=beta),
}
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
}


class Progress(NamedTuple):
    """What one outer step gave: its number (from 1), the meta-loss before it, and theta after it.

    ``state`` is what going on needs besides: a copy of the optimiser's state and of the generator's, for
    ``meta_train(..., resume=progress)``. `mapping_lib.study.progress` keeps the whole in a file.
    """

    step: int
    meta_loss: float
    theta: Params
    state: dict[str, Any]


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
    optimiser: str | Callable[[list[Tensor], float], Optimizer] = "adam",
    schedule: str | Callable[[float], float] = "constant",
    resume: Progress | None = None,
) -> Iterator[Progress]:
    """Improve theta by descending the learner's direction on fresh tasks; yield after every outer step.

    ``beta`` > 0 is the outer step size. ``optimiser`` is "adam", "sgd" or a function (params, beta) -> a
    `torch.optim.Optimizer`; ``schedule`` is "constant", "cosine" (down to 0 over ``outer_steps``) or a function from
    the share of steps done, 0 to 1, to the factor of the optimiser's step size. Training begins at ``theta``, or at
    ``learner.init`` drawn from ``generator``; the caller's theta is left as it was. To stop, ask for no further item.

    ``resume`` goes on where that progress was, to the last digit: with its theta, optimiser and step number, and with
    ``generator`` put into the state it then had. ``outer_steps`` remains that of the whole run.

    Arguments are checked at the call; a value out of range is a ValueError. Raises MetaTrainingDiverged, with the last
    good theta, when the meta-loss or the direction is not finite; warns of data that ask to be scaled, when the first
    meta-loss is far above what they explain.

    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> from mapping_lib.learners.gradient import maml
    >>> from mapping_lib.networks import mlp
    >>> learner = maml(mlp((1, 40, 40, 1)), torch.nn.functional.mse_loss)
    >>> g = torch.Generator().manual_seed(0)
    >>> run = meta_train(learner, Sinusoids(), beta=0.001, outer_steps=5, generator=g)
    >>> progress = next(run)
    >>> again = meta_train(learner, Sinusoids(), beta=0.001, outer_steps=5, generator=g, resume=progress)
    >>> [p.step for p in again]
    [2, 3, 4, 5]
    """
    check_family("family", family)
    check_number("beta", beta, above=0)
    check_count("outer_steps", outer_steps, at_least=0)
    check_count("tasks_per_step", tasks_per_step, at_least=1)
    check_count("k_shot", k_shot, at_least=0)
    check_count("n_query", n_query, at_least=0)
    check_generator(generator)
    make_optimiser = _chosen("optimiser", optimiser, OPTIMISERS)
    decay = _chosen("schedule", schedule, SCHEDULES)
    check_number("schedule(0.0)", decay(0.0), at_least=0)
    if resume is not None:
        _check_resume(resume, theta, outer_steps)
        theta = resume.theta
    theta = copied(learner.init(generator=generator) if theta is None else check_params("theta", theta))
    if not theta:
        raise ValueError("theta is empty; allowed: a learner that has something to train")
    outer = _Outer(make_optimiser, theta, beta)
    if resume is not None:
        outer.put_back(resume.state["optimiser"])
        generator.set_state(resume.state["generator"])

    def steps() -> Iterator[Progress]:
        now = last_good = copied(theta)
        for step in range(resume.step + 1 if resume else 1, outer_steps + 1):
            tasks = family.sample(tasks_per_step, k_shot, n_query, generator=generator)
            check_drawn(tasks, groups=True)
            meta_loss, direction = learner.meta_grad(now, tasks)
            loss = float(meta_loss)
            if not (math.isfinite(loss) and _is_finite(direction)):
                raise MetaTrainingDiverged(_message(step, loss, beta, tasks), step, last_good)
            if step == 1 and (large := blown_up(loss, tasks)):
                warnings.warn(f"the meta-loss begins at {loss:.2g}. {large}", stacklevel=2)
            last_good = now
            done = (step - 1) / outer_steps
            outer.step(direction, check_number(f"schedule({done:.3g})", decay(done), at_least=0))
            now = copied(theta)
            yield Progress(step, loss, now, {"optimiser": outer.state(), "generator": generator.get_state()})

    return steps()


class _Outer:
    """The optimiser that moves ``theta``, in place."""

    def __init__(self, make: Callable[[list[Tensor], float], Optimizer], theta: Params, beta: float) -> None:
        self.theta, self.optimiser = theta, make(list(theta.values()), beta)
        if not isinstance(self.optimiser, Optimizer):
            kind = type(self.optimiser).__name__
            raise TypeError(f"optimiser gave a {kind}; allowed: a torch.optim.Optimizer of the params it is given")
        own = {id(p) for p in theta.values()}
        if any(id(p) not in own for group in self.optimiser.param_groups for p in group["params"]):
            raise ValueError("optimiser moves other tensors; allowed: those of params, the list it is given")
        self.rates = [group.get("lr") for group in self.optimiser.param_groups]

    def step(self, direction: Params, factor: float) -> None:
        """Take one step against ``direction``, with every step size times ``factor``."""
        for name, p in self.theta.items():
            p.grad = direction[name]
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            if rate is not None:
                group["lr"] = rate * factor
        self.optimiser.step()

    @torch.no_grad()
    def state(self) -> dict[str, Any]:
        """A copy of the optimiser's state that no later step changes."""
        return _copy_of(self.optimiser.state_dict())

    def put_back(self, state: dict[str, Any]) -> None:
        """Go on from a state that `state` gave; ValueError for that of another optimiser."""
        own, given = (s["param_groups"] for s in (self.optimiser.state_dict(), state))
        if [(set(g), g["params"]) for g in own] != [(set(g), list(g["params"])) for g in given]:
            raise ValueError("resume holds the state of another optimiser; allowed: a progress of the same settings")
        self.optimiser.load_state_dict(_copy_of(state))  # a copy: the optimiser works in place


def _copy_of(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copy_of(part) for key, part in value.items()}
    return [_copy_of(part) for part in value] if isinstance(value, list) else value


def _chosen(name: str, value: str | Callable, named: dict[str, Callable]) -> Callable:
    if callable(value):
        return value
    return named[check_choice(name, value, named, or_else="a function")]


def _check_resume(resume: Progress, theta: Params | None, outer_steps: int) -> None:
    if not isinstance(resume, Progress):
        raise TypeError(f"resume is a {type(resume).__name__}; allowed: a Progress, as meta_train yields it")
    if theta is not None:
        raise ValueError("theta and resume are both given; allowed: one of them, as resume has a theta")
    if resume.step >= outer_steps:
        raise ValueError(
            f"outer_steps is {outer_steps}, and resume is at step {resume.step}; allowed: more steps than that,"
            " as those before resume count"
        )


def _is_finite(direction: Params) -> bool:
    return math.isfinite(float(torch.stack([d.sum() for d in direction.values()]).sum()))


def _message(step: int, loss: float, beta: float, tasks: Task) -> str:
    advice = f"Try a beta below {beta:g}, a smaller alpha or fewer inner steps."
    if spoilt := not_finite(tasks):
        advice = f"It is the data: {spoilt}. Mend these examples, or leave them out."
    elif large := not_scaled(tasks):
        advice = f"{large}. If that is not enough: {advice[0].lower()}{advice[1:]}"
    return (
        f"meta-training stopped at outer step {step}: the meta-loss is {loss}, or its gradient is not finite."
        f" {advice} The last good theta is in .theta"
    )
