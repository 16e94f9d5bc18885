"""Errors by inner step: the summary against numpy, the evaluation against a plain loop."""

import math

import numpy as np
import pytest
import torch
from oracles import FLOAT64, Spoilt, each, flat, float64_mlp, general_mse, loop_path, random_theta, seeded, unflat
from torch import nn
from torch.func import functional_call
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mapping_lib.evaluation import DIVERGED_TIMES, evaluate_by_shots, evaluate_by_step, summarise
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.amortised import BASE, WRITER, hypernetwork, n_weights
from mapping_lib.learners.baselines import from_scratch, joint, joint_adam
from mapping_lib.learners.gradient import anil, fomaml, maml, reptile
from mapping_lib.networks import mlp
from mapping_lib.task import Batch, Task

FAMILY = Sinusoids(dtype=torch.float64)
NETWORK = float64_mlp(1, 6, 1)
INF, NAN = math.inf, math.nan


def errors(n_tasks: int = 37) -> torch.Tensor:
    """Positive errors by task and step, in float64."""
    return torch.randn(n_tasks, 4, generator=seeded(0), dtype=torch.float64).exp()


def test_summary_equals_numpy():
    per_task = errors()
    found, by_hand = summarise(per_task), per_task.numpy()
    standard_error = by_hand.std(0, ddof=1) / np.sqrt(37)
    expected = {
        "mean": by_hand.mean(0),
        "median": np.median(by_hand, 0),
        "low": by_hand.mean(0) - 1.96 * standard_error,
        "high": by_hand.mean(0) + 1.96 * standard_error,
    }
    assert torch.equal(found.per_task, per_task)
    for name, value in expected.items():
        assert_close(getattr(found, name), torch.from_numpy(value), **FLOAT64)


@pytest.mark.parametrize("n_tasks", [2, 3, 10, 11])
def test_the_median_of_even_and_odd_numbers_of_tasks(n_tasks: int):
    found = summarise(errors(n_tasks)).median
    assert_close(found, torch.from_numpy(np.median(errors(n_tasks).numpy(), 0)), **FLOAT64)


def test_the_interval_covers_the_true_mean_in_19_of_20_samples():
    samples = torch.rand(2000, 50, 1, generator=seeded(0), dtype=torch.float64)
    covered = [bool(s.low <= 0.5 <= s.high) for s in map(summarise, samples)]
    assert sum(covered) / 2000 == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_an_error_that_is_not_finite_is_never_dropped(bad: float):
    found = summarise(torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, bad]]))
    assert found.per_task[2, 1] == INF
    assert found.mean.tolist() == [2.0, INF]
    assert found.median.tolist() == [2.0, 2.0]
    assert found.diverged.tolist() == pytest.approx([0.0, 1 / 3])
    assert not torch.isfinite(found.high[1])


@pytest.mark.parametrize(
    ("column", "median"),
    [
        ([1.0, 2.0, INF], 2.0),
        ([1.0, INF, INF], INF),
        ([1.0, 2.0, INF, INF], INF),
        ([1.0, 2.0, 4.0, INF], 3.0),
        ([1.0, INF, INF, INF], INF),
        ([NAN, NAN, NAN, NAN], INF),
    ],
    ids=str,
)
def test_the_median_counts_infinite_errors_too(column: list[float], median: float):
    per_task = torch.tensor([[1.0] * len(column), column]).T
    assert summarise(per_task).median.tolist() == [1.0, median]


def test_diverged_is_the_share_above_ten_times_the_median_before_adaptation():
    just_above, just_below = DIVERGED_TIMES * 2.0 + 0.01, DIVERGED_TIMES * 2.0 - 0.01
    per_task = torch.tensor([[1.0, just_above], [2.0, just_below], [3.0, 0.1], [2.0, NAN], [2.0, 1e9]])
    assert summarise(per_task).diverged.tolist() == pytest.approx([0.0, 3 / 5])


def test_every_error_that_is_not_finite_has_diverged_even_where_most_have():
    per_task = torch.tensor([[INF, INF], [NAN, NAN], [NAN, 1.0], [1.0, 1.0]])
    assert summarise(per_task).diverged.tolist() == [0.75, 0.5]


@pytest.mark.parametrize("make", [maml, fomaml, reptile, joint, from_scratch])
@pytest.mark.parametrize("loss", [mse_loss, general_mse], ids=["fast path", "general path"])
def test_the_evaluation_equals_a_plain_loop(make, loss):
    theta = random_theta(NETWORK)
    learner = make(NETWORK, loss, alpha=0.03, steps=1)
    found = evaluate_by_step(
        learner, theta, FAMILY, k_shot=4, steps=3, n_tasks=5, generator=seeded(0), n_query=6
    ).per_task
    expected = []
    for support, query in each(FAMILY.sample(5, 4, 6, generator=seeded(0))):
        path = loop_path(NETWORK, mse_loss, theta, support, 0.03, 3)
        expected.append([float(mse_loss(functional_call(NETWORK, p, (query.x,)), query.y).detach()) for p in path])
    assert_close(found, torch.tensor(expected, dtype=torch.float64), **FLOAT64)


