"""2-D navigation: a point must find a goal that nobody tells it. The tasks of Finn et al. 2017, section 5.3.

The details are those of the paper's released code, which decides where its text is silent or differs: the point
starts at the origin, actions are velocities in units of the largest one, the reward is minus the *distance*, and
an episode ends where both coordinates are near enough to the goal.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_count, check_generator, check_number, check_tensor
from mapping_lib.families.drawing import check_draw
from mapping_lib.task import Batch, Task

Act = Callable[[Tensor], Tensor]
"""A policy: what is seen ``(task, trajectory, feature)`` -> the action's mean and log std, side by side."""


class Rollouts(NamedTuple):
    """What happened in every trajectory of every task.

    ``seen (task, trajectory, horizon, feature)`` is what the policy saw before each action, ``actions (task,
    trajectory, horizon, 2)`` what it chose, before clipping. ``rewards`` and ``alive (task, trajectory, horizon)``:
    an action counts where ``alive`` is 1; after the end of an episode rewards are 0. ``positions (task, trajectory,
    horizon + 1, 2)`` begin at the origin, and stay where the episode ended. ``arrived (task, trajectory)`` says which
    ended at their goal.
    """

    seen: Tensor
    actions: Tensor
    rewards: Tensor
    alive: Tensor
    positions: Tensor
    arrived: Tensor

    @property
    def returns(self) -> Tensor:
        """The sum of rewards of every trajectory, ``(task, trajectory)``."""
        return self.rewards.sum(-1)


@dataclass(frozen=True)
class Navigation:
    """Move from the origin to a goal drawn uniformly from [-half, half]², in ``horizon`` steps at most.

    An action a moves the point by ``speed`` * clip(a, -1, 1) in each coordinate; the reward is minus the distance to
    the goal *after* the move; the episode ends where both coordinates are within ``near`` of the goal's. The policy
    sees its position and, with ``show_goal``, the goal as well. With ``squared`` the reward is minus the squared
    distance, as the paper's text has it. Raises ValueError for numbers out of range.

    What is drawn of a task before anybody acts is its goal, and the luck of each trajectory (see `sample`).

    >>> tasks = Navigation().sample(5, 20, 20, generator=torch.Generator().manual_seed(0))
    >>> tasks.support.x.shape, tasks.support.y.shape, tasks.description.shape
    (torch.Size([5, 20, 100, 2]), torch.Size([5, 20, 2]), torch.Size([5, 2]))
    """

    half: float = 0.5
    speed: float = 0.1
    near: float = 0.01
    horizon: int = 100
    show_goal: bool = False
    squared: bool = False

    def __post_init__(self) -> None:
        for name in ("half", "speed", "near"):
            check_number(name, getattr(self, name), above=0)
        check_count("horizon", self.horizon, at_least=1)

    @property
    def n_features(self) -> int:
        """How many numbers the policy sees."""
        return 4 if self.show_goal else 2

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw goals, and the luck of ``k_shot`` and ``n_query`` trajectories that a policy may try.

        An example is a trajectory to be: x ``(n_tasks, k_shot, horizon, 2)`` is its luck, a standard normal number
        for every action, and y ``(n_tasks, k_shot, 2)`` its goal. description ``(n_tasks, 2)`` is the goal.
        """
        check_draw(n_tasks, k_shot, n_query, generator)
        goals = self.half * (2 * torch.rand(n_tasks, 2, generator=generator, dtype=torch.float32) - 1)
        return self.toward(goals, k_shot, n_query, generator=check_generator(generator))

    def toward(self, goals: Tensor, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Tasks with given ``goals (task, 2)``, which need not lie in the square; shapes as for `sample`.

        >>> Navigation().toward(torch.zeros(1, 2), 3, 0, generator=torch.Generator()).support.x.shape
        torch.Size([1, 3, 100, 2])
        """
        _check_goals(goals)
        check_draw(len(goals), k_shot, n_query, generator)
        drawn = {"generator": generator, "dtype": torch.float32}
        luck = [torch.randn(len(goals), n, self.horizon, 2, **drawn) for n in (k_shot, n_query)]
        support, query = (Batch(x.to(goals.dtype), goals[:, None].expand(-1, x.shape[1], 2)) for x in luck)
        return Task(support, query, goals)

    def rollouts(self, act: Act, luck: Batch) -> Rollouts:
        """Let a policy act on all trajectories of all tasks at once: ``luck`` is a support or a query of `sample`.

        Its action is a = mean + exp(log_std) * noise. The same luck and another policy give other trajectories:
        nothing but ``act`` and ``luck`` decides. Raises ValueError for a luck of another shape.

        >>> still = lambda seen: torch.cat([torch.zeros_like(seen), torch.full_like(seen, -30.0)], -1)
        >>> goal = Batch(torch.zeros(1, 1, 100, 2), torch.tensor([[[0.3, 0.4]]]))
        >>> Navigation().rollouts(still, goal).returns  # a hundred times the distance
        tensor([[-50.]])
        """
        noise, goal = luck
        check_luck(noise, goal, self.horizon)
        position, actions, path = torch.zeros_like(goal), [], []
        for t in range(self.horizon):
            mean, log_std = act(torch.cat([position, goal], -1) if self.show_goal else position).split(2, dim=-1)
            actions.append(mean + log_std.exp() * noise[..., t, :])
            position = position + self.speed * actions[-1].clamp(-1, 1)
            path.append(position)
        return self._rollouts(torch.stack(actions, 2), torch.stack(path, 2), goal)

    def _rollouts(self, actions: Tensor, path: Tensor, goal: Tensor) -> Rollouts:
        """End each episode where it first came near: what a policy did after that is left out."""
        near = ((path - goal[:, :, None]).abs().amax(-1) < self.near).cummax(-1).values
        alive = torch.cat([torch.ones_like(near[..., :1]), ~near[..., :-1]], -1).to(path.dtype)
        last = (alive.cumsum(-1) - 1).long()[..., None].expand_as(path)  # the step that is, or was the last one
        path = path.gather(2, last)
        rewards = alive * self.reward(path - goal[:, :, None])
        positions = torch.cat([torch.zeros_like(path[:, :, :1]), path], 2)
        seen = positions[:, :, :-1]
        if self.show_goal:
            seen = torch.cat([seen, goal[:, :, None].expand_as(seen)], -1)
        return Rollouts(seen, actions, rewards, alive, positions, near[..., -1])

    def reward(self, away: Tensor) -> Tensor:
        """Minus the distance, or its square, where ``away (..., 2)`` is the way to the goal.

        >>> Navigation().reward(torch.tensor([0.3, 0.4]))
        tensor(-0.5000)
        """
        return -away.square().sum(-1) if self.squared else -away.norm(dim=-1)


