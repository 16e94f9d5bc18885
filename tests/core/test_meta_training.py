"""The outer loop: its optimisers stepped by hand, its stream of progress, and what it does when it breaks."""

import copy
import itertools
import math
import re

import pytest
import torch
from oracles import FLOAT64, Spoilt, copied, float64_mlp, loop_meta_grad, random_theta, same, seeded
from torch import nn
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mapping_lib.evaluation import evaluate_by_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.baselines import joint
from mapping_lib.learners.gradient import maml, meta_sgd, reptile
from mapping_lib.learners.rule import learned_rule
from mapping_lib.meta_training import MetaTrainingDiverged, meta_train
from mapping_lib.networks import mlp
from mapping_lib.study.progress import load_progress, save_progress
from mapping_lib.study.theta import save_theta
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


# Going on -----------------------------------------------------------------------------------------------


def momentum(params, beta):
    return torch.optim.SGD(params, lr=beta, momentum=0.9, nesterov=True, weight_decay=1e-3)


def layer_rates(params, beta):
    groups = [{"params": params[:2], "lr": beta}, {"params": params[2:], "lr": beta / 10}]
    return torch.optim.AdamW(groups, amsgrad=True)


def warm_up(done: float) -> float:
    return min(1.0, 4 * done) * (1 - done / 2)


WAYS = [
    (optimiser, schedule)
    for optimiser in ("adam", "sgd", momentum, layer_rates, lambda p, beta: torch.optim.RMSprop(p, beta, momentum=0.5))
    for schedule in ("constant", "cosine", warm_up)
]


@pytest.mark.parametrize("from_file", [False, True], ids=["in memory", "from a file"])
@pytest.mark.parametrize(("optimiser", "schedule"), WAYS)
@pytest.mark.parametrize("network", [NETWORK, mlp((1, 6, 1))], ids=["float64", "float32"])
def test_half_and_half_are_the_whole_to_the_last_digit(tmp_path, network, optimiser, schedule, from_file: bool):
    learner, family = maml(network, mse_loss), Sinusoids(dtype=network[0].weight.dtype)
    settings = {"beta": 0.01, "outer_steps": 20, "tasks_per_step": 3, "optimiser": optimiser, "schedule": schedule}
    g, other = seeded(0), seeded(99)
    whole = list(meta_train(learner, family, generator=g, **settings))
    half = whole[9]
    kept = load_progress(save_progress(tmp_path / "run.npz", half)) if from_file else half
    rest = list(meta_train(learner, family, generator=other, resume=kept, **settings))
    assert [p.step for p in rest] == list(range(11, 21))
    assert same([p._replace(state={}) for p in rest], [p._replace(state={}) for p in whole[10:]])
    assert same(rest[-1].state["generator"], whole[-1].state["generator"])
    assert torch.equal(g.get_state(), other.get_state())
    again = list(meta_train(learner, family, generator=other, resume=half, **settings))  # as often as one likes
    assert same(again, whole[10:])


def test_a_thousand_steps_of_adam_in_two_halves():
    learner = maml(mlp((1, 5, 1)), mse_loss)
    settings = {"beta": 0.003, "outer_steps": 1000, "tasks_per_step": 2, "k_shot": 3, "n_query": 3}
    run = meta_train(learner, Sinusoids(), generator=seeded(0), schedule="cosine", **settings)
    *_, half = itertools.islice(run, 500)
    *_, whole = run
    *_, resumed = meta_train(learner, Sinusoids(), generator=seeded(1), schedule="cosine", resume=half, **settings)
    assert same(resumed, whole)
    assert resumed.step == 1000


def test_progress_is_a_snapshot_with_its_state():
    copies, kept = [], []
    for progress in train(maml(NETWORK, mse_loss)):
        kept.append(progress)
        copies.append(copy.deepcopy(progress))
    assert same(kept, copies)
    moments = [p.state["optimiser"]["state"][0]["exp_avg"] for p in kept]
    assert not torch.equal(moments[0], moments[-1])


