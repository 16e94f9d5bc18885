"""Explorer: tasks over two parameters seen from above, and where MAML, FOMAML, Reptile and joint training go."""

from dataclasses import asdict, replace
from typing import Any

import ipywidgets as widgets

from mapping_lib.page.panel import PlayingPanel, choice, decimal, powers, whole
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
    return LandscapePanel(
        "landscape",
        State(),
        {
            "alpha": decimal(0, MAX_ALPHA, 0.01, "α"),
            "steps": whole(0, MAX_STEPS, "inner steps m"),
            "beta": powers(-2, 1, 0.05, "β"),
            **{name: slider for tasks in STARTS for name, slider in _start_sliders(tasks).items()},
            "follow": choice(METHODS, "θ follows"),
            "background": choice(BACKGROUNDS, "map of"),
            "tasks": choice({"bowls": "four bowls", "sines": "four sine waves"}, "tasks"),
        },
        compute,
        LandscapeCanvas(),
        PRESETS,
        actions={
            "outer step": LandscapePanel.one_step,
            "Play": LandscapePanel.play_on,
            "Stop": LandscapePanel.stop,
            "Clear": lambda panel: panel.begin(panel.state),  # the settings stay
            "Reset": lambda panel: panel.begin(panel.start_state),
        },
        marks={"alpha": (0.5, "2/λ_max of the bowls")},
    )


def _start_sliders(tasks: str) -> dict[str, widgets.FloatSlider]:
    landscape = LANDSCAPES[tasks]
    labels = [f"start {name}" if len(name) < 3 else name for name in landscape.names]
    limits = zip(STARTS[tasks], landscape.limits, labels, strict=True)
    return {field: decimal(low, high, 0.05, label) for field, (low, high), label in limits}
