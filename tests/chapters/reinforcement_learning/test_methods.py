"""Navigation: the simulator, the advantages, the policy gradient and the meta-gradient, each computed another way."""

import itertools
import math

import numpy as np
import pytest
import torch
from oracles import central_differences, seeded
from torch.func import grad, vmap

from mapping_lib.chapters.reinforcement_learning.methods import policy_maml, rollouts, trials
from mapping_lib.chapters.reinforcement_learning.methods_policies import (
    GaussianPolicy,
    advantages,
    experience,
    rewards_to_go,
    surrogate,
    surrogate_with_score,
)
from mapping_lib.inner_loop import inner_step
from mapping_lib.learners.many_tasks import one_each
from mapping_lib.meta_training import meta_train
from mapping_lib.networks import functional
from mapping_lib.params import flat
from mapping_lib.task import Batch
from mapping_lib.worlds.goals import Navigation, log_probability

SHORT = Navigation(horizon=12)
POLICY = GaussianPolicy((2, 8, 2))
MODEL = functional(POLICY)


def theta(seed: int = 0, dtype: torch.dtype = torch.float32) -> dict:
    """Fresh parameters, away from 0: at the origin a ReLU without a bias stands on its kink."""
    g = seeded(seed)
    return {
        name: (p + 0.1 * torch.randn(p.shape, generator=g)).to(dtype) for name, p in MODEL.init(generator=g).items()
    }


def still(seen: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.zeros_like(seen[..., :2]), torch.full_like(seen[..., :2], -40.0)], -1)


def homing(seen: torch.Tensor) -> torch.Tensor:
    """Go towards the goal that is shown, with a little noise: most episodes end early."""
    return torch.cat([8 * (seen[..., 2:] - seen[..., :2]), torch.full_like(seen[..., :2], -2.0)], -1)


# The simulator ----------------------------------------------------------------------------------------


def one_by_one(family: Navigation, act, noise, goal) -> dict:
    """One trajectory, in plain Python."""
    x, y, alive, told = 0.0, 0.0, True, []
    for t in range(family.horizon):
        if not alive:
            told.append(None)
            continue
        seen = [x, y, *goal] if family.show_goal else [x, y]
        mean_x, mean_y, log_x, log_y = act(torch.tensor(seen, dtype=torch.float64)).tolist()
        a = [mean_x + math.exp(log_x) * noise[t][0], mean_y + math.exp(log_y) * noise[t][1]]
        x, y = (p + family.speed * min(max(c, -1.0), 1.0) for p, c in zip((x, y), a, strict=True))
        away = math.hypot(x - goal[0], y - goal[1])
        told.append((seen, a, -(away**2) if family.squared else -away, (x, y)))
        alive = not (abs(x - goal[0]) < family.near and abs(y - goal[1]) < family.near)
    return {"told": told, "arrived": not alive}


@pytest.mark.parametrize("family", [Navigation(show_goal=True), Navigation(show_goal=True, squared=True, horizon=30)])
def test_rollouts_are_those_of_a_loop_over_steps_and_trajectories(family: Navigation):
    luck = family.toward(
        torch.rand(4, 2, generator=seeded(), dtype=torch.float64) - 0.5, 5, 0, generator=seeded(1)
    ).support
    got, early = family.rollouts(homing, luck), 0
    for i, k in itertools.product(range(4), range(5)):
        one = one_by_one(family, homing, luck.x[i, k].tolist(), luck.y[i, k].tolist())
        lived = [step for step in one["told"] if step]
        n = len(lived)
        early += 0 < n < family.horizon
        assert bool(got.arrived[i, k]) == one["arrived"]
        assert got.alive[i, k].tolist() == [1.0] * n + [0.0] * (family.horizon - n)
        for part, tensor in zip(zip(*lived, strict=True), (got.seen, got.actions, got.rewards), strict=False):
            assert tensor[i, k, :n].numpy() == pytest.approx(np.array(part), abs=1e-12)
        assert got.positions[i, k, 1 : n + 1].numpy() == pytest.approx(np.array([step[3] for step in lived]))
        assert (got.rewards[i, k, n:] == 0).all()
        assert (got.positions[i, k, n:] == got.positions[i, k, n]).all()
        assert float(got.returns[i, k]) == pytest.approx(sum(step[2] for step in lived))
    assert 5 < early <= 20


