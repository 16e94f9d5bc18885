"""What the explorer of new individuals computes: four forecasts after 0 to 6 observations, and their errors."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mapping_lib.page.canvas import coloured, count, number

from . import methods_curves as curves
from .figures import PEOPLE
from .methods_individual import NAMES, Outcome, individual

DATA = {"chicks": "chick", "countries": "country", "customers": "customer", "sensors": "thermometer"}
N_WHO, N_DRAWS = 40, 9
UNITS = {"chicks": "g", "countries": "births", "sensors": "°C"}


@dataclass(frozen=True)
class State:
    """The values of the controls. ``draw`` 0 shows the first observations, 1 ... 9 are drawn by lot.

    ``width`` multiplies the standard deviations of the prior; 1 is what was learned.
    """

    data: str = "chicks"
    who: int = 5
    k_shot: int = 3
    draw: int = 1
    width: float = 1.0


class Frame(NamedTuple):
    """What is drawn: the individual's truth at all places, which were shown, and all outcomes by K."""

    state: State
    name: str
    x: np.ndarray
    truth: np.ndarray
    seen: np.ndarray
    outcomes: tuple[Outcome, ...]
    words: str

    @property
    def now(self) -> Outcome:
        """The outcome after as many observations as the reader shows."""
        return self.outcomes[self.state.k_shot]


def compute(state: State) -> Frame:
    """Forecast one held-out individual after 0 to 6 observations.

    >>> frame = compute(State(k_shot=2))
    >>> frame.name, int(frame.seen.sum()), len(frame.outcomes)
    ('chick 6', 2, 7)
    """
    one = individual(state.data, members(state.data)[state.who - 1], draw=state.draw, width=state.width)
    frame = Frame(state, one.name, one.x, one.truth, one.observed(state.k_shot), one.outcomes, "")
    return frame._replace(words=_words(frame))


@lru_cache
def members(data: str) -> list[int]:
    """The individuals that can be chosen: forty of those judged, evenly spread."""
    judged = np.arange(361) if data == "customers" else curves.study(data).judged.nonzero()[:, 0].numpy()
    return judged[np.linspace(0, len(judged) - 1, N_WHO).round().astype(int)].tolist()


# Words ----------------------------------------------------------------------------------------------------


def _words(frame: Frame) -> str:
    now, k = frame.now, frame.state.k_shot
    order = sorted(NAMES, key=lambda name: now.errors[name])
    best, smallest = order[0], now.errors[order[0]]
    tied = [name for name in order if now.errors[name] <= smallest + 1e-9]
    who = ", ".join(coloured(name, PEOPLE[name]) for name in tied) + (" are equally good" if tied[1:] else " is best")
    others = ", ".join(f"{name} {_size(frame, name)}" for name in order[len(tied) :])
    seen = f"<b>After {count(k, 'observation')} of {frame.name}, {who}</b>"
    first = f"{seen}: {_size(frame, best)}{'; ' + others if others else ''}."
    return f"{first}<br>{_why(frame)}"


def _size(frame: Frame, name: str) -> str:
    error = frame.now.errors[name]
    if frame.state.data == "customers":
        return f"{100 * error:.0f} % wrong"
    return f"error {number(error)} {UNITS[frame.state.data]}"


def _why(frame: Frame) -> str:
    weight, width = frame.now.weight, frame.state.width
    learned = "as it was learned" if width == 1 else f"{number(width)} times as wide as learned"
    if frame.state.k_shot == 0:
        return f"Nothing is known of it yet: every method says what it says of everybody. The prior is {learned}."
    trust = "mostly the population" if weight < 0.4 else "mostly the observations" if weight > 0.7 else "half and half"
    return (
        f"Mixed effects believes {trust}: the observations have removed {100 * weight:.0f} % of what it did not know"
        f" (the prior's variance); the prior is {learned}."
    )
