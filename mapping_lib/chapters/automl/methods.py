"""Search against gradient, at one price: who spends a budget of gradients best?

Every method of `METHODS` gets the same number of gradients in all. A search spends up to half of it on short
trials, takes the setting with the lowest validation error, and trains that setting anew with the rest.
"""

import itertools
import math
import time
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import optuna  # a hosted notebook may lack it: %pip install optuna
import torch
from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from torch import Tensor

from mapping_lib.checks import check_choice, check_count
from mapping_lib.evaluation import adaptation_path, query_errors
from mapping_lib.learners import MetaLearner
from mapping_lib.meta_training import MetaTrainingDiverged, meta_train
from mapping_lib.task import Params, Task, TaskFamily

from .family import JUDGED_STEPS, Problem, Setting

VALID_SEED, HELD_OUT_SEED = 50, 60
"""All trials of all searches are judged on the same validation tasks; the same held-out tasks are looked on at."""

THIRDS = (1, 3, 9)
"""Successive halving looks at a trial after a ninth and a third of its length: the better third may go on."""

RANDOM_BEFORE_TPE = 5
"""TPE models what it has seen only after so many random trials; its default of 10 would be most of ours."""


class Trial(NamedTuple):
    """One setting tried: gradients spent, validation error (inf: diverged), and the error on tasks that chose nothing.

    ``gradients`` counts training and the looks at validation tasks. ``taken`` is the number of inner steps, 1 to 5,
    with the lowest validation error; both errors are those after it. A trial that was ``stopped`` early has those of
    its last look.
    """

    setting: Setting
    gradients: int
    valid: float
    held_out: float
    taken: int
    stopped: bool = False


class Found(NamedTuple):
    """What a method came to: its setting, the theta trained with it, its trials, all gradients spent, CPU seconds.

    ``taken`` is the number of inner steps, 1 to 5, that is best for theta on the validation tasks.
    """

    setting: Setting
    theta: Params
    taken: int
    trials: tuple[Trial, ...]
    gradients: int
    seconds: float


def find(problem: Problem, method: str, seed: int) -> Found:
    """Spend the problem's budget by one method of `METHODS`; the same seed finds the same.

    Raises ValueError for an unknown method or a seed below 0.
    """
    check_choice("method", method, METHODS)
    check_count("seed", seed, at_least=0)
    began = time.process_time()
    trials = tuple(METHODS[method](problem, seed))
    spent = sum(trial.gradients for trial in trials)
    setting = best(trials).setting if trials else problem.default._replace(learns_alpha=method == "Meta-SGD")
    theta, cost = train(problem, setting, problem.total - spent - problem.look_cost, 1000 + seed)
    _, taken = look(problem, setting, theta)
    return Found(setting, theta, taken, trials, spent + cost + problem.look_cost, time.process_time() - began)


def best(trials: tuple[Trial, ...]) -> Trial:
    """The trial with the lowest validation error, among those that went to their end if there is one.

    >>> ended, better, halted = (Trial(Setting(), 10, e, e, 5, e == 1.0) for e in (2.0, 1.5, 1.0))
    >>> best((ended, better, halted)).valid
    1.5
    """
    return min(trials, key=lambda trial: (trial.stopped, trial.valid))


def train(problem: Problem, setting: Setting, gradients: int, seed: int) -> tuple[Params, int]:
    """Meta-train with this setting for at most ``gradients``; give theta, the last good one, and what was spent."""
    outer_steps = gradients // problem.outer_step_cost(setting)
    *_, (theta, done) = _progress(problem, setting, outer_steps, seed)
    return theta, done * problem.outer_step_cost(setting)


def errors_by_step(learner: MetaLearner, theta: Params, tasks: Task, error) -> Tensor:
    """The error ``(task, step)`` after 0 ... 5 inner steps; infinite where it is no number."""
    with torch.no_grad():
        path = adaptation_path(learner, theta, tasks.support, tasks.description, JUDGED_STEPS)
        return query_errors(learner, path, tasks.query, error).T.nan_to_num(nan=math.inf)


def _progress(problem: Problem, setting: Setting, outer_steps: int, seed: int) -> Iterator[tuple[Params, int]]:
    """theta and the outer steps done, again and again; the last is final, diverged or not."""
    learner, generator = problem.learner(setting), torch.Generator().manual_seed(seed)
    theta, done = learner.init(generator=generator), 0
    yield theta, done
    counts = {"tasks_per_step": problem.tasks_per_step, "k_shot": problem.k_shot, "n_query": problem.n_query}
    stream = meta_train(
        learner,
        problem.train,
        theta=theta,
        beta=setting.beta,
        outer_steps=outer_steps,
        generator=generator,
        schedule="cosine",
        **counts,
    )
    try:
        for progress in stream:
            yield progress.theta, progress.step
    except MetaTrainingDiverged as diverged:
        yield diverged.theta, diverged.step


