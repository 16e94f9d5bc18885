"""The exercises of chapter 2: wrong answers are told what is wrong, right ones may be written in any way."""

import numpy as np
import torch
from answers import judged

from mapping_lib.chapters.maml_math import exercises


def pencil_by_autograd(theta, h, c, alpha, m):
    start = torch.tensor(theta, requires_grad=True)
    phi = start
    for _ in range(m):
        phi = phi - alpha * h * (phi - c)
    (0.5 * h * (phi - c) ** 2).backward()
    return start.grad


def pencil_by_differences(theta, h, c, alpha, m):
    def meta_loss(theta):
        return 0.5 * h * ((1 - alpha * h) ** m * (theta - c)) ** 2

    return np.array([(meta_loss(theta + 1e-4) - meta_loss(theta - 1e-4)) / 2e-4])


def pencil_in_two_factors(theta, h, c, alpha, m):
    phi = c + (1 - alpha * h) ** m * (theta - c)
    return h * (phi - c) * (1 - alpha * h) ** m


test_pencil = judged(
    exercises.check_pencil,
    wrong={
        "that is FOMAML's": lambda theta, h, c, alpha, m: (1 - alpha * h) ** m * h * (theta - c),
        "for pencil(1.0, 2.0, -1.0, 0.25, 1) you give 1.5, not 1": lambda theta, h, c, alpha, m: 1.5 * theta,
        "before any step": lambda theta, h, c, alpha, m: h * (theta - c),
        "the sign": lambda theta, h, c, alpha, m: (1 - alpha * h) ** (2 * m) * h * (c - theta),
        "h is missing": lambda theta, h, c, alpha, m: (1 - alpha * h) ** (2 * m) * (theta - c),
        "m times, squared": lambda theta, h, c, alpha, m: (1 - alpha * h) ** 2 * h * (theta - c),
        "0.1, 4) you give": lambda theta, h, c, alpha, m: (1 - alpha * h) ** (m + 1) * h * (theta - c),
        "you give 0, not": lambda theta, h, c, alpha, m: (1 - 2 * alpha * h * m) * h * (theta - c),  # to first order
    },
    right={
        "autograd, float32": pencil_by_autograd,
        "differences": pencil_by_differences,
        "the gradient at phi, times d phi": pencil_in_two_factors,
    },
)


def hessian_times(loss, phi, v):
    return torch.func.grad(lambda p: torch.func.grad(loss)(p) @ v)(phi)


def diagonal_alone(loss, phi, v, alpha):
    return v - alpha * torch.func.hessian(loss)(phi).diagonal() * v


def by_forward_mode(loss, phi, v, alpha):
    return v - alpha * torch.func.jvp(torch.func.grad(loss), (phi,), (v,))[1]


def by_differences(loss, phi, v, alpha):
    slope = torch.func.grad(loss)
    return (v - alpha * (slope(phi + 1e-4 * v) - slope(phi - 1e-4 * v)) / 2e-4).numpy()


def by_two_backwards(loss, phi, v, alpha):
    phi = phi.requires_grad_()
    (slope,) = torch.autograd.grad(loss(phi), phi, create_graph=True)
    return list(v - alpha * torch.autograd.grad(slope, phi, v)[0])


test_one_link = judged(
    exercises.check_one_link,
    wrong={
        "that is H v": lambda loss, phi, v, alpha: hessian_times(loss, phi, v),
        "that is v itself": lambda loss, phi, v, alpha: v,
        "a vector as long as v": lambda loss, phi, v, alpha: 0.0,
        "the sign": lambda loss, phi, v, alpha: v + alpha * hessian_times(loss, phi, v),
        "H is taken at v": lambda loss, phi, v, alpha: v - alpha * hessian_times(loss, v, v),
        "that is a step from v": lambda loss, phi, v, alpha: v - alpha * torch.func.grad(loss)(v),
        "only the diagonal": diagonal_alone,
        "with alpha = 0.5": lambda loss, phi, v, alpha: v - 0.1 * hessian_times(loss, phi, v),
        "with alpha = 0.1": lambda loss, phi, v, alpha: phi - alpha * torch.func.grad(loss)(phi),
        "the shape (4, 4)": lambda loss, phi, v, alpha: torch.eye(4) - alpha * torch.func.hessian(loss)(phi).float(),
    },
    right={
        "forward mode": by_forward_mode,
        "differences, NumPy": by_differences,
        "two backward passes, a list": by_two_backwards,
        "the Hessian, float32": lambda loss, phi, v, alpha: (v - alpha * torch.func.hessian(loss)(phi) @ v).float(),
    },
)


def by_bisection(low, high):
    below, above = 0.0, 2 / low
    while above - below > 1e-9:
        alpha = (below + above) / 2
        below, above = (alpha, above) if 1 - alpha * low > alpha * high - 1 else (below, alpha)
    return above


def by_grid(low, high):
    alphas = np.linspace(0, 2 / low, 200_001)
    return alphas[np.maximum(abs(1 - alphas * low), abs(1 - alphas * high)).argmin()]


test_best_alpha = judged(
    exercises.check_best_alpha,
    wrong={
        "your alpha, 0.1, leaves 0.900": lambda low, high: 1 / high,
        "alpha = 2 does not shrink": lambda low, high: 2 / low,
        "alpha = 1 does not shrink every direction of [1.0, 10.0]": lambda low, high: 1 / low,
        "alpha = 2 does not shrink every direction of [1.0, 1.0]": lambda low, high: 2 / high,
        "alpha = 0.316 does not shrink": lambda low, high: (low * high) ** -0.5,
        "alpha = 0.55 does not shrink": lambda low, high: (1 / low + 1 / high) / 2,
        "for [1.0, 1.0] your alpha, 0.5, leaves 0.500; 0.000 is possible": lambda low, high: 1 / (low + high),
    },
    right={
        "one over the mean, torch": lambda low, high: 1 / torch.tensor([low, high]).mean(),
        "bisection": by_bisection,
        "a grid, NumPy": by_grid,
    },
)
