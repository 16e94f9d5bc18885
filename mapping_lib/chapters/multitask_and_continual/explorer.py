"""Explorer: waves that come one after the other. What is left of the first?"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mapping_lib import batched_mlp
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.networks import functional, mlp
from mapping_lib.page.explorer import Explorer
from mapping_lib.page.fields import choice, slider
from mapping_lib.page.marks import axes, cells, drag, heat, line, points, text
from mapping_lib.page.plots import COLOUR_OF
from mapping_lib.page.program import Program, Stage
from mapping_lib.params import as_params, flat
from mapping_lib.study.sinusoids import shipped

from .family import WaveSequences
from .methods_fast import adam_step, shares, weighted_gradient

N_TASKS, N_POINTS, N_SEQUENCES, MAX_STEPS = 4, 20, 8, 100
SEED = 10
GRID = torch.linspace(-5, 5, 81, dtype=torch.float32)
NETWORK = functional(mlp((1, 40, 40, N_TASKS)))
"""With one head for all tasks the other heads are never read, and never move."""

METHODS = {"one": "one head for all", "heads": "a head each", "MAML": "MAML's θ, adapted anew"}
COLOURS = {"one head for all": "#4B0092", "a head each": "#4B0092", METHODS["MAML"]: COLOUR_OF["MAML"]}
UPWARDS = torch.arange(N_TASKS - 1, -1, -1)
"""The rows of a matrix as they are drawn: the first is below."""

TASKS = range(1, N_TASKS + 1)
KEPT, OWN = {0: "nothing", 20: "all: joint training"}, {0.01: "0.01, MAML's own"}


@dataclass(frozen=True)
class State:
    """What the controls and the hand say: ``now`` is the task that was learned last, from 1.

    ``memory`` is how many points of an old task are kept: rehearsed, or (MAML) adapted to when the task is asked for.
    All of them are 20: then each phase is joint training on what was seen.
    """

    now: int = slider(4, 1, N_TASKS, "now at task", large=True, play="learn one after the other")
    memory: int = slider(0, 0, N_POINTS, "kept of each", "old points", large=True, marks=KEPT)
    alpha: float = slider(0.0177828, 10**-3.5, 10**-1.5, "α", "step size", step=0.05, log=True, large=True, marks=OWN)
    method: str = choice("one", METHODS, "method")
    steps: int = slider(60, 0, MAX_STEPS, "steps a task", step=5)
    amplitude: float = slider(3.0, 0.1, 5.0, "amplitude", step=0.05)
    phase: float = slider(0.6, 0.0, 3.14, "phase", step=0.02)
    sequence: int = slider(0, 0, N_SEQUENCES - 1, "", hidden=True)


# The program ------------------------------------------------------------------------------------------------


def begin(all_x, all_waves, start, maml: list, sequence, amplitude, phase, method, steps, now) -> dict[str, Any]:
    """The four tasks, by which head each is read, and how many steps each phase takes."""
    x, waves = (part.index_select(0, sequence.long().view(1))[0] for part in (all_x, all_waves))
    waves = torch.cat([torch.stack([amplitude, phase])[None], waves[1:]])
    trains = (method < 2).float()
    return {
        "x": x,
        "y": Sinusoids.truth(waves, x[..., None])[..., 0],
        "truths": Sinusoids.truth(waves, GRID[:, None].expand(N_TASKS, -1, 1))[..., 0],
        "pick": torch.where(
            method == 1, torch.eye(N_TASKS, dtype=torch.float32), torch.eye(N_TASKS, dtype=torch.float32)[:1]
        ),
        "vector": start,
        "phi": [p.expand(N_TASKS, *p.shape) for p in maml],
        "maml_steps": steps * (1 - trains),
        "low_x": (phase - math.pi / 2).view(1),
        "low_y": -amplitude.view(1),
        **{f"steps_{i}": steps * trains * (now >= i) for i in TASKS},
    }


def turn_to(task: int) -> Callable[..., dict[str, Tensor]]:
    """A new phase: Adam begins anew, and so many points of old tasks count."""

    def turn(vector, pick, memory) -> dict[str, Tensor]:
        zero = torch.zeros_like(vector)
        return {
            "mean": zero,
            "square": zero,
            "t": torch.zeros((), dtype=torch.float32),
            "counts": shares(pick[:task], memory, N_POINTS).flatten(0, 1),
        }

    return turn


def step_on(task: int) -> Callable[..., dict[str, Tensor]]:
    """One step of Adam on the tasks so far."""

    def step(vector, mean, square, t, x, y, counts, alpha) -> dict[str, Tensor]:
        seen = (part[:task].reshape(-1, 1) for part in (x, y))
        state = adam_step((vector, mean, square, t), NETWORK.shapes, *seen, counts, alpha)
        return dict(zip(("vector", "mean", "square", "t"), state, strict=True))

    return step


def look_at(task: int) -> Callable[..., dict[str, Tensor]]:
    """What the network draws for each task at the end of a phase."""

    def look(vector, pick) -> dict[str, Tensor]:
        params = list(as_params(vector, NETWORK.shapes).values())
        return {f"curves_{task}": pick @ batched_mlp.forward(params, GRID[None, :, None])[-1][0].T}

    return look


def adapt(phi: list, x, y, memory, alpha) -> dict[str, list]:
    """One inner step from MAML's theta on the kept points of every task, each by itself."""
    counts = ((torch.arange(N_POINTS) < memory) / memory.clamp_min(1))[None, :, None]
    gradient = weighted_gradient(phi, x[..., None], y[..., None], counts)
    return {"phi": [p - alpha * g for p, g in zip(phi, gradient, strict=True)]}


