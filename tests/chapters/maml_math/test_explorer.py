"""The explorer of meta-losses in the plane: its numbers are the library's, computed another way; its words are so."""

import math

import numpy as np
import pytest
import torch

from mapping_lib.chapters.maml_math.explorer import EXPLORER, OUTER_STEPS, TASKS, State
from mapping_lib.worlds.landscapes import METHODS, adapted, curvatures, direction, meta_loss

STATES = [
    State(outer=12),
    State(alpha=0.45, steps=1, beta=0.1, outer=5, follow="FOMAML", theta1=-0.5, theta2=0.8),
    State(alpha=0.1, steps=5, outer=8, follow="Reptile", tasks="sines", theta1=0.9, theta2=0.3),
    State(alpha=0.3, steps=0, outer=3, follow="joint training"),
    State(alpha=0.0, steps=4, outer=2, tasks="sines", theta1=2.0, theta2=2.0),
]
on_all_states = pytest.mark.parametrize("state", STATES)


def settings(state: State) -> dict:
    return {"alpha": state.alpha, "steps": state.steps}


def walked(state: State) -> torch.Tensor:
    """All four trails by a plain loop with the library's directions, (outer step + 1, method, 2)."""
    landscape, trails = TASKS[state.tasks](), []
    for method in METHODS:
        trail = [torch.tensor([state.theta1, state.theta2])]
        for _ in range(state.outer):
            trail.append(trail[-1] - state.beta * direction(landscape, trail[-1], method, **settings(state)))
        trails.append(torch.stack(trail))
    return torch.stack(trails, dim=1)


@on_all_states
def test_trails_and_their_errors_are_those_of_a_plain_loop(state: State):
    frame, trails = EXPLORER.compute(state), walked(state)
    n = state.outer + 1
    for i, side in enumerate("xy"):
        assert frame[f"trail_{side}"][:, :n] == pytest.approx(trails[..., i].T.numpy(), abs=2e-5)
        assert (frame[f"trail_{side}"][:, n:] == frame[f"trail_{side}"][:, state.outer, None]).all()
        assert frame[f"bold_{side}"] == pytest.approx(frame[f"trail_{side}"][METHODS.index(state.follow)])
    F = meta_loss(TASKS[state.tasks](), trails, **settings(state))
    assert frame["errors"][:, :n] == pytest.approx(F.T.numpy(), rel=1e-3, abs=1e-6)
    assert frame["F_start"] == pytest.approx(float(F[0, 0]), rel=1e-4)
    assert frame["F_now"] == pytest.approx(float(F[-1, METHODS.index(state.follow)]), rel=1e-3)


@on_all_states
def test_arrows_inner_paths_and_the_next_step_are_the_librarys(state: State):
    frame, landscape = EXPLORER.compute(state), TASKS[state.tasks]()
    here = torch.tensor([frame["here_x"][0], frame["here_y"][0]])
    path = torch.stack([adapted(landscape, here, alpha=state.alpha, steps=m) for m in range(state.steps + 1)]).numpy()
    assert np.stack([frame["inner_x"], frame["inner_y"]], -1)[:, : state.steps + 1].swapaxes(0, 1) == pytest.approx(
        path, abs=1e-5
    )
    assert np.stack([frame["phi_x"], frame["phi_y"]], -1) == pytest.approx(path[-1], abs=1e-5)
    slopes = {method: direction(landscape, here, method, **settings(state)) for method in METHODS}
    arrows = torch.tensor(np.stack([frame["arrow_x"], frame["arrow_y"]], -1)[::-1].copy())
    for arrow, slope in zip(arrows, slopes.values(), strict=True):
        assert torch.cosine_similarity(arrow, -slope, dim=0) > 1 - 1e-4 or not arrow.any()
    own = slopes[state.follow]
    after = meta_loss(landscape, here - state.beta * own, **settings(state))
    assert frame["F_next"] == pytest.approx(float(after), rel=1e-3, abs=1e-6)
    assert frame["cosine"] == pytest.approx(float(torch.cosine_similarity(own, slopes["MAML"], dim=0)), abs=1e-2)
    assert frame["E_now"] == pytest.approx(float(meta_loss(landscape, here, alpha=0.0, steps=0)), rel=1e-4)
    steepest = torch.linalg.eigvalsh(curvatures(landscape, here).double()).amax(1)
    assert frame["limit"] == pytest.approx(2 / float(steepest.max()), rel=1e-4)
    assert frame["steepest"] == 1 + int(steepest.argmax())


def lowest(alpha: float, steps: int) -> np.ndarray:
    """Where F of the bowls is lowest, by its normal equations."""
    F = lambda theta: meta_loss(TASKS["bowls"](), theta, alpha=alpha, steps=steps)  # noqa: E731
    at = torch.zeros(2, dtype=torch.float64)
    return -torch.linalg.solve(torch.func.hessian(F)(at), torch.func.grad(F)(at)).numpy()


