"""Chapter 4f: who chooses alpha? Searches and Meta-SGD at one price, on sine waves and on handwritten digits.

What a search finds is stored as one theta file a method: for each search seed the weights that it ends with (half
precision), the setting it chose and all its trials, as tensors. `study_grid` holds the grid of alpha x beta that the
chapter draws. The searches are in `methods`, what is searched over in `family`.
"""

import re
from functools import cache, partial

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_choice
from mapping_lib.study import Recipe, Table, Tolerance, shipped_theta
from mapping_lib.task import Params

from .family import JUDGED_STEPS, PROBLEMS, Problem, Setting
from .methods import METHODS, Found, Trial, errors_by_step, find
from .study_grid import save_grids

SEEDS = (0, 1, 2)
"""Of the searches; fixed before any result was seen."""

METHODS_OF = {"sines": tuple(METHODS), "digits": ("default", "four trials", "TPE", "Meta-SGD", "Meta-SGD, four trials")}
"""What is compared on each problem; on digits fewer, as a gradient takes ten times as long there."""

TOLERANCE = Tolerance(1e-3)
"""Moved by 1e-6, errors of waves move by 1e-5; a digit in twenty tasks of 100 that is read otherwise by 5e-4."""

DIVERGED = 100.0
"""An error above this counts as this: no sine wave of the family has a mean square above 12.5."""


def recipe_name(problem: str, method: str) -> str:
    """The name of the file that keeps what a method found on a problem.

    >>> recipe_name("sines", "Meta-SGD + TPE")
    'sines_automl_meta-sgd_tpe'
    """
    return f"{problem}_automl_{re.sub('[ +,]+', '_', method.lower())}"


def to_params(found: Found, prefix: str) -> Params:
    """All of a search as named tensors, each name with ``prefix``; the weights at half precision."""
    rows = [_row(Trial(found.setting, found.gradients, found.seconds, 0.0, found.taken)), *map(_row, found.trials)]
    return {f"{prefix}{name}": p.half() for name, p in found.theta.items()} | {
        f"{prefix}trials": torch.tensor(rows, dtype=torch.float64)
    }


def from_params(params: Params, prefix: str) -> Found:
    """What `to_params` wrote."""
    mine = {name.removeprefix(prefix): p for name, p in params.items() if name.startswith(prefix)}
    whole, *trials = (_trial(row) for row in mine.pop("trials").tolist())
    theta = {name: p.float() for name, p in mine.items()}
    return Found(whole.setting, theta, whole.taken, tuple(trials), whole.gradients, whole.valid)


def _row(trial: Trial) -> list[float]:
    return [*map(float, trial.setting), *map(float, trial[1:])]


def _trial(row: list[float]) -> Trial:
    alpha, beta, *whole, learns_alpha, gradients, valid, held_out, taken, stopped = row
    setting = Setting(alpha, beta, *map(int, whole), bool(learns_alpha))
    return Trial(setting, int(gradients), valid, held_out, int(taken), bool(stopped))


@cache
def found(problem: str, method: str, seed: int) -> Found:
    """Read what a method found on "sines" or "digits" with one of the search `SEEDS`.

    >>> found("sines", "default", 0).setting
    Setting(alpha=0.01, beta=0.003, steps=1, width=40, depth=2, learns_alpha=False)
    """
    check_choice("problem", problem, PROBLEMS)
    check_choice("method", method, METHODS_OF[problem])
    check_choice("seed", str(seed), map(str, SEEDS))
    return from_params(shipped_theta(recipe_name(problem, method)), f"{seed}/")


_problem = cache(lambda name: PROBLEMS[name]())


def _train(problem: str, method: str) -> Params:
    params: Params = {}
    for seed in SEEDS:
        params |= to_params(find(_problem(problem), method, seed), f"{seed}/")
    return params


def _settings(problem: Problem, method: str) -> dict:
    """What a search hangs on, as plain values."""
    space = {name: [*choices] for name, choices in problem.space.items()}
    counts = {name: getattr(problem, name) for name in ("trial", "total", "n_valid", "tasks_per_step", "k_shot")}
    return {"method": method, "seeds": [*SEEDS], "default": [*problem.default], "space": space, **counts}


def _score(problem: str, method: str, setting: str, n: int, generator: Generator) -> Tensor:
    whole, result = _problem(problem), found(problem, method, int(setting.rpartition(" ")[2]))
    tasks = whole.held_out.sample(n, whole.k_shot, whole.n_judged, generator=generator)
    errors = errors_by_step(whole.learner(result.setting), result.theta, tasks, whole.error)
    return errors[:, result.taken].clamp_max(DIVERGED)


def _table(problem: str, measure: str) -> Table:
    budget = {"budget": f"{_problem(problem).total} gradients", "diverged counts as": DIVERGED}
    columns = {f"search seed {seed}": {"seed": seed} for seed in SEEDS}
    steps = {"inner steps": f"1 to {JUDGED_STEPS}, chosen on validation tasks"}
    score = partial(_score, problem)
    return Table(measure, METHODS_OF[problem], columns, score, fixed=budget | steps, seed=977, tolerance=TOLERANCE)


RECIPES = {
    recipe_name(problem, method): Recipe(partial(_train, problem, method), _settings(_problem(problem), method))
    for problem, methods in METHODS_OF.items()
    for method in methods
}
TABLES = {
    "automl_sines": _table("sines", "mean squared error"),
    "automl_digits": _table("digits", "share of wrong labels"),
}
OTHERS = {"automl_grid": save_grids}
"""What else lies in this wing's data and is made by its study."""
