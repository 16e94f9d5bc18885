"""Explorer: α, β and m together. A wave that adapts under the hand, a map of both step sizes, meta-training as it runs."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mapping_lib import batched_mlp
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.page.explorer import Explorer
from mapping_lib.page.fields import choice, hidden, numbers, slider
from mapping_lib.page.marks import axes, drag, heat, line, points, text, tiles
from mapping_lib.page.program import Program, Stage
from mapping_lib.page.runs import Runs
from mapping_lib.page.shades import BAD, EDGES, HIGHEST, LOWEST, MAP, SIDE, depth, longest_run
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Batch

from . import explorer_adaptation as adaptation
from . import explorer_meta_training as training
from .study_map import (
    ADAPTATION_DIVERGES,
    BEGUN,
    FINE,
    JUDGED_STEPS,
    OUTER_STEPS,
    TASKS,
    TRAINING_DIVERGED,
    kinds,
    read_begun,
    read_errors,
    spread_tasks,
)

GRID, ALPHAS, MAX_SHOTS, ROUNDS = adaptation.GRID, adaptation.ALPHAS, adaptation.MAX_SHOTS, 15
N, ROOM = len(SIDE), 5
HOW_MANY = {"label": "K", "beside": ("lift",), "hint": "examples", "large": "half"}
STEP_SIZE = {"step": 0.02, "log": True, "large": "half", "marks": {10.0**n: f"{10.0**n:g}" for n in range(-4, 1)}}


@dataclass(frozen=True)
class State:
    """What the controls and the hand say. The support lies ``lift`` above the wave at ``x``, and noise on top."""

    alpha: float = slider(BEGUN["alpha"], 1e-4, 1.0, "α", "inner step size", track="track", **STEP_SIZE)
    beta: float = slider(BEGUN["beta"], 1e-4, 1.0, "β", "outer step size", **STEP_SIZE)
    steps: int = slider(5, 0, JUDGED_STEPS, "m", "inner steps", large="half", play="play m")
    x: tuple[float, ...] = numbers(adaptation.DRAWN_X[:10].tolist(), -5, 5, most=MAX_SHOTS, **HOW_MANY)
    lift: tuple[float, ...] = numbers([0.0] * 10, -12, 12, most=MAX_SHOTS, fresh=0.0)
    amplitude: float = slider(3.0, 0.1, 5.0, "amplitude", step=0.05)
    phase: float = slider(1.0, 0.0, 3.14, "phase", step=0.02)
    noise: float = slider(0.0, 0.0, 1.0, "noise", step=0.02)
    rival: str = choice("none", {"none": "nobody", "joint": "joint training"}, "beside")
    seed: int = hidden(0)


# The map --------------------------------------------------------------------------------------------------


def maps() -> dict[str, Tensor]:
    """The map for each number of inner steps, ``(step, α, β)``; nan is left out.

    ``words`` ``(step, 3)`` say where there is room for words where adaptation diverges: α, β, whether.
    """
    errors, kind = read_errors(), kinds()
    runs = [longest_run(page == ADAPTATION_DIVERGES) for page in kind]
    shown = {
        "fine": np.where(kind == FINE, depth(errors), np.nan),
        "thrown": np.where(kind == ADAPTATION_DIVERGES, 1.0, np.nan),
        "untrained": np.where(kind == TRAINING_DIVERGED, 1.0, np.nan),
        "words": np.array([[SIDE[row], 10 ** (-4 + middle / 3), length >= ROOM] for row, middle, length in runs]),
    }
    return {name: torch.from_numpy(values).float() for name, values in shown.items()}


def read_map(
    steps, alpha, beta, now, all_fine, all_thrown, all_untrained, all_words, run_alpha, run_beta
) -> dict[str, Any]:
    """The map of now, the place on it and what becomes of its setting, and the present run's error as a depth of blue."""
    page = steps.long().view(1)
    row, column = ((3 * (value.log() / math.log(10) + 4) + 0.5).floor() for value in (alpha, beta))
    cell = (N * row + column).long().view(1)
    at = lambda maps: maps.flatten(1).index_select(0, page)[0].index_select(0, cell)[0]  # noqa: E731
    words = all_words.index_select(0, page)[0]
    reached = now.index_select(0, page)[0]
    shade = (math.log(HIGHEST) - reached.clamp(LOWEST, HIGHEST).log()) / math.log(HIGHEST / LOWEST)
    apart = ((alpha / run_alpha).log().abs() > 0.03).float()
    return {
        "fine": all_fine.index_select(0, page)[0],
        "thrown": all_thrown.index_select(0, page)[0],
        "untrained": all_untrained.index_select(0, page)[0],
        "here_thrown": (at(all_thrown) == 1).float(),
        "here_untrained": (at(all_untrained) == 1).float(),
        "words_alpha": words[0],
        "words_beta": words[1],
        "words_room": words[2],
        "reached": reached,
        "shade": torch.where(reached < 1e4, shade, 0.0).view(1),
        "here_alpha": alpha.view(1),
        "here_beta": beta.view(1),
        "from_alpha": run_alpha.view(1),
        "from_beta": run_beta.view(1),
        "trained_alpha": run_alpha,
        "trained_beta": run_beta,
        "apart": apart,
        "lost": (~(now.min() < 1e4)).float(),
        "off": (~(reached < 100)).float(),
    }


