"""Explorer: tasks over two parameters seen from above, and where MAML, FOMAML, Reptile and joint training go."""

from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from mapping_lib.explorers.panel import ALARM, DPI, LOOK, Canvas, PlayingPanel, apart
from mapping_lib.families.landscapes import (
    METHODS,
    adapted_path,
    bowls,
    curvatures,
    direction,
    directions,
    meta_loss,
    sines,
)
from mapping_lib.plots import COLOURS
from mapping_lib.plots import METHODS as METHOD_COLOURS

OUTER_STEPS, MAX_STEPS, MAX_ALPHA = 60, 20, 0.7
LANDSCAPES = {"bowls": bowls(), "sines": sines()}
STARTS = {"bowls": (-3.2, 3.2), "sines": (0.9, 0.3)}
BACKGROUNDS = ("F(θ)", "E[L(θ)]")
CELLS = 61
"""Points of the map in each direction where the loss is computed; between them it is interpolated."""

BANDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
"""Edges of the map's bands: how far the loss lies above its lowest value on the map."""

FAR = 1e3
"""Points beyond this, or not numbers, are drawn here, far outside the map."""


@dataclass(frozen=True)
class State:
    """The values of the controls: ``alpha`` 0 ... 0.7, ``beta`` 0.01 ... 10, (theta1, theta2) where a trail begins."""

    tasks: str = "bowls"
    background: str = "F(θ)"
    follow: str = "MAML"
    alpha: float = 0.2
    beta: float = 0.7
    steps: int = 3
    theta1: float = -3.2
    theta2: float = 3.2


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
    return Trail(state.follow, np.array([[state.theta1, state.theta2]], dtype=np.float32))


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
    """Why there is no further outer step: "left" the map, "rest", "done"; "" if there is one.

    >>> end(State(), start(State())), end(State(), Trail("MAML", np.full((2, 2), np.nan)))
    ('', 'left')
    """
    limits = np.array(LANDSCAPES[state.tasks].limits)
    theta, size = trail.thetas[-1], limits[:, 1] - limits[:, 0]
    if not ((limits[:, 0] - 0.02 * size <= theta) & (theta <= limits[:, 1] + 0.02 * size)).all():
        return "left"
    if len(trail.thetas) > 1 and (abs(theta - trail.thetas[-2]) < 1e-4 * size).all():
        return "rest"
    return "done" if len(trail.thetas) > OUTER_STEPS else ""


@lru_cache(maxsize=64)
def surface(tasks: str, alpha: float, steps: int) -> Surface:
    """F over the map of a landscape; with no steps, E[L]. What is not a number counts as very large.

    >>> surface("bowls", 0.0, 0).at.round(1)
    array([-1.5, -1. ], dtype=float32)
    """
    landscape = LANDSCAPES[tasks]
    across, up = (torch.linspace(low, high, CELLS) for low, high in landscape.limits)
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
    if not xx * yy - mixed**2 > 0:
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
    trail, F = frame.trails[-1], frame.errors[-1]
    k = len(trail.thetas) - 1
    walked = f"outer step {k} of {OUTER_STEPS}" if k else "at the start"
    reached = {"rest": ", at rest", "done": "", "left": "", "": ""}[end(frame.state, trail)]
    began = f", it began at {F[0]:.3g}" if k else ""
    here = torch.from_numpy(trail.thetas[-1])
    joint = float(meta_loss(LANDSCAPES[frame.state.tasks], here, alpha=0, steps=0))
    first = f"<b>{trail.method}</b>, {walked}{reached}: F(θ) = {F[-1]:.3g}{began}; E[L(θ)] = {joint:.3g}. "
    lowest = f"The lowest F on the map is {frame.F_surface.lowest:.3g}. "
    return first + lowest + " ".join(f"<b>{note}</b>" for note in _notes(frame) if note)


