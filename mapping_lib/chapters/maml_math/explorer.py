"""Explorer: tasks over two parameters seen from above, and where MAML, FOMAML, Reptile and joint training go."""

from dataclasses import asdict, replace
from typing import Any

import ipywidgets as widgets

from mapping_lib.page.panel import LOOK, PlayingPanel
from mapping_lib.worlds.landscapes import METHODS

from .explorer_canvas import LandscapeCanvas
from .explorer_compute import BACKGROUNDS, LANDSCAPES, STARTS, State, Trail, compute, end, longer, start, walk

MAX_STEPS, MAX_ALPHA = 20, 0.7


class LandscapePanel(PlayingPanel):
    """The panel, with a trail of outer steps that the reader takes one by one or plays.

    Moving alpha, beta, m or the background leaves theta where it is: the map and the arrows change around
    it, and F along all trails is computed anew. Moving the start, or following another method, begins a new
    trail at the start; other methods' last trails stay until they are cleared. Other tasks clear everything.
    """

    period = 0.055

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.earlier: dict[str, Trail] = {}
        self.trail: Trail | None = None
        super().__init__(*args, **kwargs)

    def place(self, state: State) -> None:
        """Put the controls where ``state`` says, and show those of the tasks' plane only.

        One pair of sliders whose ends move would not do: the browser answers each new end with the old value.
        """
        for tasks, names in STARTS.items():
            for name in names:
                self.controls[name].layout.display = None if tasks == state.tasks else "none"
        super().place(state)

    def refresh(self) -> None:
        """A control moved: draw, on a new trail if that is what it asks for."""
        if self.trail is None:  # the panel has just been opened: joint training and MAML have been everywhere
            self.begin(self.state, walk(self.state))
            return
        known, self._known = self._known, self.state
        if self.state.tasks != known.tasks:
            self.begin(self.state)
            return
        if self.state.follow != known.follow or (start(self.state).thetas != start(known).thetas).any():
            if len(self.trail.thetas) > 1 and self.state.follow != self.trail.method:
                self.earlier[self.trail.method] = self.trail
            self.earlier.pop(self.state.follow, None)
            self.trail = start(self.state)
        self._show()

    def begin(self, state: State, trail: Trail | None = None) -> None:
        """Begin afresh with ``state``; beside ``trail``, if there is one, stands joint training's."""
        self.stop()
        self.place(state)
        self._known, self.earlier, self.trail = state, {}, trail or start(state)
        if trail is not None and state.follow != "joint training":
            self.earlier = {"joint training": walk(replace(state, follow="joint training"))}
        self._show()

    def preset(self, **values: Any) -> None:
        """Show where joint training goes, then play."""
        state = replace(self.state, **values)
        self.begin(state, start(state))
        self.play()

    def advance(self) -> bool:
        """Take one outer step and draw it; return whether there is a further one."""
        if not end(self.state, self.trail):
            self.trail = longer(self.trail, self._frame.arrows[self.trail.method].direction, self.state.beta)
        self._show()
        return not end(self.state, self.trail)

    def one_step(self) -> None:
        """Stop playing and take one outer step."""
        self.stop()
        self.advance()

    def play_on(self) -> None:
        """Play from here; after the last outer step, from the start."""
        if end(self.state, self.trail):
            self.trail = start(self.state)
        self.play()

    def clear(self) -> None:
        """Theta back to the start, all trails gone; the settings stay."""
        self.begin(self.state)

    def reset(self) -> None:
        """All as at first, but nothing walked yet."""
        self.begin(self.start_state)

    def _show(self) -> None:
        self._frame = compute(self.state, (*self.earlier.values(), self.trail))
        self.show(self._frame)


PRESETS = {
    "MAML or joint?": asdict(State()),
    "small α: as joint": asdict(State(alpha=0.02, steps=1)),
    "first order reverses": asdict(State(alpha=0.45, steps=1, beta=10**-0.3, follow="FOMAML", theta1=-0.5, theta2=0.8)),
    "α too large": asdict(State(alpha=0.55, theta1=-2.3, theta2=0.0)),
    "m = 20: F is flat": asdict(State(steps=20)),
    "sines": asdict(State(tasks="sines")),
}


def explorer() -> LandscapePanel:
    """Open the panel: the last line of a notebook cell. It opens with two finished trails."""
    state = State()
    return LandscapePanel(
        "landscape",
        state,
        _controls(state),
        compute,
        LandscapeCanvas(),
        PRESETS,
        actions={
            "outer step": LandscapePanel.one_step,
            "Play": LandscapePanel.play_on,
            "Stop": LandscapePanel.stop,
            "Clear": LandscapePanel.clear,
            "Reset": LandscapePanel.reset,
        },
        marks={"alpha": (0.5, "2/λ_max of the bowls")},
    )


def _controls(state: State) -> dict[str, widgets.Widget]:
    planes = [("four bowls", "bowls"), ("four sine waves", "sines")]
    log = {"min": -2, "max": 1, "step": 0.05, "readout_format": ".2g"}
    return {
        "alpha": widgets.FloatSlider(
            value=state.alpha, min=0, max=MAX_ALPHA, step=0.01, readout_format=".2f", description="α", **LOOK
        ),
        "steps": widgets.IntSlider(value=state.steps, min=0, max=MAX_STEPS, description="inner steps m", **LOOK),
        "beta": widgets.FloatLogSlider(value=state.beta, description="β", **log, **LOOK),
        **{name: _start_slider(state, tasks, i) for tasks, names in STARTS.items() for i, name in enumerate(names)},
        "follow": widgets.Dropdown(options=METHODS, value=state.follow, description="θ follows", **LOOK),
        "background": widgets.Dropdown(options=BACKGROUNDS, value=state.background, description="map of", **LOOK),
        "tasks": widgets.Dropdown(options=planes, value=state.tasks, description="tasks", **LOOK),
    }


def _start_slider(state: State, tasks: str, i: int) -> widgets.FloatSlider:
    (low, high), name, field = LANDSCAPES[tasks].limits[i], LANDSCAPES[tasks].names[i], STARTS[tasks][i]
    style = {
        "step": 0.05,
        "readout_format": ".2f",
        "description": f"start {name}" if len(name) < 3 else name,
        "style": LOOK["style"],
    }
    layout = LOOK["layout"] | ({} if tasks == state.tasks else {"display": "none"})
    return widgets.FloatSlider(value=getattr(state, field), min=low, max=high, layout=layout, **style)
