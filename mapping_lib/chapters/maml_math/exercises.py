"""The exercises of chapter 2."""

from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.page.checking import answered, check, need


@check("phi lies (1 - alpha h)^m times as far from c as theta does, and d phi / d theta is that number again.")
def check_pencil(pencil: Callable[[float, float, float, float, int], float]) -> str:
    """Chapter 2, exercise 1: the meta-gradient of 1/2 h (theta - c)^2 after ``m`` inner steps, as a formula."""
    for theta, h, c, alpha, m in ((1.0, 1.0, 3.0, 0.25, 1), (1.0, 2.0, -1.0, 0.25, 1), (0.5, 3.0, 2.0, 0.1, 4)):
        shrunk = (1 - alpha * h) ** m
        got = float(answered(pencil(theta, h, c, alpha, m)))
        need(m == 0 or abs(got - shrunk * h * (theta - c)) > 1e-9, "that is FOMAML's: it takes d phi / d theta for 1.")
        wanted = shrunk * h * shrunk * (theta - c)
        need(abs(got - wanted) < 1e-6, f"pencil({theta}, {h}, {c}, {alpha}, {m}) is {got:.4f}, not {wanted:.4f}.")
    return "One power for the way there, one for the way back."


@check("the gradient of (gradient . v) by phi is H v; then v - alpha * H v.")
def check_one_link(one_link: Callable) -> str:
    """Chapter 2, exercise 2: ``one_link(loss, phi, v, alpha)`` is (I - alpha H(phi)) v."""
    generator = torch.Generator().manual_seed(0)
    phi, v = (torch.randn(4, generator=generator, dtype=torch.float64) for _ in range(2))

    def loss(p: Tensor) -> Tensor:
        return p.prod() + p.sin().square().sum()

    got = answered(one_link(loss, phi, v, 0.1))
    need(isinstance(got, Tensor) and got.shape == v.shape, "the result should be a vector as long as v.")
    Hv = torch.func.hessian(loss)(phi) @ v
    need(not torch.allclose(got, Hv), "that is H v; the link is v - alpha * H v.")
    need(not torch.allclose(got, v + 0.1 * Hv), "the sign: a step goes down, so alpha H v is taken away.")
    need(torch.allclose(got, v - 0.1 * Hv), "this is not (I - alpha H) v.")
    return "That is one link of the chain; m of them make the meta-gradient."


@check("one step leaves |1 - alpha lambda| of the distance: make it equally large at both ends.")
def check_best_alpha(best_alpha: Callable[[float, float], float]) -> str:
    """Chapter 2, exercise 3: the alpha for which the slowest direction between two curvatures shrinks fastest."""
    for low, high in ((1.0, 1.0), (1.0, 10.0), (0.5, 4.0)):
        got = float(answered(best_alpha(low, high)))
        worst = [max(abs(1 - alpha * low), abs(1 - alpha * high)) for alpha in (got, 2 / (low + high))]
        need(
            worst[0] < 1 or low == high == got, f"alpha = {got:.3g} does not shrink every direction of [{low}, {high}]."
        )
        need(
            worst[0] < worst[1] + 1e-6,
            f"for [{low}, {high}] your alpha leaves {worst[0]:.3f}; {worst[1]:.3f} is possible.",
        )
    return "The two ends shrink equally fast."
