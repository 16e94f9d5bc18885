"""Curves of new individuals: chicks, countries, thermometers. Who is held out, what each method forecasts."""

from functools import cache

import torch
from torch import Tensor
from torch.func import vmap

from mapping_lib.checks import check_choice
from mapping_lib.inner_loop import mean_squared_error
from mapping_lib.learners.gradient import ALPHA_PREFIX, meta_sgd
from mapping_lib.networks import mlp
from mapping_lib.study import shipped_theta
from mapping_lib.task import Batch, Params, Task
from mapping_lib.worlds.curves import Growth
from mapping_lib.worlds.held_out import MAX_SHOTS, SENSORS, errors_of, study, units
from mapping_lib.worlds.individuals import ORDERS

from .methods_prior import gaussian_prior, legendre

DEGREE = 3
"""Of the polynomials in every method that fits one: a level, a slope, a bend and a twist."""

METHODS = ("population", "own fit", "MAML", "learned prior", "mixed effects")
INNER_STEPS = 5
NETWORK = mlp((1, 40, 40, 1))
FEATURES = legendre(DEGREE)
PRIOR = gaussian_prior(FEATURES, DEGREE + 1)
ADAPTED = meta_sgd(NETWORK, mean_squared_error, steps=INNER_STEPS)
"""MAML's theta with the alpha that was tuned for it is a theta of Meta-SGD whose alphas are all the same."""

UNITS = ("center", "scale")
PENALTIES = (1e-4, 0.01, 0.03, 0.1, 0.3, 1.0)
"""The ridges that an own fit is tuned over, in squared units of the standardised curves."""


@cache
def theta_of(method: str, data: str, order: str) -> Params:
    """theta of every part, stacked, with the center and scale of its training individuals.

    The variance components do not depend on ``order``: they are of the whole curves.
    """
    order = "all" if method == "mixed effects" else check_choice("order", order, ORDERS)
    theta = dict(shipped_theta(f"{data}_{method.replace(' ', '_').lower()}_{order}"))
    if method == "MAML":
        alpha = theta.pop("alpha")
        sizes = {n: alpha.view(-1, *[1] * (p.ndim - 1)).expand_as(p) for n, p in theta.items() if n not in UNITS}
        theta |= {ALPHA_PREFIX + name: size for name, size in sizes.items()}
    return theta


def of_part(theta: Params, part: int | Tensor) -> Params:
    """theta of one part, or of several, out of those of all parts; without what standardised them."""
    return {name: p[part] for name, p in theta.items() if name not in UNITS}


def forecast(method: str, data: str, order: str, task: Task) -> Tensor:
    """What a method says at ``task.query.x`` of individuals who were held out: ``(task, example, 1)``, in data units.

    ``task`` is as from `judged`; its query's y is not read.

    >>> from mapping_lib.worlds.held_out import judged
    >>> task = judged("chicks", "first", 3, generator=torch.Generator().manual_seed(0))
    >>> forecast("population", "chicks", "first", task).shape
    torch.Size([49, 9, 1])
    """
    check_choice("method", method, METHODS)
    part = study(data).part[task.description[:, 0].long()]
    if method == "population":
        return _at(population(data)[part], task.query.x, data)
    center, scale = (t[part, None, None] for t in units(data))
    support = Batch(task.support.x, (task.support.y - center) / scale)
    if method == "own fit":
        penalty = tuned_penalties(data, order)[part, support.x.shape[1]]
        return center + scale * own_fit(support, penalty, task.query.x)
    learner = ADAPTED if method == "MAML" else PRIOR
    theta = of_part(theta_of(method, data, order), part)
    answer = vmap(lambda theta, support, x: learner.predict(learner.adapt(theta, support), x))
    return center + scale * answer(theta, support, task.query.x)


def errors(method: str, data: str, order: str, task: Task) -> Tensor:
    """The mean squared error of every individual, over its later observations and its supports: ``(individual,)``."""
    answer = best_possible(task) if method == "Bayes" else forecast(method, data, order, task)
    return errors_of(answer, task, data)


