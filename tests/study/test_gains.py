"""Gains: against formulas written out, the bootstrap, and what must not change them."""

import math
import re
import statistics

import pytest
import torch
from oracles import seeded

from mapping_lib.study import Row
from mapping_lib.study.gains import error_removed, paired
from mapping_lib.study.intervals import student

BASE = 1 + torch.rand(600, generator=seeded(0), dtype=torch.float64)
BETTER = 0.6 * BASE + 0.1 * torch.rand(600, generator=seeded(1), dtype=torch.float64)


T = student(599)
UNITS = torch.arange(600) % 8


def row(scores, setting: str = "1-shot", units=None) -> Row:
    return Row("m", setting, torch.as_tensor(scores), units)


def removed(method, baseline, measure: str = "error", units=None):
    return error_removed(row(method, units=units), row(baseline, units=units), measure)


def test_a_paired_difference_is_that_of_the_statistics_module():
    differences = [b - a for a, b in zip(BASE.tolist(), BETTER.tolist(), strict=True)]
    mean, error = statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(600)
    assert paired(row(BETTER), row(BASE)) == pytest.approx((mean, mean - T * error, mean + T * error), abs=1e-6)


def test_what_makes_an_episode_hard_for_both_widens_no_paired_interval():
    hard = 100 * torch.rand(600, generator=seeded(2), dtype=torch.float64)
    plain, shifted = paired(row(BETTER), row(BASE)), paired(row(BETTER + hard), row(BASE + hard))
    assert shifted == pytest.approx(plain, abs=1e-5)


@pytest.mark.parametrize("by", ["difference", "share"])
def test_what_a_unit_does_to_one_method_alone_widens_the_interval(by: str):
    better = BETTER + torch.rand(8, generator=seeded(3), dtype=torch.float64)[UNITS]

    def gain(units):
        a, b = row(better, units=units), row(BASE, units=units)
        return paired(a, b) if by == "difference" else error_removed(a, b, "error")

    alone, shared = gain(None), gain(UNITS)
    assert shared.mean == pytest.approx(alone.mean)
    assert shared.high - shared.low > 5 * (alone.high - alone.low)


@pytest.mark.parametrize("units", [None, UNITS], ids=["alone", "clustered"])
def test_the_share_removed_has_the_interval_of_the_bootstrap(units):
    """The percentile bootstrap (Efron & Tibshirani 1993, section 13.3) draws whole units, with both their scores."""
    better = BETTER + (0 if units is None else 0.1 * torch.rand(8, generator=seeded(3), dtype=torch.float64)[UNITS])
    gain, n_units = removed(better, BASE, units=units), 600 if units is None else 8
    groups = (torch.arange(600) if units is None else units.argsort(stable=True)).view(n_units, -1)
    drawn = groups[torch.randint(n_units, (4000, n_units), generator=seeded(4))].flatten(1)
    shares = 1 - better[drawn].mean(1) / BASE[drawn].mean(1)
    assert gain.mean == pytest.approx(1 - float(better.mean() / BASE.mean()))
    less = 1 if units is None else (7 / 8) ** 0.5  # eight units drawn again scatter by so much less
    assert (gain.high - gain.low) / 2 / student(n_units - 1) == pytest.approx(float(shares.std()) / less, rel=0.05)


def test_a_share_has_no_unit_and_a_worse_method_removes_less_than_nothing():
    assert removed(7 * BETTER, 7 * BASE) == pytest.approx(removed(BETTER, BASE))
    assert removed(BASE, BETTER).high < 0


def test_accuracy_is_turned_into_the_share_wrong_and_a_return_into_a_cost():
    wrong_method, wrong_baseline = BETTER / 4, BASE / 4
    wanted = removed(wrong_method, wrong_baseline)
    assert removed(1 - wrong_method, 1 - wrong_baseline, "accuracy") == pytest.approx(wanted)
    assert removed(-wrong_method, -wrong_baseline, "return") == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired(row(BASE), row(BASE[:9])), "method has 600 scores of '1-shot' and baseline 9 scores"),
        (lambda: paired(row(BASE, "5-shot"), row(BASE)), "allowed: the same episodes for both"),
        (lambda: paired(row(BASE, units=UNITS), row(BASE)), "have different units; allowed: the same episodes for"),
        (lambda: paired(row(BASE, units=UNITS), row(BASE, units=UNITS + 1)), "have different units; allowed: the sam"),
        (lambda: removed(BASE, BASE, "loss"), "measure is 'loss'; allowed: 'accuracy', 'return', 'error'"),
    ],
)
def test_wrong_arguments_are_named(call, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
