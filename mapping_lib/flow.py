"""Adaptation in continuous time. Gradient flow d phi / d tau = - grad L(phi), phi(0) = theta.

An inner step with step size alpha is one Euler step of length alpha. Here the flow itself is followed, by
the classical Runge-Kutta method of order 4.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.checks import check_count, check_number
from mapping_lib.inner_loop import Objective
from mapping_lib.params import flat
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


def flow_to_tolerance(
    params: Params, objective: Objective, *, tau: float, tolerance: float = 1e-6, max_steps: int = 2**14
) -> tuple[Params, int]:
    """Follow the flow with twice as many steps each time, until doubling moves no parameter by ``tolerance``.

    Returns phi(tau) and the number of Runge-Kutta steps that it took. Raises ValueError for arguments out of
    range and ArithmeticError where ``max_steps`` are not enough. Not for use inside `torch.func.vmap`.

    >>> phi, steps = flow_to_tolerance({"w": torch.tensor(1.0)}, lambda p: 0.5 * p["w"] ** 2, tau=1.0)
    >>> round(float(phi["w"]), 5), steps
    (0.36788, 16)
    """
    check_number("tau", tau, at_least=0)
    check_number("tolerance", tolerance, above=0)
    check_count("max_steps", max_steps, at_least=2)
    steps, coarse = 1, gradient_flow(params, objective, tau=tau, steps=1)
    while 2 * steps <= max_steps:
        steps *= 2
        fine = gradient_flow(params, objective, tau=tau, steps=steps)
        moved = float((flat(fine) - flat(coarse)).abs().max())  # nan where the flow was lost: that is no success
        if moved <= tolerance:
            return fine, steps
        coarse = fine
    raise ArithmeticError(
        f"tolerance is {tolerance:g}, and {steps} steps up to tau = {tau:g} still moved a parameter by {moved:.2g};"
        " allowed: a larger tolerance, a shorter tau, or more max_steps"
    )
