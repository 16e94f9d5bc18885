"""The landscape explorer's mapping: from the values of its controls to what is drawn and said."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from mapping_lib.page.canvas import number
from mapping_lib.worlds.landscapes import adapted_path, bowls, curvatures, direction, directions, meta_loss, sines

OUTER_STEPS = 60
LANDSCAPES = {"bowls": bowls(), "sines": sines()}
STARTS = {"bowls": ("theta1", "theta2"), "sines": ("amplitude", "phase")}
"""The parts of the state that say where a trail begins, in each plane."""

BACKGROUNDS = ("F(θ)", "E[L(θ)]")
CELLS = 61
"""Points of the map in each direction where the loss is computed; between them it is interpolated."""


@dataclass(frozen=True)
class State:
    """The values of the controls: ``alpha`` 0 ... 0.7, ``beta`` 0.01 ... 10, ``steps`` 0 ... 20.

    A trail begins at (theta1, theta2), for sines at (amplitude, phase).
    """

    tasks: str = "bowls"
    background: str = "F(θ)"
    follow: str = "MAML"
    alpha: float = 0.2
    beta: float = 1.0
    steps: int = 3
    theta1: float = -3.2
    theta2: float = 3.2
    amplitude: float = 0.9
    phase: float = 0.3


class Trail(NamedTuple):
    """Where theta was: ``(outer step + 1, 2)``, and who moved it."""

    method: str
    thetas: np.ndarray


class Surface(NamedTuple):
    """A loss over the map ``(CELLS, CELLS)``, its lowest value there, and where that is."""

    values: np.ndarray
    lowest: float
    at: np.ndarray


class Arrow(NamedTuple):
    """What one method descends at theta, its cosine with MAML's, and F after one outer step by it."""

    direction: np.ndarray
    length: float
    cosine: float
    after: float


class Frame(NamedTuple):
    """What is drawn. ``paths (steps + 1, task, 2)`` are the inner paths; the last trail is the present one.

    ``errors`` are F along each trail, under the present alpha and m; ``joint_minimum`` is where E[L] is lowest.
    """

    state: State
    surface: Surface
    F_surface: Surface
    joint_minimum: np.ndarray
    paths: np.ndarray
    arrows: dict[str, Arrow]
    trails: tuple[Trail, ...]
    errors: tuple[np.ndarray, ...]
    words: str


def compute(state: State, trails: tuple[Trail, ...] = ()) -> Frame:
    """The map, and what an outer step would do at the end of the last trail; without trails, at the start.

    >>> frame = compute(State(steps=5))
    >>> frame.paths.shape, frame.surface.values.shape, sorted(frame.arrows)
    ((6, 4, 2), (61, 61), ['FOMAML', 'MAML', 'Reptile', 'joint training'])
    """
    trails = trails or (start(state),)
    theta = torch.from_numpy(trails[-1].thetas[-1])
    landscape, inner = LANDSCAPES[state.tasks], {"alpha": state.alpha, "steps": state.steps}
    slopes = directions(landscape, theta, **inner)
    candidates = torch.stack([theta - state.beta * slope for slope in slopes.values()])
    points = [candidates, *(torch.from_numpy(trail.thetas) for trail in trails)]
    after, *errors = meta_loss(landscape, torch.cat(points), **inner).split([len(p) for p in points])
    F_surface, joint_surface = surface(state.tasks, state.alpha, state.steps), surface(state.tasks, 0.0, 0)
    frame = Frame(
        state,
        F_surface if state.background == "F(θ)" else joint_surface,
        F_surface,
        joint_surface.at,
        adapted_path(landscape, theta, **inner).numpy(),
        {name: _arrow(slope, slopes["MAML"], F) for (name, slope), F in zip(slopes.items(), after, strict=True)},
        trails,
        tuple(error.numpy() for error in errors),
        "",
    )
    return frame._replace(words=in_words(frame))


def start(state: State) -> Trail:
    """The trail that has only its beginning."""
    theta = [getattr(state, name) for name in STARTS[state.tasks]]
    return Trail(state.follow, np.array([theta], dtype=np.float32))


def walk(state: State) -> Trail:
    """All outer steps of the method to follow, until `end`."""
    trail = start(state)
    while not end(state, trail):
        theta = torch.from_numpy(trail.thetas[-1])
        slope = direction(LANDSCAPES[state.tasks], theta, trail.method, alpha=state.alpha, steps=state.steps)
        trail = longer(trail, slope.numpy(), state.beta)
    return trail


def longer(trail: Trail, slope: np.ndarray, beta: float) -> Trail:
    """The trail after one more outer step, theta - beta * slope."""
    return trail._replace(thetas=np.vstack([trail.thetas, trail.thetas[-1] - np.float32(beta) * slope]))


def end(state: State, trail: Trail) -> str:
    """Why there is no further outer step: it "left" the map, stands "still", is "done"; "" if there is one.

    >>> end(State(), start(State())), end(State(), Trail("MAML", np.full((2, 2), np.nan)))
    ('', 'left')
    """
    limits = np.array(LANDSCAPES[state.tasks].limits)
    theta, size = trail.thetas[-1], limits[:, 1] - limits[:, 0]
    if not ((limits[:, 0] - 0.02 * size <= theta) & (theta <= limits[:, 1] + 0.02 * size)).all():
        return "left"
    if len(trail.thetas) > 1 and (abs(theta - trail.thetas[-2]) < 3e-5 * size).all():
        return "still"
    return "done" if len(trail.thetas) > OUTER_STEPS else ""


