"""Gains: against formulas written out, a closed form of the ratio's interval, and what must not change them."""

import math
import re
import statistics

import pytest
import torch
from oracles import seeded

from mapping_lib.study import Row
from mapping_lib.study.gains import error_removed, paired

BASE = 1 + torch.rand(600, generator=seeded(0), dtype=torch.float64)
BETTER = 0.6 * BASE + 0.1 * torch.rand(600, generator=seeded(1), dtype=torch.float64)


def row(scores, setting: str = "1-shot") -> Row:
    return Row("m", setting, torch.as_tensor(scores))


def removed(method, baseline, measure: str = "error", seed: int = 0):
    return error_removed(row(method), row(baseline), measure, generator=seeded(seed))


def test_a_paired_difference_is_that_of_the_statistics_module():
    differences = [b - a for a, b in zip(BASE.tolist(), BETTER.tolist(), strict=True)]
    mean, error = statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(600)
    assert paired(row(BETTER), row(BASE)) == pytest.approx((mean, mean - 1.96 * error, mean + 1.96 * error), abs=1e-6)


def test_what_makes_an_episode_hard_for_both_widens_no_paired_interval():
    hard = 100 * torch.rand(600, generator=seeded(2), dtype=torch.float64)
    plain, shifted = paired(row(BETTER), row(BASE)), paired(row(BETTER + hard), row(BASE + hard))
    assert shifted == pytest.approx(plain, abs=1e-5)


def test_the_share_removed_has_the_interval_of_the_delta_method():
    gain, ratio = removed(BETTER, BASE), BETTER.mean() / BASE.mean()
    error = float((BETTER - ratio * BASE).std() / BASE.mean() / math.sqrt(600))
    assert gain.mean == pytest.approx(1 - float(ratio))
    assert gain.high - gain.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert gain.low < gain.mean < gain.high


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
        (lambda: removed(BASE, BASE, "loss"), "measure is 'loss'; allowed: 'accuracy', 'return', 'error'"),
    ],
)
def test_wrong_arguments_are_named(call, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