def judge(phi: list, maml: list, curves_1, curves_2, curves_3, curves_4, truths, x, y, method, now, memory):
    """After each task the error on each task, and what is drawn now."""
    x_of_all = GRID[None, :, None].expand(N_TASKS, -1, 1)
    adapted, theta = (
        batched_mlp.forward([p.expand(N_TASKS, *q.shape[1:]) for p, q in zip(params, phi, strict=True)], x_of_all)
        for params in (phi, maml)
    )
    place = torch.arange(N_TASKS)
    of_maml = torch.where((place[:, None] >= place)[..., None], adapted[-1][..., 0], theta[-1][..., 0])
    curves = torch.where(method < 2, torch.stack([curves_1, curves_2, curves_3, curves_4]), of_maml)
    errors = (curves - truths).square().mean(-1)
    errors = torch.where(errors.isfinite(), errors, 1e9)
    matrix = torch.where((place < now)[:, None], errors, torch.nan)
    is_now, is_old, to_come = place == now - 1, place < now - 1, place >= now
    seen = torch.where(is_now & (method < 2), N_POINTS, memory * (place < now))
    of_each = {"error": at(errors, now), "is_now": is_now, "is_old": is_old, "to_come": to_come}
    return {
        "matrix": matrix[UPWARDS],
        "shades": torch.where(matrix.isnan(), 0, (matrix / 0.02).log() / math.log(1000)).clamp(0, 1)[UPWARDS],
        "fits": list(at(curves, now)),
        "waves": list(truths),
        "xs": list(x),
        "ys": list(torch.where(torch.arange(N_POINTS) < seen[:, None], y, torch.nan)),
        "row_y": N_TASKS - now + torch.tensor([0.03, 0.03, 0.97, 0.97, 0.03], dtype=torch.float32),
        **{f"{name}_{i}": values[i - 1] for name, values in of_each.items() for i in TASKS},
    }


def at(values: Tensor, now: Tensor) -> Tensor:
    """The row of the present task."""
    return values.index_select(0, (now - 1).long().view(1))[0]


def explain(matrix, truths, fits: list, now, method, memory) -> dict[str, Tensor]:
    """What became of the first task, and why."""
    rows = matrix[UPWARDS]
    first, last = at(rows[:, 0], now), at(truths, now)
    so_far = (torch.arange(N_TASKS) < now).float()[:, None]
    then, flat_line, apart = rows[0, 0], truths[0].square().mean(), (last - truths[0]).square().mean()
    mean = (so_far * truths).sum(0) / now
    gone = (at(rows, now) * so_far[:, 0] >= 1e3).sum()
    in_part = first > torch.maximum(1.5 * then, 0.1 * flat_line)
    heads, one, maml, empty = method == 1, method == 0, method == 2, memory == 0
    kept = (then <= 0.5 * flat_line) & (first < flat_line) & ~in_part
    return {
        "then": then,
        "first": first,
        "flat": flat_line,
        "apart": apart,
        "compromise": (mean - truths[0]).square().mean(),
        "alone": now == 1,
        "gone": gone,
        "quiet": (now == 1) | (gone > 0),
        "unlearned": then > 0.5 * flat_line,
        "lost": first >= flat_line,
        "in_part": in_part,
        "maml_empty": maml & empty,
        "maml": maml,
        "heads_empty": heads & empty,
        "heads": heads,
        "heads_hold": heads & ~empty & kept,
        "kept": kept,
        "alike": one & empty & (apart < 0.3 * flat_line),
        "one_empty": one & empty,
    }


@cache
def constants() -> dict[str, Any]:
    """Sequences of waves, the network's start and MAML's theta."""
    draws = [
        WaveSequences(N_TASKS).sample(1, N_POINTS, 0, generator=torch.Generator().manual_seed(SEED + i))
        for i in range(N_SEQUENCES)
    ]
    return {
        "all_x": torch.stack([tasks.support.x[0, ..., 0] for tasks in draws]),
        "all_waves": torch.stack([tasks.description[0] for tasks in draws]),
        "start": flat(NETWORK.init(generator=torch.Generator().manual_seed(SEED))),
        "maml": list(shipped("maml")[1].values()),
        "grid": GRID,
        "row_x": torch.tensor([0.02, 3.98, 3.98, 0.02, 0.02], dtype=torch.float32),
    }


