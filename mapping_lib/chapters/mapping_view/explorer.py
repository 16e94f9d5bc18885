"""Explorer: one task and five mappings. What goes in, what comes out, and the function that it draws.

All five run in the page, as their learners' own `adapt` and `predict`, with all five theta: hypernetwork and
transformer have 62,146 and 80,977 numbers. Compressed, the panel with its front end has 620 kB, 470 kB more than the
150 kB that others keep to.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.amortised import BASE
from mapping_lib.networks import mlp
from mapping_lib.page.explorer import Explorer
from mapping_lib.page.fields import choice, numbers, slider
from mapping_lib.page.marks import axes, drag, heat, line, points, rule, text
from mapping_lib.page.program import Program, Stage
from mapping_lib.study.sinusoids import LEARNERS, MAPPINGS, SIZES, noisy_points, points_and_noise, shipped
from mapping_lib.task import Batch

MAX_SHOTS, STEPS = 20, 5
NAMES = ("maml", "hypernetwork", "rule", "flow", "in_context")
LABELS = [(LEARNERS | MAPPINGS)[name].label for name in NAMES]
BY_GRADIENT, AT_ONCE = ("maml", "rule", "flow"), ("hypernetwork", "in_context")
"""Those of the first kind begin with the function of theta; without an example they stay there."""

WEIGHTS = [name for name, _ in mlp(SIZES).named_parameters()]
LAYER = "2.weight"
"""The weights that are shown: the middle layer's, 40 x 40."""

SEEN = Sinusoids()
"""The tasks of meta-training: amplitude 0.1 ... 5, phase 0 ... pi."""

GRID = torch.linspace(-5, 5, 81, dtype=torch.float32)
DRAWN_X, NOISE = points_and_noise()
AMPLITUDES = {0.1: "0.1", 5.0: "training ended at 5", 8.0: "8"}
PHASES = {-3.1: "−π", 0.0: "0: training began", 3.1: "π: training ended", 6.2: "2π"}
UNLUCKY = noisy_points(torch.tensor([8.0, 1.0], dtype=torch.float32), 10, 0.0, 35).x[:, 0].tolist()


@dataclass(frozen=True)
class State:
    """What the controls and the hand say. The support lies ``lift`` above the wave at ``x``, and noise on top."""

    mapping: str = choice("maml", dict(zip(NAMES, LABELS, strict=True)), "look at", large=True)
    amplitude: float = slider(
        3.0, 0.1, 8.0, "amplitude", step=0.1, marks=AMPLITUDES, large=True, track="seen_amplitudes"
    )
    phase: float = slider(1.0, -3.1, 6.2, "phase", step=0.1, marks=PHASES, large=True, track="seen_phases")
    x: tuple[float, ...] = numbers(
        DRAWN_X[:10].tolist(), -5, 5, least=0, most=MAX_SHOTS, label="examples K", beside=("lift",)
    )
    lift: tuple[float, ...] = numbers([0.0] * 10, -18, 18, least=0, most=MAX_SHOTS, fresh=0.0)
    noise: float = slider(0.0, 0.0, 1.0, "noise", step=0.05)
    steps: int = slider(STEPS, 0, STEPS, "steps from θ", play="take the steps")


# The program ----------------------------------------------------------------------------------------------


def begin(thetas: dict, amplitude, phase, x, lift, noise, steps) -> dict[str, Any]:
    """The task. Without an example no gradient can be read: phi is theta."""
    description = torch.stack([amplitude, phase])
    wave = Sinusoids.truth(description, torch.cat([x, GRID])[:, None])[:, 0]
    k, n = x.shape[0], torch.ones_like(x).sum()
    support = Batch(x[:, None], (wave[:k] + lift + noise * NOISE[:k])[:, None])
    some = (n > 0).float()
    task = {"support": support, "y": support.y[:, 0], "truth": wave[k:], "description": description}
    descending = {name: {key: thetas[name][key] for key in WEIGHTS} for name in BY_GRADIENT}
    return task | {"k": n, "some": some, "taken": steps * some, "descending": descending}


def step(thetas: dict, descending: dict, support: Batch) -> dict[str, Any]:
    """One inner step of those that go by gradients: each learner, begun where it stands."""
    moved = {name: _learner(name).adapt(thetas[name] | phi, support, steps=1) for name, phi in descending.items()}
    return {"descending": {name: {key: phi[key] for key in WEIGHTS} for name, phi in moved.items()}}


