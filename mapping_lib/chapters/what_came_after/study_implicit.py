"""How implicit MAML's theta and table are made, beside MAML with as many outer steps and the same network.

Budget: 90 s for each theta on one quiet core. Chosen at 400 outer steps, by the error on 200 validation waves for each
of K = 3, 5, 10 (seeds 903, 905, 910): for implicit MAML λ, momentum, alpha and m in thirteen trials, for MAML m of two.
One of the thirteen was better, λ = 10 with m = 10, and not taken, as with m = 20 it diverged.
"""

from functools import partial

from torch import nn

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.gradient import maml
from mapping_lib.networks import mlp
from mapping_lib.study import Recipe, Table, shipped_theta
from mapping_lib.study.sinusoids import SEEDS, SIZES
from mapping_lib.study.training import TOLD, Training
from mapping_lib.task import Params

from .methods_implicit import implicit_maml
from .study_contestants import Contestant, table_of

OUTER_STEPS = 1500
IMPLICIT = {"strength": 3.0, "alpha": 0.01, "momentum": 0.8, "steps": 20, "cg_steps": 5}
"""alpha and momentum together are as long as steps of 0.05."""


def _on_waves(make, label: str, type: str, **inner) -> Training:
    make = partial(make, mlp(SIZES), nn.functional.mse_loss)
    return Training(make, Sinusoids(), OUTER_STEPS, inner=inner, label=label, type=type)


TRAININGS = {
    "implicit": _on_waves(implicit_maml, "implicit MAML", "(θ, S) ↦ φ*", **IMPLICIT),
    "implicit_two": _on_waves(implicit_maml, "implicit MAML, m = 2", "(θ, S) ↦ φ", **IMPLICIT | {"steps": 2}),
    "implicit_rival": _on_waves(maml, "MAML", "(θ, S) ↦ φ", alpha=0.01, steps=10),
}
"""Implicit MAML; the same with two inner steps, its problem far from solved; and MAML, through its path."""

RECIPES: dict[str, Recipe] = {
    f"after_{name}_{seed}": training.recipe("label", "type", *TOLD, seed=seed, make=training.make.func.__name__)
    for name, training in TRAININGS.items()
    for seed in SEEDS
}


def ready(name: str, seed: int = 0) -> tuple[MetaLearner, Params]:
    """A learner of `TRAININGS` and its shipped theta.

    >>> learner, theta = ready("implicit")
    >>> theta["2.weight"].shape
    torch.Size([40, 40])
    """
    return TRAININGS[name].learner(), shipped_theta(f"after_{name}_{seed}")


def _contestant(name: str, type: str, steps: int) -> Contestant:
    return Contestant(partial(ready, name), type, "1,761", "tasks", steps, SEEDS)


CONTESTANTS = {"implicit MAML": _contestant("implicit", "(θ, S) ↦ φ*", 20)}
OTHERS_HERE = {
    "trained with m = 2": _contestant("implicit_two", "(θ, S) ↦ φ", 2),
    "trained with 2, tested with 20": _contestant("implicit_two", "(θ, S) ↦ φ", 20),
    "MAML, as many outer steps": _contestant("implicit_rival", "(θ, S) ↦ φ", 10),
}
"""Whom only the page on implicit MAML compares."""

TABLES: dict[str, Table] = {"after_implicit": table_of(CONTESTANTS | OTHERS_HERE)}