# The wave -------------------------------------------------------------------------------------------------


def begin(theta: list, joint: list, rival, alpha, amplitude, phase, noise, x, lift) -> dict[str, Any]:
    """The task, and the parameters of the present theta and of its rival."""
    description = torch.stack([amplitude, phase])
    truth = Sinusoids.truth(description, GRID[:, None])[:, 0]
    y = Sinusoids.truth(description, x[:, None])[:, 0] + lift + noise * adaptation.NOISE[: x.shape[0]]
    params = [torch.stack([p, q]) for p, q in zip(theta, joint, strict=True)]
    return {"truth": truth, "y": y, "params": params, "rates": [1 * alpha for _ in theta], "two": 1 * rival}


def sharpen(theta: list, alpha, last: list) -> dict[str, Any]:
    """Begin to look for the largest curvature, at theta and at phi."""
    ends = [torch.stack([p, phi[0]]) for p, phi in zip(theta, last, strict=True)]
    return {"ends": ends, "moved": adaptation.START, "own": [1 * alpha for _ in theta]}


def try_alphas(theta: list) -> dict[str, Any]:
    """The present theta once for each of `ALPHAS`."""
    n = len(ALPHAS)
    rates = [1 * ALPHAS.view(-1, *[1] * p.dim()) for p in theta]
    return {"many": [p.expand(n, *p.shape) for p in theta], "rates": rates}


def colour_track(many: list, theta: list, truth) -> dict[str, Tensor]:
    """Whether each α makes the error smaller or larger."""
    return {"track": adaptation.how_much_worse(list(many), [p[None] for p in theta], truth)}


# Meta-training --------------------------------------------------------------------------------------------


def begin_outer_step(alpha, where, reach) -> dict[str, Any]:
    """The tasks of an outer step, which takes one inner step."""
    return training.begin(alpha, torch.ones_like(alpha), where, reach, mask=(1,) * 6, read=training.K)


def stand(theta: list, many: Batch) -> dict[str, Any]:
    """Theta for all held-out tasks."""
    return {"held": [p.expand(len(many.x), *p.shape) for p in theta]}


def held_step(held: list, rates: list, many: Batch, query: Batch) -> dict[str, Any]:
    """The mean error on all of them, and one inner step."""
    error = (batched_mlp.forward(list(held), query.x)[-1] - query.y).square().mean()
    return {"error_now": error, "held": batched_mlp.step(held, rates, batched_mlp.loss_gradient(list(held), many)[0])}


@cache
def constants() -> dict[str, Any]:
    """What the program has from the start."""
    joint = list(shipped("joint")[1].values())
    of_maps = {f"all_{name}": value for name, value in maps().items()}
    return {"joint": joint, "rounds": float(ROUNDS), "grid": GRID, **of_maps}


SHOWN = ("truth", "y", "before", "after", "path", "rival_after", "query", "support", "two")
SAID = "error_before error rival_error rival_gone gone gone_at falls limit limit_after flatter"
ON_MAP = (
    *("fine", "thrown", "untrained", "words_alpha", "words_beta", "words_room", "here_thrown", "here_untrained"),
    *("reached", "shade", "here_alpha", "here_beta", "from_alpha", "from_beta", "trained_alpha", "trained_beta"),
    *("apart", "lost", "off"),
)
PROGRAM = Program(
    (Stage(read_map), Stage(begin), *adaptation.PROGRAM.stages[1:3], Stage(sharpen), *adaptation.PROGRAM.stages[4:]),
    (*ON_MAP, *SHOWN, *SAID.split(), "above", "above_and_gone"),
    constants(),
    adaptation.DYNAMIC,
)
TRACK = Program(
    (Stage(begin), Stage(try_alphas), Stage(adaptation.step_many, times="steps"), Stage(colour_track)),
    ("track",),
    constants(),
    adaptation.DYNAMIC,
)
OUTER_STEP = training.RUNS.programs["maml"]
FIRST, _, AHEAD, _, *BACK = OUTER_STEP.stages[1:]
JUDGED_ON = spread_tasks()
RUNS = Runs(
    {"maml": OUTER_STEP._replace(stages=(Stage(begin_outer_step), FIRST, AHEAD, *BACK))},
    Program(
        (Stage(stand), Stage(held_step, times="most", extra=1, collect={"now": "error_now"})),
        ("now",),
        {"many": JUDGED_ON.support, "query": JUDGED_ON.query, "most": float(JUDGED_STEPS)},
    ),
    by="",
    tasks=TASKS,
    draws=training.RUNS.draws,
    outer_steps=OUTER_STEPS,
    live=(),
    name="β = {beta:.2g}",
    begins=("beta", "seed"),
    begun=read_begun(),
    judged="steps",
)

