"""What chapter 4f searches over: a setting of the learner, where it is judged, and what its training costs."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mapping_lib.families.episodes import Episodes
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.inner_loop import mean_squared_error
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.gradient import maml, meta_sgd
from mapping_lib.networks import mlp
from mapping_lib.task import Task, TaskFamily
from mapping_lib.worlds.digits import FIRST_HELD_OUT, load, wrong

JUDGED_STEPS = 5
"""Whatever number of inner steps a setting is meta-trained with, it may take so many at test time, at most."""

FIRST_VALID = 906
"""The eighth of the fourteen forms of digits begins here."""


class Setting(NamedTuple):
    """One point of the space: step sizes, inner steps m, and the network, ``depth`` hidden layers of ``width``.

    With ``learns_alpha`` the learner is Meta-SGD: alpha is where its step sizes begin.

    >>> Setting(width=20, depth=3).sizes(1, 1)
    (1, 20, 20, 20, 1)
    """

    alpha: float = 0.01
    beta: float = 0.003
    steps: int = 1
    width: int = 40
    depth: int = 2
    learns_alpha: bool = False

    def sizes(self, n_in: int, n_out: int) -> tuple[int, ...]:
        """The widths of all layers."""
        return (n_in, *[self.width] * self.depth, n_out)


class Problem(NamedTuple):
    """Tasks to train on, to choose by and to report on, and the budget; ``space`` gives each name its choices.

    A pair of floats in ``space`` is a range on a log scale, a tuple of whole numbers a list of choices. ``valid``
    draws the tasks that a search may look at, ``held_out`` those that none may. ``trial`` and ``total`` count
    gradients: what one trial may spend at most, and all of a search with the training of its winner.
    """

    name: str
    n_in: int
    n_out: int
    loss: Callable[[Tensor, Tensor], Tensor]
    error: Callable[[Tensor, Tensor], Tensor]
    train: TaskFamily
    valid: TaskFamily
    held_out: TaskFamily
    default: Setting
    space: dict[str, tuple]
    k_shot: int
    n_query: int
    trial: int
    total: int
    n_valid: int = 100
    n_judged: int = 100
    tasks_per_step: int = 25

    def learner(self, setting: Setting) -> MetaLearner:
        """MAML, or Meta-SGD, with this setting."""
        make = meta_sgd if setting.learns_alpha else maml
        network = mlp(setting.sizes(self.n_in, self.n_out))
        return make(network, self.loss, alpha=setting.alpha, steps=setting.steps)

    def outer_step_cost(self, setting: Setting) -> int:
        """Gradients of one task that an outer step costs: m + 1 of them, and m Hessian products at two each.

        Pearlmutter 1994: a Hessian product costs about two gradients. The gradient by alpha adds none.
        """
        return self.tasks_per_step * (3 * setting.steps + 1)

    @property
    def look_cost(self) -> int:
        """Gradients that one look at the validation tasks costs."""
        return self.n_valid * JUDGED_STEPS

    def tasks(self, family: TaskFamily, n: int, seed: int) -> Task:
        """Tasks to judge by, always the same ones for a seed."""
        return family.sample(n, self.k_shot, self.n_judged, generator=torch.Generator().manual_seed(seed))


SPACE = {
    "alpha": (0.001, 1.0),
    "beta": (0.0001, 0.1),
    "steps": (1, 2, 3, 4, 5),
    "width": (10, 20, 40, 80),
    "depth": (1, 2, 3),
}
"""What is searched over on sine waves."""


def sines() -> Problem:
    """Sine waves from ten points, as in chapter 3; mean squared error.

    >>> problem = sines()
    >>> problem.outer_step_cost(problem.default), problem.trial // problem.outer_step_cost(problem.default)
    (100, 250)
    """
    family = Sinusoids()
    measured = {"n_in": 1, "n_out": 1, "loss": mean_squared_error, "error": mean_squared_error}
    parts = {"train": family, "valid": family, "held_out": family}
    budget = {"k_shot": 10, "n_query": 10, "trial": 25_000, "total": 600_000}
    return Problem("sines", **measured, **parts, default=Setting(), space=SPACE, **budget)


def digits() -> Problem:
    """Ten handwritten digits, relabelled in every task, one example each; the share that is wrong.

    Forms 1 to 7 train, forms 8 and 9 are to choose by, forms 10 to 14 to report on: no form is in two parts.

    >>> problem = digits()
    >>> problem.outer_step_cost(problem.default), problem.trial // problem.outer_step_cost(problem.default)
    (100, 40)
    """
    parts = {"train": slice(0, FIRST_VALID), "valid": slice(FIRST_VALID, FIRST_HELD_OUT)}
    parts["held_out"] = slice(FIRST_HELD_OUT, None)
    images, labels = load()
    families = {name: Episodes(images[part], labels[part], n_way=10) for name, part in parts.items()}
    space = SPACE | {"alpha": (0.01, 10.0), "width": (20, 40, 80)}
    measured = {"n_in": 64, "n_out": 10, "loss": torch.nn.functional.cross_entropy, "error": wrong}
    budget = {"k_shot": 1, "n_query": 5, "trial": 4_000, "total": 60_000, "n_valid": 40, "n_judged": 10}
    return Problem("digits", **measured, **families, default=Setting(alpha=0.4), space=space, **budget)


PROBLEMS = {"sines": sines, "digits": digits}
