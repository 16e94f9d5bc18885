"""Explorer: what alpha, the number of inner steps and the support do to one task's adaptation."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from mapping_lib import batched_mlp
from mapping_lib.curvature import largest_eigenvalue
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import ALPHA_PREFIX
from mapping_lib.page.canvas import ALARM, Canvas, count, finite
from mapping_lib.page.panel import Panel, choice, decimal, powers, whole
from mapping_lib.page.plots import COLOURS
from mapping_lib.study.sinusoids import LEARNERS, noisy_points, shipped
from mapping_lib.task import Batch, Params

MAX_STEPS, MAX_SHOTS = 20, 20
PAPER_ALPHA = 0.01
ERROR_LIMITS = (1e-3, 1e3)
GRID = torch.linspace(-5, 5, 161, dtype=torch.float32)[:, None]


@dataclass(frozen=True)
class State:
    """The values of the controls. ``alpha`` 1e-4 ... 1, ``amplitude`` 0.1 ... 5, ``phase`` 0 ... pi."""

    learner: str = "maml"
    rival: str = "joint"
    alpha: float = PAPER_ALPHA
    steps: int = 5
    k_shot: int = 10
    amplitude: float = 3.0
    phase: float = 1.0
    noise: float = 0.0
    points: int = 0


class Path(NamedTuple):
    """One learner's adaptation: its fit and its errors after 0 ... steps inner steps."""

    label: str
    curves: np.ndarray
    support_error: np.ndarray
    query_error: np.ndarray
    diverged_at: int | None
    verdict: str


class Frame(NamedTuple):
    """What is drawn: the task, one path or two, and what to say about them."""

    truth: np.ndarray
    support: np.ndarray
    paths: tuple[Path, ...]
    words: str


def compute(state: State) -> Frame:
    """Adapt the chosen theta, or two, to the task that the controls describe.

    >>> frame = compute(State(steps=3))
    >>> frame.paths[0].curves.shape, len(frame.paths[0].query_error)
    ((4, 161), 4)
    """
    description = torch.tensor([state.amplitude, state.phase], dtype=torch.float32)
    truth = Sinusoids.truth(description, GRID)
    support = noisy_points(description, state.k_shot, state.noise, state.points)
    names = [state.learner] + [state.rival] * (state.rival not in ("none", state.learner))
    paths = tuple(_path(name, state, support, truth) for name in names)
    words = "<br>".join(f"<b>{path.label}</b>: {path.verdict}" for path in paths)
    return Frame(truth[:, 0].numpy(), torch.cat(support, dim=1).numpy(), paths, words)


_shipped = lru_cache(maxsize=None)(shipped)


@torch.no_grad()
def _path(name: str, state: State, support: Batch, truth: torch.Tensor) -> Path:
    params, alphas = _start(name, state.alpha)
    batch = Batch(support.x[None], support.y[None])
    iterates = batched_mlp.adapt_path(params, alphas, batch, state.steps)
    stacked = [torch.stack([phi[i][0] for phi in iterates]) for i in range(len(params))]
    y_hat = batched_mlp.forward(stacked, torch.cat([support.x, GRID]).expand(len(iterates), -1, 1))[-1][..., 0]
    support_error = (y_hat[:, : state.k_shot] - support.y[:, 0]).square().mean(1).numpy()
    curves = y_hat[:, state.k_shot :]
    query_error = (curves - truth[:, 0]).square().mean(1).numpy()
    diverged_at = _diverged_at(support_error, float(support.y.square().mean()))
    after = f"{query_error[-1]:.3f} after {count(state.steps, 'inner step')}"
    verdict = f"query error {query_error[0]:.2f} before, {after}"
    if diverged_at is not None:
        verdict = _divergence_in_words(diverged_at, support_error, state.alpha, iterates, alphas, batch)
    return Path(LEARNERS[name].label, curves.numpy(), support_error, query_error, diverged_at, verdict)


