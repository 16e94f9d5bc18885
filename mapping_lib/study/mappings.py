"""How the theta of chapters 1 and 3b were made: mappings that chapter 3's table does not hold."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import nn

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.amortised import hypernetwork, n_weights, set_network
from mapping_lib.learners.flow import gradient_flow
from mapping_lib.learners.in_context import in_context
from mapping_lib.learners.rule import learned_rule
from mapping_lib.meta_training import Progress, meta_train
from mapping_lib.networks import mlp
from mapping_lib.set_networks import ContextTransformer, DeepSet
from mapping_lib.study.theta import load_theta, shipped_path
from mapping_lib.task import Params, TaskFamily
from mapping_lib.worlds.derived import NoisyDescriptions, VaryingShots
from mapping_lib.worlds.linear import LinearFunctions

SIZES = (1, 40, 40, 1)
"""The network F that is adapted or written: that of Finn et al. 2017, section 5.1."""

MISHEARD = NoisyDescriptions(Sinusoids(), noise=(0.5, 0.3))
"""Descriptions with noise of about a third of what amplitude and phase themselves spread (1.41 and 0.91)."""

N_WEIGHTS = n_weights(mlp(SIZES))


class MappingRecipe(NamedTuple):
    """A mapping: its name, its type, its learner, and the settings of `meta_train` that made its theta.

    >>> MAPPINGS["hypernetwork"].type
    'd ↦ φ'
    >>> next(MAPPINGS["hypernetwork"].train(seed=0)).step
    1
    """

    label: str
    type: str
    learner: Callable[[], MetaLearner]
    beta: float
    outer_steps: int
    k_shot: int = 10
    n_query: int = 10
    tasks_per_step: int = 25
    family: TaskFamily = Sinusoids()
    start: Callable[[], Params] | None = None

    seeds = (0,)

    def train(self, seed: int) -> Iterator[Progress]:
        """Meta-train with this seed: Adam with cosine decay of beta; from ``start``, or from scratch."""
        generator = torch.Generator().manual_seed(seed)
        learner = self.learner()
        theta = learner.init(generator=generator) | (self.start() if self.start else {})
        return meta_train(
            learner,
            self.family,
            beta=self.beta,
            outer_steps=self.outer_steps,
            tasks_per_step=self.tasks_per_step,
            k_shot=self.k_shot,
            n_query=self.n_query,
            schedule="cosine",
            theta=theta,
            generator=generator,
        )

    def settings(self) -> dict:
        """The settings as plain values, for storing."""
        names = ("label", "type", "beta", "outer_steps", "k_shot", "n_query", "tasks_per_step")
        return {name: getattr(self, name) for name in names} | {"family": repr(self.family)}


def _hypernetwork() -> MetaLearner:
    return hypernetwork(mlp(SIZES), nn.functional.mse_loss, writer=mlp((2, 64, 32, N_WEIGHTS)))


def _hypernetwork_tuned() -> MetaLearner:
    writer = mlp((2, 64, 32, N_WEIGHTS))
    return hypernetwork(mlp(SIZES), nn.functional.mse_loss, writer=writer, alpha=0.01, steps=1)


def _set_network() -> MetaLearner:
    return set_network(mlp(SIZES), nn.functional.mse_loss, writer=DeepSet(2, N_WEIGHTS, width=64, last=32))


def _rule() -> MetaLearner:
    return learned_rule(mlp(SIZES), nn.functional.mse_loss, alpha=0.01, steps=5)


def _rule_alone() -> MetaLearner:
    return learned_rule(mlp(SIZES), nn.functional.mse_loss, alpha=0.01, steps=5, learn_start=False)


def _flow() -> MetaLearner:
    return gradient_flow(mlp(SIZES, nn.Tanh), nn.functional.mse_loss, tau=0.1, steps=5)


def _in_context() -> MetaLearner:
    return in_context(ContextTransformer(width=48, heads=4, layers=4), nn.functional.mse_loss)


def _lines_in_context() -> MetaLearner:
    return in_context(ContextTransformer(width=32, heads=4, layers=3), nn.functional.mse_loss)


MAPPINGS = {
    "hypernetwork": MappingRecipe(
        "hypernetwork", "d ↦ φ", _hypernetwork, beta=0.002, outer_steps=4000, k_shot=0, n_query=20
    ),
    "hypernetwork_tuned": MappingRecipe(
        "hypernetwork + steps", "(d, S) ↦ φ", _hypernetwork_tuned, beta=0.002, outer_steps=8000, family=MISHEARD
    ),
    "set_network": MappingRecipe(
        "set network",
        "S ↦ φ",
        _set_network,
        beta=0.001,
        outer_steps=20_000,
        n_query=20,
        family=VaryingShots(Sinusoids()),
    ),
    "rule": MappingRecipe(
        "learned rule",
        "(φ, ∇) ↦ φ′",
        _rule,
        beta=0.003,
        outer_steps=3000,
        start=lambda: load_theta(shipped_path("maml")),
    ),
    "rule_alone": MappingRecipe(
        "learned rule",
        "(φ, ∇) ↦ φ′",
        _rule_alone,
        beta=0.003,
        outer_steps=3000,
        start=lambda: load_theta(shipped_path("joint")),
    ),
    "flow": MappingRecipe("gradient flow", "τ ↦ φ(τ)", _flow, beta=0.003, outer_steps=3000),
    "in_context": MappingRecipe(
        "in-context",
        "(S, x) ↦ y",
        _in_context,
        beta=0.002,
        outer_steps=8000,
        n_query=30,
        tasks_per_step=32,
        family=VaryingShots(Sinusoids()),
    ),
    "lines_in_context": MappingRecipe(
        "in-context",
        "(S, x) ↦ y",
        _lines_in_context,
        beta=0.003,
        outer_steps=4000,
        n_query=20,
        tasks_per_step=64,
        family=VaryingShots(LinearFunctions()),
    ),
}