SHOWN = ("matrix", "shades", "fits", "waves", "xs", "ys", "row_y", "low_x", "low_y")
OF_EACH = tuple(f"{name}_{i}" for name in ("error", "is_now", "is_old", "to_come") for i in TASKS)
SAID = ("then", "first", "flat", "apart", "compromise", "alone", "gone", "quiet", "unlearned", "lost", "in_part")
WHY = ("maml_empty", "maml", "heads_empty", "heads", "heads_hold", "kept", "alike", "one_empty")
LEARN = [(Stage(turn_to(i)), Stage(step_on(i), times=f"steps_{i}"), Stage(look_at(i))) for i in TASKS]
PROGRAM = Program(
    (Stage(begin), *sum(LEARN, ()), Stage(adapt, times="maml_steps"), Stage(judge), Stage(explain)),
    (*SHOWN, *OF_EACH, *SAID, *WHY),
    constants(),
)

# What is drawn and said -----------------------------------------------------------------------------------

TICKS = {"xticks": [(i - 0.5, str(i)) for i in TASKS], "yticks": [(N_TASKS - i + 0.5, str(i)) for i in TASKS]}
MOVES_FIRST = drag("phase", "amplitude", about=(-math.pi / 2, 0.0, 1.0, -1.0))
MATRIX = {"xlabel": "error on task", "ylabel": "after learning task", "share": 2.3, "square": True, "grid": False}


def panel(i: int) -> tuple[dict, ...]:
    """One wave, what the network draws for it, the points that it has of it, and its error."""
    on = f"wave_{i}"
    return (
        line(on, f"waves.{i - 1}", "truth", x="grid", dash=[5, 4], width=1.6),
        line(on, f"fits.{i - 1}", "{method}", x="grid", width=2.8),
        points(on, f"xs.{i - 1}", f"ys.{i - 1}", "support", size=3.6),
        text(on, -4.8, 6, f"error {{error_{i}:.2g}}", "ink", align="left", bold=True),
        text(on, -4.8, -6, "learned just now", "{method}", align="left", when=f"is_now_{i}"),
        text(on, -4.8, -6, "{memory} kept", align="left", when=f"is_old_{i}"),
        text(on, -4.8, -6, "to come", align="left", when=f"to_come_{i}"),
    )


EXPLORER = Explorer(
    "forgetting",
    State,
    "Four waves, one after the other. What is left of the first?",
    "Press play. Keep points, give each wave a head, or drag the first one by its dark point.",
    axes=(
        *(axes(f"wave_{i}", (-5, 5), (-6.6, 6.6), f"task {i}", bare=True) for i in TASKS),
        axes("matrix", (0, N_TASKS), (0, N_TASKS), "the forgetting matrix", **MATRIX | TICKS),
    ),
    marks=(
        *(mark for i in TASKS for mark in panel(i)),
        points("wave_1", "low_x", "low_y", "truth", size=6, drag=MOVES_FIRST),
        heat("matrix", "shades", "rival", strength=0.75, smooth=False),
        cells("matrix", "matrix", ".2g"),
        line("matrix", "row_y", "{method}", x="row_x", width=3),
    ),
    sentence=(
        {
            "gone": "Adaptation **diverged** on {gone:task}: steps of α = {alpha:.2g} are too long there.",
            "alone": "Task 1 is learned to an error of **{first:.2g}**. No task is old yet: press play.",
            "": "Task 1 had error {then:.2g} when it was learned; after task {now} it has **{first:.2g}**.",
        },
        {
            "quiet": "",
            "unlearned": "It never was learned: a flat line has {flat:.2g}.",
            "lost": "**Forgotten**: a flat line has {flat:.2g}.",
            "in_part": "**Part of it is lost.**",
            "": "It is kept.",
        },
        {
            "quiet": "",
            "maml_empty": "θ never moved, but no point is kept: it answers alike for all.",
            "maml": "θ never moved: each task is learned again, from its {memory:point}.",
            "heads_hold": "It has its own head, and {memory:point} of it hold the layers below, which all share.",
            "alike": "Nothing of it was kept, but wave {now} is much like it, only {apart:.2g} apart.",
            "kept": "",
            "heads_empty": "No later step touched its head; but the layers below are shared, and they moved.",
            "heads": "It has its own head, but {memory:point} of it do not hold the layers below, which all share.",
            "one_empty": "Nothing of it was kept, and the one curve went to wave {now}, which is {apart:.2g} apart.",
            "": "One curve cannot be {now} waves: the best for all of them misses the first by {compromise:.2g}.",
        },
    ),
    presets={
        "one after the other": {},
        "joint, one head": {"memory": 20},
        "a head each": {"method": "heads"},
        "heads, rehearse 15": {"method": "heads", "memory": 15},
        "MAML, 10 each": {"method": "MAML", "steps": 5, "alpha": 0.01, "memory": 10},
        "MAML, nothing kept": {"method": "MAML", "steps": 5, "alpha": 0.01},
    },
    program=PROGRAM,
    actions=(("other waves", "sequence", "next"),),
    more="more: method, steps a task, the first wave",
    colours=COLOURS,
    height=0.36,
)
explorer = EXPLORER.open
