"""The family of sine waves: shapes, ranges, truth, examples; what it shares with lines is asked in `test_linear`."""

import math

import pytest
import torch
from oracles import seeded, tensors
from torch.testing import assert_close

from mapping_lib.families.sinusoid import Sinusoids


@pytest.mark.parametrize(("n_tasks", "k_shot", "n_query"), [(1, 1, 1), (7, 5, 3), (2, 0, 4), (2, 4, 0), (2, 0, 0)])
def test_shapes(n_tasks: int, k_shot: int, n_query: int):
    task = Sinusoids().sample(n_tasks, k_shot, n_query, generator=seeded(0))
    assert task.support.x.shape == task.support.y.shape == (n_tasks, k_shot, 1)
    assert task.query.x.shape == task.query.y.shape == (n_tasks, n_query, 1)
    assert task.description.shape == (n_tasks, 2)
    assert {t.dtype for t in tensors(task)} == {torch.float32}


@pytest.mark.parametrize(
    "family", [Sinusoids(), Sinusoids(amplitude=(2.0, 3.0), phase=(-1.0, 1.0), x=(0.0, 10.0)), Sinusoids(phase=(1, 1))]
)
def test_draws_fill_their_ranges_and_stay_inside(family: Sinusoids):
    task = family.sample(2000, 3, 2, generator=seeded(0))
    drawn = {
        family.amplitude: task.description[:, 0],
        family.phase: task.description[:, 1],
        family.x: torch.cat([task.support.x, task.query.x], 1),
    }
    for (low, high), values in drawn.items():
        assert low <= values.min() <= low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) <= values.max() <= high


def test_the_defaults_are_those_of_the_paper():
    assert Sinusoids() == Sinusoids(amplitude=(0.1, 5.0), phase=(0.0, math.pi), x=(-5.0, 5.0), noise=0.0)


def test_truth_is_amplitude_times_the_sine_of_x_minus_phase():
    for amplitude, phase, x in [(2.0, 0.3, 1.1), (0.1, 3.0, -4.9), (5.0, 0.0, 0.0), (1.0, math.pi, 2.0)]:
        description, at = (torch.tensor(t, dtype=torch.float64) for t in ([amplitude, phase], [[x]]))
        y = Sinusoids.truth(description, at)
        assert y.item() == pytest.approx(amplitude * math.sin(x - phase), abs=1e-12)


def test_every_example_lies_on_the_wave_of_its_own_task():
    task = Sinusoids(dtype=torch.float64).sample(4, 3, 2, generator=seeded(0))
    for i, (amplitude, phase) in enumerate(task.description.tolist()):
        for x, y in (task.support, task.query):
            expected = [[amplitude * math.sin(at - phase)] for at in x[i, :, 0].tolist()]
            assert_close(y[i], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


def test_the_mean_of_all_tasks_is_a_small_cosine():
    """E[A] E[sin(x - b)] = 2.55 * (-2 / pi) cos x: what joint training learns is not flat."""
    x = torch.linspace(-5, 5, 21, dtype=torch.float64)[:, None]
    description = Sinusoids(dtype=torch.float64).sample(200_000, 0, 0, generator=seeded(0)).description
    mean = torch.stack([Sinusoids.truth(description, at[None]).mean() for at in x])
    assert_close(mean, -1.62338 * torch.cos(x[:, 0]), rtol=0, atol=0.03)


# Examples of given tasks ------------------------------------------------------------------------------


def sample_in_one_piece(family: Sinusoids, n_tasks: int, k_shot: int, n_query: int, g: torch.Generator) -> list:
    """How `sample` drew before `examples` was cut out of it: every recorded number depends on this order."""

    def draw(low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=g, dtype=family.dtype) * (high - low) + low

    amplitude, phase = draw(*family.amplitude, n_tasks, 1), draw(*family.phase, n_tasks, 1)
    x = draw(*family.x, n_tasks, k_shot + n_query, 1)
    y = amplitude[:, None] * torch.sin(x - phase[:, None])
    if family.noise > 0:
        y = y + family.noise * torch.randn(y.shape, generator=g, dtype=family.dtype)
    return [x[:, :k_shot], y[:, :k_shot], x[:, k_shot:], y[:, k_shot:], torch.cat([amplitude, phase], 1)]


@pytest.mark.parametrize("family", [Sinusoids(), Sinusoids(noise=0.3), Sinusoids((1, 2), (0, 1), (0, 9), 1.0)], ids=str)
@pytest.mark.parametrize(("k_shot", "n_query"), [(10, 15), (1, 1), (0, 3), (3, 0)])
def test_the_same_generator_gives_the_same_bits_as_ever(family: Sinusoids, k_shot: int, n_query: int):
    g, other = seeded(3), seeded(3)
    for _ in range(2):  # the second call shows that the first left the generator where it should
        found = tensors(family.sample(7, k_shot, n_query, generator=g))
        expected = sample_in_one_piece(family, 7, k_shot, n_query, other)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert torch.equal(g.get_state(), other.get_state())


def test_examples_are_of_the_waves_described_and_new_each_time():
    family, waves, g = Sinusoids(dtype=torch.float64), torch.tensor([[2.0, 0.5], [9.0, -1.0]]).double(), seeded(0)
    first, second = (family.examples(waves, 4, 5, generator=g) for _ in range(2))
    for task in (first, second):
        assert torch.equal(task.description, waves)
        for x, y in (task.support, task.query):
            assert_close(y, torch.stack([2 * torch.sin(x[0] - 0.5), 9 * torch.sin(x[1] + 1)]), rtol=0, atol=1e-12)
    assert not (first.support.x == second.support.x).any()


def test_examples_have_the_noise_of_the_family():
    waves = torch.zeros(2000, 2)
    task = Sinusoids(noise=0.3).examples(waves, 5, 5, generator=seeded(0))
    assert task.support.y.std().item() == pytest.approx(0.3, rel=0.03)
    assert task.query.y.std().item() == pytest.approx(0.3, rel=0.03)
