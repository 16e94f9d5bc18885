"""Explorer: a goal that the policy is not told. What twenty tries and one update make of it."""

from dataclasses import asdict

from mapping_lib.page.panel import Panel, choice, decimal, powers, whole

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
    return Panel(
        "navigation",
        State(),
        {
            "x": decimal(-FAR, FAR, 0.05, "goal, x"),
            "y": decimal(-FAR, FAR, 0.05, "goal, y"),
            "trajectories": whole(2, MAX_TRAJECTORIES, "tries a step"),
            "alpha": powers(-2.0, 0.3, 0.1, "α", ".3g"),
            "luck": whole(1, 100, "luck"),
            "method": choice(POLICIES, "method"),
        },
        compute,
        NavigationCanvas(),
        PRESETS,
        actions={"new luck": lambda panel: panel.set(luck=panel.state.luck % 99 + 1)},
        marks={"x": (0.5, "seen: to 0.5"), "alpha": (0.1, "as in training"), "trajectories": (20, "as in training")},
    )
