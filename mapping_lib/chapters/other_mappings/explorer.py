"""Explorer: a description that one cannot quite trust, or a few examples. Which mapping wins?"""

from dataclasses import asdict

from mapping_lib.page.panel import Panel, choice, decimal, whole

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
    return Panel(
        "description-or-data",
        State(),
        {
            "blur": decimal(0.0, 1.0, 0.05, "noise of d"),
            "k_shot": whole(0, MAX_SHOTS, "examples K"),
            "noise": decimal(0.0, 1.0, 0.05, "noise of y"),
            "steps": whole(0, MAX_STEPS, "steps after h"),
            "writer": choice(WRITERS, "h trained"),
        },
        compute,
        DescriptionOrDataCanvas(),
        PRESETS,
        actions={"new task": lambda panel: panel.set(task=panel.state.task + 1)},
        marks={"blur": (0.35, "as in training")},
    )
