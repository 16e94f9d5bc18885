"""The exercises of chapter 3b."""

from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.networks import functional, mlp
from mapping_lib.page.checking import answered, check, close, expect, need, number, numbers, truth
from mapping_lib.params import copied


@check("order the rows of 2.weight, the entries of 2.bias and the columns of 4.weight.")
def check_exchanged(exchanged: Callable) -> str:
    """Chapter 3b, exercise 1: ``exchanged(phi, order)``, the second hidden layer's units in another order."""
    network = functional(mlp((1, 40, 40, 1)))
    phi = network.init(generator=torch.Generator().manual_seed(0))
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    before = copied(phi)
    found = answered(exchanged(phi, order.clone()))
    names = list(before)
    need(
        isinstance(found, dict) and found.keys() == before.keys(), f"the result should have the names of phi, {names}."
    )
    unchanged = phi.keys() == before.keys() and all(torch.equal(phi[name], before[name]) for name in before)
    need(unchanged, "phi itself was changed: make new tensors.")
    got = {n: numbers(found[n], tuple(p.shape), n).to(p.dtype) for n, p in before.items()}
    first = torch.equal(got["0.weight"], before["0.weight"])
    x = torch.linspace(-5, 5, 50, dtype=before["0.weight"].dtype)[:, None]
    apart = float((network.predict(got, x) - network.predict(before, x)).abs().max())
    half = close(got["2.weight"], before["2.weight"][order])
    need(apart < 1e-4 or not half, f"the rows of 2.weight are in order, and the function is {apart:.2f} away.")
    need(apart < 1e-4, f"it draws another function: up to {apart:.2f} away.")
    need(first, "those are the first layer's units: 0.weight belongs to them, and should stay.")
    back = close(got["2.weight"], before["2.weight"][order.argsort()])
    need(not back, "that is the way back: unit i of the new layer should be unit order[i] of the old one.")
    need(half, "the second layer's units are not in the new order.")
    return "Other parameters, the same function."


@check("divide the sum of x y by the sum of x squared plus sigma squared.")
def check_strategy(strategy: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Chapter 3b, exercise 2: ``strategy(x, y, sigma)``, Bayes' slope of a noisy line through the origin."""
    for k, sigma in ((3, 0.5), (1, 1.0), (8, 0.1)):
        generator = torch.Generator().manual_seed(k)
        x, y = (torch.randn(k, 1, generator=generator, dtype=torch.float64) for _ in range(2))
        covariance = x @ x.T + sigma**2 * torch.eye(k, dtype=x.dtype)  # of y, when w ~ N(0, 1)
        wanted = float((x.T @ torch.linalg.solve(covariance, y)).squeeze())
        xy, xx = float((x * y).sum()), float((x * x).sum())
        mistakes = {
            "that is least squares: it forgets that w is probably near 0.": xy / xx,
            "sigma is a standard deviation: its square belongs beside the sum of x squared.": xy / (xx + sigma),
            "the noise's variance is added once, and not for every example.": xy / (xx + k * sigma**2),
        }
        got = number(strategy(x.clone(), y.clone(), sigma))
        expect(got, wanted, f"with {k} examples and sigma = {sigma}", mistakes)
    empty = torch.zeros(0, 1)
    got = number(strategy(empty, empty, 0.5))
    need(got == 0, f"without an example the answer should be 0, and yours is {got}.")
    return "Samples go in, a parameter comes out, and without samples it is the prior's mean."


@check("the query loss changes by minus the inner product of the two gradients.")
def check_stop(stop_now: Callable[[Tensor, Tensor], bool]) -> str:
    """Chapter 3b, exercise 3: ``stop_now(gradient_support, gradient_query)`` on the gradient flow."""
    for support, query in (
        ([1.0, 0.0], [1.0, 1.0]),
        ([1.0, 0.0], [-1.0, 5.0]),
        ([2.0, 3.0, 1.0], [-3.0, 1.0, 2.5]),  # would rise, with most components agreeing
        ([1.0, 2.0], [2.0, -3.0]),
        ([1.0, 3.0], [-1.0, 2.0]),  # falls, with one component against
        ([5.0, 1.0, 1.0, 1.0], [0.2, -1.0, 2.0, -1.0]),  # falls, at a cosine of 0.08
        ([5.0, 1.0, 1.0, 1.0], [-0.2, -1.0, 2.5, -1.0]),  # would rise, with the sum of the query's gradient positive
        ([0.01, -0.01], [0.01, -0.02]),  # falls, both small
        ([1.0, 2.0], [2.0, -1.0]),  # at right angles
        ([0.0, 0.0], [1.0, -2.0]),  # the flow stands still
    ):
        product = sum(s * q for s, q in zip(support, query, strict=True))
        falls = product > 0
        got = truth(stop_now(torch.tensor(support), torch.tensor(query)))
        loss = "still falls" if falls else "would rise" if product < 0 else "would not fall"
        need(got != falls, f"with gradients {support} (support) and {query} (query) the query loss {loss}.")
    return "Go on while the two gradients agree."
