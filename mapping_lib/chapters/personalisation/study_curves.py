"""How the shipped theta of chicks, countries and thermometers were made."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product

import torch

from mapping_lib.inner_loop import mean_squared_error
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.gradient import maml
from mapping_lib.meta_training import MetaTrainingDiverged, meta_train
from mapping_lib.over_tasks import stacked
from mapping_lib.task import Params, TaskFamily
from mapping_lib.worlds.curves import Growth
from mapping_lib.worlds.derived import VaryingShots
from mapping_lib.worlds.held_out import study, training, units
from mapping_lib.worlds.individuals import folds

from .methods_curves import FEATURES, INNER_STEPS, NETWORK, PRIOR
from .methods_variance import fit_curves

SETTINGS = {
    "mixed effects": {"rounds": 200},
    "MAML": {
        "alphas": [0.01, 0.03, 0.1, 0.3],
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
    """MAML's theta for one part, by `tuned_maml`."""
    family = training(data, part, order)
    held = folds(len(family.curves.names), 5, seed=part) == 0
    parts = (Growth(family.curves.of(m), order, family.center, family.scale, family.allowed) for m in (~held, held))
    make = partial(maml, NETWORK, mean_squared_error, steps=INNER_STEPS)
    return tuned_maml(make, family, *parts, partial(outer_loop, seed=part), error_of, SETTINGS["MAML"])


def tuned_maml(
    make: Callable[..., MetaLearner],
    family: TaskFamily,
    inside: TaskFamily,
    outside: TaskFamily,
    train: Callable[..., Params],
    error: Callable[[MetaLearner, Params, TaskFamily], float],
    settings: Mapping,
) -> Params:
    """MAML's theta for ``family``, and under ``alpha`` the step size that was best for a fifth of its individuals.

    For each alpha of the ``settings``, and each of the ``betas`` if there are any, a theta is trained on four fifths,
    ``inside``, shortly, and judged on the last fifth, ``outside``, by ``error(learner, theta, outside)``. ``train`` is
    `outer_loop` with what is left to say. With Meta-SGD, alpha is where its step sizes begin.
    """

    def trial(chosen: tuple[float, float]) -> float:
        alpha, beta = chosen
        learner = make(alpha=alpha)
        try:
            return error(learner, train(learner, inside, settings["trial_steps"], beta), outside)
        except MetaTrainingDiverged:  # this alpha is too long, or this beta
            return torch.inf

    alpha, beta = min(product(settings["alphas"], settings.get("betas") or [settings["beta"]]), key=trial)
    theta = train(make(alpha=alpha), family, settings["outer_steps"], beta)
    return theta | {"alpha": torch.tensor(alpha, dtype=torch.float32)}


TRAINERS = {"mixed effects": mixed_effects, "MAML": maml_network, "learned prior": learned_prior}


def all_parts(train: Callable[[str, str, int], Params], data: str, order: str) -> Params:
    """theta of all parts, with what standardised each."""
    center, scale = units(data)
    thetas = [train(data, order, part) for part in range(study(data).n_parts)]
    return stacked(thetas) | {"center": center, "scale": scale}


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
