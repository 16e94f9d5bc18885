"""Meta-train many settings of alpha and beta at once: one batched run in place of one run for each."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.func import vmap

from mapping_lib import batched_mlp
from mapping_lib.checks import check_choice, check_count, check_generator
from mapping_lib.meta_training import SCHEDULES
from mapping_lib.networks import functional, mlp
from mapping_lib.task import Params, Task, TaskFamily

FIRST, SECOND, TINY = 0.9, 0.999, 1e-8
"""Adam's decay rates and the number that keeps it from dividing by zero, as in `torch.optim.Adam`."""

SETTINGS_AT_ONCE = 13
"""How many settings are judged in one go: more would not fit the processor's cache."""


class ManyProgress(NamedTuple):
    """What one outer step gave: its number, the meta-losses ``(setting,)``, and theta, led by ``setting``.

    ``alive (setting,)`` says whose meta-loss and direction were finite so far; the theta of the others is the
    last whose meta-loss was.
    """

    step: int
    meta_loss: Tensor
    theta: Params
    alive: Tensor


class _Adam(NamedTuple):
    """Adam's two running means, led by ``setting``."""

    mean: Params
    square: Params


def meta_train_settings(
    sizes: Sequence[int],
    family: TaskFamily,
    *,
    alpha: Tensor,
    beta: Tensor,
    steps: int,
    outer_steps: int,
    generator: Generator,
    tasks_per_step: int = 5,
    k_shot: int = 10,
    n_query: int = 10,
    schedule: str = "constant",
) -> Iterator[ManyProgress]:
    """MAML by Adam with every ``alpha[i], beta[i] (setting,)``, all from one theta and on the same tasks.

    Setting i goes the way of `meta_train` with ``maml(mlp(sizes), mse, alpha=alpha[i], steps=steps)``, ``beta[i]``
    and a generator of the same seed (tested). A setting that diverges stops; the others go on. Raises
    ValueError for settings that are no two equal lists of positive numbers, and for counts out of range.

    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> settings = {"alpha": torch.tensor([0.01, 0.1, 0.1]), "beta": torch.tensor([0.01, 0.01, 0.1])}
    >>> g = torch.Generator().manual_seed(0)
    >>> *_, last = meta_train_settings((1, 8, 1), Sinusoids(), **settings, steps=1, outer_steps=2, generator=g)
    >>> last.step, last.theta["0.weight"].shape
    (2, torch.Size([3, 8, 1]))
    """
    _check_settings(alpha, beta)
    check_count("steps", steps, at_least=0)
    check_count("outer_steps", outer_steps, at_least=1)
    decay = SCHEDULES[check_choice("schedule", schedule, SCHEDULES)]
    start = functional(mlp(sizes).to(alpha.dtype)).init(generator=check_generator(generator))

    def run() -> Iterator[ManyProgress]:
        theta = last_good = {name: p.expand(len(alpha), *p.shape) for name, p in start.items()}
        adam = _Adam(*({name: torch.zeros_like(p) for name, p in theta.items()} for _ in range(2)))
        alive = torch.ones(len(alpha), dtype=torch.bool)
        for step in range(1, outer_steps + 1):
            tasks = family.sample(tasks_per_step, k_shot, n_query, generator=generator)
            loss, direction = meta_gradients(theta, alpha, tasks, steps)
            finite = torch.stack([d.flatten(1).isfinite().all(1) for d in direction.values()]).all(0)
            alive = alive & loss.isfinite() & finite
            last_good = _where(alive, theta, last_good)
            adam, moved = _adam_step(adam, theta, direction, beta * decay((step - 1) / outer_steps), step)
            theta = _where(alive, moved, last_good)
            yield ManyProgress(step, loss, theta, alive)

    return run()


