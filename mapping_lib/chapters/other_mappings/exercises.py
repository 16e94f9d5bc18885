"""The exercises of chapter 3b."""

from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.networks import functional, mlp
from mapping_lib.page.checking import answered, check, need
from mapping_lib.params import copied


@check("a unit is a row of 2.weight, an entry of 2.bias, and a column of 4.weight: put all three in the new order.")
def check_exchanged(exchanged: Callable) -> str:
    """Chapter 3b, exercise 1: ``exchanged(phi, order)``, the second hidden layer's units in another order."""
    network = functional(mlp((1, 40, 40, 1)))
    phi = network.init(generator=torch.Generator().manual_seed(0))
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    before = copied(phi)
    got = answered(exchanged(phi, order))
    need(isinstance(got, dict) and got.keys() == phi.keys(), "the result should have the names of phi.")
    need(all(torch.equal(phi[name], before[name]) for name in phi), "phi itself was changed: make new tensors.")
    x = torch.linspace(-5, 5, 50)[:, None]
    apart = float((network.predict(got, x) - network.predict(phi, x)).abs().max())
    need(apart < 1e-4, f"it draws another function: up to {apart:.2f} away.")
    need(torch.equal(got["2.weight"], phi["2.weight"][order]), "the second layer's units are not in the new order.")
    return "Other parameters, the same function."


@check("divide the sum of x y by the sum of x squared plus sigma squared.")
def check_strategy(strategy: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Chapter 3b, exercise 2: ``strategy(x, y, sigma)``, Bayes' slope of a noisy line through the origin."""
    for k, sigma in ((3, 0.5), (1, 1.0), (8, 0.1)):
        generator = torch.Generator().manual_seed(k)
        x, y = (torch.randn(k, 1, generator=generator, dtype=torch.float64) for _ in range(2))
        got = float(answered(strategy(x, y, sigma)))
        covariance = x @ x.T + sigma**2 * torch.eye(k, dtype=x.dtype)  # of y, when w ~ N(0, 1)
        wanted = float((x.T @ torch.linalg.solve(covariance, y)).squeeze())
        squares = float((x * y).sum() / (x * x).sum())
        need(abs(got - squares) > 1e-9, "that is least squares: it forgets that w is probably near 0.")
        need(abs(got - wanted) < 1e-6, f"with {k} examples and sigma = {sigma} you give {got:.4f}, not {wanted:.4f}.")
    empty = torch.zeros(0, 1)
    got = float(strategy(empty, empty, 0.5))
    need(got == 0, f"without an example the answer should be 0, and yours is {got}.")
    return "Samples go in, a parameter comes out, and without samples it is the prior's mean."


@check("the query loss changes by minus the inner product of the two gradients.")
def check_stop(stop_now: Callable[[Tensor, Tensor], bool]) -> str:
    """Chapter 3b, exercise 3: ``stop_now(gradient_support, gradient_query)`` on the gradient flow."""
    for support, query in (([1.0, 0.0], [1.0, 1.0]), ([1.0, 0.0], [-1.0, 5.0]), ([1.0, 2.0], [2.0, -3.0])):
        falls = sum(s * q for s, q in zip(support, query, strict=True)) > 0
        got = bool(answered(stop_now(torch.tensor(support), torch.tensor(query))))
        gradients = f"gradients {support} (support) and {query} (query)"
        need(got != falls, f"with {gradients} the query loss {'still falls' if falls else 'would rise'}.")
    return "Go on while the two gradients agree."
