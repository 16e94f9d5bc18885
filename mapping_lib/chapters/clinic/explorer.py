"""Explorer: pick a fault, and see what training does. Ten trainings made beforehand; the adaptation is live."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mapping_lib import batched_mlp
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.page.explorer import Explorer
from mapping_lib.page.fields import choice, numbers, slider
from mapping_lib.page.marks import axes, band, drag, line, points
from mapping_lib.page.plots import COLOURS
from mapping_lib.page.program import Program, Stage
from mapping_lib.study.sinusoids import points_and_noise
from mapping_lib.task import Batch

from .methods import ALPHA, CASES, OUTER_STEPS, STEPS
from .study import BLOCK, history

NAMES = tuple(CASES)
HEALTHY = NAMES[0]
MAX_SHOTS = 20
GRID = torch.linspace(-5, 5, 161, dtype=torch.float32)
DRAWN_X = points_and_noise()[0]
TWO = {"x": (-3.7, 2.7), "lift": (0.0,) * 2}


@dataclass(frozen=True)
class State:
    """What the controls and the hand say. The support lies ``lift`` above the wave at ``x``."""

    fault: str = choice("shared model stepped", NAMES, "program", large=True)
    steps: int = slider(
        STEPS, 0, STEPS, "m", "inner steps", large=True, play="take the steps", marks={1: "1, as in training"}
    )
    x: tuple[float, ...] = numbers(DRAWN_X[:10].tolist(), -5, 5, most=MAX_SHOTS, label="examples K", beside=("lift",))
    lift: tuple[float, ...] = numbers([0.0] * 10, -12, 12, most=MAX_SHOTS, fresh=0.0)
    amplitude: float = slider(3.0, 0.1, 5.0, "amplitude", step=0.05)
    phase: float = slider(1.0, 0.0, 3.14, "phase", step=0.02)


# The program ----------------------------------------------------------------------------------------------


def begin(theta: list, fault, amplitude, phase, x, lift) -> dict[str, Any]:
    """The task, and two theta: that of the program, and beside it that of MAML."""
    wave = Sinusoids.truth(torch.stack([amplitude, phase]), torch.cat([x, GRID])[:, None])[:, 0]
    k = x.shape[0]
    x, y = (part[None, :, None].expand(2, k, 1) for part in (x, wave[:k] + lift))
    two = torch.stack([fault, 0 * fault]).long()
    return {"support": Batch(x, y), "y": y[0, :, 0], "truth": wave[k:], "params": [p[two] for p in theta]}


def step(params: list, support: Batch) -> dict[str, Any]:
    """One of MAML's inner steps from both."""
    alphas = [torch.tensor(ALPHA, dtype=torch.float32)] * len(params)
    return {"params": batched_mlp.step(list(params), alphas, batched_mlp.loss_gradient(list(params), support)[0])}


def drawn(params: list) -> Tensor:
    """The functions of networks on the grid."""
    return batched_mlp.forward(list(params), GRID[None, :, None].expand(params[0].shape[0], -1, 1))[-1][..., 0]


def judge(theta: list, params: list, truth, printed, errors, fault, steps) -> dict[str, Tensor]:
    """What both draw, what both printed, and the stored errors after ``steps`` inner steps."""
    two = torch.stack([fault, 0 * fault]).long()
    before, (after, healthy) = drawn([p[two] for p in theta])[0], drawn(params)
    said = printed[two].mean(1)
    seeds = errors[two].index_select(3, steps.clamp_max(STEPS).long().view(1))[..., 0]
    means = seeds.mean(1)
    frame = {
        **{"before": before, "after": after, "healthy_after": healthy, "printed": said[0], "healthy_printed": said[1]},
        **{"error": means[0], "low": seeds[0].amin(0), "high": seeds[0].amax(0), "healthy": means[1]},
        **{"error_before": (before - truth).square().mean(), "error_after": (after - truth).square().mean()},
    }
    ends = {
        name: values[-1] for name, values in (("prints", said[0]), ("worth", means[0]), ("healthy_worth", means[1]))
    }
    holds = {f"is_{i}": fault == i for i in range(len(NAMES))} | {"faulty": fault > 0, "none": steps < 0.5}
    return frame | ends | {name: value.float() for name, value in holds.items()}


def constants() -> dict[str, Any]:
    """The ten theta, and how their trainings went."""
    theta, printed, errors = history()
    blocks = torch.arange(len(errors[0, 0]), dtype=torch.float32) * BLOCK
    curves = {"printed": printed, "errors": errors, "blocks": blocks, "middles": blocks[1:] - BLOCK / 2}
    return {"theta": list(theta.values()), "grid": GRID} | curves