def answer(thetas: dict, descending: dict, support: Batch, description, begins, middle, mapping) -> dict[str, Tensor]:
    """The function that each draws, what each begins with, and how far the middle layer's weights have moved."""
    at_once = {name: _learner(name).adapt(thetas[name], support, description=description) for name in AT_ONCE}
    phis = {name: (descending | at_once)[name] for name in NAMES}
    curves = torch.stack([_learner(name).predict(phi, GRID[:, None])[:, 0] for name, phi in phis.items()])
    moved = torch.stack([phi.get(LAYER, torch.zeros(40, 40, dtype=torch.float32)) for phi in phis.values()]) - middle
    own = mapping.long().view(1)
    chosen = {"curve": curves, "begun": begins, "moved": moved}
    return {"curves": curves} | {name: values.index_select(0, own)[0] for name, values in chosen.items()}


def judge(curves, truth, moved, mapping, amplitude, phase) -> dict[str, Tensor]:
    """All errors, and what the sentence may say."""
    own = mapping.long().view(1)
    errors = (curves - truth).square().mean(1)
    errors = torch.where(errors < GONE, errors, float("inf"))
    zero, best = truth.square().mean(), errors.argmin()
    most = moved.abs().max()
    wide, turned = amplitude > SEEN.amplitude[1] + 1e-3, (phase < -1e-3) | (phase > SEEN.phase[1])
    holds = {
        **{f"is_{name}": mapping == i for i, name in enumerate(NAMES)},
        **{f"best_{name}": best == i for i, name in enumerate(NAMES)},
        "gone": errors.index_select(0, own)[0].isinf(),
        "reads_points": (mapping == 0) | (mapping == 2) | (mapping == 3),
        "has_phi": mapping < 4,
        "outside": wide & turned,
        "wide": wide,
        "turned": turned,
    }
    return {name: value.float() for name, value in holds.items()} | {
        **{f"error_{name}": errors[i] for i, name in enumerate(NAMES)},
        "errors": errors.clamp(1e-4, GONE),
        "error": errors.index_select(0, own)[0],
        "best": errors.min(),
        "zero": zero,
        "worse": (errors > zero).float().sum(),
        "most": most,
        "weights": (moved.abs() / most.clamp_min(1e-9)).sqrt(),
    }


GONE = 1e4
"""An error beyond this, or not a number, is said to have diverged."""

_shipped = cache(shipped)


def _learner(name: str) -> Any:
    return _shipped(name)[0]


def _begins(name: str) -> Tensor:
    """The function that a mapping by gradients begins with."""
    learner, theta = _shipped(name)
    if name not in BY_GRADIENT:
        return torch.zeros(len(GRID), dtype=torch.float32)
    return learner.predict({key: theta[key] for key in WEIGHTS}, GRID[:, None])[:, 0]


def _middle(name: str) -> Tensor:
    """The middle layer that a mapping begins with; there is none without phi."""
    theta = _shipped(name)[1]
    return next((theta[key] for key in (LAYER, BASE + LAYER) if key in theta), torch.zeros(40, 40, dtype=torch.float32))


HOLDS = [f"{kind}_{name}" for kind in ("is", "best") for name in NAMES]
HOLDS += ["gone", "reads_points", "has_phi", "outside", "wide", "turned", "some"]
SAID = [f"error_{name}" for name in NAMES] + ["error", "best", "zero", "worse", "k", "most"]
PROGRAM = Program(
    (Stage(begin), Stage(step, times="taken"), Stage(answer), Stage(judge)),
    ("y", "truth", "curves", "curve", "begun", "errors", "weights", *SAID, *HOLDS),
    {
        "thetas": {name: _shipped(name)[1] for name in NAMES},
        "begins": torch.stack([_begins(name) for name in NAMES]),
        "middle": torch.stack([_middle(name) for name in NAMES]),
        "grid": GRID,
        "rows": torch.arange(5.0, 0.0, -1.0, dtype=torch.float32),
        "seen_amplitudes": torch.where(torch.linspace(0.1, 8, 80, dtype=torch.float32) <= 5, -0.6, 0.35),
        "seen_phases": torch.where(
            (torch.linspace(-3.1, 6.2, 94, dtype=torch.float32) - 1.55).abs() <= 1.6, -0.6, 0.35
        ),
    },
    {"x": ("K",), "lift": ("K",)},
)

