"""The fast path, MAML's gradient for a ReLU network with mean squared error, derived by hand.

All tasks are computed at once: activations are ``(task, example, unit)`` and adapted weights carry a
leading task dimension. Parameters are a flat list ``[W_1, b_1, W_2, b_2, ...]`` with W of shape
``(..., out, in)``, as in `torch.nn.Linear`. The meta-gradient is the chain rule read from the end,

    v <- grad L_Q(phi_m),   v <- v - H_S(phi_i) (alpha v)   for i = m-1 ... 0,

with one Hessian-vector product a step (Pearlmutter 1994, the R-operator): no graph is built and no
third derivative is ever needed. `tests/test_batched_mlp.py` holds it to the general path in float64.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mapping_lib.task import Batch


class MetaGradient(NamedTuple):
    """The meta-loss, its gradient by each parameter, and its gradient by each alpha (or None)."""

    loss: Tensor
    params: list[Tensor]
    alpha: list[Tensor] | None


def is_relu_mlp(network: nn.Module) -> bool:
    """Whether ``network`` is exactly Linear, ReLU, Linear, ..., Linear with biases, as `mlp` makes it, none frozen.

    >>> from mapping_lib.networks import mlp
    >>> is_relu_mlp(mlp((1, 40, 1))), is_relu_mlp(mlp((1, 40, 1), nn.Tanh))
    (True, False)
    """
    if type(network) is not nn.Sequential or len(network) % 2 == 0:
        return False
    linear = all(type(layer) is nn.Linear and layer.bias is not None for layer in network[0::2])
    learns = all(p.requires_grad for p in network.parameters())
    return linear and learns and all(type(layer) is nn.ReLU for layer in network[1::2])


def forward(params: list[Tensor], x: Tensor) -> list[Tensor]:
    """Run the network on ``x (task, example, feature)``; return the input and every layer's output."""
    hidden = [x]
    for weight, bias in zip(params[0::2], params[1::2], strict=True):
        if len(hidden) > 1:
            hidden[-1].clamp_min_(0.0)
        if weight.dim() == 2:  # shared by all tasks: one flat product is much cheaper
            hidden.append(nn.functional.linear(hidden[-1], weight, bias))
        else:
            hidden.append(torch.baddbmm(bias.unsqueeze(-2), hidden[-1], weight.mT))
    return hidden


def backward(params: list[Tensor], hidden: list[Tensor], delta: Tensor) -> list[Tensor]:
    """From the loss's derivative by the output, give its derivative by every layer's pre-activation."""
    deltas = [delta]
    for weight, h in zip(params[-2:0:-2], hidden[-2:0:-1], strict=True):
        deltas.append(_times(deltas[-1], weight).mul_(h.sign()))  # h >= 0: its sign is the slope of ReLU
    return deltas[::-1]


