"""The distributions of chapter 4g, held to torch.distributions and to numerical integration."""

import math

import pytest
import torch
from torch.distributions import Normal as Reference

from mapping_lib.chapters.what_came_after.methods_density import Bars, Normal

EDGES = torch.tensor([-2.0, -1.0, -0.25, 0.5, 2.5], dtype=torch.float64)
BOTH = pytest.mark.parametrize("density", [Normal(0.05), Bars(EDGES)], ids=["normal", "bars"])


def raw_of(density, n: int = 3) -> torch.Tensor:
    return torch.randn((n, density.n_out), generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def grid(raw: torch.Tensor) -> torch.Tensor:
    """Fine enough for sums, with a row for each of the distributions: (y, distribution, 1)."""
    return torch.linspace(-30, 30, 240_001, dtype=torch.float64)[:, None, None].expand(-1, len(raw), 1)


@BOTH
def test_the_density_sums_to_one_and_its_moments_are_those_named(density):
    raw = raw_of(density)
    y = grid(raw)
    weight = density.log_density(raw, y).exp() * (y[1] - y[0])[0]
    mean = (weight * y).sum(0)
    deviation = (weight * (y - mean).square()).sum(0).sqrt()
    torch.testing.assert_close(weight.sum(0), torch.ones_like(mean), rtol=0, atol=2e-4)
    torch.testing.assert_close(density.mean(raw), mean, rtol=0, atol=5e-4)
    torch.testing.assert_close(density.deviation(raw), deviation, rtol=0, atol=5e-4)


@BOTH
def test_the_cdf_is_the_integral_of_the_density_and_the_quantile_its_inverse(density):
    raw = raw_of(density)
    y = grid(raw)
    summed = (density.log_density(raw, y).exp() * (y[1] - y[0])[0]).cumsum(0)
    torch.testing.assert_close(density.cdf(raw, y), summed, rtol=0, atol=5e-4)
    for p in (0.01, 0.2, 0.5, 0.77, 0.99):
        torch.testing.assert_close(density.cdf(raw, density.quantile(raw, p)), torch.full((3, 1), p).double())


def test_normal_is_torch_s():
    raw, y = raw_of(Normal(0.05)), torch.tensor([[0.3], [-2.0], [9.0]], dtype=torch.float64)
    reference = Reference(raw[:, :1], 0.05 + raw[:, 1:].exp().log1p())
    torch.testing.assert_close(Normal(0.05).log_density(raw, y), reference.log_prob(y))


def test_a_bar_by_hand():
    bars, raw = Bars(torch.tensor([0.0, 1.0, 3.0, 4.0])), torch.tensor([1.0, 4.0, 5.0]).log()
    density = bars.log_density(raw, torch.tensor([2.0])).exp()
    assert math.isclose(density.item(), 0.4 / 2, rel_tol=1e-6)
    assert math.isclose(bars.cdf(raw, torch.tensor([2.0])).item(), 0.1 + 0.2, rel_tol=1e-6)
    assert math.isclose(bars.cdf(raw, torch.tensor([4.0])).item(), 0.5 + 0.5 / 2, rel_tol=1e-6)  # half of the tail


@BOTH
def test_a_density_can_be_mapped_over_tasks(density):
    raw, y = raw_of(density, 5)[:, None], torch.linspace(-3, 3, 5, dtype=torch.float64)[:, None, None]
    mapped = torch.func.vmap(lambda raw, y: density.log_density(raw, y))(raw, y)
    torch.testing.assert_close(mapped, density.log_density(raw, y))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Normal(0.0), "least is 0.0; allowed: a finite number above 0"),
        (lambda: Bars(torch.tensor([0.0, 1.0, 1.0, 2.0])), "edges do not rise; allowed: "),
        (lambda: Bars(torch.zeros(3)), r"edges has shape \(3,\); allowed: \(bar \+ 1,\)"),
        (lambda: Bars(EDGES).mean(torch.zeros(5, 3)), r"raw has shape \(5, 3\); allowed: \(..., 4\)"),
        (lambda: Normal().log_density(torch.zeros(5, 2), torch.zeros(5)), r"y has shape \(5,\); allowed: \(..., 1\)"),
        (lambda: Normal().quantile(torch.zeros(5, 2), 1.0), "p is 1.0; allowed: a probability between 0 and 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
