"""Explorer: a description that one cannot quite trust, or a few examples. Which mapping wins?

All of it is computed in the page, which needs 520 kB for it, 370 more than an explorer should: its two hypernetworks
have 61,000 parameters each, which do not compress. With one of them the chapter's question could not be asked.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.amortised import BASE, WRITER
from mapping_lib.page.explorer import Explorer
from mapping_lib.page.fields import choice, numbers, slider
from mapping_lib.page.marks import axes, drag, line, points, rule
from mapping_lib.page.program import Program, Stage
from mapping_lib.study.sinusoids import points_and_noise, shipped

from .methods_fast import curves, inner_step, median, power_step, written

ALPHA, MAML_STEPS, MAX_SHOTS, MAX_STEPS, N_TASKS, SEED = 0.01, 10, 20, 20, 50, 2024
FAMILY = Sinusoids()
SPREAD = tuple((high - low) / math.sqrt(12) for low, high in (FAMILY.amplitude, FAMILY.phase))
"""The standard deviations of amplitude and phase over the family: 1.41 and 0.91."""

SHOTS = (0, 1, 2, 3, 5, 10, 20)
"""The numbers of examples for which all tasks are fitted, beside the one that the reader sets."""

GONE = 1e3
"""A task whose error is not below this has diverged: none has a variance above 12.5."""

GRID = torch.linspace(-5, 5, 161, dtype=torch.float32)
COARSE = GRID[::8]
NAMES = ("hypernetwork", "hypernetwork + steps", "MAML")
WRITERS = {"hypernetwork_tuned": "for a step after it", "hypernetwork": "to be used alone"}
"""What the h that steps follow was meta-trained for. One trained alone writes weights too steep for steps."""

DRAWN_X, NOISE = points_and_noise()
NOISES = {0.0: "exact", 0.35: "as in training", 1.0: "all wrong"}
TO_LOOK_AT = {"least": 0, "beside": ("lift",), "large": True, "hint": "points to look at"}
REACH = [math.sqrt(2) * spread for spread in SPREAD]
"""How far a description with noise 1 is away in one direction: as far as one that is wrong in both by their spread."""


@dataclass(frozen=True)
class State:
    """What the controls and the hand say. ``blur`` is the noise of the description, as a share of `SPREAD`.

    ``way`` is the direction (an angle) in which the one wave's description is wrong. The support lies ``lift`` above
    the wave at ``x``, and ``noise`` on top. ``writer`` is one of `WRITERS`.
    """

    blur: float = slider(0.35, 0, 1, "noise of d", "how wrong it is", step=0.01, large=True, marks=NOISES)
    x: tuple[float, ...] = numbers(DRAWN_X[:5].tolist(), -5, 5, most=MAX_SHOTS, label="examples K", **TO_LOOK_AT)
    lift: tuple[float, ...] = numbers([0.0] * 5, -12, 12, least=0, most=MAX_SHOTS, fresh=0.0)
    steps: int = slider(5, 0, MAX_STEPS, "steps after h", "on the points", large=True, play="take the steps")
    amplitude: float = slider(3.0, 0.1, 5.0, "amplitude", step=0.05)
    phase: float = slider(1.0, 0.0, 3.14, "phase", step=0.02)
    way: float = slider(0.6, -3.14, 3.14, "wrong which way", step=0.02)
    noise: float = slider(0.0, 0.0, 1.0, "noise of y", step=0.02)
    writer: str = choice("hypernetwork_tuned", WRITERS, "its h trained")


CIRCLE = torch.linspace(0, 2 * math.pi, 49, dtype=torch.float32)
TRIED = torch.tensor(SHOTS, dtype=torch.float32)

# The program: one wave --------------------------------------------------------------------------------------


def begin(blur, way, amplitude, phase, noise, x, lift, grid) -> dict[str, Any]:
    """The task, what is told of it, and where the lowest points of both waves are."""
    description = torch.stack([amplitude, phase])
    told = description + blur * torch.stack([-REACH[0] * way.sin(), REACH[1] * way.cos()])
    truth, wave_told = (Sinusoids.truth(d, grid[:, None])[:, 0] for d in (description, told))
    low = phase - math.pi / 2
    return {
        "truth": truth,
        "y": Sinusoids.truth(description, x[:, None])[:, 0] + lift + noise * NOISE[: x.shape[0]],
        "told": told,
        "wave_told": wave_told,
        "told_error": (wave_told - truth).square().mean(),
        "low_x": low.view(1),
        "low_y": -amplitude.view(1),
        "told_x": told[1:] - math.pi / 2,
        "told_y": -told[:1],
        "about": torch.stack([low, -amplitude, *torch.tensor(REACH[::-1], dtype=torch.float32)]),
        "ring_x": low + blur * REACH[1] * CIRCLE.cos(),
        "ring_y": -amplitude + blur * REACH[0] * CIRCLE.sin(),
    }


def listen(theta: dict, writer, told) -> dict[str, Any]:
    """Three learners' parameters before any step."""
    alone, both = heard(theta, writer, told[None])
    not_looked_for = {
        "moved": [torch.ones_like(p) for p in both],
        "limit": torch.zeros((), dtype=torch.float32),
        "steep": torch.zeros((), dtype=torch.float32),
    }
    return {"alone": alone, "both": both, "start": both, "looked": [p[None] for p in theta["maml"]]} | not_looked_for


