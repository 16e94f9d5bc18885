"""The inner steps of a learner, one by one: it is asked for fewer, or plain steps are rebuilt from where they end."""

from collections.abc import Callable

import torch

from mapping_lib.params import copied, difference, dot, norm
from mapping_lib.task import Params, Task

MOST = 20
"""The largest number of inner steps that is looked for."""


def fewer_steps(adapt: Callable[[Task, int], Params], task: Task, phi: Params) -> list[Params] | None:
    """phi after 1, 2, ... steps up to ``phi``; None where the learner decides the number itself."""
    path = []
    for k in range(1, MOST + 1):
        path.append(adapt(task, k))
        if _close(path[-1], phi, 1e-12):
            return path
        if len(path) == 2 and _close(path[0], path[1], 1e-12):
            return None
    return None


def plain_steps(slope: Callable[[Params], Params], theta: Params, phi: Params) -> tuple[int, float] | None:
    """The number and the size of the plain steps down ``slope`` that lead from theta to phi; None where none do."""
    way, start = difference(phi, theta), slope(theta)
    length = norm(way)
    for k in range(1, MOST + 1):
        alpha, before = float(length / (k * norm(start)).clamp_min(1e-300)), None
        for _ in range(10):  # the secant method, on how far the end lies along the way
            end = descend(slope, theta, k, alpha)[-1]
            miss = float(dot(difference(end, phi), way) / length**2)
            if _close(end, phi, 1e-13, length):
                break
            if not abs(miss) < 10 or (before and before[1] == miss):
                break
            change = miss if before is None else miss * (alpha - before[0]) / (miss - before[1])
            before, alpha = (alpha, miss), alpha * (1 - miss) if before is None else alpha - change
        if _close(end, phi, 1e-9, length):
            return k, alpha
    return None


def descend(slope: Callable[[Params], Params], theta: Params, steps: int, alpha: float) -> list[Params]:
    """phi after each of some plain steps; what ``slope`` does not name stays as it is.

    >>> [float(phi["w"]) for phi in descend(lambda phi: {"w": phi["w"]}, {"w": torch.tensor(4.0)}, 2, 0.5)]
    [2.0, 1.0]
    """
    path, phi = [], theta
    for _ in range(steps):
        phi = phi | {name: phi[name] - alpha * g for name, g in slope(phi).items()}
        path.append(phi)
    return path


def gradient(function: Callable[[Params], torch.Tensor], params: Params) -> Params:
    """The gradient of a function at params; zero for what it does not read."""
    leaves = {name: p.requires_grad_() for name, p in copied(params).items()}
    slopes = torch.autograd.grad(function(leaves), list(leaves.values()), allow_unused=True)
    return {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(leaves.items(), slopes, strict=True)}


def slope_where_it_moves(
    error: Callable[[Params], torch.Tensor], theta: Params, phi: Params
) -> Callable[[Params], Params]:
    """The gradient of an error, in the parameters that the way from theta to phi moves (where none, in all)."""
    moved = [name for name in theta if not torch.equal(theta[name], phi[name])] or list(theta)

    def slope(params: Params) -> Params:
        g = gradient(error, params)
        return {name: g[name] for name in moved}

    return slope


def apart(a: Params, b: Params) -> float:
    """How far a lies from the line through b, relative to its length; over the names of a."""
    share = dot(a, b) / dot(a, a).clamp_min(1e-300)
    return float(
        norm({name: share * p - b[name] for name, p in a.items()}) / norm({n: b[n] for n in a}).clamp_min(1e-300)
    )


def _close(a: Params, b: Params, tolerance: float, length: torch.Tensor | None = None) -> bool:
    return bool(norm(difference(a, b)) <= tolerance * (norm(b) if length is None else length))
