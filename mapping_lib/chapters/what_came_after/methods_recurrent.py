"""In-context reinforcement learning: a policy that remembers, and whose weights never change at test (RL², 2016)."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mapping_lib.checks import check_count, check_theta
from mapping_lib.learners import MetaLearner
from mapping_lib.networks import FunctionalNetwork, functional
from mapping_lib.task import Batch, Params, Task, join
from mapping_lib.worlds.goals import Navigation, log_probability

from .methods_trials import LAST, TOLD, Memory, Trial, advantages, trial

SCALES = (4.0, 4.0, 1.0, 1.0, 4.0, 1.0)
"""By what the cell's inputs are multiplied: positions and rewards are below 1, and a move changes them by 0.1."""

STD = (0.03, 0.6)
"""The least and the largest standard deviation of an action."""


# A policy with a memory -------------------------------------------------------------------------------


class RecurrentPolicy(nn.Module):
    """A GRU (Cho et al. 2014) of ``width`` numbers, and a linear reading of it: the action, and the value.

    ``policy(told, hidden)`` gives ``(task, 5)``, mean, log std and the value of what is to come, and the new hidden
    state. Means are within -1 and 1, standard deviations within `STD`. Raises ValueError for a width below 1.

    >>> said, hidden = RecurrentPolicy(8)(torch.zeros(7, 6), torch.zeros(7, 8))
    >>> said.shape, hidden.shape, sum(p.numel() for p in RecurrentPolicy(48).parameters())
    (torch.Size([7, 5]), torch.Size([7, 8]), 8309)
    """

    def __init__(self, width: int) -> None:
        check_count("width", width, at_least=1)
        super().__init__()
        self.cell, self.head = nn.GRUCell(TOLD, width), _Head(width, 5)
        self.float()

    def forward(self, told: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """What the policy says, and what it remembers."""
        hidden = self.cell(told * told.new_tensor(SCALES), hidden)
        mean, spread, value = self.head(hidden).split((2, 2, 1), -1)
        low, high = STD
        log_std = math.log(low) + spread.sigmoid() * math.log(high / low)
        return torch.cat([mean.tanh(), log_std, value], -1), hidden


class _Head(nn.Linear):
    def reset_parameters(self) -> None:
        """Begin with actions near 0, and much noise."""
        super().reset_parameters()
        with torch.no_grad():
            self.weight.mul_(0.3)
            self.bias.mul_(0.3).add_(self.bias.new_tensor([0.0, 0.0, 2.0, 2.0, 0.0]))


# Training ---------------------------------------------------------------------------------------------


def surrogate(said: Tensor, actions: Tensor, weights: Tensor, alive: Tensor) -> Tensor:
    """A loss whose gradient is minus the policy gradient (Williams 1992): the mean of -log π * weight.

    ``said (task, step, 4 or more)``, ``actions (task, step, 2)``, ``weights`` and ``alive (task, step)`` -> one number.

    >>> surrogate(torch.zeros(1, 2, 4), torch.zeros(1, 2, 2), torch.ones(1, 2), torch.ones(1, 2))
    tensor(1.8379)
    """
    return -(log_probability(said[..., :4], actions) * weights * alive).sum() / alive.sum()


class Costs(NamedTuple):
    """What training minimises: the surrogate, the squared error of the values, and minus the log std of the noise.

    ``discount`` and ``trace`` as in `advantages`; ``value`` and ``noise`` weigh the other two terms, as in the
    actor-critic of Wang et al. 2016, where the last is an entropy.
    """

    discount: float = 0.8
    trace: float = 0.9
    value: float = 0.1
    noise: float = 0.05

    def of(self, lived: Trial) -> Tensor:
        """The loss of what was lived through, differentiable in what was said."""
        actions, rewards, alive = (part.flatten(1, 2) for part in lived.rollouts[1:4])
        said = lived.said.flatten(1, 2)
        values = said[..., 4].detach()
        better = advantages(rewards, values, alive, discount=self.discount, trace=self.trace)
        error = (said[..., 4] - (values + better)).square()
        others = self.value * error - self.noise * said[..., 2:4].sum(-1)
        return surrogate(said, actions, _standardised(better, alive), alive) + (others * alive).sum() / alive.sum()


COSTS = Costs()
"""What training begins with, where nothing else is asked for."""


def _standardised(values: Tensor, alive: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 over all steps that count, of all tasks."""
    n = alive.sum()
    centred = (values - (values * alive).sum() / n) * alive
    return centred / ((centred.square().sum() / n).sqrt() + 1e-8)


# The learner ------------------------------------------------------------------------------------------

Support = Callable[[Params], Batch]
"""phi -> what a policy that goes on with the memory in phi lives through: x is what it is told ``(row, 6)``, y what
follows ``(row, 4)``, the rows of all episodes one after the other."""


def recurrent_policy(policy: nn.Module, family: Navigation, *, costs: Costs = COSTS) -> MetaLearner:
    """RL² (Duan et al. 2016): phi is theta and a memory; ``adapt`` reads trajectories, and changes no weight.

    ``adapt(theta, support)`` takes a *function* for a support, as MAML for policies does: it is called with phi, and
    what comes back is read, ``steps`` times (default 1) on end. ``predict(phi, x)`` gives mean and log std of the
    action at positions ``x (..., 2)`` where an episode goes on with this memory. ``meta_grad`` takes the luck that
    `Navigation.sample` draws: support and query are the episodes of one trial, and all of their rewards count. The
    meta-loss is minus the mean return of an episode; the direction is an actor-critic's estimate (`Costs`).

    >>> family = Navigation(horizon=5)
    >>> learner = recurrent_policy(RecurrentPolicy(4), family)
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> tasks = family.sample(3, 2, 1, generator=torch.Generator().manual_seed(1))
    >>> phi = learner.adapt(theta, lives(RecurrentPolicy(4), family, Batch(tasks.support.x[0], tasks.support.y[0])))
    >>> phi["hidden"].shape, learner.predict(phi, torch.zeros(7, 2)).shape
    (torch.Size([4]), torch.Size([7, 4]))
    """
    model = functional(policy)

    def adapt(theta: Params, support: Support, *, description=None, steps: int | None = None) -> Params:
        check_theta(theta, model.shapes)
        phi = begin(theta)
        for _ in range(check_count("steps", 1 if steps is None else steps, at_least=0)):
            phi = read(model, phi, support(phi))
        return phi

    def predict(phi: Params, x: Tensor) -> Tensor:
        told = torch.cat([x, phi["last"].expand(*x.shape[:-1], LAST)], -1)
        hidden = phi["hidden"].expand(*x.shape[:-1], -1).flatten(0, -2)
        return model.predict(_weights(phi), told.flatten(0, -2), hidden)[0][:, :4].unflatten(0, x.shape[:-1])

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_theta(theta, model.shapes)
        leaves = {name: p.detach().requires_grad_() for name, p in theta.items()}
        with torch.enable_grad():
            lived = live(model, family, leaves, join(tasks.support, tasks.query, dim=1))
            slopes = torch.autograd.grad(costs.of(lived), list(leaves.values()))
        return -lived.rollouts.returns.mean(), dict(zip(leaves, slopes, strict=True))

    return MetaLearner(model.init, adapt, predict, meta_grad, "no gradient")


def begin(theta: Params) -> Params:
    """phi before anything has happened: theta, and an empty memory.

    >>> phi = begin(functional(RecurrentPolicy(4)).init(generator=torch.Generator().manual_seed(0)))
    >>> phi["hidden"], phi["last"]
    (tensor([0., 0., 0., 0.]), tensor([0., 0., 0., 0.]))
    """
    memory = Memory.empty(1, theta["head.weight"].shape[1], like=theta["head.weight"])
    return theta | {"hidden": memory.hidden[0], "last": memory.last[0]}


def read(policy: nn.Module | FunctionalNetwork, phi: Params, lived: Batch) -> Params:
    """Read what one task's policy lived through, row by row: another phi, of which the memory alone is new.

    >>> phi = begin(functional(RecurrentPolicy(4)).init(generator=torch.Generator().manual_seed(0)))
    >>> read(RecurrentPolicy(4), phi, Batch(torch.ones(3, 6), torch.ones(3, 4)))["last"]
    tensor([1., 1., 1., 1.])
    """
    model, weights, hidden, last = functional(policy), _weights(phi), phi["hidden"], phi["last"]
    for told, followed in zip(*lived, strict=True):
        _, new = model.predict(weights, told[None], hidden[None])
        hidden, last = new[0], followed
    return phi | {"hidden": hidden, "last": last}


def live(
    policy: nn.Module | FunctionalNetwork, family: Navigation, theta: Params, luck: Batch, memory: Memory | None = None
) -> Trial:
    """A `trial` of one theta in many tasks, that begins with an empty memory or goes on with this one.

    >>> theta = functional(RecurrentPolicy(4)).init(generator=torch.Generator().manual_seed(0))
    >>> luck = Navigation().sample(5, 2, 0, generator=torch.Generator().manual_seed(1)).support
    >>> live(RecurrentPolicy(4), Navigation(), theta, luck).memory.hidden.shape
    torch.Size([5, 4])
    """
    model = functional(policy)
    memory = memory or Memory.empty(len(luck.x), theta["head.weight"].shape[1], like=luck.x)
    return trial(lambda told, hidden: model.predict(theta, told, hidden), family, luck, memory)


def lives(policy: nn.Module, family: Navigation, luck: Batch) -> Support:
    """One task's support as a function: go on with phi's memory and this ``luck (episode, horizon, 2)``.

    >>> luck = Navigation(horizon=5).toward(torch.ones(1, 2), 2, 0, generator=torch.Generator().manual_seed(1)).support
    >>> phi = begin(functional(RecurrentPolicy(4)).init(generator=torch.Generator().manual_seed(0)))
    >>> lives(RecurrentPolicy(4), Navigation(horizon=5), Batch(luck.x[0], luck.y[0]))(phi).x.shape  # 2 times 5 moves
    torch.Size([10, 6])
    """
    model = functional(policy)

    def support(phi: Params) -> Batch:
        if len(luck.x) == 0:
            return Batch(luck.x.new_zeros(0, TOLD), luck.x.new_zeros(0, LAST))
        with torch.no_grad():
            memory = Memory(phi["hidden"][None], phi["last"][None])
            lived = live(model, family, _weights(phi), Batch(luck.x[None], luck.y[None]), memory)
        counted = lived.rollouts.alive.flatten() > 0
        return Batch(lived.told.flatten(0, 2)[counted], lived.followed.flatten(0, 2)[counted])

    return support


def _weights(phi: Params) -> Params:
    return {name: p for name, p in phi.items() if name not in ("hidden", "last")}