def test_a_network_without_the_goal_moves_as_in_the_loop():
    params = theta(dtype=torch.float64)
    luck = SHORT.toward(torch.rand(2, 2, dtype=torch.float64, generator=seeded()), 3, 0, generator=seeded(1)).support
    got = rollouts(POLICY, SHORT, one_each(params, 2), luck)
    act = lambda seen: MODEL.predict(params, seen[None])[0]  # noqa: E731
    for i, k in itertools.product(range(2), range(3)):
        one = one_by_one(SHORT, act, luck.x[i, k].tolist(), luck.y[i, k].tolist())
        assert float(got.returns[i, k]) == pytest.approx(sum(step[2] for step in one["told"] if step))


@pytest.mark.parametrize("squared", [False, True])
def test_standing_still_scores_a_hundred_times_the_mean_distance_of_the_square(squared: bool):
    family = Navigation(squared=squared)
    middles = (torch.arange(400, dtype=torch.float64) + 0.5) / 400 - 0.5  # the midpoint rule
    distance = (middles[:, None].square() + middles.square()).sqrt()
    integral = -100 * float((distance.square() if squared else distance).mean())
    assert integral == pytest.approx(-100 / 6 if squared else -100 * (2**0.5 + math.log(1 + 2**0.5)) / 6, abs=1e-3)
    tasks = family.sample(4000, 1, 0, generator=seeded())
    returns = family.rollouts(still, tasks.support).returns
    # goals so near to the origin that the first step ends the episode: 4 in 10,000
    assert float(returns.mean()) == pytest.approx(integral, abs=4 * float(returns.std()) / 4000**0.5)


def test_goals_fill_the_square_and_luck_is_normal_and_never_shared():
    tasks = Navigation().sample(500, 3, 2, generator=seeded())
    assert tasks.description.abs().max() <= 0.5
    assert tasks.description.std(0) == pytest.approx(torch.full((2,), 1 / 12**0.5), abs=0.02)
    for batch, n in ((tasks.support, 3), (tasks.query, 2)):
        assert batch.x.shape == (500, n, 100, 2)
        assert (batch.y == tasks.description[:, None]).all()
        assert float(batch.x.std()) == pytest.approx(1, abs=0.01)
    every = torch.cat([tasks.support.x, tasks.query.x], 1).flatten(0, 2)[:, 0]
    assert len(every.unique()) > 0.98 * len(every)


def test_equal_seeds_give_equal_goals_and_luck():
    one, other = (Navigation().sample(3, 2, 2, generator=seeded(5)) for _ in range(2))
    assert torch.equal(one.support.x, other.support.x)
    assert torch.equal(one.description, other.description)


# What a policy learns from ----------------------------------------------------------------------------


def test_the_log_probability_is_that_of_torch():
    y_hat, a = torch.randn(7, 4, generator=seeded()), torch.randn(7, 2, generator=seeded(1))
    expected = torch.distributions.Normal(y_hat[:, :2], y_hat[:, 2:].exp()).log_prob(a).sum(-1)
    assert log_probability(y_hat, a) == pytest.approx(expected, abs=1e-5)


def lived(n_tasks: int = 3, family: Navigation | None = None) -> tuple:
    family = family or Navigation(show_goal=True, horizon=40)
    goals = torch.rand(n_tasks, 2, generator=seeded(), dtype=torch.float64) - 0.5
    return family.rollouts(homing, family.toward(goals, 6, 0, generator=seeded(1)).support)