@pytest.mark.parametrize(("alpha", "steps"), [(0.2, 3), (0.05, 10), (0.4, 2)])
def test_the_lowest_points_of_the_maps_are_those_of_the_normal_equations(alpha: float, steps: int):
    frame = EXPLORER.compute(State(alpha=alpha, steps=steps))
    assert [frame["lowest_x"][0], frame["lowest_y"][0]] == pytest.approx(lowest(alpha, steps), abs=2e-3)
    assert [frame["joint_x"][0], frame["joint_y"][0]] == pytest.approx(lowest(0.0, 0), abs=2e-3)
    at_joint = meta_loss(TASKS["bowls"](), torch.tensor(lowest(0.0, 0)), alpha=alpha, steps=steps)
    assert frame["F_at_joint"] == pytest.approx(float(at_joint), rel=1e-3)


@pytest.mark.parametrize("background", ["F(θ)", "E[L(θ)]"])
@pytest.mark.parametrize("tasks", TASKS)
def test_the_map_is_deeper_where_the_loss_is_higher(tasks: str, background: str):
    frame = EXPLORER.compute(State(tasks=tasks, background=background))
    sides = (torch.linspace(low, high, 61) for low, high in TASKS[tasks]().limits)
    grid = torch.stack(torch.meshgrid(*sides, indexing="xy"), -1)
    steps = 3 if background == "F(θ)" else 0
    order = meta_loss(TASKS[tasks](), grid, alpha=0.2, steps=steps).flatten().argsort().numpy()
    shades = frame["shade"].flatten()[order]
    assert (np.diff(shades) > -1e-5).all()
    assert shades[0] == 0
    assert shades[-1] == pytest.approx(1.0, abs=1e-4) or steps


def test_maml_walks_to_its_minimum_and_joint_training_to_its_own():
    frame = EXPLORER.compute(State(outer=OUTER_STEPS))
    ends = np.stack([frame["end_x"], frame["end_y"]], -1)
    assert ends[0] == pytest.approx(lowest(0.2, 3), abs=0.02)
    assert ends[3] == pytest.approx(lowest(0.0, 0), abs=0.02)
    assert "It rests where F is lowest." in said(outer=OUTER_STEPS)
    assert "It rests where its own slope is zero" in said(outer=OUTER_STEPS, follow="joint training")


def said(**state) -> str:
    return EXPLORER.words(State(**state), EXPLORER.compute(State(**state)))


def test_a_walk_ends_before_it_leaves_the_map_and_says_why():
    reversing = EXPLORER.presets["first order reverses"] | {"outer": 30}
    assert "The next step would leave the map, up F" in said(**reversing)
    hasty = said(beta=3.0, follow="joint training", outer=20)
    assert "leave the map**: its arrow points down F, but β overshoots" in hasty
    frame = EXPLORER.compute(State(alpha=0.7, steps=20, beta=10.0, outer=60))
    assert all(np.isfinite(values).all() for values in frame.values())
    for side in "xy":
        assert np.abs(frame[f"trail_{side}"]).max() <= 4 + 0.02 * 8 + 1e-5


def test_first_order_points_up_F_with_an_odd_number_of_steps_only():
    preset = EXPLORER.presets["first order reverses"]
    assert "Its arrow points up F" in said(**preset)
    assert "up F" not in said(**preset | {"steps": 2})


def test_inner_steps_that_make_a_task_worse_are_named_with_their_limit():
    words = said(alpha=0.6, steps=5, theta1=1.0, theta2=1.0)
    assert "Inner steps make task 1 worse: α is above 2/λ_max = 0.5 of its loss." in words
    assert "worse" not in said(alpha=0.49, steps=5, theta1=1.0, theta2=1.0)


@pytest.mark.parametrize("state", [{"steps": 0}, {"alpha": 0.0}])
def test_without_an_inner_step_all_four_are_joint_training(state: dict):
    frame = EXPLORER.compute(State(outer=10, **state))
    assert np.ptp(frame["trail_x"], axis=0).max() < 1e-6
    assert "all four arrows are one" in said(**state)


def test_the_tracks_are_good_below_the_limit_and_where_a_step_goes_down():
    frame = EXPLORER.compute(State())
    alphas, betas = np.linspace(0, 0.7, 29), 10 ** np.linspace(-2, 1, 31)
    assert ((frame["alpha_track"] > 0) == (alphas > 0.5 + 1e-6)).all()
    slope = direction(TASKS["bowls"](), torch.tensor([-3.2, 3.2]), "MAML", alpha=0.2, steps=3)
    start = meta_loss(TASKS["bowls"](), torch.tensor([-3.2, 3.2]), alpha=0.2, steps=3)
    for beta, track in zip(betas, frame["beta_track"], strict=True):
        after = meta_loss(TASKS["bowls"](), torch.tensor([-3.2, 3.2]) - beta * slope, alpha=0.2, steps=3)
        assert track == pytest.approx(np.clip(math.log(after / (1.001 * start)), -1, 1), abs=1e-3)


def test_no_preset_jumps_to_the_end_of_a_walk():
    assert all(State(**preset).outer == 0 for preset in EXPLORER.presets.values())
    assert State().outer == 0
