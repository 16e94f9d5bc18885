"""The exercises of chapter 4f."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mapping_lib.page.checking import answered, check, need


@check("phi - c is (1 - alpha h)^m (theta - c); differentiate that by alpha, and multiply by h (phi - c_query).")
def check_hyper_gradient(hyper_gradient: Callable[[float, float, float, float, float, int], float]) -> str:
    """Chapter 4f, exercise 1: ``hyper_gradient(alpha, h, theta, c, c_query, m)``, the query loss's slope by alpha."""
    for alpha, h, theta, c, c_query, m in (
        (0.1, 2.0, 0.0, 1.0, 1.5, 1),
        (0.1, 2.0, 0.0, 1.0, 1.5, 3),
        (0.7, 1.0, 2.0, -1.0, -1.0, 2),
    ):
        exact = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
        phi = torch.tensor(theta, dtype=torch.float64)
        for _ in range(m):
            phi = phi - exact * h * (phi - c)
        (wanted,) = torch.autograd.grad(0.5 * h * (phi - c_query) ** 2, exact)
        got = float(answered(hyper_gradient(alpha, h, theta, c, c_query, m)))
        shown = f"hyper_gradient({alpha}, {h}, {theta}, {c}, {c_query}, {m})"
        need(abs(got + float(wanted)) > 1e-6 or abs(got) < 1e-6, f"{shown} has the wrong sign.")
        need(abs(got - float(wanted)) < 1e-6, f"{shown} is {got:.4f}, not {float(wanted):.4f}.")
    return "One formula, no graph: and autograd agrees."


@check("set the derivative to zero: the sum of h² w² (1 - alpha h) vanishes. Solve for alpha.")
def check_best_for_one_step(best_for_one_step: Callable[[Tensor, Tensor], float]) -> str:
    """Chapter 4f, exercise 2: the alpha with the lowest loss after one step, 1/2 sum h (1 - alpha h)² w²."""
    cases = [([1.0], [3.0]), ([1.0, 10.0], [1.0, 1.0]), ([1.0, 10.0], [5.0, 0.1]), ([0.5, 2.0, 4.0], [1.0, 2.0, 0.5])]
    for case in cases:
        h, w = (torch.tensor(values, dtype=torch.float64) for values in case)
        got = float(answered(best_for_one_step(h, w)))
        tried = torch.linspace(0, 2.5, 250_001, dtype=torch.float64)
        losses = 0.5 * (h * (1 - tried[:, None] * h).square() * w.square()).sum(-1)
        wanted = float(tried[losses.argmin()])
        need(abs(got - wanted) < 2e-5, f"with h, w = {case} you give {got:.4f}, not {wanted:.4f}.")
    return "Steep directions have the say: they enter by the third power."


@check("choose by the validation errors, and report another number for what was chosen.")
def check_report(report: Callable[[Sequence[float], Sequence[float]], float]) -> str:
    """Chapter 4f, exercise 3: ``report(valid, held_out)``, the honest number for the winner of a search."""
    for valid, held_out in (([0.5, 0.3, 0.4], [0.45, 0.42, 0.31]), ([0.2, 0.9], [0.35, 0.8])):
        got = float(answered(report(valid, held_out)))
        need(got != min(valid), f"{got} is the winner's validation error: it won because that is low.")
        wanted = held_out[min(range(len(valid)), key=valid.__getitem__)]
        need(got == wanted or got != min(held_out), f"{got} is the lowest held-out error: then those tasks chose.")
        need(got == wanted, f"for valid = {valid} and held_out = {held_out} you report {got}, not {wanted}.")
    return "One set of tasks chooses, another one reports."
