"""How the shipped theta of chicks, countries and thermometers were made."""

from collections.abc import Callable

import torch

from mapping_lib.inner_loop import mean_squared_error
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.gradient import maml
from mapping_lib.meta_training import MetaTrainingDiverged, meta_train
from mapping_lib.task import Params, TaskFamily
from mapping_lib.worlds.derived import VaryingShots

from .family_growth import Growth
from .family_individuals import folds
from .methods_curves import FEATURES, INNER_STEPS, NETWORK, PRIOR, study, training, units
from .methods_variance import fit_curves

ALPHAS = (0.01, 0.03, 0.1, 0.3)
SETTINGS = {
    "mixed effects": {"rounds": 200},
    "MAML": {
        "alphas": list(ALPHAS),
        "trial_steps": 150,
        "outer_steps": 1000,
        "beta": 0.003,
        "inner_steps": INNER_STEPS,
    },
    "learned prior": {"outer_steps": 150, "beta": 0.005, "start": "mixed effects"},
}
COMMON = {"tasks_per_step": 15, "k_shot": "0 to 5", "n_query": 5, "schedule": "cosine", "seed": "the part"}


def mixed_effects(data: str, order: str, part: int) -> Params:
    """The variance components of one part's training individuals, by EM."""
    family = training(data, part, "spread")
    return fit_curves(FEATURES(family.x[:, None]), family.y, steps=SETTINGS["mixed effects"]["rounds"])


def learned_prior(data: str, order: str, part: int) -> Params:
    """The same theta, improved by the outer loop on the error of forecasts."""
    start, settings = mixed_effects(data, order, part), SETTINGS["learned prior"]
    return outer_loop(PRIOR, training(data, part, order), settings["outer_steps"], settings["beta"], part, start)


def maml_network(data: str, order: str, part: int) -> Params:
    """MAML's theta for one part, and under ``alpha`` the step size that was best for a fifth of its individuals.

    For each alpha a theta is trained on four fifths, shortly, and judged on the last fifth after K = 1 ... 5.
    """
    family, settings = training(data, part, order), SETTINGS["MAML"]
    held = folds(len(family.curves.names), 5, seed=part) == 0
    inside, outside = (
        Growth(family.curves.of(m), order, family.center, family.scale, family.allowed) for m in (~held, held)
    )

    def trial(alpha: float) -> float:
        learner = maml(NETWORK, mean_squared_error, alpha=alpha, steps=INNER_STEPS)
        try:
            theta = outer_loop(learner, inside, settings["trial_steps"], settings["beta"], part)
        except MetaTrainingDiverged:  # this alpha is too long
            return torch.inf
        return error_of(learner, theta, outside)

    alpha = min(ALPHAS, key=trial)
    learner = maml(NETWORK, mean_squared_error, alpha=alpha, steps=INNER_STEPS)
    theta = outer_loop(learner, family, settings["outer_steps"], settings["beta"], part)
    return theta | {"alpha": torch.tensor(alpha, dtype=torch.float32)}


TRAINERS = {"mixed effects": mixed_effects, "MAML": maml_network, "learned prior": learned_prior}


def stacked(train: Callable[[str, str, int], Params], data: str, order: str) -> Params:
    """theta of all parts, with what standardised each."""
    thetas = [train(data, order, part) for part in range(study(data).n_parts)]
    center, scale = units(data)
    return {name: torch.stack([t[name] for t in thetas]) for name in thetas[0]} | {"center": center, "scale": scale}


def outer_loop(
    learner: MetaLearner,
    family: TaskFamily,
    outer_steps: int,
    beta: float,
    seed: int,
    theta: Params | None = None,
    *,
    tasks_per_step: int = 15,
    k_shot: int = 5,
) -> Params:
    """Meta-train with supports of 0 to ``k_shot`` observations, and a cosine decay of beta.

    >>> sorted(outer_loop(PRIOR, training("chicks", 0, "first"), 2, 0.01, seed=0))
    ['factor', 'log_noise', 'mean']
    """
    *_, last = meta_train(
        learner,
        VaryingShots(family),
        beta=beta,
        outer_steps=outer_steps,
        tasks_per_step=tasks_per_step,
        k_shot=k_shot,
        n_query=5,
        theta=theta,
        schedule="cosine",
        generator=torch.Generator().manual_seed(seed),
    )
    return last.theta


def error_of(learner: MetaLearner, theta: Params, family: Growth) -> float:
    """The mean error on 60 tasks for each K = 1 ... 5; infinite where a task diverges."""
    total = 0.0
    for k in range(1, 6):
        task = family.sample(60, k, 5, generator=torch.Generator().manual_seed(k))
        answer = torch.func.vmap(lambda s, x: learner.predict(learner.adapt(theta, s), x))(task.support, task.query.x)
        total += float((answer - task.query.y).square().mean().nan_to_num(torch.inf))
    return total
