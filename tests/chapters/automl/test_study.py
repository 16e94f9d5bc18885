"""Many settings at once equal single runs; searches keep to their budget and seed; the stored grid comes out again."""

import json
import math
from functools import cache

import numpy as np
import pytest
import torch
from oracles import FLOAT64, float64_mlp, random_tasks, random_theta, seeded
from stored import GRID_TOLERANCE, errors_of_cells
from torch.func import grad, vmap
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mapping_lib.chapters.automl import family as problems
from mapping_lib.chapters.automl import methods as search
from mapping_lib.chapters.automl import study as automl
from mapping_lib.chapters.automl import study_grid as grid
from mapping_lib.chapters.automl.family import Setting, digits, sines
from mapping_lib.chapters.automl.methods import METHODS, Trial, best, find
from mapping_lib.chapters.automl.methods_many_settings import (
    meta_gradients,
    meta_train_settings,
    query_errors_of_settings,
)
from mapping_lib.evaluation import query_errors
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.inner_loop import adapt
from mapping_lib.learners.gradient import ALPHA_PREFIX, maml, meta_sgd
from mapping_lib.meta_training import MetaTrainingDiverged, meta_train
from mapping_lib.study import plain, read_table
from mapping_lib.study.gains import paired
from mapping_lib.worlds.digits import load

FAMILY = Sinusoids(dtype=torch.float64)
ALPHA = torch.tensor([0.001, 0.01, 0.1, 0.01, 1e120, 0.01], dtype=torch.float64)
BETA = torch.tensor([0.01, 0.003, 0.01, 0.03, 1.0, 1e60], dtype=torch.float64)
"""The last but one diverges at once, where there are inner steps; the last throws theta away and diverges then."""


def test_three_searches_show_one_difference_from_the_default_and_from_four_trials():
    """Over seeds, with Student's t for three: on digits, learning alpha helps the default. All else holds zero."""
    shown = {}
    for problem, methods in automl.METHODS_OF.items():
        table = read_table(f"automl_{problem}")
        rows = {m: plain.pooled(table[m, f"search seed {s}"] for s in automl.SEEDS) for m in methods}
        for rival in ("default", "four trials"):
            gains = {m: paired(rows[m], rows[rival]) for m in methods if m != rival}
            shown |= {(problem, m, rival): g for m, g in gains.items() if g.low > 0 or g.high < 0}
    assert list(shown) == [("digits", "Meta-SGD", "default")]
    (gain,) = shown.values()
    assert (gain.mean, gain.high - gain.mean) == (pytest.approx(-0.082, abs=1e-3), pytest.approx(0.015, abs=1e-3))


# Many settings at once ------------------------------------------------------------------------------------


def single_run(i: int, steps: int, outer_steps: int, schedule: str):
    """One setting by `meta_train`: theta, and the outer step that it diverged at (or None)."""
    learner = maml(float64_mlp(1, 7, 6, 1), mse_loss, alpha=float(ALPHA[i]), steps=steps)
    run = meta_train(
        learner,
        FAMILY,
        beta=float(BETA[i]),
        outer_steps=outer_steps,
        generator=seeded(3),
        tasks_per_step=4,
        schedule=schedule,
    )
    try:
        *_, last = run
    except MetaTrainingDiverged as diverged:
        return diverged.theta, diverged.step
    return last.theta, None


