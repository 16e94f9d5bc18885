"""The family of noisy linear functions; and what it has in common with the waves: dtype, randomness, noise."""

import math

import numpy as np
import pytest
import torch
from oracles import refusals, seeded, tensors
from torch.testing import assert_close

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.worlds.linear import LinearFunctions


@pytest.mark.parametrize("n_features", [1, 3])
@pytest.mark.parametrize(("n_tasks", "k_shot", "n_query"), [(1, 1, 1), (7, 5, 3), (2, 0, 4), (2, 4, 0), (2, 0, 0)])
def test_shapes(n_tasks: int, k_shot: int, n_query: int, n_features: int):
    task = LinearFunctions(n_features).sample(n_tasks, k_shot, n_query, generator=seeded(0))
    assert task.support.x.shape == (n_tasks, k_shot, n_features)
    assert task.query.x.shape == (n_tasks, n_query, n_features)
    assert (task.support.y.shape, task.query.y.shape) == ((n_tasks, k_shot, 1), (n_tasks, n_query, 1))
    assert task.description.shape == (n_tasks, n_features + 1)
    assert {t.dtype for t in tensors(task)} == {torch.float32}


BOTH = pytest.mark.parametrize("family", [LinearFunctions, Sinusoids])


@BOTH
def test_dtype_is_an_argument(family: type):
    task = family(dtype=torch.float64, noise=0.1).sample(3, 2, 2, generator=seeded(0))
    assert {t.dtype for t in tensors(task)} == {torch.float64}


def test_coefficients_are_normal_and_independent():
    family = LinearFunctions(2, weight=0.7, intercept=3.0, dtype=torch.float64)
    drawn = family.sample(40_000, 0, 0, generator=seeded(0)).description
    expected = torch.tensor([0.7, 0.7, 3.0], dtype=torch.float64)
    assert_close(drawn.std(0), expected, rtol=0.02, atol=0)
    assert_close(drawn.mean(0) / expected, torch.zeros(3).double(), rtol=0, atol=0.02)
    assert_close(torch.corrcoef(drawn.T), torch.eye(3).double(), rtol=0, atol=0.02)
    for deviations in (1.0, 2.0):  # how much of a normal distribution lies within so many standard deviations
        within = (drawn.abs() < deviations * expected).double().mean(0)
        assert_close(within, torch.full_like(within, math.erf(deviations / math.sqrt(2))), rtol=0, atol=0.01)


@pytest.mark.parametrize("bounds", [(-5.0, 5.0), (0.0, 10.0), (2, 3)])
def test_inputs_fill_their_range_and_are_independent(bounds: tuple[float, float]):
    low, high = bounds
    task = LinearFunctions(2, x=bounds, dtype=torch.float64).sample(4000, 3, 2, generator=seeded(0))
    x = torch.cat([task.support.x, task.query.x], 1).flatten(0, 1)
    assert low <= x.min() <= low + 0.01 * (high - low)
    assert high - 0.01 * (high - low) <= x.max() <= high
    assert_close(x.var(0), torch.full((2,), (high - low) ** 2 / 12).double(), rtol=0.03, atol=0)
    assert torch.corrcoef(x.T)[0, 1].item() == pytest.approx(0.0, abs=0.03)


def test_a_coefficient_without_spread_is_zero():
    description = LinearFunctions(weight=0.0, intercept=2.0).sample(9, 0, 0, generator=seeded(0)).description
    assert (description[:, 0] == 0).all()
    assert (description[:, 1] != 0).all()


