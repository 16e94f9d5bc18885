"""Explorer: a goal that the policy is not told. What twenty tries and one update make of it."""

from dataclasses import asdict

import ipywidgets as widgets

from mapping_lib.page.panel import LOOK, Panel

from .explorer_canvas import NavigationCanvas
from .explorer_compute import FAR, MAX_TRAJECTORIES, POLICIES, State, compute

PRESETS = {
    "near": asdict(State(x=0.1, y=-0.05)),
    "in a corner": asdict(State(x=0.5, y=0.5)),
    "outside": asdict(State(x=0.8, y=0.0)),
    "two tries": asdict(State(trajectories=2)),
    "step too long": asdict(State(alpha=10**-0.5)),
    "step too short": asdict(State(alpha=10**-1.7)),
    "pretrained": asdict(State(method="pretrained")),
    "pretrained, long step": asdict(State(method="pretrained", alpha=10**-0.3)),
    "told": asdict(State(method="hypernetwork")),
    "reset": asdict(State()),
}


def explorer() -> Panel:
    """Open the panel: the last line of a notebook cell."""
    state = State()
    return Panel(
        "navigation",
        state,
        _controls(state),
        compute,
        NavigationCanvas(),
        PRESETS,
        actions={"new luck": lambda panel: panel.set(luck=panel.state.luck % 99 + 1)},
        marks={"x": (0.5, "seen: to 0.5"), "alpha": (0.1, "as in training"), "trajectories": (20, "as in training")},
    )


def _controls(state: State) -> dict[str, widgets.Widget]:
    place = {"min": -FAR, "max": FAR, "step": 0.05, **LOOK}
    alphas = {"min": -2.0, "max": 0.3, "step": 0.1, "base": 10, "readout_format": ".3g", **LOOK}
    return {
        "x": widgets.FloatSlider(value=state.x, description="goal, x", **place),
        "y": widgets.FloatSlider(value=state.y, description="goal, y", **place),
        "trajectories": widgets.IntSlider(
            value=state.trajectories, min=2, max=MAX_TRAJECTORIES, description="tries a step", **LOOK
        ),
        "alpha": widgets.FloatLogSlider(value=state.alpha, description="α", **alphas),
        "luck": widgets.IntSlider(value=state.luck, min=1, max=100, description="luck", **LOOK),
        "method": widgets.Dropdown(options=list(POLICIES), value=state.method, description="method", **LOOK),
    }
