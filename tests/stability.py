"""Does rounding decide a stored number? ``python tests/stability.py [name ...]`` asks every one of them.

Whatever a number is measured from, theta and data, is moved by a relative 1e-6, a few of float32's last digits. What
comes out may then move by a fifth of its tolerance at most; another processor's rounding moves it by less. Nothing is
trained anew but what a table trains while it measures. All takes five minutes on one core.
"""

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from stored import (
    BEST_STEP,
    GRID_TOLERANCE,
    MAPPING_BELOW,
    MEDIAN_BELOW,
    STEPS_OF,
    TRAINED,
    adapted,
    errors_of_cells,
    judged,
)
from torch import Tensor

from mapping_lib import study as applications
from mapping_lib.chapters.automl.study_grid import INNER_STEPS, read_grid
from mapping_lib.evaluation import ErrorByStep
from mapping_lib.study import theta as weights
from mapping_lib.study.sinusoids import SEEDS
from mapping_lib.task import Task

SIZE = 1e-6
DRAWS = re.compile(r"\.(families|worlds)\.|\.family")
"""The modules whose classes are families of tasks."""

SEEDS_OF_NOISE = (1, 2, 3)
SHARE = 0.2
"""Of the tolerance: as much as a stored number may move."""


class Number(NamedTuple):
    """A stored number. ``was()``, asked before anything is moved, gives ``moved()``: how far it is, in tolerances."""

    group: str
    name: str
    was: Callable[[], Callable[[], float]]


def numbers() -> list[Number]:
    """Every cell of every table, and the errors that the tests hold every theta of sinusoids and lines to."""
    every = [
        Number(name, f"{method}, {setting}", partial(_cell, name, method, setting))
        for name, table in applications.tables().items()
        for setting in table.settings
        for method in table.methods
    ]
    for name in TRAINED:
        for seed in SEEDS:
            figure = partial(_figure, partial(adapted, name, seed), BEST_STEP[name], MEDIAN_BELOW[name])
            every.append(Number("theta", f"{name}, seed {seed}", figure))
    for name, below in MAPPING_BELOW.items():
        for k, bound in below.items():
            figure = partial(_figure, partial(judged, name, k), STEPS_OF.get(name, 0), bound)
            every.append(Number("theta", f"{name}, K = {k}", figure))
    return every + [Number("automl_grid", f"{m} inner steps", partial(_grid, m)) for m in INNER_STEPS]


def _cell(name: str, method: str, setting: str) -> Callable[[], float]:
    table, stored = applications.tables()[name], applications.read_table(name)[method, setting].scores

    def moved() -> float:
        again, tolerance = table.again(method, setting)
        return tolerance.moved(again.scores, stored[: len(again.scores)]) / tolerance.within

    return moved


def _figure(errors: Callable[[], ErrorByStep], step: int, bound: float) -> Callable[[], float]:
    """A median that a test holds below a bound: its tolerance is what is left to the bound."""
    was = float(errors().median[step])
    return lambda: abs(float(errors().median[step]) - was) / (bound - was)


def _grid(inner_steps: int) -> Callable[[], float]:
    """The largest relative movement of the errors of some cells; their theta lies in no file of its own."""
    grid, cells = read_grid(inner_steps), torch.arange(0, 169, 16)
    was = grid.errors[0][cells]

    def moved() -> float:
        again = errors_of_cells({name: nudged(p[cells], 1) for name, p in grid.theta.items()}, cells)
        return float((again / was - 1)[was < 50].abs().max()) / GRID_TOLERANCE

    return moved


# Moving theta and data --------------------------------------------------------------------------------


def nudged(tensor: Tensor, seed: int) -> Tensor:
    """Move every number by a relative `SIZE` or so; equal tensors are moved alike.

    Halves come out as float32, which they are used in. Whole numbers stay, and doubles: the settings of a search.
    """
    if tensor.dtype not in (torch.float16, torch.float32):
        return tensor
    noise = np.random.default_rng(seed).standard_normal(tensor.shape)  # numpy's, which may be drawn under vmap
    return tensor.float() * torch.as_tensor(1 + SIZE * noise).float()


def nudged_task(task: Task, seed: int) -> Task:
    """Move what is seen of the tasks; a description that counts individuals or classes stays."""
    support, query = (type(batch)(*(nudged(part, seed) for part in batch)) for batch in (task.support, task.query))
    counts = task.description.isfinite().all() and (task.description == task.description.round()).all()
    return Task(support, query, task.description if counts else nudged(task.description, seed))


@contextmanager
def all_nudged(seed: int) -> Iterator[None]:
    """Inside, every theta that is read and every task that a family draws is moved; nothing remembered is used."""
    with ExitStack() as stack:
        for owner, name, change in list(_doors(seed)):  # found first: what is moved already is not what it was
            stack.enter_context(patch.object(owner, name, _then(getattr(owner, name), change)))
        forget()
        stack.callback(forget)
        yield


def _then(function: Callable, change: Callable) -> Callable:
    return lambda *args, **kwargs: change(function(*args, **kwargs))


def _doors(seed: int) -> Iterator[tuple[object, str, Callable]]:
    """Where theta and tasks come in: `load_theta`, under each module's name for it, and what families draw by."""
    for module in _modules():
        if getattr(module, "load_theta", None) is weights.load_theta:
            yield module, "load_theta", lambda theta: {name: nudged(p, seed) for name, p in theta.items()}
        for owner in vars(module).values():
            if inspect.isclass(owner) and owner.__module__ == module.__name__ and DRAWS.search(owner.__module__):
                for name in {"sample", "everyone"} & vars(owner).keys():
                    yield owner, name, lambda task: nudged_task(task, seed)


def _modules() -> list:
    return [module for name, module in sorted(sys.modules.items()) if name.startswith("mapping_lib") and module]


def forget() -> None:
    """Empty every cache of the library: what was remembered had other inputs."""
    for module in _modules():
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


# The report -------------------------------------------------------------------------------------------


def measured(numbers: list[Number], seeds: tuple[int, ...] = SEEDS_OF_NOISE) -> dict[tuple[str, str], list[float]]:
    """The movement of each number, in tolerances, one for each seed; tells on stderr how far it is."""
    was = {(number.group, number.name): number.was() for number in numbers}
    moved: dict[tuple[str, str], list[float]] = {key: [] for key in was}
    for seed in seeds:
        with all_nudged(seed):
            for i, key in enumerate(was, 1):
                print(f"\rnoise {seed}: {i} of {len(was)}, {key[0]:24}", end="", file=sys.stderr, flush=True)
                moved[key].append(was[key]())
    print(file=sys.stderr)
    return moved


def main() -> int:
    """Print the numbers that move most, of each table and of all theta; 1 if one moves too far."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="tables, or theta for chapters 1 to 3b; all without names")
    names = parser.parse_args().names
    torch.set_num_threads(1)  # small tensors: a second thread only costs
    moved = measured([number for number in numbers() if not names or number.group in names])
    for group in dict.fromkeys(group for group, _ in moved):
        rows = sorted(((max(v), name, v) for (g, name), v in moved.items() if g == group), reverse=True)
        print(f"{group}: {len(rows)} numbers, {sum(worst > SHARE for worst, *_ in rows)} move by more than {SHARE}")
        for _, name, values in rows[:3]:
            print(f"    {name:44}", *(f"{value:8.3f}" for value in values))
    return int(any(max(values) > SHARE for values in moved.values()))


if __name__ == "__main__":
    sys.exit(main())
