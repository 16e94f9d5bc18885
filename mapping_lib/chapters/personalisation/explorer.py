"""Explorer: somebody new. Show the observations one by one, and watch four forecasts and their errors move."""

from dataclasses import asdict

from mapping_lib.page.panel import Panel, choice, powers, whole

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
    return Panel(
        "personalisation",
        State(),
        {
            "data": choice({name: f"a {label}" for name, label in DATA.items()}, "who"),
            "who": whole(1, N_WHO, "individual"),
            "k_shot": whole(0, MAX_SHOTS, "observations"),
            "draw": whole(0, N_DRAWS, "which ones"),
            "width": powers(-1, 1, 0.1, "width of prior"),
        },
        compute,
        PersonalisationCanvas(),
        PRESETS,
        actions={"one more": lambda panel: panel.set(k_shot=(panel.state.k_shot + 1) % (MAX_SHOTS + 1))},
        marks={"width": (1.0, "as learned"), "draw": (0, "the first ones")},
    )
