"""The machinery of panels, on a small one: it draws what controls say, plays and stops, says what fails in words."""

import asyncio
import base64
import io
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import pytest
from explorer_checks import SpreadOut, colours_arrive, controls_matter, states_draw
from IPython.core.formatters import DisplayFormatter
from PIL import Image

from mapping_lib.page.canvas import Canvas, Label, apart
from mapping_lib.page.displayed import Displayed
from mapping_lib.page.panel import PlayingPanel
from mapping_lib.page.plots import COLOURS
from mapping_lib.page.progress import ProgressBar

VIEW = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True)
class State:
    """Where the line stands."""

    height: float = 1.0
    colour: str = "support"


class Frame(NamedTuple):
    """What is drawn."""

    state: State
    words: str


class Line(Canvas):
    """One thick line, at the height of the state."""

    size = (2.0, 1.5)

    def build(self, figure) -> None:
        ax = figure.add_subplot(xlim=(0, 1), ylim=(0, 10))
        self.line = self.keep(ax.plot([0, 1], [1, 1], lw=9)[0])

    def update(self, frame: Frame) -> None:
        self.line.set(ydata=[frame.state.height] * 2, color=COLOURS[frame.state.colour])


class Rising(PlayingPanel):
    """Ten slices, a step up each."""

    def advance(self) -> bool:
        self.set(height=self.state.height + 1)
        return self.state.height < 10


def compute(state: State) -> Frame:
    if state.height == 7:
        raise RuntimeError("out of points")
    return Frame(state, f"the line is at {state.height:g}")


def panel() -> Rising:
    controls = {
        "height": widgets.FloatSlider(value=1, min=0, max=10, step=1),
        "colour": widgets.Dropdown(value="support", options=list(COLOURS)[:3]),
    }
    presets = {"top": {"height": 10.0}, "reset": {"height": 1.0, "colour": "support"}}
    return Rising("line", State(), controls, compute, Line(), presets, {"Play": Rising.play, "Stop": Rising.stop})


def test_every_control_draws_a_new_picture_and_presets_move_several():
    line = panel()
    controls_matter(line)
    line.buttons["top"].click()
    assert (line.state, line.controls["height"].value) == (State(height=10.0), 10.0)
    assert "the line is at 10" in line.words.value


def test_the_palette_keeps_white_white_and_colours_close():
    colours_arrive(panel(), 0.5)


def test_what_fails_is_said_in_words_and_the_picture_stays():
    line = panel()
    picture = line.picture.value
    line.controls["height"].value = 7
    assert "RuntimeError: out of points" in line.words.value
    assert line.picture.value == picture
    line.buttons["reset"].click()
    assert "the line is at 1" in line.words.value


def test_without_an_event_loop_it_plays_to_its_end_and_a_slice_that_fails_stops_it():
    line = panel()
    line.play()  # 7 cannot be drawn
    assert (line.state.height, line.running) == (7, False)
    assert "RuntimeError" in line.words.value
    line.set(height=8.0)
    line.play()
    assert (line.state.height, line.running) == (10, False)


def test_in_an_event_loop_it_plays_in_slices_hears_controls_and_stops_at_once():
    line = panel()
    line.period = 0.05

    async def reader():
        line.buttons["Play"].click()
        await asyncio.sleep(0.12)
        line.controls["colour"].value = list(COLOURS)[1]
        running = line.running
        line.buttons["Stop"].click()
        at_stop = line.state
        await asyncio.sleep(0.15)
        return running, at_stop, line.state

    running, at_stop, later = asyncio.run(reader())
    assert running
    assert 1 < at_stop.height < 10
    assert at_stop == later


# What readers without a kernel see ------------------------------------------------------------------------


def test_a_panel_stores_a_picture_for_readers_without_a_kernel():
    line = panel()
    bundle, _ = DisplayFormatter().format(line)
    with Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))) as picture:
        assert picture.size == (200, 150)
    assert bundle["text/plain"] == "[explorer: line]"
    assert bundle[VIEW] == widgets.VBox._repr_mimebundle_(line)[VIEW]


class Seven:
    """Displays itself as a widget of ipywidgets 7 does; it knows no `_repr_mimebundle_`."""

    model_id = "abc"

    def _ipython_display_(self, **kwargs) -> None:
        """Where IPython finds this, it asks for nothing else."""


class OfSeven(Displayed, Seven):
    """A widget of this suite, with ipywidgets 7."""

    def __repr__(self) -> str:
        return "[a bar]"


@pytest.mark.parametrize("widget", [OfSeven(), ProgressBar("a bar", 3)], ids=["ipywidgets 7", "ipywidgets 8"])
def test_a_widget_is_displayed_with_its_view_and_its_words(widget):
    bundle, _ = DisplayFormatter().format(widget)
    assert bundle["text/plain"] in ("[a bar]", "[progress: a bar]")
    assert bundle[VIEW] == {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}


# The canvas -----------------------------------------------------------------------------------------------


def test_curves_that_would_overlap_are_named_apart():
    heights = sorted(apart([(900, height) for height in (1.0, 1.0, 1.05, 0.98, 7.0)]))
    assert all(b / a > 1.2 for a, b in pairwise(heights))


def test_labels_stay_inside_the_picture_and_have_their_colour():
    pixels = np.full((60, 200, 4), 255, np.uint8)
    for at in ((-50, 30), (400, 10), (100, 500), (np.nan, 0)):
        Label(text="lowest F", colour="#0072B2", bold=True, halo=True, at=at).paint(pixels)
    dark = pixels[..., :3].reshape(-1, 3)[pixels[..., 0].ravel() < 40]
    assert len(dark) > 50
    assert np.abs(dark.mean(0) - [0, 0x72, 0xB2]).max() < 15


# The checks that all explorers share ----------------------------------------------------------------------


def test_random_states_are_spread_evenly():
    rng, numbers = SpreadOut(60), []
    for _ in range(60):
        rng.next()
        numbers.append((rng.choice("abc"), rng.randint(0, 59), int(60 * rng.random())))
    letters, whole, parts = zip(*numbers, strict=True)
    assert sorted(letters) == sorted("abc" * 20)
    assert sorted(whole) == sorted(parts) == list(range(60))
    assert np.abs(np.corrcoef(whole, parts)[0, 1]) < 0.3


class Piling(Line):
    """Draws on top of what it has drawn."""

    def update(self, frame: Frame) -> None:
        self.figure.axes[0].plot([0, 1], [2, 2])


@pytest.mark.parametrize(
    ("compute", "canvas"),
    [
        (lambda height: Frame(State(height), "" if height > 9.9 else "words"), Line),  # without words, at one end only
        (lambda height: Frame(State(height, "no colour" if height > 9.9 else "support"), "words"), Line),
        (lambda height: Frame(State(height), "words"), Piling),
    ],
    ids=["no words", "cannot be drawn", "piles up"],
)
def test_a_fault_of_one_state_in_a_hundred_is_seen(compute, canvas):
    states_draw(lambda height: Frame(State(height), "words"), Line(), lambda rng: rng.uniform(0, 10))
    with pytest.raises((AssertionError, KeyError)):
        states_draw(compute, canvas(), lambda rng: rng.uniform(0, 10))
