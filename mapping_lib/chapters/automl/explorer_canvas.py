"""What the explorer of alpha and beta draws: the map of settings, one task's fits, two small charts."""

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mapping_lib.page.canvas import Canvas, count, finite, number, put
from mapping_lib.page.plots import COLOURS

from .explorer_compute import GRID, Frame
from .figures import BAD, HIGHEST, LOWEST, colour_of, shade
from .study_grid import BLOCK, JUDGED_STEPS, SIDE

MAP = (82, 92, 364, 364)
"""Left, bottom, width and height of the map in pixels, counted from the lower left corner."""

ERRORS = (0.05, 30.0)
STEP_SHADES = np.linspace(0.75, 0.0, JUDGED_STEPS + 1)
"""How pale the curve after 0 ... 5 steps is: 0 is the full colour."""


class AlphaBetaCanvas(Canvas):
    """Left: the map, alpha upwards, beta to the right. Right: one task; training; error by inner step."""

    size = (10.6, 5.2)

    def build(self, figure: Figure) -> None:
        """Four axes and a scale."""
        self._build_map(self.axes(*MAP))
        self._build_fit(self.axes(516, 262, 530, 214))
        self._build_charts(self.axes(516, 54, 230, 140), self.axes(816, 54, 230, 140))

    def _build_map(self, ax: Any) -> None:
        n = len(SIDE)
        ax.set(xlim=(-0.5, n - 0.5), ylim=(-0.5, n - 0.5), xlabel="β", facecolor="none")
        ax.set_ylabel("α", rotation=0)
        ax.yaxis.set_label_coords(-0.11, 0.58)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_ticks(range(0, n, 3), ["0.0001", "0.001", "0.01", "0.1", "1"])
        ax.grid(False)
        self._title = self.label(size=12.5, at=(MAP[0], MAP[1] + MAP[3] + 34))
        self._best = self.line(ax, "*", ms=15, color="white", mec="black", mew=1.0)
        self._here = self.keep(ax.add_patch(Rectangle((0, 0), 1, 1, lw=3.2, ec="black", fill=False, clip_on=False)))
        self._build_scale()

    def _build_scale(self) -> None:
        """The legend under the map: three blues, and the two ways to diverge."""
        entries = [(number(error), shade(error)) for error in (LOWEST, 1.0, HIGHEST)]
        entries += [("adaptation diverges", to_rgb(BAD[1])), ("training diverged", to_rgb(BAD[2]))]
        self._swatches = []
        for (text, colour), x in zip(entries, (14, 64, 102, 140, 322), strict=True):
            self._swatches.append((x, colour))
            self.label(size=10.5, text=text, at=(x + 21, 18))

    def _build_fit(self, ax: Any) -> None:
        ax.set(xlim=(-5, 5), ylim=(-6.5, 6.5))
        x = GRID[:, 0].numpy()
        colours = [tuple(1 - (1 - s) * (1 - c) for c in to_rgb(COLOURS["after"])) for s in STEP_SHADES]
        self._fits = [self.keep(ax.plot(x, 0 * x, color=colour, lw=2.2)[0]) for colour in colours]
        self._truth = self.truth(ax)
        self._points = self.line(ax, "o", color=COLOURS["support"], ms=9, mec="black", label="support")
        ax.plot([], [], color=colours[0], lw=2.2, label="before: θ")
        ax.plot([], [], color=colours[-1], lw=2.2, label=f"after 1 ... {JUDGED_STEPS} steps")
        where = {"loc": "lower left", "bbox_to_anchor": (-0.02, 0.98), "borderaxespad": 0.2}
        ax.legend(ncols=4, handlelength=1.5, columnspacing=1.1, handletextpad=0.5, **where)

    def _build_charts(self, curve: Any, steps: Any) -> None:
        for ax, title in ((curve, "this cell's meta-loss"), (steps, "held-out error, 600 tasks")):
            ax.set(ylim=ERRORS, yscale="log")
            ax.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
            ax.minorticks_off()
            ax.set_title(title, fontsize=12)
        curve.set(xlim=(0, 1000), xlabel="outer step")
        curve.set_xticks([0, 500, 1000])
        steps.set(xlim=(-0.2, JUDGED_STEPS + 0.2), xlabel="inner steps")
        self._curve = self.line(curve, color=COLOURS["after"], lw=2.4)
        self._steps = self.line(steps, "o-", ms=5, color=COLOURS["after"], lw=2.0)
        self._judged = self.line(steps, "o", ms=11, color=COLOURS["after"], mec="black", mew=1.5)

    def update(self, frame: Frame) -> None:
        """Move everything to one frame."""
        (a, b), (best_a, best_b) = frame.cell, frame.best
        self._here.set_xy((b - 0.5, a - 0.5))
        self._best.set_data([best_b], [best_a])
        judged, trained = count(frame.state.judged, "step"), count(frame.state.trained, "step")
        self._title.text = f"error after {judged} (meta-trained with {trained})"
        cells = zip(frame.errors.ravel(), frame.kinds.ravel(), strict=True)
        self._colours = 255 * np.array([colour_of(*cell) for cell in cells]).reshape(*frame.errors.shape, 3)
        for line, fit in zip(self._fits, frame.fits, strict=True):
            line.set_ydata(finite(fit))
        self._truth.set_data(GRID[:, 0], frame.truth)
        self._points.set_data(*frame.support.T)
        blocks = np.arange(len(frame.curve)) * BLOCK + BLOCK / 2
        self._curve.set_data(blocks, _inside(frame.curve))
        errors = _inside(frame.by_step)
        self._steps.set_data(range(len(errors)), errors)
        self._judged.set_data([frame.state.judged], [errors[frame.state.judged]])

    def paint(self, pixels: np.ndarray) -> None:
        """Fill the map's cells and the legend's squares."""
        height, n = len(pixels), len(SIDE)
        left, bottom, width, tall = MAP
        rows, columns = (np.arange(size) * n // size for size in (tall, width))
        picture = self._colours[::-1][rows][:, columns]
        edges = [np.flatnonzero(np.diff(places, prepend=-1)) for places in (rows, columns)]
        picture[edges[0]] = picture[:, edges[1]] = 255
        put(pixels, picture, left, bottom)
        for x, colour in self._swatches:
            pixels[height - 25 : height - 11, x : x + 16, :3] = 255 * np.array(colour)


def place_in_map(x: float, y: float) -> tuple[int, int] | None:
    """The cell (alpha, beta) at a point of the picture, as shares of its width and height from the upper left corner.

    >>> place_in_map(0.0, 0.0) is None, place_in_map(83 / 1060, 1 - 93 / 520)
    (True, (0, 0))
    """
    width, height = 1060, 520
    column, row = ((x * width - MAP[0]) / MAP[2], ((1 - y) * height - MAP[1]) / MAP[3])
    if not (0 <= column < 1 and 0 <= row < 1):
        return None
    return int(row * len(SIDE)), int(column * len(SIDE))


def _inside(values: np.ndarray) -> np.ndarray:
    """Errors that fit the charts; what is no number any more stands at the top."""
    return finite(values).clip(ERRORS[0], ERRORS[1] * 0.97)
