"""The inner loop, a mapping from (parameters, evidence) to adapted parameters.

This is the general path: any network, any loss, differentiable and vmappable. `batched_mlp` computes
the same for one kind of network, faster.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mapping_lib.over_tasks import over_tasks, stacked
from mapping_lib.task import Batch, Params

StepSize = float | Mapping[str, float | Tensor]
"""One alpha for all parameters, or one for each name: a number or a tensor of the parameter's shape."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""(y_hat, y) -> a tensor without dimensions, such as `torch.nn.functional.mse_loss`."""

Objective = Callable[[Params], Tensor]
"""What an inner step descends: params -> a loss (a tensor without dimensions)."""


def mean_squared_error(y_hat: Tensor, y: Tensor) -> Tensor:
    """The mean of (y_hat - y)^2; ValueError where the shapes differ: (10, 1) against (10,) would broadcast.

    >>> mean_squared_error(torch.zeros(4, 1), torch.full((4, 1), 2.0))
    tensor(4.)
    """
    if y_hat.shape != y.shape:
        raise ValueError(_would_broadcast(y_hat, y))
    return torch.nn.functional.mse_loss(y_hat, y)


def strict(loss: Loss) -> Loss:
    """The same loss (or measure), which raises ValueError where it would broadcast y_hat against y.

    (10, 1) against (10,) makes (10, 10) differences, of which ninety are between strangers. Where the shapes differ,
    no operation may take both y_hat and y as they are (labels: no elementwise one); a loss that takes y_hat apart
    first, as a Gaussian's mean and variance, may. PyTorch's mean squared error becomes `mean_squared_error`.
    Labels may be of any whole-number dtype.

    >>> strict(torch.nn.MSELoss()).__name__
    'mean_squared_error'
    >>> strict(torch.nn.functional.l1_loss)(torch.zeros(4, 1), torch.zeros(4))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: y has shape (4,); allowed: (4, 1), that of the network's output, or ...
    """
    if loss is torch.nn.functional.mse_loss or (type(loss) is torch.nn.MSELoss and loss.reduction == "mean"):
        return mean_squared_error
    if getattr(loss, "is_strict", False) or loss is mean_squared_error:
        return loss

    def checked(y_hat: Tensor, y: Tensor) -> Tensor:
        y = y.long() if getattr(y, "dtype", None) in SHORT else y
        if getattr(y_hat, "shape", None) == getattr(y, "shape", None):
            return loss(y_hat, y)
        with _NoBroadcast(y_hat, y):
            return loss(y_hat, y)

    checked.is_strict = True
    return checked


class _NoBroadcast(TorchFunctionMode):
    """Raise where an operation of this thread is given both y_hat and y."""

    def __init__(self, y_hat: Tensor, y: Tensor) -> None:
        super().__init__()
        self.y_hat, self.y = y_hat, y

    def __torch_function__(self, func, types, args=(), kwargs=None):
        given = [*args, *(kwargs or {}).values()]
        both = any(a is self.y_hat for a in given) and any(a is self.y for a in given)
        if both and (self.y.is_floating_point() or getattr(func, "__name__", "") in ELEMENTWISE):
            raise ValueError(_would_broadcast(self.y_hat, self.y))
        return func(*args, **(kwargs or {}))


SHORT = {torch.int8, torch.int16, torch.int32, torch.uint8}
"""Labels of these are widened: PyTorch's losses want int64."""

ELEMENTWISE = {"sub", "__sub__", "__rsub__", "rsub", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"}
"""Operations that labels have no business in; a cross entropy is given both, and means it."""


def _would_broadcast(y_hat: Tensor, y: Tensor) -> str:
    return (
        f"y has shape {tuple(y.shape)}; allowed: {tuple(y_hat.shape)}, that of the network's output,"
        " or another loss or measure (evaluate_by_step takes one as error=...)"
    )


def step_size(alpha: StepSize, name: str) -> float | Tensor:
    """Give the alpha that belongs to one parameter.

    >>> step_size(0.1, "bias"), step_size({"bias": 0.2}, "bias")
    (0.1, 0.2)
    """
    return alpha[name] if isinstance(alpha, Mapping) else alpha


def inner_step(params: Params, gradient: Params, alpha: StepSize) -> Params:
    """Take one gradient step, phi' = phi - alpha * gradient; nothing is mutated.

    Finn et al. 2017, algorithm 1, line 6. (The step has no equation number there: their eq. 1 is the outer step.)

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
    return stacked(path)


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
        over_tasks(lambda p, b: loss(predict(p, b.x), b.y), params, batch).sum().backward()
        adam.step()
        yield {name: p.detach() for name, p in params.items()}
