"""Explorer: a few names of some languages. Which of them is another name from, and which letters say so?"""

from dataclasses import asdict

import ipywidgets as widgets

from mapping_lib.page.panel import LOOK, Panel, choice, whole

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
    return Panel(
        "languages",
        State(),
        {
            "n_way": whole(2, 5, "languages"),
            "k_shot": whole(1, MAX_SHOTS, "names of each"),
            "draw": whole(0, 99, "which ones"),
            "examples": whole(0, 19, "which names"),
            "asked": whole(0, 39, "name asked"),
            "method": choice(list(METHODS), "method"),
            "part": choice(list(PARTS), "drawn from"),
            "name": widgets.Text(placeholder="type a name", description="or type", **LOOK),
        },
        compute,
        LanguagesCanvas(),
        PRESETS,
        actions={
            "new languages": lambda panel: panel.set(draw=(panel.state.draw + 1) % 100),
            "next name": lambda panel: panel.set(asked=(panel.state.asked + 1) % 40, name=""),
        },
    )
