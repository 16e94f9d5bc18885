"""One individual who was held out: what each method forecasts after 0 to 6 observations of it."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from mapping_lib.task import Batch, Params
from mapping_lib.worlds.curves import Growth
from mapping_lib.worlds.held_out import MAX_SHOTS

from . import methods_curves as curves
from . import methods_customers as customers
from .methods_curves import of_part
from .methods_prior import choice_slopes, covariance, highest_point

NAMES = ("population", "own fit", "MAML", "mixed effects")


class Outcome(NamedTuple):
    """One individual after one number of observations: each method's forecast at all places, and its error.

    ``band`` has two rows, ``weight`` is the share of the prior's variance that the observations have removed.
    """

    forecasts: dict[str, np.ndarray]
    errors: dict[str, float]
    band: np.ndarray
    weight: float


class Individual(NamedTuple):
    """Places and truth, the ``order`` in which places are observed, the outcomes after 0 ... 6 observations."""

    name: str
    x: np.ndarray
    truth: np.ndarray
    order: list[int]
    outcomes: tuple[Outcome, ...]

    def observed(self, k_shot: int) -> np.ndarray:
        """Which places belong to the first ``k_shot`` observations."""
        return np.isin(np.arange(len(self.x)), self.order[:k_shot])


@lru_cache(maxsize=4096)
def individual(data: str, i: int, *, draw: int = 0, width: float = 1.0) -> Individual:
    """Number ``i`` of "chicks", "countries" or "sensors".

    ``draw`` 0 observes from the beginning, 1, 2 ... by lot. ``width`` multiplies the standard deviations of the prior.

    >>> chick = individual("chicks", 5, draw=1)
    >>> chick.name, len(chick.outcomes), int(chick.observed(3).sum()), f"{chick.outcomes[3].weight:.0%}"
    ('chick 6', 7, 3, '99%')
    """
    study = curves.study(data)
    values, name = study.curves.values[i], study.curves.names[i]
    order = observed(values.isfinite() if study.allowed is None else values.isfinite() & study.allowed, draw, i)
    theta_order = "spread" if draw or data == "sensors" else "first"
    outcomes = [_curve_outcome(data, i, sorted(order[:k]), theta_order, width) for k in range(MAX_SHOTS + 1)]
    return Individual(name, study.curves.times.numpy(), values.numpy(), order, tuple(outcomes))


def observed(usable: Tensor, draw: int, i: int) -> list[int]:
    """Which of the ``usable (place,)`` places of individual ``i`` are observed, and in which order.

    >>> observed(torch.tensor([True, False, True]), 0, 5)
    [0, 2]
    """
    at = usable.nonzero()[:, 0]
    lots = torch.randperm(len(at), generator=torch.Generator().manual_seed(1000 * draw + i))
    return (at if draw == 0 else at[lots]).tolist()[:MAX_SHOTS]


def _wider(theta: Params, width: float) -> Params:
    return theta | {"factor": width * theta["factor"]}


# Curves ---------------------------------------------------------------------------------------------------


class _Case(NamedTuple):
    """What is known of a curve, in the units of the part that it is held out in, and all its places ``x (time, 1)``."""

    data: str
    part: int
    order: str
    x: Tensor
    support: Batch

    @property
    def alone(self) -> Batch:
        return Batch(self.support.x[None], self.support.y[None])

    def theta(self, method: str) -> Params:
        return of_part(curves.theta_of(method, self.data, self.order), self.part)


class _Posterior(NamedTuple):
    """Mixed effects at all places: mean, variance without and with the noise of an observation, share removed."""

    mean: Tensor
    total: Tensor
    removed: float


@torch.no_grad()
def _curve_outcome(data: str, i: int, at: list[int], order: str, width: float) -> Outcome:
    study, part = curves.study(data), int(curves.study(data).part[i])
    center, scale = (float(t[part]) for t in curves.units(data))
    x, values = Growth(study.curves).x[:, None], study.curves.values[i]
    case = _Case(data, part, order, x, Batch(x[at], (values[at, None] - center) / scale))
    posterior, penalty = _posterior(case, width), curves.tuned_penalties(data, order)[part, len(at)]
    forecasts = {
        "population": curves.population(data)[part],
        "own fit": center + scale * curves.own_fit(case.alone, penalty[None], x[None])[0, :, 0],
        "MAML": center + scale * _adapted(case),
        "mixed effects": center + scale * posterior.mean,
    }
    rest = torch.ones(len(values), dtype=torch.bool).index_fill(0, torch.tensor(at, dtype=torch.long), False)
    errors = {name: float((f - values)[rest].square().nanmean().sqrt()) for name, f in forecasts.items()}
    half = 1.96 * scale * posterior.total.sqrt()
    band = torch.stack([forecasts["mixed effects"] - half, forecasts["mixed effects"] + half]).numpy()
    return Outcome({name: f.numpy() for name, f in forecasts.items()}, errors, band, posterior.removed)


def _adapted(case: _Case) -> Tensor:
    """MAML, by the path for many tasks: a quarter of `adapt`'s time."""
    path = curves.ADAPTED.adapt_path(case.theta("MAML"), case.alone, steps=curves.INNER_STEPS)
    return curves.ADAPTED.predict({name: p[-1, 0] for name, p in path.items()}, case.x)[:, 0]


def _posterior(case: _Case, width: float) -> _Posterior:
    prior = _wider(case.theta("mixed effects"), width)
    phi, X = curves.PRIOR.adapt(prior, case.support), curves.FEATURES(case.x)
    variance = ((X @ phi["covariance"]) * X).sum(-1).clamp(min=0)
    before = (X @ prior["factor"]).square().sum(-1)
    total = variance + (2 * prior["log_noise"]).exp()
    return _Posterior(curves.PRIOR.predict(phi, case.x)[:, 0], total, float(1 - variance.mean() / before.mean()))


# Choices --------------------------------------------------------------------------------------------------


def weights_of(
    thetas: dict[str, Params], widths: Tensor, answers: Batch, answered: Tensor, width: float | Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """Each method's weights ``(set, feature)`` after several sets of a customer's answers, and what they removed.

    ``thetas`` are of the part that the customer is held out in, ``answers`` as a support, ``answered (set, answer)``
    says which belong to a set; ``widths (set,)`` are those of the own fit's prior for as many answers. ``removed
    (set,)``: of the prior's variance, a share.
    """
    n, prior = len(answered), _wider(thetas["mixed effects"], width)
    flat = customers.around_zero(widths)
    both = {name: torch.cat([flat[name], p.expand(n, *p.shape)]) for name, p in prior.items()}
    sets = torch.cat([answered, answered])
    z = vmap(lambda theta, row: highest_point(theta, answers, row))(both, sets)
    _, curvature = vmap(lambda theta, z, row: choice_slopes(theta, z, answers, row))(both, z, sets)
    weights = {
        "population": thetas["population"]["weight"].expand(n, -1),
        "own fit": torch.einsum("kfg,kg->kf", flat["factor"], z[:n]),
        "MAML": customers.adapted_weights(thetas["MAML"], answers, answered),
        "mixed effects": prior["mean"] + z[n:] @ prior["factor"].T,
    }
    left = covariance(prior["factor"], curvature[n:]).diagonal(dim1=1, dim2=2).sum(-1)
    return weights, 1 - left / prior["factor"].square().sum()
