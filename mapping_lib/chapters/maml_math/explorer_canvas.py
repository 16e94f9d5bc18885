"""What the landscape explorer draws: a map of the parameters, a table of arrows and a chart of F."""

from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from mapping_lib.page.canvas import ALARM, Canvas, apart, count, finite, number, put
from mapping_lib.page.plots import COLOUR_OF, COLOURS
from mapping_lib.worlds.landscapes import METHODS

from .explorer_compute import LANDSCAPES, OUTER_STEPS, Frame, Surface

BANDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
"""Edges of the map's bands: how far the loss lies above its lowest value on the map."""

MAP = (66, 54, 400, 380)
"""Left, bottom, width and height of the map, in pixels."""

ARROW = 62
"""Length of all arrows, in pixels; the table has their true lengths."""

DOTS = (0, (1.2, 0.9))
STILL = 1e-3
"""An arrow of a shorter direction is not drawn: theta is at rest."""

WIDTHS = {"joint training": 13, "Reptile": 9.5, "FOMAML": 6.5, "MAML": 3.5}
"""From the lowest arrow to the topmost, so that arrows that coincide show all their colours."""


class LandscapeCanvas(Canvas):
    """Left: the map. Right: what an outer step would do, and F by outer step."""

    size = (10.6, 4.9)

    def build(self, figure: Figure) -> None:
        """A map, a scale for its bands, a table and a chart."""
        left, bottom, wide, tall = MAP
        self._map, self._chart = self.axes(*MAP), self.axes(662.5, bottom, 386.9, 230.3)
        _band_scale(self.axes(left + wide + 10, bottom, 12, tall))
        self._build_map()
        self._build_table(figure)
        self._build_chart()
        self._tasks, self._surface, self._range = "", None, (0.0, 0.0)

    def _build_map(self) -> None:
        ax = self._map
        ax.grid(False)
        ax.yaxis.set_label_coords(-0.115, 0.5)
        self._title = self.label(size=13, at=(MAP[0], MAP[1] + MAP[3] + 40))
        self._picture = np.zeros((MAP[3], MAP[2], 3), np.uint8)
        rings = LineCollection([], colors=COLOURS["truth"], linewidths=1.0, linestyles=(0, (4, 3)))
        self._rings = self.collect(ax, rings)
        self._numbers = [self.label(text=f"{i + 1}", bold=True, halo=True) for i in range(4)]
        self._best = self.line(ax, "X", color=COLOURS["truth"], ms=8, mec="white")
        self._lowest = {name: self._lowest_mark(name) for name in ("joint training", "MAML")}
        self._earlier = {name: self._trail_lines(name, 2.0, 0.55) for name in METHODS}
        self._trails = {name: self._trail_lines(name, 2.6, 1.0) for name in METHODS}
        inner = LineCollection([], colors=COLOURS["after"], linewidths=1.6, linestyles=DOTS)
        self._inner = self.collect(ax, inner)
        self._phi = self.line(ax, "o", color=COLOURS["after"], ms=7, mec="white", mew=1.0)
        self._arrows = self.collect(ax, PolyCollection([], linewidths=0.6, edgecolors="white"))
        self._theta = self.line(ax, "o", color="white", ms=12, mec="black", mew=2.2)
        _map_key(ax)

    def _lowest_mark(self, method: str) -> tuple[Any, Any]:
        colour, name = COLOUR_OF[method], "F" if method == "MAML" else "E[L]"
        mark = self.line(self._map, "D", color="white", ms=8, mec=colour, mew=2.4)
        return mark, self.label(text=f"lowest {name}", colour=colour, size=11, bold=True, halo=True)

    def _trail_lines(self, method: str, width: float, alpha: float) -> Any:
        style = {"lw": width, "marker": "o", "ms": 2.2 * width, "mec": "white", "mew": 0.5}
        return self.line(self._map, color=COLOUR_OF[method], alpha=alpha, **style)

    def _build_table(self, figure: Figure) -> None:
        tops = [0.845 - 0.058 * i for i in range(len(METHODS))]
        columns = {"length": 0.765, "cosine with MAML": 0.90, "F after it": 0.985}
        figure.text(0.565, 0.955, "one outer step from θ", fontsize=13, va="center")
        for name, x in columns.items():
            figure.text(x, 0.90, name, ha="right", va="center", fontsize=11, color="#666666")
        self._cells = {}
        for method, y in zip(METHODS, tops, strict=True):
            figure.text(0.565, y, f"➤ {method}", color=COLOUR_OF[method], weight="bold", fontsize=12, va="center")
            across, up = figure.bbox.size
            self._cells[method] = [self.label(at=(x * across, y * up + 2), align="right") for x in columns.values()]

    def _build_chart(self) -> None:
        ax = self._chart
        ax.set(xlim=(0, OUTER_STEPS * 1.36), yscale="log", xlabel="outer step", ylabel="F(θ)")
        ax.set_xticks(range(0, OUTER_STEPS + 1, 10))
        ax.set_yticks([])
        ax.minorticks_off()
        ax.yaxis.set_label_coords(-0.115, 0.5)
        self._grid = self.collect(ax, LineCollection([], colors="#E6E6E6", linewidths=0.8))
        self._ticks = [self.label(align="right") for _ in range(8)]
        colour = COLOUR_OF["MAML"]
        self._floor = self.keep(ax.axhline(1.0, color=colour, lw=1.2, ls=(0, (4, 3))))
        self._floor_name = self.label(text="lowest F on the map", colour=colour, size=10)
        self._curves = [
            (self.line(ax, lw=width), self.line(ax, "o", ms=2.6 * width), self.label(size=11))
            for width in (1.6, 1.6, 1.6, 1.6, 2.8)
        ]

    def update(self, frame: Frame) -> None:
        """Move everything to one frame."""
        self._set_tasks(frame.state.tasks)
        self._set_range(frame)
        if frame.surface is not self._surface:
            self._surface = frame.surface
            self._picture = _bands(frame.surface)[::-1]
        self._draw_map(frame)
        self._draw_table(frame)
        self._draw_chart(frame)

    def paint(self, pixels: np.ndarray) -> None:
        """Put the map's greys under everything that moves."""
        put(pixels, self._picture, *MAP[:2])

    def _set_tasks(self, tasks: str) -> None:
        """Show another plane of parameters; its axes are drawn once, here."""
        if tasks == self._tasks:
            return
        landscape, self._tasks = LANDSCAPES[tasks], tasks
        (left, right), (bottom, top) = landscape.limits
        across, up = landscape.names
        self._map.set(xlim=(left, right), ylim=(bottom, top), xlabel=across, ylabel=up)
        self._rings.set_segments(_rings(tasks))
        best = landscape.minima.numpy()
        self._best.set_data(*best.T)
        for label, (x, y) in zip(self._numbers, best, strict=True):
            label.at = _pixel(self._map, (x, y), (9, 10))
        self.redraw_axes(tasks)

    def _set_range(self, frame: Frame) -> None:
        """Let the chart's axis hold all of F, from a round number to a round number."""
        values = np.concatenate([*frame.errors, [frame.F_surface.lowest]])
        values = np.nan_to_num(values, nan=1e6).clip(1e-6, 1e6)
        low, high = _round(values.min() / 1.35, down=True), _round(values.max() * 1.15, down=False)
        if (low, high) == self._range:
            return
        self._range = (low, high)
        self._chart.set_ylim(low, high)
        ticks, right = _round_numbers(low, high), OUTER_STEPS * 1.36
        self._grid.set_segments([[(0, tick), (right, tick)] for tick in ticks])
        for label, tick in zip_longest(self._ticks, ticks[: len(self._ticks)]):
            label.text = "" if tick is None else f"{tick:g}"
            label.at = _pixel(self._chart, (0, tick or low), (-6, 0))

    def _draw_map(self, frame: Frame) -> None:
        state, present = frame.state, frame.trails[-1]
        when = f"after {count(state.steps, 'inner step')}" if state.background == "F(θ)" else "before any step"
        self._title.text = f"grey: {state.background}, the mean loss {when}"
        for method, point in (("joint training", frame.joint_minimum), ("MAML", frame.F_surface.at)):
            self._place_lowest(method, point)
        drawn = {trail.method: trail for trail in frame.trails[:-1]}
        for name in METHODS:
            now = present if present.method == name else None
            for lines, trail in ((self._earlier, drawn.get(name)), (self._trails, now)):
                lines[name].set_visible(trail is not None and len(trail.thetas) > 1)
                if trail is not None:
                    lines[name].set_data(*finite(trail.thetas).T)
        paths = finite(frame.paths)
        self._inner.set_segments(list(paths.swapaxes(0, 1)))
        self._phi.set_data(*paths[-1].T)
        theta = finite(present.thetas[-1])
        self._theta.set_data(*theta[:, None])
        self._draw_arrows(frame, theta)

    def _place_lowest(self, method: str, at: np.ndarray) -> None:
        mark, name = self._lowest[method]
        mark.set_data([at[0]], [at[1]])
        crowded = _pixel(self._map, at)[0] > MAP[0] + 0.75 * MAP[2]
        name.align = "right" if crowded else "left"
        name.at = _pixel(self._map, at, (-10 if crowded else 10, -14 if method == "joint training" else 14))

    def _draw_arrows(self, frame: Frame, theta: np.ndarray) -> None:
        limits = np.array(LANDSCAPES[self._tasks].limits)
        data_per_pixel = (limits[:, 1] - limits[:, 0]) / MAP[2:]
        shapes, colours = [], []
        for name, width in WIDTHS.items():
            way = -frame.arrows[name].direction / data_per_pixel
            if STILL < frame.arrows[name].length < np.inf:
                shapes.append(theta + _arrow_shape(way / np.linalg.norm(way), width) * data_per_pixel)
                colours.append(COLOUR_OF[name])
        self._arrows.set_verts(shapes)
        self._arrows.set_facecolor(colours or "none")

    def _draw_table(self, frame: Frame) -> None:
        now = frame.errors[-1][-1]
        rests = frame.arrows["MAML"].length <= STILL  # an angle with next to nothing says nothing
        for method, (length, cosine, after) in self._cells.items():
            arrow = frame.arrows[method]
            length.text = number(arrow.length)
            cosine.colour = ALARM if arrow.cosine < 0 and not rests else "black"
            cosine.text = "–" if rests or np.isnan(arrow.cosine) else f"{arrow.cosine:+.2f}".replace("-", "−")
            rises, falls = not arrow.after <= 1.0005 * now, arrow.after < 0.9995 * now
            after.text = f"{number(arrow.after)} {'↓' if falls else '↑' if rises else '='}"
            after.colour = ALARM if rises else "black"

    def _draw_chart(self, frame: Frame) -> None:
        low, high = self._range
        floor = max(frame.F_surface.lowest, low)
        self._floor.set_ydata([floor, floor])
        self._floor_name.at = _pixel(self._chart, (0.6, floor), (0, -10))
        errors = [_clip(error, low, high) for error in frame.errors]
        trails = [*zip(frame.trails, errors, strict=True)][::-1]
        upwards = sorted(trails, key=lambda pair: pair[1][-1])
        ends = [(len(error) - 1, float(error[-1])) for _, error in upwards]
        heights = dict(zip((trail.method for trail, _ in upwards), apart(ends, 22, (high / low) ** 0.085), strict=True))
        for i, (line, point, name) in enumerate(self._curves[::-1]):
            for artist in (line, point):
                artist.set_visible(i < len(trails))
            name.text = trails[i][0].method if i < len(trails) else ""
            if i < len(trails):
                trail, error = trails[i]
                line.set_data(range(len(error)), error)
                point.set_data([len(error) - 1], error[-1:])
                name.at = _pixel(self._chart, (len(error) - 1, heights[trail.method]), (8, 9))
                name.colour = COLOUR_OF[trail.method]
                for artist in (line, point):
                    artist.set_color(name.colour)


