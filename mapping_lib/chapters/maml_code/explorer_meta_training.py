"""Explorer: meta-training while you watch, with beta, alpha, inner steps, tasks and method to move."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure

from mapping_lib.evaluation import query_errors
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.meta_training import MetaTrainingDiverged, Progress, meta_train
from mapping_lib.page.canvas import Canvas, apart, count, finite
from mapping_lib.page.panel import PlayingPanel, choice, powers, whole
from mapping_lib.page.plots import COLOURS
from mapping_lib.study.sinusoids import LEARNERS
from mapping_lib.task import Batch, Params, Task

OUTER_STEPS = 1000
SLICE = 0.04
"""Seconds of training between two pictures: short, so that a click is answered at once."""

MAX_EARLIER = 6
WORTH_KEEPING = 50
"""Runs with fewer outer steps than this are not kept as earlier curves: a slider passes through many."""

ERROR_LIMITS = (0.1, 20.0)
GRID = torch.linspace(-5, 5, 161, dtype=torch.float32)[None, :, None]


def _held_out() -> tuple[Task, Task]:
    """64 tasks to measure the error on, and one to look at; no run ever trains on them."""
    many = Sinusoids().sample(64, 10, 40, generator=torch.Generator().manual_seed(2024))
    description = torch.tensor([[3.5, 0.8]], dtype=torch.float32)
    x = torch.linspace(-4.5, 4.5, 10, dtype=torch.float32)[None, :, None]
    support, query = (Batch(x, Sinusoids.truth(description, x)) for x in (x, GRID))
    return many, Task(support, query, description)


MANY, SHOWN = _held_out()


@dataclass(frozen=True)
class State:
    """The values of the controls, and the seed of the tasks that a run draws."""

    beta: float = 10**-2.5  # the slider has tenths of a decade; it would move any other value, and train again
    alpha: float = 0.01
    steps: int = 1
    tasks_per_step: int = 25
    method: str = "maml"
    seed: int = 0


class Curve(NamedTuple):
    """Held-out error after some outer steps, and the name of the run."""

    outer_steps: np.ndarray
    error: np.ndarray
    label: str


class Frame(NamedTuple):
    """What is drawn: the present run's curve, earlier ones, and one held-out task before and after."""

    curve: Curve
    earlier: tuple[Curve, ...]
    before: np.ndarray
    after: np.ndarray
    words: str


