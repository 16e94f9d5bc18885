"""Explorer: tasks over two parameters seen from above, and where MAML, FOMAML, Reptile and joint training go.

All is computed in the page, the map of F too. A stage of a program cannot repeat another: outer steps with their inner
steps are one long walk, in which every repetition is an inner step or, once m are done, an outer one (`worlds.walks`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mapping_lib.page.explorer import Explorer
from mapping_lib.page.fields import choice, slider
from mapping_lib.page.marks import arrows, axes, drag, heat, line, points, rule
from mapping_lib.page.plots import COLOUR_OF
from mapping_lib.page.program import Program, Stage
from mapping_lib.worlds.landscapes import METHODS, Landscape, bowls, meta_loss, rings, sines
from mapping_lib.worlds.walks import Walkers, grid, lowest_point, stable_below, start, walk

OUTER_STEPS, MAX_STEPS, CELLS = 60, 20, 61
TASKS = {"bowls": bowls, "sines": sines}
TENTHS, POWERS = ({x: f"{x:g}" for x in marks} for marks in ([i / 10 for i in range(8)], [0.01, 0.1, 1.0, 10.0]))
ON_ALPHA, ON_BETA = ({"large": True, "track": f"{name}_track"} for name in ("alpha", "beta"))
ALPHAS, BETAS = torch.linspace(0, 0.7, 29, dtype=torch.float32), 10 ** torch.linspace(-2, 1, 31, dtype=torch.float32)
"""Where on their tracks it is tried whether alpha and beta are too large."""

BEYOND, ARROW, STILL = 0.02, 0.26, 1e-3
"""As shares of the map: how far beyond it theta may go, the length of arrows, and a slope below which theta rests."""


@dataclass(frozen=True)
class State:
    """What the controls and the hand say. A walk begins at (theta1, theta2), or where the map ends."""

    alpha: float = slider(0.2, 0.0, 0.7, "α", "inner step size", step=0.01, marks=TENTHS, **ON_ALPHA)
    steps: int = slider(3, 0, MAX_STEPS, "m", "inner steps", large=True, marks={n: str(n) for n in (0, 1, 5, 10, 20)})
    beta: float = slider(1.0, 0.01, 10.0, "β", "outer step size", step=0.05, log=True, marks=POWERS, **ON_BETA)
    outer: int = slider(0, 0, OUTER_STEPS, "outer steps", play="walk", far=OUTER_STEPS, pace=110)
    theta1: float = slider(-3.2, -4.0, 4.0, "start: θ₁", step=0.05)
    theta2: float = slider(3.2, -4.0, 4.0, "start: θ₂", step=0.05)
    follow: str = choice("MAML", METHODS, "θ follows")
    background: str = choice("F(θ)", ("F(θ)", "E[L(θ)]"), "map of")
    tasks: str = choice("bowls", {"bowls": "four bowls", "sines": "four sine waves"}, "tasks")


# The program ----------------------------------------------------------------------------------------------


def begin(worlds: dict, tasks, theta1, theta2, steps, outer) -> dict[str, Any]:
    """The tasks, how often each stage is repeated, and all four methods at the start."""
    world = {name: values.index_select(0, tasks.long().view(1))[0] for name, values in worlds.items()}
    low, high = world["map"].unbind(-1)
    begun, room = torch.stack([theta1, theta2]).clamp(low, high), BEYOND * (high - low)
    turns = {"walk": outer * (steps + 1) + 1, "look": steps + 1, "adapt": steps, "judge": torch.ones_like(steps)}
    times = {f"{name}_{part}": n * (tasks == i).float() for i, name in enumerate(TASKS) for part, n in turns.items()}
    ends = {"ends": torch.stack([low - room, high + room]), "size": high - low}
    return world | times | ends | {"walkers": start(begun), "begun": begun}


def step(tasks: Callable[[Tensor], Landscape]) -> Callable:
    """One step of all methods."""

    def step(minima, walkers: Walkers, alpha, steps, beta, ends) -> dict[str, Any]:
        after, slope, stays = walk(tasks(minima), walkers, alpha=alpha, steps=steps, beta=beta, ends=ends)
        seen = {"slope": slope, "stays": stays.float(), "reached": walkers.theta, "inner": walkers.phi[0]}
        return {"walkers": after} | seen

    return step


def stand(thetas, outer, steps, follow) -> dict[str, Any]:
    """The trails ``(outer step, method, 2)``, and all methods where the followed one stands."""
    ks = torch.arange(OUTER_STEPS + 1).clamp_max(outer)
    trails = thetas.index_select(0, (ks * (steps + 1)).long())
    followed = trails.index_select(1, follow.long().view(1))[:, 0]
    return {"walkers": start(followed[-1]), "here": followed[-1], "trails": trails, "followed": followed, "ks": ks}


def spread(grid, trails, slope, here, beta, lowest_joint, follow) -> dict[str, Tensor]:
    """Every theta at which F is wanted, once for each task: on the map, on the trails, and after a next step."""
    tried = here - BETAS[:, None] * slope.index_select(0, follow.long().view(1))
    wanted = [grid.view(-1, 2), trails.reshape(-1, 2), here - beta * slope, tried, lowest_joint[None]]
    return {"points": torch.cat(wanted)[:, None].expand(-1, 4, 2)}


def adapt(tasks: Callable[[Tensor], Landscape]) -> Callable:
    """One inner step from every theta."""

    def adapt(minima, points, alpha) -> dict[str, Tensor]:
        return {"points": points - alpha * tasks(minima).derivatives(points)[0]}

    return adapt


def judge(tasks: Callable[[Tensor], Landscape]) -> Callable:
    """F at every theta; where it stands, E[L], how much worse inner steps make each task, and what alpha is stable."""

    def judge(minima, points, inners, here) -> dict[str, Tensor]:
        world = tasks(minima)
        first, last = world.loss(inners[0]), world.loss(inners[-1])
        worse, stable = finite(last) - 1.001 * first, stable_below(world, here)
        return {"F": finite(world.loss(points).mean(-1)), "E_now": first.mean(), "worse_by": worse, "stable": stable}

    return judge


def finite(values: Tensor) -> Tensor:
    """What is no number, or beyond all measure, is very large."""
    return torch.where(values.isfinite(), values.clamp_max(1e12), 1e12)


def read(F, joint_map, grid, background, trails, ks, follow) -> dict[str, Tensor]:
    """Take the values apart: the map and where it is lowest, the trails, after the next steps."""
    own, parts = follow.long().view(1), (CELLS * CELLS, trails.shape[0] * 4, 4, len(BETAS), 1)
    F_map, on_trails, next_F, by_beta, F_at_joint = F.split(parts)
    errors, lowest = on_trails.view(-1, 4).T, F_map.min()
    error = errors.index_select(0, own)[0]
    best_and_worst = torch.stack([(lowest / 1.2).clamp_min(1e-3), 1.2 * errors.max().clamp(0.1, 1e3)])
    halves = 2 * best_and_worst.log() / math.log(10)  # the axis ends at halves of a decade
    return {
        "shade": shade(torch.where(background > 0, joint_map.view(-1), F_map), joint_map).view(CELLS, CELLS),
        "lowest_at": lowest_point(F_map.view(CELLS, CELLS), grid),
        "F_limits": 10 ** (torch.stack([halves[0].floor(), halves[1].ceil()]) / 2),
        "beta_track": (by_beta / (1.001 * error[-1]).clamp_min(1e-9)).log().clamp(-1, 1),
        **{"errors": errors, "error": error, "last_errors": errors[:, -1], "last_k": ks[-1].expand(4)},
        **{"F_start": error[0], "F_now": error[-1], "F_next": next_F.index_select(0, own)[0]},
        **{"F_at_joint": F_at_joint[0], "lowest": lowest},
    }


def shade(values: Tensor, joint_map: Tensor) -> Tensor:
    """Losses as shares 0 ... 1 of a colour, on a hill with twelve terraces, so that lines of equal loss can be seen."""
    height = 200 * (values - values.min()) / (joint_map.max() - joint_map.min())
    height = (height.clamp_max(200).log1p() / math.log(201)).clamp(0, 1)
    return height - 0.8 * (24 * math.pi * height).sin() / (24 * math.pi)


def reason(slope, stays, follow, alpha, steps, size, lowest, F_now, F_next, worse_by, stable) -> dict[str, Tensor]:
    """What the sentence may say: numbers, and conditions that hold (1) or not (0)."""
    own, still = follow.long().view(1), length(slope / size) < STILL
    mine, rests = slope.index_select(0, own)[0], still.index_select(0, own)[0]
    cosine = (mine @ slope[0]) / (length(mine) * length(slope[0])).clamp_min(1e-12)
    up, over, leaves = (cosine < 0) & ~still[0], F_next > 1.01 * F_now + 1e-6, stays.index_select(0, own)[0] == 0
    worst, worse, limit = worse_by.argmax(), worse_by.max() > 1e-6, stable.min()
    worst_limit = stable.index_select(0, worst.view(1))[0]
    numbers = {"cosine": cosine, "worst": worst + 1, "steepest": stable.argmin() + 1}
    numbers |= {"limit": limit, "worst_limit": worst_limit}
    numbers |= {"leaves": leaves, "leaves_up": leaves & up, "leaves_over": leaves & over, "up": up, "over": over}
    numbers |= {"rests": rests, "at_rest_elsewhere": rests & ~still[0]}
    numbers |= {"rests_lowest": rests & (F_now < 1.01 * lowest + 1e-4), "inner": alpha * steps > 0}
    numbers |= {"worse": worse, "worse_above": worse & (alpha > worst_limit), "above": alpha > limit}
    track = ((ALPHAS / limit).clamp_min(1e-3).log() / math.log(2)).clamp(-1, 1)
    return {name: value.float() for name, value in numbers.items()} | {"alpha_track": track}


def length(vectors: Tensor) -> Tensor:
    """The length of each vector of the last dimension."""
    return vectors.square().sum(-1).sqrt()


def draw(trails, followed, slope, here, inners, steps, outer, minima, map, ring, size, begun, lowest_at, lowest_joint):
    """Everything as x and y, for the marks. MAML's arrow is the last, on top of those that coincide with it."""
    path = inners.index_select(0, torch.arange(MAX_STEPS + 1).clamp_max(steps).long())
    far = length(slope / size)[:, None]
    long = ARROW * torch.where(outer > 0, 0.6, 1.0)
    arrow = (-slope / far.clamp_min(STILL) * long)[torch.tensor([3, 2, 1, 0])]
    drawn = {"trail": trails.permute(2, 1, 0), "bold": followed.T, "inner": path.permute(2, 1, 0), "phi": path[-1].T}
    drawn |= {"end": trails[-1].T, "best": minima.T, "ring": ring.permute(2, 0, 1), "arrow": arrow.T, "limits": map}
    drawn |= {"here": here[:, None], "start": begun[:, None]}
    drawn |= {"lowest": lowest_at[:, None], "joint": lowest_joint[:, None]}
    return {f"{name}_{side}": part for name, value in drawn.items() for side, part in zip("xy", value, strict=True)}


