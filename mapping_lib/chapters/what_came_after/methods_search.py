"""Searching by hand, for comparison: who knows that a reward is minus a distance finds the goal from three of them."""

import torch
from torch import Tensor

from mapping_lib.worlds.goals import Navigation

from .methods_trials import Memory, Remembering

FIRST = ((1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0))
"""The first three moves, whose ends are not on one line."""

STILL = -30.0
"""The log std of an action without noise."""


def trilaterated(places: Tensor, distances: Tensor) -> Tensor:
    """The goal ``(task, 2)`` from its ``distances (task, 3)`` to three ``places (task, 3, 2)`` not on one line.

    |p - g|² = d² is linear in g once two such equations are subtracted.

    >>> trilaterated(torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]), torch.tensor([[5.0, 20**0.5, 18**0.5]]))
    tensor([[3.0000, 4.0000]])
    """
    squares = places.square().sum(-1) - distances.square()
    sides, right = places[:, 1:] - places[:, :1], (squares[:, 1:] - squares[:, :1]) / 2
    return torch.linalg.solve_ex(sides, right[..., None])[0][..., 0]


def searcher(family: Navigation) -> Remembering:
    """A policy by hand for `methods_trials.trial`: three moves to measure distances, then straight to the goal.

    It knows that a reward is minus the distance, and how far a move goes: what RL² has to find out by itself. What it
    remembers is 9 numbers a task: places and distances, in the order of the moves. An empty memory begins it.

    >>> from mapping_lib.chapters.what_came_after.methods_trials import trial
    >>> family = Navigation()
    >>> luck = family.sample(3, 2, 0, generator=torch.Generator().manual_seed(0)).support
    >>> trial(searcher(family), family, luck, empty(luck.x)).rollouts.arrived.all()
    tensor(True)
    """
    first = torch.tensor(FIRST, dtype=torch.float64)

    def act(told: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        place, reward, ended = told[:, :2], told[:, 4:5], told[:, 5:6]
        seen = (known[:, 2::3] > 0).sum(-1, keepdim=True)  # a distance is above 0
        new = (reward < 0) & (ended == 0) & (seen < 3)
        slot = torch.arange(9).expand(len(told), 9) // 3 == seen
        known = torch.where(new & slot, torch.cat([place, -reward], -1).repeat(1, 3), known)
        seen = seen + new.to(seen.dtype)
        goal = trilaterated(*_measured(known.double())).nan_to_num()
        straight = (goal - place.double()) / family.speed
        action = torch.where(seen < 3, first[seen[:, 0].clamp(max=2)], straight).clamp(-1, 1).to(told.dtype)
        return torch.cat([action, torch.full_like(action, STILL)], -1), known

    return act


def empty(like: Tensor) -> Memory:
    """The memory that `searcher` begins with, for as many tasks as ``like`` has, in its dtype."""
    return Memory.empty(len(like), 9, like=like)


def _measured(known: Tensor) -> tuple[Tensor, Tensor]:
    """Places ``(task, 3, 2)`` and distances ``(task, 3)``."""
    rows = known.unflatten(-1, (3, 3))
    return rows[..., :2], rows[..., 2]