def loss_gradient(
    params: list[Tensor], batch: Batch, weight: Tensor | None = None
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Gradient of each task's mean squared error, with the activations and deltas it was made of.

    With ``weight (task, example)`` squared errors are summed with these weights instead.
    """
    hidden = forward(params, batch.x)
    missed = hidden[-1] - batch.y
    deltas = backward(params, hidden, _mse_slope(missed) if weight is None else 2 * weight[..., None] * missed)
    return _outer_products(hidden, deltas), hidden, deltas


def hessian_product(params, hidden, deltas, v: list[Tensor]) -> list[Tensor]:
    """Multiply each task's Hessian, at the point where ``hidden`` and ``deltas`` were made, by ``v``.

    Every quantity of the forward and backward pass is differentiated in the direction ``v``. Where the
    parameters are shared by all tasks, the products come back summed over the tasks.
    """
    relu_slopes = [h.sign() for h in hidden[1:-1]]
    moved = [None]  # d hidden in the direction v; the input does not move
    for i, (weight, v_weight, v_bias) in enumerate(zip(params[0::2], v[0::2], v[1::2], strict=True)):
        change = torch.baddbmm(v_bias.unsqueeze(-2), hidden[i], v_weight.mT)
        if i > 0:
            change += _times(moved[i], weight.mT)
        moved.append(change.mul_(relu_slopes[i]) if i < len(relu_slopes) else change)
    slopes = [_mse_slope(moved[-1])]
    for i in range(len(relu_slopes), 0, -1):
        slope = torch.baddbmm(_times(slopes[-1], params[2 * i]), deltas[i], v[2 * i])
        slopes.append(slope.mul_(relu_slopes[i - 1]))
    slopes = slopes[::-1]
    if params[0].dim() == 2:
        hidden, deltas, slopes = ([t.flatten(0, 1) for t in ts] for ts in (hidden, deltas, slopes))
        moved = [None] + [t.flatten(0, 1) for t in moved[1:]]
    product = _outer_products(hidden, slopes)
    for i in range(1, len(deltas)):
        product[2 * i] += _times(deltas[i].mT, moved[i])
    return product


@torch.no_grad()
def adapt(params: list[Tensor], alpha: list[Tensor], support: Batch, steps: int) -> list[Tensor]:
    """Take ``steps`` inner steps on every task, from one start for all or (with a task dimension) one for each.

    The result has a task dimension if the start has one, or a step was taken.
    """
    for _ in range(steps if support.x.shape[1] else 0):
        params = step(params, alpha, loss_gradient(params, support)[0])
    return params


def adapt_path(params: list[Tensor], alpha: list[Tensor], support: Batch, steps: int) -> list[list[Tensor]]:
    """Like `adapt`, from one start for all; return all ``steps + 1`` iterates, each task by itself."""
    path = [params]
    for _ in range(steps):
        path.append(adapt(path[-1], alpha, support, 1))
    n_tasks = len(support.x)
    return [
        [q if q.dim() > p.dim() else q.expand(n_tasks, *p.shape) for q, p in zip(phi, params, strict=True)]
        for phi in path
    ]


@torch.no_grad()
def meta_gradient(
    params: list[Tensor],
    alpha: list[Tensor],
    support: Batch,
    query: Batch,
    *,
    steps: int,
    first_order: bool = False,
    alpha_too: bool = False,
) -> MetaGradient:
    """Gradient of the mean query loss after ``steps`` inner steps (Finn et al. 2017, algorithm 2).

    ``alpha`` holds one tensor a parameter (without dimensions, or of the parameter's shape);
    ``alpha_too`` asks for the gradient by it as well (Li et al. 2017, Meta-SGD).
    """
    with torch.inference_mode():  # as no_grad, but leaner: no views or versions are tracked
        phi, trace = params, []
        for _ in range(steps if support.x.shape[1] else 0):
            gradient, hidden, deltas = loss_gradient(phi, support)
            trace.append((phi, hidden, deltas, gradient))
            phi = step(phi, alpha, gradient)
        v, hidden, _ = loss_gradient(phi, query)
        loss = (hidden[-1] - query.y).square().mean()
        d_alpha = [torch.zeros_like(p) for p in params] if alpha_too else None
        for phi, hidden, deltas, gradient in reversed(trace):
            if alpha_too:
                d_alpha = [d - (g * u).sum(0) for d, g, u in zip(d_alpha, gradient, v, strict=True)]
            if not first_order:
                product = hessian_product(phi, hidden, deltas, [a * u for a, u in zip(alpha, v, strict=True)])
                v = [u.sum(0) if h.dim() < u.dim() else u for u, h in zip(v, product, strict=True)]
                v = [u - h for u, h in zip(v, product, strict=True)]
        v = [u.sum(0) if u.dim() > p.dim() else u for u, p in zip(v, params, strict=True)]
    n_tasks = query.x.shape[0]  # made out here, the results are ordinary tensors again, fit for autograd
    return MetaGradient(loss.clone(), [u / n_tasks for u in v], d_alpha and [d / n_tasks for d in d_alpha])


def _times(a: Tensor, b: Tensor) -> Tensor:
    """a @ b, without the detour that `@` takes where both have a task dimension."""
    return torch.bmm(a, b) if b.dim() == 3 else a @ b


def _mse_slope(residual: Tensor) -> Tensor:
    """The derivative of the mean square of ``residual (task, example, feature)``, each task by itself."""
    return residual * (2.0 / (residual.shape[-2] * residual.shape[-1]))


def _outer_products(inputs: list[Tensor], deltas: list[Tensor]) -> list[Tensor]:
    """Sum delta input^T over the examples, layer by layer: the gradient by each weight and bias."""
    return [
        g for h, delta in zip(inputs[: len(deltas)], deltas, strict=True) for g in (_times(delta.mT, h), delta.sum(-2))
    ]


def step(params: list[Tensor], alpha: list[Tensor], gradient: list[Tensor]) -> list[Tensor]:
    """One inner step, params - alpha * gradient, whether or not the parameters have a task dimension."""
    return [torch.addcmul(p, a, g, value=-1) for p, a, g in zip(params, alpha, gradient, strict=True)]
