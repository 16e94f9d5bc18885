"""The explorer of navigation: what it shows is what the library computes, in every state that a reader can reach."""

import numpy as np
import pytest
import torch

from mapping_lib.chapters.reinforcement_learning.explorer_compute import (
    State,
    compute,
    doing,
)
from mapping_lib.chapters.reinforcement_learning.methods import policy_maml, rollouts, trials
from mapping_lib.chapters.reinforcement_learning.study import FAMILY, UPDATES, policy_of, theta_of
from mapping_lib.learners.many_tasks import one_each
from mapping_lib.task import Batch


def lucks(state: State) -> list[Batch]:
    """The luck of the four groups of tries, drawn as the explorer draws it."""
    g, goal = torch.Generator().manual_seed(state.luck), torch.tensor([[state.x, state.y]])
    return [FAMILY.toward(goal, state.trajectories, 0, generator=g).support for _ in range(UPDATES + 1)]


@pytest.mark.parametrize("method", ["MAML", "pretrained", "random"])
def test_what_is_shown_is_what_the_learner_does(method: str):
    state = State(x=-0.2, y=0.4, trajectories=7, alpha=0.2, luck=3, method=method)
    frame, luck = compute(state), lucks(state)
    policy, family = policy_of(method)
    learner = policy_maml(policy, family, alpha=(0.2, 0.1))
    for step in range(UPDATES + 1):
        shares = iter(luck)
        support = lambda phi, shares=shares: _tried(policy, family, next(shares), phi)  # noqa: E731
        phi = learner.adapt(theta_of(method), support, steps=step)
        told = rollouts(policy, family, one_each(phi, 1), luck[step])
        assert frame.positions[step] == pytest.approx(told.positions[0].numpy(), abs=2e-3)
        assert frame.returns[step] == pytest.approx(float(told.returns.mean()), abs=0.05)
        assert frame.arrived[step].tolist() == told.arrived[0].tolist()
        assert frame.spreads[step] == pytest.approx(float(phi["log_std"].exp().mean()), abs=1e-4)


def _tried(policy, family, luck: Batch, phi):
    return trials(policy, family, Batch(luck.x[0], luck.y[0]))(phi)


def test_the_hypernetwork_has_one_policy_and_no_update():
    frame = compute(State(method="hypernetwork"))
    assert len(set(frame.returns)) == 1
    assert "It has no update" in frame.words
    assert frame.does[0] == "arrives"


def test_another_goal_does_not_move_the_policy_that_has_tried_nothing():
    here, there = compute(State(x=0.5, y=0.5)), compute(State(x=-0.5, y=0.5))
    both = [np.where(~f.arrived[0][:, None, None], f.positions[0], 0) for f in (here, there)]
    together = ~here.arrived[0] & ~there.arrived[0]
    assert together.sum() > 10
    assert both[0][together] == pytest.approx(both[1][together])
    assert not np.allclose(here.positions[1], there.positions[1])


def path_to(*places: tuple[float, float], noise: float = 0.0) -> torch.Tensor:
    """Five straight ways from the origin to a place each, where they stay."""
    ways = torch.tensor([places[i % len(places)] for i in range(5)])
    t = torch.linspace(0, 4, 101).clamp(max=1)[None, :, None]
    return (ways[:, None] * t)[None] + noise * torch.randn(1, 5, 101, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("positions", "arrived", "said"),
    [
        (path_to((0.4, 0.0)), True, "arrives"),
        (path_to((0.42, 0.05)), False, "hovers about the goal"),
        (path_to((0.0, 0.0)), False, "stays about the start"),
        (path_to((0.3, 0.0), (-0.3, 0.0), (0.0, 0.3), (0.0, -0.3), (0.0, 0.0)), False, "wanders about the start"),
        (path_to((0.9, 0.0), (-0.9, 0.0), (0.0, 0.9), (0.0, -0.9), (0.0, 0.0)), False, "wanders far"),
        (path_to((0.8, 0.0)), False, "overshoots"),
        (path_to((-0.5, 0.1)), False, "goes the wrong way"),
        (path_to((0.2, 0.5)), False, "passes to one side"),
        (path_to((0.15, 0.05)), False, "falls short"),
        (path_to((0.24, 0.1)), False, "comes near, misses"),
    ],
)
def test_words_for_what_a_policy_does(positions: torch.Tensor, arrived: bool, said: str):
    told = compute_told(positions, arrived)
    assert doing(told, np.array([0.4, 0.0])) == said


def compute_told(positions: torch.Tensor, arrived: bool):
    luck = FAMILY.toward(torch.tensor([[0.4, 0.0]]), 5, 0, generator=torch.Generator().manual_seed(0)).support
    told = FAMILY.rollouts(lambda seen: torch.zeros(*seen.shape[:-1], 4), luck)
    return told._replace(positions=positions, arrived=torch.full((1, 5), arrived))


def test_a_goal_outside_of_training_is_said():
    assert "Outside of where goals were in training" in compute(State(x=0.8)).words
    assert "Outside" not in compute(State(x=0.5, y=-0.5)).words
