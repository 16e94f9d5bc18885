"""Explorer: a map of alpha and beta. Click on a cell, and see what its setting does on a new task."""

from dataclasses import asdict
from typing import Any

from ipyevents import Event

from mapping_lib.page.canvas import count
from mapping_lib.page.panel import Panel, choice, powers, whole

from .explorer_canvas import AlphaBetaCanvas, place_in_map
from .explorer_compute import MAX_SHOTS, State, compute
from .study_grid import INNER_STEPS, JUDGED_STEPS, SIDE, best_cell

PRESETS = {
    "α too small": asdict(State(alpha=SIDE[0])),
    "α too large": asdict(State(alpha=SIDE[9], beta=SIDE[3])),
    "β too small": asdict(State(beta=SIDE[0])),
    "β too large": asdict(State(beta=SIDE[11])),
    "one step": asdict(State(trained=1, judged=1)),
    "reset": asdict(State()),
}
MAX_TASK = 40


class AlphaBetaPanel(Panel):
    """A panel whose map answers to the mouse, where the page lets it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mouse = Event(source=self.picture, watched_events=["click"])
        self.mouse.on_dom_event(lambda event: self.answer(lambda: self.clicked(event)))

    def clicked(self, event: dict) -> None:
        """Go to the cell under the mouse; a click beside the map does nothing."""
        x, y = event["relativeX"] / event["boundingRectWidth"], event["relativeY"] / event["boundingRectHeight"]
        if cell := place_in_map(x, y):
            self.go(cell)

    def go(self, cell: tuple[int, int]) -> None:
        """Put alpha and beta on one cell of the map."""
        self.set(alpha=SIDE[cell[0]], beta=SIDE[cell[1]])

    def go_to_best(self, *, worst: bool = False) -> None:
        """Go to the best cell of the map as it is shown, or to the worst that did not diverge."""
        self.go(best_cell(self.state.trained, self.state.judged, worst=worst))


def explorer() -> AlphaBetaPanel:
    """Open the panel: the last line of a notebook cell."""
    return AlphaBetaPanel(
        "alpha-beta",
        State(),
        {
            "alpha": powers(-4, 0, 1 / 3, "α"),
            "beta": powers(-4, 0, 1 / 3, "β"),
            "judged": whole(1, JUDGED_STEPS, "judged at m"),
            "k_shot": whole(1, MAX_SHOTS, "examples K"),
            "task": whole(0, MAX_TASK, "task"),
            "trained": choice({m: f"with {count(m, 'inner step')}" for m in INNER_STEPS}, "meta-trained"),
        },
        compute,
        AlphaBetaCanvas(),
        PRESETS,
        actions={
            "best cell": AlphaBetaPanel.go_to_best,
            "worst cell": lambda panel: panel.go_to_best(worst=True),
            "new task": lambda panel: panel.set(task=(panel.state.task + 1) % (MAX_TASK + 1)),
        },
        marks={"alpha": (0.01, "paper 0.01"), "beta": (0.001, "paper 0.001")},
    )
