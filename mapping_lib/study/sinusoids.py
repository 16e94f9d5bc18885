"""How each shipped theta was made: the learner and the settings of its meta-training."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

from mapping_lib.checks import check_choice
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.baselines import from_scratch, joint
from mapping_lib.learners.gradient import anil, fomaml, maml, meta_sgd, reptile
from mapping_lib.meta_training import Progress, meta_train
from mapping_lib.networks import mlp
from mapping_lib.study.mappings import MAPPINGS, SIZES
from mapping_lib.study.theta import load_theta, shipped_path
from mapping_lib.task import Params

SEEDS = (0, 1, 2)
"""Fixed before any result was seen."""


class Recipe(NamedTuple):
    """A way of learning sinusoids: its maker, the maker's settings, and those of `meta_train`."""

    label: str
    make: Callable[..., MetaLearner]
    alpha: float = 0.01
    steps: int = 1
    beta: float = 0.003
    outer_steps: int = 20_000
    k_shot: int = 10
    n_query: int = 10
    optimiser: str = "adam"

    seeds = SEEDS

    def learner(self) -> MetaLearner:
        """The learner on the paper's network, with mean squared error."""
        return self.make(mlp(SIZES), torch.nn.functional.mse_loss, alpha=self.alpha, steps=self.steps)

    def train(self, seed: int) -> Iterator[Progress]:
        """Meta-train from scratch with this seed: cosine decay of beta, 25 tasks an outer step."""
        return meta_train(
            self.learner(),
            Sinusoids(),
            beta=self.beta,
            outer_steps=self.outer_steps,
            k_shot=self.k_shot,
            n_query=self.n_query,
            optimiser=self.optimiser,
            schedule="cosine",
            generator=torch.Generator().manual_seed(seed),
        )

    def settings(self) -> dict:
        """The settings as plain values, for storing."""
        return {**self._asdict(), "make": self.make.__name__}


RECIPES = {
    "maml": Recipe("MAML", maml),
    "fomaml": Recipe("FOMAML", fomaml),
    "reptile": Recipe("Reptile", reptile, steps=10, beta=1.0, k_shot=20, n_query=0, optimiser="sgd"),
    "anil": Recipe("ANIL", anil),
    "meta_sgd": Recipe("Meta-SGD", meta_sgd),
    "joint": Recipe("joint training", joint),
    "scratch": Recipe("from scratch", from_scratch, outer_steps=0),
}
"""Reptile reads all 20 points of a task as support, as many as the others see in support and query, and
moves a share beta of the way from theta to phi, as its paper does. Adam in its place blew up in a trial."""


def shipped(name: str, seed: int = 0) -> tuple[MetaLearner, Params]:
    """Give a learner and its shipped theta, of `RECIPES` or `MAPPINGS`; "scratch" gives a fresh, untrained theta.

    Raises ValueError for an unknown name, FileNotFoundError for a seed that was not shipped.

    >>> learner, theta = shipped("maml")
    >>> theta["2.weight"].shape
    torch.Size([40, 40])
    """
    recipes = {**RECIPES, **MAPPINGS}
    learner = recipes[check_choice("name", name, recipes)].learner()
    fresh = learner.init(generator=torch.Generator().manual_seed(seed))
    if name == "scratch":
        return learner, fresh
    return learner, load_theta(shipped_path(name, seed), like=fresh)
