"""Implicit MAML for a ReLU network with mean squared error, all tasks at once, by `batched_mlp`: the same, sooner."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib import batched_mlp
from mapping_lib.task import Batch, Params, Task


@torch.no_grad()
def descend_all(
    theta: Params, support: Batch, *, strength: float, alpha: float, momentum: float, steps: int
) -> list[list[Tensor]]:
    """What `methods_implicit.descend` passes through, for every task of ``support``: each tensor ``(task, ...)``.

    >>> theta = {"0.weight": torch.zeros(1, 1), "0.bias": torch.zeros(1)}
    >>> support = Batch(torch.zeros(3, 2, 1), torch.ones(3, 2, 1))
    >>> path = descend_all(theta, support, strength=1.0, alpha=0.1, momentum=0.0, steps=1)
    >>> path[1][1].flatten()
    tensor([0.2000, 0.2000, 0.2000])
    """
    n_tasks = len(support.x)
    start = [p.detach().expand(n_tasks, *p.shape) for p in theta.values()]
    before, phi, path = start, start, [start]
    for _ in range(steps):
        if support.x.shape[1] == 0:  # no evidence: stay where you are
            path.append(start)
            continue
        gradient = batched_mlp.loss_gradient(phi, support)[0]
        moved = [
            torch.lerp(p, s, alpha * strength).sub_(g, alpha=alpha).add_(p - b, alpha=momentum)
            for p, s, g, b in zip(phi, start, gradient, before, strict=True)
        ]
        before, phi = phi, moved
        path.append(phi)
    return path


@torch.no_grad()
def implicit_gradient(
    theta: Params, tasks: Task, conjugate: Callable, *, strength: float, cg_steps: int, **inner
) -> tuple[Tensor, Params]:
    """The mean query loss at every task's phi, and its implicit gradient by theta, as `implicit_maml` gives them.

    ``conjugate`` is `methods_implicit.conjugate_gradients`; ``inner`` is what `descend_all` is told. With no step or
    no support phi is theta, and its gradient passes whole.
    """
    phi = descend_all(theta, tasks.support, strength=strength, **inner)[-1]
    slope, hidden, _ = batched_mlp.loss_gradient(phi, tasks.query)
    loss = (hidden[-1] - tasks.query.y).square().mean()
    slopes = _flat(slope)
    if inner["steps"] and tasks.support.x.shape[1]:
        _, hidden, deltas = batched_mlp.loss_gradient(phi, tasks.support)

        def product(v: Tensor) -> Tensor:
            moved = batched_mlp.hessian_product(phi, hidden, deltas, _parts(v, theta))
            return v + _flat(moved) / strength

        slopes = conjugate(product, slopes, cg_steps)
    return loss, dict(zip(theta, _parts(slopes.mean(0), theta), strict=True))


def _flat(parts: list[Tensor]) -> Tensor:
    """``(task, ...)`` each, as one ``(task, parameter)``."""
    return torch.cat([part.flatten(1) for part in parts], 1)


def _parts(vector: Tensor, theta: Params) -> list[Tensor]:
    """The inverse of `_flat`, in the order of theta."""
    pieces = vector.split([math.prod(p.shape) for p in theta.values()], -1)
    return [piece.unflatten(-1, p.shape) for piece, p in zip(pieces, theta.values(), strict=True)]
