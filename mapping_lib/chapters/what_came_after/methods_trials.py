"""Several episodes of one task for a policy that remembers; how the world works is used by nobody but the world."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mapping_lib.checks import check_number
from mapping_lib.task import Batch
from mapping_lib.worlds.goals import Navigation, Rollouts, check_luck

Remembering = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""A policy with a memory: what it is told ``(task, 6)`` and remembers ``(task, n)`` -> what it says and then remembers.

It is told its position, and what followed its last action: that action, its reward, and whether an episode ended
there. It says mean and log std of the next action ``(task, 4)``; further columns are its own affair.
"""

TOLD, LAST = 6, 4
"""How many numbers it is told, and how many of them are of what followed the last action."""


class Memory(NamedTuple):
    """What is kept from one episode to the next: ``hidden (task, n)``, and what followed the last action.

    ``last (task, 4)``, not yet read: the action as it was carried out, its reward, and 1 where an episode ended.
    """

    hidden: Tensor
    last: Tensor

    @classmethod
    def empty(cls, n_tasks: int, width: int, *, like: Tensor) -> "Memory":
        """Nothing has happened yet: zeros of the dtype of ``like``."""
        return cls(like.new_zeros(n_tasks, width), like.new_zeros(n_tasks, LAST))


class Trial(NamedTuple):
    """The episodes of a task, one after the other, as `Rollouts` ``(task, episode, ...)``.

    ``told (task, episode, horizon, 6)`` is what the policy was told, ``said (task, episode, horizon, n)`` what it
    answered, ``followed (task, episode, horizon, 4)`` what came of that; all are 0 after the end of an episode.
    """

    rollouts: Rollouts
    told: Tensor
    said: Tensor
    followed: Tensor
    memory: Memory


def trial(act: Remembering, family: Navigation, luck: Batch, memory: Memory) -> Trial:
    """Let a policy with a memory act in one episode after the other: what Duan et al. 2016 call a trial.

    ``luck`` is a support or a query of `Navigation.sample`, its trajectories in the order of the episodes. An episode
    ends as there; the memory stays as it then is, and the next begins at the origin. Gradients pass through memory and
    what is said, not through actions, positions or rewards: how the world works is not used. Raises ValueError for a
    luck of another shape, or a family that shows the goal.

    >>> still = lambda told, hidden: (torch.cat([0 * told[:, :2], 0 * told[:, :2] - 30], -1), hidden)
    >>> luck = Batch(torch.zeros(1, 2, 100, 2), torch.tensor([[[0.3, 0.4]]]).expand(1, 2, 2))
    >>> trial(still, Navigation(), luck, Memory.empty(1, 0, like=luck.x)).rollouts.returns
    tensor([[-50., -50.]])
    """
    check_luck(*luck, family.horizon)
    if family.show_goal:
        raise ValueError("family.show_goal is True; allowed: False, as the goal is to be found")
    if luck.x.shape[1] == 0:
        raise ValueError(f"luck.x has shape {tuple(luck.x.shape)}; allowed: an episode or more")
    episodes = []
    for noise, goal in zip(luck.x.unbind(1), luck.y.unbind(1), strict=True):
        episode, memory = _episode(act, family, noise, goal, memory)
        episodes.append(episode)
    told, said, followed, actions, rewards, alive, path = (torch.stack(part, 1) for part in zip(*episodes, strict=True))
    positions = torch.cat([torch.zeros_like(path[:, :, :1]), path], 2)
    arrived = (path[:, :, -1] - luck.y).abs().amax(-1) < family.near
    rollouts = Rollouts(told[..., :2], actions, rewards, alive, positions, arrived)
    return Trial(rollouts, told, said, followed, memory)


def _episode(
    act: Remembering, family: Navigation, noise: Tensor, goal: Tensor, memory: Memory
) -> tuple[list[Tensor], Memory]:
    """One episode of every task: what `Trial` holds of it, ``(task, horizon, ...)``, and the memory at its end."""
    position, alive = torch.zeros_like(goal), torch.ones_like(goal[:, :1])
    hidden, last = memory
    steps = []
    for t in range(family.horizon):
        told = torch.cat([position, last], -1)
        said, new = act(told, hidden)
        hidden = torch.where(alive > 0, new, hidden)
        with torch.no_grad():
            action = said[:, :2] + said[:, 2:4].exp() * noise[:, t]
            moved = action.clamp(-1, 1)
            position = position + alive * family.speed * moved
            reward = family.reward(position - goal)[:, None]
            arrived = ((position - goal).abs().amax(-1, keepdim=True) < family.near).to(goal.dtype)
            ends = torch.ones_like(arrived) if t == family.horizon - 1 else arrived
            last = torch.where(alive > 0, torch.cat([moved, reward, ends], -1), last)
        steps.append([*(alive * part for part in (told, said, last, action, reward)), alive, position])
        alive = alive * (1 - arrived)
        if not alive.any():
            break
    return _filled(steps, family.horizon), Memory(hidden, last)


def _filled(steps: list[list[Tensor]], horizon: int) -> list[Tensor]:
    """The parts of all steps, with zeros after the last one; the position stays where it was."""
    *parts, path = (torch.stack(part, 1) for part in zip(*steps, strict=True))
    missing = horizon - len(steps)
    told, said, last, action, reward, alive = (nn.functional.pad(part, (0, 0, 0, missing)) for part in parts)
    path = torch.cat([path, path[:, -1:].expand(-1, missing, -1)], 1)
    return [told, said, last, action, reward[..., 0], alive[..., 0], path]


def advantages(rewards: Tensor, values: Tensor, alive: Tensor, *, discount: float, trace: float) -> Tensor:
    """How much better than its ``values`` each action did: generalised advantages (Schulman et al. 2016).

    All tensors are ``(task, step)``, the steps of all episodes in one row: what an episode teaches is worth something
    in the next. Steps that are not ``alive`` are skipped, and 0. ``discount`` and ``trace`` are from 0 to 1,
    or a ValueError says so.

    >>> one = torch.ones(1, 3)
    >>> advantages(torch.tensor([[1.0, 2.0, 4.0]]), 0 * one, one, discount=0.5, trace=1.0)
    tensor([[3., 4., 4.]])
    """
    for name, share in (("discount", discount), ("trace", trace)):
        if check_number(name, share, at_least=0) > 1:
            raise ValueError(f"{name} is {share}; allowed: a number from 0 to 1")
    better, ahead, value_ahead = [], torch.zeros_like(rewards[:, 0]), torch.zeros_like(rewards[:, 0])
    for reward, value, here in zip(*(part.unbind(1)[::-1] for part in (rewards, values, alive)), strict=True):
        surprise = reward + discount * value_ahead - value
        ahead = torch.where(here > 0, surprise + discount * trace * ahead, ahead)
        value_ahead = torch.where(here > 0, value, value_ahead)
        better.append(here * ahead)
    return torch.stack(better[::-1], 1)