def heard(theta: dict, writer, descriptions: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """What the h that is used alone writes, and the h that steps follow."""
    of = lambda kind, i: [p.index_select(0, i.long().view(1))[0] for p in theta[kind]]  # noqa: E731
    return tuple(
        written(of(WRITER, i), of(BASE, i), descriptions) for i in (torch.ones((), dtype=torch.float32), writer)
    )


def look_and_step(both: list, x, y, grid) -> dict[str, Any]:
    """What the hypernetwork with steps draws now, and one step."""
    return {"fit": curves(both, grid)[0], "both": inner_step(both, x[None], y[None], ALPHA)}


def step_maml(looked: list, x, y) -> dict[str, Any]:
    """One step of MAML."""
    return {"looked": inner_step(looked, x[None], y[None], ALPHA)}


def judge(alone: list, looked: list, fits, truth, x, grid) -> dict[str, Any]:
    """The three curves and their errors, and what the steps did."""
    ends = torch.cat([curves(alone, grid), fits[-1:], curves(looked, grid)])
    errors = (ends - truth).square().mean(1)
    before = (fits[0] - truth).square().mean()
    gone = ~(errors[1] < GONE)
    return {
        "path": fits,
        "ends": list(ends),
        "shots": torch.ones_like(x).sum(),
        "unstepped": before,
        "stepped": errors[1],
        "gone": gone,
        "rounds": 15 * gone.float(),
        "better": (errors[1] < before).float(),
    }


def sharpen(start: list, moved: list, x, y) -> dict[str, Any]:
    """Look on for the largest curvature where h put the weights."""
    moved, curvature = power_step(start, moved, x[None], y[None])
    limit = 2 / curvature.clamp_min(1e-9)
    return {"moved": moved, "limit": limit, "steep": limit < ALPHA}


# The program: many waves ----------------------------------------------------------------------------


def begin_all(theta: dict, waves, wrong, all_x, all_noise, coarse, blur, noise, writer) -> dict[str, Any]:
    """Tasks told and seen as the reader's one is, and the learners before any step, for each K."""
    alone, both = heard(theta, writer, waves + blur * wrong)
    return {
        "all_y": Sinusoids.truth(waves, all_x[..., None])[..., 0] + noise * all_noise,
        "truths": Sinusoids.truth(waves, coarse[:, None].expand(N_TASKS, -1, 1))[..., 0],
        "alone": alone,
        "many": [both] * (len(SHOTS) + 1),
        "many_maml": [[p.expand(N_TASKS, *p.shape) for p in theta["maml"]]] * (len(SHOTS) + 1),
    }


def step_all(many: list, x, all_x, all_y) -> dict[str, list]:
    """One inner step with each number of examples."""
    shots = zip(many, [*SHOTS, x.shape[0]], strict=True)
    return {"many": [inner_step(phi, all_x[:, :k], all_y[:, :k], ALPHA) for phi, k in shots]}


def step_all_maml(many_maml: list, x, all_x, all_y) -> dict[str, list]:
    """The same for MAML."""
    return {"many_maml": step_all(many_maml, x, all_x, all_y)["many"]}


def judge_all(alone: list, many: list, many_maml: list, truths, coarse, x) -> dict[str, Any]:
    """Each learner's median error by K, on how many tasks it diverged, and who wins."""
    fits = torch.stack([curves(phi, coarse) for phi in (alone, *many, *many_maml)])
    errors = (fits - truths).square().mean(-1)
    errors = torch.where(errors < GONE, errors, GONE)
    told, both, looked = median(errors).split([1, len(many), len(many)])
    table = torch.stack([told.expand(len(many)), both, looked])
    here, best = table[:, -1], table[:, :-1].amin(0)
    ahead = (table[2, :-1] < table[0, :-1])[None] | (TRIED[None] < TRIED[:, None])  # row k: those below k do not count
    since = torch.where(ahead.all(1), TRIED, 1 + MAX_SHOTS).amin()
    wins = (here == here.amin()).float()
    return {
        "typical": list(table[:, :-1]),
        "best": list(torch.where(table[:, :-1] == best, table[:, :-1], torch.nan)),
        "k": torch.ones_like(x).sum(),
        "least": here.amin(),
        "second": here.sum() - here.amin() - here.amax(),
        "alone_wins": wins[0],
        "both_wins": wins[1],
        "since": since,
        "never": (since > MAX_SHOTS).float(),
        "lost": (errors[len(many)] >= GONE).sum(),
        "n_tasks": torch.tensor(float(N_TASKS), dtype=torch.float32),
    }


@cache
def constants() -> dict[str, Any]:
    """The weights of all learners, and the waves with what is wrong in their descriptions and points."""
    thetas = [shipped(name)[1] for name in WRITERS]
    weights = {
        kind: [[p for n, p in theta.items() if n.startswith(kind)] for theta in thetas] for kind in (WRITER, BASE)
    }
    theta = {kind: [torch.stack(pair) for pair in zip(*two, strict=True)] for kind, two in weights.items()}
    generator = torch.Generator().manual_seed(SEED)
    tasks = FAMILY.sample(N_TASKS, MAX_SHOTS, 0, generator=generator)
    noise, wrong = (
        torch.randn(shape, generator=generator, dtype=torch.float32) for shape in ((N_TASKS, MAX_SHOTS), (N_TASKS, 2))
    )
    return {
        "theta": theta | {"maml": list(shipped("maml")[1].values())},
        "waves": tasks.description,
        "wrong": wrong * torch.tensor(SPREAD, dtype=torch.float32),
        "all_x": tasks.support.x[..., 0],
        "all_noise": noise,
        "grid": GRID,
        "coarse": COARSE,
        "tried": TRIED,
        "maml_steps": torch.tensor(float(MAML_STEPS), dtype=torch.float32),
    }


DYNAMIC = {"x": ("K",), "lift": ("K",)}
SHOWN = ("truth", "y", "wave_told", "low_x", "low_y", "told_x", "told_y", "about", "ring_x", "ring_y", "path", "ends")
SAID = ("told_error", "shots", "unstepped", "stepped", "better", "gone", "steep", "limit")
LOOK = Stage(look_and_step, times="steps", extra=1, collect={"fits": "fit"})
ONE = (Stage(begin), Stage(listen), LOOK, Stage(step_maml, "maml_steps"), Stage(judge), Stage(sharpen, "rounds"))
MANY = (Stage(begin_all), Stage(step_all, "steps"), Stage(step_all_maml, "maml_steps"), Stage(judge_all))
WINNERS = ("typical", "best", "k", "least", "second", "alone_wins", "both_wins", "since", "never", "lost", "n_tasks")
PROGRAM = Program(ONE, (*SHOWN, *SAID), constants(), DYNAMIC)
LATER = Program(MANY, WINNERS, constants(), DYNAMIC)

# What is drawn and said -----------------------------------------------------------------------------------

CURVE = {"x": "grid", "width": 2.8}
TYPICAL = {"x": "tried", "near": "end", "dots": "all", "when": "n_tasks"}
MOVES_WAVE = drag("phase", "amplitude", about=(-math.pi / 2, 0.0, 1.0, -1.0))
MOVES_TOLD = drag("blur", "way", about="about", polar=True)
TITLES = "one wave, what is told of it, three answers", f"typical error on {N_TASKS} waves"
BOTH = "[hypernetwork + steps|hypernetwork + steps]"
STEEP = "at the weights that this h writes, a step leaps too far above 2/λ_max = {limit:.2g}, and α is 0.01."
THEN = "what was told: error {unstepped:.2g}, then **{stepped:.2g}**."
WINS = "With K = {{k}}, [{0}|{0}] wins on {{n_tasks}} such waves (error {{least:.2g}}, the next {{second:.2g}})."
NEVER = "MAML, which never listens, never passes h alone, which never looks."
AHEAD = "MAML, which never listens, is ahead of h alone, which never looks, from K = {since} on."
EXPLORER = Explorer(
    "description-or-data",
    State,
    "A description that may be wrong, or a few points. Whom do you trust?",
    "Drag the grey ring (what is told), the dark point (the wave) or orange points; click to add.",
    axes=(
        axes("wave", (-5, 5), (-7.2, 7.2), TITLES[0], share=1.45),
        axes("chart", (-0.6, MAX_SHOTS + 0.6), (1e-3, 20), TITLES[1], xlabel="examples K", log="y"),
    ),
    marks=(
        line("wave", "ring_y", "before", x="ring_x", width=1.2, dash=[3, 4]),
        line("wave", "wave_told", "before", x="grid", name="told", width=7, fade=0.4),
        line("wave", "truth", "truth", x="grid", name="the wave", dash=[6, 5], width=1.8),
        line("wave", "path", NAMES[1], x="grid", width=1.0, fade=0.25),
        *(line("wave", f"ends.{i}", name, name=name, **CURVE) for i, name in enumerate(NAMES)),
        points("wave", "x", "y", "support", drag=drag("x", "lift", ("grid", "truth")), adds=True, size=7),
        points("wave", "low_x", "low_y", "truth", size=6, drag=MOVES_WAVE),
        points("wave", "told_x", "told_y", "before", size=7, shape="ring", drag=MOVES_TOLD),
        rule("chart", "grid", x="shots", width=9, dash=[]),
        *(line("chart", f"typical.{i}", name, name=name, **TYPICAL) for i, name in enumerate(NAMES)),
        *(points("chart", "tried", f"best.{i}", name, size=6, when="n_tasks") for i, name in enumerate(NAMES)),
    ),
    sentence=(
        {
            "steep": f"{BOTH} **diverges**: {STEEP}",
            "gone": f"{BOTH} **diverges**, though 0.01 is below 2/λ_max = {{limit:.2g}} at the weights that h writes.",
            "not shots": "Without a point there are only words; they are {told_error:.2g} away from this wave.",
            "not steps": "h is told a wave that is {told_error:.2g} away, and takes no step.",
            "better": "Here {steps:step} on {shots:point} mend " + THEN,
            "": "Here {steps:step} on {shots:point} spoil " + THEN,
        },
        {"not n_tasks": ""} | dict(zip(("alone_wins", "both_wins", ""), map(WINS.format, NAMES), strict=True)),
        {"not n_tasks": "", "never": NEVER, "": AHEAD},
        {"lost": "Steps after h diverge on {lost} of them.", "": ""},
    ),
    presets={
        "exact description": {"blur": 0.0},
        "a little wrong": {"blur": 0.1},
        "half wrong": {"blur": 0.5},
        "all wrong": {"blur": 1.0, "steps": 1},
        "noisy data": {"noise": 1.0},
        "trained alone": {"writer": "hypernetwork", "x": (1.36,), "lift": (0.0,)},
    },
    program=PROGRAM,
    later=LATER,
    actions=(("new points", "x_length", "scatter"),),
    more="more: the wave, noise of y, what h was trained for",
    height=0.38,
)
explorer = EXPLORER.open