def best_possible(task: Task) -> Tensor:
    """The Bayes answer for thermometers, by simulation from their true distribution."""
    observed = study("sensors").curves.times[_places(task.support.x, "sensors")]
    guess = SENSORS.best_guess(observed, task.support.y[..., 0], generator=torch.Generator().manual_seed(1))
    return _at(guess, task.query.x, "sensors")


# What needs no theta ------------------------------------------------------------------------------------


@cache
def population(data: str) -> Tensor:
    """The mean curve of each part's training individuals, ``(part, time)``: day by day, of those observed then."""
    group = study(data)
    return torch.stack([group.curves.values[group.part != f].nanmean(0) for f in range(group.n_parts)])


def own_fit(support: Batch, penalty: Tensor, x: Tensor) -> Tensor:
    """Ridge regression on the support alone, a polynomial for each task: forecasts ``(task, example, 1)`` at ``x``.

    Minimises |y - level - X w|² + sum_j penalty_j w_j², with ``penalty (task, DEGREE)`` for slope, bend and twist: each
    above 0, and inf switches one off. The level is free, so centring takes it out (Hastie, Tibshirani & Friedman 2009,
    section 3.4.1): with one observation it is all there is, with none it is 0. The rest, with w in units of
    1 / sqrt(penalty), is (Z'Z + I) u = Z'y, whose eigenvalues are 1 or more: nothing here is nearly singular.
    """
    X, y = FEATURES(support.x.double())[..., 1:], support.y.double()
    centre, level = (part.sum(1, keepdim=True) / max(part.shape[1], 1) for part in (X, y))
    unit = penalty.double().rsqrt()[:, None]
    Z = (X - centre) * unit
    factor = torch.linalg.cholesky(Z.mT @ Z + torch.eye(DEGREE, dtype=Z.dtype))
    u = torch.cholesky_solve(Z.mT @ (y - level), factor)
    return (level + (FEATURES(x.double())[..., 1:] - centre) * unit @ u).to(support.y.dtype)


@cache
def tuned_penalties(data: str, order: str) -> Tensor:
    """The penalties of `own_fit` by part and K, ``(part, MAX_SHOTS + 1, DEGREE)``: degree and ridge.

    The best of 3 degrees x 6 ridges plus the constant on the training individuals, with supports of their own.
    An own fit is linear in y with a free level, so the units in which it is tuned change no choice.
    """
    group, grid = study(data), _grid()
    enough = group.curves.values.isfinite().sum(-1) > MAX_SHOTS
    everyone, part = Growth(group.curves.of(enough), order, allowed=group.allowed), group.part[enough]
    center, scale = (t[0] for t in units(data))
    chosen = [grid[0].expand(group.n_parts, -1)]
    for k in range(1, MAX_SHOTS + 1):
        task = everyone.everyone(k, repeat=2, generator=torch.Generator().manual_seed(50 + k))
        support = Batch(task.support.x, (task.support.y - center) / scale)
        query = (task.query.y - center) / scale
        fits = [own_fit(support, row.expand(len(support.x), -1), task.query.x) for row in grid]
        missed = torch.stack([(fit - query).square()[..., 0].nanmean(-1).view(2, -1).mean(0) for fit in fits])
        best = [int(missed[:, part != f].mean(-1).argmin()) for f in range(group.n_parts)]
        chosen.append(grid[best])
    return torch.stack(chosen, 1)


def _grid() -> Tensor:
    rows = [[torch.inf] * DEGREE]
    for degree in range(1, DEGREE + 1):
        rows += [[ridge] * degree + [torch.inf] * (DEGREE - degree) for ridge in PENALTIES]
    return torch.tensor(rows, dtype=torch.float32)


def _places(x: Tensor, data: str) -> Tensor:
    return (x - Growth(study(data).curves).x).abs().argmin(-1)


def _at(curves: Tensor, x: Tensor, data: str) -> Tensor:
    return curves.gather(1, _places(x, data))[..., None]
