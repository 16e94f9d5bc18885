"""How the shipped theta of customers were made."""

from collections.abc import Callable
from functools import partial

import torch
from torch.nn.functional import cross_entropy

from mapping_lib.learners import MetaLearner
from mapping_lib.learners.gradient import maml
from mapping_lib.meta_training import MetaTrainingDiverged
from mapping_lib.study import Recipe
from mapping_lib.task import Batch, Params

from .family_choices import Choices
from .family_individuals import folds
from .methods_customers import FOLDS, INNER_STEPS, N_FEATURES, training
from .methods_prior import Utility, choice_prior, choice_slopes, newton_step
from .methods_variance import fit_choices
from .study_curves import outer_loop

ALPHAS = (0.3, 1.0, 3.0)
SETTINGS = {
    "population": {"newton_steps": 10},
    "mixed effects": {"rounds": 40},
    "MAML": {"alphas": list(ALPHAS), "trial_steps": 150, "outer_steps": 400, "beta": 0.05, "inner_steps": INNER_STEPS},
    "learned prior": {"outer_steps": 150, "beta": 0.01, "newton_steps": 4, "start": "mixed effects"},
}
COMMON = {"tasks_per_step": 25, "k_shot": "0 to 6", "n_query": 5, "schedule": "cosine", "seed": "the part"}

_outer_loop = partial(outer_loop, tasks_per_step=25, k_shot=6)


def pooled(part: int) -> Params:
    """One logit for all: the weights that make all training choices most probable, by Newton's method."""
    family = training(part)
    seen = family.choices >= 0
    batch = Batch(family.offers[seen].double(), family.choices[seen])
    wide = {"dtype": torch.float64}
    flat = {"mean": torch.zeros(N_FEATURES, **wide), "factor": 100 * torch.eye(N_FEATURES, **wide)}
    z = flat["mean"]
    for _ in range(SETTINGS["population"]["newton_steps"]):
        slope, curvature = choice_slopes(flat, z, batch)
        z = newton_step(z, slope, curvature)
    return {"weight": (100 * z).float()}


def mixed_effects(part: int) -> Params:
    """The mixed logit of one part's training customers, by EM with Laplace's approximation."""
    family = training(part)
    return fit_choices(family.offers, family.choices, steps=SETTINGS["mixed effects"]["rounds"])


def learned_prior(part: int) -> Params:
    """The same theta, improved by the outer loop on the probability of the other choices."""
    settings = SETTINGS["learned prior"]
    learner = choice_prior(N_FEATURES, newton_steps=settings["newton_steps"])
    return _outer_loop(learner, training(part), settings["outer_steps"], settings["beta"], part, mixed_effects(part))


def maml_utility(part: int) -> Params:
    """MAML's start for the six weights, and the ``alpha`` that was best for a fifth of the training customers."""
    family, settings = training(part), SETTINGS["MAML"]
    held = folds(len(family.choices), 5, seed=part) == 0

    def trial(alpha: float) -> float:
        learner = maml(Utility(N_FEATURES), cross_entropy, alpha=alpha, steps=INNER_STEPS)
        try:
            theta = _outer_loop(learner, family.of(~held), settings["trial_steps"], settings["beta"], part)
        except MetaTrainingDiverged:  # this alpha is too long
            return torch.inf
        return error_of(learner, theta, family.of(held))

    alpha = min(ALPHAS, key=trial)
    learner = maml(Utility(N_FEATURES), cross_entropy, alpha=alpha, steps=INNER_STEPS)
    theta = _outer_loop(learner, family, settings["outer_steps"], settings["beta"], part)
    return theta | {"alpha": torch.tensor(alpha, dtype=torch.float32)}


def error_of(learner: MetaLearner, theta: Params, family: Choices) -> float:
    """The mean share of wrong forecasts on 100 tasks for each K = 1 ... 6."""
    total = 0.0
    for k in range(1, 7):
        task = family.sample(100, k, 5, generator=torch.Generator().manual_seed(k))
        logits = torch.func.vmap(lambda s, x: learner.predict(learner.adapt(theta, s), x))(task.support, task.query.x)
        total += float((logits.argmax(-1) != task.query.y).float().mean())
    return total


def stacked(train: Callable[[int], Params]) -> Params:
    """theta of all parts.

    >>> stacked(lambda part: {"w": torch.tensor(float(part))})
    {'w': tensor([0., 1., 2., 3., 4.])}
    """
    thetas = [train(part) for part in range(FOLDS)]
    return {name: torch.stack([t[name] for t in thetas]) for name in thetas[0]}


TRAINERS = {
    "population": pooled,
    "mixed effects": mixed_effects,
    "MAML": maml_utility,
    "learned prior": learned_prior,
}


def _recipe(method: str) -> Recipe:
    common = COMMON if method in ("MAML", "learned prior") else {}
    settings = {"learner": method, "data": "customers", **SETTINGS[method], **common}
    return Recipe(lambda: stacked(TRAINERS[method]), settings)


RECIPES = {f"customers_{method.replace(' ', '_').lower()}": _recipe(method) for method in TRAINERS}