def _notes(frame: Frame) -> list[str]:
    """The warnings: theta left, the inner steps go wrong, an arrow points up F."""
    state, trail, F = frame.state, frame.trails[-1], frame.errors[-1]
    theta = trail.thetas[-1]
    landscape, inside = LANDSCAPES[state.tasks], end(state, trail) != "left"
    losses = landscape.loss(torch.from_numpy(frame.paths[[0, -1]])).numpy()
    worse = [str(i + 1) for i in np.flatnonzero(~(losses[1] <= 1.001 * losses[0] + 1e-6))]
    limit = steepest(state, trail.thetas[0] if not inside else theta)
    where = "" if state.tasks == "bowls" else " at θ" if inside else " at the start"
    above = f"α = {state.alpha:.2g} is above 2/λ_max = {limit:.2g} of the steepest task{where}"
    at_rest = end(state, trail) == "rest"
    uphill = [name for name, arrow in frame.arrows.items() if arrow.cosine < -0.01 and not at_rest]
    if not inside:
        rises = not F[-1] <= F[0]
        reason = above if state.alpha > limit else "β is too large" if trail.method not in uphill else ""
        if rises and trail.method != "MAML" and frame.arrows[trail.method].cosine < 0:
            reason = f"{trail.method}'s arrow points up F"
        left = f"θ left the map at outer step {len(trail.thetas) - 1}"
        return [f"{'Diverged: ' if rises else ''}{left}{': ' + reason if rises and reason else ''}."]
    notes = []
    if worse:
        tasks = f"task{'s' * (len(worse) > 1)} {_list(worse)}"
        notes.append(f"Inner steps make {tasks} worse: {above if state.alpha > limit else 'α is too large'}.")
    if uphill:
        notes.append(f"Here {_list(uphill)} point{'s' * (len(uphill) == 1)} up F.")
    return notes


