"""Explorer: waves that come one after the other. What is left of the first?"""

from dataclasses import asdict

import ipywidgets as widgets

from mapping_lib.page.panel import LOOK, Panel

from .explorer_canvas import ForgettingCanvas
from .explorer_compute import LABELS, MAX_MEMORY, MAX_STEPS, N_TASKS, State, compute

PRESETS = {
    "one after the other": asdict(State(method="sequential", now=4)),
    "a head each": asdict(State(method="sequential, heads", now=4)),
    "heads, rehearse 10": asdict(State(now=4, memory=10)),
    "joint, one head": asdict(State(method="joint", now=4)),
    "MAML, 10 each": asdict(State(method="MAML", now=4, steps=5, alpha=0.01, memory=10)),
    "MAML, nothing kept": asdict(State(method="MAML", now=4, steps=5, alpha=0.01, memory=0)),
    "reset": asdict(State()),
}


def explorer() -> Panel:
    """Open the panel: the last line of a notebook cell."""
    state = State()
    return Panel(
        "forgetting",
        state,
        _controls(state),
        compute,
        ForgettingCanvas(),
        PRESETS,
        actions={"new sequence": lambda panel: panel.set(sequence=panel.state.sequence + 1)},
        marks={"alpha": (0.01, "MAML's own")},
    )


def _controls(state: State) -> dict[str, widgets.Widget]:
    methods = [(label, name) for name, label in LABELS.items()]
    alpha = {"min": -3.5, "max": -1.5, "step": 0.25, "base": 10, "readout_format": ".4f"}
    return {
        "now": widgets.IntSlider(value=state.now, min=1, max=N_TASKS, description="now at task", **LOOK),
        "steps": widgets.IntSlider(value=state.steps, min=0, max=MAX_STEPS, step=5, description="steps a task", **LOOK),
        "alpha": widgets.FloatLogSlider(value=state.alpha, description="step size α", **alpha, **LOOK),
        "memory": widgets.IntSlider(value=state.memory, min=0, max=MAX_MEMORY, description="kept of each", **LOOK),
        "method": widgets.Dropdown(options=methods, value=state.method, description="method", **LOOK),
    }
