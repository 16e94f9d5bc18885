"""All four forecasts of one individual, after the first 0, 1, 2 ... of any observations at once: stages of a program.

`methods_individual` does the same for curves one after the other, by the learners that the tables judge; the page runs
this.
"""

from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

from mapping_lib import batched_mlp
from mapping_lib.page.program import Stage
from mapping_lib.task import Batch

from . import methods_curves as curves
from .methods_individual import NAMES, weights_of
from .methods_prior import gaussian_prior
from .study_people import KINDS, PLACES, QUESTIONS, SLOTS

N = curves.DEGREE + 1
BAYES = gaussian_prior(lambda features: features, N)
"""`curves.PRIOR` on features: the row of an observation that is not made is 0, and says nothing."""


def at(values: Tensor, i: Tensor) -> Tensor:
    """One of several, by its number.

    >>> at(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor(1.0))
    tensor([3., 4.])
    """
    return values.index_select(0, (i + 0.5).long().view(1))[0]


def is_kind(data: str, kind: Tensor) -> Tensor:
    """1 where that is the kind."""
    return ((kind - KINDS[data]).abs() < 0.5).float()


def choose(people: dict, who, inner_steps) -> dict[str, Any]:
    """Everything that is known of one individual; what is computed for curves alone, or for choices alone, or not."""
    person = {name: at(values, who) for name, values in people.items()}
    choices = is_kind("customers", person["kind"])
    every, single = (len(NAMES) + 1, SLOTS + 1), {"dtype": torch.float32}
    return person | {
        "choices": choices,
        "is_curve": 1 - choices,
        "steps": inner_steps * (1 - choices),
        "curves": torch.zeros(*every, PLACES, **single),
        "variance": torch.zeros(PLACES, **single),
        "before": torch.ones(PLACES, **single),
        "noise": torch.zeros((), **single),
        "given": torch.zeros(*every, QUESTIONS, **single),
        "right": torch.zeros(*every, QUESTIONS, **single),
        "answers_removed": torch.zeros((), **single),
    }


def observe(seen, x, open_) -> dict[str, Any]:
    """Observe where it was wanted, or at the nearest place that is free: a row for each slot, empty ones behind."""
    empty = torch.zeros(SLOTS, dtype=torch.float32)
    wanted, active = (torch.cat([part, empty])[:SLOTS] for part in (seen, torch.ones_like(seen)))
    picks = []
    for slot in range(SLOTS):
        away = (x - wanted[slot]).abs() + 9 * (1 - open_ + sum(picks))
        picks.append((torch.arange(PLACES) == away.argmin()).float() * active[slot])
    return {"picks": torch.stack(picks), "active": active, "k": active.sum()}


def share(picks, active, open_, k, kind, truth, x, center, scale) -> dict[str, Any]:
    """Which observations belong to the first 0, 1, 2 ... of them, and whether all are the earliest that there are."""
    upto = torch.ones(SLOTS + 1, SLOTS, dtype=torch.float32).tril(-1) * active
    earliest = open_ * (open_.cumsum(0) <= k).float()
    first = ((picks.sum(0) - earliest).abs().sum() < 0.5) & (is_kind("sensors", kind) < 0.5) & (k > 0)
    xs, ys = picks @ x, (picks @ truth - center) / scale
    return {"upto": upto, "order": first.float(), "xs": xs[:, None], "ys": ys[:, None]}


def fit(rows: dict, row, order, width, upto, xs, ys, x, k) -> dict[str, Any]:
    """Own fit, mixed effects and mixed effects as learned, after 0, 1, 2 ... observations: Bayes' rule three times."""
    n = SLOTS + 1
    mean, factor, noise = (at(rows[name], row).expand(n, *rows[name].shape[1:]) for name in ("mean", "factor", "noise"))
    own = at(at(rows["own"], row), order)[..., None] * torch.eye(N, dtype=torch.float32)
    features, n_seen = curves.FEATURES(xs), upto.sum(-1, keepdim=True).clamp(min=1)
    centre, level = upto @ features / n_seen, upto @ ys / n_seen  # an own fit's level is free: centring takes it out
    X = torch.cat([features - centre[:, None], features.expand(2 * n, -1, -1)])
    y = torch.cat([ys - level[:, None], ys.expand(2 * n, -1, -1)])
    theta = {
        "mean": torch.cat([0 * mean, mean, mean]),
        "factor": torch.cat([own, width * factor, factor]),
        "log_noise": torch.cat([0 * noise, noise, noise]),
    }
    support = Batch(*(torch.cat([upto[..., None]] * 3) * part for part in (X, y)))
    phi = vmap(lambda theta, support: BAYES.adapt(theta, support))(theta, support)
    X = curves.FEATURES(x[:, None])
    fits = (phi["weight"] @ X.T).view(3, n, PLACES)
    fits = torch.cat([fits[:1] + level - (phi["weight"][:n] * centre).sum(-1, keepdim=True), fits[1:]])
    variance = ((X @ at(phi["covariance"][n : 2 * n], k)) * X).sum(-1).clamp(min=0)
    before = (X @ (width * factor[0])).square().sum(-1)
    return {"fits": fits, "variance": variance, "before": before, "noise": noise[0]}


