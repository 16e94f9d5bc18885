"""Explorer: meta-training while you watch, with β, α, inner steps, tasks and method to move."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mapping_lib import batched_mlp
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.page.explorer import Explorer, Panel
from mapping_lib.page.fields import choice, hidden, slider, step_size
from mapping_lib.page.marks import axes, line, points
from mapping_lib.page.program import Program, Stage
from mapping_lib.page.runs import Runs
from mapping_lib.study.sinusoids import LEARNERS
from mapping_lib.task import Batch, Task

from .explorer_own_training import trained_by

OUTER_STEPS, K, MAX_STEPS = 1000, 10, 10
GRID = torch.linspace(-5, 5, 161, dtype=torch.float32)
FAMILY = Sinusoids()
METHODS = ("maml", "fomaml", "anil", "joint", "reptile")
"""Meta-SGD is left to the kernel's `meta_train`: it learns as many step sizes as weights, and looks the same here."""


def held_out() -> tuple[Task, Task]:
    """64 tasks to measure the error on, and one to look at; no run ever trains on them."""
    many = FAMILY.sample(64, K, 10, generator=torch.Generator().manual_seed(2024))
    description = torch.tensor([[3.5, 0.8]], dtype=torch.float32)
    x = torch.linspace(-4.5, 4.5, K, dtype=torch.float32)[None, :, None]
    support, query = (Batch(x, Sinusoids.truth(description, x)) for x in (x, GRID[None, :, None]))
    return many, Task(support, query, description)


MANY, SHOWN = held_out()


@dataclass(frozen=True)
class State:
    """What the controls say, and the seed of the tasks that a run draws."""

    beta: float = step_size(0.003, "β", "outer step size", 0.001)
    alpha: float = step_size(0.01, "α", "inner step size", 0.01)
    steps: int = slider(1, 0, MAX_STEPS, "m", "inner steps", large=True, marks={1: "1, the paper"})
    tasks: int = slider(25, 1, 100, "tasks a step")
    method: str = choice("maml", {name: LEARNERS[name].label for name in METHODS}, "method")
    seed: int = hidden(0)


# The programs: one outer step, and the evaluation ---------------------------------------------------------


def begin(alpha, steps, where, reach, *, mask: tuple[int, ...], read: int) -> dict[str, Any]:
    """The tasks of an outer step, from numbers 0 ... 1; ``read`` of their points are support.

    The first inner step starts from one theta for all tasks, which is cheaper: it is a stage of its own, of size 0
    where there is no inner step.
    """
    (low_a, high_a), (low_p, high_p) = FAMILY.amplitude, FAMILY.phase
    low = torch.tensor([low_a, low_p], dtype=torch.float32)
    size = torch.tensor([high_a - low_a, high_p - low_p], dtype=torch.float32)
    x = (10 * reach - 5)[..., None]
    y = Sinusoids.truth(low + size * where, x)
    return {
        "rates": [alpha * part for part in mask],
        "first_rates": [alpha * part * steps.clamp_max(1) for part in mask],
        "support": Batch(x[:, :read], y[:, :read]),
        "query": Batch(x[:, -K:], y[:, -K:]),
        "rest": (steps - 1).clamp_min(0),
        "left": (steps - 1).clamp_min(0),
    }


def first_step(theta: list, first_rates: list, support: Batch) -> dict[str, Any]:
    """The first inner step of all tasks, from theta."""
    gradient, hidden, deltas = batched_mlp.loss_gradient(list(theta), support)
    return {"phi": batched_mlp.step(theta, first_rates, gradient), "begun": {"hidden": hidden, "deltas": deltas}}


def inner(phi: list, rates: list, support: Batch) -> dict[str, Any]:
    """A further inner step, and what is needed to go back over it."""
    gradient, hidden, deltas = batched_mlp.loss_gradient(list(phi), support)
    return {"phi": batched_mlp.step(phi, rates, gradient), "trace": {"phi": phi, "hidden": hidden, "deltas": deltas}}


def ahead(phi: list, query: Batch) -> dict[str, Any]:
    """The gradient of the query loss at phi."""
    return {"v": batched_mlp.loss_gradient(list(phi), query)[0]}


