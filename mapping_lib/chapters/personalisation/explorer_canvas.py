"""What the explorer of new individuals draws: forecasts with the truth behind; the error by number of observations."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mapping_lib.page.canvas import Canvas, number, palette
from mapping_lib.page.plots import COLOURS as ROLES

from .explorer_compute import Frame
from .figures import PEOPLE
from .methods_individual import MAX_SHOTS, NAMES

AXES = {
    "chicks": ((-1, 22), (0, 400), "day", "weight (g)", (0, 120), "error on the other days (g)"),
    "countries": ((1958, 2013), (0, 9), "year", "births per woman", (0, 3), "error in the other years (births)"),
    "sensors": ((-24, 104), (-6, 6), "shown (°C)", "correction (°C)", (0, 4), "error at the other temperatures (°C)"),
    "customers": ((0.4, 12.6), (0, 1.04), "question", "probability of what was chosen", (0, 1.04), "share wrong"),
}
"""For each data set: limits and labels of the picture on the left, limits and label of the errors on the right."""


class PersonalisationCanvas(Canvas):
    """Left: one individual. Right: the error of each method after 0 to 6 observations, and where we are."""

    palette = palette(ROLES["truth"], ROLES["support"], "#AAAAAA", *(PEOPLE[name] for name in NAMES))

    def build(self, figure: Figure) -> None:
        """Two axes, and the errors in figures."""
        self._left, self._right = self.axes(76, 54, 486, 356), self.axes(642, 54, 404, 280)
        self._band = self.keep(
            self._left.fill_between([0, 1], [0, 0], [1, 1], color=PEOPLE["mixed effects"], alpha=0.13, lw=0)
        )
        self._truth = self.line(self._left, "o-", color="#AAAAAA", ms=5, lw=1.4, label="truth")
        self._curves, self._rights = {}, {}
        for name in NAMES:
            dots = ":" if name == "population" else "-"
            self._curves[name] = self.line(self._left, color=PEOPLE[name], lw=2.4, ls=dots)
            self._rights[name] = self.line(self._left, "o", ms=8, color=PEOPLE[name])
        style = {"color": ROLES["support"], "ms": 10, "mec": "black", "mew": 1}
        self._points = self.line(self._left, "o", label="observed", **style)
        self._left.legend(ncols=2, loc="lower left", bbox_to_anchor=(-0.02, 0.985), borderaxespad=0.2)
        self._who = self.label(size=13, bold=True, align="right", at=(562, 428))
        self._build_errors(self._right)
        self._data = ""

    def _build_errors(self, ax: Axes) -> None:
        self._here = self.keep(ax.axvline(0, color="#D5D5D5", lw=9, solid_capstyle="butt"))
        ax.set(xlim=(-0.3, MAX_SHOTS + 0.3), xticks=range(MAX_SHOTS + 1), xlabel="observations shown")
        self._lines, self._dots, self._cells = {}, {}, {}
        for row, name in enumerate(NAMES):
            colour = PEOPLE[name]
            dots = ":" if name == "population" else "-"
            self._lines[name] = self.line(ax, "o", ls=dots, ms=5, mec="white", mew=0.6, color=colour)
            self._dots[name] = self.line(ax, "o", ms=12, mec="white", mew=1.2, color=colour)
            x, y = 640 + 212 * (row % 2), 430 - 28 * (row // 2)
            self.label(text=name, colour=colour, size=12.5, at=(x, y))
            self._cells[name] = self.label(align="right", size=12.5, at=(x + 186, y))

    def update(self, frame: Frame) -> None:
        """Move everything to one frame."""
        self._set_axes(frame.state.data)
        self._draw_individual(frame)
        shots = np.arange(MAX_SHOTS + 1)
        top = AXES[frame.state.data][4][1]
        best = min(frame.now.errors.values())
        self._here.set_xdata([frame.state.k_shot] * 2)
        for name in NAMES:
            errors = np.array([outcome.errors[name] for outcome in frame.outcomes])
            self._lines[name].set_data(shots, np.clip(np.nan_to_num(errors, nan=1e6), -1, 1.5 * top))
            self._dots[name].set_data([frame.state.k_shot], [min(errors[frame.state.k_shot], 1.5 * top)])
            self._cells[name].text = number(errors[frame.state.k_shot])
            self._cells[name].bold = errors[frame.state.k_shot] <= best + 1e-9

    def _set_axes(self, data: str) -> None:
        if data == self._data:
            return
        x, y, when, what, errors, label = AXES[data]
        self._left.set(xlim=x, ylim=y, xlabel=when, ylabel=what)
        self._right.set(ylim=errors, ylabel=label)
        self.redraw_axes(data)
        self._data = data

    def _draw_individual(self, frame: Frame) -> None:
        now, choices = frame.now, frame.now.right is not None
        self._who.text = frame.name
        self._truth.set_data(frame.x, np.full(len(frame.x), np.nan) if choices else frame.truth)
        seen = frame.x[frame.seen]
        self._points.set_data(seen, np.full(len(seen), 0.02) if choices else frame.truth[frame.seen])
        self._band.set_visible(now.band is not None)
        if now.band is not None:
            self._band.set_data(frame.x, *now.band)
        for name in NAMES:
            self._curves[name].set_data(frame.x, now.forecasts[name])
            hits = now.right[name] if choices else np.zeros(len(frame.x), bool)
            self._rights[name].set_data(frame.x[hits], now.forecasts[name][hits])