def start(mamls: list, row, order) -> dict[str, Any]:
    """MAML's theta, once for each number of observations."""
    return {"phi": [at(p, 2 * row + order).expand(SLOTS + 1, *p.shape[1:]) for p in mamls]}


def step(phi: list, rates, row, order, upto, xs, ys) -> dict[str, Any]:
    """One inner step on the first 0, 1, 2 ... observations at once."""
    support = Batch(*(part.expand(SLOTS + 1, -1, -1) for part in (xs, ys)))
    weight = upto / upto.sum(-1, keepdim=True).clamp(min=1)
    gradient, _, _ = batched_mlp.loss_gradient(list(phi), support, weight)
    return {"phi": [p - at(rates, 2 * row + order) * g for p, g in zip(phi, gradient, strict=True)]}


def foresee(rows: dict, row, phi: list, fits, x, center, scale) -> dict[str, Any]:
    """All forecasts of a curve, in its own units: ``(method, k, place)``; the last are mixed effects as learned."""
    adapted = batched_mlp.forward(list(phi), x[:, None].expand(SLOTS + 1, -1, -1))[-1][..., 0]
    every = center + scale * torch.stack([fits[0], adapted, fits[1], fits[2]])
    return {"curves": torch.cat([at(rows["population"], row).expand(1, SLOTS + 1, -1), every])}


def choose_offers(buyers: dict, parts: dict, member, part, picks, upto, width, k) -> dict[str, Any]:
    """The same for a customer: the probability of what was chosen, and whether it was the highest."""
    offers, chosen = at(buyers["offers"], member), (at(buyers["chosen"], member) + 0.5).floor()
    thetas = {name: {n: at(p, part) for n, p in theta.items()} for name, theta in parts["theta"].items()}
    made = picks[:, : len(offers)]
    answers = Batch(torch.einsum("sq,qaf->saf", made, offers), made @ chosen)
    asked = [weights_of(thetas, at(parts["widths"], part), answers, upto.bool(), w) for w in (width, 1.0)]
    weights = torch.stack([*asked[0][0].values(), asked[1][0]["mixed effects"]])
    p = torch.einsum("qaf,mkf->mkqa", offers, weights).softmax(-1)
    given = (p * (chosen[:, None] == torch.arange(offers.shape[1])).float()).sum(-1)
    return {"given": given, "right": (p.argmax(-1) == chosen).float(), "answers_removed": at(asked[0][1], k)}


def judge(
    curves, given, right, truth, there, picks, upto, k, choices, valid, variance, before, answers_removed
) -> dict:
    """The errors on what was not observed, and the share of the prior's variance that the observations removed."""
    rest = there * (1 - upto @ picks)
    n_rest = rest.sum(-1).clamp(min=1)
    missed = (((curves - truth).square() * rest).sum(-1) / n_rest).sqrt()
    wrong = 100 * (1 - (right * rest[:, : right.shape[-1]]).sum(-1) / n_rest)
    errors = choices * wrong + (1 - choices) * missed
    now = at(errors.T, k)
    removed = 1 - (variance * valid).sum() / (before * valid).sum()
    return {
        "errors": errors,
        "now": now,
        "removed": choices * answers_removed + (1 - choices) * removed,
        "rest": at(rest, k),
    }


STAGES = (
    Stage(choose),
    Stage(observe),
    Stage(share),
    Stage(fit, times="is_curve"),
    Stage(start),
    Stage(step, times="steps"),
    Stage(foresee, times="is_curve"),
    Stage(choose_offers, times="choices"),
    Stage(judge),
)
