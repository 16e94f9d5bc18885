"""The explorers of adaptation and of meta-training: their numbers are the library's own; runs start, stop, are kept."""

import asyncio
import time

import numpy as np
import pytest
import torch

from mapping_lib.chapters.maml_code import explorer_adaptation as adaptation
from mapping_lib.chapters.maml_code import explorer_meta_training as meta_training
from mapping_lib.inner_loop import adapt, support_objective
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Batch


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
    words = float(frame.paths[0].verdict.split("2/λ_max = ")[1].split()[0])
    assert words == pytest.approx(limit, rel=0.08)


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
