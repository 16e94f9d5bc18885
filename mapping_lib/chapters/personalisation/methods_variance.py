"""Variance components: the prior that makes the training individuals' data most probable, by EM.

The statistician's way to a prior of `methods_prior`. It needs no split into support and query.
"""

import torch
from torch import Tensor

from mapping_lib.checks import check_count
from mapping_lib.task import Batch, Params

from .methods_prior import choice_slopes, covariance, newton_step, wide_prior

FLOOR = 1e-6
"""Added to the diagonal of a fitted C, so that it always has a factor."""

WIDE = {"mean": 1.0, "factor": 4.0}
"""Where `fit_choices` begins: a wide prior. From a narrow one Laplace's approximation stays too narrow."""


def fit_curves(X: Tensor, y: Tensor, *, steps: int = 200) -> Params:
    """Fit the theta of `prior.gaussian_prior` to curves: features ``X (time, feature)``, ``y (individual, time)``.

    y is nan where nothing was observed. Each of ``steps`` rounds takes every individual's posterior (mean m_i,
    covariance V_i) under the present theta, then sets mean = average of m_i, C = average of V_i + (m_i - mean)(...)',
    noise² = average squared residual + its posterior variance (Dempster, Laird & Rubin 1977, section 4.4;
    Laird & Ware 1982, section 4). The likelihood never falls. Raises ValueError for fewer than two individuals.

    >>> theta = fit_curves(torch.ones(4, 1), torch.tensor([[1.0, 1, 1, 1], [3.0, 3, 3, float("nan")]]))
    >>> theta["mean"].round(decimals=2)
    tensor([2.])
    """
    check_count("steps", steps, at_least=1)
    if len(y) < 2:
        raise ValueError(f"y has {len(y)} individuals; allowed: two or more, or nothing tells how much they differ")
    X, y, seen = X.double(), y.double().nan_to_num(), y.isfinite().double()
    gram = torch.einsum("it,tf,tg->ifg", seen, X, X)
    moment = (seen * y) @ X
    mean, C = torch.linalg.lstsq(gram.sum(0), moment.sum(0)).solution, torch.eye(X.shape[1], dtype=X.dtype)
    noise = torch.tensor(0.1, dtype=X.dtype)  # a variance
    for _ in range(steps):
        # by the factor F of C, phi = mean + F z: C itself may be nearly singular, I + F' gram F / noise never is
        F = torch.linalg.cholesky(C)
        V = covariance(F, torch.eye(len(C), dtype=C.dtype) + F.T @ (gram / noise) @ F)
        m = mean + (V @ (moment - gram @ mean)[..., None])[..., 0] / noise
        mean = m.mean(0)
        C = (V + torch.einsum("if,ig->ifg", m - mean, m - mean)).mean(0) + FLOOR * torch.eye(len(mean), dtype=X.dtype)
        residual = (seen * (y - m @ X.T).square()).sum() + (V * gram).sum()
        noise = (residual / seen.sum()).clamp(min=FLOOR)
    return {"mean": mean.float(), "factor": torch.linalg.cholesky(C).float(), "log_noise": (noise.log() / 2).float()}


def fit_choices(offers: Tensor, choices: Tensor, *, steps: int = 40, newton_steps: int = 2) -> Params:
    """Fit the theta of `prior.choice_prior`: ``offers (customer, question, alternative, feature)``, ``choices``.

    choices ``(customer, question)`` is -1 where there is no answer. The same rounds, with each customer's posterior
    taken as normal around its highest point (Laplace's approximation; Train 2009, section 12.7 says where it is
    rough): covariance = factor H^-1 factor', H the curvature there.

    >>> offers = torch.tensor([[[[1.0], [0.0]]], [[[1.0], [0.0]]]])
    >>> fit_choices(offers, torch.tensor([[0], [0]]), steps=5)["mean"] > 0  # both take the first
    tensor([True])
    """
    check_count("steps", steps, at_least=1)
    theta = {name: WIDE[name] * p.double() for name, p in wide_prior(offers.shape[-1]).items()}
    offers, n = offers.double(), len(offers)
    z = torch.zeros(n, offers.shape[-1], dtype=offers.dtype)
    for _ in range(steps):
        for _ in range(newton_steps):
            slope, H = _slopes(theta, z, offers, choices)
            z = newton_step(z, slope, H)
        _, H = _slopes(theta, z, offers, choices)
        w = theta["mean"] + z @ theta["factor"].T
        V = covariance(theta["factor"], H)
        mean = w.mean(0)
        C = (V + torch.einsum("if,ig->ifg", w - mean, w - mean)).mean(0) + FLOOR * torch.eye(len(mean), dtype=w.dtype)
        theta = {"mean": mean, "factor": torch.linalg.cholesky(C)}
        z = torch.linalg.solve_triangular(theta["factor"], (w - mean).T, upper=False).T  # go on where it was
    return {name: p.float() for name, p in theta.items()}


def _slopes(theta: Params, z: Tensor, offers: Tensor, choices: Tensor) -> tuple[Tensor, Tensor]:
    one = lambda z, x, y: choice_slopes(theta, z, Batch(x, y), y >= 0)  # noqa: E731
    return torch.func.vmap(one)(z, offers, choices)
