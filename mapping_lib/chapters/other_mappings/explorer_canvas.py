"""What the explorer of description and data draws: one task with three fits; a hundred tasks by number of examples."""

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from mapping_lib.page.canvas import Canvas, finite, number, palette
from mapping_lib.page.plots import COLOURS as ROLES

from .explorer_compute import COLOURS, GONE, GRID, MAX_SHOTS, N_TASKS, NAMES, Frame

X = GRID[:, 0].numpy()
ERRORS = (1e-3, 20.0)
DESCRIBED = "#777777"


class DescriptionOrDataCanvas(Canvas):
    """Left: one task, what is told of it, and three fits. Right: the typical error against K, and who wins."""

    size = (10.6, 4.9)
    palette = palette(ROLES["truth"], ROLES["support"], DESCRIBED, *COLOURS.values())

    def build(self, figure: Figure) -> None:
        """Two axes and a table."""
        self._build_task(self.axes(48, 54, 476, 356))
        self._build_chart(self.axes(612, 54, 434, 288))
        self._build_table()

    def _build_task(self, ax: Any) -> None:
        ax.set(xlim=(-5, 5), ylim=(-6.5, 6.5), xlabel="x")
        ax.set_ylabel("y", rotation=0)
        ax.yaxis.set_label_coords(-0.045, 0.58)
        style = {"color": DESCRIBED, "lw": 9, "alpha": 0.3, "solid_capstyle": "butt"}
        self._described = self.line(ax, label="the wave that is told", **style)
        self._curves = {name: self.line(ax, color=COLOURS[name], lw=2.8) for name in NAMES}
        self._truth = self.truth(ax)
        self._points = self.line(ax, "o", color=ROLES["support"], ms=9, mec="black", mew=1.0, label="support")
        where = {"loc": "lower left", "bbox_to_anchor": (-0.04, 0.985), "borderaxespad": 0.2}
        ax.legend(ncols=3, handlelength=1.6, columnspacing=1.2, handletextpad=0.5, **where)
        self.label(size=12, at=(48, 450), text="the task: d =")
        self._is = self.label(size=12, bold=True, at=(163, 450))
        self.label(size=12, at=(258, 450), text="what is told: d =")
        self._says = self.label(size=12, bold=True, at=(402, 450))

    def _build_chart(self, ax: Any) -> None:
        ax.set(xlim=(-0.4, MAX_SHOTS + 0.4), ylim=ERRORS, yscale="log", xlabel="examples K")
        ticks = [10.0**e for e in range(-3, 2)]
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.set_xticks(range(0, MAX_SHOTS + 1, 2))
        ax.set_ylabel(f"typical (median) error, {N_TASKS} tasks")
        self._here = self.keep(ax.axvline(0, color="#D5D5D5", lw=7, solid_capstyle="butt"))
        bars = LineCollection([], linewidths=9, clip_on=False, capstyle="butt", antialiaseds=False)
        self._wins = self.collect(ax, bars)
        self._lines, self._dots = (
            {name: self.line(ax, form, ms=ms, mec="white", mew=mew, color=COLOURS[name]) for name in NAMES}
            for form, ms, mew in (("o-", 5, 0.6), ("o", 11, 1.2))
        )
        self.label(size=11, text="best:", colour="#555555", align="right", at=(606, 351))

    def _build_table(self) -> None:
        columns = {"this task": 940, "typical task": 1044}
        for name, x in columns.items():
            self.label(text=name, size=11, align="right", colour="#666666", at=(x, 472))
        self._cells = {}
        for row, name in enumerate(NAMES):
            y = 446 - 25 * row
            self._cells[name] = [self.label(align="right", size=12.5, at=(x, y)) for x in columns.values()]
            self._cells[name].append(self.label(text=name, colour=COLOURS[name], size=12.5, at=(640, y)))

    def update(self, frame: Frame) -> None:
        """Move everything to one frame."""
        self._draw_task(frame)
        self._draw_chart(frame)
        winner = frame.winners[frame.shots.index(frame.state.k_shot)]
        for name, (this, typical, label) in self._cells.items():
            this.text = _error(frame.errors[name])
            typical.text = _error(frame.here[name].error)
            typical.bold = label.bold = name == winner

    def _draw_task(self, frame: Frame) -> None:
        self._truth.set_data(X, frame.truth)
        self._described.set_data(X, frame.told)
        self._points.set_data(*frame.support.T)
        for name, line in self._curves.items():
            line.set_data(X, finite(frame.curves[name]))
        for label, d in zip((self._is, self._says), frame.descriptions, strict=True):
            label.text = f"({d[0]:.1f}, {d[1]:.1f})".replace("-", "−")

    def _draw_chart(self, frame: Frame) -> None:
        shots, here = np.array(frame.shots), frame.state.k_shot
        for name in NAMES:
            errors = np.clip([typical.error for typical in frame.typical[name]], *ERRORS)
            self._lines[name].set_data(shots, errors)
            self._dots[name].set_data([here], [np.clip(frame.here[name].error, *ERRORS)])
        self._here.set_xdata([here, here])
        edges = np.concatenate([[-0.4], (shots[1:] + shots[:-1]) / 2, [MAX_SHOTS + 0.4]])
        top = ERRORS[1] * 1.22
        self._wins.set_segments([[(a, top), (b, top)] for a, b in pairwise(edges)])
        self._wins.set_color([COLOURS[name] for name in frame.winners])


def _error(error: float) -> str:
    return number(error) if error < GONE else "diverged"