@torch.no_grad()
def meta_gradients(theta: Params, alpha: Tensor, tasks: Task, steps: int) -> tuple[Tensor, Params]:
    """The meta-loss ``(setting,)`` and its gradient by theta, for every setting on the same tasks.

    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> tasks = Sinusoids().sample(4, 10, 10, generator=torch.Generator().manual_seed(0))
    >>> theta = {"0.weight": torch.zeros(3, 1, 1), "0.bias": torch.zeros(3, 1)}
    >>> meta_gradients(theta, torch.tensor([0.0, 0.1, 0.2]), tasks, 1)[1]["0.bias"].shape
    torch.Size([3, 1])
    """

    def one_setting(params: list[Tensor], alpha: Tensor) -> tuple[Tensor, list[Tensor]]:
        slope = batched_mlp.meta_gradient(params, [alpha] * len(params), tasks.support, tasks.query, steps=steps)
        return slope.loss, slope.params

    loss, direction = vmap(one_setting)(list(theta.values()), alpha)
    return loss, dict(zip(theta, direction, strict=True))


@torch.no_grad()
def query_errors_of_settings(theta: Params, alpha: Tensor, tasks: Task, steps: int) -> Tensor:
    """The query error ``(setting, task, steps + 1)`` after 0 ... ``steps`` inner steps.

    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> tasks = Sinusoids().sample(4, 10, 10, generator=torch.Generator().manual_seed(0))
    >>> theta = {"0.weight": torch.zeros(3, 1, 1), "0.bias": torch.zeros(3, 1)}
    >>> query_errors_of_settings(theta, torch.tensor([0.0, 0.1, 0.2]), tasks, 5).shape
    torch.Size([3, 4, 6])
    """

    def one_setting(params: list[Tensor], alpha: Tensor) -> Tensor:
        path = batched_mlp.adapt_path(params, [alpha] * len(params), tasks.support, steps)
        missed = [batched_mlp.forward(phi, tasks.query.x)[-1] - tasks.query.y for phi in path]
        return torch.stack([each.square().mean((-2, -1)) for each in missed], -1)

    return vmap(one_setting, chunk_size=SETTINGS_AT_ONCE)(list(theta.values()), alpha)


def _adam_step(adam: _Adam, theta: Params, direction: Params, beta: Tensor, step: int) -> tuple[_Adam, Params]:
    """Kingma & Ba 2015, algorithm 1, with a step size for each setting; a direction that is no number moves nothing."""
    mean, square, moved = {}, {}, {}
    for name, p in theta.items():
        slope = direction[name].nan_to_num(0.0, 0.0, 0.0)
        mean[name] = adam.mean[name].lerp(slope, 1 - FIRST)
        square[name] = (SECOND * adam.square[name]).addcmul(slope, slope, value=1 - SECOND)
        size = (beta / (1 - FIRST**step)).view(-1, *[1] * (p.dim() - 1))
        spread = square[name].sqrt() / math.sqrt(1 - SECOND**step) + TINY
        moved[name] = p - size * mean[name] / spread
    return _Adam(mean, square), moved


def _where(chosen: Tensor, a: Params, b: Params) -> Params:
    """Take the settings that are ``chosen (setting,)`` from ``a``, the others from ``b``."""
    return {name: torch.where(chosen.view(-1, *[1] * (p.dim() - 1)), p, b[name]) for name, p in a.items()}


def _check_settings(alpha: Tensor, beta: Tensor) -> None:
    for name, values in (("alpha", alpha), ("beta", beta)):
        if values.ndim != 1 or not values.is_floating_point() or values.shape != alpha.shape or not len(values):
            what = f"shape {tuple(values.shape)} and dtype {values.dtype}"
            raise ValueError(f"{name} has {what}; allowed: one number a setting, (setting,), as many as alpha has")
        lowest = float(values.min())
        if not (values.isfinite().all() and (lowest > 0 or (name == "alpha" and lowest == 0))):
            raise ValueError(f"{name} holds {lowest:g} as its lowest; allowed: finite numbers above 0")