def test_resuming_changes_nothing_that_was_handed_in():
    progress = next(train(maml(NETWORK, mse_loss)))
    before = copy.deepcopy(progress)
    list(train(maml(NETWORK, mse_loss), resume=progress))
    assert same(progress, before)


def test_a_resumed_run_may_go_slower():
    progress = next(train(constant_learner(), theta={"w": torch.zeros(1)}, optimiser="sgd"))
    *_, last = train(constant_learner(), optimiser="sgd", beta=0.01, resume=progress)
    assert last.theta["w"].item() == pytest.approx(-0.1 - 4 * 0.01)


# What a reader hands in -----------------------------------------------------------------------------------


def test_an_optimiser_of_ones_own_moves_theta():
    theta = {"w": torch.zeros(2)}
    path = [p.theta["w"][0].item() for p in train(constant_learner(), theta=theta, optimiser=momentum, outer_steps=2)]
    first = -0.1 * (1 + 0.9)  # nesterov: the direction and 0.9 times the momentum, which is the direction
    slope = 1 + 1e-3 * first
    assert path == pytest.approx([first, first - 0.1 * (slope + 0.9 * (0.9 + slope))])


def test_named_and_own_optimisers_are_the_same():
    named, own = (
        list(train(maml(NETWORK, mse_loss), optimiser=optimiser, schedule=schedule))[-1]
        for optimiser, schedule in (
            ("adam", "cosine"),
            (lambda p, b: torch.optim.Adam(p, lr=b, fused=True), lambda done: 0.5 * (1 + math.cos(math.pi * done))),
        )
    )
    assert same(named, own)


def test_a_schedule_scales_every_group():
    theta = {"a": torch.zeros(1), "b": torch.zeros(1)}

    def groups(params, beta):
        return torch.optim.SGD([{"params": params[:1]}, {"params": params[1:], "lr": beta / 10}], lr=beta)

    learner = constant_learner()._replace(meta_grad=lambda t, _: (t["a"].sum(), {n: torch.ones(1) for n in t}))
    *_, last = train(learner, theta=theta, optimiser=groups, schedule=lambda done: 1 - done, outer_steps=2)
    assert (last.theta["a"].item(), last.theta["b"].item()) == pytest.approx((-0.15, -0.015))


ONE = next(train(maml(NETWORK, mse_loss)))
REFUSED = [
    ({"resume": ONE, "outer_steps": 1}, ValueError, "outer_steps is 1, and resume is at step 1; allowed: more steps"),
    ({"resume": ONE, "theta": ONE.theta}, ValueError, "theta and resume are both given; allowed: one of them"),
    ({"resume": ONE.theta}, TypeError, "resume is a dict; allowed: a Progress, as meta_train yields it"),
    ({"resume": ONE, "optimiser": "sgd"}, ValueError, "resume holds the state of another optimiser"),
    ({"resume": ONE, "optimiser": layer_rates}, ValueError, "resume holds the state of another optimiser"),
    (
        {"optimiser": lambda params, beta: None},
        TypeError,
        "optimiser gave a NoneType; allowed: a torch.optim.Optimizer",
    ),
    ({"optimiser": lambda params, beta: momentum([torch.ones(1)], beta)}, ValueError, "optimiser moves other tensors"),
    ({"optimiser": torch.optim.Adam}, None, ""),
    ({"theta": {}}, ValueError, "theta is empty; allowed: a learner that has something to train"),
    ({"theta": NETWORK}, TypeError, "theta is a Sequential; allowed: a dict of tensors by name"),
    ({"schedule": lambda done: math.nan}, ValueError, "schedule(0.0) is nan; allowed: a finite number, 0 or more"),
    ({"schedule": lambda done: None}, TypeError, "schedule(0.0) is None; allowed: a finite number, 0 or more"),
]


@pytest.mark.parametrize(("settings", "kind", "message"), REFUSED, ids=[m or "none" for *_, m in REFUSED])
def test_what_does_not_fit_is_refused_at_the_call(settings, kind, message: str):
    if kind is None:
        assert len(list(train(maml(NETWORK, mse_loss), **settings))) == 5
        return
    with pytest.raises(kind, match=f"^{re.escape(message)}"):
        train(maml(NETWORK, mse_loss), **settings)


