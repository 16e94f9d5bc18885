"""Adaptation in continuous time: (theta, tau, S) -> phi(tau), with the time tau learned."""

import math

import torch
from torch import nn

from mapping_lib import flow
from mapping_lib.checks import check_count, check_number
from mapping_lib.inner_loop import Loss, strict, support_objective
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.many_tasks import learner_by_steps
from mapping_lib.networks import functional
from mapping_lib.task import Batch, Params

LOG_TAU = "log_tau"
"""The name under which theta holds the logarithm of the adaptation time."""


def gradient_flow(network: nn.Module, loss: Loss, *, tau: float = 0.1, steps: int = 10) -> MetaLearner:
    """Follow the gradient flow of the support loss for a time tau; learn where to begin, and for how long.

    phi(0) = theta, d phi / d t = - grad L_S(phi), phi = phi(tau). theta holds the network's weights and
    ``log_tau``, which begins at log(``tau``). ``steps`` >= 1 Runge-Kutta steps follow the flow; adapting with
    ``steps=k`` stops at k / ``steps`` of the time. MAML's m inner steps are Euler's method for tau = alpha m.
    The network should be smooth (tanh). Raises ValueError for a value out of range or an unfit network.

    >>> from mapping_lib.networks import mlp
    >>> learner = gradient_flow(mlp((1, 8, 1), nn.Tanh), nn.functional.mse_loss, tau=0.5)
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> round(float(theta["log_tau"].exp()), 3)
    0.5
    """
    model, loss = functional(network), strict(loss)
    log_tau = math.log(check_number("tau", tau, above=0))
    whole = check_count("steps", steps, at_least=1)
    if LOG_TAU in model.shapes:
        raise ValueError(f"network has a parameter named {LOG_TAU!r}; allowed: any other name")
    shapes = model.shapes | {LOG_TAU: torch.Size()}

    def init(*, generator: torch.Generator) -> Params:
        return model.init(generator=generator) | {LOG_TAU: torch.tensor(log_tau, dtype=model.dtype)}

    def iterates(theta: Params, support: Batch, steps: int) -> list[Params]:
        gradient = torch.func.grad(support_objective(model.predict, loss, support))
        phis, length = [{name: theta[name] for name in model.shapes}], theta[LOG_TAU].exp() / whole
        for _ in range(steps):
            phis.append(flow.flow_step(phis[-1], gradient, length))
        return phis

    return learner_by_steps(model, loss, init=init, iterates=iterates, steps=whole, shapes=shapes)
