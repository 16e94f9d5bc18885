"""Explorer: somebody new. Show the observations one by one, and watch four forecasts and their errors move."""

from dataclasses import asdict

import ipywidgets as widgets

from mapping_lib.page.panel import LOOK, Panel

from .explorer_canvas import PersonalisationCanvas
from .explorer_compute import DATA, N_DRAWS, N_WHO, State, compute
from .methods_individual import MAX_SHOTS

PRESETS = {
    "nothing yet": asdict(State(k_shot=0)),
    "three of any day": asdict(State()),
    "the first three": asdict(State(draw=0)),
    "a country": asdict(State(data="countries", who=23, draw=2)),
    "a customer": asdict(State(data="customers", who=10, draw=4)),
    "a thermometer": asdict(State(data="sensors", who=4, draw=3)),
    "blind to data": asdict(State(width=0.1)),
    "blind to others": asdict(State(width=10.0)),
    "reset": asdict(State()),
}


def explorer() -> Panel:
    """Open the panel: the last line of a notebook cell."""
    state = State()
    return Panel(
        "personalisation",
        state,
        _controls(state),
        compute,
        PersonalisationCanvas(),
        PRESETS,
        actions={"one more": lambda panel: panel.set(k_shot=(panel.state.k_shot + 1) % (MAX_SHOTS + 1))},
        marks={"width": (1.0, "as learned"), "draw": (0, "the first ones")},
    )


def _controls(state: State) -> dict[str, widgets.Widget]:
    options = [(f"a {label}", name) for name, label in DATA.items()]
    whole = {
        "who": (1, N_WHO, "individual"),
        "k_shot": (0, MAX_SHOTS, "observations"),
        "draw": (0, N_DRAWS, "which ones"),
    }
    sliders = {
        name: widgets.IntSlider(value=getattr(state, name), min=low, max=high, description=label, **LOOK)
        for name, (low, high, label) in whole.items()
    }
    width = widgets.FloatLogSlider(
        value=state.width, base=10, min=-1, max=1, step=0.1, description="width of prior", readout_format=".2g", **LOOK
    )
    return {
        "data": widgets.Dropdown(options=options, value=state.data, description="who", **LOOK),
        **sliders,
        "width": width,
    }
