"""One customer who was held out: what each method forecasts after 0 to 6 answers, one number after the other."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mapping_lib.chapters.personalisation import methods_customers as customers
from mapping_lib.chapters.personalisation.methods_curves import of_part
from mapping_lib.chapters.personalisation.methods_individual import MAX_SHOTS, Individual, observed, weights_of
from mapping_lib.task import Batch


class Outcome(NamedTuple):
    """A forecast is the probability of the choice that was made, ``right`` says whether it was the highest."""

    forecasts: dict[str, np.ndarray]
    errors: dict[str, float]
    right: dict[str, np.ndarray]
    weight: float
    band: None = None


@lru_cache(maxsize=4096)
def customer(i: int, draw: int = 0, width: float = 1.0) -> Individual:
    """Number ``i``, as `methods_individual.individual` gives a curve."""
    offers, chosen = (part[i] for part in (customers.everyone()[0].offers, customers.everyone()[0].choices))
    order, answers = observed(chosen >= 0, draw, i), (chosen >= 0).float().numpy()
    outcomes = _choice_outcomes(i, offers, chosen, order, width)
    return Individual(f"customer {i + 1}", np.arange(1, 13), np.where(answers > 0, 1.0, np.nan), order, outcomes)


@torch.no_grad()
def _choice_outcomes(i: int, offers: Tensor, chosen: Tensor, order: list[int], width: float) -> tuple[Outcome, ...]:
    """All numbers of answers at once."""
    part = int(customers.everyone()[1][i])
    weights, removed = weights_by_answers(part, Batch(offers[order], chosen[order]), width)
    choices = {name: torch.einsum("qaf,kf->kqa", offers, w).softmax(-1) for name, w in weights.items()}
    return tuple(
        _choice_outcome({name: p[k] for name, p in choices.items()}, chosen, order[:k], float(removed[k]))
        for k in range(MAX_SHOTS + 1)
    )


def weights_by_answers(part: int, answers: Batch, width: float = 1.0) -> tuple[dict[str, Tensor], Tensor]:
    """Each method's weights ``(k, feature)`` after the first k = 0 ... of a customer's answers, and what they removed.

    ``answers`` as a support of a customer held out in ``part``. ``removed (k,)``: of the prior's variance, a share.
    """
    n = len(answers.x) + 1
    answered = torch.ones(n, n - 1, dtype=torch.float32).tril(-1).bool()  # row k: the first k
    thetas = {name: of_part(customers.theta_of(name), part) for name in ("population", "MAML", "mixed effects")}
    return weights_of(thetas, customers.tuned_widths()[part, :n], answers, answered, width)


def _choice_outcome(choices: dict[str, Tensor], chosen: Tensor, seen: list[int], removed: float) -> Outcome:
    rest = chosen >= 0
    rest[seen] = False
    given = {name: p.gather(-1, chosen.clamp(min=0)[:, None])[:, 0] for name, p in choices.items()}
    right = {name: (p.argmax(-1) == chosen) & rest for name, p in choices.items()}
    errors = {name: 1 - int(r.sum()) / int(rest.sum()) for name, r in right.items()}
    forecasts = {name: torch.where(rest, g, torch.nan).numpy() for name, g in given.items()}
    return Outcome(forecasts, errors, {name: r.numpy() for name, r in right.items()}, removed)
