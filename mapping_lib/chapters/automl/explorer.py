"""Explorer: a map of alpha and beta. Press a cell, and see what its setting does on a new task.

Computed in the kernel: a page would have to hold the theta of all 169 cells of two maps, 1.2 MB in the numbers that a
program computes with, eight times what an explorer may weigh; of a cell's fit nothing is left without its theta.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from mapping_lib import batched_mlp
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.page.explorer import Explorer, Frame
from mapping_lib.page.fields import choice, slider
from mapping_lib.page.marks import axes, drag, heat, line, points, text
from mapping_lib.page.sentence import number
from mapping_lib.page.shades import BAD, EDGES, MAP, SIDE, depth, longest_run
from mapping_lib.task import Batch, Task

from .study_grid import (
    BLOCK,
    INNER_STEPS,
    JUDGED_STEPS,
    best_cell,
    cell_of,
    curvature,
    error_map,
    inner_path,
    mean_errors,
    nearest,
    read_grid,
    worst_cell,
)

MAX_SHOTS, MAX_TASK = 20, 40
GRID = torch.linspace(-5, 5, 161, dtype=torch.float32)[:, None]
GOOD, LITTLE, IDLE, FAR_OFF = 1.25, 0.75, 0.97, 50.0
"""A good cell has at most so many times the lowest error. Nothing is learned where more than this share of the error
is left. A task whose error is above the last has been thrown off: no sine wave has a mean square above 12.5."""

WHERE = {"step": 1 / 3, "log": True, "large": True}
DECADES = {1e-4: "0.0001", 0.1: "0.1", 1.0: "1"}


@dataclass(frozen=True)
class State:
    """The cell, how many steps it is judged after, how the map was meta-trained; the task and its examples.

    ``alpha`` and ``beta`` stand for the nearest of `SIDE`.
    """

    alpha: float = slider(
        SIDE[6], 1e-4, 1.0, "α", "inner step size", marks=DECADES | {1e-3: "0.001", 0.01: "0.01, the paper"}, **WHERE
    )
    beta: float = slider(
        SIDE[6], 1e-4, 1.0, "β", "outer step size", marks=DECADES | {1e-3: "0.001, the paper", 0.01: "0.01"}, **WHERE
    )
    judged: int = slider(
        5, 1, JUDGED_STEPS, "m", "inner steps", large=True, play="take the steps", marks={1: "1", 5: "5"}
    )
    trained: int = choice(5, {m: f"{m} inner step{'s' if m > 1 else ''}" for m in INNER_STEPS}, "trained with")
    k_shot: int = slider(10, 1, MAX_SHOTS, "examples K")
    task: int = slider(23, 0, MAX_TASK, "task")


# What is computed -----------------------------------------------------------------------------------------


def compute(state: State) -> Frame:
    """Read the map, and adapt the cell's theta to one task.

    >>> frame = compute(State(k_shot=4))
    >>> frame["fine"].shape, frame["x"].shape, frame["fits"].shape
    ((13, 13), (4,), (6, 161))
    """
    cell = nearest(state.alpha), nearest(state.beta)
    return map_frame(state) | cell_frame(state, cell) | task_frame(state, cell)


def map_frame(state: State) -> Frame:
    """The map: three heats, one for each kind of cell; the best and the worst cell; where there is room for words."""
    errors, kinds = error_map(state.trained, state.judged)
    best, worst = best_cell(state.trained, state.judged), worst_cell(state.trained, state.judged)
    as_bad = np.sum(~(errors < errors[worst]))
    frame = {
        "fine": np.where(kinds == 0, depth(errors), np.nan),
        "thrown": np.where(kinds == 1, 1.0, np.nan),
        "untrained": np.where(kinds == 2, 1.0, np.nan),
        "worst_name": "worst" if as_bad == 1 else f"worst (1 of {as_bad})",
        "lowest": float(errors[best]),
    }
    for name, (a, b) in {"best": best, "worst": worst}.items():
        frame |= {f"{name}_alpha": np.array([SIDE[a]]), f"{name}_beta": np.array([SIDE[b]])}
    for kind, name in ((1, "thrown"), (2, "untrained")):
        row, middle, length = longest_run(kinds == kind)
        place = {"alpha": SIDE[row], "beta": 10 ** (-4 + middle / 3), "room": float(length >= 5)}
        frame |= {f"{name}_{what}": value for what, value in place.items()}
    return frame


def cell_frame(state: State, cell: tuple[int, int]) -> Frame:
    """What has become of a cell, and which of α and β alone, moved along its line of the map, would mend most."""
    grid, (errors, kinds) = read_grid(state.trained), error_map(state.trained, state.judged)
    (a, b), error, kind = cell, float(errors[cell]), kinds[cell]
    at, lowest = cell_of(a, b), float(errors[best_cell(state.trained, state.judged)])
    sound = np.where(kinds == 0, errors, np.inf)
    other_a, other_b = int(sound[:, b].argmin()), int(sound[a].argmin())
    by_alpha = sound[other_a, b] <= sound[a, other_b]
    better, size = (other_a, sound[other_a, b]) if by_alpha else (other_b, sound[a, other_b])
    by_step = mean_errors(grid)[at].numpy()
    best = (a, b) == best_cell(state.trained, state.judged)
    return {
        "here_alpha": np.array([SIDE[a]]),
        "here_beta": np.array([SIDE[b]]),
        "curve": grid.curves[at].numpy(),
        "curve_x": BLOCK * np.arange(grid.curves.shape[1]) + BLOCK / 2,
        "by_step": by_step,
        "judged_error": by_step[state.judged : state.judged + 1],
        "judged_at": np.array([float(state.judged)]),
        "error": error,
        "mean": number(round(error) if error >= 100 else error) if math.isfinite(error) else "without bound",
        "error_before": float(by_step[0]),
        "times": error / lowest,
        "runs_gone": float((~grid.alive[:, at]).sum()),
        "is_best": float(best),
        "untrained_here": float(kind == 2),
        "thrown_here": float(kind == 1),
        "good": float(kind == 0 and error < GOOD * lowest),
        "harms": float(kind == 0 and error > by_step[0]),
        "little": float(kind == 0 and error > LITTLE * by_step[0]),
        "alone": float(not math.isfinite(size) or (kind == 0 and size >= error)),
        "which": "α" if by_alpha else "β",
        "kept": "β" if by_alpha else "α",
        "how": "too large" if better < (a if by_alpha else b) else "too small",
        "better": SIDE[better],
        "better_error": float(size),
    }


def task_frame(state: State, cell: tuple[int, int]) -> Frame:
    """The cell's network on one task: support, fits ``(step, x)``, errors, the limit of stable steps at both ends."""
    grid, task = read_grid(state.trained), draw(state.task)
    support = Batch(*(part[:, : state.k_shot] for part in task.support))
    path = inner_path(grid, cell, support)
    truth = Sinusoids.truth(task.description, GRID)[0, :, 0]
    fits = torch.stack([batched_mlp.forward(phi, GRID[None])[-1][0, :, 0] for phi in path])
    errors = (fits - truth).square().mean(-1).nan_to_num(nan=math.inf)
    limit, limit_after = (2 / max(curvature(path[i], support), 1e-9) for i in (0, state.judged))
    own = [(batched_mlp.forward(path[i], support.x)[-1] - support.y).square().mean() for i in (0, state.judged)]
    thrown, worse = not errors[state.judged] < FAR_OFF, bool(errors[state.judged] > errors[0])
    above, alpha = SIDE[cell[0]] > limit, SIDE[cell[0]]
    return {
        "grid": GRID[:, 0].numpy(),
        "truth": truth.numpy(),
        "x": support.x[0, :, 0].numpy(),
        "y": support.y[0, :, 0].numpy(),
        "fits": fits[: state.judged + 1].numpy(),
        "before": fits[0].numpy(),
        "after": fits[state.judged].numpy(),
        "task_before": float(errors[0]),
        "task_error": float(errors[state.judged]),
        "limit": limit,
        "limit_after": limit_after,
        "no_limit": float(not math.isfinite(limit) or limit > 1e6),
        "off": float(thrown),
        "off_above": float(thrown and above),
        "worse": float(worse),
        "misled": float(worse and bool(own[1] < own[0])),
        "flatter": float(above and alpha < limit_after),
        "above": float(above),
        "idle": float(errors[state.judged] > IDLE * errors[0]),
    }


