"""The explorer of adaptation with what a reader brings: a theta, a learner, a family of tasks."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, make_dataclass, replace
from typing import Any

import numpy as np
import torch

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners import MetaLearner
from mapping_lib.page.explorer import Explorer, Frame
from mapping_lib.page.fields import slider, step_size
from mapping_lib.page.marks import axes, line, points
from mapping_lib.study.sinusoids import LEARNERS
from mapping_lib.task import Batch, Params, TaskFamily

YOURS = "your θ"
MAX_STEPS, MAX_SHOTS, N_QUERY = 20, 20, 200


def explorer_of(base: Explorer, theta: Params | None, learner: Any, family: TaskFamily | None) -> Explorer:
    """The explorer of a reader's own theta, learner or family, made from that of adaptation.

    Raises ValueError for a theta that does not fit the paper's network where no learner is given, and for tasks whose
    x or y has more than one feature.
    """
    if learner is None and family is None:
        return with_theta(base, theta)
    return with_learner(base, learner, theta, family or Sinusoids())


def maker_of(own: Any) -> tuple[Callable[[float], MetaLearner], bool]:
    """What makes a learner for an α, and whether α matters; None is MAML with the paper's network."""
    if own is None:
        return lambda alpha: LEARNERS["maml"].learner(alpha=alpha), True
    if isinstance(own, MetaLearner):
        return lambda alpha: own, False
    if not callable(own):
        raise TypeError(f"learner is a {type(own).__name__}; allowed: a MetaLearner, or a function from α to one")
    return own, True


def with_theta(base: Explorer, theta: Params) -> Explorer:
    """The explorer, computed in the page, with one more theta to choose, which is chosen."""
    held = base.program.constants
    ours = [tuple(p.shape[1:]) for p in held["theta"]]
    yours = [tuple(p.shape) for p in theta.values()] if isinstance(theta, dict) else type(theta).__name__
    if yours != ours:
        raise ValueError(f"theta has {yours}; allowed: parameters of shapes {ours}, or explorer(theta, learner=...)")
    rows = [p.detach()[None].float() for p in theta.values()]
    more = {
        "theta": [torch.cat([p, row]) for p, row in zip(held["theta"], rows, strict=True)],
        "own_rates": [torch.cat([p, torch.ones_like(row)]) for p, row in zip(held["own_rates"], rows, strict=True)],
        "nobody": held["nobody"] + 1,
    }
    return replace(
        base,
        State=_with_yours(base.State),
        program=base.program._replace(constants=held | more),
        later=base.later._replace(constants=held | more),
        colours={YOURS: "#0072B2"},
        presets={},
    )


def _with_yours(State: type) -> type:
    """The state with one more option, behind the learners and before "nobody"."""
    parts, changed = {p.name: p for p in fields(State)}, []
    for name in ("learner", "rival"):
        options = [option for option in parts[name].metadata["options"] if option[0] != "none"] + [["own", YOURS]]
        options += [option for option in parts[name].metadata["options"] if option[0] == "none"]
        default = "own" if name == "learner" else parts[name].default
        changed.append((name, str, field(default=default, metadata=parts[name].metadata | {"options": options})))
    Own = make_dataclass("State", changed, bases=(State,), frozen=True)
    Own.__module__ = State.__module__  # where the programs are: they are the same, whatever is stacked
    return Own


@dataclass(frozen=True)
class TaskState:
    """What the controls say: α for a learner that is made from one, the task's number, how many examples are shown."""

    alpha: float = step_size(0.01, "α", "inner step size", 0.01)
    steps: int = slider(5, 0, MAX_STEPS, "m", "inner steps", large=True, play="take the steps")
    k_shot: int = slider(10, 1, MAX_SHOTS, "K", "examples", large=True)
    task: int = slider(0, 0, 99, "task")


def fixed(State: type) -> type:
    """The state of a learner whose α is its own: one without α."""
    kept = [p for p in fields(State) if p.name != "alpha"]
    parts = [(p.name, p.type, field(default=p.default, metadata=p.metadata)) for p in kept]
    return make_dataclass(State.__name__, parts, frozen=True)


