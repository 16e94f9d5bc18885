"""What the five-mappings explorer draws: in, out, the function, and the error of all five."""

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from mapping_lib.page.canvas import Canvas, count, finite, number, palette, put
from mapping_lib.page.plots import COLOURS

from .explorer_compute import GRID, MAML_STEPS, MAPPINGS, WEIGHTS, Frame, tau

X = GRID[:, 0].numpy()
ERRORS = (1e-4, 1e3)
"""The ends of the error axis; what lies beyond stands at its end."""

CELL, THICK, GAP = 4, 10, 5
"""Pixels: a weight of the middle layer, the strips of the other weights, and the space between."""

PICTURE = CELL * 40 + 2 + GAP + 2 * THICK + 2
"""Height and width of the picture of phi."""

IN, OUT = (46, 240), (318, 240)
"""Lower left corners of what goes in and what comes out, in pixels."""

BOUNDS = {"maml": 0.1, "hypernetwork": 2.0, "rule": 0.1, "flow": 0.1}
"""The change of a weight that has the darkest colour: mappings differ by far."""

ROWS = (150, 50, 262, 116)
"""Left, bottom, width and height of the axes of all errors, in pixels."""

HOW = {
    "maml": f"{MAML_STEPS} steps",
    "hypernetwork": "h(d)",
    "rule": "5 steps",
    "flow": "time τ",
    "in_context": "reads",
}
"""Words above the first arrow."""

UP, DOWN = COLOURS["rival"], COLOURS["after"]
ARROW = "simple,head_width=16,head_length=12,tail_width=5"


