"""The fast path of `methods_fewer_numbers` for a ReLU network and the mean squared error: all tasks at once.

Nothing is checked here, and no task is looked at by itself: numbers lead with the task dimension, theta does not.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mapping_lib.inner_loop import inner_step
from mapping_lib.task import Batch, Params, Task


def forward(weights: list[Tensor], x: Tensor) -> Tensor:
    """Run the network [W_1, b_1, W_2, ...] on ``x (task, example, feature)``; a W or b may lead with the task or not.

    >>> forward([torch.ones(1, 1), torch.tensor([[0.0], [5.0]])], torch.ones(2, 3, 1))[:, 0, 0]
    tensor([1., 6.])
    """
    for i, (weight, bias) in enumerate(zip(weights[0::2], weights[1::2], strict=True)):
        x = x.relu() if i else x
        x = nn.functional.linear(x, weight) if weight.dim() == 2 else torch.bmm(x, weight.mT)
        x = x + (bias if bias.dim() == 1 else bias.unsqueeze(-2))
    return x


Written = Callable[[Params], list[Tensor]]
"""phi, theta and the numbers together, -> the weights that `forward` reads."""


@torch.enable_grad()
def meta_gradient(
    write: Written, zeros: Params, theta: Params, tasks: Task, alpha: float, steps: int
) -> tuple[Tensor, Params]:
    """The mean query loss after ``steps`` steps of the numbers from ``zeros``, and its gradient by all of theta."""
    theta = {name: p.detach().requires_grad_() for name, p in theta.items()}
    new = _one_each(zeros, len(tasks.query.x))
    for _ in range(steps if tasks.support.x.shape[1] else 0):
        new = _step(write, theta, new, tasks.support, alpha, create_graph=True)
    loss = _missed(write, theta, new, tasks.query).mean()
    slopes = torch.autograd.grad(loss, [*theta.values()], materialize_grads=True)
    return loss.detach(), dict(zip(theta, slopes, strict=True))


@torch.enable_grad()
def adapt_path(write: Written, zeros: Params, theta: Params, support: Batch, alpha: float, steps: int) -> Params:
    """phi of every task after 0 ... ``steps`` steps: ``(steps + 1, task, ...)``."""
    theta = {name: p.detach() for name, p in theta.items()}
    path = [_one_each(zeros, len(support.x))]
    for _ in range(steps):
        new = _step(write, theta, path[-1], support, alpha) if support.x.shape[1] else path[-1]
        path.append({name: p.detach().requires_grad_() for name, p in new.items()})
    shared = {name: p.expand(steps + 1, len(support.x), *p.shape) for name, p in theta.items()}
    return shared | {name: torch.stack([new[name].detach() for new in path]) for name in zeros}


def _one_each(zeros: Params, n_tasks: int) -> Params:
    return {name: p.detach().expand(n_tasks, *p.shape).clone().requires_grad_() for name, p in zeros.items()}


def _missed(write: Written, theta: Params, new: Params, batch: Batch) -> Tensor:
    return (forward(write(theta | new), batch.x) - batch.y).square()


def _step(write: Written, theta: Params, new: Params, support: Batch, alpha: float, **how: bool) -> Params:
    """One inner step of every task's numbers."""
    loss = _missed(write, theta, new, support).mean((1, 2)).sum()
    slopes = torch.autograd.grad(loss, [*new.values()], materialize_grads=True, **how)
    return inner_step(new, dict(zip(new, slopes, strict=True)), alpha)
