"""The explorers without a browser: thousands of random states, what they say, and how runs start and stop."""

import asyncio
import base64
import io
import random
import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from explorer_checks import states_draw, values_on_steps
from PIL import Image

from mapping_lib.chapters.maml_code import explorer_adaptation as adaptation
from mapping_lib.chapters.maml_code import explorer_meta_training as meta_training
from mapping_lib.chapters.maml_math import explorer as landscape
from mapping_lib.chapters.maml_math.explorer_canvas import LandscapeCanvas, _rings
from mapping_lib.chapters.maml_math.explorer_compute import (
    LANDSCAPES,
    OUTER_STEPS,
    STARTS,
    Trail,
    end,
    start,
    surface,
    walk,
)
from mapping_lib.chapters.mapping_view import explorer as five_mappings
from mapping_lib.chapters.other_mappings import explorer as description_or_data
from mapping_lib.inner_loop import adapt, support_objective
from mapping_lib.page.canvas import Label, apart
from mapping_lib.study.sinusoids import LEARNERS, shipped
from mapping_lib.task import Batch
from mapping_lib.worlds import landscapes

METHODS = [name for name in LEARNERS if name != "scratch"]


def random_adaptation(rng: random.Random) -> adaptation.State:
    return adaptation.State(
        learner=rng.choice(list(LEARNERS)),
        rival=rng.choice([*LEARNERS, "none"]),
        alpha=10 ** rng.uniform(-4, 0),
        steps=rng.randint(0, 20),
        k_shot=rng.randint(1, 20),
        amplitude=rng.uniform(0.1, 5),
        phase=rng.uniform(0, 3.1),
        noise=rng.choice([0.0, rng.random()]),
        points=rng.randint(0, 10**6),
    )


def random_training(rng: random.Random) -> meta_training.State:
    return meta_training.State(
        beta=10 ** rng.uniform(-4, 0),
        alpha=10 ** rng.uniform(-4, 0),
        steps=rng.randint(0, 10),
        tasks_per_step=rng.randint(1, 100),
        method=rng.choice(METHODS),
        seed=rng.randint(0, 10**6),
    )


def random_landscape(rng: random.Random) -> landscape.State:
    starts = {
        name: rng.uniform(*limits)
        for tasks, names in STARTS.items()
        for name, limits in zip(names, LANDSCAPES[tasks].limits, strict=True)
    }
    return landscape.State(
        **starts,
        tasks=rng.choice(list(LANDSCAPES)),
        background=rng.choice(landscape.BACKGROUNDS),
        follow=rng.choice(landscape.METHODS),
        alpha=round(rng.uniform(0, landscape.MAX_ALPHA), 2),
        beta=10 ** rng.uniform(-2, 1),
        steps=rng.randint(0, landscape.MAX_STEPS),
    )


def random_five_mappings(rng: random.Random) -> five_mappings.State:
    return five_mappings.State(
        mapping=rng.choice(list(five_mappings.MAPPINGS)),
        k_shot=rng.randint(0, five_mappings.MAX_SHOTS),
        amplitude=rng.uniform(0.1, five_mappings.MAX_AMPLITUDE),
        phase=rng.uniform(*five_mappings.PHASES),
        noise=rng.choice([0.0, rng.random()]),
        points=rng.randint(0, 10**6),
    )


def random_description_or_data(rng: random.Random) -> description_or_data.State:
    """A real reader's sliders stop at steps of 0.05: what a hundred tasks make of these is computed once."""
    return description_or_data.State(
        blur=0.05 * rng.randint(0, 20),
        k_shot=rng.randint(0, description_or_data.MAX_SHOTS),
        steps=rng.choice([0, 1, 5, description_or_data.MAX_STEPS]),
        noise=rng.choice([0.0, 0.25, 1.0]),
        writer=rng.choice(list(description_or_data.WRITERS)),
        task=rng.randint(0, 10**6),
    )


