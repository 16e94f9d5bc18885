"""The explorer of meta-losses in the plane: its numbers are the library's own; it walks, stops and says where it is."""

import asyncio

import numpy as np
import pytest
import torch

from mapping_lib.chapters.maml_math import explorer as landscape
from mapping_lib.chapters.maml_math.explorer_canvas import LandscapeCanvas, _rings
from mapping_lib.chapters.maml_math.explorer_compute import (
    LANDSCAPES,
    OUTER_STEPS,
    Trail,
    end,
    start,
    surface,
    walk,
)
from mapping_lib.worlds import landscapes


def test_the_landscape_opens_with_two_trails_that_end_in_their_minima():
    panel = landscape.explorer()
    joint, maml = panel.earlier["joint training"], panel.trail
    assert np.linalg.norm(joint.thetas[-1] - surface("bowls", 0.0, 0).at) < 0.01
    assert np.linalg.norm(maml.thetas[-1] - surface("bowls", 0.2, 3).at) < 0.05
    assert "MAML" in panel.words.value


def test_the_lowest_point_of_the_map_is_that_of_the_normal_equations():
    hessian = torch.func.hessian(lambda t: landscapes.meta_loss(landscapes.bowls(), t, alpha=0.2, steps=3))
    slope = torch.func.grad(lambda t: landscapes.meta_loss(landscapes.bowls(), t, alpha=0.2, steps=3))
    at = torch.zeros(2, dtype=torch.float64)
    assert surface("bowls", 0.2, 3).at == pytest.approx(-torch.linalg.solve(hessian(at), slope(at)).numpy(), abs=1e-3)


def test_a_frame_holds_the_librarys_numbers():
    state = landscape.State(alpha=0.3, steps=4, theta1=1.0, theta2=-0.5, beta=0.25)
    frame, theta = landscape.compute(state), torch.tensor([1.0, -0.5])
    slopes = landscapes.directions(landscapes.bowls(), theta, alpha=0.3, steps=4)
    F = landscapes.meta_loss(landscapes.bowls(), theta, alpha=0.3, steps=4)
    assert frame.errors[-1] == pytest.approx(float(F))
    assert frame.paths[-1] == pytest.approx(landscapes.adapted(landscapes.bowls(), theta, alpha=0.3, steps=4).numpy())
    for name, arrow in frame.arrows.items():
        after = landscapes.meta_loss(landscapes.bowls(), theta - 0.25 * slopes[name], alpha=0.3, steps=4)
        assert arrow.direction == pytest.approx(slopes[name].numpy())
        assert arrow.after == pytest.approx(float(after), rel=1e-4)
        assert arrow.cosine == pytest.approx(float(torch.cosine_similarity(slopes[name], slopes["MAML"], dim=0)))


def test_one_outer_step_is_theta_minus_beta_times_the_direction():
    panel = landscape.explorer()
    panel.buttons["Reset"].click()
    assert panel.state == landscape.State()
    assert panel.earlier == {}
    panel.buttons["outer step"].click()
    before, after = panel.trail.thetas
    slope = landscapes.direction(landscapes.bowls(), torch.from_numpy(before), "MAML", alpha=0.2, steps=3)
    assert after == pytest.approx(before - slope.numpy(), abs=1e-6)
    assert "outer step 1 of" in panel.words.value


def test_settings_leave_theta_where_it_is_and_a_new_start_or_method_begins_again():
    panel = landscape.explorer()
    here = panel.trail.thetas
    for name, value in (("alpha", 0.4), ("beta", 0.1), ("steps", 5), ("background", "E[L(θ)]")):
        old = panel.picture.value
        panel.controls[name].value = value
        assert panel.picture.value != old, name
        assert np.array_equal(panel.trail.thetas, here), name
    panel.controls["follow"].value = "FOMAML"
    assert len(panel.trail.thetas) == 1
    assert set(panel.earlier) == {"MAML", "joint training"}
    panel.buttons["outer step"].click()
    panel.controls["theta1"].value = 2.0
    assert panel.trail.thetas.tolist() == [[2.0, pytest.approx(3.2)]]
    panel.controls["tasks"].value = "sines"
    assert panel.earlier == {}
    assert panel.trail.thetas.tolist() == [[pytest.approx(0.9), pytest.approx(0.3)]]
    assert panel.controls["theta1"].layout.display == "none"
    panel.controls["phase"].value = 2.0
    assert panel.trail.thetas[0, 1] == 2.0
    panel.buttons["Reset"].click()
    assert panel.state == landscape.State()
    assert panel.controls["theta2"].value == 3.2


