"""A policy that remembers: its trials against a loop of scalars, its gradient against differences and quadrature."""

import math

import numpy as np
import pytest
import torch
from oracles import FLOAT64, central_differences, refusals, seeded
from torch.testing import assert_close

from mapping_lib.chapters.what_came_after import study_recurrent as study
from mapping_lib.chapters.what_came_after.methods_recurrent import (
    SCALES,
    STD,
    Costs,
    RecurrentPolicy,
    begin,
    live,
    lives,
    recurrent_policy,
    surrogate,
)
from mapping_lib.chapters.what_came_after.methods_search import empty, searcher, trilaterated
from mapping_lib.chapters.what_came_after.methods_trials import Memory, advantages, trial
from mapping_lib.networks import functional
from mapping_lib.study import read_about, theta_path
from mapping_lib.study.theta import load_settings
from mapping_lib.task import Batch, Params, Task
from mapping_lib.worlds.goals import Navigation, log_probability, on_the_rim

FAMILY = Navigation(horizon=6, near=0.15)
POLICY = RecurrentPolicy(3).double()


def drawn(n_tasks: int = 4, n_episodes: int = 3, family: Navigation = FAMILY, seed: int = 0) -> Batch:
    """Luck in float64; goals are so near that some episodes end before the horizon."""
    g = seeded(seed)
    goals = 0.25 * (2 * torch.rand(n_tasks, 2, generator=g, dtype=torch.float64) - 1)
    return family.toward(goals, n_episodes, 0, generator=g).support


def some_theta(seed: int = 3) -> Params:
    g = seeded(seed)
    shapes = functional(POLICY).shapes
    return {name: 0.7 * torch.randn(shape, generator=g, dtype=torch.float64) for name, shape in shapes.items()}


# Trials -----------------------------------------------------------------------------------------------


def test_without_a_memory_a_trial_is_what_the_family_plays():
    luck = drawn()
    weight = torch.randn(2, 4, generator=seeded(1), dtype=torch.float64)
    found = trial(lambda told, hidden: (told[:, :2] @ weight, hidden), FAMILY, luck, Memory.empty(4, 0, like=luck.x))
    expected = FAMILY.rollouts(lambda seen: seen @ weight, luck)
    assert 0 < expected.arrived.sum() < 12
    for name, part in expected._asdict().items():
        other = getattr(found.rollouts, name)
        if name in ("seen", "actions"):  # of what comes after the end, nothing is told here
            part, other = (p * expected.alive[..., None] for p in (part, other))
        assert_close(other, part, **(FLOAT64 if part.is_floating_point() else {}))


def sigmoid(v: float) -> float:
    return 1 / (1 + math.exp(-v))


