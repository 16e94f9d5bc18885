"""How the shipped theta of customers were made."""

from functools import partial

import torch
from torch.nn.functional import cross_entropy

from mapping_lib.learners import MetaLearner
from mapping_lib.learners.gradient import maml, meta_sgd
from mapping_lib.over_tasks import stacked
from mapping_lib.study import Recipe
from mapping_lib.task import Batch, Params
from mapping_lib.worlds.individuals import folds

from .family_choices import Choices
from .methods_customers import FOLDS, INNER_STEPS, N_FEATURES, file_of, training
from .methods_prior import Utility, choice_prior, highest_point
from .methods_variance import fit_choices
from .study_curves import outer_loop, tuned_maml

ALPHAS, BETAS = (0.3, 1.0, 3.0), (0.05, 0.2)
_MAML = {"alphas": list(ALPHAS), "trial_steps": 150, "outer_steps": 400, "inner_steps": INNER_STEPS}
SETTINGS = {
    "population": {"newton_steps": 10},
    "mixed effects": {"rounds": 40},
    "MAML": {**_MAML, "beta": 0.05},
    "Meta-SGD": {**_MAML, "beta": 0.05},
    "MAML, β tuned": {**_MAML, "betas": list(BETAS)},
    "Meta-SGD, β tuned": {**_MAML, "betas": list(BETAS)},
    "learned prior": {"outer_steps": 150, "beta": 0.01, "newton_steps": 4, "start": "mixed effects"},
}
COMMON = {"tasks_per_step": 25, "k_shot": "0 to 6", "n_query": 5, "schedule": "cosine", "seed": "the part"}

_outer_loop = partial(outer_loop, tasks_per_step=25, k_shot=6)


def pooled(part: int) -> Params:
    """One logit for all: the weights that make all training choices most probable, by Newton's method.

    >>> pooled(0)["weight"].shape
    torch.Size([6])
    """
    family = training(part)
    seen = family.choices >= 0
    batch = Batch(family.offers[seen].double(), family.choices[seen])
    wide = {"dtype": torch.float64}
    flat = {"mean": torch.zeros(N_FEATURES, **wide), "factor": 100 * torch.eye(N_FEATURES, **wide)}
    return {"weight": (100 * highest_point(flat, batch, **SETTINGS["population"])).float()}


def mixed_effects(part: int) -> Params:
    """The mixed logit of one part's training customers, by EM with Laplace's approximation."""
    family = training(part)
    return fit_choices(family.offers, family.choices, steps=SETTINGS["mixed effects"]["rounds"])


def learned_prior(part: int) -> Params:
    """The same theta, improved by the outer loop on the probability of the other choices."""
    settings = SETTINGS["learned prior"]
    learner = choice_prior(N_FEATURES, newton_steps=settings["newton_steps"])
    return _outer_loop(learner, training(part), settings["outer_steps"], settings["beta"], part, mixed_effects(part))


def start_for_steps(method: str, part: int) -> Params:
    """MAML's or Meta-SGD's start for the six weights, by `tuned_maml`."""
    family = training(part)
    held = folds(len(family.choices), 5, seed=part) == 0
    learner = meta_sgd if method.startswith("Meta-SGD") else maml
    make = partial(learner, Utility(N_FEATURES), cross_entropy, steps=INNER_STEPS)
    parts, train = (family.of(~held), family.of(held)), partial(_outer_loop, seed=part)
    return tuned_maml(make, family, *parts, train, error_of, SETTINGS[method])


def error_of(learner: MetaLearner, theta: Params, family: Choices) -> float:
    """The mean share of wrong forecasts on 100 tasks for each K = 1 ... 6."""
    total = 0.0
    for k in range(1, 7):
        task = family.sample(100, k, 5, generator=torch.Generator().manual_seed(k))
        logits = torch.func.vmap(lambda s, x: learner.predict(learner.adapt(theta, s), x))(task.support, task.query.x)
        total += float((logits.argmax(-1) != task.query.y).float().mean())
    return total


STARTS = ("MAML", "Meta-SGD", "MAML, β tuned", "Meta-SGD, β tuned")
TRAINERS = {
    "population": pooled,
    "mixed effects": mixed_effects,
    "learned prior": learned_prior,
    **{method: partial(start_for_steps, method) for method in STARTS},
}


def _recipe(method: str) -> Recipe:
    common = COMMON if method in (*STARTS, "learned prior") else {}
    settings = {"learner": method, "data": "customers", **SETTINGS[method], **common}
    return Recipe(lambda: stacked([TRAINERS[method](part) for part in range(FOLDS)]), settings)


RECIPES = {file_of(method): _recipe(method) for method in TRAINERS}
