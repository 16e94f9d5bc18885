"""The map of alpha and beta that chapter 3 opens with: what a thousand outer steps in the page come to, by setting."""

from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from mapping_lib import batched_mlp
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.page.program import call
from mapping_lib.page.runs import Begun
from mapping_lib.page.shades import SIDE, all_settings
from mapping_lib.study.theta import load_theta, save_numbers
from mapping_lib.task import Batch, Task

from .explorer_meta_training import EXPLORER, RUNS, State

FILE = Path(__file__).with_name("data") / "alpha_beta.npz"

TRAINED, JUDGED_STEPS = 1, 10
"""With how many inner steps a setting is meta-trained, and the most after which it is judged."""

OUTER_STEPS, TASKS = 1000, 10
"""What a run in the page takes, and the tasks of each of its outer steps."""

SEEDS = (0, 1, 2)
"""Of the tasks that a run draws, fixed before any result was seen. All runs begin at one theta, as in the page."""

HELD_OUT = {"n_tasks": 600, "k_shot": 10, "n_query": 50, "seed": 8192}

SPREAD = 4
"""So many amplitudes and phases, evenly spread, make the tasks that the page judges a theta on while it trains."""

GONE = 10.0
"""A mean error above this counts as diverged: to answer 0 always has a mean error of 4.25."""

FINE, ADAPTATION_DIVERGES, TRAINING_DIVERGED = range(3)
"""What becomes of a setting: an error; tasks that the inner steps throw off; a theta of no use after training."""

BEGUN = {"alpha": 0.01, "beta": 0.003}
"""The run that the panel begins with: its theta and its curve are stored beside the map."""

SETTINGS = {
    "alpha and beta": [*SIDE],
    "inner steps": TRAINED,
    "outer steps": OUTER_STEPS,
    "tasks a step": TASKS,
    "seeds": [*SEEDS],
    "held out": HELD_OUT,
    "begun": BEGUN,
}
"""All that the stored numbers hang on; they are stored with it."""


@torch.no_grad()
def trained(alpha: Tensor, beta: Tensor, seed: int) -> list[Tensor]:
    """The theta, led by ``setting``, of the page's own outer step, taken `OUTER_STEPS` times with every setting."""
    program, steps = RUNS.programs["maml"], torch.tensor(float(TRAINED), dtype=torch.float32)
    carried = [[p.expand(len(alpha), *p.shape) for p in program.constants[name]] for name in NAMES]

    def outer_step(alpha: Tensor, beta: Tensor, carried: list, common: dict) -> list:
        environment = dict(zip(NAMES, map(list, carried), strict=True)) | {"alpha": alpha, "beta": beta} | common
        for stage in program.stages:
            call(stage, environment)
        return [environment[name] for name in NAMES]

    step = vmap(outer_step, in_dims=(0, 0, 0, None))
    for count in range(1, OUTER_STEPS + 1):
        now = {"steps": steps, "count": torch.tensor(float(count), dtype=torch.float32)}
        carried = step(alpha, beta, carried, now | RUNS.drawn(seed, count, TASKS))
    return carried[0]


NAMES = ("theta", "first", "second")


def held_out() -> Task:
    """The tasks that all settings are judged on; none is trained on."""
    *counts, seed = HELD_OUT.values()
    return Sinusoids().sample(*counts, generator=torch.Generator().manual_seed(seed))


def spread_tasks() -> Task:
    """Sixteen tasks for the curve: few, so that the page is quick, and so they are not drawn by lot."""
    family, places = Sinusoids(), (torch.arange(SPREAD, dtype=torch.float32) + 0.5) / SPREAD
    sides = [low + (high - low) * places for low, high in (family.amplitude, family.phase)]
    description = torch.cartesian_prod(*sides)
    g = torch.Generator().manual_seed(HELD_OUT["seed"])
    x = 10 * torch.rand(len(description), HELD_OUT["k_shot"], 1, generator=g, dtype=torch.float32) - 5
    query_x = torch.linspace(-4.5, 4.5, 10, dtype=torch.float32)[:, None].expand(len(description), -1, -1)
    support, query = (Batch(part, Sinusoids.truth(description, part)) for part in (x, query_x))
    return Task(support, query, description)


@torch.no_grad()
def errors_of(theta: list[Tensor], alpha: Tensor, tasks: Task | None = None) -> Tensor:
    """The mean held-out error ``(setting, step)`` after 0 ... `JUDGED_STEPS` inner steps, infinite where one is."""
    tasks, rows = tasks or held_out(), []
    for i, rate in enumerate(alpha):
        path = batched_mlp.adapt_path([p[i] for p in theta], [rate] * 6, tasks.support, JUDGED_STEPS)
        missed = [batched_mlp.forward(phi, tasks.query.x)[-1] - tasks.query.y for phi in path]
        rows.append(torch.stack([each.square().mean() for each in missed]))
    return torch.stack(rows).nan_to_num(nan=torch.inf)


def begun() -> dict[str, np.ndarray]:
    """The run that the panel begins with: outer steps and errors of its curve, by inner step too, and its theta."""
    state = State(tasks=TASKS, **BEGUN)
    inputs, outer, errors = EXPLORER.inputs(state), [], []
    for step, environment in enumerate(RUNS.train(state, inputs)):
        if step % 20 == 0:
            outer.append(float(step))
            theta = [p[None] for p in environment["theta"]]
            errors.append(
                errors_of(theta, torch.tensor([state.alpha], dtype=torch.float32), spread_tasks())[0].tolist()
            )
    theta = {f"theta.{i}": p.numpy() for i, p in enumerate(environment["theta"])}
    return {"outer": np.float32(outer), "errors": np.float32(errors)} | theta


def save_map() -> Path:
    """Make the map, and the run that the panel begins with; seven minutes on one core."""
    alpha, beta = all_settings()
    errors = torch.stack([errors_of(trained(alpha, beta, seed), alpha) for seed in SEEDS])
    return save_numbers(
        FILE, {f"begun/{name}": value for name, value in begun().items()} | {"errors": errors}, SETTINGS
    )


# How it is read -------------------------------------------------------------------------------------------


_stored = cache(partial(load_theta, FILE))


def read_errors() -> np.ndarray:
    """The mean errors ``(step, alpha, beta)`` of all settings, over tasks and seeds.

    >>> read_errors().shape
    (11, 13, 13)
    """
    errors = _stored()["errors"].numpy().astype(np.float64).mean(0)
    return errors.reshape(len(SIDE), len(SIDE), -1).transpose(2, 0, 1)


def kinds() -> np.ndarray:
    """What has become of each, ``(step, alpha, beta)``: `FINE`, `ADAPTATION_DIVERGES` or `TRAINING_DIVERGED`.

    Training diverged where the error is above `GONE` even after as many steps as it was trained with.
    """
    gone = ~(read_errors() <= GONE)
    return np.where(gone[TRAINED], TRAINING_DIVERGED, np.where(gone, ADAPTATION_DIVERGES, FINE))


def read_begun() -> Begun:
    """The run that the panel begins with."""
    stored = _stored()
    theta = [stored[f"begun/theta.{i}"] for i in range(6)]
    return Begun(BEGUN | {"seed": 0}, stored["begun/outer"].numpy(), stored["begun/errors"].numpy(), theta)