@dataclass
class Run:
    """One meta-training from theta_0: it goes on only when asked to, by `advance`."""

    state: State
    outer_steps: list[int] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    problem: str = ""

    def __post_init__(self) -> None:
        training = LEARNERS[self.state.method]
        self.learner = training.learner(alpha=self.state.alpha, steps=self.state.steps)
        self.theta: Params = self.learner.init(generator=torch.Generator().manual_seed(0))
        self._stream: Iterator[Progress] = meta_train(
            self.learner,
            Sinusoids(),
            theta=self.theta,
            beta=self.state.beta,
            outer_steps=OUTER_STEPS,
            tasks_per_step=self.state.tasks_per_step,
            **training.settings("k_shot", "n_query", "optimiser"),
            generator=torch.Generator().manual_seed(self.state.seed),
        )
        self.done = 0
        self._measure()
        unadapted = self.learner.adapt_path(self.theta, MANY.support, steps=0)
        self._unadapted = float(query_errors(self.learner, unadapted, MANY.query).mean())

    @property
    def finished(self) -> bool:
        """Whether no outer step is left, or none is possible."""
        return self.done >= OUTER_STEPS or bool(self.problem)

    def advance(self, seconds: float) -> None:
        """Train for about this long (one outer step at least), then measure."""
        end = time.perf_counter() + seconds
        try:
            for progress in self._stream:
                self.done, self.theta = progress.step, progress.theta
                if time.perf_counter() >= end:
                    break
        except MetaTrainingDiverged as diverged:
            self.problem = f"stopped at outer step {diverged.step}: the meta-loss is no longer a number"
            self.theta = diverged.theta
        self._measure()

    def _measure(self) -> None:
        path = self.learner.adapt_path(self.theta, MANY.support, steps=self.state.steps)
        phi = {name: p[-1:] for name, p in path.items()}
        error = float(query_errors(self.learner, phi, MANY.query).mean())
        self.outer_steps.append(self.done)
        self.errors.append(error if np.isfinite(error) else np.inf)

    def curve(self) -> Curve:
        """The held-out error so far."""
        return Curve(np.array(self.outer_steps), np.array(self.errors), f"β = {self.state.beta:.2g}")

    def frame(self, earlier: tuple[Curve, ...] = ()) -> Frame:
        """The picture of this moment."""
        path = self.learner.adapt_path(self.theta, SHOWN.support, steps=self.state.steps)
        predict = torch.func.vmap(self.learner.predict, in_dims=(0, None))
        with torch.no_grad():
            curves = predict({name: p[[0, -1], 0] for name, p in path.items()}, SHOWN.query.x[0])[..., 0].numpy()
        return Frame(self.curve(), earlier, curves[0], curves[-1], self._words())

    def _words(self) -> str:
        label, error = LEARNERS[self.state.method].label, self.errors[-1]
        steps = count(self.state.steps, "inner step")
        now = f"<b>{label}</b>, β = {self.state.beta:.2g}: outer step {self.done} of {OUTER_STEPS}. "
        if self.problem:
            return now + f"<b>{self.problem}. β or α is too large.</b>"
        if not error < 1.2 * self._unadapted:
            worse = f"above {self._unadapted:.2g}, that of θ₀ without any adaptation"
            return now + f"<b>Held-out error {error:.3g} after {steps}, {worse}: α or β is too large.</b>"
        return now + f"Held-out error {error:.2f} after {steps}; it began at {self.errors[0]:.2f}."


def compute(state: State) -> Frame:
    """The first picture of a run with these settings: theta_0, and one outer step.

    >>> compute(State()).curve.outer_steps
    array([0, 1])
    """
    run = Run(state)
    run.advance(0.0)
    return run.frame()


class TrainingCanvas(Canvas):
    """Left: held-out error by outer step. Right: one held-out task before and after adaptation."""

    def build(self, figure: Figure) -> None:
        """Two axes with fixed limits."""
        left, right = (figure.add_axes((x, 0.145, width, 0.755)) for x, width in ((0.08, 0.435), (0.59, 0.40)))
        left.set(xlim=(0, OUTER_STEPS * 1.26), ylim=ERROR_LIMITS, yscale="log", xlabel="outer step")
        left.set(ylabel="held-out error after adaptation", title="meta-training, live")
        left.set_xticks(range(0, OUTER_STEPS + 1, 200))
        left.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
        right.set(xlim=(-5, 5), ylim=(-6, 6), xlabel="x", ylabel="y", title="a task it never trains on")
        x = GRID[0, :, 0].numpy()
        right.plot(x, SHOWN.query.y[0, :, 0], color=COLOURS["truth"], lw=1.8, ls=(0, (4, 2)), label="truth")
        points = SHOWN.support
        right.plot(points.x[0], points.y[0], "o", color=COLOURS["support"], mec="black", ms=9, label="support")
        self._earlier = [self._curve(left, COLOURS["before"], 1.4) for _ in range(MAX_EARLIER)]
        self._now = self._curve(left, COLOURS["after"], 2.8)
        self._before = self.keep(right.plot(x, 0 * x, color=COLOURS["before"], lw=2.0, ls=":")[0])
        self._after = self.keep(right.plot(x, 0 * x, color=COLOURS["after"], lw=3.0)[0])
        for label, line, colour in (("before: θ", ":", COLOURS["before"]), ("after: φ", "-", COLOURS["after"])):
            right.plot([], [], color=colour, ls=line, lw=2.5, label=label)
        right.legend(loc="upper center", ncols=4, handlelength=1.4, columnspacing=0.8, handletextpad=0.5)

    def _curve(self, ax: Any, colour: str, width: float) -> tuple[Any, Any]:
        name = ax.text(0, 1, "", color=colour, fontsize=11, va="center", clip_on=True)
        return self.line(ax, color=colour, lw=width), self.keep(name)

    def update(self, frame: Frame) -> None:
        """Move the lines to one frame; names that would overlap are pushed apart, the present one stays."""
        curves = [frame.curve, *reversed(frame.earlier)]
        ends = [(int(curve.outer_steps[-1]), float(np.clip(curve.error[-1], *ERROR_LIMITS))) for curve in curves]
        heights = apart(ends)
        for i, (line, name) in enumerate([self._now, *self._earlier]):
            line.set_visible(i < len(curves))
            name.set_visible(i < len(curves))
            if i < len(curves):
                line.set_data(curves[i].outer_steps, np.clip(curves[i].error, *ERROR_LIMITS))
                name.set_position((curves[i].outer_steps[-1] + 12, heights[i]))
                name.set_text(curves[i].label)
        for line, y in ((self._before, frame.before), (self._after, frame.after)):
            line.set_ydata(finite(y))


