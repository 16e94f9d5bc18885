"""The grid of settings alpha x beta that chapter 4f draws: how it was made, and how it is read."""

import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mapping_lib import batched_mlp
from mapping_lib.checks import check_choice
from mapping_lib.curvature import largest_eigenvalue
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.networks import functional, mlp
from mapping_lib.page.shades import SIDE, all_settings
from mapping_lib.study.theta import load_theta, save_numbers
from mapping_lib.task import Batch, Params, Task

from .methods_many_settings import meta_train_settings, query_errors_of_settings

FILE = Path(__file__).with_name("data") / "automl_grid.npz"

SIZES = (1, 20, 20, 1)
"""Half as wide as the paper's network: the theta of all cells are shipped, at half precision."""

INNER_STEPS = (1, 5)
"""With how many inner steps a grid was meta-trained. All are judged after 0 ... 5."""

JUDGED_STEPS = 5
SEEDS = (0, 1, 2)
"""Fixed before any result was seen. Of the first the theta are shipped, of all the errors."""

TRAINING = {"outer_steps": 1000, "tasks_per_step": 5, "k_shot": 10, "n_query": 10, "schedule": "cosine"}
BLOCK = 50
"""A training curve holds the mean meta-loss of every so many outer steps."""

HELD_OUT = {"n_tasks": 600, "k_shot": 10, "n_query": 100, "seed": 4096}

KINDS = ("fine", "adaptation diverges", "meta-training diverged")
"""A cell's error can be compared; or adaptation throws tasks far off; or meta-training never came to its end."""

GONE = 10.0
"""Adaptation diverges where the mean held-out error is above this: no sine wave has a mean square above 12.5, and
to answer 0 always has a mean error of 4.25."""

SETTINGS = {
    "sizes": [*SIZES],
    "alpha and beta": [*SIDE],
    "inner steps": [*INNER_STEPS],
    "seeds": [*SEEDS],
    "training": TRAINING,
    "held out": HELD_OUT,
}
"""All that the stored numbers hang on; they are stored with it."""


class Grid(NamedTuple):
    """One grid, meta-trained with ``inner_steps``; its cells are numbered row after row, a row for each alpha.

    ``theta`` leads with ``cell``. ``errors (seed, cell, step)`` are the means over all held-out tasks after 0 ... 5
    inner steps, infinite where a task's error is; ``medians`` likewise. ``curves (cell, block)`` are meta-losses
    while training, ``alive (seed, cell)`` says where training went to its end.
    """

    inner_steps: int
    theta: Params
    errors: Tensor
    medians: Tensor
    curves: Tensor
    alive: Tensor


def cell_of(alpha_index: int, beta_index: int) -> int:
    """The number of the cell with ``SIDE[alpha_index]`` and ``SIDE[beta_index]``."""
    return alpha_index * len(SIDE) + beta_index


def held_out() -> Task:
    """The tasks that all cells are judged on; none is trained on."""
    *counts, seed = HELD_OUT.values()
    return Sinusoids().sample(*counts, generator=torch.Generator().manual_seed(seed))


@cache
def read_grid(inner_steps: int) -> Grid:
    """Read the stored grid that was meta-trained with 1 or 5 inner steps.

    >>> grid = read_grid(5)
    >>> grid.errors.shape, grid.theta["2.weight"].shape
    (torch.Size([3, 169, 6]), torch.Size([169, 20, 20]))
    """
    check_choice("inner_steps", str(inner_steps), map(str, INNER_STEPS))
    stored, own = load_theta(FILE), f"{inner_steps}/"
    part = {name.removeprefix(own): numbers for name, numbers in stored.items() if name.startswith(own)}
    theta = {name: part[name].float() for name in functional(mlp(SIZES)).shapes}
    numbers = [part[name].float() for name in ("errors", "medians", "curves")]
    return Grid(inner_steps, theta, *numbers, part["alive"])


def nearest(value: float) -> int:
    """The index of the value of `SIDE` that is nearest on a log scale.

    >>> nearest(0.0001), nearest(0.011), nearest(1.0)
    (0, 6, 12)
    """
    return min(range(len(SIDE)), key=lambda i: abs(math.log(SIDE[i] / value)))


def mean_errors(grid: Grid) -> Tensor:
    """Mean held-out error over tasks and seeds, ``(cell, step)``."""
    return grid.errors.mean(0)


