"""The learners that several chapters use, and how their theta were made: on sine waves, and one on lines.

`LEARNERS` are chapter 3's, compared on the paper's network with three seeds. `MAPPINGS` are the other mappings of
chapters 1 and 3b: from a description to parameters, from examples to parameters, from a gradient to a step, from time
to parameters, from examples and an x to its y.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from mapping_lib.checks import check_choice
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.amortised import hypernetwork, n_weights, set_network
from mapping_lib.learners.baselines import from_scratch, joint
from mapping_lib.learners.flow import gradient_flow
from mapping_lib.learners.gradient import anil, fomaml, maml, meta_sgd, reptile
from mapping_lib.learners.in_context import in_context
from mapping_lib.learners.rule import learned_rule
from mapping_lib.networks import mlp
from mapping_lib.set_networks import ContextTransformer, DeepSet
from mapping_lib.study import Recipe, shipped_theta, theta_path
from mapping_lib.study.theta import load_theta
from mapping_lib.study.training import TOLD, Training
from mapping_lib.task import Batch, Params
from mapping_lib.worlds.derived import NoisyDescriptions, VaryingShots
from mapping_lib.worlds.linear import LinearFunctions

SEEDS = (0, 1, 2)
"""Of `LEARNERS`, fixed before any result was seen. `MAPPINGS` have seed 0."""

SIZES = (1, 40, 40, 1)
"""The network F that is adapted or written: that of Finn et al. 2017, section 5.1."""

N_WEIGHTS = n_weights(mlp(SIZES))
MISHEARD = NoisyDescriptions(Sinusoids(), noise=(0.5, 0.3))
"""Descriptions with noise of about a third of what amplitude and phase themselves spread (1.41 and 0.91)."""

ANY_SHOTS = VaryingShots(Sinusoids())


def _on_waves(make: Callable[..., MetaLearner], label: str, **settings) -> Training:
    """Training on the paper's network; what is not said is chapter 3's: 20,000 outer steps, one inner step of 0.01."""
    how = {"outer_steps": 20_000, "inner": {"alpha": 0.01, "steps": 1}} | settings
    return Training(partial(make, mlp(SIZES), nn.functional.mse_loss), Sinusoids(), label=label, **how)


LEARNERS = {
    "maml": _on_waves(maml, "MAML"),
    "fomaml": _on_waves(fomaml, "FOMAML"),
    "reptile": _on_waves(
        reptile,
        "Reptile",
        **{"inner": {"alpha": 0.01, "steps": 10}, "beta": 1.0, "k_shot": 20, "n_query": 0, "optimiser": "sgd"},
    ),
    "anil": _on_waves(anil, "ANIL"),
    "meta_sgd": _on_waves(meta_sgd, "Meta-SGD"),
    "joint": _on_waves(joint, "joint training"),
    "scratch": _on_waves(from_scratch, "from scratch", outer_steps=0),
}
"""Reptile reads all 20 points of a task as support, as many as the others see in support and query, and
moves a share beta of the way from theta to phi, as its paper does. Adam in its place blew up in a trial."""


def _hypernetwork(**steps) -> MetaLearner:
    return hypernetwork(mlp(SIZES), nn.functional.mse_loss, writer=mlp((2, 64, 32, N_WEIGHTS)), **steps)


def _set_network() -> MetaLearner:
    return set_network(mlp(SIZES), nn.functional.mse_loss, writer=DeepSet(2, N_WEIGHTS, width=64, last=32))


def _rule(**start) -> MetaLearner:
    return learned_rule(mlp(SIZES), nn.functional.mse_loss, alpha=0.01, steps=5, **start)


def _flow() -> MetaLearner:
    return gradient_flow(mlp(SIZES, nn.Tanh), nn.functional.mse_loss, tau=0.1, steps=5)


def _in_context(width: int, heads: int, layers: int) -> MetaLearner:
    return in_context(ContextTransformer(width=width, heads=heads, layers=layers), nn.functional.mse_loss)


_HYPERNETWORK = Training(
    _hypernetwork,
    Sinusoids(),
    **{"outer_steps": 4000, "beta": 0.002, "k_shot": 0, "n_query": 20, "label": "hypernetwork", "type": "d ↦ φ"},
)
_RULE = Training(_rule, Sinusoids(), outer_steps=3000, label="learned rule", type="(φ, ∇) ↦ φ′")
_IN_CONTEXT = Training(
    partial(_in_context, width=48, heads=4, layers=4),
    ANY_SHOTS,
    **{"outer_steps": 8000, "beta": 0.002, "n_query": 30, "tasks_per_step": 32},
    **{"label": "in-context", "type": "(S, x) ↦ y"},
)
MAPPINGS = {
    "hypernetwork": _HYPERNETWORK,
    "hypernetwork_tuned": Training(
        partial(_hypernetwork, alpha=0.01, steps=1),
        MISHEARD,
        **{"outer_steps": 8000, "beta": 0.002, "label": "hypernetwork + steps", "type": "(d, S) ↦ φ"},
    ),
    "set_network": Training(
        _set_network,
        ANY_SHOTS,
        **{"outer_steps": 20_000, "beta": 0.001, "n_query": 20, "label": "set network", "type": "S ↦ φ"},
    ),
    "rule": _RULE._replace(start=lambda: shipped_theta("sinusoid_maml_0")),
    "rule_alone": _RULE._replace(
        make=partial(_rule, learn_start=False), start=lambda: shipped_theta("sinusoid_joint_0")
    ),
    "flow": Training(_flow, Sinusoids(), outer_steps=3000, label="gradient flow", type="τ ↦ φ(τ)"),
    "in_context": _IN_CONTEXT,
    "lines_in_context": _IN_CONTEXT._replace(
        make=partial(_in_context, width=32, heads=4, layers=3),
        family=VaryingShots(LinearFunctions()),
        **{"outer_steps": 4000, "beta": 0.003, "n_query": 20, "tasks_per_step": 64},
    ),
}


def file_of(name: str, seed: int = 0) -> str:
    """The name of the file that holds a shipped theta, of `LEARNERS` or `MAPPINGS`.

    >>> file_of("maml", 1), file_of("lines_in_context")
    ('sinusoid_maml_1', 'lines_in_context_0')
    """
    return f"{'' if name.startswith('lines_') else 'sinusoid_'}{name}_{seed}"


_TOLD = ("label", "beta", "outer_steps", "k_shot", "n_query", "optimiser")
RECIPES: dict[str, Recipe] = {
    file_of(name, seed): training.recipe(*_TOLD, seed=seed, make=training.make.func.__name__)
    for name, training in LEARNERS.items()
    for seed in SEEDS
    if training.outer_steps
} | {
    file_of(name): training.recipe("label", "type", *TOLD, family=repr(training.family))
    for name, training in MAPPINGS.items()
}
TABLES: dict = {}


def noisy_points(description: Tensor, k_shot: int, noise: float, seed: int) -> Batch:
    """The first ``k_shot`` of 20 points of one wave: more of them leave the others in place."""
    drawn = {"generator": torch.Generator().manual_seed(seed), "dtype": torch.float32}
    x = 10 * torch.rand(20, 1, **drawn) - 5
    y = Sinusoids.truth(description, x) + noise * torch.randn(20, 1, **drawn)
    return Batch(x[:k_shot], y[:k_shot])


def points_and_noise() -> tuple[Tensor, Tensor]:
    """Where the 20 points of `noisy_points` with seed 0 lie, and what a noise of 1 adds to each: both ``(20,)``.

    >>> x, noise = points_and_noise()
    >>> x.shape, bool((x.abs() <= 5).all()), noise.shape
    (torch.Size([20]), True, torch.Size([20]))
    """
    wave = torch.tensor([3.0, 1.0], dtype=torch.float32)
    x, y = noisy_points(wave, 20, 1.0, 0)
    return x[:, 0], (y - Sinusoids.truth(wave, x))[:, 0]


def shipped(name: str, seed: int = 0) -> tuple[MetaLearner, Params]:
    """Give a learner and its shipped theta, of `LEARNERS` or `MAPPINGS`; "scratch" gives a fresh, untrained theta.

    Raises ValueError for an unknown name, FileNotFoundError for a seed that was not shipped.

    >>> learner, theta = shipped("maml")
    >>> theta["2.weight"].shape
    torch.Size([40, 40])
    """
    trainings = {**LEARNERS, **MAPPINGS}
    learner = trainings[check_choice("name", name, trainings)].learner()
    fresh = learner.init(generator=torch.Generator().manual_seed(seed))
    if name == "scratch":
        return learner, fresh
    return learner, load_theta(theta_path(file_of(name, seed)), like=fresh)