def _list(names: list[str]) -> str:
    """Names in a sentence.

    >>> _list(["a", "b", "c"]), _list(["a"])
    ('a, b and c', 'a')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


PIXELS = (400, 380)
"""Width and height of the map."""

ARROW = 62
"""Length of all arrows, in pixels; the table has their true lengths."""

DOTS = (0, (1.2, 0.9))
HALO = [withStroke(linewidth=2.5, foreground="white", alpha=0.75)]
WIDTHS = {"joint training": 13, "Reptile": 9.5, "FOMAML": 6.5, "MAML": 3.5}
"""From the lowest arrow to the topmost, so that arrows that coincide show all their colours."""


class LandscapeCanvas(Canvas):
    """Left: the map. Right: what an outer step would do, and F by outer step."""

    size = (10.6, 4.9)

    def build(self, figure: Figure) -> None:
        """A map, a scale for its bands, a table and a chart."""
        width, height = (DPI * inches for inches in self.size)
        bottom, tall = 54 / height, PIXELS[1] / height
        self._map = figure.add_axes((66 / width, bottom, PIXELS[0] / width, tall))
        self._chart = figure.add_axes((0.625, bottom, 0.365, 0.47))
        _band_scale(figure.add_axes(((76 + PIXELS[0]) / width, bottom, 12 / width, tall)))
        self._build_map()
        self._build_table(figure)
        self._build_chart()
        self._tasks, self._surface, self._range = "", None, (0.0, 0.0)

    def _build_map(self) -> None:
        ax = self._map
        ax.grid(False)
        self._title = self.keep(ax.set_title("", fontsize=13, pad=26, loc="left"))
        self._image = self.keep(ax.imshow(np.zeros((2, 2, 4), dtype=np.uint8), origin="lower", aspect="auto"))
        self._rings = self.keep(LineCollection([], colors=COLOURS["truth"], linewidths=1.0, linestyles=(0, (4, 3))))
        ax.add_collection(self._rings, autolim=False)
        self._numbers = [
            self.keep(ax.text(0, 0, str(i + 1), fontsize=12, weight="bold", path_effects=HALO)) for i in range(4)
        ]
        self._best = self.keep(ax.plot([], [], "X", color=COLOURS["truth"], ms=8, mec="white")[0])
        self._lowest = {name: self._lowest_mark(name) for name in ("joint training", "MAML")}
        self._earlier = {name: self._trail_lines(name, 2.0, 0.55) for name in METHODS}
        self._trails = {name: self._trail_lines(name, 2.6, 1.0) for name in METHODS}
        self._inner = self.keep(LineCollection([], colors=COLOURS["after"], linewidths=1.6, linestyles=DOTS))
        ax.add_collection(self._inner, autolim=False)
        self._phi = self.keep(ax.plot([], [], "o", color=COLOURS["after"], ms=7, mec="white", mew=1.0)[0])
        self._arrows = self.keep(PolyCollection([], linewidths=0.6, edgecolors="white"))
        ax.add_collection(self._arrows, autolim=False)
        self._theta = self.keep(ax.plot([], [], "o", color="white", ms=12, mec="black", mew=2.2)[0])
        _map_key(ax)

    def _lowest_mark(self, method: str) -> tuple[Any, Any]:
        colour, name = METHOD_COLOURS[method], "F" if method == "MAML" else "E[L]"
        mark = self.keep(self._map.plot([], [], "D", color="white", ms=8, mec=colour, mew=2.4)[0])
        return mark, self.keep(
            self._map.text(0, 0, f"lowest {name}", color=colour, fontsize=11, weight="bold", path_effects=HALO)
        )

    def _trail_lines(self, method: str, width: float, alpha: float) -> Any:
        style = {"lw": width, "marker": "o", "ms": 2.2 * width, "mec": "white", "mew": 0.5}
        return self.keep(self._map.plot([], [], color=METHOD_COLOURS[method], alpha=alpha, **style)[0])

    def _build_table(self, figure: Figure) -> None:
        tops = [0.845 - 0.058 * i for i in range(len(METHODS))]
        columns = {"length": 0.765, "cosine with MAML": 0.90, "F after it": 0.985}
        figure.text(0.565, 0.955, "one outer step from θ", fontsize=13, va="center")
        for name, x in columns.items():
            figure.text(x, 0.90, name, ha="right", va="center", fontsize=11, color="#666666")
        for method, y in zip(METHODS, tops, strict=True):
            figure.text(0.565, y, f"➤ {method}", color=METHOD_COLOURS[method], weight="bold", fontsize=12, va="center")
        self._cells = {
            method: [self.keep(figure.text(x, y, "", ha="right", va="center", fontsize=12)) for x in columns.values()]
            for method, y in zip(METHODS, tops, strict=True)
        }

    def _build_chart(self) -> None:
        ax = self._chart
        ax.set(xlim=(0, OUTER_STEPS * 1.36), yscale="log", xlabel="outer step", ylabel="F(θ)")
        ax.set_xticks(range(0, OUTER_STEPS + 1, 10))
        ax.minorticks_off()
        colour = METHOD_COLOURS["MAML"]
        self._floor = self.keep(ax.axhline(1.0, color=colour, lw=1.2, ls=(0, (4, 3))))
        style = {"color": colour, "fontsize": 10, "va": "top"}
        self._floor_name = self.keep(ax.text(0.6, 1.0, "lowest F on the map", **style))
        self._curves = []
        for width in (1.6, 1.6, 1.6, 1.6, 2.8):
            line = self.keep(ax.plot([], [], lw=width)[0])
            point = self.keep(ax.plot([], [], "o", ms=2.6 * width)[0])
            name = self.keep(ax.text(0, 1, "", fontsize=11, va="bottom", clip_on=True))
            self._curves.append((line, point, name))

    def update(self, frame: Frame) -> None:
        """Move everything to one frame; axes are drawn again only when their limits change."""
        new_axes = self._set_tasks(frame.state.tasks)
        new_axes |= self._set_range(frame)
        if new_axes:
            self.redraw_axes()
        if frame.surface is not self._surface:
            self._surface = frame.surface
            self._image.set_data(_bands(frame.surface))
        self._draw_map(frame)
        self._draw_table(frame)
        self._draw_chart(frame)

    def _set_tasks(self, tasks: str) -> bool:
        """Show another plane of parameters; return whether it is another one."""
        if tasks == self._tasks:
            return False
        landscape, self._tasks = LANDSCAPES[tasks], tasks
        (left, right), (bottom, top) = landscape.limits
        self._map.set(xlim=(left, right), ylim=(bottom, top))
        self._map.set_xlabel(landscape.names[0])
        self._map.set_ylabel(landscape.names[1], labelpad=2)
        self._image.set_extent((left, right, bottom, top))
        self._rings.set_segments(_rings(tasks))
        best = landscape.minima.numpy()
        self._best.set_data(best[:, 0], best[:, 1])
        for number, (x, y) in zip(self._numbers, best, strict=True):
            number.set_position((x + 0.022 * (right - left), y + 0.018 * (top - bottom)))
        return True

    def _set_range(self, frame: Frame) -> bool:
        """Let the chart's axis hold all of F, from a round number to a round number; return whether it changed."""
        values = np.concatenate([*frame.errors, [frame.F_surface.lowest]])
        values = np.nan_to_num(values, nan=1e6).clip(1e-6, 1e6)
        low, high = _round(values.min() / 1.35, down=True), _round(values.max() * 1.15, down=False)
        if (low, high) == self._range:
            return False
        self._range = (low, high)
        self._chart.set_ylim(low, high)
        ticks = _round_numbers(low, high)
        self._chart.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        return True

    def _draw_map(self, frame: Frame) -> None:
        state, present = frame.state, frame.trails[-1]
        steps = f"{state.steps} inner step{'s' * (state.steps != 1)}"
        loss = (
            f"F(θ), the mean loss after {steps}"
            if state.background == "F(θ)"
            else "E[L(θ)], the mean loss before any step"
        )
        self._title.set_text(f"grey: {loss}")
        for method, point in (("joint training", frame.joint_minimum), ("MAML", frame.F_surface.at)):
            self._place_lowest(method, point)
        drawn = {trail.method: trail for trail in frame.trails[:-1]}
        for name in METHODS:
            for lines, trail in (
                (self._earlier, drawn.get(name)),
                (self._trails, present if present.method == name else None),
            ):
                lines[name].set_visible(trail is not None and len(trail.thetas) > 1)
                if trail is not None:
                    lines[name].set_data(*_finite(trail.thetas).T)
        paths = _finite(frame.paths)
        self._inner.set_segments(list(paths.swapaxes(0, 1)))
        self._phi.set_data(paths[-1, :, 0], paths[-1, :, 1])
        theta = _finite(present.thetas[-1])
        self._theta.set_data([theta[0]], [theta[1]])
        self._draw_arrows(frame, theta)

    def _place_lowest(self, method: str, at: np.ndarray) -> None:
        mark, name = self._lowest[method]
        mark.set_data([at[0]], [at[1]])
        (left, right), (bottom, top) = LANDSCAPES[self._tasks].limits
        crowded, below = at[0] > left + 0.75 * (right - left), method == "joint training"
        aside, lift = (-0.025 if crowded else 0.025) * (right - left), (-0.015 if below else 0.015) * (top - bottom)
        name.set_position((at[0] + aside, at[1] + lift))
        name.set(ha="right" if crowded else "left", va="top" if below else "bottom")

    def _draw_arrows(self, frame: Frame, theta: np.ndarray) -> None:
        limits = np.array(LANDSCAPES[self._tasks].limits)
        data_per_pixel = (limits[:, 1] - limits[:, 0]) / PIXELS
        shapes, colours = [], []
        longest = max((arrow.length for arrow in frame.arrows.values() if np.isfinite(arrow.length)), default=0.0)
        for name, width in WIDTHS.items():
            way = -frame.arrows[name].direction / data_per_pixel
            if 1e-3 * longest < frame.arrows[name].length < np.inf:  # shorter: it is at rest, no way is worth showing
                shapes.append(theta + _arrow_shape(way / np.linalg.norm(way), width) * data_per_pixel)
                colours.append(METHOD_COLOURS[name])
        self._arrows.set_verts(shapes)
        self._arrows.set_facecolor(colours or "none")

    def _draw_table(self, frame: Frame) -> None:
        now = frame.errors[-1][-1]
        for method, (length, cosine, after) in self._cells.items():
            arrow = frame.arrows[method]
            length.set_text(_number(arrow.length))
            cosine.set_text("–" if np.isnan(arrow.cosine) else f"{arrow.cosine:+.2f}".replace("-", "−"))
            after.set_text(f"{_number(arrow.after)} {'↓' if arrow.after < now else '↑'}")
            after.set_color("black" if arrow.after < now else ALARM)

    def _draw_chart(self, frame: Frame) -> None:
        low, high = self._range
        self._floor.set_ydata([max(frame.F_surface.lowest, low)] * 2)
        self._floor_name.set_y(max(frame.F_surface.lowest, low) * (low / high) ** 0.015)
        shown = [(trail, _clip(error, low, high)) for trail, error in zip(frame.trails, frame.errors, strict=True)][
            ::-1
        ]
        ends = [(len(error) - 1, float(error[-1])) for _, error in shown]
        heights = apart(ends, width=22, factor=(high / low) ** 0.085)
        for i, (line, point, name) in enumerate(self._curves[::-1]):
            for artist in (line, point, name):
                artist.set_visible(i < len(shown))
            if i < len(shown):
                trail, error = shown[i]
                line.set_data(range(len(error)), error)
                point.set_data([len(error) - 1], error[-1:])
                name.set_position((len(error) + 0.6, heights[i]))
                name.set_text(trail.method)
                for artist in (line, point, name):
                    artist.set_color(METHOD_COLOURS[trail.method])