@pytest.mark.parametrize(
    ("module", "canvas", "draw_state"),
    [
        (adaptation, adaptation.AdaptationCanvas, random_adaptation),
        (meta_training, meta_training.TrainingCanvas, random_training),
        (landscape, LandscapeCanvas, random_landscape),
        (five_mappings, five_mappings.FiveMappingsCanvas, random_five_mappings),
        (description_or_data, description_or_data.DescriptionOrDataCanvas, random_description_or_data),
    ],
    ids=["adaptation", "meta-training", "landscape", "five-mappings", "description-or-data"],
)
def test_a_thousand_random_states_draw_without_an_error_or_growth(module, canvas, draw_state):
    states_draw(module.compute, canvas(), draw_state)


def test_the_path_is_that_of_the_general_inner_loop():
    state = adaptation.State(learner="maml", rival="none", steps=4, k_shot=6, alpha=0.02)
    path = adaptation.compute(state).paths[0]
    learner, theta = shipped("maml")
    support = adaptation.compute(state).support
    batch = Batch(*(torch.from_numpy(support[:, i : i + 1]) for i in (0, 1)))
    objective = support_objective(learner.predict, torch.nn.functional.mse_loss, batch)
    for m in range(5):
        phi = adapt(theta, objective, alpha=0.02, steps=m)
        assert np.allclose(path.curves[m], learner.predict(phi, adaptation.GRID)[:, 0].detach(), atol=1e-4)


def test_more_examples_leave_the_earlier_ones_in_place():
    few, many = (adaptation.compute(adaptation.State(k_shot=k)).support for k in (3, 9))
    assert np.array_equal(few, many[:3])


def test_divergence_is_named_with_its_step_and_its_limit():
    path = adaptation.compute(adaptation.State(alpha=0.5, steps=10)).paths[0]
    assert path.diverged_at is not None
    assert f"diverged at step {path.diverged_at}" in path.verdict
    assert "2/λ_max" in path.verdict
    assert adaptation.compute(adaptation.State(alpha=0.001)).paths[0].diverged_at is None


def test_the_limit_in_words_is_two_over_the_largest_eigenvalue():
    state = adaptation.State(alpha=0.5, steps=3, rival="none")
    frame = adaptation.compute(state)
    x, y = (torch.from_numpy(frame.support[:, i : i + 1]) for i in (0, 1))
    learner, theta = shipped("maml")
    sizes = [p.numel() for p in theta.values()]

    def loss(flat):
        params = {n: part.view_as(theta[n]) for n, part in zip(theta, flat.split(sizes), strict=True)}
        return (learner.predict(params, x) - y).square().mean()

    flat = torch.cat([p.flatten() for p in theta.values()])
    hessian = torch.func.hessian(loss)(flat)
    limit = 2 / float(torch.linalg.eigvalsh(hessian.double())[-1])
    said = float(frame.paths[0].verdict.split("2/λ_max = ")[1].split()[0])
    assert said == pytest.approx(limit, rel=0.08)


def test_presets_name_only_what_the_state_has():
    for module in (adaptation, meta_training, landscape, five_mappings, description_or_data):
        for values in module.PRESETS.values():
            assert module.compute(module.State(**values)).words


@pytest.mark.parametrize("module", [adaptation, meta_training, landscape, five_mappings, description_or_data])
def test_a_browser_finds_nothing_to_round_in_the_presets(module):
    values_on_steps(module.explorer(), module.PRESETS)


def test_moving_a_control_draws_a_new_picture():
    panel = adaptation.explorer()
    for name, control in panel.controls.items():
        old = panel.picture.value
        control.value = control.options[2][1] if hasattr(control, "options") else control.value * 0.5 or 0.5
        assert panel.picture.value != old, name
    panel.buttons["reset"].click()
    assert panel.state == adaptation.State()


def test_a_panel_stores_a_picture_for_readers_without_a_kernel():
    bundle = adaptation.explorer()._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"] == "[explorer: adaptation]"


