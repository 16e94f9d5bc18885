"""Chapter 4d: whose goals are whose and scores computed another way."""

import sys

import pytest
import torch

from mapping_lib.chapters.reinforcement_learning import study as navigation
from mapping_lib.chapters.reinforcement_learning import study_tuning
from mapping_lib.chapters.reinforcement_learning.methods import rollouts, trials
from mapping_lib.chapters.reinforcement_learning.study import (
    ALPHA,
    FAMILY,
    FILES,
    METHODS,
    RECIPES,
    SEED,
    TABLES,
    TRAJECTORIES,
    UPDATES,
    VALIDATION,
    VALIDATION_SEED,
    learner,
    policy_of,
    returns,
    score,
    theta_of,
    written,
)
from mapping_lib.learners.many_tasks import one_each
from mapping_lib.study.training import Training
from mapping_lib.task import Batch

TABLE = TABLES["navigation"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def goals_of_table() -> set[tuple[float, ...]]:
    g = seeded(TABLE.seed)
    draws = [FAMILY.sample(20, UPDATES * TRAJECTORIES, TRAJECTORIES, generator=g) for _ in range(TABLE.n // 20)]
    return {tuple(goal) for drawn in draws for goal in drawn.description.tolist()}


@pytest.mark.parametrize("method", ["MAML", "MAML, Adam"])
def test_no_goal_of_the_table_was_trained_or_chosen_on(method: str):
    held_out, g = goals_of_table(), seeded(SEED)
    learner(method).init(generator=g)  # training begins with this draw
    settings = RECIPES[FILES[method]].settings
    trained = set()
    for _ in range(settings["outer_steps"]):
        drawn = FAMILY.sample(settings["tasks_per_step"], settings["k_shot"], settings["n_query"], generator=g)
        trained |= {tuple(goal) for goal in drawn.description.tolist()}
    valid = FAMILY.sample(VALIDATION, UPDATES * TRAJECTORIES, TRAJECTORIES, generator=seeded(VALIDATION_SEED))
    chosen = {tuple(goal) for goal in valid.description.tolist()}
    assert (len(held_out), len(trained), len(chosen)) == (600, 20 * settings["outer_steps"], VALIDATION)
    assert not held_out & trained
    assert not held_out & chosen
    assert not trained & chosen


def test_training_meets_the_goals_that_the_test_above_counts(monkeypatch):
    met = []

    def watched(learner, family, *, generator, **settings):
        met.append(family.sample(20, settings["k_shot"], settings["n_query"], generator=generator).description)
        yield type("Progress", (), {"theta": {}})

    monkeypatch.setattr(sys.modules[Training.__module__], "meta_train", watched)
    RECIPES[FILES["MAML, Adam"]].train()
    g = seeded(SEED)
    learner("MAML, Adam").init(generator=g)
    assert torch.equal(met[0], FAMILY.sample(20, 20, 20, generator=g).description)


def test_of_the_thetas_looked_at_the_best_on_validation_is_kept(monkeypatch):
    steps = range(1, 101)
    stream = [type("Progress", (), {"theta": {"w": step}, "step": step}) for step in steps]
    monkeypatch.setattr(Training, "stream", lambda self, seed: iter(stream))
    monkeypatch.setattr(navigation, "validated", lambda method, theta: -abs(theta["w"] - 60))
    assert RECIPES[FILES["MAML"]].train() == {"w": 50}  # of 25, 50, 75 and 100


def test_tuning_tells_every_return_and_the_best_on_the_validation_goals(monkeypatch):
    monkeypatch.setattr(study_tuning, "validated", lambda method, theta, *, alpha: -abs(alpha - 0.4))
    lines = list(study_tuning.tune())
    assert len(lines) == 2 * (len(study_tuning.ALPHAS) + 1)
    assert lines[0] == "pretrained: alpha 0.02: -0.38"
    assert lines[-1] == "random: best alpha 0.5"


@pytest.mark.parametrize("method", ["MAML", "pretrained"])
def test_returns_are_those_of_adapting_one_goal_after_the_other(method: str):
    tasks = FAMILY.sample(2, UPDATES * TRAJECTORIES, TRAJECTORIES, generator=seeded(5))
    got, (policy, family) = returns(method, theta_of(method), tasks), policy_of(method)
    for i in range(2):
        shares = iter([Batch(tasks.support.x[i, k : k + 20], tasks.support.y[i, k : k + 20]) for k in range(0, 60, 20)])
        phi = learner(method).adapt(theta_of(method), lambda p, s=shares: trials(policy, family, next(s))(p), steps=3)
        judged = rollouts(policy, family, one_each(phi, 1), Batch(tasks.query.x[i : i + 1], tasks.query.y[i : i + 1]))
        assert float(got[3, i]) == pytest.approx(float(judged.returns.mean()), abs=0.05)


def test_who_knows_the_goal_needs_no_update_and_the_policy_is_that_written_for_the_goal():
    tasks = FAMILY.sample(3, UPDATES * TRAJECTORIES, TRAJECTORIES, generator=seeded(6))
    for method in ("hypernetwork", "oracle"):
        rows = returns(method, theta_of(method), tasks)
        assert torch.equal(rows[0], rows[3])
    phi = written(theta_of("hypernetwork"), tasks.description[1])
    policy, family = policy_of("hypernetwork")
    judged = rollouts(policy, family, one_each(phi, 1), Batch(tasks.query.x[1:2], tasks.query.y[1:2]))
    got = returns("hypernetwork", theta_of("hypernetwork"), tasks)[0, 1]
    assert float(got) == pytest.approx(float(judged.returns.mean()), abs=1e-3)


def test_all_methods_meet_the_same_goals_and_a_score_is_a_column_of_the_returns():
    tasks = FAMILY.sample(2, UPDATES * TRAJECTORIES, TRAJECTORIES, generator=seeded(7))
    expected = returns("MAML", theta_of("MAML"), tasks)
    for step, setting in enumerate(TABLE.settings):
        assert torch.equal(score("MAML", setting, 2, seeded(7)), expected[step])
    assert set(ALPHA) | {"hypernetwork", "oracle"} == set(METHODS) == set(TABLE.methods)


@pytest.mark.parametrize("method", ["MAML", "pretrained"])
def test_with_more_trajectories_the_goals_are_the_same_and_the_updates_others(method: str):
    few, many = (FAMILY.sample(2, UPDATES * n, TRAJECTORIES, generator=seeded(7)) for n in (TRAJECTORIES, 40))
    assert torch.equal(few.description, many.description)
    expected = returns(method, theta_of(method), many)
    for step, setting in enumerate(TABLE.settings):
        assert torch.equal(score(method + ", 40 trajectories", setting, 2, seeded(7)), expected[step])


def test_nobody_trained_the_random_policy_and_the_untuned_one_is_the_pretrained_one():
    fresh = learner("random").init(generator=seeded(SEED))
    assert all(torch.equal(theta_of("random")[name], p) for name, p in fresh.items())
    assert all(torch.equal(theta_of("pretrained, not tuned")[n], p) for n, p in theta_of("pretrained").items())
