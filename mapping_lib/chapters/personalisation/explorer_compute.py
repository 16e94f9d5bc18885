"""What the explorer of new individuals computes: four forecasts after 0 to 6 observations, and their errors."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mapping_lib.chapters.personalisation import methods_curves as curves
from mapping_lib.chapters.personalisation import methods_customers as customers
from mapping_lib.chapters.personalisation.family_growth import Growth
from mapping_lib.chapters.personalisation.figures import PEOPLE
from mapping_lib.chapters.personalisation.methods_prior import choice_slopes, covariance, newton_step
from mapping_lib.learners.gradient import ALPHA_PREFIX
from mapping_lib.page.canvas import number
from mapping_lib.task import Batch, Params

DATA = {"chicks": "chick", "countries": "country", "customers": "customer", "sensors": "thermometer"}
N_WHO, MAX_SHOTS, N_DRAWS = 40, 6, 9
NAMES = ("population", "own fit", "MAML", "mixed effects")
UNITS = {"chicks": "g", "countries": "births", "sensors": "°C"}


@dataclass(frozen=True)
class State:
    """The values of the controls. ``draw`` 0 shows the first observations, 1 ... 9 are drawn by lot.

    ``width`` multiplies the standard deviations of the prior; 1 is what was learned.
    """

    data: str = "chicks"
    who: int = 5
    shown: int = 3
    draw: int = 1
    width: float = 1.0


class Outcome(NamedTuple):
    """One individual after one number of observations: each method's forecast at all places, and its error.

    For choices a forecast is the probability of the choice that was made, ``right`` whether it was the highest.
    ``band`` has two rows, ``weight`` is the share of the prior's variance that the observations have removed.
    """

    forecasts: dict[str, np.ndarray]
    errors: dict[str, float]
    right: dict[str, np.ndarray] | None
    band: np.ndarray | None
    weight: float


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
        return self.outcomes[self.state.shown]


def compute(state: State) -> Frame:
    """Forecast one held-out individual after 0 to 6 observations.

    >>> frame = compute(State(shown=2))
    >>> frame.name, int(frame.seen.sum()), len(frame.outcomes)
    ('chick 6', 2, 7)
    """
    name, x, truth, places, outcomes = individual(state.data, state.who, state.draw, state.width)
    seen = np.isin(np.arange(len(x)), places[: state.shown])
    frame = Frame(state, name, x, truth, seen, outcomes, "")
    return frame._replace(words=_words(frame))


@lru_cache(maxsize=4096)
def individual(data: str, who: int, draw: int, width: float):
    """Name, places, truth, the order in which observations are shown, and what comes of each number of them."""
    i = members(data)[who - 1]
    if data == "customers":
        offers, chosen = (part[i] for part in (customers.everyone()[0].offers, customers.everyone()[0].choices))
        places = _order(chosen >= 0, draw, i)
        outcomes = _choices(i, offers, chosen, places, width)
        x, truth = np.arange(1, 13), (chosen >= 0).float().numpy()
        return f"customer {i + 1}", x, np.where(truth > 0, 1.0, np.nan), places, outcomes
    found = curves.study(data)
    values = found.curves.values[i]
    usable = values.isfinite() if found.allowed is None else values.isfinite() & found.allowed
    places = _order(usable, draw, i)
    outcomes = tuple(_curve(data, i, values, places[:k], width, draw) for k in range(MAX_SHOTS + 1))
    return found.curves.names[i], found.curves.times.numpy(), values.numpy(), places, outcomes


@lru_cache
def members(data: str) -> list[int]:
    """The individuals that can be chosen: forty of those judged, evenly spread."""
    judged = np.arange(361) if data == "customers" else curves.study(data).judged.nonzero()[:, 0].numpy()
    return judged[np.linspace(0, len(judged) - 1, N_WHO).round().astype(int)].tolist()


def _order(usable: Tensor, draw: int, i: int) -> list[int]:
    at = usable.nonzero()[:, 0]
    lots = torch.randperm(len(at), generator=torch.Generator().manual_seed(1000 * draw + i))
    return (at if draw == 0 else at[lots]).tolist()[:MAX_SHOTS]


def _theta(theta: Params, part: int) -> Params:
    return {name: p[part] for name, p in theta.items() if name not in ("center", "scale")}


def _wider(theta: Params, width: float) -> Params:
    return theta | {"factor": width * theta["factor"]}


@torch.no_grad()
def _curve(data: str, i: int, values: Tensor, places: list[int], width: float, draw: int) -> Outcome:
    part, order = int(curves.study(data).part[i]), "spread" if draw or data == "sensors" else "first"
    center, scale = (float(t[part]) for t in curves.units(data))
    x, at = Growth(curves.study(data).curves).x[:, None], sorted(places)
    support = Batch(x[at], (values[at, None] - center) / scale)
    many = Batch(support.x[None], support.y[None])
    maml = _theta(curves.theta_of("MAML", data, order), part)
    path = curves.ADAPTED.adapt_path(maml, many, steps=curves.INNER_STEPS)
    phi = {name: p[-1, 0] for name, p in path.items()}
    prior = _wider(_theta(curves.theta_of("mixed effects", data, order), part), width)
    post = curves.PRIOR.adapt(prior, support)
    penalty = curves.tuned_penalties(data, order)[part, len(at)]
    said = {
        "population": curves.population(data)[part],
        "own fit": center + scale * curves.own_fit(many, penalty[None], x[None])[0, :, 0],
        "MAML": center + scale * curves.ADAPTED.predict(phi, x)[:, 0],
        "mixed effects": center + scale * curves.PRIOR.predict(post, x)[:, 0],
    }
    X = curves.FEATURES(x)
    spread = ((X @ post["covariance"]) * X).sum(-1).clamp(min=0)
    before = (X @ prior["factor"]).square().sum(-1)
    half = 1.96 * scale * (spread + (2 * prior["log_noise"]).exp()).sqrt()
    rest = torch.ones(len(values), dtype=torch.bool)
    rest[at] = False
    errors = {name: float((f - values)[rest].square().nanmean().sqrt()) for name, f in said.items()}
    band = torch.stack([said["mixed effects"] - half, said["mixed effects"] + half]).numpy()
    forecasts = {name: f.numpy() for name, f in said.items()}
    return Outcome(forecasts, errors, None, band, float(1 - spread.mean() / before.mean()))


@torch.no_grad()
def _choices(i: int, offers: Tensor, chosen: Tensor, places: list[int], width: float) -> tuple[Outcome, ...]:
    """All numbers of answers at once: a row of ``shown`` says which of the six each has."""
    part, n = int(customers.everyone()[1][i]), MAX_SHOTS + 1
    six, shown = Batch(offers[places], chosen[places]), torch.ones(n, MAX_SHOTS, dtype=torch.float32).tril(-1).bool()
    prior = _wider(_theta(customers.theta_of("mixed effects"), part), width)
    priors = {name: p.expand(n, *p.shape) for name, p in prior.items()}
    flat = customers.around_zero(customers.tuned_widths()[part])
    z, curvature = _highest({name: torch.cat([flat[name], priors[name]]) for name in prior}, six, shown.repeat(2, 1))
    left = covariance(prior["factor"], curvature[n:]).diagonal(dim1=1, dim2=2).sum(-1)
    removed = 1 - left / prior["factor"].square().sum()
    weights = {
        "population": customers.theta_of("population")["weight"][part].expand(n, -1),
        "own fit": torch.einsum("kfg,kg->kf", flat["factor"], z[:n]),
        "MAML": _maml_choices(_theta(customers.theta_of("MAML"), part), six, shown),
        "mixed effects": prior["mean"] + z[n:] @ prior["factor"].T,
    }
    said = {name: torch.einsum("qaf,kf->kqa", offers, w).softmax(-1) for name, w in weights.items()}
    return tuple(
        _choice_outcome({name: p[k] for name, p in said.items()}, chosen, places[:k], float(removed[k]))
        for k in range(n)
    )


def _highest(theta: Params, six: Batch, shown: Tensor) -> tuple[Tensor, Tensor]:
    """The highest point z of every posterior, as `choice_prior` finds it, and the curvature there."""
    slopes = torch.func.vmap(lambda theta, z, shown: choice_slopes(theta, z, six, shown))
    z = torch.zeros_like(theta["mean"])
    for _ in range(8):
        slope, curvature = slopes(theta, z, shown)
        z = newton_step(z, slope, curvature)
    return z, slopes(theta, z, shown)[1]


def _maml_choices(theta: Params, six: Batch, shown: Tensor) -> Tensor:
    """The inner steps by hand: the slope of the mean cross entropy is the mean of (p - taken) x."""
    w = theta["weight"].expand(len(shown), -1)
    taken = torch.nn.functional.one_hot(six.y, six.x.shape[1])
    for _ in range(customers.INNER_STEPS):
        missed = (torch.einsum("qaf,kf->kqa", six.x, w).softmax(-1) - taken) * shown[..., None]
        slope = torch.einsum("kqa,qaf->kf", missed, six.x) / shown.sum(-1, keepdim=True).clamp(min=1)
        w = w - theta[ALPHA_PREFIX + "weight"] * slope
    return w


def _choice_outcome(said: dict[str, Tensor], chosen: Tensor, seen: list[int], removed: float) -> Outcome:
    rest = chosen >= 0
    rest[seen] = False
    given = {name: p.gather(-1, chosen.clamp(min=0)[:, None])[:, 0] for name, p in said.items()}
    right = {name: (p.argmax(-1) == chosen) & rest for name, p in said.items()}
    errors = {name: 1 - int(r.sum()) / int(rest.sum()) for name, r in right.items()}
    forecasts = {name: torch.where(rest, g, torch.nan).numpy() for name, g in given.items()}
    return Outcome(forecasts, errors, {name: r.numpy() for name, r in right.items()}, None, removed)


# Words ----------------------------------------------------------------------------------------------------


def _words(frame: Frame) -> str:
    now, k = frame.now, frame.state.shown
    order = sorted(NAMES, key=lambda name: now.errors[name])
    best, smallest = order[0], now.errors[order[0]]
    tied = [name for name in order if now.errors[name] <= smallest + 1e-9]
    seen = f"after {k} observation{'s' * (k != 1)} of {frame.name}"
    if len(tied) > 1:
        who = f"{', '.join(_coloured(name) for name in tied)} are equally good"
    else:
        who = f"{_coloured(best)} is best"
    others = ", ".join(f"{name} {_size(frame, name)}" for name in order[len(tied) :])
    first = f"<b>{seen[0].upper()}{seen[1:]}, {who}</b>: {_size(frame, best)}{'; ' + others if others else ''}."
    return f"{first}<br>{_why(frame)}"


def _size(frame: Frame, name: str) -> str:
    error = frame.now.errors[name]
    if frame.state.data == "customers":
        return f"{100 * error:.0f} % wrong"
    return f"error {number(error)} {UNITS[frame.state.data]}"


def _why(frame: Frame) -> str:
    weight, width = frame.now.weight, frame.state.width
    learned = "as it was learned" if width == 1 else f"{number(width)} times as wide as learned"
    if frame.state.shown == 0:
        return f"Nothing is known of it yet: every method says what it says of everybody. The prior is {learned}."
    trust = "mostly the population" if weight < 0.4 else "mostly the observations" if weight > 0.7 else "half and half"
    return (
        f"Mixed effects believes {trust}: the observations have removed {100 * weight:.0f} % of what it did not know"
        f" (the prior's variance); the prior is {learned}."
    )


def _coloured(name: str) -> str:
    return f"<span style='color:{PEOPLE[name]}'>{name}</span>"
