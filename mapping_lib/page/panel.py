"""What all explorers share: a panel that binds controls to a canvas, and one where something plays.

An explorer is three parts, each testable without a browser: a frozen ``State`` (the values of the
controls), ``compute(state) -> frame`` (plain arrays and words) and ``draw(frame)`` on a `Canvas`.
Only this module and the explorers' ``explorer()`` functions know ipywidgets. The picture travels as PNG
to an `ipywidgets.Image`.
"""

import asyncio
import base64
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import ipywidgets as widgets

from mapping_lib.page.canvas import Canvas
from mapping_lib.page.displayed import Displayed

LOOK = {"style": {"description_width": "96px"}, "layout": {"width": "330px"}}
"""Keyword arguments shared by all controls, so that they stand in columns."""

WIDTH = "clamp(760px, 101vh, 1060px)"
"""The most width of a picture: on a low screen it is smaller, so that controls and picture are in view together."""


def whole(low: int, high: int, label: str, step: int = 1) -> widgets.IntSlider:
    """A slider of whole numbers; like all controls here it has no value: the panel puts it where its state says."""
    return widgets.IntSlider(min=low, max=high, step=step, description=label, **LOOK)


def decimal(low: float, high: float, step: float, label: str) -> widgets.FloatSlider:
    """A slider of decimal numbers."""
    return widgets.FloatSlider(min=low, max=high, step=step, description=label, **LOOK)


def powers(low: float, high: float, step: float, label: str, digits: str = ".2g") -> widgets.FloatLogSlider:
    """A slider from ``10**low`` to ``10**high``, its steps in decades; ``digits`` is how its number is written."""
    return widgets.FloatLogSlider(min=low, max=high, step=step, description=label, readout_format=digits, **LOOK)


def choice(values: Mapping[Any, str] | Iterable[str], label: str) -> widgets.Dropdown:
    """A list to choose from; a mapping says in which words each value is offered."""
    options = [(words, value) for value, words in values.items()] if isinstance(values, Mapping) else list(values)
    return widgets.Dropdown(options=options, description=label, **LOOK)


class Panel(Displayed, widgets.VBox):
    """Controls above a picture. Readers without a kernel see the picture that it had when recorded.

    ``presets`` are buttons that move several controls at once, ``actions`` buttons that call a function
    of the panel, ``marks`` values worth a mark under a slider, with their label.
    """

    def __init__(
        self,
        title: str,
        state: Any,
        controls: Mapping[str, widgets.Widget],
        compute: Callable[[Any], Any],
        canvas: Canvas,
        presets: Mapping[str, Mapping[str, Any]],
        actions: Mapping[str, Callable[["Panel"], None]] | None = None,
        marks: Mapping[str, tuple[float, str]] | None = None,
    ) -> None:
        self.title, self.compute, self.canvas = title, compute, canvas
        self.start_state, self.controls = state, dict(controls)
        self.picture = widgets.Image(format="png", layout={"width": "100%", "max_width": WIDTH})
        self.words = widgets.HTML()
        self._quiet = False
        # JupyterLab handles each widget's messages in a thread of its own (a kernel subshell): one at a time here
        self.lock = threading.RLock()
        self.place(state)
        for name, control in self.controls.items():
            control.observe(lambda change, name=name: self._moved(name, change["new"]), names="value")
        self.buttons = {
            label: self._button(label, lambda values=values: self.preset(**values)) for label, values in presets.items()
        }
        for label, action in (actions or {}).items():
            self.buttons[label] = self._button(label, lambda action=action: action(self), style="info")
        marked = [_marked(c, *(marks or {}).get(name, (None, ""))) for name, c in self.controls.items()]
        wrap = {"flex_flow": "row wrap", "align_items": "flex-start"}
        super().__init__(
            [
                widgets.Box(list(self.buttons.values()), layout=wrap),
                widgets.Box(marked, layout=wrap | {"max_width": "1060px"}),
                self.words,
                self.picture,
            ]
        )
        self.add_class(f"explorer-{title}")
        self.refresh()

    def set(self, **values: Any) -> None:
        """Move several controls, or parts of the state that have none, with one redraw."""
        self.place(replace(self.state, **values))
        self.refresh()

    def preset(self, **values: Any) -> None:
        """What a preset's button does: `set`, unless a panel has more to do."""
        self.set(**values)

    def place(self, state: Any) -> None:
        """Put the controls where ``state`` says, without a redraw."""
        self._quiet = True
        try:
            for name, control in self.controls.items():
                control.value = getattr(state, name)
        finally:
            self._quiet = False
        self.state = state

    def refresh(self) -> None:
        """Compute and draw the present state."""
        self.show(self.compute(self.state))

    def show(self, frame: Any) -> None:
        """Draw a frame, and say its words above the picture."""
        self.canvas.draw(frame)
        self.picture.value = self.canvas.png()
        words = f'<div style="line-height:1.5">{frame.words}</div>'  # closer than the lines of a form
        if self.words.value != words:
            self.words.value = words

    def _moved(self, name: str, value: Any) -> None:
        with self.lock:  # another thread's `place` is waited for; this thread's own is what `_quiet` tells
            if not self._quiet:
                self.answer(lambda: self._change(name, value))

    def _change(self, name: str, value: Any) -> None:
        self.state = replace(self.state, **{name: value})
        self.refresh()

    def answer(self, act: Callable[[], Any]) -> Any:
        """Do what a control asks for, one thing at a time; should it fail, say so and keep the picture."""
        with self.lock:
            try:
                return act()
            except Exception as problem:
                self.words.value = f"<b>This could not be drawn ({type(problem).__name__}: {problem}).</b> Press reset."

    def _button(self, label: str, act: Callable[[], None], style: str = "") -> widgets.Button:
        button = widgets.Button(description=label, button_style=style, layout={"width": "auto", "padding": "0 7px"})
        button.on_click(lambda _: self.answer(act))
        return button

    def __repr__(self) -> str:
        return f"[explorer: {self.title}]"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return super()._repr_mimebundle_(**kwargs) | {"image/png": base64.b64encode(self.picture.value).decode()}