def on_the_rim(goals: Tensor, half: float) -> Tensor:
    """Move ``goals (task, 2)`` outwards or inwards, each along its own direction, to the rim of the square of ``half``.

    >>> on_the_rim(torch.tensor([[0.1, -0.2]]), 0.5)
    tensor([[ 0.2500, -0.5000]])
    """
    _check_goals(goals)
    return goals * check_number("half", half, above=0) / goals.abs().amax(-1, keepdim=True)


def log_probability(y_hat: Tensor, actions: Tensor) -> Tensor:
    """log π(a | s) of a Gaussian policy: ``y_hat (..., 2 n)`` is its mean and log std, ``actions (..., n)``.

    >>> log_probability(torch.zeros(1, 2), torch.zeros(1, 1))  # - log sqrt(2 π)
    tensor([-0.9189])
    """
    mean, log_std = y_hat.chunk(2, -1)
    return (-0.5 * ((actions - mean) / log_std.exp()).square() - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)


def _check_goals(goals: Tensor) -> None:
    if not isinstance(goals, Tensor) or goals.ndim != 2 or goals.shape[-1] != 2 or not goals.is_floating_point():
        given = f"shape {tuple(goals.shape)}" if isinstance(goals, Tensor) else f"type {type(goals).__name__}"
        raise ValueError(f"goals has {given}; allowed: a tensor of real numbers, (task, 2)")


def check_luck(noise: Tensor, goal: Tensor, horizon: int) -> None:
    """Raise unless ``noise (task, trajectory, horizon, 2)`` and ``goal (task, trajectory, 2)`` are one luck."""
    check_tensor("luck.x", noise)
    check_tensor("luck.y", goal)
    if noise.ndim != 4 or noise.shape[2:] != (horizon, 2):
        raise ValueError(f"luck.x has shape {tuple(noise.shape)}; allowed: (task, trajectory, {horizon}, 2)")
    if goal.shape != (*noise.shape[:2], 2):
        raise ValueError(f"luck.y has shape {tuple(goal.shape)}; allowed: {(*noise.shape[:2], 2)}, a goal a trajectory")
