"""What the explorer of navigation computes: trajectories towards one goal after 0 to 3 updates, and their returns."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch

from mapping_lib.networks import functional
from mapping_lib.worlds.goals import Rollouts

from .methods_fast import acting, updates
from .study import FAMILY, UPDATES, policy_of, theta_of, written

POLICIES = ("MAML", "pretrained", "random", "hypernetwork")
MAX_TRAJECTORIES, FAR = 40, 0.8
HOVERS, STANDS, WIDE, BEYOND = 0.15, 0.12, 0.4, 1.3
"""Distances for words: about the goal, about the start, all over; and how many times the goal's distance is too far."""


@dataclass(frozen=True)
class State:
    """The values of the controls: the goal, tries for each update, the first alpha, the seed of luck, the method."""

    x: float = 0.35
    y: float = -0.2
    trajectories: int = 20
    alpha: float = 0.1
    luck: int = 1
    method: str = "MAML"


class Frame(NamedTuple):
    """What is drawn. After each number of updates: ``positions (trajectory, horizon + 1, 2)``, which of them
    ``arrived``, the mean return, the policy's standard deviation, and what it does, in a few words.
    """

    state: State
    positions: list[np.ndarray]
    arrived: list[np.ndarray]
    returns: tuple[float, ...]
    spreads: tuple[float, ...]
    does: tuple[str, ...]
    words: str


def compute(state: State) -> Frame:
    """Try, update, try again: each update learns from the trajectories that are shown before it.

    >>> frame = compute(State(trajectories=3))
    >>> len(frame.positions), frame.positions[0].shape
    (4, (3, 101, 2))
    """
    tries, spreads = zip(*_tries(state), strict=True)
    goal = np.array([state.x, state.y])
    frame = Frame(
        state,
        [rollouts.positions[0].numpy() for rollouts in tries],
        [rollouts.arrived[0].numpy() for rollouts in tries],
        tuple(float(rollouts.returns.mean()) for rollouts in tries),
        spreads,
        tuple(doing(rollouts, goal) for rollouts in tries),
        "",
    )
    return frame._replace(words=_in_words(frame))


@torch.no_grad()
def _tries(state: State) -> list[tuple[Rollouts, float]]:
    """The trajectories after 0 ... 3 updates, and the standard deviation of the actions."""
    generator = torch.Generator().manual_seed(state.luck)
    goal, theta = torch.tensor([[state.x, state.y]], dtype=torch.float32), theta_of(state.method)
    luck = [FAMILY.toward(goal, state.trajectories, 0, generator=generator).support for _ in range(UPDATES + 1)]
    if state.method == "hypernetwork":  # no update: four times the same
        phi = written(theta, goal[0])
        path = [(phi, FAMILY.rollouts(acting(phi), luck[0]))] * (UPDATES + 1)
    else:
        path = updates(_model(state.method), FAMILY, theta, luck, alpha=(state.alpha, state.alpha / 2))
    return [(rollouts, float(phi["log_std"].exp().mean())) for phi, rollouts in path]


_model = cache(lambda method: functional(policy_of(method)[0]))


# Words ----------------------------------------------------------------------------------------------------


def doing(rollouts: Rollouts, goal: np.ndarray) -> str:
    """What a policy does, in a few words, from where its trajectories are in the second half of the time.

    >>> family = FAMILY
    >>> still = lambda seen: torch.cat([torch.zeros_like(seen), torch.full_like(seen, -30.0)], -1)
    >>> luck = family.toward(torch.tensor([[0.4, 0.0]]), 5, 0, generator=torch.Generator().manual_seed(0)).support
    >>> doing(family.rollouts(still, luck), np.array([0.4, 0.0]))
    'stays about the start'
    """
    late = rollouts.positions[0, :, 50:].numpy()
    away, share = np.linalg.norm(late - goal, axis=-1).mean(), float(rollouts.arrived.float().mean())
    middle, far = late.mean((0, 1)), float(np.linalg.norm(goal))
    if share >= 0.9:
        return "arrives"
    if away < HOVERS:
        return "hovers about the goal"
    if np.linalg.norm(late - middle, axis=-1).mean() > WIDE:
        return "wanders far"
    if np.linalg.norm(middle) < STANDS and np.linalg.norm(late, axis=-1).mean() < STANDS:
        return "stays about the start"
    if not far or np.linalg.norm(middle) < STANDS:
        return "wanders about the start"
    along = float(middle @ goal) / far
    if along < 0:
        return "goes the wrong way"
    across = float(np.linalg.norm(middle - along * goal / far))
    if across > along:
        return "passes to one side"
    return "overshoots" if along > BEYOND * far else "comes near, misses" if along > far / 2 else "falls short"


def _in_words(frame: Frame) -> str:
    state, done = frame.state, frame.does
    share = [f"{int(a.sum())} of {len(a)}" for a in frame.arrived]
    if state.method == "hypernetwork":
        words = f"<b>The hypernetwork is told the goal</b> and writes a policy, without a try: it {done[0]}"
        return words + f" (return {_number(frame.returns[0])}, {share[0]} arrive). It has no update." + _outside(state)
    words = f"<b>{state.method}, α = {state.alpha:.3g} and then half of it.</b> Before: it {done[0]}. "
    words += " ".join(f"After {i}: {done[i]} ({share[i]} arrive)." for i in range(1, UPDATES + 1))
    if not np.isfinite(frame.returns).all():
        words += " <b>Its weights are no numbers any more.</b>"
    best = int(np.nanargmax(frame.returns))
    words += f" Best return {_number(frame.returns[best])}, after {best} update{'' if best == 1 else 's'}."
    return words + _outside(state)


def _outside(state: State) -> str:
    seen = max(abs(state.x), abs(state.y)) <= FAMILY.half + 1e-9
    return "" if seen else " <b>Outside of where goals were in training</b> (the square)."


def _number(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")
