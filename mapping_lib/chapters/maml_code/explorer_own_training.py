"""The explorer of meta-training with a learner or a family that a reader brings: it trains in the kernel."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch

from mapping_lib.evaluation import evaluate_by_step
from mapping_lib.meta_training import MetaTrainingDiverged, Progress, meta_train
from mapping_lib.page.explorer import Explorer, Frame
from mapping_lib.page.fields import slider, step_size
from mapping_lib.page.marks import line, points
from mapping_lib.task import Params, TaskFamily

from .explorer_own import MAX_SHOTS, MAX_STEPS, adaptation, fixed, limits, maker_of

OUTER_STEPS, STRIDE, N_HELD_OUT = 1000, 20, 64


@dataclass(frozen=True)
class TrainingState:
    """What the controls say: both step sizes, how far it is trained, by how many inner steps it is judged, the task."""

    beta: float = step_size(0.003, "β", "outer step size", 0.001)
    alpha: float = step_size(0.01, "α", "inner step size", 0.01)
    trained: int = slider(
        0, 0, OUTER_STEPS, "outer steps", step=STRIDE, large=True, play="train", far=OUTER_STEPS, pace=0
    )
    steps: int = slider(1, 0, MAX_STEPS, "m", "inner steps, when it is judged", large=True)
    k_shot: int = slider(10, 1, MAX_SHOTS, "K", "examples")
    task: int = slider(0, 0, 99, "task")


class Run(NamedTuple):
    """A run as far as it was asked for: theta after every `STRIDE` outer steps, and what makes it go on."""

    thetas: list[Params]
    rest: Iterator[Progress]

    def reach(self, outer_step: int) -> int:
        """Train as far as ``outer_step``, or until it diverges; the number of strides that it came."""
        while len(self.thetas) <= outer_step // STRIDE:
            try:
                self.thetas.append([next(self.rest).theta for _ in range(STRIDE)][-1])
            except (MetaTrainingDiverged, StopIteration):  # it goes no further, now or when it is asked again
                return len(self.thetas) - 1
        return outer_step // STRIDE


def trained_by(base: Explorer, own: Any, family: TaskFamily) -> Explorer:
    """The explorer of a learner's meta-training on a family of one x and one y; ``own`` as `maker_of` takes it."""
    make, any_alpha = maker_of(own)

    @lru_cache(maxsize=8)
    def run(beta: float, alpha: float, k_shot: int) -> Run:
        learner = make(alpha)
        theta = learner.init(generator=torch.Generator().manual_seed(0))
        settings = {"beta": beta, "outer_steps": OUTER_STEPS, "k_shot": k_shot, "theta": theta}
        return Run([theta], meta_train(learner, family, generator=torch.Generator().manual_seed(1), **settings))

    @lru_cache(maxsize=4096)
    def errors(beta: float, alpha: float, k_shot: int, stride: int, steps: int) -> list[float]:
        theta, generator = run(beta, alpha, k_shot).thetas[stride], torch.Generator().manual_seed(2024)
        settings = {"k_shot": k_shot, "steps": steps, "n_tasks": N_HELD_OUT, "n_query": 20, "generator": generator}
        return evaluate_by_step(make(alpha), theta, family, **settings).mean.tolist()

    def compute(state: Any) -> Frame:
        setting = state.beta, getattr(state, "alpha", 0.01), state.k_shot
        begun = run(*setting)
        came = begun.reach(state.trained)
        by_stride = [errors(*setting, stride, state.steps) for stride in range(came + 1)]
        plain, error = by_stride[-1][0], by_stride[-1][-1]
        drawn = adaptation(make(setting[1]), begun.thetas[came], family, state)
        drawn |= {"errors": np.array([each[-1] for each in by_stride]), "outer": STRIDE * np.arange(1.0 + came)}
        drawn |= {
            "done": STRIDE * came,
            "stopped": float(STRIDE * came < state.trained),
            "better": float(error < plain),
        }
        return drawn | {
            "now": error,
            "plain": plain,
            "begun": by_stride[0][-1],
            "lost": float(not error < 100 * by_stride[0][0]),
        }

    first = compute(TrainingState())
    wave, curves = limits(first), [max(first["plain"], 1e-6) * size for size in (1e-3, 10)]
    return Explorer(
        "your-meta-training",
        TrainingState if any_alpha else fixed(TrainingState),
        "Your learner, your tasks: where does a good θ come from?",
        "Press train. Then change β or α: a run of its own begins.",
        axes=(base.axes[0] | {"y": curves}, base.axes[1] | wave),
        marks=(
            line("runs", "errors", "MAML", x="outer", name="β = {beta:.2g}", width=3, near="end", dots="end"),
            line("task", "truth", "truth", x="wave_x", name="truth", dash=[6, 5], width=1.8),
            line("task", "before", "MAML", x="wave_x", name="before: θ", dash=[2, 4], width=1.7),
            line("task", "after", "MAML", x="wave_x", name="after {steps:inner step}: φ", width=3.4),
            points("task", "x", "y", "support", size=6.5),
        ),
        sentence=(
            {
                "stopped": "**Meta-training diverged** after outer step {done:.0f}: β or α is too large for this learner.",
                "lost": "Outer step {done:.0f}: **the error is out of all bounds**: β or α is too large.",
                "better": "Outer step {done:.0f}: error **{now:.3g}** on new tasks after {steps:inner step}; it began at"
                " {begun:.3g}, and without adaptation it would be {plain:.3g}.",
                "": "Outer step {done:.0f}: error **{now:.3g}** on new tasks after {steps:inner step}; without"
                " adaptation it is no worse, {plain:.3g}.",
            },
        ),
        presets={},
        kernel=compute,
        actions=(("another task", "task", "next"),),
        more="more: K, task",
        shipped=False,
    )