@lru_cache(maxsize=64)
def draw(seed: int) -> Task:
    """A task that no cell was trained on, with 20 examples."""
    return Sinusoids().sample(1, MAX_SHOTS, 0, generator=torch.Generator().manual_seed(70_000 + seed))


# What is drawn and said -----------------------------------------------------------------------------------

CHART, HERE = {"log": "y"}, {"xlabel": "β, meta-trained with {trained}", "place": (0, 0, 0.43, 1)}
EXPLORER = Explorer(
    "alpha-beta",
    State,
    "Two step sizes, 169 settings. Which of them learn to learn?",
    "Press the map, or drag the ring over it. Dark blue is a small error.",
    axes=(
        axes("map", EDGES, EDGES, "error on new tasks after {judged:step}", **HERE | MAP),
        axes("task", (-5, 5), (-6.5, 6.5), "one new task", place=(0.43, 0, 0.57, 0.55)),
        axes("steps", (-0.2, 5.2), (0.05, 30), "error by inner step", place=(0.43, 0.55, 0.285, 0.45), **CHART),
        axes("training", (0, 1090), (0.05, 30), "meta-loss in training", place=(0.715, 0.55, 0.285, 0.45), **CHART),
    ),
    marks=(
        heat("map", "fine", "MAML", smooth=False, gaps=True),
        heat("map", "thrown", "adaptation diverges", smooth=False, gaps=True, strength=0.6),
        heat("map", "untrained", "meta-training diverged", smooth=False, gaps=True, strength=0.45),
        text("map", "thrown_beta", "thrown_alpha", "adaptation diverges", "ink", when="thrown_room"),
        text("map", "untrained_beta", "untrained_alpha", "meta-training diverged", "ink", when="untrained_room"),
        points("map", "here_beta", "here_alpha", "ink", size=8, shape="ring", drag=drag("beta", "alpha")),
        points("map", "best_beta", "best_alpha", "ink", size=4, shape="diamond", name="best"),
        points("map", "worst_beta", "worst_alpha", "bad", size=4, shape="cross", name="{worst_name}"),
        line("task", "truth", "truth", x="grid", name="truth", dash=[6, 5], width=1.8),
        line("task", "fits", "MAML", x="grid", width=1.0, fade=0.3),
        line("task", "before", "MAML", x="grid", name="before: θ", dash=[2, 4], width=1.7),
        line("task", "after", "MAML", x="grid", name="after {judged:step}", width=3.4),
        points("task", "x", "y", "support", size=6),
        line("steps", "by_step", "MAML", dots="all", width=2.4),
        points("steps", "judged_at", "judged_error", "MAML", size=7),
        line("training", "curve", "MAML", x="curve_x", width=2.4),
    ),
    sentence=(
        {
            "untrained_here": "**Meta-training diverged** here, in {runs_gone:.0f} of 3 runs: mean error {mean}.",
            "thrown_here": "**Adaptation diverges** here: mean error {mean} after {judged:step}.",
            "is_best": "**The best cell**: error {error:.2f} on new tasks after {judged:step}.",
            "good": "**A good cell**: error {error:.2f} after {judged:step}, the best has {lowest:.2f}.",
            "harms": "**The steps do harm**: error {error_before:.2f} before, {error:.2f} after {judged:step}.",
            "little": "**Next to nothing is learned** in {judged:step}: error {error_before:.2f} before, {error:.2f} after.",
            "": "Error **{error:.2f}** after {judged:step}, {times:.1f} times the best cell's.",
        },
        {
            "is_best": "",
            "alone": "Neither α nor β alone would mend it.",
            "good": "With this {kept}, {which} = {better:.2g} has {better_error:.2f}.",
            "": "{which} is {how}: with this {kept}, {which} = {better:.2g} has {better_error:.2f}.",
        },
        {
            "no_limit": "On the task nothing moves: its loss has no slope left at this θ.",
            "off_above": "The steps throw this task off: α is above 2/λ_max = {limit:.2g}, where a step leaps too far.",
            "off": "This task is thrown off, though at θ α is below 2/λ_max = {limit:.2g}.",
            "misled": "This task: {task_before:.3g}, then **{task_error:.3g}**: worse on new points, though its "
            "{k_shot:example} fit better.",
            "worse": "This task: {task_before:.3g}, then **{task_error:.3g}**: 2/λ_max is {limit:.2g} at θ, "
            "{limit_after:.2g} where the steps have led.",
            "idle": "This task: {task_before:.3g}, then **{task_error:.3g}**: the steps change next to nothing.",
            "flatter": "This task: {task_before:.3g}, then **{task_error:.3g}**; α is above 2/λ_max = {limit:.2g} at θ, "
            "but φ is flatter ({limit_after:.2g}).",
            "above": "This task: {task_before:.3g}, then **{task_error:.3g}**, though α is too long for the "
            "steepest direction (2/λ_max = {limit:.2g} at θ).",
            "": "This task: {task_before:.3g}, then **{task_error:.3g}**; α is below 2/λ_max = {limit:.2g}, a step "
            "goes down.",
        },
    ),
    presets={
        "best cell": dict(zip(("alpha", "beta"), (SIDE[i] for i in best_cell(5, 5)), strict=True)),
        "worst cell": dict(zip(("alpha", "beta"), (SIDE[i] for i in worst_cell(5, 5)), strict=True)),
        "α too small": {"alpha": SIDE[0]},
        "α too large": {"alpha": SIDE[9], "beta": SIDE[3]},
        "β too small": {"beta": SIDE[0]},
        "β too large": {"beta": SIDE[11]},
        "one step": {"trained": 1, "judged": 1},
    },
    kernel=compute,
    height=0.43,
    more="more: meta-trained with how many steps, K, task",
    actions=(("new task", "task", "next"),),
    colours=BAD,
)
explorer = EXPLORER.open
