"""The clinic's explorer: its numbers are the library's and the stored training's, which comes out again."""

from functools import cache

import numpy as np
import pytest
import torch

from mapping_lib.chapters.clinic.explorer import DRAWN_X, EXPLORER, GRID, HEALTHY, NAMES, TWO, WHY, State
from mapping_lib.chapters.clinic.methods import CASES, FAMILY, OUTER_STEPS, REAL, SEEDS, STEPS, begin, judge
from mapping_lib.chapters.clinic.study import BLOCK, history, trained
from mapping_lib.doctor import Diagnosis, diagnose
from mapping_lib.task import Batch

MOVED, FAR = 1e-3, 0.05
"""How far errors may move in 25 and in 1,000 outer steps on another processor."""


def frame_of(**values) -> dict:
    return EXPLORER.compute(State(**values))


def said(**values) -> str:
    return EXPLORER.words(State(**values), frame_of(**values))


@cache
def diagnosis_of(name: str) -> Diagnosis:
    return diagnose(CASES[name].learner(), FAMILY)


def theta_of(name: str) -> dict:
    return {key: p[NAMES.index(name)] for key, p in history().theta.items()}


@pytest.mark.parametrize("steps", [0, 1, 5])
@pytest.mark.parametrize("name", NAMES)
def test_curves_and_errors_are_those_of_mamls_inner_steps_from_the_stored_theta(name: str, steps: int):
    frame = frame_of(fault=name, steps=steps, amplitude=2.5, phase=0.7, lift=(0.3,) * 10)
    truth = 2.5 * np.sin(GRID.numpy() - 0.7)
    assert frame["y"] == pytest.approx(2.5 * np.sin(DRAWN_X[:10].numpy() - 0.7) + 0.3, abs=1e-5)
    support = Batch(DRAWN_X[:10, None], torch.tensor(frame["y"])[:, None])
    for curve, whose, taken in (("before", name, 0), ("after", name, steps), ("healthy_after", HEALTHY, steps)):
        phi = REAL.adapt(theta_of(whose), support, steps=taken)
        assert frame[curve] == pytest.approx(REAL.predict(phi, GRID[:, None])[:, 0].detach().numpy(), abs=1e-4)
    for error, curve in (("error_before", "before"), ("error_after", "after")):
        assert frame[error] == pytest.approx(((frame[curve] - truth) ** 2).mean(), rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_curves_of_training_are_means_of_the_stored_ones_and_the_band_is_their_range(name: str):
    frame, errors = frame_of(fault=name, steps=2), history().errors[NAMES.index(name), :, :, 2].numpy()
    assert frame["error"] == pytest.approx(errors.mean(0), abs=1e-5)
    assert np.array_equal(frame["low"], errors.min(0))
    assert np.array_equal(frame["high"], errors.max(0))
    assert frame["printed"] == pytest.approx(history().printed[NAMES.index(name)].mean(0).numpy(), abs=1e-5)
    assert frame["worth"] == frame["error"][-1]
    assert frame["prints"] == frame["printed"][-1]


@pytest.mark.parametrize("name", NAMES)
def test_the_stored_training_comes_out_again(name: str):
    _, printed, errors = trained(name, SEEDS[0], blocks=1)
    stored = history()
    assert printed.item() == pytest.approx(stored.printed[NAMES.index(name), 0, 0].item(), abs=MOVED)
    assert errors.numpy() == pytest.approx(stored.errors[NAMES.index(name), 0, :2].numpy(), abs=MOVED)
    assert stored.errors.shape == (len(NAMES), len(SEEDS), OUTER_STEPS // BLOCK + 1, STEPS + 1)


@pytest.mark.parametrize("name", NAMES)
def test_the_stored_theta_has_the_last_stored_errors(name: str):
    assert judge(theta_of(name)).mean.numpy() == pytest.approx(
        history().errors[NAMES.index(name), 0, -1].numpy(), abs=MOVED
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_doctor_finds_what_each_program_has_and_the_sentence_names_a_line_of_its_report(name: str):
    diagnosis = diagnosis_of(name)
    assert diagnosis.faults == CASES[name].faults
    failed = [line for line in str(diagnosis).splitlines() if line.startswith("✗")]
    named = WHY[name].rpartition("The doctor: **")[2].partition("**")[0]
    assert any(line.startswith(named) for line in failed) if failed else named == "✓ throughout"
    assert said(fault=name).endswith(WHY[name])


def test_the_printed_loss_falls_for_all_but_the_one_that_stands_still():
    printed = history().printed.mean(1)
    fallen = {name for name, (first, *_, last) in zip(NAMES, printed.tolist(), strict=True) if last < 0.85 * first}
    assert set(NAMES) - fallen == {"loss.item()"}
    theta_0 = begin()[0].state_dict()
    assert all(torch.equal(p, theta_0[key]) for key, p in theta_of("loss.item()").items())


def test_without_a_step_most_of_the_ten_look_alike():
    assert "Without a step most of the ten look alike." in said(steps=0)
    assert "Without a step" not in said(steps=1)
    ends = history().errors[:, :, -1, 0].mean(1)
    assert ((ends - ends[0]).abs() < 0.12).sum() == 8


def test_only_training_on_the_support_costs_nothing_that_three_seeds_show():
    ends = dict(zip(NAMES, history().errors[:, :, -1, STEPS], strict=True))
    healthy, on_support = ends.pop(HEALTHY), ends.pop("judged on support")
    assert abs(float(on_support.mean() - healthy.mean())) < FAR
    assert min(float(seeds.min()) for seeds in ends.values()) > float(healthy.max())


def test_from_two_points_maml_still_learns_and_a_shared_model_gets_worse():
    """What two presets show."""
    faulty, healthy = frame_of(**TWO), frame_of(fault=HEALTHY, **TWO)
    assert healthy["error_after"] < 0.6 * healthy["error_before"]
    assert faulty["error_after"] > 1.05 * faulty["error_before"]
    assert "MAML's" not in said(fault=HEALTHY)
