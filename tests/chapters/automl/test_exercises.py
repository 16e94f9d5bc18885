"""The exercises of chapter 4f: wrong answers are told what is wrong, right ones may be written in any way."""

import statistics

import numpy as np
import torch
from answers import judged

from mapping_lib.chapters.automl import exercises


def parts(alpha, h, theta, c, c_query, m):
    """phi, the query's slope there, and d phi / d alpha."""
    phi = c + (1 - alpha * h) ** m * (theta - c)
    return phi, h * (phi - c_query), -m * h * (1 - alpha * h) ** (m - 1) * (theta - c)


def of(change):
    """An answer from `parts` and the arguments by name."""
    names = ("alpha", "h", "theta", "c", "c_query", "m")
    return lambda *given: change(*parts(*given), **dict(zip(names, given, strict=True)))


def by_autograd(alpha, h, theta, c, c_query, m):
    a, phi = torch.tensor(alpha, requires_grad=True), theta
    for _ in range(m):
        phi = phi - a * h * (phi - c)
    (0.5 * h * (phi - c_query) ** 2).backward()
    return a.grad


def by_differences(alpha, h, theta, c, c_query, m):
    def loss(alpha):
        return 0.5 * h * (c + (1 - alpha * h) ** m * (theta - c) - c_query) ** 2

    return np.array([(loss(alpha + 1e-5) - loss(alpha - 1e-5)) / 2e-5])


def forward(alpha, h, theta, c, c_query, m):
    phi, d_phi = theta, 0.0
    for _ in range(m):
        phi, d_phi = phi - alpha * h * (phi - c), (1 - alpha * h) * d_phi - h * (phi - c)
    return [h * (phi - c_query) * d_phi]


def steps_to_the_query(alpha, h, theta, c, c_query, m):
    _, slope, d_phi = parts(alpha, h, theta, c_query, c_query, m)
    return slope * d_phi


test_hyper_gradient = judged(
    exercises.check_hyper_gradient,
    wrong={
        "the sign is wrong": of(lambda phi, slope, d, **_: -slope * d),
        "has the factor -h": of(lambda phi, slope, d, h, **_: -slope * d / h),
        "the query loss's slope at phi is missing": of(lambda phi, slope, d, **_: d),
        "h is missing": of(lambda phi, slope, d, h, **_: slope * d / h),
        "d phi / d alpha is missing": of(lambda phi, slope, d, **_: slope),
        "the slope is taken at theta": of(lambda phi, slope, d, h, theta, c_query, **_: h * (theta - c_query) * d),
        "it is missing": of(lambda phi, slope, d, m, **_: slope * d / m),
        "the exponent goes down by one": of(lambda phi, slope, d, alpha, h, **_: slope * d * (1 - alpha * h)),
        "that is the support's loss": of(lambda phi, slope, d, h, c, **_: h * (phi - c) * d),
        "the steps do not know c_query": steps_to_the_query,
        "for hyper_gradient(0.1, 2.0, -0.5, 1.0, 1.5, 1) you give 0, not -10.2": lambda *given: 0.0,
    },
    right={
        "autograd, float32": by_autograd,
        "differences, NumPy": by_differences,
        "step by step, a list": forward,
    },
)


def by_line_search(h, w):
    def loss(alpha):
        return (h * (1 - alpha * h) ** 2 * w**2).sum()

    below, above = 0.0, float(2 / h.min())
    for _ in range(100):
        third = (above - below) / 3
        below, above = (below, above - third) if loss(below + third) < loss(above - third) else (below + third, above)
    return above


def by_loops(h, w):
    pairs = list(zip(h.tolist(), w.tolist(), strict=True))
    return sum(a * a * b * b for a, b in pairs) / sum(a**3 * b * b for a, b in pairs)


def cauchy(h, w):
    """Steepest descent's step: g . g / g . H g with g = h w."""
    g = (h * w).float()
    return (g @ g / (g @ (h.float() * g))).reshape(1)


test_best_for_one_step = judged(
    exercises.check_best_for_one_step,
    wrong={
        "best for the distance": lambda h, w: (h * w**2).sum() / (h**2 * w**2).sum(),
        "w is missing": lambda h, w: (h**2).sum() / (h**3).sum(),
        "w enters squared": lambda h, w: (h**2 * w).sum() / (h**3 * w).sum(),
        "1/h is best for each direction alone": lambda h, w: (1 / h).mean(),
        "safe for the steepest direction": lambda h, w: 1 / h.max(),
        "makes the *worst* direction best": lambda h, w: 2 / (h.min() + h.max()),
        "with h, w = ([1.0, 10.0], [5.0, -0.1]) you give 0.9964": lambda h, w: 1 / (h * w**2).sum() * (w**2).sum(),
        "with h, w = ([1.0], [3.0]) you give 9, not 1": lambda h, w: (h**2 * w**2).sum() / (h**3).sum(),
        "one number": lambda h, w: 1 / h.repeat(2),
    },
    right={
        "a line search": by_line_search,
        "loops": by_loops,
        "steepest descent's, float32": cauchy,
        "NumPy": lambda h, w: np.average(1 / h.numpy(), weights=h.numpy() ** 3 * w.numpy() ** 2),
    },
)


def winner(valid):
    return int(np.argmin(valid))


test_report = judged(
    exercises.check_report,
    wrong={
        "the winner's validation error": lambda valid, held_out: min(valid),
        "the lowest held-out error": lambda valid, held_out: min(held_out),
        "that is a mean": lambda valid, held_out: sum(held_out) / len(held_out),
        "that is a median": lambda valid, held_out: statistics.median_low(held_out),
        "low by luck, too": lambda valid, held_out: (min(valid) + held_out[winner(valid)]) / 2,
        "that is the gap": lambda valid, held_out: held_out[winner(valid)] - min(valid),
        "chosen by both errors": lambda valid, held_out: min(zip(held_out, valid, strict=True), key=sum)[0],
        "it won because that is low": lambda valid, held_out: max(min(valid), held_out[winner(valid)]),
        "for valid = [0.5, 0.32": lambda valid, held_out: held_out[0],
        "one number": lambda valid, held_out: (winner(valid), held_out[winner(valid)]),
    },
    right={
        "torch, float32": lambda valid, held_out: torch.tensor(held_out)[torch.tensor(valid).argmin()],
        "NumPy": lambda valid, held_out: np.array(held_out)[np.argsort(valid)[:1]],
        "the lowest pair": lambda valid, held_out: min(zip(valid, held_out, strict=True))[1],
        "by its place": lambda valid, held_out: held_out[valid.index(min(valid))],
    },
)
