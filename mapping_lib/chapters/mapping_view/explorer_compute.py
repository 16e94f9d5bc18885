"""What the five-mappings explorer computes: what each mapping makes of one task, and what to say about it."""

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.amortised import BASE
from mapping_lib.learners.flow import LOG_TAU
from mapping_lib.networks import mlp
from mapping_lib.page.canvas import count, number
from mapping_lib.page.plots import COLOUR_OF
from mapping_lib.params import difference, flat
from mapping_lib.study.sinusoids import LEARNERS, SIZES, noisy_points, shipped
from mapping_lib.study.sinusoids import MAPPINGS as OTHERS
from mapping_lib.task import Batch, Params

MAX_SHOTS, MAML_STEPS = 20, 5
SEEN = Sinusoids()
"""The tasks of meta-training: amplitude 0.1 ... 5, phase 0 ... pi."""

GRID = torch.linspace(-5, 5, 161, dtype=torch.float32)[:, None]
WEIGHTS = {name: p.shape for name, p in mlp(SIZES).named_parameters()}
"""The names and shapes of the weights phi that a mapping makes, if it makes weights."""


GONE = 1e4
"""An error beyond this, or not a number, is said to have diverged."""


class Mapping(NamedTuple):
    """One of the five: its name and its type."""

    label: str
    type: str

    @property
    def colour(self) -> str:
        """Its colour, in this picture and in all others."""
        return COLOUR_OF[self.label]


MAPPINGS = {
    "maml": Mapping(LEARNERS["maml"].label, "(θ, S) ↦ φ"),
    **{name: Mapping(OTHERS[name].label, OTHERS[name].type) for name in ("hypernetwork", "rule", "flow", "in_context")},
}


@dataclass(frozen=True)
class State:
    """The values of the controls. ``amplitude`` 0.1 ... 8 and ``phase`` -3.1 ... 6.2 go beyond `SEEN`."""

    mapping: str = "maml"
    k_shot: int = 10
    amplitude: float = 3.0
    phase: float = 1.0
    noise: float = 0.0
    points: int = 0


class Outcome(NamedTuple):
    """What one mapping makes of a task: its fit on the grid and the query error of that.

    ``change`` is all of phi - theta in one row, and None where there is no phi; ``start`` is the function that
    the mapping begins with, if theta is one.
    """

    curve: np.ndarray
    error: float
    change: np.ndarray | None
    start: np.ndarray | None


class Frame(NamedTuple):
    """What is drawn: the task, what all five mappings make of it, and what to say about them.

    ``zero_error`` is the query error of the flat line y = 0.
    """

    state: State
    truth: np.ndarray
    support: np.ndarray
    outcomes: dict[str, Outcome]
    zero_error: float
    words: str

    @property
    def chosen(self) -> Outcome:
        """The outcome of the mapping that the reader looks at."""
        return self.outcomes[self.state.mapping]


def compute(state: State) -> Frame:
    """Give the task of the controls to all five mappings.

    >>> frame = compute(State(k_shot=3))
    >>> frame.support.shape, frame.chosen.curve.shape, frame.chosen.change.shape
    ((3, 2), (161,), (1761,))
    """
    support, truth, outcomes = _work(state.amplitude, state.phase, state.k_shot, state.noise, state.points)
    zero_error = float(truth.square().mean())
    words = f"{_chosen_in_words(state, outcomes[state.mapping])}<br>{_all_in_words(outcomes, zero_error)}"
    points = torch.cat(support, dim=1).numpy()
    return Frame(state, truth[:, 0].numpy(), points, outcomes, zero_error, words + _outside(state))


@lru_cache(maxsize=8)
def _work(amplitude: float, phase: float, k_shot: int, noise: float, points: int):
    """All that does not depend on which mapping the reader looks at: looking at another one costs nothing."""
    description = torch.tensor([amplitude, phase], dtype=torch.float32)
    support, truth = noisy_points(description, k_shot, noise, points), Sinusoids.truth(description, GRID)
    return support, truth, {name: _outcome(name, support, description, truth) for name in MAPPINGS}