def test_a_schedule_that_breaks_later_is_named():
    stream = train(constant_learner(), theta={"w": torch.zeros(1)}, schedule=lambda done: math.inf if done else 1.0)
    next(stream)
    with pytest.raises(ValueError, match=r"schedule\(0\.2\) is inf; allowed: a finite number, 0 or more"):
        next(stream)


def test_a_file_without_a_progress_is_refused(tmp_path):
    with pytest.raises(ValueError, match="which holds no progress; allowed: a file that save_progress wrote"):
        load_progress(save_theta(tmp_path / "mine.npz", {"w": torch.ones(1)}))
    with pytest.raises(TypeError, match="progress is a dict; allowed: a Progress"):
        save_progress(tmp_path / "mine.npz", {"w": torch.ones(1)})


# Data that spoil it ---------------------------------------------------------------------------------------


def put(part, where, value):
    def spoil(tasks: Task) -> None:
        part(tasks)[where] = value

    return Spoilt(FAMILY, spoil)


NAN = [
    (put(lambda t: t.support.x, (3, 2), math.nan), "tasks.support.x holds 1 number of 12 that is not finite", "task 3"),
    (put(lambda t: t.support.y, 1, math.inf), "tasks.support.y holds 3 numbers of 12 that are not finite", "task 1"),
    (put(lambda t: t.query.x, (2, 0), -math.inf), "tasks.query.x holds 1 number of 20 that is not finite", "task 2"),
    (put(lambda t: t.query.y, (slice(2), 0), math.nan), "tasks.query.y holds 2 numbers of 20", "task 0, 1"),
]


@pytest.mark.parametrize("make", [maml, reptile, joint, learned_rule, meta_sgd])
@pytest.mark.parametrize(("family", "what", "where"), NAN, ids=[what for _, what, _ in NAN])
def test_nan_in_the_data_is_found_where_it_is(make, family, what: str, where: str):
    yielded, error = breakdown(make(NETWORK, mse_loss), family=family)
    assert yielded == []
    assert what in str(error)
    assert f"in {where}" in str(error)
    assert "beta below" not in str(error)


YEARS = Spoilt(FAMILY, lambda t: [part.x.mul_(3).add_(2005) for part in (t.support, t.query)])
PRICES = Spoilt(FAMILY, lambda t: [part.y.mul_(3e4).add_(2e5) for part in (t.support, t.query)])


@pytest.mark.parametrize(
    ("family", "network", "name", "mean"),
    [(YEARS, float64_mlp(1, 1), "x", "2005"), (PRICES, NETWORK, "y", "2")],
    ids=["x", "y"],
)
def test_numbers_of_the_size_of_years_ask_to_be_scaled(family, network, name: str, mean: str):
    yielded, error = breakdown(maml(network, mse_loss, alpha=0.1, steps=40), family=family)
    assert yielded == []
    assert f"tasks.support.{name} has large numbers (mean {mean}" in str(error)
    assert f"scale them, ({name} - mean) / spread, alike for all tasks. If that is not enough: try a beta" in str(error)


@pytest.mark.parametrize("family", [YEARS, PRICES], ids=["x", "y"])
def test_they_are_named_even_where_the_loss_is_still_a_number(family):
    with pytest.warns(UserWarning, match=r"the meta-loss begins at .*has large numbers .*: scale them"):
        next(train(maml(mlp((1, 40, 1)).double(), mse_loss), family=family))


def test_a_large_loss_alone_says_nothing_of_the_data():
    *_, last = train(maml(NETWORK, lambda y_hat, y: 1e9 * (1 + mse_loss(y_hat, y)), alpha=0.0), beta=1e-9)
    assert last.meta_loss > 1e9


def test_nor_do_large_inputs_that_the_network_scales_itself():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = float64_mlp(1, 6, 1)

        def forward(self, x):
            return self.inner((x - 2005) / 9)

    assert len(list(train(maml(Scaled(), mse_loss), family=YEARS))) == 5
