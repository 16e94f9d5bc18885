"""Explorer: a few names of some languages. Which of them is another name from, and which letters say so?"""

from dataclasses import asdict

import ipywidgets as widgets

from mapping_lib.page.panel import LOOK, Panel

from .explorer_canvas import LanguagesCanvas
from .explorer_compute import MAX_SHOTS, State, compute
from .family import PARTS
from .study import METHODS

PRESETS = {
    "one name each": asdict(State()),
    "five names": asdict(State(k_shot=5)),
    "twenty names": asdict(State(k_shot=20)),
    "two languages": asdict(State(n_way=2)),
    "languages seen in training": asdict(State(part="train", method="prototypical network")),
    "reset": asdict(State()),
}


def explorer() -> Panel:
    """Open the panel: the last line of a notebook cell."""
    state = State()
    return Panel(
        "languages",
        state,
        _controls(state),
        compute,
        LanguagesCanvas(),
        PRESETS,
        actions={
            "new languages": lambda panel: panel.set(draw=(panel.state.draw + 1) % 100),
            "next name": lambda panel: panel.set(asked=(panel.state.asked + 1) % 40, name=""),
        },
    )


def _controls(state: State) -> dict[str, widgets.Widget]:
    def slider(value: int, low: int, high: int, label: str) -> widgets.IntSlider:
        return widgets.IntSlider(value, low, high, description=label, **LOOK)

    return {
        "n_way": slider(state.n_way, 2, 5, "languages"),
        "k_shot": slider(state.k_shot, 1, MAX_SHOTS, "names of each"),
        "draw": slider(state.draw, 0, 99, "which ones"),
        "examples": slider(state.examples, 0, 19, "which names"),
        "asked": slider(state.asked, 0, 39, "name asked"),
        "method": widgets.Dropdown(options=list(METHODS), value=state.method, description="method", **LOOK),
        "part": widgets.Dropdown(options=list(PARTS), value=state.part, description="drawn from", **LOOK),
        "name": widgets.Text(value=state.name, placeholder="type a name", description="or type", **LOOK),
    }
