"""The exercises of chapter 4f."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mapping_lib.page.checking import check, expect, number


@check("phi - c is (1 - alpha h)^m (theta - c); differentiate that by alpha, and multiply by h (phi - c_query).")
def check_hyper_gradient(hyper_gradient: Callable[[float, float, float, float, float, int], float]) -> str:
    """Chapter 4f, exercise 1: ``hyper_gradient(alpha, h, theta, c, c_query, m)``, the query loss's slope by alpha."""
    for alpha, h, theta, c, c_query, m in (
        (0.1, 2.0, -0.5, 1.0, 1.5, 1),
        (0.1, 2.0, 0.0, 1.0, 1.5, 3),
        (0.7, 1.0, 2.0, -1.0, -1.0, 2),
    ):
        exact = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
        phi = torch.tensor(theta, dtype=torch.float64)
        for _ in range(m):
            phi = phi - exact * h * (phi - c)
        (slope,) = torch.autograd.grad(0.5 * h * (phi - c_query) ** 2, exact)
        end, wanted, left = phi.item(), slope.item(), 1 - alpha * h
        d_phi = -m * h * left ** (m - 1) * (theta - c)
        wrong_centre = c_query + left**m * (theta - c_query)
        mistakes = {
            "the sign is wrong: is the inner derivative, -h, forgotten?": -wanted,
            "the inner derivative of (1 - alpha h)^m by alpha has the factor -h.": -wanted / h,
            "that is d phi / d alpha; the query loss's slope at phi is missing.": d_phi,
            "the query loss's slope at phi is h (phi - c_query): h is missing.": wanted / h,
            "that is the query loss's slope at phi; d phi / d alpha is missing.": h * (end - c_query),
            "the slope is taken at theta: the query loss is that of phi.": h * (theta - c_query) * d_phi,
            "the exponent m comes down as a factor: it is missing.": wanted / m,
            "the exponent goes down by one: (1 - alpha h)^(m - 1).": wanted * left,
            "that is the support's loss: the query has its own centre, c_query.": h * (end - c) * d_phi,
            "the steps do not know c_query: they go towards c.": -h
            * (wrong_centre - c_query)
            * m
            * h
            * left ** (m - 1)
            * (theta - c_query),
        }
        given = f"for hyper_gradient({alpha}, {h}, {theta}, {c}, {c_query}, {m})"
        expect(number(hyper_gradient(alpha, h, theta, c, c_query, m)), wanted, given, mistakes)
    return "One formula, no graph: and autograd agrees."


@check("set the derivative to zero: the sum of h² w² (1 - alpha h) vanishes. Solve for alpha.")
def check_best_for_one_step(best_for_one_step: Callable[[Tensor, Tensor], float]) -> str:
    """Chapter 4f, exercise 2: the alpha with the lowest loss after one step, 1/2 sum h (1 - alpha h)² w²."""
    cases = [([1.0], [3.0]), ([1.0, 10.0], [5.0, -0.1]), ([0.5, 2.0, 4.0], [1.0, 2.0, 0.5]), ([1.0, 10.0], [1.0, 1.0])]
    for case in cases:
        h, w = (torch.tensor(values, dtype=torch.float64) for values in case)
        tried = torch.linspace(0, 2.5, 250_001, dtype=torch.float64)
        losses = 0.5 * (h * (1 - tried[:, None] * h).square() * w.square()).sum(-1)
        mistakes = {
            "that is best for the distance to the minimum: the loss weighs a direction by h.": (h * w**2).sum()
            / (h**2 * w**2).sum(),
            "w is missing: a direction with far to go has more to say.": (h**2).sum() / (h**3).sum(),
            "w enters squared, as the loss has it.": (h**2 * w).sum() / (h**3 * w).sum(),
            "1/h is best for each direction alone; the loss does not weigh them alike.": (1 / h).mean(),
            "that is safe for the steepest direction, and slow for the rest.": 1 / h.max(),
            "that makes the *worst* direction best; here the sum of the losses counts.": 2 / (h.min() + h.max()),
        }
        got = number(best_for_one_step(h.clone(), w.clone()))
        expect(got, float(tried[losses.argmin()]), f"with h, w = {case}", mistakes)
    return "Steep directions have the say: they enter by the third power."


@check("choose by the validation errors, and report another number for what was chosen.")
def check_report(report: Callable[[Sequence[float], Sequence[float]], float]) -> str:
    """Chapter 4f, exercise 3: ``report(valid, held_out)``, the honest number for the winner of a search."""
    for valid, held_out in (
        ([0.50, 0.32, 0.34, 0.60, 0.55], [0.45, 0.42, 0.36, 0.31, 0.40]),
        ([0.2, 0.9], [0.35, 0.8]),
        ([0.61, 0.52, 0.58, 0.55], [0.47, 0.49, 0.40, 0.43]),  # the winner is the worst held out, and better there
        ([0.7, 0.6, 0.4, 0.5, 0.65], [0.62, 0.33, 0.38, 0.7, 0.51]),
    ):
        i = min(range(len(valid)), key=valid.__getitem__)
        both = [sum(pair) for pair in zip(valid, held_out, strict=True)]
        mistakes = {
            "that is the winner's validation error: it won because that is low.": valid[i],
            "that is the lowest held-out error: then those tasks chose.": min(held_out),
            "that is a mean: nobody will use all the settings. One was chosen, and its number counts.": sum(held_out)
            / len(held_out),
            "that is a median: one setting was chosen, and its number counts.": sorted(held_out)[(len(valid) - 1) // 2],
            "the winner's validation error is in it still, and it is low by luck, too.": both[i] / 2,
            "that is the gap between the two; asked for is the error to expect.": held_out[i] - valid[i],
            "chosen by both errors: then the held-out tasks have chosen, too.": held_out[both.index(min(both))],
        }
        got = number(report(list(valid), list(held_out)))
        expect(got, held_out[i], f"for valid = {valid} and held_out = {held_out}", mistakes)
    return "One set of tasks chooses, another one reports."