def limits(frame: Frame) -> dict[str, list[float]]:
    """Limits of axes in which a task of the family stands with room around it."""
    high = 1.6 * float(np.abs(frame["truth"]).max())
    return {"x": [float(f(frame["wave_x"])) for f in (np.min, np.max)], "y": [-high, high]}


def with_learner(base: Explorer, own: Any, theta: Params | None, family: TaskFamily) -> Explorer:
    """The explorer of any learner on any family of one x and one y, computed in the kernel."""
    make, any_alpha = maker_of(own)
    theta = theta or make(0.01).init(generator=torch.Generator().manual_seed(0))

    def compute(state: Any) -> Frame:
        return adaptation(make(getattr(state, "alpha", 0.01)), theta, family, state)

    wave = limits(compute(TaskState()))
    return Explorer(
        "your-adaptation",
        TaskState if any_alpha else fixed(TaskState),
        "Your θ, your task: what do a few steps make of it?",
        "Take the steps; then another task.",
        axes=(axes("task", wave["x"], wave["y"], "one task: from θ to φ", share=1.75), base.axes[1]),
        marks=(
            line("task", "truth", "truth", x="wave_x", name="truth", dash=[6, 5], width=1.8),
            line("task", "path", "MAML", x="wave_x", width=1.0, fade=0.3),
            line("task", "before", "MAML", x="wave_x", name="before: θ", dash=[2, 4], width=1.7),
            line("task", "after", "MAML", x="wave_x", name="after {steps:step}: φ", width=3.6),
            points("task", "x", "y", "support", size=7),
            line("errors", "support", "MAML", name="on its points", width=1.4, dash=[2, 4]),
            line("errors", "query", "MAML", name="on new points", width=3, dots="end", near="end"),
        ),
        sentence=(
            {
                "gone": "**It diverges**: after {steps:step} the error on its own points is more than ten times as large.",
                "better": "Error {error_before:.3g} on new points before, **{error:.3g}** after {steps:step}.",
                "": "Error {error_before:.3g} on new points before, and **no better, {error:.3g}**, after {steps:step}.",
            },
        ),
        presets={},
        kernel=compute,
        actions=(("another task", "task", "next"),),
    )


@torch.no_grad()
def adaptation(learner: MetaLearner, theta: Params, family: TaskFamily, state: Any) -> Frame:
    """One task of a family, and what a learner draws after 0 ... m steps."""
    task = family.sample(1, MAX_SHOTS, N_QUERY, generator=torch.Generator().manual_seed(state.task))
    support = Batch(*(part[0, : state.k_shot] for part in task.support))
    for name, part in (("x", task.query.x), ("y", task.query.y)):
        if part[0].numel() != N_QUERY:
            raise ValueError(f"family gives {name} of shape {tuple(part.shape[2:])}; allowed: one feature")
    order = task.query.x[0, :, 0].argsort()
    x, truth = task.query.x[0, order], task.query.y[0, order].flatten()
    with torch.enable_grad():
        phis = [learner.adapt(theta, support, steps=m) for m in range(state.steps + 1)]
    drawn = torch.stack([learner.predict(phi, torch.cat([support.x, x])).flatten() for phi in phis])
    fits, seen = drawn[:, state.k_shot :], drawn[:, : state.k_shot]
    query, own = (fits - truth).square().mean(1), (seen - support.y.flatten()).square().mean(1)
    frame = {"truth": truth, "path": fits, "before": fits[0], "after": fits[-1], "query": query, "support": own}
    frame |= {"x": support.x.flatten(), "y": support.y.flatten(), "wave_x": x.flatten()}
    numbers = {"error_before": float(query[0]), "error": float(query[-1]), "better": float(query[-1] < query[0])}
    gone = {"gone": float(not own[-1] <= 10 * max(own[0], support.y.square().mean()))}
    return {name: part.detach().numpy() for name, part in frame.items()} | numbers | gone