def worlds() -> dict[str, Tensor]:
    """What is fixed of each of `TASKS`, stacked."""
    each = []
    for landscape in (make() for make in TASKS.values()):
        theta, limits = grid(landscape, CELLS), torch.tensor(landscape.limits, dtype=torch.float32)
        joint_map = meta_loss(landscape, theta, alpha=0.0, steps=0)
        lowest = {"joint_map": joint_map, "lowest_joint": lowest_point(joint_map, theta)}
        each.append({"minima": landscape.minima, "map": limits, "ring": rings(landscape), "grid": theta} | lowest)
    return {name: torch.stack([parts[name] for parts in each]) for name in each[0]}


def _for_each(make: Callable, part: str, **collect: str) -> tuple[Stage, ...]:
    """A stage for each of `TASKS`; that of the others is repeated 0 times."""
    return tuple(Stage(make(tasks), f"{name}_{part}", collect=collect) for name, tasks in TASKS.items())


PLACES = ["trail", "end", "bold", "inner", "phi", "best", "ring", "here", "start", "arrow", "lowest", "joint", "limits"]
SHOWN = ["F_limits", "ks", "shade", "errors", "error", "last_errors", "last_k", "alpha_track", "beta_track"]
NUMBERS = "F_start F_now E_now F_next F_at_joint lowest cosine worst worst_limit steepest limit"
CONDITIONS = "leaves leaves_up leaves_over rests rests_lowest at_rest_elsewhere up over worse worse_above above inner"
PROGRAM = Program(
    (
        Stage(begin),
        *_for_each(step, "walk", thetas="reached"),
        Stage(stand),
        *_for_each(step, "look", inners="inner"),
        Stage(spread),
        *_for_each(adapt, "adapt"),
        *_for_each(judge, "judge"),
        *(Stage(read), Stage(reason), Stage(draw)),
    ),
    (*(f"{name}_{side}" for name in PLACES for side in "xy"), *SHOWN, *NUMBERS.split(), *CONDITIONS.split()),
    {"worlds": worlds()},
)

