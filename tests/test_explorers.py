"""The explorers without a browser: thousands of random states, what they say, and how runs start and stop."""

import asyncio
import base64
import gc
import io
import random
import resource
import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from mapping_lib.explorers import adaptation, meta_training
from mapping_lib.explorers.panel import apart
from mapping_lib.inner_loop import adapt, support_objective
from mapping_lib.task import Batch
from mapping_lib.weights.recipes import RECIPES, shipped

METHODS = [name for name in RECIPES if name != "scratch"]


def random_adaptation(rng: random.Random) -> adaptation.State:
    return adaptation.State(
        learner=rng.choice(list(RECIPES)),
        rival=rng.choice([*RECIPES, "none"]),
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


@pytest.mark.parametrize(
    ("module", "canvas", "draw_state"),
    [
        (adaptation, adaptation.AdaptationCanvas, random_adaptation),
        (meta_training, meta_training.TrainingCanvas, random_training),
    ],
    ids=["adaptation", "meta-training"],
)
def test_a_thousand_random_states_draw_without_an_error_or_growth(module, canvas, draw_state):
    rng, canvas = random.Random(0), canvas()
    megabytes = []
    for i in range(1000):
        frame = module.compute(draw_state(rng))
        canvas.draw(frame)
        assert frame.words
        if i in (300, 999):
            gc.collect()
            megabytes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    assert megabytes[1] - megabytes[0] < 30
    assert canvas.pixels().std() > 5


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
    for module in (adaptation, meta_training):
        for values in module.PRESETS.values():
            assert module.compute(module.State(**values)).words


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
