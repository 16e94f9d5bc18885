"""The Hessian of a loss, asked one direction at a time.

A gradient step of size alpha on a quadratic with largest curvature lambda_max shrinks the error only
while alpha < 2 / lambda_max. That is the number to hold an inner step size against.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_count, check_generator
from mapping_lib.inner_loop import Objective
from mapping_lib.params import dot, norm
from mapping_lib.task import Params


def hessian_vector_product(objective: Objective, params: Params, v: Params) -> Params:
    """H v, where H is the Hessian of ``objective`` at ``params``: the gradient of (gradient . v).

    >>> bowl = lambda p: 0.5 * (p["w"] * torch.tensor([1.0, 10.0]) * p["w"]).sum()
    >>> hessian_vector_product(bowl, {"w": torch.zeros(2)}, {"w": torch.ones(2)})
    {'w': tensor([ 1., 10.])}
    """
    return torch.func.grad(lambda params: dot(torch.func.grad(objective)(params), v))(params)


def largest_curvature(objective: Objective, params: Params, *, generator: Generator, iterations: int = 50) -> Tensor:
    """lambda_max, the largest eigenvalue of the Hessian of ``objective`` at ``params``.

    >>> bowl = lambda p: 0.5 * (p["w"] * torch.tensor([1.0, 10.0]) * p["w"]).sum()
    >>> float(largest_curvature(bowl, {"w": torch.zeros(2)}, generator=torch.Generator().manual_seed(0)))
    10.0
    """
    check_generator(generator)
    start = {name: torch.randn(p.shape, generator=generator, dtype=p.dtype).to(p.device) for name, p in params.items()}
    product = partial(hessian_vector_product, objective, params)
    return largest_eigenvalue(product, start, iterations=iterations)


def largest_eigenvalue(product: Callable[[Params], Params], start: Params, *, iterations: int = 50) -> Tensor:
    """The largest eigenvalue of a symmetric map ``product``, by power iteration from ``start``.

    A first run finds the eigenvalue largest in size; if that one is negative, a second run on the map
    shifted by it finds the largest. Within about 1 % unless the next eigenvalue is very close.
    Vmappable: both runs are always made.
    """
    check_count("iterations", iterations, at_least=1)
    largest_in_size = _furthest_from(0.0, product, start, iterations)
    largest = _furthest_from(largest_in_size, product, start, iterations)
    return torch.where(largest_in_size >= 0, largest_in_size, largest)


def _furthest_from(shift: float | Tensor, product: Callable[[Params], Params], v: Params, iterations: int) -> Tensor:
    """The eigenvalue whose distance from ``shift`` is largest."""
    for _ in range(iterations):
        v = _unit(v)
        moved = product(v)
        eigenvalue = dot(v, moved)
        v = {name: moved[name] - shift * v[name] for name in v}
    return eigenvalue


def _unit(v: Params) -> Params:
    length = norm(v).clamp_min(torch.finfo(next(iter(v.values())).dtype).tiny)
    return {name: p / length for name, p in v.items()}