def test_advantages_are_least_squares_on_the_steps_that_count():
    told = lived()
    got = advantages(told, discount=0.9)
    for i in range(3):
        rows, to_go = [], []
        for k in range(6):
            n = int(told.alive[i, k].sum())
            rewards = told.rewards[i, k, :n].tolist()
            for t in range(n):
                s = told.seen[i, k, t].tolist()
                rows.append([*s, *(v * v for v in s), t / 100, (t / 100) ** 2, (t / 100) ** 3, 1.0])
                to_go.append(sum(0.9 ** (later - t) * rewards[later] for later in range(t, n)))
        f, g = np.array(rows), np.array(to_go)
        left = g - f @ np.linalg.solve(f.T @ f + 1e-5 * np.eye(f.shape[1]), f.T @ g)
        expected = (left - left.mean()) / left.std()
        assert got[i][told.alive[i] > 0].numpy() == pytest.approx(expected, abs=1e-6)
        assert (got[i][told.alive[i] == 0] == 0).all()


def test_rewards_to_go_by_hand():
    assert rewards_to_go(torch.tensor([[1.0, 0.0, 2.0]]), 1.0).tolist() == [[3.0, 2.0, 2.0]]


def test_the_loss_is_a_mean_over_the_actions_that_counted():
    told = lived()
    batch = experience(told)
    y_hat = torch.randn(*batch.x.shape[:2], 4, generator=seeded(3), dtype=torch.float64)
    weights = advantages(told).flatten(1)
    for i in range(3):
        counted = told.alive[i].flatten() > 0
        log_pi = log_probability(y_hat[i], told.actions[i].flatten(0, 1))
        expected = -(log_pi * weights[i])[counted].sum() / counted.sum()
        assert float(surrogate(y_hat[i], batch.y[i])) == pytest.approx(float(expected))


@pytest.mark.parametrize("loss", [surrogate, surrogate_with_score])
def test_the_policy_gradient_is_that_of_central_differences(loss):
    params = theta(dtype=torch.float64)
    luck = SHORT.toward(torch.tensor([[0.3, -0.2]], dtype=torch.float64), 4, 0, generator=seeded()).support
    batch = trials(POLICY, SHORT, Batch(luck.x[0], luck.y[0]))(params)
    got = flat(grad(lambda p: loss(MODEL.predict(p, batch.x), batch.y))(params))
    by_log = lambda p: surrogate(MODEL.predict(p, batch.x), batch.y)  # noqa: E731
    assert got.numpy() == pytest.approx(differences(by_log, params), abs=1e-7)


def differences(f, params: dict, h: float = 1e-5) -> np.ndarray:
    """Central differences of f at ``params``, as one vector."""
    return flat(central_differences(f, params, h)).numpy()


# A bandit of one step: everything in closed form --------------------------------------------------------

GOAL, SIGMA, ALPHA = 1.0, 0.5, 0.2
DRAWS = 2_000_000


def bandit(m: torch.Tensor, noise: torch.Tensor) -> Batch:
    """Choose a ~ N(m, SIGMA²), get -(a - GOAL)² / 2; the weight is the reward minus the mean reward."""
    a = (m + SIGMA * noise).detach()
    reward = -0.5 * (a - GOAL).square()
    return Batch(torch.zeros_like(a)[:, None], torch.stack([a, reward - reward.mean()], -1))


def policy_at(m: torch.Tensor, n: int) -> torch.Tensor:
    return torch.stack([m, torch.full_like(m, math.log(SIGMA))]).expand(n, 2)


def test_the_policy_gradient_of_the_bandit_is_in_closed_form():
    m, noise = torch.tensor(-0.3, dtype=torch.float64), torch.randn(DRAWS, generator=seeded(), dtype=torch.float64)
    batch = bandit(m, noise)
    got = grad(lambda m: surrogate(policy_at(m, DRAWS), batch.y))(m)
    assert float(got) == pytest.approx(-(GOAL - -0.3), rel=0.01)  # the mean return is -((m - g)² + σ²) / 2


