"""What the chapter says is the cause of a failure is its cause: it goes when that alone is changed."""

import pytest
import torch
from torch import nn

from mapping_lib.evaluation import ErrorByStep, evaluate_by_shots
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.flow import gradient_flow
from mapping_lib.networks import mlp
from mapping_lib.study.sinusoids import LEARNERS, SIZES, shipped

HIGH, UPSIDE_DOWN, TURNED = ((8.0, 1.0), (3.0, 4.6), (3.0, 6.2))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def judged(learner, theta, wave: tuple[float, float], k_shot: int, steps: int | None = None) -> ErrorByStep:
    """Errors on draws of one wave, (amplitude, phase): without a point, and with ``k_shot``."""
    family = Sinusoids(*((value, value) for value in wave))
    settings = {"shots": (0, k_shot), "steps": steps, "n_tasks": 300, "generator": seeded(1)}
    return evaluate_by_shots(learner, theta, family, **settings)


def median(*args, **settings) -> float:
    return float(judged(*args, **settings).median[1])


def test_at_amplitude_8_the_flows_own_five_steps_are_too_coarse():
    _, theta = shipped("flow")
    in_five, in_ten, in_forty = (
        median(gradient_flow(mlp(SIZES, nn.Tanh), nn.functional.mse_loss, steps=m), theta, HIGH, 10, m)
        for m in (5, 10, 40)
    )
    assert 3 < in_five < 5
    assert in_forty < in_ten < 0.6 * in_five
    assert 1 < in_forty < 0.5 * in_five


def test_at_amplitude_8_maml_diverges_on_one_or_two_draws_in_a_hundred():
    errors = judged(*shipped("maml"), HIGH, 10, steps=20)
    assert 0.005 < errors.diverged[1] < 0.03
    assert not judged(*shipped("maml"), HIGH, 20, steps=20).diverged[1]


def test_upside_down_enough_examples_need_enough_steps_too():
    few, many = ([median(*shipped("maml"), UPSIDE_DOWN, k, steps=m) for m in (5, 20, 100)] for k in (10, 20))
    assert many == pytest.approx([2.1, 0.57, 0.22], rel=0.2)
    assert few[2] > 3 * many[2]
    assert few == sorted(few, reverse=True)


def test_with_one_example_it_is_the_length_of_mamls_steps_that_diverges():
    """As far in all, in twice as many steps of half the length, no task is lost."""
    settings = {"shots": (1,), "n_tasks": 300, "n_query": 40}
    theta = shipped("maml")[1]
    by_alpha = {
        alpha: evaluate_by_shots(
            LEARNERS["maml"].learner(alpha=alpha), theta, Sinusoids(), steps=m, generator=seeded(100), **settings
        )
        for alpha, m in ((0.01, 5), (0.005, 10))
    }
    assert by_alpha[0.01].mean > 1e6
    assert by_alpha[0.005].mean < 2.5


def test_the_number_of_steps_is_not_what_sets_maml_apart_from_scratch():
    errors = {
        name: evaluate_by_shots(
            *shipped(name), Sinusoids(), shots=(5,), steps=1000, n_tasks=60, generator=seeded(7)
        ).per_task[:, 0]
        for name in ("maml", "scratch")
    }
    assert (errors["maml"] < errors["scratch"]).float().mean() > 0.85


def test_the_hypernetwork_fails_at_the_description_and_not_at_the_wave():
    """A phase of 6.2 is, but for a whole turn, one of -0.08: told so, h draws it."""
    by_phase = {phase: median(*shipped("hypernetwork"), (3.0, phase), 0) for phase in (6.2, 6.2 - 2 * torch.pi)}
    assert by_phase[6.2] > 10
    assert by_phase[6.2 - 2 * torch.pi] < 0.1