@pytest.mark.parametrize(("steps", "schedule"), [(0, "constant"), (1, "cosine"), (3, "constant")])
def test_every_setting_goes_the_way_of_a_single_run(steps: int, schedule: str):
    settings = {"alpha": ALPHA, "beta": BETA, "steps": steps, "outer_steps": 25, "schedule": schedule}
    stream = meta_train_settings((1, 7, 6, 1), FAMILY, **settings, generator=seeded(3), tasks_per_step=4)
    steps_alive = [progress.alive for progress in stream]
    *_, last = meta_train_settings((1, 7, 6, 1), FAMILY, **settings, generator=seeded(3), tasks_per_step=4)
    for i in range(len(ALPHA)):
        theta, diverged_at = single_run(i, steps, 25, schedule)
        assert_close({name: p[i] for name, p in last.theta.items()}, theta, rtol=1e-6, atol=1e-8)
        first_dead = next((n for n, alive in enumerate(steps_alive, 1) if not alive[i]), None)
        assert first_dead == diverged_at
    assert last.alive.tolist() == [True] * 4 + [steps == 0, False]


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_loss_gradient_and_errors_of_every_setting_are_those_of_its_learner(steps: int):
    network, alpha = float64_mlp(1, 5, 4, 1), torch.tensor([0.0, 0.02, 0.3], dtype=torch.float64)
    thetas, tasks = [random_theta(network, seed) for seed in range(3)], random_tasks(4, 6, 5)
    stacked = {name: torch.stack([theta[name] for theta in thetas]) for name in thetas[0]}
    loss, direction = meta_gradients(stacked, alpha, tasks, steps)
    errors = query_errors_of_settings(stacked, alpha, tasks, steps)
    for i, theta in enumerate(thetas):
        learner = maml(network, mse_loss, alpha=float(alpha[i]), steps=steps)
        assert_close((loss[i], {n: d[i] for n, d in direction.items()}), learner.meta_grad(theta, tasks), **FLOAT64)
        path = learner.adapt_path(theta, tasks.support, steps=steps)
        assert_close(errors[i], query_errors(learner, path, tasks.query).T, **FLOAT64)


def test_a_setting_that_diverges_leaves_the_others_alone():
    settings = {"steps": 2, "outer_steps": 12, "tasks_per_step": 4}
    *_, together = meta_train_settings((1, 7, 1), FAMILY, alpha=ALPHA, beta=BETA, generator=seeded(1), **settings)
    *_, alone = meta_train_settings((1, 7, 1), FAMILY, alpha=ALPHA[:4], beta=BETA[:4], generator=seeded(1), **settings)
    assert together.alive.tolist() == [True] * 4 + [False] * 2
    assert all(torch.isfinite(p).all() for p in together.theta.values())
    assert_close({name: p[:4] for name, p in together.theta.items()}, alone.theta, **FLOAT64)


@pytest.mark.parametrize(
    ("alpha", "beta", "message"),
    [
        ([0.1, 0.2], [0.1], r"beta has shape \(1,\).*allowed: one number a setting"),
        ([[0.1]], [0.1], r"alpha has shape \(1, 1\)"),
        ([], [], r"alpha has shape \(0,\)"),
        ([0.1], [0.0], "beta holds 0 as its lowest; allowed: finite numbers above 0"),
        ([-0.1], [0.1], "alpha holds -0.1"),
        ([math.inf], [0.1], "alpha holds inf"),
    ],
)
def test_bad_settings_are_refused(alpha, beta, message: str):
    settings = {"alpha": torch.tensor(alpha), "beta": torch.tensor(beta)}
    with pytest.raises(ValueError, match=message):
        meta_train_settings((1, 3, 1), FAMILY, **settings, steps=1, outer_steps=1, generator=seeded(0))


# The gradient by alpha ------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 3])
def test_the_gradient_by_one_alpha_is_the_sum_of_meta_sgds_and_a_central_difference(steps: int):
    network = float64_mlp(1, 6, 5, 1, activation=torch.nn.Tanh)
    theta, tasks = random_theta(network), random_tasks(4, 6, 5)

    def meta_loss(alpha: float) -> float:
        return float(maml(network, mse_loss, alpha=alpha, steps=steps).meta_grad(theta, tasks)[0])

    learner = meta_sgd(network, mse_loss, steps=steps)
    whole = theta | {ALPHA_PREFIX + name: torch.full_like(p, 0.05) for name, p in theta.items()}
    direction = learner.meta_grad(whole, tasks)[1]
    by_alpha = sum(float(d.sum()) for name, d in direction.items() if name.startswith(ALPHA_PREFIX))
    assert by_alpha == pytest.approx((meta_loss(0.05 + 1e-5) - meta_loss(0.05 - 1e-5)) / 2e-5, rel=1e-6)