def gru(theta: Params, told: list[float], hidden: list[float]) -> list[float]:
    """Cho et al. 2014, in numbers; gates as PyTorch has them, the reset after the product."""
    w, u, b, c = (theta[f"cell.{name}"].tolist() for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    x = [value * scale for value, scale in zip(told, SCALES, strict=True)]
    n, new = len(hidden), []
    left = [sum(p * q for p, q in zip(row, x, strict=True)) + bias for row, bias in zip(w, b, strict=True)]
    right = [sum(p * q for p, q in zip(row, hidden, strict=True)) + bias for row, bias in zip(u, c, strict=True)]
    for i in range(n):
        reset, keep = sigmoid(left[i] + right[i]), sigmoid(left[n + i] + right[n + i])
        new.append((1 - keep) * math.tanh(left[2 * n + i] + reset * right[2 * n + i]) + keep * hidden[i])
    return new


def said_by(theta: Params, hidden: list[float]) -> tuple[list[float], list[float]]:
    rows = zip(theta["head.weight"].tolist(), theta["head.bias"].tolist(), strict=True)
    m0, m1, s0, s1, _ = (sum(p * q for p, q in zip(row, hidden, strict=True)) + bias for row, bias in rows)
    log_std = [math.log(STD[0]) + sigmoid(s) * math.log(STD[1] / STD[0]) for s in (s0, s1)]
    return [math.tanh(m0), math.tanh(m1)], log_std


def scalar_trial(theta: Params, noise: list, goal: list[float]) -> tuple[list, list[float], list[float]]:
    """One task's rewards by episode, and hidden state and last observation at the end."""
    hidden, last, rewards = [0.0] * 3, [0.0] * 4, []
    for episode in noise:
        x, y, paid = 0.0, 0.0, []
        for t, luck in enumerate(episode):
            hidden = gru(theta, [x, y, *last], hidden)
            mean, log_std = said_by(theta, hidden)
            a = [min(1, max(-1, m + math.exp(s) * z)) for m, s, z in zip(mean, log_std, luck, strict=True)]
            x, y = x + 0.1 * a[0], y + 0.1 * a[1]
            away = x - goal[0], y - goal[1]
            paid.append(-math.hypot(*away))
            there = max(abs(away[0]), abs(away[1])) < FAMILY.near
            last = [*a, paid[-1], float(there or t == FAMILY.horizon - 1)]
            if there:
                break
        rewards.append(paid)
    return rewards, hidden, last


def test_a_trial_is_what_a_loop_of_scalars_gives():
    theta, luck = some_theta(), drawn()
    lived = live(POLICY, FAMILY, theta, luck)
    lengths = set()
    for i in range(4):
        rewards, hidden, last = scalar_trial(theta, luck.x[i].tolist(), luck.y[i, 0].tolist())
        for episode, paid in enumerate(rewards):
            lengths.add(len(paid))
            padded = paid + [0.0] * (FAMILY.horizon - len(paid))
            assert_close(lived.rollouts.rewards[i, episode].tolist(), padded, rtol=1e-9, atol=1e-11)
            assert lived.rollouts.alive[i, episode].sum() == len(paid)
        assert_close(lived.memory.hidden[i].tolist(), hidden, rtol=1e-9, atol=1e-11)
        assert_close(lived.memory.last[i].tolist(), last, rtol=1e-9, atol=1e-11)
    assert len(lengths) > 1


def test_to_read_a_trajectory_is_to_remember_it():
    """phi by `adapt` is the memory of the one who acted; no weight is another tensor than theta's."""
    theta, luck = some_theta(), drawn()
    memory = live(POLICY, FAMILY, theta, luck).memory
    learner = recurrent_policy(POLICY, FAMILY)
    for i in range(4):
        phi = learner.adapt(theta, lives(POLICY, FAMILY, Batch(luck.x[i], luck.y[i])))
        assert_close((phi["hidden"], phi["last"]), (memory.hidden[i], memory.last[i]), **FLOAT64)
        assert all(phi[name] is theta[name] for name in theta)
        told = torch.cat([torch.zeros(1, 2), phi["last"][None]], -1)
        said, _ = functional(POLICY).predict(theta, told, phi["hidden"][None])
        assert_close(learner.predict(phi, torch.zeros(1, 2, dtype=torch.float64)), said[:, :4], **FLOAT64)


def test_a_trial_that_goes_on_is_one_trial():
    theta, luck = some_theta(), drawn()
    whole = live(POLICY, FAMILY, theta, luck)
    first = live(POLICY, FAMILY, theta, Batch(luck.x[:, :1], luck.y[:, :1]))
    rest = live(POLICY, FAMILY, theta, Batch(luck.x[:, 1:], luck.y[:, 1:]), first.memory)
    assert_close(torch.cat([first.rollouts.rewards, rest.rollouts.rewards], 1), whole.rollouts.rewards, **FLOAT64)
    assert_close(rest.memory, whole.memory, **FLOAT64)


# The gradient -----------------------------------------------------------------------------------------


def test_advantages_are_sums_of_surprises():
    """Schulman et al. 2016, as a double sum over the steps that count."""
    g = seeded(2)
    rewards, values = torch.randn(2, 3, 7, generator=g, dtype=torch.float64)
    alive = (torch.rand(3, 7, generator=g) > 0.3).double()
    found = advantages(rewards, values, alive, discount=0.9, trace=0.6)
    for task in range(3):
        steps = [t for t in range(7) if alive[task, t]]
        ahead = [*steps[1:], None]
        surprise = [
            rewards[task, t] + (0 if u is None else 0.9 * values[task, u]) - values[task, t]
            for t, u in zip(steps, ahead, strict=True)
        ]
        for i, t in enumerate(steps):
            assert_close(found[task, t], sum(0.54**j * s for j, s in enumerate(surprise[i:])), **FLOAT64)
        assert all(found[task, t] == 0 for t in range(7) if not alive[task, t])


def replayed(theta: Params, told: torch.Tensor, alive: torch.Tensor) -> torch.Tensor:
    """What is said to what was told, by `torch.nn.GRUCell` itself, step after step."""
    cell, said = torch.nn.GRUCell(6, 3).double(), []
    hidden = torch.zeros(len(told), 3, dtype=torch.float64)
    weights = {name.removeprefix("cell."): p for name, p in theta.items() if name.startswith("cell.")}
    for now, here in zip((told * torch.tensor(SCALES, dtype=torch.float64)).unbind(1), alive.unbind(1), strict=True):
        hidden = torch.where(here[:, None] > 0, torch.func.functional_call(cell, weights, (now, hidden)), hidden)
        mean, spread, value = (hidden @ theta["head.weight"].T + theta["head.bias"]).split((2, 2, 1), -1)
        low, high = (math.log(s) for s in STD)
        said.append(torch.cat([mean.tanh(), low + spread.sigmoid() * (high - low), value], -1))
    return torch.stack(said, 1)


def test_the_direction_is_the_slope_of_its_costs_with_all_that_happened_held_fixed():
    theta, luck, costs = some_theta(), drawn(), Costs(noise=0.02)
    lived = live(POLICY, FAMILY, theta, luck)
    told, actions, alive = (part.flatten(1, 2) for part in (lived.told, lived.rollouts.actions, lived.rollouts.alive))
    values, n = lived.said.flatten(1, 2)[..., 4], alive.sum()
    better = advantages(lived.rollouts.rewards.flatten(1, 2), values, alive, discount=costs.discount, trace=costs.trace)
    mean = better.sum() / n
    weights = (better - mean) / ((((better - mean) ** 2) * alive).sum() / n).sqrt() * alive

    def held(theta: Params) -> torch.Tensor:
        said = replayed(theta, told, alive)
        away = (actions - said[..., :2]) / said[..., 2:4].exp()
        log_pi = -(away**2).sum(-1) / 2 - said[..., 2:4].sum(-1)
        error = (said[..., 4] - values - better) ** 2
        each = -log_pi * weights + costs.value * error - costs.noise * said[..., 2:4].sum(-1)
        return (each * alive).sum() / n

    empty_query = Batch(luck.x[:, :0], luck.y[:, :0])
    _, direction = recurrent_policy(POLICY, FAMILY, costs=costs).meta_grad(theta, Task(luck, empty_query, luck.y[:, 0]))
    assert_close(direction, central_differences(held, theta), rtol=1e-5, atol=1e-7)


def test_the_score_function_averages_to_the_slope_of_the_mean_return():
    """All luck of two moves is enumerated, by Gauss and Hermite's nodes: 5 for each of 4 numbers."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    nodes, weights = torch.tensor(nodes), torch.tensor(weights / weights.sum())
    grid = torch.cartesian_prod(*[nodes] * 4).reshape(-1, 1, 2, 2)
    chance = torch.cartesian_prod(*[weights] * 4).prod(1)
    family = Navigation(horizon=2, squared=True, near=1e-6)
    luck = Batch(grid, torch.tensor([[[0.3, -0.2]]]).double().expand(len(grid), 1, 2))
    theta = some_theta() | {"head.bias": torch.tensor([0.1, -0.1, -1.5, -1.5, 0.0]).double()}
    theta["head.weight"] = 0.1 * theta["head.weight"]  # means and noise so small that no action is clipped

    def mean_return(theta: Params) -> torch.Tensor:
        lived = live(POLICY, family, theta, luck)
        assert lived.rollouts.actions.abs().max() < 1
        return (lived.rollouts.returns[:, 0] * chance).sum()

    leaves = {name: p.clone().requires_grad_() for name, p in theta.items()}
    lived = live(POLICY, family, leaves, luck)
    rewards, alive = lived.rollouts.rewards[:, 0], lived.rollouts.alive[:, 0]
    to_go = advantages(rewards, 0 * rewards, alive, discount=1.0, trace=1.0)
    loss = surrogate(lived.said[:, 0], lived.rollouts.actions[:, 0], to_go * chance[:, None], alive) * alive.sum()
    slopes = torch.autograd.grad(-loss, list(leaves.values()))
    exact = central_differences(mean_return, theta)
    assert_close(dict(zip(leaves, slopes, strict=True)), exact, rtol=1e-3, atol=1e-7)


def test_the_log_probability_is_that_of_torch():
    g = seeded(5)
    said, actions = torch.randn(7, 5, generator=g), torch.randn(7, 2, generator=g)
    expected = torch.distributions.Normal(said[:, :2], said[:, 2:4].exp()).log_prob(actions).sum(-1)
    assert_close(log_probability(said[:, :4], actions), expected)


# The search by hand -----------------------------------------------------------------------------------


def test_three_distances_give_the_goal():
    g = seeded(6)
    places, goal = (torch.randn(20, n, 2, generator=g, dtype=torch.float64) for n in (3, 1))
    assert_close(trilaterated(places, (places - goal).norm(dim=-1)), goal[:, 0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("half", [0.5, 1.0])
def test_the_search_arrives_and_then_walks_straight(half: float):
    family = Navigation(half=half)
    luck = family.sample(50, 3, 0, generator=seeded(7)).support
    lived = trial(searcher(family), family, luck, empty(luck.x)).rollouts
    assert lived.arrived.all()
    moves = (luck.y.abs().amax(-1) / family.speed).ceil()
    known = lived.alive[:, 0].sum(-1) >= 3  # who stumbles upon the goal has not measured it
    assert (lived.alive.sum(-1)[known, 1:] - moves[known, 1:]).abs().max() <= 1


# The study --------------------------------------------------------------------------------------------


def test_goals_are_those_of_chapter_4d():
    about = read_about("navigation")["fixed"]
    assert (about["family"], about["seed"], about["at_once"]) == (repr(study.FAMILY), study.SEED, 20)
    assert tuple(study.DRAWN.values()) == (3 * about["trajectories"], about["trajectories"])
    luck = study.judged(20, None, seeded(study.SEED))
    tasks = study.FAMILY.sample(20, 60, 20, generator=seeded(study.SEED))
    assert torch.equal(luck.y.unflatten(0, (20, 5))[:, 0, 0], tasks.description)
    assert torch.equal(luck.x.reshape(20, 20, 100, 2), tasks.query.x)


def test_goals_outside_are_on_the_rim_in_the_same_direction():
    inside = torch.randn(9, 2, generator=seeded(8))
    outside = on_the_rim(inside, 0.75)
    assert_close(outside.abs().amax(-1), torch.full((9,), 0.75))
    assert_close(outside[:, 0] * inside[:, 1], outside[:, 1] * inside[:, 0])


def test_who_forgets_lives_through_first_episodes_only():
    luck = study.judged(2, None, seeded(1))
    again = Batch(luck.x[:, :1].expand(-1, 3, -1, -1), luck.y[:, :3])  # the same luck in each
    forgets = torch.cat([one.rollouts.returns for one in study.by_episodes(study.theta_of(), again, study.wiped)], 1)
    assert_close(forgets, forgets[:, :1].expand(-1, 3))
    remembers = study.remembering(study.theta_of(), again).rollouts.returns
    assert (remembers[:, 1] - forgets[:, 1]).mean() > 1


@pytest.mark.parametrize(("seed", "near"), [(0, 0.12), (1, 0.12), (2, 0.2)])
def test_with_the_memory_of_another_task_it_walks_to_the_goal_of_that_task(seed: int, near: float):
    luck = study.judged(20, None, seeded(1))
    luck = Batch(luck.x[:, :2], luck.y[:, :2])
    with torch.no_grad():
        second = study.by_episodes(study.theta_of(seed), luck, study.swapped)[1].rollouts
    own = luck.y[:, 0]
    away, other = (
        (second.positions[:, 0, 1:8] - goal[:, None]).norm(dim=-1).amin(-1) for goal in (own, own.roll(50, 0))
    )
    assert other.mean() < near < 0.24 < away.mean()


def test_the_training_with_seed_2_arrives_in_one_part_of_the_square_only():
    luck = study.judged(30, None, seeded(1))
    with torch.no_grad():
        arrived = [study.remembering(study.theta_of(seed), luck).rollouts.arrived[:, 1] for seed in study.SEEDS]
    low, high = ((sign * luck.y[:, 0] > 0).all(-1) for sign in (-1, 1))
    assert all(one[part].float().mean() > 0.8 for one in arrived[:2] for part in (low, high))
    assert arrived[2][low].float().mean() > 0.75
    assert arrived[2][high].float().mean() < 0.3


def test_no_training_arrives_twice_as_far():
    luck = study.judged(20, study.TWICE, seeded(1))
    with torch.no_grad():
        arrived = [study.remembering(study.theta_of(seed), luck).rollouts.arrived for seed in study.SEEDS]
    assert max(one.float().mean() for one in arrived) < 0.02


def test_training_goes_through_its_stages():
    stages = tuple(stage._replace(outer_steps=2, trials=3, horizon=3) for stage in study.STAGES)
    theta, first = study.trained(0, stages), study.trained(0, stages[:1])
    assert theta.keys() == first.keys()
    assert not torch.equal(theta["head.weight"], first["head.weight"])
    assert [recipe.settings["seed"] for recipe in study.RECIPES.values()] == list(study.SEEDS)


def test_how_many_episodes_training_saw_as_the_page_says():
    assert sum(stage.outer_steps * stage.trials * stage.episodes for stage in study.STAGES) == 680_000
    maml = load_settings(theta_path("navigation_maml"))
    assert maml["outer_steps"] * maml["tasks_per_step"] * (maml["k_shot"] + maml["n_query"]) == 240_000


test_what_is_refused = refusals(
    [
        (lambda: RecurrentPolicy(0), "width is 0"),
        (lambda: trial(None, Navigation(show_goal=True, horizon=6), drawn(), None), "family.show_goal is True"),
        (lambda: live(POLICY, Navigation(horizon=5), some_theta(), drawn()), "luck.x has shape (4, 3, 6, 2)"),
        (lambda: advantages(*torch.zeros(3, 1, 2), discount=2.0, trace=0.9), "discount is 2.0"),
        (lambda: on_the_rim(torch.zeros(2), 0.5), "goals has shape (2,)"),
        (lambda: on_the_rim(torch.ones(1, 2), 0.0), "half is 0.0"),
    ]
)


def test_a_memory_begins_empty():
    phi = begin(some_theta())
    assert not phi["hidden"].any()
    assert not phi["last"].any()
