"""What the explorer of alpha and beta computes: the map of all settings, and what one of them does on one task."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mapping_lib import batched_mlp
from mapping_lib.curvature import largest_eigenvalue
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.page.canvas import count, number
from mapping_lib.task import Batch, Task

from .study_grid import JUDGED_STEPS, SIDE, Grid, best_cell, cell_of, error_map, mean_errors, nearest, read_grid

MAX_SHOTS = 20
GRID = torch.linspace(-5, 5, 161, dtype=torch.float32)[:, None]
LITTLE = 0.75
"""Nothing was learned where more than this share of the error is left."""


@dataclass(frozen=True)
class State:
    """The values of the controls: the cell, how the grid was meta-trained, what is judged, and the task.

    ``alpha`` and ``beta`` stand for the nearest of `SIDE`. ``trained`` is the number of inner steps of meta-training,
    ``judged`` that of the map's errors; ``k_shot`` examples of task number ``task`` are shown.
    """

    alpha: float = SIDE[6]
    beta: float = SIDE[6]
    judged: int = 5
    k_shot: int = 10
    trained: int = 5
    task: int = 23


class Frame(NamedTuple):
    """What is drawn. The map: ``errors`` and ``kinds (alpha, beta)``, the reader's cell and the best one.

    Of the cell: ``curve``, its meta-loss while training, and ``by_step``, its held-out error after 0 ... 5 steps.
    Of the task: truth, support, the ``fits (step, x)`` and their ``task_errors (step,)``.
    """

    state: State
    errors: np.ndarray
    kinds: np.ndarray
    cell: tuple[int, int]
    best: tuple[int, int]
    curve: np.ndarray
    by_step: np.ndarray
    truth: np.ndarray
    support: np.ndarray
    fits: np.ndarray
    task_errors: np.ndarray
    words: str


def compute(state: State) -> Frame:
    """Read the map, and adapt the cell's theta to one task.

    >>> frame = compute(State(k_shot=4))
    >>> frame.errors.shape, frame.support.shape, frame.fits.shape
    ((13, 13), (4, 2), (6, 161))
    """
    grid, cell = read_grid(state.trained), (nearest(state.alpha), nearest(state.beta))
    errors, kinds = error_map(state.trained, state.judged)
    number_of_cell, task = cell_of(*cell), draw(state.task)
    support = Batch(*(part[:, : state.k_shot] for part in task.support))
    fits = _fits(grid, number_of_cell, support)
    truth = Sinusoids.truth(task.description, GRID)[0, :, 0]
    frame = Frame(
        state,
        errors,
        kinds,
        cell,
        best_cell(state.trained, state.judged),
        grid.curves[number_of_cell].numpy(),
        mean_errors(grid)[number_of_cell].numpy(),
        truth.numpy(),
        torch.cat(support, -1)[0].numpy(),
        fits.numpy(),
        (fits - truth).square().mean(-1).nan_to_num(nan=math.inf).numpy(),
        "",
    )
    return frame._replace(words=f"{_cell_in_words(frame)}<br>{_task_in_words(frame, grid, support)}")


@lru_cache(maxsize=64)
def draw(seed: int) -> Task:
    """A task that no cell was trained on, with 20 examples."""
    return Sinusoids().sample(1, MAX_SHOTS, 0, generator=torch.Generator().manual_seed(70_000 + seed))


def _fits(grid: Grid, cell: int, support: Batch) -> Tensor:
    """What the cell's network draws after 0 ... 5 inner steps, ``(step, x)``."""
    theta = [p[cell] for p in grid.theta.values()]
    alpha = [torch.tensor(SIDE[cell // len(SIDE)], dtype=torch.float32)] * len(theta)
    path = batched_mlp.adapt_path(theta, alpha, support, JUDGED_STEPS)
    return torch.stack([batched_mlp.forward(phi, GRID[None])[-1][0, :, 0] for phi in path])


def curvature(grid: Grid, cell: int, support: Batch) -> float:
    """About the largest curvature of the support loss at the cell's theta: steps of alpha above 2 / it leap too far."""
    params = [p[cell][None] for p in grid.theta.values()]
    _, hidden, deltas = batched_mlp.loss_gradient(params, support)

    def product(v: dict) -> dict:
        return dict(zip(v, batched_mlp.hessian_product(params, hidden, deltas, list(v.values())), strict=True))

    generator = torch.Generator().manual_seed(0)
    start = {str(i): torch.randn(p.shape, generator=generator, dtype=torch.float32) for i, p in enumerate(params)}
    return float(largest_eigenvalue(product, start, iterations=8))


# Words ----------------------------------------------------------------------------------------------------


def _cell_in_words(frame: Frame) -> str:
    here, best = (f"α = {number(SIDE[a])}, β = {number(SIDE[b])}" for a, b in (frame.cell, frame.best))
    judged, lowest = count(frame.state.judged, "step"), number(float(frame.errors[frame.best]))
    return f"<b>{here}: {regime(frame)}</b> Best cell after {judged}: {best}, error {lowest}."


def regime(frame: Frame) -> str:
    """What has become of a cell, and why, in a sentence."""
    error, before = float(frame.errors[frame.cell]), float(frame.by_step[0])
    kind = frame.kinds[frame.cell]
    lowest = float(frame.errors[frame.best])
    judged = count(frame.state.judged, "step")
    if kind == 2:
        return "meta-training diverged, in one run of three at least: with this α, β is too big, or α is."
    if kind == 1:
        return f"adaptation diverges: the mean error after {judged} is {_in_figures(error)}."
    if error < 1.25 * lowest:
        return f"a good cell: held-out error {number(error)} after {judged}."
    if error > LITTLE * before:
        return f"next to nothing is learned in {judged}, {number(before)} becomes {number(error)}: {_why(frame)}."
    times = f"held-out error {number(error)}, {number(error / lowest)} times the best cell's"
    return f"{times}: {_why(frame)}."


def _why(frame: Frame) -> str:
    """Which of the two is to blame where a cell is poor: alpha first, then beta."""
    (a, b), (best_a, best_b) = frame.cell, frame.best
    if a < best_a - 1 and b <= best_b + 1:
        return "α is too small"
    if a > best_a + 2:
        return "α is too large"
    if b < best_b:
        return "β is small, and 1,000 outer steps move θ too little"
    if b > best_b:
        return "β is too large, and meta-training ends at a poor θ"
    return "α is too large" if a > best_a else "α is a little small"


def _task_in_words(frame: Frame, grid: Grid, support: Batch) -> str:
    before, after = frame.task_errors[0], frame.task_errors[frame.state.judged]
    steps = count(frame.state.judged, "step")
    errors = f"This task: error {_in_figures(before)} before, {_in_figures(after)} after {steps}."
    limit = 2 / max(curvature(grid, cell_of(*frame.cell), support), 1e-9)
    if not math.isfinite(limit):
        return errors
    alpha = SIDE[frame.cell[0]]
    side = "above it, a step leaps over the valley and up." if alpha > limit else "below it, a step goes down."
    return f"{errors} At θ, 2/λ_max is about {number(limit)}: α lies {side}"


def _in_figures(error: float) -> str:
    return number(error) if error < 1e4 else "beyond all numbers worth reading"