def run_trial(problem: Problem, setting: Setting, seed: int, trial: optuna.Trial | None = None) -> Trial:
    """Train one setting for a trial's budget and judge it; a ``trial`` with a pruner may be stopped on its way."""
    cost = problem.outer_step_cost(setting)
    looks = THIRDS if trial is not None else THIRDS[-1:]
    outer_steps = (problem.trial - len(looks) * problem.look_cost) // cost
    ends = {outer_steps * third // THIRDS[-1]: third for third in looks}
    looked, valid, taken, stopped = 0, math.inf, 1, False
    for theta, done in _progress(problem, setting, outer_steps, seed):
        if done in ends and not stopped:
            looked += 1
            valid, taken = look(problem, setting, theta)
            if trial is not None:
                trial.report(min(valid, 1e9), ends[done])
                stopped = ends[done] < THIRDS[-1] and trial.should_prune()
        if stopped:
            break
    if not stopped and done < outer_steps:  # meta-training diverged
        valid = math.inf
    held_out = _means(problem, setting, theta, problem.held_out, 2 * problem.n_valid, HELD_OUT_SEED)[taken]
    return Trial(setting, done * cost + looked * problem.look_cost, valid, float(held_out), taken, stopped)


def look(problem: Problem, setting: Setting, theta: Params) -> tuple[float, int]:
    """The lowest mean error on the validation tasks after 1 ... 5 inner steps, and after how many it is."""
    means = _means(problem, setting, theta, problem.valid, problem.n_valid, VALID_SEED)
    taken = min(range(1, JUDGED_STEPS + 1), key=lambda step: float(means[step]))
    return float(means[taken]), taken


def _means(problem: Problem, setting: Setting, theta: Params, family: TaskFamily, n: int, seed: int) -> Tensor:
    return errors_by_step(problem.learner(setting), theta, problem.tasks(family, n, seed), problem.error).mean(0)


# The methods ----------------------------------------------------------------------------------------------


def _ask(problem: Problem, trial: optuna.Trial, learns_alpha: bool) -> Setting:
    """Let a trial choose from the problem's space; Meta-SGD leaves alpha where it begins."""
    chosen = {}
    for name, choices in problem.space.items():
        if isinstance(choices[0], float):
            if not (learns_alpha and name == "alpha"):
                chosen[name] = trial.suggest_float(name, *choices, log=True)
        else:
            chosen[name] = trial.suggest_categorical(name, choices)
    return problem.default._replace(**chosen, learns_alpha=learns_alpha)


def _search(problem: Problem, seed: int, sampler: BaseSampler, pruner: BasePruner | None = None, learns_alpha=False):
    """Trials until the next could take more than half of the budget."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line for every trial otherwise
    study = optuna.create_study(sampler=sampler, pruner=pruner or NopPruner())
    left = problem.total // 2
    for number in itertools.count():
        if left < problem.trial:
            return
        asked = study.ask()
        setting = _ask(problem, asked, learns_alpha)
        trial = run_trial(problem, setting, 100 * seed + number, asked if pruner else None)
        study.tell(asked, min(trial.valid, 1e9))
        left -= trial.gradients
        yield trial


def _tpe(problem: Problem, seed: int, learns_alpha: bool = False) -> Iterator[Trial]:
    sampler = TPESampler(seed=seed, n_startup_trials=RANDOM_BEFORE_TPE)
    return _search(problem, seed, sampler, learns_alpha=learns_alpha)


def _handful(problem: Problem, seed: int, learns_alpha: bool = False) -> Iterator[Trial]:
    """The default, and what is three times as large: four trials. Meta-SGD begins with these alpha."""
    d = problem.default._replace(learns_alpha=learns_alpha)
    for number, (a, b) in enumerate(itertools.product((1, 3), repeat=2)):
        yield run_trial(problem, d._replace(alpha=a * d.alpha, beta=b * d.beta), 100 * seed + number)


HALVING = SuccessiveHalvingPruner(min_resource=THIRDS[0], reduction_factor=3)
METHODS = {
    "default": lambda problem, seed: (),
    "four trials": _handful,
    "random search": lambda problem, seed: _search(problem, seed, RandomSampler(seed)),
    "TPE": _tpe,
    "successive halving": lambda problem, seed: _search(problem, seed, RandomSampler(seed), HALVING),
    "Meta-SGD": lambda problem, seed: (),
    "Meta-SGD, four trials": partial(_handful, learns_alpha=True),
    "Meta-SGD + TPE": partial(_tpe, learns_alpha=True),
}
"""How each chooses its setting, as an iterator of trials. The two without trials train with all of the budget.

default: MAML as in chapter 3. four trials: that, with alpha and beta as they are and three times as large. random
search: Bergstra & Bengio 2012. TPE: the tree-structured Parzen estimator of Bergstra et al. 2011, by Optuna.
successive halving: random search whose poor trials are stopped early (Jamieson & Talwalkar 2016; the inner loop of
Hyperband, Li et al. 2018), by Optuna. Meta-SGD: alpha is learned, the rest is as in the default. Meta-SGD, four trials:
alpha is learned, from the four trials' alpha and with their beta. Meta-SGD + TPE: alpha is learned, beta, m, width and
depth are searched.
"""