@pytest.mark.parametrize(("loss", "link"), [(surrogate_with_score, 1 - ALPHA), (surrogate, 1.0)])
def test_the_score_term_makes_the_meta_gradient_right_and_without_it_it_is_biased(loss, link: float):
    """phi = m + α (g - m), so that the mean return after it has the slope (1 - α)² (g - m) by m."""
    m, noise = torch.tensor(-0.3, dtype=torch.float64), torch.randn(DRAWS, generator=seeded(), dtype=torch.float64)
    batch = bandit(m, noise)

    def phi(m):
        return m - ALPHA * grad(lambda m: loss(policy_at(m, DRAWS), batch.y))(m)

    assert float(phi(m)) == pytest.approx(-0.3 + ALPHA * 1.3, abs=2e-3)
    assert float(grad(phi)(m)) == pytest.approx(link, abs=5e-3)  # without: 1, as if the gradient were a constant
    true_slope = differences(lambda p: mean_return_after(p["m"], noise), {"m": m[None]}, h=1e-2)[
        0
    ]  # other draws, same luck
    after = phi(m)
    estimate = float(grad(phi)(m) * (GOAL - after))
    assert true_slope == pytest.approx((1 - ALPHA) ** 2 * 1.3, rel=0.01)
    assert (abs(estimate - true_slope) < 0.01) == (loss is surrogate_with_score)