def _start(name: str, alpha: float) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Initial parameters and step sizes; Meta-SGD's learned alphas are scaled by alpha over the paper's."""
    _, theta = _shipped(name)
    weights = [theta[n] for n in theta if not n.startswith(ALPHA_PREFIX)]
    if name == "meta_sgd":
        return weights, [theta[n] * (alpha / PAPER_ALPHA) for n in theta if n.startswith(ALPHA_PREFIX)]
    alphas = [torch.tensor(alpha, dtype=torch.float32)] * len(weights)
    if name == "anil":
        alphas = [torch.tensor(0.0, dtype=torch.float32)] * (len(weights) - 2) + alphas[-2:]
    return weights, alphas


def _diverged_at(support_error: np.ndarray, spread: float) -> int | None:
    """The first step after which the support error is ten times what it began with, or not a number."""
    bound = 10 * max(support_error[0], spread)
    gone = np.flatnonzero(~(support_error <= bound))
    return int(gone[0]) if len(gone) else None


def _divergence_in_words(at: int, error: np.ndarray, alpha: float, iterates, alphas, support: Batch) -> str:
    """Say why: compare alpha with 2 / lambda_max where the support error begins to grow."""
    grows = int(np.argmax(~(error[1:] <= error[:-1])))
    limit = alpha * 2 / max(_sharpness(iterates[grows], alphas, support), 1e-12)
    where = "at θ" if grows == 0 else f"after step {grows}"
    if alpha > limit:
        return f"diverged at step {at}: α = {alpha:.3g} is above 2/λ_max = {limit:.2g} {where}"
    return f"diverged at step {at}: α = {alpha:.3g} is too large for the path that it takes"


def _sharpness(phi: list[torch.Tensor], alphas: list[torch.Tensor], support: Batch) -> float:
    """The largest eigenvalue of alpha times the Hessian: a step is stable while it is below 2."""
    _, hidden, deltas = batched_mlp.loss_gradient(phi, support)

    def product(v: Params) -> Params:
        moved = [a * u for a, u in zip(alphas, v.values(), strict=True)]
        return dict(enumerate(batched_mlp.hessian_product(phi, hidden, deltas, moved)))

    generator = torch.Generator().manual_seed(0)
    start = {i: torch.randn(p.shape, generator=generator, dtype=torch.float32) for i, p in enumerate(phi)}
    return float(largest_eigenvalue(product, start, iterations=15))


class AdaptationCanvas(Canvas):
    """Left: the task and the path of fits. Right: support and query error by inner step."""

    def build(self, figure: Figure) -> None:
        """Two axes with fixed limits."""
        left, right = (figure.add_axes((x, 0.145, width, 0.755)) for x, width in ((0.06, 0.52), (0.675, 0.31)))
        left.set(xlim=(-5, 5), ylim=(-6.5, 6.5), xlabel="x", ylabel="y", title="one task: from θ to φ")
        right.set(xlim=(-0.4, MAX_STEPS + 0.4), ylim=ERROR_LIMITS, yscale="log")
        right.set(xlabel="inner step", ylabel="mean squared error", title="error by inner step")
        ticks = [10.0**e for e in range(-3, 4)]
        right.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        right.set_xticks(range(0, MAX_STEPS + 1, 5))
        self._lines = [self._learner_lines(left, right, COLOURS[role]) for role in ("rival", "after")][::-1]
        self._truth = self.truth(left, "")
        self._points = self.line(left, "o", color=COLOURS["support"], ms=9, mec="black", mew=1.0)
        self._alarm = self.keep(figure.text(0.32, 0.16, "", ha="center", color=ALARM, fontsize=14, weight="bold"))
        style = {"ha": "right", "va": "top", "weight": "bold"}
        self._names = [
            self.keep(right.text(0.97, y, "", color=COLOURS[role], transform=right.transAxes, **style))
            for y, role in ((0.97, "after"), (0.90, "rival"))
        ]
        _key(left, [("truth", "--", ""), ("support", "", "o"), ("before: θ", ":", ""), ("after: φ", "-", "")])
        _key(right, [("query", "-", "o"), ("support", ":", "s")])

    def _learner_lines(self, left, right, colour: str) -> dict[str, Any]:
        return {
            "path": self.collect(left, LineCollection([], colors=[colour], linewidths=0.9, alpha=0.35)),
            "before": self.line(left, color=colour, lw=1.6, ls=":"),
            "after": self.line(left, color=colour, lw=3.0),
            "support": self.line(right, color=colour, lw=1.4, ls=":", marker="s", ms=3),
            "query": self.line(right, color=colour, lw=2.4, marker="o", ms=4),
        }

    def update(self, frame: Frame) -> None:
        """Move the lines to one frame."""
        x = GRID[:, 0].numpy()
        self._truth.set_data(x, frame.truth)
        self._points.set_data(*frame.support.T)
        for i, lines in enumerate(self._lines):
            for artist in lines.values():
                artist.set_visible(i < len(frame.paths))
            if i < len(frame.paths):
                self._draw_path(lines, x, frame.paths[i])
        for i, name in enumerate(self._names):
            name.set_text(frame.paths[i].label if i < len(frame.paths) else "")
        alarms = [f"{p.label} diverged at step {p.diverged_at}" for p in frame.paths if p.diverged_at is not None]
        self._alarm.set_text("\n".join(alarms))

    def _draw_path(self, lines: dict[str, Any], x: np.ndarray, path: Path) -> None:
        curves = finite(path.curves)
        lines["path"].set_segments([np.column_stack([x, y]) for y in curves[1:-1]])
        lines["before"].set_data(x, curves[0])
        lines["after"].set_data(x, curves[-1])
        steps = np.arange(len(curves))
        for name, error in (("query", path.query_error), ("support", path.support_error)):
            lines[name].set_data(steps, np.clip(np.nan_to_num(error, nan=np.inf), *ERROR_LIMITS))


def _key(ax, entries: list[tuple[str, str, str]]) -> None:
    """A legend in grey, where line style and marker carry the meaning and colour says which learner."""
    for label, line, marker in entries:
        colour = COLOURS["support"] if line == "" else "#666666"
        ax.plot([], [], linestyle=line or "none", marker=marker or None, color=colour, label=label, lw=2)
    ax.legend(loc="upper left", ncols=len(entries), handlelength=1.6, columnspacing=0.9, handletextpad=0.5)


PRESETS = {
    "paper": asdict(State(rival="none", steps=1, k_shot=5)),
    "too small α": asdict(State(alpha=1e-4, steps=20)),
    "diverges": asdict(State(alpha=0.1, steps=10)),
    "one shot": asdict(State(k_shot=1, rival="none")),
    "MAML or joint?": asdict(State(steps=10)),
    "past its one step": asdict(State(learner="meta_sgd", rival="maml", steps=20)),
    "reset": asdict(State()),
}


def explorer() -> Panel:
    """Open the panel: the last line of a notebook cell."""
    names = {name: training.label for name, training in LEARNERS.items()}
    return Panel(
        "adaptation",
        State(),
        {
            "alpha": powers(-4, 0, 0.05, "α"),
            "steps": whole(0, MAX_STEPS, "inner steps m"),
            "k_shot": whole(1, MAX_SHOTS, "examples K"),
            "amplitude": decimal(0.1, 5.0, 0.1, "amplitude"),
            "phase": decimal(0.0, 3.1, 0.1, "phase"),
            "noise": decimal(0.0, 1.0, 0.05, "noise"),
            "learner": choice(names, "θ from"),
            "rival": choice(names | {"none": "nobody"}, "beside"),
        },
        compute,
        AdaptationCanvas(),
        PRESETS,
        actions={"new points": lambda panel: panel.set(points=panel.state.points + 1)},
        marks={"alpha": (PAPER_ALPHA, "paper 0.01")},
    )
