"""The explorer of navigation: what it shows is what the library computes, in every state that a reader can reach."""

import numpy as np
import pytest
import torch

from mapping_lib.chapters.reinforcement_learning.explorer import EXPLORER, State, compute, doing, walks
from mapping_lib.chapters.reinforcement_learning.figures import PAPER
from mapping_lib.chapters.reinforcement_learning.methods import policy_maml, rollouts, trials
from mapping_lib.chapters.reinforcement_learning.study import FAMILY, UPDATES, policy_of, theta_of
from mapping_lib.learners.many_tasks import one_each
from mapping_lib.page.sentence import plain
from mapping_lib.task import Batch
from mapping_lib.worlds.goals import Rollouts


def lucks(state: State) -> list[Batch]:
    """The luck of the four groups of tries, drawn as the explorer draws it."""
    g, goal = torch.Generator().manual_seed(state.luck), torch.tensor([[state.x, state.y]])
    return [FAMILY.toward(goal, state.trajectories, 0, generator=g).support for _ in range(UPDATES + 1)]


def words(**values) -> str:
    state = State(**values)
    return plain(EXPLORER.words(state, compute(state)))


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
        walked = rollouts(policy, family, one_each(phi, 1), luck[step])
        there = walked.arrived[0].numpy()
        for name, chosen in (("there", there), ("others", ~there)):
            ways = np.stack([frame[f"{name}_x{step}"], frame[f"{name}_y{step}"]], -1)
            assert ways == pytest.approx(walked.positions[0].numpy()[chosen], abs=2e-3)
            assert frame[f"{name}_x_end{step}"] == pytest.approx(ways[:, -1, 0])
        assert frame["returns"][step] == pytest.approx(float(walked.returns.mean()), abs=0.05)
        assert frame[f"arrived_{step}"] == there.sum()


def _tried(policy, family, luck: Batch, phi):
    return trials(policy, family, Batch(luck.x[0], luck.y[0]))(phi)


def test_the_hypernetwork_has_one_policy_and_no_update():
    frame = compute(State(method="hypernetwork"))
    assert len(set(frame["returns"])) == 1
    assert "It has no update" in words(method="hypernetwork")
    assert frame["does_0"] == "arrives"


def test_another_goal_does_not_move_the_policy_that_has_tried_nothing():
    here, there = (walks(State(x=x, y=0.5))[0] for x in (0.5, -0.5))
    together = ~here[0].arrived[0] & ~there[0].arrived[0]
    assert together.sum() > 10
    assert torch.equal(here[0].positions[0][together], there[0].positions[0][together])
    assert not torch.allclose(here[1].positions, there[1].positions)


@pytest.mark.parametrize("values", [{}, {"alpha": 0.316228}, {"alpha": 2.0, "trajectories": 2, "x": 0.7}])
def test_every_return_stands_on_the_axis(values: dict):
    frame = compute(State(**values))
    low, high = frame["limits"]
    assert low < min(*frame["returns"], *PAPER)
    assert high > 0
    for step in range(UPDATES + 1):
        assert frame[f"says_{step}"] == f"{frame['returns'][step]:.1f}".replace("-", "−")


@pytest.mark.parametrize(
    ("alpha", "factor", "verdict"), [(0.316228, 0.5, "too long: with half of α"), (0.0199526, 2, "short: with twice α")]
)
def test_whether_a_step_is_too_long_or_too_short_is_tried(alpha: float, factor: float, verdict: str):
    first, other = (compute(State(alpha=a))["returns"][1] for a in (alpha, factor * alpha))
    numbers = f"{other:.1f} instead of {first:.1f}".replace("-", "−")
    assert f"{verdict} it would come to {numbers}" in words(alpha=alpha)


def path_to(*places: tuple[float, float]) -> torch.Tensor:
    """Five straight ways from the origin to a place each, where they stay."""
    ways = torch.tensor([places[i % len(places)] for i in range(5)])
    t = torch.linspace(0, 4, 101).clamp(max=1)[None, :, None]
    return (ways[:, None] * t)[None]


@pytest.mark.parametrize(
    ("positions", "arrived", "verdict"),
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
        (path_to((float("nan"), 0.1)), False, "goes nowhere"),
    ],
)
def test_words_for_what_a_policy_does(positions: torch.Tensor, arrived: bool, verdict: str):
    assert doing(rolled(positions, arrived), np.array([0.4, 0.0])) == verdict


def rolled(positions: torch.Tensor, arrived: bool) -> Rollouts:
    luck = FAMILY.toward(torch.tensor([[0.4, 0.0]]), 5, 0, generator=torch.Generator().manual_seed(0)).support
    still = FAMILY.rollouts(lambda seen: torch.zeros(*seen.shape[:-1], 4), luck)
    return still._replace(positions=positions, arrived=torch.full((1, 5), arrived))


def test_a_goal_outside_of_training_is_said():
    assert "outside of the square" in words(x=0.8)
    assert "outside" not in words(x=0.5, y=-0.5)