def mean_return_after(m: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Act at m with this luck, take one inner step, and return the exact mean return there."""
    m = m.squeeze()
    batch = bandit(m, noise)
    phi = m - ALPHA * grad(lambda m: surrogate(policy_at(m, DRAWS), batch.y))(m)
    return -0.5 * ((phi - GOAL).square() + SIGMA**2)


def test_the_score_term_adds_the_outer_product_of_the_scores_to_the_second_derivative():
    y = torch.randn(5, 2, generator=seeded(), dtype=torch.float64)
    at = torch.tensor([0.3, -0.2], dtype=torch.float64)
    second = lambda loss: torch.func.hessian(lambda p: loss(p.expand(5, 2), y))(at)  # noqa: E731
    scores = torch.func.jacrev(lambda p: log_probability(p.expand(5, 2), y[:, :1]))(at)
    outer = -(y[:, 1, None, None] * scores[:, :, None] * scores[:, None]).mean(0)
    assert (second(surrogate_with_score) - second(surrogate)).numpy() == pytest.approx(outer.numpy())


# The learner --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score_term", [True, False])
def test_adapting_by_a_function_is_adapting_all_tasks_at_once(score_term: bool):
    learner = policy_maml(POLICY, SHORT, alpha=(0.3, 0.1), score_term=score_term)
    tasks, start = SHORT.sample(3, 8, 0, generator=seeded()), theta()
    path = learner.adapt_path(start, tasks.support, steps=2)
    for i in range(3):
        asked = []

        def support(phi, i=i, asked=asked):
            asked.append({name: p.detach() for name, p in phi.items()})
            share = slice(4 * (len(asked) - 1), 4 * len(asked))
            return trials(POLICY, SHORT, Batch(tasks.support.x[i, share], tasks.support.y[i, share]))(phi)

        phi = learner.adapt(start, support, steps=2)
        for name in phi:
            assert phi[name].numpy() == pytest.approx(path[name][2, i].numpy(), abs=1e-6)
            assert asked[1][name].numpy() == pytest.approx(path[name][1, i].numpy(), abs=1e-6)
            assert torch.equal(path[name][0, i], start[name])


def test_each_step_has_its_own_alpha_and_the_last_one_holds_on():
    start, tasks = theta(), SHORT.sample(2, 6, 0, generator=seeded())
    halves = policy_maml(POLICY, SHORT, alpha=(0.2, 0.1)).adapt_path(start, tasks.support, steps=3)
    spelled = policy_maml(POLICY, SHORT, alpha=[0.2, 0.1, 0.1]).adapt_path(start, tasks.support, steps=3)
    whole = policy_maml(POLICY, SHORT, alpha=0.2).adapt_path(start, tasks.support, steps=3)
    for name in start:
        assert torch.equal(halves[name], spelled[name])
        assert torch.equal(halves[name][1], whole[name][1])
        assert not torch.equal(halves[name][2], whole[name][2])
        first = halves[name][1] - halves[name][0]
        assert first.abs().max() > 0


@pytest.mark.parametrize("score_term", [True, False])
def test_the_meta_gradient_is_that_of_central_differences_on_recorded_trajectories(score_term: bool):
    """With recorded trajectories phi(theta) is a plain function; the ratio is held against the theta that acted."""
    alpha, start = 0.3, theta(dtype=torch.float64)
    goals = torch.tensor([[0.4, 0.1], [-0.2, 0.3]], dtype=torch.float64)
    tasks = SHORT.toward(goals, 5, 5, generator=seeded())
    learner = policy_maml(POLICY, SHORT, alpha=alpha, score_term=score_term)
    meta_loss, direction = learner.meta_grad(start, tasks)

    supports = experience(rollouts(POLICY, SHORT, one_each(start, 2), tasks.support))
    phi = {name: p[1] for name, p in learner.adapt_path(start, tasks.support, steps=1).items()}
    judged = rollouts(POLICY, SHORT, phi, tasks.query)
    queries = experience(judged)
    assert float(meta_loss) == pytest.approx(-float(judged.returns.mean()))

    def inner_loss(params, i):
        x, y = supports.x[i], supports.y[i]
        log_pi = log_probability(MODEL.predict(params, x), y[:, :2])
        acted = log_probability(MODEL.predict(start, x), y[:, :2]).detach()
        return -(((log_pi - acted).exp() if score_term else log_pi) * y[:, 2]).mean()

    def meta_surrogate(params):
        losses = []
        for i in range(2):
            phi = inner_step(params, grad(inner_loss)(params, i), alpha)
            losses.append(surrogate(MODEL.predict(phi, queries.x[i]), queries.y[i]))
        return sum(losses) / 2

    assert flat(direction).numpy() == pytest.approx(differences(meta_surrogate, start), abs=1e-6)


def test_two_inner_steps_are_differentiated_through_both():
    start = theta(dtype=torch.float64)
    tasks = SHORT.toward(torch.tensor([[0.4, 0.1]], dtype=torch.float64), 6, 4, generator=seeded())
    learner = policy_maml(POLICY, SHORT, alpha=(0.3, 0.2), steps=2, score_term=False)
    _, direction = learner.meta_grad(start, tasks)
    path = learner.adapt_path(start, tasks.support, steps=2)
    lived = [
        experience(rollouts(POLICY, SHORT, {n: p[s] for n, p in path.items()}, Batch(x, y)))
        for s, (x, y) in enumerate(zip(tasks.support.x.chunk(2, 1), tasks.support.y.chunk(2, 1), strict=True))
    ]
    query = experience(rollouts(POLICY, SHORT, {n: p[2] for n, p in path.items()}, tasks.query))

    def meta_surrogate(phi):
        for batch, alpha in zip(lived, (0.3, 0.2), strict=True):
            loss = lambda p, batch=batch: surrogate(MODEL.predict(p, batch.x[0]), batch.y[0])  # noqa: E731
            phi = inner_step(phi, grad(loss)(phi), alpha)
        return surrogate(MODEL.predict(phi, query.x[0]), query.y[0])

    assert flat(direction).numpy() == pytest.approx(differences(meta_surrogate, start), abs=1e-6)


def test_no_step_is_joint_training():
    start = theta(dtype=torch.float64)
    tasks = SHORT.toward(torch.rand(3, 2, generator=seeded(), dtype=torch.float64), 0, 5, generator=seeded())
    _, direction = policy_maml(POLICY, SHORT, steps=0).meta_grad(start, tasks)
    batch = experience(rollouts(POLICY, SHORT, one_each(start, 3), tasks.query))
    mean = lambda p: vmap(lambda x, y: surrogate(MODEL.predict(p, x), y))(*batch).mean()  # noqa: E731
    assert flat(direction).numpy() == pytest.approx(flat(grad(mean)(start)).numpy(), abs=1e-10)


def test_joint_training_with_the_goal_in_sight_learns_to_go_there():
    family = Navigation(horizon=15, show_goal=True)
    learner = policy_maml(GaussianPolicy((4, 16, 2)), family, steps=0)
    stream = meta_train(
        learner, family, beta=0.03, outer_steps=60, generator=seeded(), tasks_per_step=10, k_shot=0, n_query=10
    )
    losses = [progress.meta_loss for progress in stream]
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:10])


# Bad input ------------------------------------------------------------------------------------------------

LUCK = SHORT.sample(2, 4, 0, generator=seeded()).support


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Navigation(half=0), "half is 0.0; allowed: a finite number above 0"),
        (lambda: Navigation(speed=-1), "speed is -1.0"),
        (lambda: Navigation(near=float("nan")), "near is nan"),
        (lambda: Navigation(horizon=0), "horizon is 0; allowed: a whole number, 1 or more"),
        (lambda: SHORT.sample(0, 1, 1, generator=seeded()), "n_tasks is 0"),
        (lambda: SHORT.sample(1, -1, 1, generator=seeded()), "k_shot is -1"),
        (lambda: SHORT.sample(1, 1, 1, generator=7), "generator is 7; allowed: a torch.Generator"),
        (lambda: SHORT.toward(torch.zeros(2), 1, 1, generator=seeded()), r"goals has shape \(2,\); allowed"),
        (lambda: SHORT.toward([[0.0, 0.0]], 1, 1, generator=seeded()), "goals has type list"),
        (lambda: Navigation().rollouts(still, LUCK), r"luck.x has shape \(2, 4, 12, 2\); allowed: .*100"),
        (
            lambda: SHORT.rollouts(still, LUCK._replace(y=LUCK.y[:, 0])),
            r"luck.y has shape \(2, 2\); allowed: \(2, 4, 2\)",
        ),
        (lambda: GaussianPolicy((2,)), r"sizes is \(2,\); allowed: two widths or more"),
        (lambda: GaussianPolicy((2, 0, 2)), r"sizes\[1\] is 0"),
        (lambda: advantages(lived(), discount=1.5), "discount is 1.5; allowed: a number above 0, at most 1"),
        (lambda: policy_maml(POLICY, SHORT, alpha=-0.1), "alpha is -0.1; allowed: a finite number, 0 or more"),
        (lambda: policy_maml(POLICY, SHORT, alpha=()), r"alpha is \(\); allowed: one number"),
        (lambda: policy_maml(POLICY, SHORT, alpha=(0.1, "b")), r"alpha\[1\] is 'b'"),
        (lambda: policy_maml(POLICY, SHORT, steps=-1), "steps is -1"),
        (lambda: policy_maml(POLICY, SHORT).adapt_path(theta(), LUCK, steps=3), "as many for each of 3 steps"),
        (lambda: policy_maml(POLICY, SHORT).adapt({}, lambda phi: LUCK), "theta has the names"),
        (
            lambda: policy_maml(POLICY, SHORT, steps=5).meta_grad(theta(), SHORT.sample(1, 4, 1, generator=seeded())),
            "5 steps",
        ),
    ],
)
def test_wrong_values_are_refused_with_a_word_on_what_is_allowed(call, said: str):
    with pytest.raises((ValueError, TypeError), match=said):
        call()