CURVES = "y truth before after healthy_after printed healthy_printed error low high healthy"
SAID = ("error_before", "error_after", "prints", "worth", "healthy_worth", "faulty", "none")
PROGRAM = Program(
    (Stage(begin), Stage(step, times="steps"), Stage(judge)),
    (*CURVES.split(), *SAID, *(f"is_{i}" for i in range(len(NAMES)))),
    constants(),
    {"x": ("K",), "lift": ("K",)},
)

# What is drawn and said -----------------------------------------------------------------------------------

WHY = {
    HEALTHY: "Healthy: each φ is computed from θ, and judged on its own query. The doctor: **✓ throughout**.",
    "shared model stepped": "There is one set of weights, so this is ordinary training, task after task. The doctor: **✗ θ is left as it was**.",
    "only the last task": "Each loss overwrites the last: one task of four is learned from. The doctor: **✗ every task's query counts**.",
    "no inner loop": "θ itself is judged: joint training by another name. The doctor: **✗ adaptation goes downhill**: φ is θ.",
    "gradient added": "Every inner step climbs. The doctor: **✗ adaptation goes downhill**: cosine −1.",
    "judged on support": "φ is judged on the points that it fitted; with ten points of a smooth wave, no cost shows. The doctor: **✗ what the meta-loss measures**.",
    "loss.item()": "No gradient reaches θ, which never moves. The doctor: **✗ the direction**: zero.",
    "Adam leaks": "The inner Adam remembers the gradients of the tasks before. The doctor: **✗ tasks are independent**.",
    "second order cut": "φ is a copy, and the gradient stops there: FOMAML. The doctor: **✗ the direction**, against central differences.",
    "one φ for all": "The loop over tasks is missing: one φ for four waves. The doctor: **✗ tasks are independent**.",
}
"""Why each does what it does, and the line of the doctor's report that shows it."""

TRAINING = {"xlabel": "outer step", "share": 1.0, "xticks": [(n, str(n)) for n in (0, 500, OUTER_STEPS)]}
WIDE = (0, OUTER_STEPS * 1.02)
EXPLORER = Explorer(
    "clinic",
    State,
    "Ten programs run, and print a loss. Which of them has learned to learn?",
    "Pick a program. Drag the orange points; click to add one. Then set m to 0: can you still tell who is ill?",
    axes=(
        axes("prints", WIDE, (0, 5), "what it prints", **TRAINING),
        axes("worth", WIDE, (0, 5), "its error on new tasks, after {steps:step}", **TRAINING),
        axes("task", (-5, 5), (-6.5, 6.5), "one new wave: error {error_before:.2f}, then {error_after:.2f}", share=1.3),
    ),
    marks=(
        line("prints", "healthy_printed", HEALTHY, x="middles", name=HEALTHY, width=1.6, fade=0.8, when="faulty"),
        line("prints", "printed", "{fault}", x="middles", name="{fault}", width=3),
        band("worth", "low", "high", "{fault}", x="blocks"),
        line("worth", "healthy", HEALTHY, x="blocks", name=HEALTHY, width=1.6, fade=0.8, near="end", when="faulty"),
        line("worth", "error", "{fault}", x="blocks", name="{fault}", width=3),
        line("task", "truth", "truth", x="grid", name="truth", dash=[6, 5], width=1.8),
        line("task", "before", "{fault}", x="grid", name="before: θ", dash=[2, 4], width=1.7),
        line("task", "healthy_after", HEALTHY, x="grid", name=HEALTHY, width=2, when="faulty"),
        line("task", "after", "{fault}", x="grid", name="after: φ", width=3.6),
        points("task", "x", "y", "support", drag=drag("x", "lift", ("grid", "truth")), adds=True, size=7),
    ),
    sentence=(
        {
            "faulty": "[{fault}|{fault}] prints {prints:.2f} in the end; after {steps:step} its error on new tasks is **{worth:.2f}**, [MAML's|MAML] {healthy_worth:.2f}.",
            "": "[{fault}|{fault}] prints {prints:.2f} in the end; after {steps:step} its error on new tasks is **{worth:.2f}**.",
        },
        {"none": "Without a step most of the ten look alike."},
        {f"is_{i}": WHY[name] for i, name in enumerate(NAMES)},
    ),
    height=0.27,
    presets={
        "as in training": {"steps": 1},
        "without a step": {"steps": 0},
        "two points": TWO,
        "MAML, two points": TWO | {"fault": HEALTHY},
    },
    program=PROGRAM,
    actions=(("new points", "x_length", "scatter"),),
    colours=dict.fromkeys(NAMES[1:], COLOURS["rival"]),
    more="more: K, amplitude, phase",
)
explorer = EXPLORER.open