_shipped = cache(shipped)


@cache
@torch.no_grad()
def _beginning(name: str) -> tuple[Params | None, np.ndarray | None]:
    """The weights that become phi, and the function that they draw, where the mapping begins with a function."""
    learner, theta = _shipped(name)
    if name == "in_context":
        return None, None
    if name == "hypernetwork":
        return {key: theta[BASE + key] for key in WEIGHTS}, None
    begun = {key: theta[key] for key in WEIGHTS}
    return begun, learner.predict(begun, GRID)[:, 0].numpy()


@torch.no_grad()
def _outcome(name: str, support: Batch, description: Tensor, truth: Tensor) -> Outcome:
    learner, theta = _shipped(name)
    if name == "maml":  # its path for many tasks is ten times as fast, even for one
        path = learner.adapt_path(theta, Batch(support.x[None], support.y[None]), steps=MAML_STEPS)
        phi = {key: p[-1, 0] for key, p in path.items()}
    else:
        phi = learner.adapt(theta, support, description=description)
    curve = learner.predict(phi, GRID)
    begun, start = _beginning(name)
    change = None if begun is None else flat(difference(phi, begun)).numpy()
    error = float((curve - truth).square().mean())
    return Outcome(curve[:, 0].numpy(), error if error < GONE else math.inf, change, start)


@cache
def tau() -> float:
    """The time for which the gradient flow learned to flow.

    >>> 0.05 < tau() < 1
    True
    """
    return float(_shipped("flow")[1][LOG_TAU].exp())


# Words ----------------------------------------------------------------------------------------------------


def _chosen_in_words(state: State, outcome: Outcome) -> str:
    mapping, reads_nothing = MAPPINGS[state.mapping], state.k_shot == 0
    examples = count(state.k_shot, "example") if state.k_shot else "no example"
    what = {
        "maml": f"{examples}, {MAML_STEPS} gradient steps from θ",
        "hypernetwork": "reads the description d and not one example; K and noise do not touch it",
        "rule": f"{examples}, 5 steps from θ; a small network says how far each weight moves",
        "flow": f"{examples}; φ flows down the slope, without steps, for the learned time τ = {tau():.2f}",
        "in_context": f"a transformer reads {examples} and answers each x; no weight changes",
    }[state.mapping]
    if reads_nothing and state.mapping in ("maml", "rule", "flow"):
        what = "no example, so nothing moves and φ = θ"
    return (
        f"<b style='color:{mapping.colour}'>{mapping.label}, {mapping.type}</b>: {what}."
        f" <b>{_error(outcome.error).capitalize()}.</b>"
    )


def _error(error: float) -> str:
    return f"query error {number(error)}" if error < math.inf else "diverged: these steps are too long for this task"


def _all_in_words(outcomes: dict[str, Outcome], zero_error: float) -> str:
    best = min(outcomes, key=lambda name: outcomes[name].error)
    worse = [MAPPINGS[name].label for name, o in outcomes.items() if o.error > zero_error]
    words = f"Best on this task: {MAPPINGS[best].label} ({number(outcomes[best].error)})."
    return words + (f" <b>Worse than the flat line y = 0: {', '.join(worse)}.</b>" if worse else "")


def _outside(state: State) -> str:
    """Say which number of the task meta-training never met."""
    numbers = []
    if state.amplitude > SEEN.amplitude[1] + 1e-6:
        numbers.append(f"amplitude {state.amplitude:.1f} (seen: 0.1 to 5)")
    if not -1e-6 <= state.phase <= SEEN.phase[1]:
        numbers.append(f"phase {state.phase:.1f} (seen: 0 to 3.1)".replace("-", "−"))
    return f" <b>Outside of what meta-training saw</b>: {' and '.join(numbers)}." if numbers else ""
