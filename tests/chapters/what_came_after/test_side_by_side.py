"""Who is compared on the waves: on which, how, and at what cost."""

import math

import pytest
import torch
from torch.testing import assert_close

from mapping_lib.chapters.what_came_after.study_contestants import SHARED, Contestant, errors_on, table_of, waves
from mapping_lib.chapters.what_came_after.study_side_by_side import ASKED, cost, mean_error, typical_error
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.study import measure
from mapping_lib.study.sinusoids import shipped


def test_waves_outside_are_those_inside_turned_over():
    inside, outside = (waves(away).sample(50, 5, 5, generator=torch.Generator().manual_seed(0)) for away in (0.0, 1.0))
    assert_close(outside.support.x, inside.support.x)
    assert_close(outside.support.y, -inside.support.y, rtol=1e-4, atol=1e-5)
    assert inside.description[:, 1].max() < math.pi < outside.description[:, 1].min()
    with pytest.raises(ValueError, match=r"away is -1.*allowed"):
        waves(-1.0)


@pytest.mark.parametrize("name", SHARED)
def test_an_error_is_that_of_one_task_after_the_other(name: str):
    contestant = SHARED[name]
    learner, theta = contestant.ready(0)
    tasks = Sinusoids().sample(7, 5, 9, generator=torch.Generator().manual_seed(1))
    found = errors_on(learner, theta, tasks, contestant.steps)
    for i in range(7):
        support, query = (type(batch)(batch.x[i], batch.y[i]) for batch in (tasks.support, tasks.query))
        phi = learner.adapt(theta, support, steps=contestant.steps)
        wanted = (learner.predict(phi, query.x) - query.y).square().mean()
        assert_close(found[i], wanted, rtol=1e-3, atol=1e-5)


def test_all_rows_meet_the_same_waves_and_every_seed_has_a_row():
    constant = Contestant(lambda seed: shipped("scratch", seed), "", "", "", 0, (0, 2))
    table = table_of({"untrained": constant, "again": constant}, n=40)
    assert table.methods == ("untrained", "untrained, seed 2", "again", "again, seed 2")
    first, second, third = (measure(table, method, "K = 5", n=20).scores for method in table.methods[:3])
    assert torch.equal(first, third)
    assert not torch.equal(first, second)


def test_the_interval_is_over_tasks_and_not_over_seeds():
    scores = torch.tensor([[1.0, 2.0, 3.0, 6.0], [1.0, 4.0, 3.0, 0.0]])
    mean, half = mean_error(scores)
    by_hand = torch.tensor([1.0, 3.0, 3.0, 3.0])
    assert mean == pytest.approx(2.5)
    assert half == pytest.approx(3.182446 * float(by_hand.std()) / 2, rel=1e-5)


def test_the_interval_of_a_median_holds_it_as_often_as_it_says():
    """On 2,000 draws of 99 tasks; binomially, ends at ranks 40 and 60 hold the median in 95.6 % of draws."""
    drawn = torch.randn(2000, 99, generator=torch.Generator().manual_seed(0)).exp()
    held = [low <= 1.0 <= high for _, low, high in (typical_error(scores[None]) for scores in drawn)]
    assert sum(held) / 2000 == pytest.approx(0.956, abs=0.02)


def test_a_cost_is_counted_by_hand():
    """A product of n x k and k x m matrices counts 2nkm; the gradient needs two products for one, but for the input."""
    forward, k = 2 * (40 + 40 * 40 + 40), 10
    backward = 2 * (forward - 2 * 40) + 2 * 40  # weights of all layers, and what comes into all but the first
    one = SHARED["MAML"]._replace(steps=1)
    assert cost(one, k_shot=k) == k * (forward + backward) + ASKED * forward
    assert cost(one._replace(steps=0)) == ASKED * forward
