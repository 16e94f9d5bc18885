"""What the explorer of forgetting draws: the current wave, an old one, and the forgetting matrix."""

from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mapping_lib.page.canvas import Canvas, finite
from mapping_lib.page.plots import COLOURS

from .explorer_compute import GRID, N_TASKS, Frame, error_in_words

X = GRID[:, 0].numpy()
SHADES = ListedColormap([tuple(1 - share * (1 - c) for c in (0.84, 0.37, 0.0)) for share in np.linspace(0, 0.8, 18)])
"""White to the colour of a rival: little error is white."""

CELL, LEFT, TOP = 92, 632, 396
"""The matrix in pixels of the canvas: a cell's side, and the left and upper edge."""


class ForgettingCanvas(Canvas):
    """Left: the current task above, task 1 below. Right: the error after task i on task j."""

    size = (10.6, 4.9)

    def build(self, figure: Figure) -> None:
        """Two axes for waves, one for the matrix."""
        self._fits = [self._build_task(self.axes(48, y, 476, 186), y == 50) for y in (270, 50)]
        self._build_matrix(self.axes(LEFT, TOP - 4 * CELL, 4 * CELL, 4 * CELL))
        self._titles = [self.label(size=12.5, bold=True, at=(50, y)) for y in (471, 248)]
        self._scores = [self.label(size=12.5, align="right", at=(522, y)) for y in (471, 248)]

    def _build_task(self, ax: Any, last: bool) -> tuple[Any, Any, Any]:
        ax.set(xlim=(-5, 5), ylim=(-6, 6), xlabel="x" if last else "", yticks=(-5, 0, 5))
        ax.set_ylabel("y", rotation=0)
        ax.yaxis.set_label_coords(-0.05, 0.7)
        if not last:
            ax.set_xticklabels([])
        fit = self.line(ax, color=COLOURS["after"], lw=2.8, label="the network")
        truth = self.truth(ax, "the wave")
        points = self.line(ax, "o", color=COLOURS["support"], ms=8, mec="black", mew=1.0, label="seen or kept")
        if last:
            ax.legend(ncols=3, loc="lower left", bbox_to_anchor=(0.0, -0.02), handlelength=1.5, columnspacing=1.2)
        return truth, fit, points

    def _build_matrix(self, ax: Any) -> None:
        ax.set(xlim=(-0.5, 3.5), ylim=(3.5, -0.5))
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_ticks(range(N_TASKS), range(1, N_TASKS + 1))
        ax.xaxis.tick_top()
        ax.xaxis.set_label_position("top")
        ax.set_xlabel("error on task")
        ax.set_ylabel("after learning task")
        ax.tick_params(length=0)
        ax.grid(False)
        empty = np.full((N_TASKS, N_TASKS), 0.01)
        self._image = self.keep(ax.imshow(empty, cmap=SHADES, norm=LogNorm(0.02, 20), interpolation="nearest"))
        self._current = self.keep(ax.add_patch(Rectangle((0, 0), 1, 1, fill=False, lw=3.5, ec=COLOURS["after"])))
        self._row = self.keep(ax.add_patch(Rectangle((0, 0), 4, 1, fill=False, lw=1.5, ec=COLOURS["truth"])))
        self._numbers = [
            [self.label(size=13, align="center", at=(LEFT + CELL * (j + 0.5), y)) for j in range(4)]
            for y in (TOP - CELL * (i + 0.5) for i in range(4))
        ]

    def update(self, frame: Frame) -> None:
        """Move everything to one frame."""
        now = frame.state.now - 1
        names = [f"current: task {now + 1}", "old: task 1" if now else "task 1 is the current one"]
        errors = [frame.matrix[now, now], frame.matrix[now, 0]]
        for i, (truth, fit, points) in enumerate(self._fits):
            truth.set_data(X, frame.truths[i])
            fit.set_data(X, finite(frame.fits[i]))
            points.set_data(*frame.points[i].T)
            self._titles[i].text = names[i]
            self._scores[i].text = f"error {error_in_words(errors[i])}"
        self._draw_matrix(frame.matrix, now)

    def _draw_matrix(self, matrix: np.ndarray, now: int) -> None:
        self._image.set_data(np.clip(np.nan_to_num(matrix, nan=0.01, posinf=20), 0.01, 20))
        self._current.set_xy((now - 0.5, now - 0.5))
        self._row.set_xy((-0.5, now - 0.5))
        for i, row in enumerate(self._numbers):
            for j, label in enumerate(row):
                label.text = "" if np.isnan(matrix[i, j]) else error_in_words(matrix[i, j])
                label.colour = "black" if j <= i else "#4D4D4D"
                label.bold = i == now and j <= i
