"""Explorer: a description that one cannot quite trust, or a few examples. Which mapping wins?"""

from dataclasses import asdict

import ipywidgets as widgets

from mapping_lib.page.panel import LOOK, Panel

from .explorer_canvas import DescriptionOrDataCanvas
from .explorer_compute import MAX_SHOTS, MAX_STEPS, WRITERS, State, compute

PRESETS = {
    "exact description": asdict(State(blur=0.0)),
    "a little wrong": asdict(State(blur=0.1)),
    "half wrong": asdict(State(blur=0.5)),
    "all wrong": asdict(State(blur=1.0, steps=1)),
    "no steps": asdict(State(steps=0)),
    "no data": asdict(State(k_shot=0)),
    "noisy data": asdict(State(noise=1.0)),
    "trained alone": asdict(State(writer="hypernetwork", k_shot=1)),
    "reset": asdict(State()),
}
"""Steps after an h that was trained to be used alone are too long for the weights that it writes: they diverge."""


def explorer() -> Panel:
    """Open the panel: the last line of a notebook cell."""
    state = State()
    return Panel(
        "description-or-data",
        state,
        _controls(state),
        compute,
        DescriptionOrDataCanvas(),
        PRESETS,
        actions={"new task": lambda panel: panel.set(task=panel.state.task + 1)},
        marks={"blur": (0.35, "as in training")},
    )


def _controls(state: State) -> dict[str, widgets.Widget]:
    writers = [(label, name) for name, label in WRITERS.items()]
    return {
        "blur": _share(state.blur, "noise of d"),
        "k_shot": widgets.IntSlider(value=state.k_shot, min=0, max=MAX_SHOTS, description="examples K", **LOOK),
        "noise": _share(state.noise, "noise of y"),
        "steps": widgets.IntSlider(value=state.steps, min=0, max=MAX_STEPS, description="steps after h", **LOOK),
        "writer": widgets.Dropdown(options=writers, value=state.writer, description="h trained", **LOOK),
    }


def _share(value: float, label: str) -> widgets.FloatSlider:
    return widgets.FloatSlider(value=value, min=0.0, max=1.0, step=0.05, description=label, **LOOK)