def back(traces: dict, v: list, rates: list, left) -> dict[str, Any]:
    """Back over one inner step: v - H (alpha v)."""
    at = (left - 1).long().view(1)
    phi, hidden, deltas = ([t.index_select(0, at)[0] for t in traces[name]] for name in ("phi", "hidden", "deltas"))
    product = batched_mlp.hessian_product(phi, hidden, deltas, [rate * u for rate, u in zip(rates, v, strict=True)])
    return {"v": [u - p for u, p in zip(v, product, strict=True)], "left": left - 1}


def back_to_theta(theta: list, begun: dict, v: list, first_rates: list) -> dict[str, Any]:
    """Back over the first inner step; theta is shared, so what comes back is summed over the tasks."""
    moved = [rate * u for rate, u in zip(first_rates, v, strict=True)]
    product = batched_mlp.hessian_product(list(theta), list(begun["hidden"]), list(begun["deltas"]), moved)
    return {"v": [(u.sum(0) - p)[None] / u.shape[0] for u, p in zip(v, product, strict=True)]}


def adam(theta: list, v: list, first: list, second: list, beta, count) -> dict[str, Any]:
    """An outer step by Adam (Kingma & Ba 2015, algorithm 1) along the mean of v over the tasks."""
    gradient = [u.mean(0) for u in v]
    first = [0.9 * m + 0.1 * g for m, g in zip(first, gradient, strict=True)]
    second = [0.999 * s + 0.001 * g * g for s, g in zip(second, gradient, strict=True)]
    rates = beta / (1 - torch.pow(0.9, count)), 1 - torch.pow(0.999, count)
    theta = [p - rates[0] * m / ((s / rates[1]).sqrt() + 1e-8) for p, m, s in zip(theta, first, second, strict=True)]
    return {"theta": theta, "first": first, "second": second}


def toward_phi(theta: list, phi: list, beta) -> dict[str, Any]:
    """An outer step of Reptile (Nichol et al. 2018): a share of the way to the mean of phi."""
    return {"theta": [p + beta * (q.mean(0) - p) for p, q in zip(theta, phi, strict=True)]}


def _steps_of(method: str) -> tuple[Stage, ...]:
    """The stages of one outer step."""
    mask = (0, 0, 0, 0, 1, 1) if method == "anil" else (1,) * 6
    read = Stage(partial(begin, mask=mask, read=2 * K if method in ("reptile", "joint") else K))
    if method == "joint":
        return read, Stage(at_theta), Stage(adam)
    way = Stage(first_step), Stage(inner, times="rest", collect={"traces": "trace"} if method != "reptile" else {})
    if method == "reptile":
        return read, *way, Stage(toward_phi)
    second_order = [Stage(back, times="rest"), Stage(back_to_theta)] if method != "fomaml" else []
    return read, *way, Stage(ahead), *second_order, Stage(adam)


def at_theta(theta: list, support: Batch) -> dict[str, Any]:
    """The gradient on all points, without an inner step."""
    return {"v": batched_mlp.loss_gradient(list(theta), support)[0]}


def stand(theta: list, many: Batch, shown: Batch) -> dict[str, Any]:
    """Theta for all held-out tasks, and for the one that is shown."""
    return {name: [p.expand(len(task.x), *p.shape) for p in theta] for name, task in (("held", many), ("seen", shown))}


def held_step(held: list, seen: list, rates: list, many: Batch, shown: Batch) -> dict[str, Any]:
    """One inner step on all of them."""
    gradients = (batched_mlp.loss_gradient(list(phi), task)[0] for phi, task in ((held, many), (seen, shown)))
    after = [batched_mlp.step(phi, rates, gradient) for phi, gradient in zip((held, seen), gradients, strict=True)]
    return {"held": after[0], "seen": after[1]}


def measure(theta: list, held: list, seen: list, query: Batch, grid) -> dict[str, Tensor]:
    """The mean error on the held-out tasks, without adaptation too, and what the shown one's network draws."""
    plain = batched_mlp.forward([p.expand(len(query.x), *p.shape) for p in theta], query.x)[-1]
    error = (batched_mlp.forward(list(held), query.x)[-1] - query.y).square().mean()
    unadapted = (plain - query.y).square().mean()
    return {
        "now": error,
        "plain": unadapted,
        "lost": ~(error < 1e4),
        "worse": error > 1.2 * unadapted,
        "before": batched_mlp.forward([p[None] for p in theta], grid[None, :, None])[-1][0, :, 0],
        "after": batched_mlp.forward(list(seen), grid[None, :, None])[-1][0, :, 0],
    }


