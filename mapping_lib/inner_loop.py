"""Floor 1: the inner loop, a mapping from (parameters, evidence) to adapted parameters.

This is the general path: any network, any loss, differentiable and vmappable. `batched_mlp` computes
the same for one kind of network, faster.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from mapping_lib.task import Batch, Params

StepSize = float | Mapping[str, float | Tensor]
"""One alpha for all parameters, or one for each name: a number or a tensor of the parameter's shape."""

Objective = Callable[[Params], Tensor]
"""What an inner step descends: params -> a loss (a tensor without dimensions)."""


def mean_squared_error(y_hat: Tensor, y: Tensor) -> Tensor:
    """The mean of (y_hat - y)^2; ValueError where the shapes differ: (10, 1) against (10,) would broadcast.

    >>> mean_squared_error(torch.zeros(4, 1), torch.full((4, 1), 2.0))
    tensor(4.)
    """
    if y_hat.shape != y.shape:
        raise ValueError(
            f"y has shape {tuple(y.shape)}; allowed: {tuple(y_hat.shape)}, that of the network's output,"
            " or another loss or measure (evaluate_by_step takes one as error=...)"
        )
    return torch.nn.functional.mse_loss(y_hat, y)


def step_size(alpha: StepSize, name: str) -> float | Tensor:
    """Give the alpha that belongs to one parameter.

    >>> step_size(0.1, "bias"), step_size({"bias": 0.2}, "bias")
    (0.1, 0.2)
    """
    return alpha[name] if isinstance(alpha, Mapping) else alpha


def inner_step(params: Params, gradient: Params, alpha: StepSize) -> Params:
    """Take one gradient step, phi' = phi - alpha * gradient (Finn et al. 2017, eq. 1); nothing is mutated.

    >>> import torch
    >>> inner_step({"w": torch.tensor(1.0)}, {"w": torch.tensor(2.0)}, alpha=0.25)
    {'w': tensor(0.5000)}
    """
    return {name: p - step_size(alpha, name) * gradient[name] for name, p in params.items()}


def support_objective(predict: Callable, loss: Callable, support: Batch | Callable) -> Objective:
    """The loss on the support, as a function of the parameters.

    ``support`` is a `Batch`, or (in reinforcement learning) a function from parameters to the `Batch`
    that those parameters bring about.
    """

    def objective(params: Params) -> Tensor:
        batch = support(params) if callable(support) else support
        return loss(predict(params, batch.x), batch.y)

    return objective


def adapt(params: Params, objective: Objective, *, alpha: StepSize, steps: int, first_order: bool = False) -> Params:
    """Take ``steps`` >= 0 inner steps down ``objective`` and return the adapted parameters.

    The result is a differentiable function of ``params`` and ``alpha``. With ``first_order`` the
    *gradient* is treated as a constant (Finn et al. 2017, section 5.2): d phi / d params is then the
    identity. The parameters themselves are never detached, or nothing could be learned.

    >>> import torch
    >>> bowl = lambda params: 0.5 * params["w"] ** 2
    >>> adapt({"w": torch.tensor(1.0)}, bowl, alpha=0.5, steps=3)
    {'w': tensor(0.1250)}
    """
    params = dict(params)
    for _ in range(steps):
        gradient = torch.func.grad(objective)(params)
        if first_order:
            gradient = {name: g.detach() for name, g in gradient.items()}
        params = inner_step(params, gradient, alpha)
    return params


def adapt_path(params: Params, objective: Objective, *, alpha: StepSize, steps: int) -> Params:
    """Like `adapt`, but keep every iterate: each tensor gains a leading dimension of ``steps + 1``.

    Entry 0 is ``params`` itself.

    >>> import torch
    >>> adapt_path({"w": torch.tensor(1.0)}, lambda p: 0.5 * p["w"] ** 2, alpha=0.5, steps=2)
    {'w': tensor([1.0000, 0.5000, 0.2500])}
    """
    path = [params]
    for _ in range(steps):
        path.append(adapt(path[-1], objective, alpha=alpha, steps=1))
    return {name: torch.stack([params[name] for params in path]) for name in params}


def train_each(
    predict: Callable, loss: Callable, starts: Params, batch: Batch, *, steps: int, lr: float = 0.01
) -> Iterator[Params]:
    """Train a network of its own for every task, by Adam; yield all parameters after each of ``steps`` steps.

    ``starts`` and ``batch`` lead with the task dimension. What is yielded shares memory with the next: copy
    what you keep. Kingma & Ba 2015, algorithm 1, for each task by itself.

    >>> batch = Batch(torch.ones(2, 1, 1), torch.tensor([2.0, -3.0]).view(2, 1, 1))
    >>> line = lambda params, x: params["w"] * x
    >>> *_, last = train_each(line, mean_squared_error, {"w": torch.zeros(2)}, batch, steps=300, lr=0.1)
    >>> last["w"]
    tensor([ 2.0000, -3.0000])
    """
    params = {name: p.detach().clone().requires_grad_() for name, p in starts.items()}
    adam = torch.optim.Adam(params.values(), lr=lr, fused=True)
    for _ in range(steps):
        adam.zero_grad()
        y_hat = torch.func.vmap(predict)(params, batch.x)
        torch.func.vmap(loss)(y_hat, batch.y).sum().backward()
        adam.step()
        yield {name: p.detach() for name, p in params.items()}
