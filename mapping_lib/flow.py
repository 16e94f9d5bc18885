"""Adaptation in continuous time. Gradient flow d phi / d tau = - grad L(phi), phi(0) = theta.

An inner step with step size alpha is one Euler step of length alpha. Here the flow itself is followed, by
the classical Runge-Kutta method of order 4.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.inner_loop import Objective
from mapping_lib.task import Params


def flow_step(params: Params, gradient: Callable[[Params], Params], length: float | Tensor) -> Params:
    """Follow the flow for a time ``length`` in one Runge-Kutta step (Hairer et al. 1993, II.1, table 1.2).

    ``gradient`` maps parameters to the gradient there; it is asked four times. The error is of order length^5.

    >>> flow_step({"w": torch.tensor(1.0)}, lambda p: {"w": p["w"]}, length=1.0)  # exp(-1) = 0.3679
    {'w': tensor(0.3750)}
    """

    def at(share: float, slope: Params) -> Params:
        return {name: p - share * length * slope[name] for name, p in params.items()}

    k1 = gradient(params)
    k2 = gradient(at(0.5, k1))
    k3 = gradient(at(0.5, k2))
    k4 = gradient(at(1.0, k3))
    return at(1 / 6, {name: k1[name] + 2 * k2[name] + 2 * k3[name] + k4[name] for name in params})


def gradient_flow(params: Params, objective: Objective, *, tau: float | Tensor, steps: int) -> Params:
    """phi(tau): follow the flow from ``params`` for a time ``tau``, in ``steps`` equal Runge-Kutta steps.

    Differentiable in ``params`` and in ``tau``; d phi / d tau is minus the gradient at phi. ``steps`` >= 0;
    a step is stable while its length times the largest curvature stays below 2.78.

    >>> phi = gradient_flow({"w": torch.tensor(1.0)}, lambda p: 0.5 * p["w"] ** 2, tau=1.0, steps=10)
    >>> round(float(phi["w"]), 4)
    0.3679
    """
    gradient = torch.func.grad(objective)
    for _ in range(steps):
        params = flow_step(params, gradient, tau / steps)
    return dict(params)
