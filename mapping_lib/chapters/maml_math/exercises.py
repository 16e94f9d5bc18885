"""The exercises of chapter 2."""

from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.page.checking import check, close, expect, need, number, numbers


@check("phi is (1 - alpha h)^m times as far from c as theta, and so is d phi / d theta.")
def check_pencil(pencil: Callable[[float, float, float, float, int], float]) -> str:
    """Chapter 2, exercise 1: the meta-gradient of 1/2 h (theta - c)^2 after ``m`` inner steps, as a formula."""
    for theta, h, c, alpha, m in ((1.0, 2.0, -1.0, 0.25, 1), (1.0, 1.0, 3.0, 0.25, 1), (0.5, 3.0, 2.0, 0.1, 4)):
        left = 1 - alpha * h
        shrunk, slope = left**m, h * (theta - c)
        wanted = shrunk**2 * slope
        mistakes = {
            "that is FOMAML's: it takes d phi / d theta for 1.": shrunk * slope,
            "that is the gradient before any step: the loss is taken at phi.": slope,
            "the sign: it is the gradient, not the step against it.": -wanted,
            "the slope of 1/2 h (phi - c)^2 is h (phi - c): h is missing.": wanted / h,
            "(1 - alpha h) is there once for each step and each way: m times, squared.": left**2 * slope,
        }
        got = number(pencil(theta, h, c, alpha, m))
        expect(got, wanted, f"for pencil({theta}, {h}, {c}, {alpha}, {m})", mistakes)
    return "One power for the way there, one for the way back."


@check("the gradient of (gradient . v) with respect to phi is H v; then v - alpha * H v.")
def check_one_link(one_link: Callable) -> str:
    """Chapter 2, exercise 2: ``one_link(loss, phi, v, alpha)`` is (I - alpha H(phi)) v."""

    def loss(p: Tensor) -> Tensor:
        return p.prod() + p.sin().square().sum()

    for n, alpha in ((4, 0.1), (3, 0.5)):
        generator = torch.Generator().manual_seed(n)
        phi, v = (torch.randn(n, generator=generator, dtype=torch.float64) for _ in range(2))
        H = torch.func.hessian(loss)(phi)
        mistakes = {
            "that is H v; the link is v - alpha * H v.": H @ v,
            "the sign: a step goes down, so alpha H v is taken away.": v + alpha * H @ v,
            "that is v itself: the loss bends, and the link knows how.": v,
            "that is a step from v: it takes the gradient, and the link wants H v.": v
            - alpha * torch.func.grad(loss)(v),
            "H is taken at v: the link bends as the loss does at phi.": v - alpha * torch.func.hessian(loss)(v) @ v,
            "only the diagonal of H is in it.": v - alpha * H.diagonal() * v,
        }
        got = numbers(one_link(loss, phi.clone(), v.clone(), alpha), (n,), "(I - alpha H) v, a vector as long as v,")
        expect(got, v - alpha * H @ v, f"with alpha = {alpha}, for (I - alpha H) v,", mistakes)
    return "That is one link of the chain; m of them make the meta-gradient."


@check("one step leaves |1 - alpha lambda| of the distance: make both ends equal.")
def check_best_alpha(best_alpha: Callable[[float, float], float]) -> str:
    """Chapter 2, exercise 3: the alpha for which the slowest direction between two curvatures shrinks fastest."""
    for low, high in ((1.0, 1.0), (1.0, 10.0), (0.5, 4.0)):
        got = number(best_alpha(low, high))
        worst, best = (max(abs(1 - alpha * low), abs(1 - alpha * high)) for alpha in (got, 2 / (low + high)))
        need(worst < 0.9999, f"alpha = {got:.3g} does not shrink every direction of [{low}, {high}].")
        need(
            close(worst, best),
            f"for [{low}, {high}] your alpha, {got:.4g}, leaves {worst:.3f}; {best:.3f} is possible.",
        )
    return "The two ends shrink equally fast."
