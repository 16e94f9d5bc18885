"""How the neural processes are trained: readers of a set that differ in how they pool, on the same tasks and steps.

Budget, stated first: 3,000 outer steps of 32 waves, 20 to 60 s on one core by reader. All have about 10,000 numbers
(8,642 to 11,186), "mean, wide" four times as many. Widths were set by that count, and the outer step size, 0.002, is
chapter 3b's; nothing was tuned. One seed each.
"""

from functools import partial
from typing import NamedTuple

from mapping_lib.learners import MetaLearner
from mapping_lib.networks import mlp
from mapping_lib.set_networks import ContextTransformer
from mapping_lib.study import Recipe, Table, widened_theta
from mapping_lib.study.sinusoids import ANY_SHOTS
from mapping_lib.study.training import TOLD, Training, rounded
from mapping_lib.task import Params
from mapping_lib.worlds.derived import VaryingShots
from mapping_lib.worlds.linear import LinearFunctions

from .methods_density import Forecaster, Normal
from .methods_neural_process import SetReader, neural_process
from .methods_prior_fitted import prior_fitted
from .study_contestants import Contestant, table_of


def by_mean(width: int = 48) -> Forecaster:
    """The conditional neural process, with layers of one width."""
    return neural_process(mlp((2, width, width, width)), mlp((width + 1, width, width, 2)), Normal())


def by_reader(width: int, together: bool, pool: str) -> Forecaster:
    """A `SetReader` that tells a mean and a deviation."""
    return prior_fitted(SetReader(width, together=together, pool=pool), Normal())


def by_transformer() -> Forecaster:
    """Chapter 3b's transformer, small, that tells a mean and a deviation."""
    return prior_fitted(ContextTransformer(n_out=2, width=24, heads=4, layers=2), Normal())


OUTER_STEPS = 3000


class Reading(NamedTuple):
    """One way of reading a set: what makes it, and on which tasks it is trained."""

    make: partial
    family: VaryingShots = ANY_SHOTS

    def training(self) -> Training:
        """Its meta-training, as a recipe has it."""
        settings = {"beta": 0.002, "n_query": 16, "tasks_per_step": 32, "keep": rounded}
        return Training(partial(learner_of, self.make), self.family, OUTER_STEPS, **settings)


READINGS = {
    "mean": Reading(partial(by_mean)),
    "mean, wide": Reading(partial(by_mean, 96)),
    "attention": Reading(partial(by_reader, 32, False, "attention")),
    "together, mean": Reading(partial(by_reader, 32, True, "mean")),
    "transformer": Reading(partial(by_transformer)),
    "mean, on lines": Reading(partial(by_mean), family=VaryingShots(LinearFunctions())),
}
"""On the waves, but for the last one; K is drawn from 0 to 10 for every outer step."""


def learner_of(make: partial) -> MetaLearner:
    """The learner of what tells a distribution."""
    return make().learner


def file_of(name: str) -> str:
    """The name of the file with the theta of one of `READINGS`.

    >>> file_of("mean, on lines")
    'after_process_mean_on_lines_0'
    """
    return f"after_process_{name.replace(', ', '_').replace(' ', '_')}_0"


def ready(name: str) -> tuple[Forecaster, Params]:
    """One of `READINGS` with its shipped theta, in single precision."""
    return READINGS[name].make(), widened_theta(file_of(name))


CONTESTANTS = {"neural process": Contestant(lambda seed: (by_mean().learner, ready("mean")[1]), "S ↦ φ", "48", "tasks")}
RECIPES: dict[str, Recipe] = {
    file_of(name): one.training().recipe(*TOLD, reader=name, family=repr(one.family), kept="half precision")
    for name, one in READINGS.items()
}
TABLES: dict[str, Table] = {"after_neural_process": table_of(CONTESTANTS)}