class TrainingPanel(PlayingPanel):
    """The panel, with a run that trains in slices between which the kernel answers clicks and sliders."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.earlier: tuple[Curve, ...] = ()
        self.run: Run | None = None
        super().__init__(*args, **kwargs)

    def refresh(self) -> None:
        """A control moved: keep the present curve as an earlier one, and train again from theta_0."""
        if self.run is None:  # the panel has just been opened: show one finished run
            self.run = Run(self.state)
            while not self.run.finished:
                self.run.advance(SLICE)
            self._show()
            return
        if self.run.done >= WORTH_KEEPING:
            self.earlier = (*self.earlier, self.run.curve())[-MAX_EARLIER:]
        self.run = Run(self.state)
        self._show()
        self.play()

    def start(self) -> None:
        """Go on with a stopped run; after a finished one, run again on other tasks."""
        if self.run.finished:
            self.state = replace(self.state, seed=self.state.seed + 1)
            self.refresh()
        elif not self.running:
            self.play()

    def stop(self) -> None:
        """Stop at the present outer step."""
        super().stop()
        self._show()

    def reset(self) -> None:
        """Forget all curves and go back to theta_0, with the first settings."""
        self.running = False
        self.earlier, self.run = (), Run(self.start_state)
        self.place(self.start_state)
        self._show()

    def advance(self) -> bool:
        """Train for a moment and draw the result; return whether outer steps are left."""
        self.run.advance(SLICE)
        self._show()
        return not self.run.finished

    def _show(self) -> None:
        self.show(self.run.frame(self.earlier))


PRESETS = {
    "paper": asdict(State(beta=0.001)),
    "β too small": asdict(State(beta=1e-4)),
    "β too large": asdict(State(beta=0.1)),
    "joint training": asdict(State(method="joint")),
    "5 inner steps": asdict(State(steps=5)),
    "Reptile": asdict(State(method="reptile", beta=1.0, steps=10)),
}


def explorer() -> TrainingPanel:
    """Open the panel: the last line of a notebook cell. It opens with one finished run."""
    return TrainingPanel(
        "meta-training",
        State(),
        {
            "beta": powers(-4, 0, 0.1, "β"),
            "alpha": powers(-4, 0, 0.1, "α"),
            "steps": whole(0, 10, "inner steps m"),
            "tasks_per_step": whole(1, 100, "tasks per step"),
            "method": choice({name: t.label for name, t in LEARNERS.items() if name != "scratch"}, "method"),
        },
        compute,
        TrainingCanvas(),
        PRESETS,
        actions={"Start": TrainingPanel.start, "Stop": TrainingPanel.stop, "Reset": TrainingPanel.reset},
        marks={"beta": (0.001, "paper 0.001"), "alpha": (0.01, "paper 0.01")},
    )
