"""What the explorer of languages draws: the names shown, each method's answer, and the n-grams that spoke."""

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from mapping_lib.page.canvas import Canvas, palette

from .explorer_compute import Frame, characters
from .study import METHODS, N_WAY

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#8C6510")
"""One colour a language of the task, in the order drawn."""

GREY, LIGHT, ROOM, TOP = "#555555", "#DDDDDD", 56, 9
"""Two greys, how many letters a line of example names holds, and how many n-grams are shown."""


class LanguagesCanvas(Canvas):
    """Above: names of each language. Below: probabilities and accuracies by method. Right: n-grams."""

    size = (10.6, 5.3)
    palette = palette(*COLOURS, GREY, LIGHT)

    def build(self, figure: Figure) -> None:
        """Three axes; the names stand above two of them."""
        self._build_names()
        self._build_answers(self.axes(216, 54, 290, 240))
        self._build_accuracy(self.axes(530, 54, 150, 240))
        self._build_ngrams(self.axes(800, 54, 240, 358))

    def _build_names(self) -> None:
        self._asked = self.label(size=15, bold=True, at=(10, 512))
        self._names = []
        for row in range(N_WAY):
            y = 482 - 31 * row
            title = self.label(size=12, bold=True, colour=COLOURS[row], at=(10, y))
            names = self.label(size=11, at=(222, y))
            self._names.append((title, names, self.label(size=11, at=(700, y), align="right")))

    def _build_answers(self, ax: Any) -> None:
        ax.set(xlim=(0, 1), ylim=(len(METHODS) - 0.5, -0.5), xlabel="probability of each language")
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
        ax.set_yticks([])
        ax.grid(False)
        self._bars = self.collect(ax, PolyCollection([], antialiaseds=False))
        self._labels = {}
        for row, name in enumerate(METHODS):
            y = 54 + 240 * (1 - (row + 0.5) / len(METHODS))
            self._labels[name] = self.label(text=name, size=11, align="right", at=(208, y))

    def _build_accuracy(self, ax: Any) -> None:
        ax.set(xlim=(0, 1.02), ylim=(len(METHODS) - 0.5, -0.5), xlabel="accuracy")
        ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        ax.set_yticks([])
        self._chance = self.keep(ax.axvline(0.2, color=GREY, lw=1.2, ls=":"))
        self._here = self.line(ax, "o", ms=9, color="black")
        self._there = self.line(ax, "D", ms=8, mfc="none", mec=GREY, mew=1.8)
        self.label(text="● 20 others of each", size=10, at=(522, 317))
        self._episodes = self.label(size=10, colour=GREY, at=(522, 301))

    def _build_ngrams(self, ax: Any) -> None:
        ax.set(xlim=(-1, 1), ylim=(TOP - 0.5, -0.5), xlabel="pull, the largest being 1")
        ax.set_xticks([-1, -0.5, 0, 0.5, 1], ["−1", "", "0", "", "1"])
        ax.set_yticks([])
        ax.axvline(0, color=GREY, lw=1)
        self._pulls = self.collect(ax, PolyCollection([], antialiaseds=False))
        heights = [54 + 358 * (1 - (i + 0.5) / TOP) for i in range(TOP)]
        self._ngrams = [self.label(size=12, align="right", at=(792, y)) for y in heights]
        self._for = self.label(size=11, at=(720, 512))
        self._versus = [self.label(size=12, bold=True, at=(720, y)) for y in (490, 468)]
        self._why = self.label(size=10, colour=GREY, at=(720, 440), text="n-grams that pulled most (_ is a blank)")

    def update(self, frame: Frame) -> None:
        """Move everything to one frame."""
        self._show_names(frame)
        self._show_answers(frame)
        for marks, accuracies in ((self._here, frame.here), (self._there, frame.there)):
            marks.set_data([accuracies[name] for name in METHODS], range(len(METHODS)))
        self._chance.set_xdata([1 / frame.state.n_way] * 2)
        self._episodes.text = f"◇ 600 tasks, 5-way {frame.there_shots}-shot"
        self._show_ngrams(frame)

    def _show_names(self, frame: Frame) -> None:
        problem = frame.asked.problem
        self._asked.text = f"{'Cannot be read' if problem else 'Which language'}:  {printable(frame.asked.name)}"
        for row, (title, names, mark) in enumerate(self._names):
            inside = row < len(frame.languages)
            title.text = shortened((frame.languages[row].name,), 21) if inside else ""
            names.text = shortened(frame.support[row]) if inside else ""
            mark.text = "← the truth" if inside and row == frame.asked.label else ""

    def _show_answers(self, frame: Frame) -> None:
        boxes, colours = [], []
        for row, name in enumerate(METHODS):
            self._labels[name].bold = name == frame.state.method
            ends = np.concatenate([[0.0], np.cumsum(frame.probabilities.get(name, []))])
            boxes += [_box(left, right, row) for left, right in pairwise(ends)]
            colours += COLOURS[: len(ends) - 1]
        self._bars.set_verts(boxes)
        self._bars.set_facecolor(colours or "none")

    def _show_ngrams(self, frame: Frame) -> None:
        pulls = frame.spoke[:TOP]
        scale = 1 / (max((abs(pull) for _, pull in pulls), default=0.0) or 1.0)
        self._pulls.set_verts([_box(0.0, pull * scale, row) for row, (_, pull) in enumerate(pulls)])
        sides = [COLOURS[frame.first if pull > 0 else frame.second] for _, pull in pulls]
        self._pulls.set_facecolor(sides or "none")
        for label, (ngram, _) in zip(self._ngrams, [*pulls, *[("", 0.0)] * (TOP - len(pulls))], strict=True):
            label.text = printable(ngram).replace(" ", "_")
        self._for.text = "nearest centroid, its first against its second:" if pulls else ""
        for label, which in zip(self._versus, (frame.first, frame.second), strict=True):
            label.text = frame.languages[which].name if pulls else ""
            label.colour = COLOURS[which]


def shortened(names: tuple[str, ...], room: int = ROOM) -> str:
    """As many names as there is room for, and how many more there are.

    >>> shortened(("Oslo", "Bergen", "Tromsø"), room=16)
    'Oslo, Bergen, …'
    """
    text = ""
    for name in names:
        longer = f"{text}, {name}" if text else name
        if len(longer) > room:
            return f"{text}, …" if text else f"{name[: room - 1]}…"
        text = longer
    return text


def printable(text: str) -> str:
    """The text with a question mark for each character that neither ASCII nor any name of the data has.

    >>> printable("Þýskaland 日本")
    'Þýskaland ??'
    """
    return "".join(c if c in characters() or " " <= c <= "~" else "?" for c in text)


def _box(left: float, right: float, row: int, half: float = 0.36) -> np.ndarray:
    return np.array([(left, row - half), (right, row - half), (right, row + half), (left, row + half)])