# What is drawn and said -----------------------------------------------------------------------------------

HERE = {"xlabel": "β (grey: training diverges)", "grid": False, "place": (0.44, 0, 0.31, 1)}
BY_STEP = {"log": "y", "place": (0.75, 0, 0.25, 0.5)}
BY_OUTER = {"log": "y", "place": (0.75, 0.5, 0.25, 0.5), "xticks": [(0, "0"), (500, "500"), (1000, "1000")]}
EXPLORER = Explorer(
    "alpha-beta-steps",
    State,
    "α: how far a step goes. m: how many steps. β: how θ was made.",
    "Drag the orange points. α and m move the wave; β, or the ring on the map, trains θ anew. Strong blue: a small error.",
    axes=(
        axes("task", (-5, 5), (-6.5, 6.5), "one task: from θ to φ", place=(0, 0, 0.44, 1)),
        axes("map", EDGES, EDGES, "error on new tasks after {steps:step}", **HERE | MAP),
        axes("steps", (-0.3, JUDGED_STEPS + 0.4), (0.01, 100), "error by inner step", **BY_STEP),
        axes("runs", (0, OUTER_STEPS * 1.4), (0.3, 20), "error by outer step", **BY_OUTER),
    ),
    marks=(
        heat("map", "fine", "MAML", smooth=False, gaps=True),
        heat("map", "thrown", "adaptation diverges", smooth=False, gaps=True, strength=0.6),
        heat("map", "untrained", "meta-training diverged", smooth=False, gaps=True, strength=0.45),
        text("map", "words_beta", "words_alpha", "diverges", "ink", when="words_room"),
        tiles("map", "from_beta", "from_alpha", "shade", "MAML", size=(0.2, 0.2), framed=[1]),
        points("map", "here_beta", "here_alpha", "ink", size=7, shape="ring", drag=drag("beta", "alpha")),
        line("task", "truth", "truth", x="grid", name="truth", dash=[6, 5], width=1.8),
        line("task", "path", "MAML", x="grid", width=1.0, fade=0.3),
        line("task", "before", "MAML", x="grid", name="before: θ", dash=[2, 4], width=1.7),
        line("task", "rival_after", "joint training", x="grid", name="joint training", width=2.4, when="two"),
        line("task", "after", "MAML", x="grid", name="φ, after {steps:step}", width=3.6),
        points("task", "x", "y", "support", drag=drag("x", "lift", ("grid", "truth")), adds=True, size=7),
        line("steps", "support", "MAML", name="on its points", width=1.4, dash=[2, 4]),
        line("steps", "query", "MAML", name="", width=3, dots="end"),
        line("runs", "earlier_errors", "before", x="earlier_outer", name="earlier_names", width=1.4, near="end"),
        line("runs", "errors", "MAML", x="outer", name="{run_name}", width=3, near="end", dots="end"),
    ),
    sentence=(
        {
            "gone": "**The steps diverge**: after {gone_at:step} the error on its own points is ten times the first.",
            "": "Error on this wave {error_before:.2f}, **{error:.3f}** after {steps:step}.",
        },
        {
            "not two": "",
            "rival_gone": "From joint training's θ they diverge.",
            "": "From joint training's θ: **{rival_error:.3f}**.",
        },
        {
            "above_and_gone": "At θ a step leaps too far if α is above 2/λ_max = {limit:.2g}.",
            "gone": "Not at once: at θ itself α is below 2/λ_max = {limit:.2g}.",
            "flatter": "At θ α is above 2/λ_max = {limit:.2g}, but at φ the loss is flatter ({limit_after:.2g}).",
            "above": "At θ α is above 2/λ_max = {limit:.2g}: along the steepest direction a step leaps too far.",
            "": "At θ α is below 2/λ_max = {limit:.2g}.",
        },
        {
            "not done": "θ is still random, as it was drawn: press *train*.",
            "lost": "**Meta-training has diverged**: β = {trained_beta:.2g} is too large.",
            "apart": "θ was meta-trained with α = {trained_alpha:.2g} (the square); press train, and it is with this one.",
            "off": "θ after {done} of {last} outer steps: the steps throw new tasks off.",
            "here_untrained": "θ after {done} of {last} outer steps. On the map, meta-training diverges here.",
            "here_thrown": "θ after {done} of {last} outer steps. On the map, the steps throw new tasks off here.",
            "": "θ after {done} of {last} outer steps: on new tasks **{reached:.2f}**.",
        },
    ),
    presets={
        "the paper": {"beta": 0.001, "steps": 1},
        "α too small": {"alpha": 1e-4, "steps": 10},
        "α too large": {"alpha": 0.1, "steps": 10},
        "β too small": {"beta": 1e-4},
        "β too large": {"beta": 0.1},
        "one shot": {"x": (1.36,), "lift": (0.0,), "steps": 1},
    },
    program=PROGRAM,
    later=TRACK,
    runs=RUNS,
    more="more: amplitude, phase, noise, joint training beside",
    height=0.262,
    colours=BAD,
)
explorer = EXPLORER.open
