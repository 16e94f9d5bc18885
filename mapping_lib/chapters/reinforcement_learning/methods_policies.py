"""Policies and what they learn from: log-probabilities, advantages, and the loss whose gradient is REINFORCE's."""

import itertools

import torch
from torch import Tensor, nn

from mapping_lib.checks import check_count, check_number
from mapping_lib.task import Batch
from mapping_lib.worlds.goals import Rollouts, log_probability

RIDGE = 1e-5
"""How much the least squares of the baseline are held back, as in the released code of Finn et al. 2017."""


class GaussianPolicy(nn.Module):
    """An MLP for the mean of the action, and one log standard deviation for each of its coordinates.

    Its forward pass gives both side by side, ``(..., 2 * sizes[-1])``. Weights begin as Glorot & Bengio 2010 draw
    them, biases at 0 and the standard deviation at 1, as in the released code of Finn et al. 2017. Raises ValueError
    for fewer than two widths or a width below 1.

    >>> GaussianPolicy((2, 100, 100, 2))(torch.zeros(7, 2)).shape
    torch.Size([7, 4])
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        if len(sizes) < 2:
            raise ValueError(f"sizes is {tuple(sizes)}; allowed: two widths or more, for example (2, 100, 100, 2)")
        for i, width in enumerate(sizes):
            check_count(f"sizes[{i}]", width, at_least=1)
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in itertools.pairwise(sizes):
            layers += [_Glorot(n_in, n_out), nn.ReLU()]
        self.mean = nn.Sequential(*layers[:-1])
        self.log_std = nn.Parameter(torch.zeros(sizes[-1], dtype=torch.float32))
        self.float()

    def reset_parameters(self) -> None:
        """Put the standard deviation back to 1; the layers reset themselves."""
        nn.init.zeros_(self.log_std)

    def forward(self, seen: Tensor) -> Tensor:
        """Mean and log standard deviation of the action, for everything seen."""
        mean = self.mean(seen)
        return torch.cat([mean, self.log_std.expand_as(mean)], -1)


class _Glorot(nn.Linear):
    def reset_parameters(self) -> None:
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)


def surrogate(y_hat: Tensor, y: Tensor) -> Tensor:
    """A loss whose gradient is minus the policy gradient: the mean of -log π(a | s) * weight (Williams 1992).

    ``y (example, n + 1)`` holds the actions, and in its last column what each was worth: see `experience`.
    """
    return -(log_probability(y_hat, y[..., :-1]) * y[..., -1]).mean()


def surrogate_with_score(y_hat: Tensor, y: Tensor) -> Tensor:
    """The same value of the gradient, another one of its derivative: log π gives way to π / (π held fixed).

    The mean of -π(a | s) / stop(π(a | s)) * weight. Its second derivative has the term weight * ∇log π ∇log πᵀ that
    `surrogate` lacks: a change of theta also changes which actions are drawn (Rothfuss et al. 2019, eq. 11; Foerster
    et al. 2018 for the idea).

    >>> slope = lambda loss: torch.func.grad(lambda m: loss(torch.stack([m, 0 * m])[None], torch.tensor([[1.0, 3.0]])))
    >>> slope(surrogate)(torch.tensor(0.0)), slope(surrogate_with_score)(torch.tensor(0.0))
    (tensor(-3.), tensor(-3.))
    """
    log_pi = log_probability(y_hat, y[..., :-1])
    return -((log_pi - log_pi.detach()).exp() * y[..., -1]).mean()


def advantages(rollouts: Rollouts, *, discount: float = 0.99) -> Tensor:
    """By how much the rewards after each action beat what was to be expected, ``(task, trajectory, horizon)``.

    Discounted rewards to go, minus a baseline: least squares for every task on what was seen, its square, t, t², t³
    and 1 (t in hundreds of steps), as in the released code of Finn et al. 2017; then scaled to mean 0 and standard
    deviation 1 over the task's actions. 0 where the episode is over. ``discount`` is above 0 and at most 1.

    >>> from mapping_lib.worlds.goals import Navigation
    >>> still = lambda seen: torch.cat([torch.zeros_like(seen), torch.full_like(seen, -30.0)], -1)
    >>> task = Navigation().sample(2, 5, 0, generator=torch.Generator().manual_seed(0))
    >>> advantages(Navigation().rollouts(still, task.support)).shape
    torch.Size([2, 5, 100])
    """
    if check_number("discount", discount, above=0) > 1:
        raise ValueError(f"discount is {discount}; allowed: a number above 0, at most 1")
    to_go, alive = rewards_to_go(rollouts.rewards, discount), rollouts.alive
    t = torch.arange(to_go.shape[-1], dtype=to_go.dtype).expand_as(to_go)[..., None] / 100
    features = torch.cat([rollouts.seen, rollouts.seen.square(), t, t**2, t**3, torch.ones_like(t)], -1)
    # in float64: far from the origin squares outweigh the ridge by more digits than float32 has
    counted = (features * alive[..., None]).flatten(1, 2).double()
    gram = counted.mT @ counted + RIDGE * torch.eye(features.shape[-1], dtype=counted.dtype)
    weights, _ = torch.linalg.solve_ex(gram, counted.mT @ to_go.flatten(1).double()[..., None])
    weights = weights.to(t.dtype)
    return _standardised(to_go - (features.flatten(1, 2) @ weights).view_as(to_go), alive)


def rewards_to_go(rewards: Tensor, discount: float) -> Tensor:
    """The discounted sum of the rewards from each step on, over the last dimension.

    >>> rewards_to_go(torch.tensor([1.0, 2.0, 4.0]), 0.5)
    tensor([3., 4., 4.])
    """
    to_go, ahead = [], torch.zeros_like(rewards[..., 0])
    for reward in rewards.flip(-1).unbind(-1):
        ahead = reward + discount * ahead
        to_go.append(ahead)
    return torch.stack(to_go[::-1], -1)


def experience(rollouts: Rollouts, *, discount: float = 0.99) -> Batch:
    """What a policy learns from: everything seen, the action taken there, and what it was worth.

    x ``(task, trajectory * horizon, feature)``; y ``(task, trajectory * horizon, 3)`` is the action and its weight,
    the advantage, scaled so that a mean over all rows is the mean over the actions that counted.
    """
    counted = rollouts.alive.mean((1, 2), keepdim=True)
    weight = advantages(rollouts, discount=discount) / counted
    y = torch.cat([rollouts.actions, weight[..., None]], -1)
    return Batch(rollouts.seen.flatten(1, 2), y.flatten(1, 2))


def _standardised(values: Tensor, alive: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 over each task's actions that count, 0 elsewhere."""
    n = alive.sum((1, 2), keepdim=True)
    centred = (values - (values * alive).sum((1, 2), keepdim=True) / n) * alive
    return centred / ((centred.square().sum((1, 2), keepdim=True) / n).sqrt() + 1e-8)
