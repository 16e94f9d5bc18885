"""The one interval: against formulas written out, the bootstrap, and draws whose true spread is known."""

import math
import statistics

import pytest
import torch
from oracles import refusals, seeded

from mapping_lib.study.intervals import count_units, half_width, student

TABLE = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 9: 2.2622, 39: 2.0227, 100: 1.9840, 599: 1.9639, 10**6: 1.9600}
"""Student's t at 97.5 %, from the tables of textbooks."""

SCORES = torch.rand(60, generator=seeded(0), dtype=torch.float64)


@pytest.mark.parametrize("df", TABLE)
def test_students_quantile_is_that_of_the_tables(df: int):
    assert student(df) == pytest.approx(TABLE[df], abs=6e-5)


def test_the_two_forms_of_students_quantile_meet():
    assert student(200) == pytest.approx(student(201), abs=1e-4)
    assert student(200) > student(201)


def test_scores_that_are_units_of_their_own_have_the_usual_interval():
    usual = student(59) * statistics.stdev(SCORES.tolist()) / math.sqrt(60)
    assert half_width(SCORES) == pytest.approx(usual)
    assert half_width(SCORES, torch.randperm(60, generator=seeded(1))) == pytest.approx(usual)


def test_equal_clusters_have_the_interval_of_their_means():
    units = torch.arange(60) % 6
    scores = SCORES + units  # units that differ
    means = [float(scores[units == u].mean()) for u in range(6)]
    assert half_width(scores, units) == pytest.approx(student(5) * statistics.stdev(means) / math.sqrt(6))


def test_repeating_scores_of_the_same_units_makes_nothing_surer():
    units = torch.arange(60) % 6
    scores = SCORES + units
    once, often = half_width(scores, units), half_width(scores.repeat(100), units.repeat(100))
    assert often == pytest.approx(once)
    assert half_width(scores.repeat(100)) < 0.2 * once  # as if each score were news


def test_unequal_clusters_have_the_spread_of_the_cluster_bootstrap():
    """Draw 40 units with replacement, each with all its scores (Cameron, Gelbach & Miller 2008)."""
    g = seeded(2)
    units = torch.randint(40, (300,), generator=g)
    scores = torch.randn(40, generator=g)[units] + torch.randn(300, generator=g)
    weights = torch.stack([torch.randint(40, (40,), generator=g).bincount(minlength=40) for _ in range(4000)])[:, units]
    means = (weights * scores).sum(1) / weights.sum(1)
    assert half_width(scores, units) / student(39) == pytest.approx(float(means.std()), rel=0.06)


def episodes(n: int, n_units: int, r: int, g: torch.Generator, unit_sd: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of episodes with r of the units each: the mean of what these units bring, and luck."""
    brings = unit_sd * torch.randn(n_units, generator=g, dtype=torch.float64)
    units = torch.rand(n, n_units, generator=g).argsort(1)[:, :r]
    return brings[units].sum(1) + torch.randn(n, generator=g, dtype=torch.float64), units


@pytest.mark.parametrize(("n_units", "r", "unit_sd"), [(40, 5, 0.5), (80, 20, 0.3), (12, 1, 1.0)])
def test_the_interval_covers_the_true_mean_in_19_of_20_draws_of_units(n_units: int, r: int, unit_sd: float):
    """The true mean is 0. By episode alone, the interval misses it most of the time."""
    g, hits, naive_hits = seeded(3), 0, 0
    for _ in range(400):
        scores, units = episodes(600, n_units, r, g, unit_sd)
        away = abs(float(scores.mean()))
        hits += away <= half_width(scores, units)
        naive_hits += away <= half_width(scores)
    assert 0.92 <= hits / 400 <= 0.98
    assert naive_hits / 400 < 0.7


def test_units_that_bring_nothing_widen_little_and_never_narrow():
    g, widened = seeded(4), []
    for _ in range(200):
        scores, units = episodes(600, 40, 5, g, 0.0)
        widened.append(half_width(scores, units) / half_width(scores))
    assert min(widened) >= 1
    assert statistics.fmean(widened) < 1.4


def test_nothing_is_known_from_one_unit_or_where_all_scores_share_all_units():
    assert math.isinf(half_width(SCORES, torch.zeros(60, dtype=torch.int64)))
    assert math.isinf(half_width(SCORES, torch.arange(5).expand(60, 5)))
    assert math.isinf(half_width(torch.tensor([1.0])))
    assert math.isinf(half_width(torch.tensor([1.0, math.inf])))


def test_names_of_units_do_not_matter():
    scores, units = episodes(100, 12, 3, seeded(5), 1.0)
    assert half_width(scores, 1000 - 7 * units) == pytest.approx(half_width(scores, units))
    assert count_units(100, units) == 12


test_wrong_units_are_refused = refusals(
    [
        (lambda: half_width(SCORES, torch.arange(59)), "units has shape (59,) and dtype torch.int64; allowed: one"),
        (lambda: half_width(SCORES, SCORES), "units has shape (60,) and dtype torch.float64; allowed: one whole"),
        (lambda: half_width(SCORES, torch.tensor(3)), "units has shape () and dtype torch.int64; allowed: one whole"),
    ]
)