class FiveMappingsCanvas(Canvas):
    """Left: what goes in, what comes out; below, all five errors. Right: the function."""

    size = (10.6, 4.9)
    palette = palette(COLOURS["truth"], COLOURS["support"], UP, *(m.colour for m in MAPPINGS.values()))

    def build(self, figure: Figure) -> None:
        """Three axes, and a place for the picture of phi."""
        self._build_in(self.axes(*IN, PICTURE, PICTURE))
        self._build_out(figure)
        self._build_errors(self.axes(*ROWS))
        self._build_function(self.axes(588, 54, 460, 386))

    def _build_in(self, ax: Any) -> None:
        ax.set(xlim=(-5, 5), ylim=(-9.5, 9.5), xticks=[-5, 0, 5], yticks=[-5, 0, 5])
        ax.tick_params(labelsize=11, pad=2)
        self._in_axes = ax
        self._title = self.label(size=15, bold=True, at=(IN[0] - 32, 472))
        self._in = self.label(size=12, at=(IN[0], IN[1] + PICTURE + 11))
        self._begin = self.line(ax, ":", color="#777777", lw=1.8)
        self._given = self.line(ax, "o", color=COLOURS["support"], ms=6, mec="black", mew=0.8)
        middle = IN[0] + PICTURE / 2
        self._description = [
            self.label(size=20, bold=True, align="center", at=(middle, IN[1] + 118)),
            self.label(size=11, align="center", colour="#555555", at=(middle, IN[1] + 84)),
        ]

    def _build_out(self, figure: Figure) -> None:
        width, height = figure.bbox.size
        for start, end in ((IN[0] + PICTURE + 12, OUT[0] - 12), (OUT[0] + PICTURE + 10, OUT[0] + PICTURE + 40)):
            at = IN[1] + PICTURE / 2
            ends = (start / width, at / height), (end / width, at / height)
            figure.add_artist(FancyArrowPatch(*ends, arrowstyle=ARROW, color="#999999"))
        self._out = self.label(size=12, at=(OUT[0], OUT[1] + PICTURE + 11))
        self._how = self.label(size=11, colour="#555555", align="center", at=((IN[0] + PICTURE + OUT[0]) / 2, at + 18))
        self._moved = self.label(size=11, colour="#555555", at=(OUT[0], OUT[1] - 13))
        self._most = self.label(size=11, at=(OUT[0] + 184, OUT[1] - 13))
        self._key = [
            self.label(size=11, colour=colour, at=(OUT[0] + shift, OUT[1] - 31))
            for colour, shift in ((UP, 0), (DOWN, 52))
        ]
        middle = (OUT[0] + PICTURE / 2, OUT[1] + PICTURE / 2)
        self._no_phi = [
            self.label(size=16, bold=True, align="center", at=(middle[0], middle[1] + 16)),
            self.label(size=12, align="center", colour="#555555", at=(middle[0], middle[1] - 14)),
        ]
        self._weights: np.ndarray | None = None

    def _build_errors(self, ax: Any) -> None:
        n = len(MAPPINGS)
        ax.set(xlim=ERRORS, ylim=(n - 0.4, -0.6), xscale="log")
        ticks = [10.0**e for e in range(-4, 4)]
        ax.set_xticks(ticks, [f"{tick:g}" if e % 2 == 0 else "" for e, tick in enumerate(ticks)])
        ax.minorticks_off()
        ax.set_yticks([])
        ax.tick_params(labelsize=11)
        ax.spines["left"].set_visible(False)
        ax.set_xlabel("query error (mean square)", fontsize=12, labelpad=2)
        self._band = self.keep(ax.add_patch(Rectangle((ERRORS[0], 0), 2e5, 1, color="#EBEBEB", lw=0, clip_on=False)))
        self._zero = self.line(ax, "--", color="#777777", lw=1.4)
        self._zero_name = self.label(text="flat line y = 0", size=11, colour="#555555", align="center")
        self._errors_axes, self._dots = ax, {}
        for row, (name, mapping) in enumerate(MAPPINGS.items()):
            at = ROWS[1] + ROWS[3] * (n - 0.4 - row) / n - 2
            dot = self.line(ax, "o", color=mapping.colour, ms=9, mec="white", clip_on=False)
            label = self.label(text=mapping.label, colour=mapping.colour, align="right", at=(ROWS[0] - 10, at))
            value = self.label(align="right", at=(ROWS[0] + ROWS[2] + 76, at))
            self._dots[name] = (dot, label, value, row)

    def _build_function(self, ax: Any) -> None:
        ax.set(xlim=(-5, 5), ylim=(-9.5, 9.5), xlabel="x")
        ax.set_yticks([-8, -4, 0, 4, 8])
        ax.set_ylabel("y", rotation=0)
        ax.yaxis.set_label_coords(-0.045, 0.6)
        self._curves = {name: self.line(ax, color=m.colour, lw=1.3, alpha=0.55) for name, m in MAPPINGS.items()}
        self._fit = self.line(ax, lw=3.2)
        self._truth = self.truth(ax)
        self._points = self.line(ax, "o", color=COLOURS["support"], ms=9, mec="black", mew=1.0, label="points S")
        ax.plot([], [], color="#777777", lw=3, label="this mapping")
        ax.plot([], [], color="#777777", lw=1.2, alpha=0.6, label="the others")
        where = {"loc": "lower left", "bbox_to_anchor": (-0.05, 0.99), "borderaxespad": 0.2}
        ax.legend(ncols=4, handlelength=1.4, columnspacing=0.8, handletextpad=0.4, **where)

    def update(self, frame: Frame) -> None:
        """Move everything to one frame."""
        mapping = MAPPINGS[frame.state.mapping]
        self._title.text, self._title.colour = f"{mapping.label}:  {mapping.type}", mapping.colour
        self._draw_in(frame)
        self._draw_out(frame)
        self._draw_errors(frame)
        self._draw_function(frame)

    def paint(self, pixels: np.ndarray) -> None:
        """Put the picture of phi under everything that moves."""
        if self._weights is not None:
            put(pixels, self._weights, *OUT)

    def _draw_in(self, frame: Frame) -> None:
        state, described = frame.state, frame.state.mapping == "hypernetwork"
        start = frame.chosen.start
        self._in_axes.set_visible(not described)
        self.redraw_axes("described" if described else "")
        self._begin.set_data(*((X, start) if start is not None else ([], [])))
        self._given.set_data(*(([], []) if described else frame.support.T))
        points = count(state.k_shot, "point")
        self._in.text = {
            "maml": f"in: θ and {points}",
            "hypernetwork": "in: d, no points",
            "rule": f"in: θ and {points}",
            "flow": f"in: θ, {points}, τ = {tau():.2f}",
            "in_context": f"in: {points} and each x",
        }[state.mapping]
        d = f"({state.amplitude:.1f}, {state.phase:.1f})".replace("-", "−")
        for label, text in zip(self._description, (d, "amplitude, phase"), strict=True):
            label.text = text if described else ""

    def _draw_out(self, frame: Frame) -> None:
        change, name = frame.chosen.change, frame.state.mapping
        self._weights = None if change is None else picture_of(change, BOUNDS[name])
        self._out.text = "out: y, no φ" if change is None else "out: φ, 1761 weights"
        largest = np.nan if change is None else float(np.abs(change).max())
        self._most.text = number(largest) if np.isfinite(largest) else ""
        moved = "change from θ, at most" if self._most.text else "φ is no number any more"
        texts = ("", "", "", "no φ", "it answers at once") if change is None else (moved, "■ up", "■ down", "", "")
        for label, text in zip((self._moved, *self._key, *self._no_phi), texts, strict=True):
            label.text = text
        self._how.text = HOW[name]

    def _draw_errors(self, frame: Frame) -> None:
        for name, (dot, label, value, row) in self._dots.items():
            error, chosen = frame.outcomes[name].error, name == frame.state.mapping
            dot.set_data([np.clip(error, *ERRORS)] if np.isfinite(error) else [np.nan], [row])
            dot.set_markersize(12 if chosen else 8)
            label.bold = value.bold = chosen
            value.text = number(error) if np.isfinite(error) else "diverged"
            if chosen:
                self._band.set_y(row - 0.5)
        self._zero.set_data([frame.zero_error] * 2, [-0.6, len(self._dots) - 0.4])
        x, y = self._errors_axes.transData.transform((frame.zero_error, -0.6))
        self._zero_name.at = (x, y + 8)

    def _draw_function(self, frame: Frame) -> None:
        for name, line in self._curves.items():
            line.set_data(X, finite(frame.outcomes[name].curve))
        self._fit.set_data(*self._curves[frame.state.mapping].get_data())
        self._fit.set_color(MAPPINGS[frame.state.mapping].colour)
        self._truth.set_data(X, frame.truth)
        self._points.set_data(*frame.support.T)
        unread = frame.state.mapping == "hypernetwork"
        self._points.set_markerfacecolor("white" if unread else COLOURS["support"])