def test_clear_keeps_the_settings():
    panel = landscape.explorer()
    panel.controls["alpha"].value = 0.1
    panel.buttons["Clear"].click()
    assert panel.state == landscape.State(alpha=0.1)
    assert (len(panel.trail.thetas), panel.earlier) == (1, {})


@pytest.mark.parametrize("label", landscape.PRESETS)
def test_every_preset_plays_to_an_end(label: str):
    panel = landscape.explorer()
    panel.buttons[label].click()  # without a kernel it plays at once
    assert not panel.running
    assert end(panel.state, panel.trail)
    assert "joint training" in panel.earlier
    left = label in ("first order reverses", "α too large")
    assert ("Diverged" in panel.words.value) == left


def test_divergence_on_the_map_is_said_with_its_limit():
    state = landscape.State(**landscape.PRESETS["α too large"])
    words = landscape.compute(state, (walk(state),)).words
    assert "Diverged: α = 0.55 is above 2/λ_max = 0.5 of the steepest task" in words
    reversed_state = landscape.State(**landscape.PRESETS["first order reverses"])
    assert "Diverged: FOMAML's arrow points up F" in landscape.compute(reversed_state, (walk(reversed_state),)).words
    for alpha in (0.2, 0.6):  # joint training takes no inner steps: alpha is not to blame
        hasty = landscape.State(alpha=alpha, beta=3.0, follow="joint training")
        assert "Diverged: β is too large" in landscape.compute(hasty, (walk(hasty),)).words


def test_inner_steps_that_make_a_task_worse_are_named():
    words = landscape.compute(landscape.State(alpha=0.6, steps=5, theta1=1.0, theta2=1.0)).words
    assert "Inner steps make task 1 worse: α = 0.6 is above 2/λ_max = 0.5 of the steepest task" in words
    assert "worse" not in landscape.compute(landscape.State(alpha=0.49, steps=5, theta1=1.0, theta2=1.0)).words


@pytest.mark.parametrize("theta", [[np.nan, 0.0], [np.inf, -np.inf], [1e30, 1e30]])
@pytest.mark.parametrize("tasks", list(LANDSCAPES))
def test_theta_that_is_not_a_number_is_drawn_and_said(tasks: str, theta: list[float]):
    state, canvas = landscape.State(tasks=tasks), LandscapeCanvas()
    trail = Trail("MAML", np.vstack([start(state).thetas, np.array([theta], dtype=np.float32)]))
    frame = landscape.compute(state, (trail,))
    canvas.draw(frame)
    assert "Diverged" in frame.words


def test_on_an_event_loop_the_trail_plays_in_steps_and_stops_at_once():
    panel = landscape.explorer()
    panel.buttons["Reset"].click()

    async def reader():
        panel.buttons["Play"].click()
        await asyncio.sleep(0.4)
        panel.controls["alpha"].value = 0.1  # does not stop it
        await asyncio.sleep(0.3)
        running = panel.running
        panel.buttons["Stop"].click()
        at_stop = len(panel.trail.thetas)
        await asyncio.sleep(0.3)
        return running, at_stop, len(panel.trail.thetas)

    running, at_stop, later = asyncio.run(reader())
    assert running
    assert 2 < at_stop < OUTER_STEPS
    assert at_stop == later
    panel.buttons["Play"].click()
    assert len(panel.trail.thetas) > at_stop


@pytest.mark.parametrize("tasks", list(LANDSCAPES))
def test_on_a_ring_the_tasks_loss_is_a_tenth(tasks: str):
    for i, ring in enumerate(_rings(tasks)):
        loss = LANDSCAPES[tasks].loss(torch.from_numpy(ring)[:, None].expand(-1, 4, 2))[:, i]
        assert loss.numpy() == pytest.approx(0.1, rel=1e-3)