@lru_cache(maxsize=64)
def surface(tasks: str, alpha: float, steps: int) -> Surface:
    """F over the map of a landscape; with no steps, E[L]. What is not a number counts as very large.

    >>> surface("bowls", 0.0, 0).at.round(1)
    array([-1.5, -1. ], dtype=float32)
    """
    landscape = LANDSCAPES[tasks]
    across, up = (torch.linspace(low, high, CELLS, dtype=torch.float32) for low, high in landscape.limits)
    grid = torch.stack(torch.meshgrid(across, up, indexing="xy"), dim=-1)
    values = meta_loss(landscape, grid, alpha=alpha, steps=steps).numpy()
    values = np.nan_to_num(values, nan=1e30, posinf=1e30).clip(0, 1e30)
    row, column = np.unravel_index(values.argmin(), values.shape)
    shift = _vertex(values[row - 1 : row + 2, column - 1 : column + 2])
    at = grid[row, column].numpy() + shift * np.array([across[1] - across[0], up[1] - up[0]], dtype=np.float32)
    return Surface(values, float(values.min()), at)


def _vertex(nine: np.ndarray) -> np.ndarray:
    """Where, in cells from the middle, the parabola through 3 x 3 values is lowest; (0, 0) at the map's edge."""
    if nine.shape != (3, 3):
        return np.zeros(2, dtype=np.float32)
    nine = nine.astype(np.float64)
    slope = np.array([nine[1, 2] - nine[1, 0], nine[2, 1] - nine[0, 1]]) / 2
    mixed = (nine[2, 2] - nine[2, 0] - nine[0, 2] + nine[0, 0]) / 4
    xx, yy = nine[1, 2] - 2 * nine[1, 1] + nine[1, 0], nine[2, 1] - 2 * nine[1, 1] + nine[0, 1]
    if not xx * yy - mixed**2 > 1e-4 * (xx + yy) ** 2:  # no bowl, or so long a valley that rounding places its lowest
        return np.zeros(2, dtype=np.float32)
    return -np.linalg.solve([[xx, mixed], [mixed, yy]], slope).clip(-1, 1).astype(np.float32)


def _arrow(slope: torch.Tensor, maml: torch.Tensor, after: torch.Tensor) -> Arrow:
    product = slope.norm() * maml.norm()
    cosine = float(slope @ maml / product) if 0 < product < np.inf else np.nan
    return Arrow(slope.numpy(), float(slope.norm()), cosine, float(after))


def steepest(state: State, theta: np.ndarray) -> float:
    """2 / lambda_max: the largest alpha with which inner steps on the steepest task are stable at theta."""
    hessians = curvatures(LANDSCAPES[state.tasks], torch.from_numpy(theta)).nan_to_num(0, 0, 0)
    return 2 / max(float(torch.linalg.eigvalsh(hessians).max()), 1e-9)


def in_words(frame: Frame) -> str:
    """What happened to F, and what is odd about it."""
    state, trail, F = frame.state, frame.trails[-1], frame.errors[-1]
    theta, k, why = torch.from_numpy(trail.thetas[-1]), len(trail.thetas) - 1, end(state, trail)
    joint = float(meta_loss(LANDSCAPES[state.tasks], theta, alpha=0, steps=0))
    where = f"outer step {k} of {OUTER_STEPS}" if k else "at the start"
    where += ", hardly moving any more" if why == "still" else ""
    began = f"at the start {number(F[0])}, " if k else ""
    F_now = f"F(θ) = {number(F[-1])} ({began}lowest on the map {number(frame.F_surface.lowest)})"
    odd = _departure(frame) if why == "left" else _inner_divergence(frame) or _uphill(frame) * (why != "still")
    return f"<b>{trail.method}</b>, {where}: {F_now}; E[L(θ)] = {number(joint)}. <b>{odd}</b>"


def _departure(frame: Frame) -> str:
    """Why theta left the map: only a rising F is divergence."""
    trail, F, state = frame.trails[-1], frame.errors[-1], frame.state
    if F[-1] <= F[0]:
        return "θ left the map."
    if frame.arrows[trail.method].cosine < 0:
        return f"Diverged: {trail.method}'s arrow points up F."
    why = "" if trail.method == "joint training" else _above_limit(state, trail.thetas[0])  # it takes no inner steps
    return f"Diverged: {why or 'β is too large'}."


def _inner_divergence(frame: Frame) -> str:
    """Which tasks the inner steps make worse, and why."""
    state, loss = frame.state, LANDSCAPES[frame.state.tasks].loss
    before, after = (loss(torch.from_numpy(phi)).numpy() for phi in (frame.paths[0], frame.paths[-1]))
    worse = [str(i + 1) for i in np.flatnonzero(~(after <= 1.001 * before + 1e-6))]
    if not worse:
        return ""
    why = _above_limit(state, frame.trails[-1].thetas[-1]) or "α is too large for the path that they take"
    return f"Inner steps make task{'s' * (len(worse) > 1)} {_list(worse)} worse: {why}."


def _above_limit(state: State, theta: np.ndarray) -> str:
    """Say that alpha is above what is stable for the steepest task; "" if it is not."""
    limit, where = steepest(state, theta), "" if state.tasks == "bowls" else " at θ"
    says = f"α = {state.alpha:.2g} is above 2/λ_max = {limit:.2g} of the steepest task{where}"
    return says if state.alpha > limit * 1.0001 else ""


def _uphill(frame: Frame) -> str:
    """Whether the next step of the method that is followed would point up F."""
    method = frame.trails[-1].method
    return f"Here {method}'s arrow points up F." if frame.arrows[method].cosine < -0.01 else ""


def _list(names: list[str]) -> str:
    """Names in a sentence.

    >>> _list(["a", "b", "c"]), _list(["a"])
    ('a, b and c', 'a')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