def bowls(h: torch.Tensor, start: torch.Tensor, alpha: torch.Tensor, steps: int) -> torch.Tensor:
    """The loss 1/2 sum h w² after some inner steps from ``start``, by the library's inner loop."""
    loss = lambda params: 0.5 * (h * params["w"].square()).sum()  # noqa: E731
    return loss(adapt({"w": start}, loss, alpha=alpha, steps=steps))


def test_the_best_alpha_for_one_step_has_a_closed_form_and_no_slope():
    h, start = torch.tensor([1.0, 10.0], dtype=torch.float64), torch.tensor([2.0, 0.5], dtype=torch.float64)
    closed = (h**2 * start**2).sum() / (h**3 * start**2).sum()
    slope = grad(lambda alpha: bowls(h, start, alpha, 1))
    assert float(slope(closed)) == pytest.approx(0, abs=1e-12)
    assert float(slope(closed - 0.01)) < 0 < float(slope(closed + 0.01))


def test_with_many_steps_the_best_alpha_goes_to_two_over_the_sum_of_the_ends():
    h, start = torch.tensor([1.0, 10.0], dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    tried = torch.linspace(0.05, 0.2, 3001, dtype=torch.float64)
    losses = {m: vmap(lambda alpha, m=m: bowls(h, start, alpha, m))(tried) for m in (1, 5, 60)}
    best_of = {m: float(tried[loss.argmin()]) for m, loss in losses.items()}
    assert best_of[1] == pytest.approx(101 / 1001, abs=1e-4)
    assert best_of[1] < best_of[5] < best_of[60]
    assert best_of[60] == pytest.approx(2 / 11, rel=0.02)


# Searches -------------------------------------------------------------------------------------------------

SMALL = sines()._replace(trial=700, total=6_000, n_valid=10, n_judged=10, tasks_per_step=5)
SMALL_DIGITS = digits()._replace(trial=300, total=2500, n_valid=4, n_judged=3, tasks_per_step=5)


@cache
def searched(method: str, seed: int) -> search.Found:
    """What a small search finds: each is made once, and several tests look at it."""
    return find(SMALL, method, seed)


class Counter:
    """A problem's learners, with every call of their ``meta_grad`` counted at its price."""

    def __init__(self, problem: problems.Problem) -> None:
        self.spent, self.make = 0, problem.learner
        self.cost = problem.outer_step_cost

    def __call__(self, setting: Setting):
        learner = self.make(setting)

        def meta_grad(theta, tasks):
            self.spent += self.cost(setting)
            return learner.meta_grad(theta, tasks)

        return learner._replace(meta_grad=meta_grad)


@pytest.mark.parametrize("method", METHODS)
def test_a_search_keeps_to_its_budget_and_says_what_it_spent(method: str, monkeypatch):
    counter = Counter(SMALL)
    monkeypatch.setattr(problems.Problem, "learner", lambda self, setting: counter(setting))
    result = find(SMALL, method, 0)
    looks = result.gradients - counter.spent
    assert looks > 0
    assert looks % SMALL.look_cost == 0  # nothing but looks at the validation tasks is left
    assert SMALL.total - SMALL.outer_step_cost(result.setting) < result.gradients <= SMALL.total
    assert sum(trial.gradients for trial in result.trials) <= SMALL.total // 2
    assert all(trial.gradients <= SMALL.trial for trial in result.trials)
    assert bool(result.trials) == (method not in ("default", "Meta-SGD"))


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_finds_the_same(method: str):
    first, again, other = searched(method, 1), find(SMALL, method, 1), searched(method, 2)
    assert first.trials == again.trials
    assert_close(first.theta, again.theta, rtol=0, atol=0)
    assert any(not torch.equal(p, first.theta[n]) for n, p in other.theta.items() if n in first.theta) or (
        other.setting != first.setting
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_winner_is_the_trial_with_the_lowest_validation_error(method: str):
    result = searched(method, 2)
    if not result.trials:
        assert result.setting == SMALL.default._replace(learns_alpha=method == "Meta-SGD")
        return
    ended = [trial for trial in result.trials if not trial.stopped]
    assert result.setting == min(ended, key=lambda trial: trial.valid).setting
    assert all(trial.setting.learns_alpha == ("Meta-SGD" in method) for trial in result.trials)


def test_meta_sgd_gets_the_same_four_trials_as_maml():
    ours, theirs = (searched(method, 1) for method in ("Meta-SGD, four trials", "four trials"))
    asked = [[trial.setting for trial in result.trials] for result in (ours, theirs)]
    assert asked[0] == [setting._replace(learns_alpha=True) for setting in asked[1]]
    assert [(s.alpha, s.beta) for s in asked[1]] == [
        pytest.approx((a * 0.01, b * 0.003)) for a, b in ((1, 1), (1, 3), (3, 1), (3, 3))
    ]
    assert ours.setting.learns_alpha
    assert {"alpha.0.weight"} <= set(ours.theta)


def test_what_was_stopped_early_cannot_win_and_what_never_ended_is_last():
    ended, halted, gone = (Trial(Setting(), 10, e, e, 5, s) for e, s in ((2.0, False), (1.0, True), (math.inf, False)))
    assert best((gone, halted, ended)) is ended
    assert best((halted, gone)) is gone


def test_successive_halving_stops_some_and_tries_more():
    plain, halved = (searched(method, 1).trials for method in ("random search", "successive halving"))
    stopped = [trial for trial in halved if trial.stopped]
    assert len(halved) > len(plain)
    assert stopped
    assert max(trial.gradients for trial in stopped) < 0.6 * SMALL.trial
    assert [trial.setting for trial in plain] == [trial.setting for trial in halved][: len(plain)]  # the same draws


def test_a_trial_is_judged_after_the_steps_that_are_best_on_validation_tasks():
    setting = Setting(width=10)
    trial = search.run_trial(SMALL, setting, 0)
    learner = SMALL.learner(setting)
    theta, _ = search.train(SMALL, setting, SMALL.trial - SMALL.look_cost, 0)
    errors = {}
    for part, seed, n in (("valid", search.VALID_SEED, 10), ("held_out", search.HELD_OUT_SEED, 20)):
        tasks = Sinusoids().sample(n, 10, 10, generator=seeded(seed))
        path = learner.adapt_path(theta, tasks.support, steps=5)
        errors[part] = query_errors(learner, path, tasks.query).mean(1)
    assert trial.taken == 1 + int(errors["valid"][1:].argmin())
    assert trial.valid == pytest.approx(float(errors["valid"][trial.taken]), rel=1e-5)
    assert trial.held_out == pytest.approx(float(errors["held_out"][trial.taken]), rel=1e-5)


def test_meta_training_that_diverges_costs_what_it_took_and_counts_as_infinite():
    trial = search.run_trial(SMALL, Setting(alpha=50.0, beta=1.0, steps=5), 0)
    assert trial.valid == math.inf
    assert trial.gradients < SMALL.trial / 2


class NeverPruned:
    """A trial of a search that is looked at on its way, and never stopped."""

    def report(self, value: float, step: int) -> None:
        assert math.isfinite(value)

    def should_prune(self) -> bool:
        return False


def test_a_trial_that_diverges_after_a_good_look_is_no_good(monkeypatch):
    theta = SMALL.learner(Setting()).init(generator=seeded(0))

    def diverges(problem, setting, outer_steps, seed):
        yield from ((theta, done) for done in (0, outer_steps // 9, outer_steps // 9 + 1))

    monkeypatch.setattr(search, "_progress", diverges)
    assert search.run_trial(SMALL, Setting(), 0, NeverPruned()).valid == math.inf


@pytest.mark.parametrize("steps", range(6))
def test_the_price_of_an_outer_step(steps: int):
    """m gradients on the way, one on the query, m Hessian products of two gradients on the way back."""
    assert SMALL.outer_step_cost(Setting(steps=steps)) == 5 * (steps + 1 + 2 * steps)


@pytest.mark.parametrize("problem", [SMALL, SMALL_DIGITS], ids=["sines", "digits"])
def test_what_a_search_found_can_be_stored_and_read(problem, tmp_path):
    result = find(problem, "four trials", 0)
    gone = result.trials[0]._replace(valid=math.inf, stopped=True)
    result = result._replace(trials=(gone, *result.trials))
    back = automl.from_params(automl.to_params(result, "0/"), "0/")
    assert back.trials == result.trials
    assert back._replace(theta={}, trials=()) == result._replace(theta={}, trials=())
    for name, p in back.theta.items():
        assert_close(p, result.theta[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: find(SMALL, "grid search", 0), "method is 'grid search'; allowed: 'default'"),
        (lambda: find(SMALL, "TPE", -1), "seed is -1; allowed: a whole number, 0 or more"),
        (lambda: automl.found("sines", "TPE", 7), "seed is '7'; allowed: '0', '1', '2'"),
        (lambda: automl.found("digits", "successive halving", 0), "method is 'successive halving'"),
        (lambda: grid.read_grid(2), "inner_steps is '2'; allowed: '1', '5'"),
    ],
)
def test_wrong_names_are_refused(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()


def test_no_form_of_digits_is_in_two_parts_and_none_is_left_out():
    images, _ = load()
    problem = digits()
    parts = [problem.train.x, problem.valid.x, problem.held_out.x]
    assert torch.equal(torch.cat(parts), images)
    labels = problem.valid.classes
    assert labels[:20].tolist() == [*range(1, 10), *range(10), 0]  # a form begins; its first digit is missing


# The stored grid ------------------------------------------------------------------------------------------


def test_the_grid_was_made_by_the_settings_that_the_code_has():
    with np.load(grid.FILE, allow_pickle=False) as file:
        assert json.loads(str(file["settings"])) == json.loads(json.dumps(grid.SETTINGS))


@pytest.mark.parametrize("inner_steps", grid.INNER_STEPS)
def test_the_stored_errors_are_those_of_the_stored_theta(inner_steps: int):
    stored, cells = grid.read_grid(inner_steps), torch.arange(0, 169, 16)
    errors = errors_of_cells({name: p[cells] for name, p in stored.theta.items()}, cells)
    fine = errors.isfinite() & (errors < 100)
    assert fine[:, 0].all()
    assert errors[fine] == pytest.approx(stored.errors[0][cells][fine], rel=GRID_TOLERANCE)
    assert (stored.errors[0][cells][~fine] >= 50).all()


RETRAINED = 1e-2
"""Relative, where training hardly enlarges rounding: without AVX these cells move by 3e-6, a single run by 2e-4; on
another processor cell 34 of five inner steps moves by 3e-3.

In others it does, near the edge of what is stable: cell 60 of five inner steps by 0.2. No test can ask for those again.
"""


@pytest.mark.parametrize(("inner_steps", "cells"), [(1, [47, 70, 80]), (5, [34, 70])])
def test_cells_of_the_grid_come_out_again(inner_steps: int, cells: list[int]):
    again, stored = grid.make_grid(inner_steps, seeds=(0,), cells=cells), grid.read_grid(inner_steps)
    assert again.errors[0] == pytest.approx(stored.errors[0][cells], rel=RETRAINED)
    assert again.curves == pytest.approx(stored.curves[cells], rel=RETRAINED)


def test_a_cell_of_the_grid_is_what_a_single_run_gives():
    i = grid.cell_of(5, 6)
    learner = maml(problems.mlp(grid.SIZES), mse_loss, alpha=grid.SIDE[5])
    *_, last = meta_train(learner, Sinusoids(), beta=grid.SIDE[6], generator=seeded(0), **grid.TRAINING)
    tasks = grid.held_out()
    errors = query_errors(learner, learner.adapt_path(last.theta, tasks.support, steps=5), tasks.query).mean(1)
    assert errors == pytest.approx(grid.read_grid(1).errors[0, i], rel=RETRAINED)


def test_the_cells_are_numbered_row_after_row():
    alpha, beta = grid.all_settings(torch.float64)
    for a, b in ((0, 0), (3, 7), (12, 12)):
        cell = grid.cell_of(a, b)
        assert (float(alpha[cell]), float(beta[cell])) == (grid.SIDE[a], grid.SIDE[b])
    assert np.log10(grid.SIDE) == pytest.approx(np.arange(13) / 3 - 4)
