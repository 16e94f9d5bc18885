"""Explorer: one task and five mappings. What goes in, what comes out, and the function that it draws."""

from dataclasses import asdict

from mapping_lib.page.panel import Panel, choice, decimal, whole

from .explorer_canvas import FiveMappingsCanvas
from .explorer_compute import MAPPINGS, MAX_SHOTS, State, compute

MAX_AMPLITUDE, PHASES = 8.0, (-3.1, 6.2)

PRESETS = {
    "no example": asdict(State(k_shot=0)),
    "one example": asdict(State(k_shot=1)),
    "noise": asdict(State(noise=1.0)),
    "amplitude 8": asdict(State(amplitude=MAX_AMPLITUDE)),
    "unlucky points": asdict(State(amplitude=MAX_AMPLITUDE, points=35)),
    "upside down": asdict(State(mapping="in_context", phase=4.6)),
    "a whole turn": asdict(State(mapping="hypernetwork", phase=6.2)),
    "reset": asdict(State()),
}
"""With its unlucky points MAML diverges. A phase of 4.6 is the wave of phase 1.46 upside down; that of 6.2 is,
but for 0.08, that of phase 0: to who reads points nothing new, to who reads d a number never seen."""


def explorer() -> Panel:
    """Open the panel: the last line of a notebook cell."""
    return Panel(
        "five-mappings",
        State(),
        {
            "mapping": choice({name: f"{m.label}:  {m.type}" for name, m in MAPPINGS.items()}, "mapping"),
            "k_shot": whole(0, MAX_SHOTS, "examples K"),
            "noise": decimal(0.0, 1.0, 0.05, "noise"),
            "amplitude": decimal(0.1, MAX_AMPLITUDE, 0.1, "amplitude"),
            "phase": decimal(*PHASES, 0.1, "phase"),
        },
        compute,
        FiveMappingsCanvas(),
        PRESETS,
        actions={"new points": lambda panel: panel.set(points=panel.state.points + 1)},
        marks={"amplitude": (5.0, "seen: up to 5"), "phase": (3.1, "seen: 0 to 3.1")},
    )
