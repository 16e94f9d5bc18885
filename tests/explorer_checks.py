"""What every explorer must stand, whichever file its own tests are in."""

import gc
import io
import math
import random
import resource
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
from PIL import Image

from mapping_lib.page.canvas import Canvas
from mapping_lib.page.panel import Panel


class SpreadOut(random.Random):
    """Random numbers for ``n`` states that spread evenly: a Latin hypercube (McKay, Beckman & Conover 1979).

    The j-th number of each state falls, over all states, once into each of ``n`` equal parts of 0 ... 1: every option
    of every control occurs, and both ends of every slider, with far fewer states than by lot.
    """

    def __init__(self, n: int) -> None:
        super().__init__(0)
        self.n, self.state, self.parts = n, -1, []

    def next(self) -> None:
        """Begin the next state; the first one, too."""
        self.state, self.numbers = self.state + 1, 0

    def random(self) -> float:
        """The next number of this state."""
        if self.numbers == len(self.parts):
            self.parts.append(random.Random(self.numbers).sample(range(self.n), self.n))
        part, self.numbers = self.parts[self.numbers][self.state], self.numbers + 1
        return (part + super().random()) / self.n

    def _randbelow(self, n: int) -> int:  # what choice, randint and randrange are made of
        return int(n * self.random())


def states_draw(
    compute: Callable, canvas: Canvas, draw_state: Callable[[random.Random], Any], n: int = 300, grows: float = 10
) -> None:
    """Compute ``n`` random states and draw every other one: none fails, all have words, nothing piles up.

    The process may grow by ``grows`` megabytes over the second half.

    Three hundred that are spread evenly go where a thousand by lot did, in a quarter of the time.
    """
    rng, megabytes, artists = SpreadOut(n), [], []
    for i in range(n):
        rng.next()
        frame = compute(draw_state(rng))
        assert frame.words
        if i % 2:
            canvas.draw(frame)
        if i in (n // 2, n - 1):  # by the first, what explorers remember is there
            gc.collect()
            megabytes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            artists.append([len(ax.get_children()) for ax in canvas.figure.axes])
    assert megabytes[1] - megabytes[0] < grows
    assert artists[1] == artists[0]
    assert canvas.pixels().std() > 5


def controls_matter(panel: Panel, only: Mapping[str, Sequence[Any]] | None = None) -> None:
    """Every value of every control is another picture than before, and "reset" brings the first one back.

    Sliders that are shown go to both their ends, choices to every option; ``only`` names the values of some instead.
    """
    reset = next(button for label, button in panel.buttons.items() if label.lower() == "reset")
    first, shown = panel.picture.value, {n: c for n, c in panel.controls.items() if c.layout.display != "none"}
    for name, control in shown.items():
        for value in [v for v in (only or {}).get(name) or _values(control) if v != control.value]:
            old = panel.picture.value
            control.value = value
            assert panel.picture.value != old, (name, value)
        reset.click()
        assert panel.picture.value == first


def colours_arrive(panel: Panel, most: float, white: int = 255) -> None:
    """The palette of the PNG keeps white white, or as light as said, and colours to ``most`` of 255 on average."""
    sent = np.asarray(Image.open(io.BytesIO(panel.picture.value)).convert("RGB")).astype(int)
    assert (sent[2, 2] == white).all()
    assert (sent == white).all(-1).mean() > 0.5
    assert np.abs(sent - panel.canvas.pixels()).mean() < most


def options_of(control: widgets.Widget) -> list[Any]:
    """The values that a choice offers."""
    return [option[1] if isinstance(option, tuple) else option for option in control.options]


def value_at(place: float, control: widgets.Widget) -> float:
    """The value of a slider at a place between its ``min`` and its ``max``, which for some are exponents."""
    return control.base**place if isinstance(control, widgets.FloatLogSlider) else place


def place_of(value: float, control: widgets.Widget) -> float:
    """Where a slider stands: what `value_at` is given."""
    return math.log(value, control.base) if isinstance(control, widgets.FloatLogSlider) else value


def any_of(control: widgets.Widget, rng: random.Random) -> Any:
    """A value that a reader can choose: an option, or a step of a slider."""
    if hasattr(control, "options"):
        return rng.choice(options_of(control))
    steps = round((control.max - control.min) / control.step)
    return value_at(control.min + control.step * rng.randint(0, steps), control)


def _values(control: widgets.Widget) -> list[Any]:
    if hasattr(control, "options"):
        return options_of(control)
    return [value_at(place, control) for place in (control.min, control.max)]