# What is drawn and said -----------------------------------------------------------------------------------

ALL, UPWARDS = list(METHODS), list(METHODS)[::-1]
MAP = {"xlabel": "θ₁ (waves: amplitude)", "ylabel": "θ₂ (waves: phase)", "press": ("theta1", "theta2"), "square": True}
TICKS = [[k, str(k)] for k in range(0, OUTER_STEPS + 1, 10)]
REVERSES = {"alpha": 0.45, "steps": 1, "beta": 0.5, "follow": "FOMAML", "theta1": -0.5, "theta2": 0.8}
STEPS = ("map", "here_x", "here_y", "arrow_x", "arrow_y", UPWARDS)
WIDTHS = [7, 5.5, 4, 2.4]


def at(name: str) -> tuple[str, str, str]:
    """A place on the map."""
    return "map", f"{name}_x", f"{name}_y"


EXPLORER = Explorer(
    "landscape",
    State,
    "Four tasks, two parameters, one start for all. Where should it be?",
    "Drag the ring, or press the map, and walk from there. Where the colour is deep, the loss is high.",
    axes=(
        axes("map", "limits_x", "limits_y", "two parameters, seen from above", **MAP),
        axes("chart", (-1.5, 80), "F_limits", "F(θ)", xlabel="outer step", log="y", share=1.2, xticks=TICKS),
    ),
    marks=(
        heat("map", "shade", "{background}", strength=0.75),
        line("map", "ring_y", "ink", x="ring_x", width=1.2, dash=[3, 3]),
        line("map", "inner_y", "ink", x="inner_x", width=1.5, dash=[1.5, 3]),
        points(*at("phi"), "ink", size=3.5, name=["φ", "", "", ""]),
        points(*at("best"), "ink", shape="cross", size=4.5, name=["1", "2", "3", "4"]),
        points(*at("joint"), "joint training", shape="diamond", size=6.5),
        points(*at("lowest"), "MAML", shape="diamond", size=6.5),
        points(*at("joint"), "joint training", shape="diamond", name="lowest E[L]", when="not outer"),
        points(*at("lowest"), "MAML", shape="diamond", name="lowest F", when="not outer"),
        line("map", "trail_y", ALL, x="trail_x", width=2.2, fade=0.7, when="outer"),
        points(*at("end"), ALL, size=4.5, name=ALL, near="end", when="outer"),
        line("map", "bold_y", "{follow}", x="bold_x", width=3, dots="all", when="outer"),
        arrows(*STEPS, width=WIDTHS, when="outer"),
        arrows(*STEPS, width=WIDTHS, when="not outer", name=UPWARDS),
        points(*at("here"), "{follow}", size=7, when="outer"),
        points(*at("start"), "{follow}", shape="ring", size=8, drag=drag("theta1", "theta2")),
        rule("chart", "MAML", y="lowest", name="lowest F on the map"),
        line("chart", "errors", ALL, x="ks", width=2.2, fade=0.7),
        line("chart", "error", "{follow}", x="ks", width=3.4),
        points("chart", "last_k", "last_errors", ALL, size=4.5, near="end", name=ALL, when="outer"),
        points("chart", "last_k", "last_errors", "{follow}", size=4.5, when="not outer"),
    ),
    sentence=(
        {
            "outer": "[{follow}|{follow}], {outer:outer step}: F = **{F_now}** (at the start {F_start}),",
            "": "[{follow}|{follow}] at the start: F = **{F_now}**,",
        },
        {"": "E[L] = {E_now}. Lowest F: {lowest}; where E[L] is lowest, F = {F_at_joint}."},
        {
            "leaves_up": "**The next step would leave the map, up F** (cosine with MAML's arrow {cosine:.2f}).",
            "leaves_over": "**The next step would leave the map**: its arrow points down F, but β overshoots.",
            "leaves": "The next step would leave the map.",
            "rests_lowest": "It rests where F is lowest.",
            "at_rest_elsewhere": "It rests where its own slope is zero; that of F is not.",
            "rests": "It rests: F is flat here.",
            "up": "**Its arrow points up F** (cosine with MAML's {cosine:.2f}).",
            "over": "Its arrow points down F, but β overshoots: F would be {F_next}.",
            "": "The next step leads to F = {F_next}.",
        },
        {
            "not inner": "Without an inner step φ = θ, F is E[L], and all four arrows are one.",
            "worse_above": "Inner steps make task {worst} worse: α is above 2/λ_max = {worst_limit:.2g} of its loss.",
            "worse": "Inner steps make task {worst} worse: they lead where its loss is more curved than at θ.",
            "above": "α is above 2/λ_max = {limit:.2g} of task {steepest}, and yet no task ends worse.",
            "": "α is below 2/λ_max = {limit:.2g} of the steepest task, {steepest}.",
        },
    ),
    presets={
        "small α: all as joint": {"alpha": 0.02, "steps": 1},
        "first order reverses": REVERSES,
        "α too large": {"alpha": 0.55, "theta1": -2.3, "theta2": 0.0},
        "m = 20: F is flat": {"steps": 20},
        "sine waves": {"tasks": "sines", "theta1": 0.9, "theta2": 0.3},
    },
    program=PROGRAM,
    height=0.42,
    more="more: the start, which method θ follows, the map, the tasks",
    colours={"F(θ)": COLOUR_OF["MAML"], "E[L(θ)]": COLOUR_OF["joint training"]},
)
explorer = EXPLORER.open