def test_every_example_lies_on_the_line_of_its_own_task():
    task = LinearFunctions(3, noise=0.0, dtype=torch.float64).sample(4, 3, 2, generator=seeded(0))
    for i, (*w, b) in enumerate(task.description.tolist()):
        for x, y in (task.support, task.query):
            expected = [[sum(wj * xj for wj, xj in zip(w, at, strict=True)) + b] for at in x[i].tolist()]
            assert_close(y[i], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


def test_truth_refuses_inputs_of_another_width():
    with pytest.raises(RuntimeError):  # and does not broadcast one feature to three
        LinearFunctions.truth(torch.ones(4), torch.ones(5, 1))


@BOTH
@pytest.mark.parametrize("part", ["support", "query"])
def test_noise_has_its_standard_deviation_on_both_parts(family: type, part: str):
    task = family(noise=0.3, dtype=torch.float64).sample(2000, 10, 10, generator=seeded(0))
    x, y = getattr(task, part)
    a, b = task.description[:, None, :1], task.description[:, None, 1:]
    noise = y - (a * torch.sin(x - b) if family is Sinusoids else a * x + b)
    assert noise.std().item() == pytest.approx(0.3, rel=0.02)
    assert noise.mean().item() == pytest.approx(0.0, abs=0.01)
    assert torch.corrcoef(noise[:, :2, 0].T)[0, 1].item() == pytest.approx(0.0, abs=0.1)


@BOTH
def test_noise_changes_neither_x_nor_the_task(family: type):
    quiet, noisy = (family(noise=noise).sample(3, 4, 5, generator=seeded(0)) for noise in (0.0, 1.0))
    assert torch.equal(quiet.support.x, noisy.support.x)
    assert torch.equal(quiet.description, noisy.description)
    assert not torch.equal(quiet.support.y, noisy.support.y)


@BOTH
def test_support_and_query_of_a_task_share_no_x(family: type):
    task = family().sample(50, 10, 10, generator=seeded(0))
    for support, query in zip(task.support.x, task.query.x, strict=True):
        assert not torch.isin(support, query).any()


@BOTH
def test_one_seed_gives_one_set_of_tasks(family: type):
    first, second, other = (tensors(family(noise=0.5).sample(3, 4, 5, generator=seeded(s))) for s in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@BOTH
def test_a_generator_goes_on_and_the_global_random_state_stays(family: type):
    g, state = seeded(0), torch.get_rng_state()
    first, second = (family(noise=0.1).sample(3, 4, 5, generator=g) for _ in range(2))
    assert not torch.equal(first.description, second.description)
    assert torch.equal(torch.get_rng_state(), state)


def test_examples_are_of_the_tasks_described_and_new_each_time():
    family, lines, g = LinearFunctions(noise=0.0), torch.tensor([[1.0, 0.0], [-2.0, 3.0]]), seeded(0)
    first, second = (family.examples(lines, 4, 5, generator=g) for _ in range(2))
    for task in (first, second):
        assert torch.equal(task.description, lines)
        for x, y in (task.support, task.query):
            assert_close(y, torch.stack([x[0], 3 - 2 * x[1]]))
    assert not (first.support.x == second.support.x).any()


@pytest.mark.parametrize("k_shot", [0, 1, 4])
def test_the_predictive_distribution_is_bishop_s_by_the_posterior_of_the_coefficients(k_shot: int):
    """Eqs. 3.50, 3.51, 3.58 and 3.59 as they stand: the library has the same with a matrix for each example."""
    family = LinearFunctions(2, weight=0.7, intercept=3.0, noise=0.4, dtype=torch.float64)
    task = family.sample(3, k_shot, 5, generator=seeded(0))
    mean, deviation = family.predictive(task.support, task.query.x)
    prior, beta = np.diag([1 / 0.49, 1 / 0.49, 1 / 9]), 1 / 0.16
    for i in range(3):
        X, asked = (np.hstack([x[i].numpy(), np.ones((len(x[i]), 1))]) for x in (task.support.x, task.query.x))
        S = np.linalg.inv(prior + beta * X.T @ X)
        m = S @ (beta * X.T @ task.support.y[i, :, 0].numpy())
        assert mean[i, :, 0].numpy() == pytest.approx(asked @ m)
        assert deviation[i, :, 0].numpy() ** 2 == pytest.approx(0.16 + ((asked @ S) * asked).sum(1))


def test_the_predictive_distribution_holds_where_the_prior_is_sure():
    family = LinearFunctions(1, weight=0.0, intercept=0.0, noise=0.5)
    task = family.sample(2, 3, 4, generator=seeded(0))
    mean, deviation = family.predictive(task.support, task.query.x)
    assert_close(mean, torch.zeros(2, 4, 1))
    assert_close(deviation, torch.full((2, 4, 1), 0.5))
    with pytest.raises(ValueError, match=r"noise is 0\.0; allowed: a finite number above 0"):
        LinearFunctions(noise=0.0).predictive(task.support, task.query.x)


def lines(*shape: int, dtype=torch.float32, k_shot=1, generator=None):
    generator = seeded(0) if generator is None else generator
    return LinearFunctions(2).examples(torch.zeros(shape, dtype=dtype), k_shot, 1, generator=generator)


CALLS = [
    (lambda: LinearFunctions(0), "n_features is 0; allowed: a whole number, 1 or more"),
    (lambda: LinearFunctions(weight=-1.0), "weight is -1.0; allowed: a finite number, 0 or more"),
    (lambda: LinearFunctions(intercept=math.inf), "intercept is inf; allowed: a finite number, 0 or more"),
    (lambda: LinearFunctions(noise=-0.5), "noise is -0.5; allowed: a finite number, 0 or more"),
    (lambda: LinearFunctions(x=(5.0, -5.0)), "x is (5.0, -5.0); allowed: a pair with low not above high"),
    (lambda: LinearFunctions(dtype=torch.int64), "dtype is torch.int64; allowed: a floating dtype"),
    (
        lambda: LinearFunctions().sample(0, 1, 1, generator=seeded(0)),
        "n_tasks is 0; allowed: a whole number, 1 or more",
    ),
    (lambda: LinearFunctions().sample(1, -1, 1, generator=seeded(0)), "k_shot is -1; allowed: a whole number, 0 or"),
    (lambda: LinearFunctions().sample(1, 1, -1, generator=seeded(0)), "n_query is -1; allowed: a whole number, 0 or"),
    (lambda: LinearFunctions().sample(1, 1, 1, generator=0), "generator is 0; allowed: a torch.Generator"),
    (lambda: lines(4, 2), "description has shape (4, 2); allowed: (task, 3), 1 task or more"),
    (lambda: lines(3), "description has shape (3,); allowed: (task, 3), 1 task or more"),
    (lambda: lines(0, 3), "description has shape (0, 3); allowed: (task, 3), 1 task or more"),
    (lambda: lines(4, 3, dtype=torch.float64), "description has dtype torch.float64; allowed: torch.float32, the"),
    (lambda: lines(4, 3, k_shot=-1), "k_shot is -1; allowed: a whole number, 0 or more"),
    (lambda: lines(4, 3, generator=0), "generator is 0; allowed: a torch.Generator"),
]


test_wrong_arguments_are_named = refusals(CALLS)