def test_training_improves_the_held_out_error_and_keeps_earlier_curves():
    panel = meta_training.explorer()
    assert panel.run.finished
    assert panel.run.errors[-1] < 0.5 * panel.run.errors[0]
    first = panel.run.curve()
    panel.set(beta=0.0005)
    assert [curve.label for curve in panel.earlier] == [first.label]
    assert panel.run.errors[0] == first.error[0]  # the same theta_0
    panel.buttons["Reset"].click()
    assert panel.earlier == ()
    assert panel.run.done == 0


def test_in_an_event_loop_training_runs_in_slices_and_stops_at_once():
    panel = meta_training.explorer()

    async def reader():
        panel.set(tasks_per_step=30)
        await asyncio.sleep(0.3)
        running, done = panel.running, panel.run.done
        panel.buttons["Stop"].click()
        at_stop = panel.run.done
        await asyncio.sleep(0.2)
        return running, done, at_stop, panel.run.done

    running, done, at_stop, later = asyncio.run(reader())
    assert running
    assert 0 < done < meta_training.OUTER_STEPS
    assert at_stop == later


def test_a_run_that_blows_up_says_so():
    run = meta_training.Run(meta_training.State(alpha=1.0, steps=10))
    end = time.monotonic() + 20
    while not run.finished and time.monotonic() < end:
        run.advance(0.2)
    assert "too large" in run.frame().words


def test_curves_that_would_overlap_are_named_apart():
    heights = sorted(apart([(900, height) for height in (1.0, 1.0, 1.05, 0.98, 7.0)]))
    assert all(b / a > 1.2 for a, b in pairwise(heights))


def test_what_fails_is_said_in_words_and_the_picture_stays(monkeypatch):
    panel = adaptation.explorer()
    picture, compute = panel.picture.value, panel.compute

    def broken(state):
        raise RuntimeError("out of points")

    monkeypatch.setattr(panel, "compute", broken)
    panel.controls["alpha"].value = 0.05
    assert "RuntimeError: out of points" in panel.words.value
    assert panel.picture.value == picture
    monkeypatch.setattr(panel, "compute", compute)
    panel.buttons["reset"].click()
    assert "MAML" in panel.words.value


def test_the_palette_keeps_white_white_and_colours_close():
    panel = adaptation.explorer()
    sent = np.asarray(Image.open(io.BytesIO(panel.picture.value)).convert("RGB")).astype(int)
    assert (sent[2, 2] == 255).all()
    assert np.abs(sent - panel.canvas.pixels()).mean() < 0.5


# Landscape ------------------------------------------------------------------------------------------------


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


def test_a_slice_that_fails_stops_playing(monkeypatch):
    panel = landscape.explorer()
    monkeypatch.setattr(panel, "advance", lambda: 1 / 0)
    panel.play()
    assert not panel.running
    assert "ZeroDivisionError" in panel.words.value


def test_labels_stay_inside_the_picture_and_have_their_colour():
    pixels = np.full((60, 200, 4), 255, np.uint8)
    for at in ((-50, 30), (400, 10), (100, 500), (np.nan, 0)):
        Label(text="lowest F", colour="#0072B2", bold=True, halo=True, at=at).paint(pixels)
    dark = pixels[..., :3].reshape(-1, 3)[pixels[..., 0].ravel() < 40]
    assert len(dark) > 50
    assert np.abs(dark.mean(0) - [0, 0x72, 0xB2]).max() < 15


@pytest.mark.parametrize("tasks", list(LANDSCAPES))
def test_on_a_ring_the_tasks_loss_is_a_tenth(tasks: str):
    for i, ring in enumerate(_rings(tasks)):
        loss = LANDSCAPES[tasks].loss(torch.from_numpy(ring)[:, None].expand(-1, 4, 2))[:, i]
        assert loss.numpy() == pytest.approx(0.1, rel=1e-3)
