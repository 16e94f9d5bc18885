"""Conditional neural processes: a set is read into one vector, from which a mean and a deviation are told for each x.

The mapping is S -> phi, and phi is short: a network's fixed numbers, the same for all tasks, and the vector r. Beside
it stand the readers that tell what the mean in r costs: `SetReader` pools by a mean or by attention, over examples that
were read each alone or with a look at each other.
"""

import torch
from torch import Tensor, nn

from mapping_lib.checks import check_batch, check_choice, check_count, check_tasks, check_theta
from mapping_lib.learners import MetaLearner
from mapping_lib.networks import functional, mlp
from mapping_lib.params import prefixed
from mapping_lib.task import Batch, Params, Task

from .methods_density import Density, Forecaster, Said

EACH, TOGETHER, READ = "each.", "together.", "r"
"""theta holds the reader's numbers under ``each.name`` and the teller's under ``together.name``; phi these and r."""


def neural_process(each: nn.Module, together: nn.Module, kind: Density) -> Forecaster:
    """Read a set into r, the mean of e(x_i, y_i), and tell p(y) from (r, x) (Garnelo et al. 2018).

    ``each`` is e: from x and y side by side ``(..., n_x + n_y)`` to a vector ``(..., width)``. ``together`` maps r
    and x side by side ``(..., width + n_x)`` to the ``kind.n_out`` raw numbers of a distribution. The mean of no
    example is 0, and there are no inner steps (``steps`` may be None or 0). The meta-loss is the mean of
    -log p(y | x, S), as in their training, and the direction its exact gradient. Raises ValueError for unfit modules,
    more than 0 steps and tasks that do not fit.

    >>> from .methods_density import Normal
    >>> process = neural_process(mlp((2, 8, 8)), mlp((9, 8, 2)), Normal())
    >>> theta = process.learner.init(generator=torch.Generator().manual_seed(0))
    >>> phi = process.learner.adapt(theta, Batch(torch.zeros(5, 1), torch.ones(5, 1)))
    >>> phi["r"].shape, process.density(phi, torch.zeros(3, 1)).deviation.shape
    (torch.Size([8]), torch.Size([3, 1]))
    """
    e, teller = functional(each), functional(together)
    shapes = prefixed(EACH, e.shapes) | prefixed(TOGETHER, teller.shapes)

    def init(*, generator: torch.Generator) -> Params:
        return prefixed(EACH, e.init(generator=generator)) | prefixed(TOGETHER, teller.init(generator=generator))

    def read(theta: Params, support: Batch) -> Tensor:
        """The mean of e over the examples: ``(..., width)``."""
        seen = e.predict(_part(theta, EACH, e.shapes), torch.cat([support.x, support.y], -1))
        return seen.sum(-2) / max(seen.shape[-2], 1)

    def tell(theta: Params, r: Tensor, x: Tensor) -> Tensor:
        r = r.unsqueeze(-2).expand(*x.shape[:-1], r.shape[-1])
        return teller.predict(_part(theta, TOGETHER, teller.shapes), torch.cat([r, x], -1))

    def adapt(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        if check_count("steps", 0 if steps is None else steps, at_least=0):
            raise ValueError(f"steps is {steps}; allowed: 0 or None, as a neural process takes no steps")
        check_batch("support", support, dtype=check_theta(theta, shapes), y_features=True)
        return {name: p for name, p in theta.items() if name.startswith(TOGETHER)} | {READ: read(theta, support)}

    def density(phi: Params, x: Tensor) -> Said:
        return Said(kind, tell(phi, phi[READ], x))

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_tasks(tasks, dtype=check_theta(theta, shapes))

        def meta_loss(theta: Params) -> Tensor:
            raw = tell(theta, read(theta, tasks.support), tasks.query.x)  # all tasks in one call
            return -kind.log_density(raw, tasks.query.y).mean()

        direction, value = torch.func.grad_and_value(meta_loss)(theta)
        return value, direction

    learner = MetaLearner(init, adapt, lambda phi, x: density(phi, x).mean, meta_grad, "exact")
    return Forecaster(learner, density, kind)


def _part(theta: Params, prefix: str, shapes) -> Params:
    return {name: theta[prefix + name] for name in shapes}


class SetReader(nn.Module):
    """(S, x) -> raw numbers: examples read alone or ``together``, pooled by their "mean" or by x's "attention".

    Alone and with the mean it is the network of `neural_process`. With attention x chooses which examples count, by
    where they lie (the cross-attention of Kim et al. 2019, without their latent path); ``together`` the
    examples first look at each other (their self-attention). ``width``, a multiple of 4, is that of all layers.
    Raises ValueError for another pooling or width.

    >>> reader = SetReader(8, together=True, pool="attention")
    >>> reader(torch.zeros(25, 5, 1), torch.zeros(25, 5, 1), torch.zeros(25, 15, 1)).shape
    torch.Size([25, 15, 2])
    """

    def __init__(self, width: int, *, together: bool, pool: str, n_out: int = 2) -> None:
        super().__init__()
        if check_count("width", width, at_least=4) % 4:
            raise ValueError(f"width is {width}; allowed: a multiple of 4, the number of heads")
        self.pool = check_choice("pool", pool, ("mean", "attention"))
        self.each = mlp((2, width, width, width))
        self.look = _Attention(width) if together else None
        self.place = mlp((1, width, width)) if pool == "attention" else None
        self.choose = _Attention(width) if pool == "attention" else None
        self.tell = mlp((width + 1, width, width, n_out))

    def forward(self, support_x: Tensor, support_y: Tensor, x: Tensor) -> Tensor:
        """Answer x ``(..., query, 1)`` from a support ``(..., example, 1)`` twice: raw ``(..., query, n_out)``."""
        seen = self.each(torch.cat([support_x, support_y], -1))
        if self.look is not None:
            seen = seen + self.look(seen, seen, seen)
        if self.choose is not None:
            r = self.choose(self.place(x), self.place(support_x), seen)
        else:
            r = (seen.sum(-2, keepdim=True) / max(seen.shape[-2], 1)).expand(*x.shape[:-1], -1)
        return self.tell(torch.cat([r, x], -1))


class _Attention(nn.Module):
    """softmax(q k' / sqrt(d)) v with four heads, joined (Vaswani et al. 2017, eq. 1); of no keys it is 0 + a bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ask, self.key, self.value, self.join = (nn.Linear(width, width) for _ in range(4))

    def forward(self, asks: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        parts = self.ask(asks), self.key(keys), self.value(values)
        q, k, v = (part.unflatten(-1, (4, -1)).transpose(-2, -3) for part in parts)
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        return self.join((weights @ v).transpose(-2, -3).flatten(-2))
