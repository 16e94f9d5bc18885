"""Meta-training as a recipe has it: whose, on which tasks, and what `meta_train` is given."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import torch

from mapping_lib.learners import MetaLearner
from mapping_lib.meta_training import Progress, meta_train
from mapping_lib.study import Recipe
from mapping_lib.task import Params, TaskFamily


def last(stream: Iterator[Progress]) -> Params:
    """The theta that meta-training ends with."""
    *_, progress = stream
    return progress.theta


def rounded(stream: Iterator[Progress]) -> Params:
    """The theta that meta-training ends with, rounded to 16 bits: half as large a file."""
    return {name: p.half() for name, p in last(stream).items()}


class Training(NamedTuple):
    """A meta-training: whose, on which tasks, and what `meta_train` is given.

    ``make(**inner)`` is the learner. Its theta begins at its own init, drawn with the seed; tensors that ``start()``
    gives replace those. Of all that the outer loop yields, ``keep`` gives the theta that is kept. ``label`` and
    ``type`` name the learner and the mapping that it is, for readers.

    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> from mapping_lib.learners.gradient import maml
    >>> from mapping_lib.networks import mlp
    >>> make = lambda alpha: maml(mlp((1, 8, 1)), torch.nn.functional.mse_loss, alpha=alpha)
    >>> training = Training(make, Sinusoids(), outer_steps=2, inner={"alpha": 0.01})
    >>> training.settings("beta", "outer_steps"), training.theta(seed=0)["2.weight"].shape
    ({'beta': 0.003, 'outer_steps': 2}, torch.Size([1, 8]))
    """

    make: Callable[..., MetaLearner]
    family: TaskFamily
    outer_steps: int
    beta: float = 0.003
    k_shot: int = 10
    n_query: int = 10
    tasks_per_step: int = 25
    optimiser: str = "adam"
    schedule: str = "cosine"
    inner: Mapping[str, object] = {}
    start: Callable[[], Params] = dict
    keep: Callable[[Iterator[Progress]], Params] = last
    label: str = ""
    type: str = ""

    def learner(self, **changes: object) -> MetaLearner:
        """The learner, with other inner settings where ``changes`` names them."""
        return self.make(**{**self.inner, **changes})

    def stream(self, seed: int = 0) -> Iterator[Progress]:
        """Meta-train with this seed; yield after every outer step."""
        learner, generator = self.learner(), torch.Generator().manual_seed(seed)
        theta = learner.init(generator=generator) | self.start()
        return meta_train(learner, self.family, theta=theta, generator=generator, **self.settings(*GIVEN))

    def theta(self, seed: int = 0) -> Params:
        """Meta-train with this seed to the end; give the theta that is kept."""
        return self.keep(self.stream(seed))

    def settings(self, *names: str) -> dict:
        """The named fields as plain values, for storing."""
        return {name: getattr(self, name) for name in names}

    def recipe(self, *names: str, seed: int = 0, **about: object) -> Recipe:
        """As a recipe: with theta are stored its inner settings, the named fields, the seed and all ``about`` it."""
        return Recipe(partial(self.theta, seed), {**self.inner, **self.settings(*names), "seed": seed, **about})


TOLD = ("beta", "outer_steps", "k_shot", "n_query", "tasks_per_step")
"""The fields that most recipes store."""

GIVEN = ("beta", "outer_steps", "k_shot", "n_query", "tasks_per_step", "optimiser", "schedule")
"""The fields that `meta_train` is given by these names."""