@pytest.mark.parametrize("k_shot", [0, 1, 5])
@pytest.mark.parametrize("make", [maml, anil])
def test_a_learner_without_a_path_gives_the_same_numbers(make, k_shot: int):
    learner, theta = make(NETWORK, mse_loss, alpha=0.03, steps=2), random_theta(NETWORK)
    settings = {"k_shot": k_shot, "steps": 3, "n_tasks": 5}
    with_path, without = (
        evaluate_by_step(one, theta, FAMILY, generator=seeded(0), **settings)
        for one in (learner, learner._replace(adapt_path=None))
    )
    assert_close(without, with_path, **FLOAT64)


def test_a_learner_without_a_path_is_given_the_description():
    """A learner that is told the task and needs no step."""

    def adapt(theta, support, *, description=None, steps=None):
        return {"wave": description}

    knows = maml(NETWORK, mse_loss)._replace(
        adapt=adapt, adapt_path=None, predict=lambda phi, x: FAMILY.truth(phi["wave"], x)
    )
    found = evaluate_by_step(knows, {}, FAMILY, k_shot=0, steps=2, n_tasks=5, generator=seeded(0))
    assert_close(found.per_task, torch.zeros(5, 3, dtype=torch.float64), **FLOAT64)


def test_two_learners_with_equal_seeds_meet_the_same_tasks():
    theta = random_theta(NETWORK)
    settings = {"k_shot": 4, "steps": 1, "n_tasks": 6}
    exact, first = (
        evaluate_by_step(make(NETWORK, mse_loss, alpha=alpha), theta, FAMILY, generator=seeded(5), **settings)
        for make, alpha in ((maml, 0.01), (anil, 0.05))
    )
    assert torch.equal(exact.per_task[:, 0], first.per_task[:, 0])
    assert not torch.equal(exact.per_task[:, 1], first.per_task[:, 1])


def test_without_evidence_the_error_stays():
    found = evaluate_by_step(
        maml(NETWORK, mse_loss), random_theta(NETWORK), FAMILY, k_shot=0, steps=3, n_tasks=4, generator=seeded(0)
    )
    assert torch.equal(found.per_task, found.per_task[:, :1].expand(4, 4))


def test_a_learner_that_blows_up_is_shown_to_do_so():
    learner = maml(mlp((1, 8, 1)), mse_loss, alpha=1e20)
    theta = learner.init(generator=seeded(0))
    found = evaluate_by_step(learner, theta, Sinusoids(), k_shot=4, steps=4, n_tasks=9, generator=seeded(0))
    assert found.mean[4] == INF
    assert found.diverged.tolist() == [0.0, 1.0, 1.0, 1.0, 1.0]


def test_shapes():
    found = evaluate_by_step(
        maml(NETWORK, mse_loss), random_theta(NETWORK), FAMILY, k_shot=3, steps=2, n_tasks=7, generator=seeded(0)
    )
    assert found.per_task.shape == (7, 3)
    assert {tuple(summary.shape) for summary in found[1:]} == {(3,)}
    assert not any(summary.requires_grad for summary in found)


# By number of examples --------------------------------------------------------------------------------


def by_shots(learner, theta, shots, *, n_tasks: int = 5, **settings):
    return evaluate_by_shots(
        learner, theta, FAMILY, shots=shots, n_tasks=n_tasks, n_query=6, generator=seeded(0), **settings
    ).per_task


def judged(phi, query: Batch) -> float:
    return float(mse_loss(functional_call(NETWORK, phi, (query.x,)), query.y).detach())


@pytest.mark.parametrize("shots", [(4, 0, 7, 1), [7], (2, 2)], ids=str)
@pytest.mark.parametrize("make", [maml, fomaml, joint, from_scratch])
def test_each_column_is_a_plain_loop_on_the_first_examples_of_the_same_tasks(make, shots):
    theta = random_theta(NETWORK)
    found = by_shots(make(NETWORK, mse_loss, alpha=0.03), theta, shots, steps=3)
    expected = []
    for support, query in each(FAMILY.sample(5, max(shots), 6, generator=seeded(0))):
        few = [Batch(support.x[:k], support.y[:k]) for k in shots]
        phis = [loop_path(NETWORK, mse_loss, theta, s, 0.03, 3)[-1] if len(s.x) else theta for s in few]
        expected.append([judged(phi, query) for phi in phis])
    assert_close(found, torch.tensor(expected, dtype=torch.float64), **FLOAT64)


@pytest.mark.parametrize("make", [maml, anil, joint_adam])
def test_with_all_examples_the_error_is_that_by_step(make):
    learner, theta = make(NETWORK, mse_loss, alpha=0.03), random_theta(NETWORK)
    by_step = evaluate_by_step(
        learner, theta, FAMILY, k_shot=7, steps=3, n_tasks=5, n_query=6, generator=seeded(0)
    ).per_task
    assert_close(by_shots(learner, theta, (0, 7), steps=3), by_step[:, [0, 3]], **FLOAT64)


