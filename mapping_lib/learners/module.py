"""Ordinary PyTorch code under the contract: a model that is changed in place, and `.grad` as the result."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mapping_lib.learners import MetaLearner
from mapping_lib.modules import check_network, draw_parameters, trainable
from mapping_lib.task import Batch, Params, Task

_LOCKS: WeakKeyDictionary[nn.Module, RLock] = WeakKeyDictionary()
"""One lock for every model that is lent."""


def from_module(
    model: nn.Module,
    backward: Callable[[nn.Module, Task], Tensor],
    adapt: Callable[[nn.Module, Batch], nn.Module | Params],
    *,
    claims: Literal["exact", "first order", "no gradient"] = "exact",
) -> MetaLearner:
    """Make a learner of code that works on a model, without changing the code.

    ``backward(model, tasks)`` returns the meta-loss and leaves the direction in the parameters' ``.grad``
    (a missing one counts as zero). ``adapt(model, support)`` returns the adapted model, or its parameters
    by name (those it leaves out stay as in theta); it decides the number of inner steps itself. theta is
    *lent* to the model, not copied: what the code does to the model in place, it does to theta, and the
    doctor will see it. Afterwards the model has its own parameters back. Frozen parameters
    (``requires_grad_(False)``) are the model's own, and not lent. A model can be lent to one thread at a time: calls
    from others wait, also those of another learner of the same model.

    >>> model = nn.Linear(1, 1)
    >>> def backward(model, tasks):
    ...     loss = (model(tasks.query.x) - tasks.query.y).square().mean()
    ...     loss.backward()
    ...     return loss
    >>> learner = from_module(model, backward, lambda model, support: model, claims="no gradient")
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> learner.predict(learner.adapt(theta, None), torch.zeros(3, 1)).shape
    torch.Size([3, 1])
    """
    check_network(model)
    lock = _LOCKS.setdefault(model, RLock())

    def init(*, generator: torch.Generator) -> Params:
        with lock:
            return draw_parameters(model, generator)

    @contextmanager
    def lent(theta: Params) -> Iterator[None]:
        with lock:
            own = {name: (p, p.data, p.grad) for name, p in trainable(model).items()}
            for name, (p, _, _) in own.items():
                p.data, p.grad = theta[name], None
            try:
                yield
            finally:
                for name, (p, data, grad) in own.items():
                    left, p.grad, p.data = p.data, None, data
                    p.grad = grad
                    theta[name].copy_(left)  # where code gave the parameter new memory, theta has not seen it yet

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        with lent(theta):
            meta_loss = backward(model, tasks)
            grads = {name: p.grad for name, p in trainable(model).items()}
        if not isinstance(meta_loss, Tensor):  # a Python number has the precision of float64
            meta_loss = torch.tensor(meta_loss, dtype=torch.float64)
        return meta_loss.detach(), {n: torch.zeros_like(theta[n]) if g is None else g for n, g in grads.items()}

    def adapt_lent(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        with lent(theta):
            phi = adapt(model, support)
            phi = trainable(phi) if isinstance(phi, nn.Module) else phi
            if strange := phi.keys() - theta.keys():
                raise ValueError(f"adapt gave parameters named {sorted(strange)}; allowed: {sorted(theta)}")
            return {name: phi.get(name, p).detach().clone() for name, p in theta.items()}

    def predict(phi: Params, x: Tensor) -> Tensor:
        with lock:
            return functional_call(model, phi, (x,))

    return MetaLearner(init, adapt_lent, predict, meta_grad, claims)