# What is drawn and said -----------------------------------------------------------------------------------

HEAD = "[{mapping}|{mapping}]"
TICKS = [[1e-3, "0.001"], [0.1, "0.1"], [10, "10"], [1e3, "1000"]]
ERRORS = [f"{label} {{error_{name}:.2g}}" for name, label in zip(NAMES, LABELS, strict=True)]
BEST = {f"best_{name}": f"Best: [{label}|{label}] ({{best:.2g}})." for name, label in zip(NAMES, LABELS, strict=True)}
EXPLORER = Explorer(
    "five-mappings",
    State,
    "One wave, five mappings. Which of them follows you?",
    "Drag the orange points, click to add one, drag one out to remove it. Then go where training has never been.",
    axes=(
        axes("task", (-5, 5), (-9.5, 9.5), "the wave, and what all five make of it", share=1.9),
        axes("errors", (1e-4, GONE), (0.3, 5.7), "error on new points", log="x", yticks=[], xticks=TICKS, share=1.1),
        axes("out", (0, 40), (0, 40), "in, out", bare=True, square=True, share=0.68),
    ),
    marks=(
        line("task", "truth", "truth", x="grid", name="truth", dash=[6, 5], width=1.8),
        line("task", "begun", "{mapping}", x="grid", name="before: θ", dash=[2, 4], width=1.7, when="reads_points"),
        line("task", "curves", LABELS, x="grid", name=LABELS, width=1.7, fade=0.75),
        line("task", "curve", "{mapping}", x="grid", width=4),
        points("task", "x", "y", "support", drag=drag("x", "lift", ("grid", "truth")), adds=True, size=7),
        heat("out", "weights", "{mapping}", smooth=False, when="has_phi"),
        text("out", 20, -4, "in: θ, {k:point}", "ink", when="reads_points"),
        text("out", 20, -4, "in: d, no points", "ink", when="is_hypernetwork"),
        text("out", 20, -4, "in: {k:point}, x", "ink", when="is_in_context"),
        text("out", 20, -9, "out: φ; deep is", "ink", when="has_phi"),
        text("out", 20, -14, "what moved far", "ink", when="has_phi"),
        text("out", 20, -9, "out: y", "ink", when="is_in_context"),
        text("out", 20, 20, "no φ", when="is_in_context"),
        rule("errors", "truth", x="zero", name="flat line"),
        points("errors", "errors", "rows", LABELS, size=6, near="end", name=ERRORS),
    ),
    sentence=(
        {
            "is_hypernetwork": f"{HEAD}, d ↦ φ: it reads amplitude and phase, not one point, and writes all weights.",
            "is_in_context": f"{HEAD}, (S, x) ↦ y: a transformer reads {{k:point}}, answers each x, changes no weight.",
            "not some": f"{HEAD}: no example, so nothing moves, and φ = θ.",
            "is_maml": f"{HEAD}, (θ, S) ↦ φ: {{k:point}}, {{steps:gradient step}} from θ.",
            "is_rule": f"{HEAD}, (φ, ∇) ↦ φ′: {{k:point}}, {{steps:step}} from θ, as a small network says.",
            "is_flow": f"{HEAD}, τ ↦ φ(τ): {{k:point}}; φ flows downhill for {{steps}} fifths of a learned time.",
        },
        {"gone": "**It diverges**: these steps are too long for this task.", "": "Error **{error:.2g}**."},
        BEST,
        {"worse": "Worse than the flat line y = 0: {worse} of 5."},
        {
            "outside": "**Training never saw** such an amplitude, nor such a phase.",
            "wide": "**Training never saw** an amplitude above 5.",
            "turned": "**Training never saw** such a phase.",
        },
    ),
    presets={
        "no example": {"x": (), "lift": ()},
        "amplitude 8": {"amplitude": 8.0},
        "unlucky points": {"amplitude": 8.0, "x": tuple(UNLUCKY)},
        "upside down": {"mapping": "in_context", "phase": 4.6},
        "a whole turn": {"mapping": "hypernetwork", "phase": 6.2},
    },
    program=PROGRAM,
    actions=(("new points", "x_length", "scatter"),),
    more="more: steps, K, noise",
)
explorer = EXPLORER.open