def _constants() -> dict[str, Any]:
    theta = list(LEARNERS["maml"].learner().init(generator=torch.Generator().manual_seed(0)).values())
    return {"theta": theta, "first": [0 * p for p in theta], "second": [0 * p for p in theta]}


DRAWN = {"grid": GRID, "truth": SHOWN.query.y[0, :, 0], "x": SHOWN.support.x[0, :, 0], "y": SHOWN.support.y[0, :, 0]}
RUNS = Runs(
    {name: Program(_steps_of(name), ("theta",), _constants(), {"where": ("T",), "reach": ("T",)}) for name in METHODS},
    Program(
        (Stage(stand), Stage(held_step, times="steps"), Stage(measure)),
        ("now", "plain", "lost", "worse", "before", "after"),
        {"many": MANY.support, "query": MANY.query, "shown": SHOWN.support, **DRAWN},
    ),
    by="method",
    tasks="tasks",
    draws={"where": 2, "reach": 2 * K},
    outer_steps=OUTER_STEPS,
    live=("alpha", "beta"),
    name="{method}, β = {beta:.2g}, m = {steps:.0f}",
)

# What is drawn and said -----------------------------------------------------------------------------------

RUN_AXES = {"xlabel": "outer step", "log": "y", "share": 1.25, "xticks": [(n, str(n)) for n in range(0, 1001, 200)]}
EXPLORER = Explorer(
    "meta-training",
    State,
    "Where does a good θ come from? Watch it being made.",
    "Press train. Move β or α while it trains; change m, the tasks or the method, and a new run begins beside the old.",
    axes=(
        axes("runs", (0, OUTER_STEPS * 1.28), (0.1, 20), "error on tasks it never trains on", **RUN_AXES),
        axes("task", (-5, 5), (-6, 6), "one of them, before and after adaptation"),
    ),
    marks=(
        line("runs", "earlier_errors", "before", x="earlier_outer", name="earlier_names", width=1.4, near="end"),
        line("runs", "errors", "{method}", x="outer", name="{run_name}", width=3, near="end", dots="end"),
        line("task", "truth", "truth", x="grid", name="truth", dash=[6, 5], width=1.8),
        line("task", "before", "{method}", x="grid", name="before: θ", dash=[2, 4], width=1.7),
        line("task", "after", "{method}", x="grid", name="after {steps:inner step}: φ", width=3.4),
        points("task", "x", "y", "support", size=6.5),
    ),
    sentence=(
        {"": "[{method}|{method}], outer step {done} of {last}:"},
        {
            "lost": "**the error on new tasks is no number any more**: β or α is too large for this θ.",
            "worse": "after {steps:inner step} the error on new tasks is {now:.2f}, **worse than {plain:.2f} without"
            " adaptation**: for this θ, α is too large.",
            "": "error **{now:.2f}** on new tasks after {steps:inner step}; without adaptation it would be {plain:.2f}.",
        },
        {"lost": "", "not done": "", "began": "It began at {begun:.2f}.", "": "At first it was no number."},
    ),
    presets={
        "the paper": {"beta": 0.001},
        "β too small": {"beta": 1e-4},
        "β too large": {"beta": 0.1},
        "joint training": {"method": "joint"},
        "5 inner steps": {"steps": 5},
        "Reptile": {"method": "reptile", "beta": 1.0, "steps": 10},
    },
    runs=RUNS,
    more="more: tasks a step, method",
)


def explorer(*, learner: Any = None, family: Any = None, **state: Any) -> Panel:
    """Open the panel: the last line of a notebook cell. ``state`` says where it begins, `State` what that can be.

    With a ``learner`` of the reader's own (a `MetaLearner`, or what makes one from an α) or a ``family``, the panel
    trains that, in the kernel.
    """
    if learner is None and family is None:
        return EXPLORER.open(**state)
    return trained_by(EXPLORER, learner, family or FAMILY).open(**state)