def _pixel(ax: Any, point: Any, shift: tuple[float, float] = (0, 0)) -> tuple[float, float]:
    """Where a point of an axes lies on the canvas, moved by some pixels."""
    x, y = ax.transData.transform(point)
    return x + shift[0], y + shift[1]


def _clip(error: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip(np.nan_to_num(error, nan=np.inf), low, high)


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


SHADES = np.linspace(255, 148, len(BANDS) + 1).round().astype(np.uint8)
EDGE = 26
"""How much darker than its band the line between two bands is."""


def _bands(surface: Surface) -> np.ndarray:
    """The picture of a loss, its lowest row first: one grey a band, lighter is lower, a line between bands."""
    excess = torch.from_numpy(surface.values - surface.lowest).clip(1e-5, 1e4)[None, None]
    fine = torch.nn.functional.interpolate(excess, (MAP[3], MAP[2]), mode="bicubic", align_corners=True)[0, 0]
    picture = SHADES[torch.bucketize(fine, torch.tensor(BANDS, dtype=torch.float32), out_int32=True).numpy()]
    line = np.zeros(picture.shape, dtype=bool)
    line[1:] |= picture[1:] != picture[:-1]
    line[:, 1:] |= picture[:, 1:] != picture[:, :-1]
    picture[line] -= EDGE
    return picture[..., None]


def _rings(tasks: str, level: float = 0.1) -> list[np.ndarray]:
    """Around each task's best point, where its loss is ``level``: a steep task has a small ring."""
    landscape, angle = LANDSCAPES[tasks], torch.linspace(0, 2 * np.pi, 60, dtype=torch.float32)
    ways = torch.stack([angle.cos(), angle.sin()], dim=-1)[:, None]
    reach = torch.full((len(angle), len(landscape.minima), 1), 0.1, dtype=torch.float32)
    for _ in range(30):  # were the loss quadratic, once would be enough
        reach = reach * (level / landscape.loss(landscape.minima + reach * ways)[..., None]).sqrt()
    return list((landscape.minima + reach * ways).transpose(0, 1).numpy())


def _arrow_shape(way: np.ndarray, width: float) -> np.ndarray:
    """The corners of an arrow along a unit vector, in pixels."""
    side, head = np.array([-way[1], way[0]]), 10 + width
    half, wing, neck = width / 2, width / 2 + 5, ARROW - head
    corners = [(0, half), (neck, half), (neck, wing), (ARROW, 0), (neck, -wing), (neck, -half), (0, -half)]
    return np.array([along * way + across * side for along, across in corners])


def _band_scale(ax: Any) -> None:
    """A column of all bands, named by how far they lie above the lowest value."""
    place = {"origin": "lower", "aspect": "auto", "extent": (0, 1, 0, len(SHADES))}
    ax.imshow(SHADES[:, None], cmap="gray", vmin=0, vmax=255, **place)
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
    ax.plot([], [], "o", ls=DOTS, color=COLOURS["after"], ms=6, lw=1.6, label="φ after m steps")
    ax.plot([], [], "X", color=COLOURS["truth"], ms=8, label="best for a task; ring: its loss is 0.1", **style)
    where = {"loc": "lower left", "bbox_to_anchor": (-0.02, 0.985), "borderaxespad": 0.2}
    ax.legend(ncols=3, handlelength=1.2, columnspacing=0.9, handletextpad=0.3, fontsize=10.5, **where)