def picture_of(change: np.ndarray, bound: float) -> np.ndarray:
    """Paint the changes of all weights ``(1761,)``: the middle layer as a square, the others as strips around it.

    One column a unit of the first hidden layer, one row a unit of the second. A root makes small changes visible.

    >>> picture_of(np.zeros(1761), 1.0).shape == (PICTURE, PICTURE, 3)
    True
    """
    sizes = [shape.numel() for shape in WEIGHTS.values()]
    w1, b1, w2, b2, w3, b3 = np.split(change / bound, np.cumsum(sizes)[:-1])
    picture = np.full((PICTURE, PICTURE, 3), 255, np.uint8)
    second = 40 * CELL + 2 + GAP  # where the strips begin
    for top, left, block, cell in (
        (0, 0, w2.reshape(40, 40), (CELL, CELL)),
        (0, second, np.stack([b2, w3], axis=1), (CELL, THICK)),
        (second, 0, np.stack([w1, b1]), (THICK, CELL)),
        (second, second, b3[None], (2 * THICK, 2 * THICK)),
    ):
        painted = _shades(np.kron(block, np.ones(cell)))
        height, width = painted.shape[:2]
        picture[top : top + height + 2, left : left + width + 2] = 190  # a frame, for there may be no change at all
        picture[top + 1 : top + 1 + height, left + 1 : left + 1 + width] = painted
    return picture


def _shades(values: np.ndarray) -> np.ndarray:
    """Colours of values: white for 0, full for -1 and 1 and beyond."""
    share = np.sqrt(np.abs(np.nan_to_num(values, nan=1.0)).clip(0, 1))[..., None]
    full = np.where(values[..., None] < 0, 255 * np.array(to_rgb(DOWN)), 255 * np.array(to_rgb(UP)))
    return (255 + share * (full - 255)).astype(np.uint8)