@pytest.mark.parametrize("make", [maml, anil, joint_adam])
def test_steps_of_none_are_left_to_the_learner(make):
    theta = random_theta(NETWORK)
    two, three = (make(NETWORK, mse_loss, alpha=0.03, steps=steps) for steps in (2, 3))
    left, said = by_shots(three, theta, (0, 4)), by_shots(two, theta, (0, 4), steps=3)
    assert_close(left, said, **FLOAT64)
    assert not torch.allclose(left, by_shots(two, theta, (0, 4)))


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("make", [maml, anil, joint_adam])
def test_by_shots_too_a_learner_without_a_path_gives_the_same_numbers(make, steps: int):
    learner, theta = make(NETWORK, mse_loss, alpha=0.03), random_theta(NETWORK)
    with_path = by_shots(learner, theta, (0, 1, 5), steps=steps)
    assert_close(by_shots(learner._replace(adapt_path=None), theta, (0, 1, 5), steps=steps), with_path, **FLOAT64)


def test_by_shots_the_hypernetwork_is_told_each_task_s_description():
    writer = nn.Linear(2, n_weights(NETWORK)).double()
    base, weights = random_theta(NETWORK), random_theta(writer, seed=1)
    theta = {BASE + name: p for name, p in base.items()} | {WRITER + name: p for name, p in weights.items()}
    found = by_shots(hypernetwork(NETWORK, mse_loss, writer=writer), theta, (0, 3))
    tasks = FAMILY.sample(5, 3, 6, generator=seeded(0))
    for i, (_, query) in enumerate(each(tasks)):
        written = weights["weight"] @ tasks.description[i] + weights["bias"]
        error = judged(unflat(flat(base) + written, base), query)
        assert found[i].tolist() == pytest.approx([error, error], rel=1e-9)  # with no step, examples are nothing to it


def test_by_shots_an_error_of_one_s_own_is_asked_for():
    theta, learner = random_theta(NETWORK), maml(NETWORK, mse_loss, alpha=0.03)
    doubled = by_shots(learner, theta, (0, 2), steps=1, error=lambda y_hat, y: 2 * general_mse(y_hat, y))
    assert_close(doubled, 2 * by_shots(learner, theta, (0, 2), steps=1), **FLOAT64)


@pytest.mark.parametrize("with_path", [True, False])
def test_by_shots_a_task_that_diverges_counts_as_infinite(with_path: bool):
    learner = maml(mlp((1, 8, 1)), mse_loss, alpha=1e20)
    theta = learner.init(generator=seeded(0))
    learner = learner if with_path else learner._replace(adapt_path=None)
    found = evaluate_by_shots(learner, theta, Sinusoids(), shots=(0, 4), n_tasks=9, steps=4, generator=seeded(0))
    assert torch.isfinite(found.mean[0])
    assert found.per_task[:, 1].tolist() == [INF] * 9
    assert (found.mean[1], found.diverged.tolist()) == (INF, [0.0, 1.0])


def test_shapes_by_shots():
    found = evaluate_by_shots(
        maml(NETWORK, mse_loss), random_theta(NETWORK), FAMILY, shots=(1, 2, 3), n_tasks=7, generator=seeded(0)
    )
    assert found.per_task.shape == (7, 3)
    assert {tuple(summary.shape) for summary in found[1:]} == {(3,)}
    assert not any(summary.requires_grad for summary in found)


def judge_both(family, **kwargs):
    """Both evaluations of a plain learner."""
    settings = {"n_tasks": 6, "steps": 1} | kwargs
    learner = maml(NETWORK, mse_loss)
    yield lambda: evaluate_by_step(learner, random_theta(NETWORK), family, k_shot=3, generator=seeded(0), **settings)
    yield lambda: evaluate_by_shots(learner, random_theta(NETWORK), family, shots=(3,), generator=seeded(0), **settings)


def test_nan_in_the_data_is_named_and_no_task_is_dropped():
    def spoil(tasks: Task) -> None:
        tasks.support.y[4, 1] = NAN

    for judge in judge_both(Spoilt(FAMILY, spoil)):
        with pytest.warns(UserWarning, match=r"not finite\. tasks\.support\.y holds 1 number of 18 .*, in task 4"):
            found = judge()
        assert found.per_task[:, -1].isinf().tolist() == [False, False, False, False, True, False]


def test_inputs_of_the_size_of_years_are_named():
    def spoil(tasks: Task) -> None:
        for part in (tasks.support, tasks.query):
            part.x.mul_(1e200)

    for judge in judge_both(Spoilt(FAMILY, spoil)):
        with pytest.warns(UserWarning, match=r"not finite\. tasks\.support\.x has large numbers .*: scale them"):
            judge()


def test_errors_that_are_finite_ask_nothing_of_the_data():
    """A measure of one's own may leave out what is missing."""

    def spoil(tasks: Task) -> None:
        tasks.query.y[:, ::2] = NAN

    for judge in judge_both(Spoilt(FAMILY, spoil), error=lambda y_hat, y: (y_hat - y).square().nanmean()):
        assert judge().mean.isfinite().all()
