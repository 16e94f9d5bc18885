"""Explorer: waves that come one after the other. What is left of the first?"""

from dataclasses import asdict

from mapping_lib.page.panel import Panel, choice, powers, whole

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
    return Panel(
        "forgetting",
        State(),
        {
            "now": whole(1, N_TASKS, "now at task"),
            "steps": whole(0, MAX_STEPS, "steps a task", 5),
            "alpha": powers(-3.5, -1.5, 0.25, "step size α", ".4f"),
            "memory": whole(0, MAX_MEMORY, "kept of each"),
            "method": choice(LABELS, "method"),
        },
        compute,
        ForgettingCanvas(),
        PRESETS,
        actions={"new sequence": lambda panel: panel.set(sequence=panel.state.sequence + 1)},
        marks={"alpha": (0.01, "MAML's own")},
    )
