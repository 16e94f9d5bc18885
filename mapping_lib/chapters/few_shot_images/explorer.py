"""Explorer: tell letters of unseen alphabets apart from one example each, or characters that the reader draws."""

import time
from dataclasses import asdict
from typing import Any

import ipywidgets as widgets

from mapping_lib.page.panel import PlayingPanel, choice, decimal, whole

from .explorer_canvas import FewShotCanvas
from .explorer_compute import ASK, JUDGED, LABELS, LETTERS, MAX_SHOT, MAX_WAY, State, can, compute, score
from .explorer_drawing import EXAMPLES, Drawing, as_drawing
from .explorer_pad import DrawingPad
from .methods import METHODS

MAX_EPISODE = 50
SLICE = 0.06
"""Seconds of judging between two pictures."""

PRESETS = {
    "5-way 1-shot": {"way": 5, "k_shot": 1},
    "20-way 1-shot": {"way": 20, "k_shot": 1},
    "20-way 5-shot": {"way": 20, "k_shot": 5},
    "jitter 0": {"jitter": 0.0},
    "jitter 2": {"jitter": 2.0},
    "MAML": {"method": "MAML", "way": 5},
    "pixels": {"method": "pixel 1-NN"},
    "prototypical": {"method": "prototypical"},
    "reset": asdict(State()),
}
"""Each moves what it names and leaves the rest as it is; reset moves everything, the drawings too."""


class FewShotPanel(PlayingPanel):
    """The panel, with a pad to draw on; the accuracy is taken episode by episode while the reader goes on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.pad = DrawingPad()
        self.scores: dict[tuple, tuple[float, ...]] = {}
        super().__init__(*args, **kwargs)
        self.pad.observe(lambda change: self._moved("strokes", change["new"]), names="strokes")
        self._arrange()

    def _arrange(self) -> None:
        """Put the pad and its buttons beside the controls."""
        acts = {"another example": self.example, "next character": self.next_character}
        acts |= {"ask": self.ask, "clear": self.clear, "clear all": self.clear_all}
        own = {label: self._button(label, act, style="info") for label, act in acts.items()}
        self.buttons |= own
        presets, controls, words, picture = self.children
        controls.layout.max_width = "690px"
        left = widgets.VBox([controls, words], layout={"max_width": "700px", "flex": "1 1 400px"})
        right = widgets.HBox([self.pad, widgets.VBox(list(own.values()), layout={"margin": "22px 0 0 4px"})])
        self.children = [presets, widgets.Box([left, right], layout={"flex_flow": "row wrap"}), picture]

    # The accuracy -----------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show the present state, and judge what is left of its setting in the background; the first one at once."""
        opening = not self.scores
        self._frame = self.compute(self.state)
        if opening and can(self.state.method, self.state.way):
            while len(self._judged()) < JUDGED:
                self._judge()
        self._show()
        if self._unjudged():
            self.play()

    def advance(self) -> bool:
        """Judge for a moment, and show the accuracy so far; return whether episodes are left."""
        begun = time.perf_counter()
        while self._unjudged() and time.perf_counter() < begun + SLICE:
            self._judge()
        self._show()
        return self._unjudged()

    def _judged(self) -> tuple[float, ...]:
        return self.scores.get(self.state.setting, ())

    def _unjudged(self) -> bool:
        return can(self.state.method, self.state.way) and len(self._judged()) < JUDGED

    def _judge(self) -> None:
        setting, judged = self.state.setting, self._judged()
        self.scores[setting] = (*judged, score(setting, len(judged) + 1))

    def _show(self) -> None:
        self.show(self._frame._replace(scores=self._judged()))

    # The drawings -----------------------------------------------------------------------------------------

    def place(self, state: State) -> None:
        """Put the controls and the pad where ``state`` says, without a redraw."""
        super().place(state)
        self._quiet = True
        try:
            self.pad.strokes = [[list(point) for point in stroke] for stroke in state.drawings[state.place]]
            self.pad.caption = "draw the query" if state.place == ASK else f"draw {LETTERS[state.place]}"
        finally:
            self._quiet = False

    def _change(self, name: str, value: Any) -> None:
        if name == "strokes":
            name, value = "drawings", self._with(as_drawing(value))
        super()._change(name, value)

    def _with(self, drawing: Drawing) -> tuple[Drawing, ...]:
        """The drawings, with another one on the pad."""
        return tuple(drawing if i == self.state.place else d for i, d in enumerate(self.state.drawings))

    def example(self) -> None:
        """Put ready drawings in the place of the reader's."""
        here = EXAMPLES.index(self.state.drawings) if self.state.drawings in EXAMPLES else -1
        self.set(drawings=EXAMPLES[(here + 1) % len(EXAMPLES)], place=ASK)

    def next_character(self) -> None:
        """Go on to the next place for a character; the first empty one is the last that can be reached."""
        drawn = [bool(drawing) for drawing in self.state.drawings[:ASK]]
        free = drawn.index(False) if False in drawn else 0
        here = self.state.place
        after = [i for i in range(ASK) if i > here and (drawn[i] or i == free)]
        self.set(place=free if here == ASK else after[0] if after else 0)

    def ask(self) -> None:
        """Go on to the query; when it is there already, begin a new one."""
        if self.state.place == ASK:
            self.clear()
        else:
            self.set(place=ASK)

    def clear(self) -> None:
        """Take away what is on the pad."""
        self.set(drawings=self._with(()))

    def clear_all(self) -> None:
        """Take away all drawings, and begin with the first."""
        self.set(drawings=((),) * (ASK + 1), place=0)


def explorer() -> FewShotPanel:
    """Open the panel: the last line of a notebook cell."""
    new_episode = {"new episode": lambda panel: panel.set(episode=panel.state.episode % MAX_EPISODE + 1)}
    return FewShotPanel(
        "few-shot",
        State(),
        {
            "way": whole(2, MAX_WAY, "ways N"),
            "k_shot": whole(1, MAX_SHOT, "shots K"),
            "jitter": decimal(0, 2, 0.25, "jitter"),
            "episode": whole(1, MAX_EPISODE, "episode"),
            "method": choice({name: LABELS.get(name, name) for name in METHODS}, "method"),
        },
        compute,
        FewShotCanvas(),
        PRESETS,
        actions=new_episode,
    )