@cache
def error_map(trained: int, judged: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean held-out error over tasks and seeds after ``judged`` steps, and each cell's kind (its place in `KINDS`)."""
    grid, side = read_grid(trained), (len(SIDE), len(SIDE))
    errors = mean_errors(grid)[:, judged]
    kinds = torch.where(grid.alive.all(0), torch.where(errors > GONE, 1, 0), 2)
    return errors.view(side).numpy(), kinds.view(side).numpy()


@cache
def best_cell(trained: int, judged: int) -> tuple[int, int]:
    """Where alpha and beta stand in `SIDE` for the lowest error of what did not diverge."""
    errors, kinds = error_map(trained, judged)
    return _place(np.where(kinds == 0, errors, np.inf).argmin())


@cache
def worst_cell(trained: int, judged: int) -> tuple[int, int]:
    """Where alpha and beta stand in `SIDE` for the highest error of all, the first of several that are infinite."""
    return _place(error_map(trained, judged)[0].argmax())


def _place(cell: int) -> tuple[int, int]:
    return divmod(int(cell), len(SIDE))


def inner_path(grid: Grid, cell: tuple[int, int], support: Batch) -> list[list[Tensor]]:
    """The cell's theta and what 1 ... 5 inner steps make of it."""
    theta = [p[cell_of(*cell)] for p in grid.theta.values()]
    alpha = [torch.tensor(SIDE[cell[0]], dtype=torch.float32)] * len(theta)
    return batched_mlp.adapt_path(theta, alpha, support, JUDGED_STEPS)


def curvature(params: list[Tensor], support: Batch) -> float:
    """About the largest curvature of the support loss: steps of alpha above 2 / it leap too far."""
    params = [p if p.dim() > 2 or (p.dim() == 2 and i % 2) else p[None] for i, p in enumerate(params)]
    _, hidden, deltas = batched_mlp.loss_gradient(params, support)

    def product(v: dict) -> dict:
        return dict(zip(v, batched_mlp.hessian_product(params, hidden, deltas, list(v.values())), strict=True))

    generator = torch.Generator().manual_seed(0)
    start = {str(i): torch.randn(p.shape, generator=generator, dtype=torch.float32) for i, p in enumerate(params)}
    return float(largest_eigenvalue(product, start, iterations=8))


def make_grid(inner_steps: int, *, seeds: tuple[int, ...] = SEEDS, cells: list[int] | None = None) -> Grid:
    """Meta-train all cells (or only ``cells``), once a seed, and judge them; 1 to 2 minutes a seed.

    theta is kept at half precision and judged so: what is stored is what was judged.
    """
    alpha, beta = (values if cells is None else values[cells] for values in all_settings())
    runs = [_one_seed(alpha, beta, inner_steps, seed) for seed in seeds]
    theta, curves = runs[0][:2]
    errors, medians, alive = (torch.stack(parts) for parts in zip(*(run[2:] for run in runs), strict=True))
    return Grid(inner_steps, theta, errors, medians, curves, alive)


def _one_seed(alpha: Tensor, beta: Tensor, inner_steps: int, seed: int) -> tuple:
    generator = torch.Generator().manual_seed(seed)
    settings = {"alpha": alpha, "beta": beta, "steps": inner_steps, "generator": generator}
    losses = []
    for progress in meta_train_settings(SIZES, Sinusoids(), **settings, **TRAINING):
        losses.append(progress.meta_loss)
    theta = {name: p.half().float() for name, p in progress.theta.items()}
    curves = torch.stack(losses, -1).unflatten(-1, (-1, BLOCK)).mean(-1)
    errors = query_errors_of_settings(theta, alpha, held_out(), JUDGED_STEPS).nan_to_num(nan=torch.inf)
    return theta, curves, errors.mean(1), errors.median(1).values, progress.alive


def save_grids() -> Path:
    """Make both grids and write them, with the settings that made them; 5 to 10 minutes on one core."""
    arrays = {}
    for inner_steps in INNER_STEPS:
        grid = make_grid(inner_steps)
        parts = {"errors": grid.errors, "medians": grid.medians, "curves": grid.curves, "alive": grid.alive}
        parts |= {name: p.half() for name, p in grid.theta.items()}
        arrays |= {f"{inner_steps}/{name}": part for name, part in parts.items()}
    return save_numbers(FILE, arrays, SETTINGS)
