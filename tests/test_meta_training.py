"""The outer loop: its optimisers stepped by hand, its stream of progress, and what it does when it breaks."""

import itertools
import math

import pytest
import torch
from oracles import FLOAT64, copied, float64_mlp, loop_meta_grad, random_theta, seeded
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mapping_lib.evaluation import evaluate_by_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.gradient import maml
from mapping_lib.meta_training import MetaTrainingDiverged, meta_train
from mapping_lib.networks import mlp
from mapping_lib.task import Params, Task

FAMILY = Sinusoids(dtype=torch.float64)
NETWORK = float64_mlp(1, 6, 1)
ALPHA = 0.02


class Counting:
    """A family that counts how often tasks are drawn from it."""

    calls = 0

    def sample(self, *args, **kwargs) -> Task:
        self.calls += 1
        return FAMILY.sample(*args, **kwargs)


def constant_learner(direction: float = 1.0) -> MetaLearner:
    """A learner whose direction is the same at every theta; its meta-loss is theta."""

    def meta_grad(theta: Params, tasks: Task):
        return theta["w"].sum(), {"w": torch.full_like(theta["w"], direction)}

    def nothing(*args, **kwargs):
        raise NotImplementedError

    return MetaLearner(nothing, nothing, nothing, meta_grad, "exact")


def train(learner: MetaLearner, *, seed: int = 0, family=FAMILY, **kwargs):
    settings = {"beta": 0.1, "outer_steps": 5, "tasks_per_step": 4, "k_shot": 3, "n_query": 5} | kwargs
    return meta_train(learner, family, generator=seeded(seed), **settings)


def reference_directions(theta: Params, seed: int, steps: int):
    """The tasks that `train` draws with this seed, and the direction of each by the plain loop."""
    g = seeded(seed)
    for _ in range(steps):
        tasks = FAMILY.sample(4, 3, 5, generator=g)
        yield loop_meta_grad(NETWORK, mse_loss, theta, tasks, ALPHA, 2)


def test_one_sgd_step_subtracts_beta_times_the_direction():
    theta = random_theta(NETWORK)
    (progress,) = train(maml(NETWORK, mse_loss, alpha=ALPHA, steps=2), theta=theta, optimiser="sgd", outer_steps=1)
    ((meta_loss, direction),) = reference_directions(theta, 0, 1)
    assert progress.step == 1
    assert progress.meta_loss == pytest.approx(float(meta_loss))
    assert_close(progress.theta, {name: p - 0.1 * direction[name] for name, p in theta.items()}, **FLOAT64)


def test_adam_equals_adam_stepped_by_hand():
    theta = random_theta(NETWORK)
    found = list(train(maml(NETWORK, mse_loss, alpha=ALPHA, steps=2), theta=theta, beta=0.01))
    by_hand = copied(theta)
    adam = torch.optim.Adam(by_hand.values(), lr=0.01)
    for progress, (meta_loss, direction) in zip(found, reference_directions(by_hand, 0, 5), strict=True):
        for name, p in by_hand.items():
            p.grad = direction[name]
        adam.step()
        assert progress.meta_loss == pytest.approx(float(meta_loss))
        assert_close(progress.theta, by_hand, **FLOAT64)


def test_a_constant_schedule_takes_equal_steps():
    path = [p.theta["w"].item() for p in train(constant_learner(), theta={"w": torch.zeros(1)}, optimiser="sgd")]
    assert path == pytest.approx([-0.1, -0.2, -0.3, -0.4, -0.5])


def test_a_cosine_schedule_brings_beta_down_to_zero():
    """The n-th of N steps is beta (1 + cos(pi (n - 1) / N)) / 2; they add up to beta (N + 1) / 2."""
    theta = {"w": torch.zeros(1, dtype=torch.float64)}
    settings = {"theta": theta, "optimiser": "sgd", "schedule": "cosine", "outer_steps": 50}
    path = [0.0] + [p.theta["w"].item() for p in train(constant_learner(), **settings)]
    taken = [a - b for a, b in itertools.pairwise(path)]
    assert taken == pytest.approx([0.1 * (1 + math.cos(math.pi * n / 50)) / 2 for n in range(50)])
    assert path[-1] == pytest.approx(-0.1 * 51 / 2)
    assert taken[-1] < 1e-3 * taken[0]


def test_the_callers_theta_is_unchanged():
    theta = random_theta(NETWORK)
    before = copied(theta)
    list(train(maml(NETWORK, mse_loss), theta=theta))
    assert all(torch.equal(theta[name], before[name]) for name in before)
    assert all(p.grad is None for p in theta.values())


def test_every_yielded_theta_is_a_snapshot():
    copies, kept = [], []
    for progress in train(maml(NETWORK, mse_loss)):
        kept.append(progress.theta)
        copies.append(copied(progress.theta))
    for then, now in zip(copies, kept, strict=True):
        assert all(torch.equal(then[name], now[name]) for name in then)
    assert not torch.equal(kept[0]["0.weight"], kept[-1]["0.weight"])


def test_steps_are_numbered_from_one():
    assert [p.step for p in train(maml(NETWORK, mse_loss))] == [1, 2, 3, 4, 5]