class PlayingPanel(Panel):
    """A panel where something goes on by itself, in slices between which the kernel answers clicks and sliders.

    Subclasses say in ``advance`` what one slice does.
    """

    period = 0.0
    """Seconds from one slice to the next, if a slice takes less."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.running = False
        self._turn: object = None
        super().__init__(*args, **kwargs)

    def advance(self) -> bool:
        """Do one slice and draw it; return whether there is more to do."""
        raise NotImplementedError

    def play(self) -> None:
        """Advance until there is no more to do, or until `stop`; what was playing before gives way."""
        self.running, self._turn = True, object()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel: go on to the end at once
            while self._slice(self._turn):
                pass
            return
        self._task = loop.create_task(self._play(self._turn))

    def stop(self) -> None:
        """Stop where it is."""
        self.running = False

    async def _play(self, turn: object) -> None:
        begun = time.perf_counter()
        while self._slice(turn):
            pause = max(0.004, begun + self.period - time.perf_counter())
            for _ in range(4):  # here the kernel hears Stop, and the sliders; a message takes several turns
                await asyncio.sleep(pause / 4)
            begun = time.perf_counter()

    def _slice(self, turn: object) -> bool:
        """Advance for a moment, unless stopped or overtaken; return whether to go on."""
        return bool(self.answer(lambda: self._advance(turn)))

    def _advance(self, turn: object) -> bool:
        if not self.running or self._turn is not turn:
            return False
        self.running = False  # should the slice fail, nothing is running
        self.running = self.advance()
        return self.running


def _marked(control: widgets.Widget, value: float | None, label: str) -> widgets.Widget:
    """Put a small mark below a slider's track at ``value``; without a value, give the control as it is."""
    if value is None:
        return control
    at = math.log(value, control.base) if isinstance(control, widgets.FloatLogSlider) else value
    share = (at - control.min) / (control.max - control.min)
    # the track begins after the description and ends before the readout
    track = "margin-left:112px; width:138px; position:relative; height:16px; margin-top:-10px; line-height:16px"
    tick = f"position:absolute; left:calc({100 * share:.1f}% - 5px); font-size:11px; white-space:nowrap"
    ruler = widgets.HTML(f'<div style="{track}"><span style="{tick}">▲ {label}</span></div>', layout={"height": "16px"})
    return widgets.VBox([control, ruler], layout={"overflow": "visible"})
