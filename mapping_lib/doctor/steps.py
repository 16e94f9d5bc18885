"""The inner steps of a learner, one by one: it is asked for fewer, or they are rebuilt from where they end."""

from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.params import copied, difference, dot, flat, norm
from mapping_lib.task import Params, Task

Alphas = Tensor
"""Step sizes, (step, parameter): one row for every inner step, one column for every tensor that moves."""

MOST = 20
"""The largest number of inner steps that is looked for."""

FEW = 5
"""The same for steps that have sizes of their own."""


def fewer_steps(adapt: Callable[[Task, int], Params], task: Task, phi: Params) -> list[Params] | None:
    """phi after 1, 2, ... steps up to ``phi``; None where the learner decides the number itself."""
    path = []
    for k in range(1, MOST + 1):
        path.append(adapt(task, k))
        if same(path[-1], phi):
            return path
        if len(path) == 2 and same(path[0], path[1]):
            return None
    return None


def rebuilt_steps(slope: Callable[[Params], Params], theta: Params, phi: Params) -> Alphas | None:
    """The sizes of the inner steps down ``slope`` that lead from theta to phi; None where none are found.

    Looked for are steps of one size, then of a size for each step, then of a size for each step and parameter (MAML++).
    """
    start = slope(theta)
    names, numbers = len(start), sum(g.numel() for g in start.values())
    length = norm(difference(phi, theta))
    for most, each_step, each_name in ((MOST, False, False), (FEW, True, False), (FEW, True, True)):
        for k in range(1, most + 1):
            shape = (k if each_step else 1, names if each_name else 1)
            if 2 * shape[0] * shape[1] > numbers:  # so many sizes fit any way
                break
            equal = torch.full(shape, float(length / (k * norm(start)).clamp_min(1e-300)), dtype=length.dtype)
            # equal sizes are a saddle: begin beside it
            for tilt in (0.3, -0.3, 0.6) if each_step and k > 1 else (0.0,):
                first = equal * torch.linspace(1 + tilt, 1 - tilt, shape[0], dtype=length.dtype)[:, None]
                found = _fitted(slope, theta, phi, first, (k, names))
                if found is not None:
                    return found.expand(k, names)
    return None


def _fitted(
    slope: Callable[[Params], Params], theta: Params, phi: Params, alphas: Alphas, shape: tuple[int, int]
) -> Alphas | None:
    """The alphas, expanded to ``shape``, whose steps end at phi, by Gauss and Newton's method with differences."""
    length = norm(difference(phi, theta))
    for _ in range(15):
        path, gradients = [theta], []
        for sizes in alphas.expand(shape):
            gradients.append(slope(path[-1]))
            path.append(_step(path[-1], sizes, gradients[-1]))
        miss = flat(difference(path[-1], phi))
        if not bool(miss.norm() < 10 * length):
            return None
        if bool(miss.norm() <= 1e-13 * length):
            break
        columns = []
        for i in range(alphas.numel()):
            nudge = torch.zeros(alphas.numel(), dtype=alphas.dtype)
            nudge[i] = 1e-6 * float(alphas.abs().max())
            at = i // alphas.shape[1]  # the first step that has another size: the way up to it is the same
            first, *others = (alphas + nudge.view_as(alphas)).expand(shape)[at:]
            end = _step(path[at], first, gradients[at])
            for sizes in others:
                end = _step(end, sizes, slope(end))
            columns.append(flat(difference(end, path[-1])) / nudge[i])
        jacobian = torch.stack(columns, 1)
        change = torch.linalg.lstsq(jacobian, miss, driver="gelsd").solution
        if bool((jacobian @ change).norm() <= 1e-6 * miss.norm()):  # no nearer, and not there
            return None
        alphas = alphas - change.view_as(alphas)
    end = descend(slope, theta, alphas.expand(shape))[-1]
    return alphas if bool(norm(difference(end, phi)) <= 1e-9 * length) else None


def descend(slope: Callable[[Params], Params], theta: Params, alphas: Alphas) -> list[Params]:
    """phi after each of some steps of these sizes; what ``slope`` does not name stays as it is.

    >>> one_size = torch.full((2, 1), 0.5)
    >>> [float(phi["w"]) for phi in descend(lambda phi: {"w": phi["w"]}, {"w": torch.tensor(4.0)}, one_size)]
    [2.0, 1.0]
    """
    path, phi = [], theta
    for sizes in alphas:
        phi = _step(phi, sizes, slope(phi))
        path.append(phi)
    return path


def _step(phi: Params, sizes: Tensor, gradient: Params) -> Params:
    return phi | {name: phi[name] - size * g for size, (name, g) in zip(sizes, gradient.items(), strict=True)}


def gradient(function: Callable[[Params], Tensor], params: Params) -> Params:
    """The gradient of a function at params; zero for what it does not read."""
    leaves = {name: p.requires_grad_() for name, p in copied(params).items()}
    slopes = torch.autograd.grad(function(leaves), list(leaves.values()), allow_unused=True)
    return {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(leaves.items(), slopes, strict=True)}


def slope_where_it_moves(error: Callable[[Params], Tensor], theta: Params, phi: Params) -> Callable[[Params], Params]:
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


def same(a: Params, b: Params, tolerance: float = 1e-12) -> bool:
    """Equal names, and values equal but for rounding."""
    return a.keys() == b.keys() and bool(norm(difference(a, b)) <= tolerance * norm(b))