def test_without_a_theta_training_begins_at_init_drawn_from_the_generator():
    learner, g = maml(NETWORK, mse_loss, alpha=ALPHA, steps=2), seeded(0)
    theta = learner.init(generator=g)
    (with_theta,) = meta_train(learner, FAMILY, beta=0.1, outer_steps=1, generator=g, theta=theta)
    (without,) = meta_train(learner, FAMILY, beta=0.1, outer_steps=1, generator=seeded(0))
    assert_close(without.theta, with_theta.theta, rtol=0, atol=0)


@pytest.fixture
def set_threads():
    """`torch.set_num_threads`, put back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_the_same_seed_gives_the_same_theta_on_one_and_two_threads(set_threads):
    learner, thetas = maml(mlp((1, 40, 40, 1)), mse_loss), []
    for threads in (1, 1, 2):
        set_threads(threads)
        *_, last = meta_train(learner, Sinusoids(), beta=0.001, outer_steps=4, generator=seeded(0))
        thetas.append(last.theta)
    assert all(torch.equal(thetas[0][name], thetas[1][name]) for name in thetas[0])
    assert_close(thetas[2], thetas[0], rtol=1e-3, atol=1e-4)


def test_other_seeds_give_another_theta():
    first, second = (list(train(maml(NETWORK, mse_loss), seed=seed))[-1].theta for seed in (0, 1))
    assert not torch.allclose(first["0.weight"], second["0.weight"])


def test_nothing_is_drawn_before_it_is_asked_for_nor_after():
    family = Counting()
    stream = train(maml(NETWORK, mse_loss), family=family, outer_steps=10**9)
    assert family.calls == 0
    assert [p.step for p in itertools.islice(stream, 3)] == [1, 2, 3]
    assert family.calls == 3


def test_no_outer_steps_yield_nothing():
    assert list(train(maml(NETWORK, mse_loss), outer_steps=0)) == []


def test_the_error_after_five_inner_steps_falls():
    learner = maml(mlp((1, 40, 40, 1)), mse_loss)
    start = learner.init(generator=seeded(0))
    *_, last = meta_train(learner, Sinusoids(), beta=0.003, outer_steps=300, generator=seeded(1), theta=start)
    settings = {"k_shot": 10, "steps": 5, "n_tasks": 300}
    before, after = (
        evaluate_by_step(learner, t, Sinusoids(), generator=seeded(2), **settings) for t in (start, last[2])
    )
    assert after.high[5] < 0.7 * before.low[5]


# When it breaks ---------------------------------------------------------------------------------------


def breakdown(learner: MetaLearner, **kwargs) -> tuple[list, MetaTrainingDiverged]:
    """What training yields before it raises, and what it raises."""
    yielded = []
    with pytest.raises(MetaTrainingDiverged) as caught:
        yielded.extend(train(learner, **kwargs))
    return yielded, caught.value


def test_a_huge_beta_is_reported_with_the_last_good_theta():
    theta = random_theta(NETWORK)
    yielded, error = breakdown(maml(NETWORK, mse_loss), theta=theta, beta=1e200, optimiser="sgd")
    assert error.step == len(yielded) + 1 == 2
    assert "outer step 2" in str(error)
    assert "beta below 1e+200" in str(error)
    assert_close(error.theta, theta, rtol=0, atol=0)
    assert isinstance(error, ArithmeticError)


def test_a_huge_alpha_is_reported_at_the_first_step():
    theta = random_theta(NETWORK)
    yielded, error = breakdown(maml(NETWORK, mse_loss, alpha=1e100, steps=5), theta=theta)
    assert (yielded, error.step) == ([], 1)
    assert "outer step 1" in str(error)
    assert "alpha" in str(error)
    assert_close(error.theta, theta, rtol=0, atol=0)


def test_the_last_good_theta_is_the_last_one_with_a_finite_meta_loss():
    """theta falls by 1 a step; from -3 on the meta-loss is not a number."""

    def meta_grad(theta: Params, tasks: Task):
        return (theta["w"] + 2.5).sqrt().sum(), {"w": torch.ones(1)}

    learner = constant_learner()._replace(meta_grad=meta_grad)
    yielded, error = breakdown(learner, theta={"w": torch.zeros(1)}, beta=1.0, optimiser="sgd")
    assert [p.theta["w"].item() for p in yielded] == [-1.0, -2.0, -3.0]
    assert (error.step, error.theta["w"].item()) == (4, -2.0)


@pytest.mark.parametrize("direction", [math.nan, math.inf, -math.inf])
def test_a_direction_that_is_not_finite_stops_training(direction: float):
    yielded, error = breakdown(constant_learner(direction), theta={"w": torch.zeros(2)})
    assert (yielded, error.step) == ([], 1)
    assert torch.equal(error.theta["w"], torch.zeros(2))


def test_infinities_of_either_sign_do_not_cancel():
    def meta_grad(theta: Params, tasks: Task):
        return theta["w"].sum(), {"w": torch.tensor([math.inf, -math.inf])}

    _, error = breakdown(constant_learner()._replace(meta_grad=meta_grad), theta={"w": torch.zeros(2)})
    assert error.step == 1
