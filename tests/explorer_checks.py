"""What every explorer must stand, whichever file its own tests are in."""

import gc
import io
import math
import random
import resource
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from types import ModuleType
from typing import Any

import ipywidgets as widgets
import numpy as np
import pytest
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


def states_draw(compute: Callable, canvas: Canvas, draw_state: Callable[[random.Random], Any], n: int = 300) -> None:
    """Compute ``n`` random states and draw every other one: none fails, all have words, nothing piles up.

    Three hundred that are spread evenly go where a thousand by lot did, in a quarter of the time.
    """
    rng, megabytes, artists = SpreadOut(n), [], []
    for i in range(n):
        rng.next()
        frame = compute(draw_state(rng))
        assert frame.words
        if i % 2:
            canvas.draw(frame)
        if i in (3 * n // 10, n - 1):
            gc.collect()
            megabytes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            artists.append([len(ax.get_children()) for ax in canvas.figure.axes])
    assert megabytes[1] - megabytes[0] < 15
    assert artists[1] == artists[0]
    assert canvas.pixels().std() > 5


def controls_matter(panel: Panel, only: Mapping[str, Sequence[Any]] | None = None) -> None:
    """Every value of every control is another picture than before, and "reset" brings the first one back.

    Sliders go to both their ends, choices to every option; ``only`` names the values of some controls instead.
    """
    first = panel.picture.value
    for name, control in panel.controls.items():
        for value in [v for v in (only or {}).get(name) or _values(control) if v != control.value]:
            old = panel.picture.value
            control.value = value
            assert panel.picture.value != old, (name, value)
        panel.buttons["reset"].click()
        assert panel.picture.value == first


def values_on_steps(panel: Panel, presets: Mapping[str, Mapping[str, Any]]) -> None:
    """The values of the start and of all presets are steps of their sliders: others a browser moves, and draws anew."""
    for label, values in {"start": {}, **presets}.items():
        state = replace(panel.start_state, **values)
        for name, control in panel.controls.items():
            if hasattr(control, "step"):
                value = getattr(state, name)
                place = math.log(value, control.base) if isinstance(control, widgets.FloatLogSlider) else value
                steps = (place - control.min) / control.step
                assert steps == pytest.approx(round(steps), abs=1e-6), (label, name, value)


def presets_are_states(module: ModuleType, hidden: Collection[str] = ()) -> None:
    """Each part of the state but the ``hidden`` ones has its control; presets name only such parts, and have words."""
    panel = module.explorer()
    assert set(panel.controls) == {field.name for field in fields(module.State)} - {*hidden}
    for values in module.PRESETS.values():
        assert module.compute(module.State(**values)).words
    values_on_steps(panel, module.PRESETS)


def colours_arrive(panel: Panel, most: float) -> None:
    """The palette of the PNG keeps white white, and colours to ``most`` of 255 on average."""
    sent = np.asarray(Image.open(io.BytesIO(panel.picture.value)).convert("RGB")).astype(int)
    assert (sent[2, 2] == 255).all()
    assert (sent == 255).all(-1).mean() > 0.5
    assert np.abs(sent - panel.canvas.pixels()).mean() < most


def _values(control: widgets.Widget) -> list[Any]:
    if hasattr(control, "options"):
        return [option[1] if isinstance(option, tuple) else option for option in control.options]
    ends = [control.min, control.max]
    return [control.base**end for end in ends] if isinstance(control, widgets.FloatLogSlider) else ends