def _finite(points: np.ndarray) -> np.ndarray:
    return np.clip(np.nan_to_num(points, nan=FAR, posinf=FAR, neginf=-FAR), -FAR, FAR)


def _clip(error: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip(np.nan_to_num(error, nan=np.inf), low, high)


def _number(value: float) -> str:
    """Three digits: 0.0123, 1.23, 123, 1.2e+04; a dash for what is not a number."""
    return f"{value:.3g}" if np.isfinite(value) else "–"


def _round_numbers(low: float, high: float) -> list[float]:
    """Ticks between two positive numbers: 1, 2, 5, 10 ..., or powers of ten where these would be many.

    >>> _round_numbers(0.5, 10.0), _round_numbers(0.001, 10.0)
    ([0.5, 1.0, 2.0, 5.0, 10.0], [0.001, 0.01, 0.1, 1.0, 10.0])
    """
    heads = (1, 2, 5) if high / low < 200 else (1,)
    numbers = [float(f"{head}e{e}") for e in range(-7, 8) for head in heads]
    return [number for number in numbers if 0.999 * low <= number <= 1.001 * high]


def _round(value: float, *, down: bool) -> float:
    """The next of 1, 2, 5, 10 ... below or above a positive number."""
    numbers = [float(f"{head}e{e}") for e in range(-8, 9) for head in (1, 2, 5)]
    return max(n for n in numbers if n <= value) if down else min(n for n in numbers if n >= value)


SHADES = np.array([[round(255 * (1 - 0.42 * i / len(BANDS)))] * 3 + [255] for i in range(len(BANDS) + 1)], np.uint8)
EDGE = 26
"""How much darker than its band the line between two bands is."""


def _bands(surface: Surface) -> np.ndarray:
    """The picture of a loss: one grey a band, lighter is lower, with a line between bands."""
    excess = torch.from_numpy(surface.values - surface.lowest).clip(1e-5, 1e4)[None, None]
    fine = torch.nn.functional.interpolate(excess, PIXELS[::-1], mode="bicubic", align_corners=True)[0, 0]
    band = torch.bucketize(fine, torch.tensor(BANDS)).numpy()
    picture = SHADES[band]
    line = np.zeros(band.shape, dtype=bool)
    line[1:] |= band[1:] != band[:-1]
    line[:, 1:] |= band[:, 1:] != band[:, :-1]
    picture[line, :3] -= EDGE
    return picture


def _rings(tasks: str, level: float = 0.1) -> list[np.ndarray]:
    """Around each task's best point, where its loss is ``level`` (to second order): a steep task has a small ring."""
    landscape, angle = LANDSCAPES[tasks], np.linspace(0, 2 * np.pi, 60)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    rings = []
    for i, best in enumerate(landscape.minima):
        values, vectors = np.linalg.eigh(curvatures(landscape, best)[i].numpy())
        rings.append(best.numpy() + (circle * np.sqrt(2 * level / values)) @ vectors.T)
    return rings


def _arrow_shape(way: np.ndarray, width: float) -> np.ndarray:
    """The corners of an arrow along a unit vector, in pixels."""
    side, head = np.array([-way[1], way[0]]), 10 + width
    half, wing, neck = width / 2, width / 2 + 5, ARROW - head
    corners = [(0, half), (neck, half), (neck, wing), (ARROW, 0), (neck, -wing), (neck, -half), (0, -half)]
    return np.array([along * way + across * side for along, across in corners])


def _band_scale(ax: Any) -> None:
    """A column of all bands, named by how far they lie above the lowest value."""
    ax.imshow(SHADES[:, None], origin="lower", aspect="auto", extent=(0, 1, 0, len(SHADES)))
    ax.hlines(range(1, len(SHADES)), 0, 1, color="#888888", lw=0.8)
    ax.set_xticks([])
    ax.set_yticks(range(1, len(SHADES), 3), [f"{edge:g}" for edge in BANDS[::3]], fontsize=10)
    ax.yaxis.tick_right()
    ax.tick_params(length=0, pad=2)
    ax.yaxis.set_label_position("right")
    ax.set_ylabel("loss above its lowest", fontsize=10, labelpad=2)
    ax.spines[:].set_visible(False)
    ax.grid(False)


def _map_key(ax: Any) -> None:
    style = {"linestyle": "none"}
    ax.plot([], [], "o", color="white", mec="black", mew=2.2, ms=10, label="θ", **style)
    ax.plot([], [], "o", ls=DOTS, color=COLOURS["after"], ms=6, lw=1.6, label="φ after the inner steps")
    ax.plot([], [], "X", color=COLOURS["truth"], ms=8, label="a task's best point", **style)
    where = {"loc": "lower left", "bbox_to_anchor": (-0.02, 0.985), "borderaxespad": 0.2}
    ax.legend(ncols=3, handlelength=1.3, columnspacing=1.0, handletextpad=0.4, **where)


class LandscapePanel(PlayingPanel):
    """The panel, with a trail of outer steps that the reader takes one by one or plays.

    Moving alpha, beta, m or the background leaves theta where it is: the map and the arrows change around
    it, and F along all trails is computed anew. Moving the start, or following another method, begins a new
    trail at the start; other methods' last trails stay until they are cleared. Other tasks clear everything.
    """

    pause = 0.03

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.earlier: dict[str, Trail] = {}
        self.trail: Trail | None = None
        super().__init__(*args, **kwargs)

    def place(self, state: State) -> None:
        """Put the controls where ``state`` says; the start's sliders span the tasks' plane."""
        self._quiet = True
        limits = LANDSCAPES[state.tasks].limits
        for name, (low, high) in zip(("theta1", "theta2"), limits, strict=True):
            control = self.controls[name]
            control.min, control.max = min(low, control.min), max(high, control.max)
            control.value = getattr(state, name)
            control.min, control.max = low, high
        super().place(state)

    def refresh(self) -> None:
        """A control moved: draw, on a new trail if that is what it asks for."""
        if self.trail is None:  # the panel has just been opened: joint training and MAML have been everywhere
            self.begin(self.state, walk(self.state))
            return
        known, self._known = self._known, self.state
        if self.state.tasks != known.tasks:
            theta1, theta2 = STARTS[self.state.tasks]
            self.begin(replace(self.state, theta1=theta1, theta2=theta2))
            return
        if (self.state.follow, self.state.theta1, self.state.theta2) != (known.follow, known.theta1, known.theta2):
            if len(self.trail.thetas) > 1 and self.state.follow != self.trail.method:
                self.earlier[self.trail.method] = self.trail
            self.earlier.pop(self.state.follow, None)
            self.trail = start(self.state)
        self._show()

    def begin(self, state: State, trail: Trail | None = None) -> None:
        """Begin afresh with ``state``; beside ``trail``, if there is one, stands joint training's."""
        self.stop()
        self.place(state)
        self._known, self.earlier, self.trail = state, {}, trail or start(state)
        if trail is not None and state.follow != "joint training":
            self.earlier = {"joint training": walk(replace(state, follow="joint training"))}
        self._show()

    def preset(self, **values: Any) -> None:
        """Show where joint training goes, then play."""
        state = replace(self.state, **values)
        self.begin(state, start(state))
        self.play()

    def advance(self) -> bool:
        """Take one outer step and draw it; return whether there is a further one."""
        if not end(self.state, self.trail):
            self.trail = longer(self.trail, self._frame.arrows[self.trail.method].direction, self.state.beta)
        self._show()
        return not end(self.state, self.trail)

    def one_step(self) -> None:
        """Stop playing and take one outer step."""
        self.stop()
        self.advance()

    def play_on(self) -> None:
        """Play from here; after the last outer step, from the start."""
        if end(self.state, self.trail):
            self.trail = start(self.state)
        self.play()

    def clear(self) -> None:
        """Theta back to the start, all trails gone; the settings stay."""
        self.begin(self.state)

    def reset(self) -> None:
        """All as at first, but nothing walked yet."""
        self.begin(self.start_state)

    def _show(self) -> None:
        self._frame = compute(self.state, (*self.earlier.values(), self.trail))
        self.show(self._frame)


PRESETS = {
    "MAML or joint?": asdict(State()),
    "small α: all agree": asdict(State(alpha=0.02, steps=1)),
    "first order reverses": asdict(State(alpha=0.45, steps=1, follow="FOMAML", theta1=-0.5, theta2=0.8)),
    "α too large": asdict(State(alpha=0.55, theta1=-1.8, theta2=0.5)),
    "m = 20: F is flat": asdict(State(steps=20)),
    "sines": asdict(State(tasks="sines", theta1=STARTS["sines"][0], theta2=STARTS["sines"][1])),
}


def explorer() -> LandscapePanel:
    """Open the panel: the last line of a notebook cell. It opens with two finished trails."""
    state = State()
    return LandscapePanel(
        "landscape",
        state,
        _controls(state),
        compute,
        LandscapeCanvas(),
        PRESETS,
        actions={
            "outer step": LandscapePanel.one_step,
            "Play": LandscapePanel.play_on,
            "Stop": LandscapePanel.stop,
            "Clear": LandscapePanel.clear,
            "Reset": LandscapePanel.reset,
        },
        marks={"alpha": (0.5, "2/λ_max of the bowls")},
    )


def _controls(state: State) -> dict[str, widgets.Widget]:
    (left, right), (bottom, top) = LANDSCAPES[state.tasks].limits
    tasks = [("four bowls", "bowls"), ("four sine waves", "sines")]
    wide = {"step": 0.05, "readout_format": ".2f", **LOOK}
    log = {"min": -2, "max": 1, "step": 0.05, "readout_format": ".2g"}
    return {
        "alpha": widgets.FloatSlider(
            value=state.alpha, min=0, max=MAX_ALPHA, step=0.01, readout_format=".2f", description="α", **LOOK
        ),
        "steps": widgets.IntSlider(value=state.steps, min=0, max=MAX_STEPS, description="inner steps m", **LOOK),
        "beta": widgets.FloatLogSlider(value=state.beta, description="β", **log, **LOOK),
        "theta1": widgets.FloatSlider(value=state.theta1, min=left, max=right, description="start: first", **wide),
        "theta2": widgets.FloatSlider(value=state.theta2, min=bottom, max=top, description="start: second", **wide),
        "follow": widgets.Dropdown(options=METHODS, value=state.follow, description="θ follows", **LOOK),
        "background": widgets.Dropdown(options=BACKGROUNDS, value=state.background, description="map of", **LOOK),
        "tasks": widgets.Dropdown(options=tasks, value=state.tasks, description="tasks", **LOOK),
    }
