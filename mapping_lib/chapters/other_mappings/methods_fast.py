"""The fast paths of the hypernetwork and of MAML: the paper's network, many tasks at once, each tensor led by the task.

They are `batched_mlp`'s, without a check of what they are given, so that `mapping_lib.page.program` can trace them.
"""

import torch
from torch import Tensor

from mapping_lib import batched_mlp
from mapping_lib.task import Batch


def written(writer: list[Tensor], base: list[Tensor], descriptions: Tensor) -> list[Tensor]:
    """phi = base + h(d) for descriptions ``(task, feature)``; h is an `mlp` whose parameters are ``writer``."""
    rows = batched_mlp.forward(list(writer), descriptions[None])[-1][0].split([p.numel() for p in base], 1)
    return [p + part.view(-1, *p.shape) for p, part in zip(base, rows, strict=True)]


def inner_step(phi: list[Tensor], x: Tensor, y: Tensor, alpha: float) -> list[Tensor]:
    """One inner step of every task, on points ``(task, example)``; without a point there is none."""
    rates = [torch.tensor(alpha, dtype=x.dtype)] * len(phi)
    return batched_mlp.adapt.__wrapped__(list(phi), rates, Batch(x[..., None], y[..., None]), 1)


def curves(phi: list[Tensor], x: Tensor) -> Tensor:
    """What the networks of all tasks draw at ``x (point,)``: ``(task, point)``."""
    return batched_mlp.forward(list(phi), x[None, :, None].expand(phi[0].shape[0], -1, 1))[-1][..., 0]


def power_step(phi: list[Tensor], direction: list[Tensor], x: Tensor, y: Tensor) -> tuple[list[Tensor], Tensor]:
    """Multiply a direction, made one long, by the Hessian of one task's loss; give this and the curvature along it.

    Repeated, it finds the largest curvature (the power method). Shapes as for `inner_step`, with one task.
    """
    size = sum(v.square().sum() for v in direction).sqrt().clamp_min(1e-20)
    unit = [v / size for v in direction]
    _, hidden, deltas = batched_mlp.loss_gradient(list(phi), Batch(x[..., None], y[..., None]))
    product = batched_mlp.hessian_product(list(phi), hidden, deltas, unit)
    return product, sum((p * u).sum() for p, u in zip(product, unit, strict=True))


def median(values: Tensor) -> Tensor:
    """The mean of the two in the middle along the last dimension, of an even number of finite values.

    >>> median(torch.tensor([[3.0, 1.0, 9.0, 1.0]]))
    tensor([2.])
    """
    not_above = (values[..., :, None] >= values[..., None, :]).sum(-1)
    half, largest = values.shape[-1] // 2, values.amax(-1, keepdim=True)
    low, high = (torch.where(not_above >= n, values, largest).amin(-1) for n in (half, half + 1))
    return (low + high) / 2
