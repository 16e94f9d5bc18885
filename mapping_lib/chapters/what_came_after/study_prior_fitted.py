"""How chapter 4g's prior-data fitted networks are made, and whom they meet: real curves, noisy lines, the waves.

Budget, stated before: at most 90 s of one quiet core for each training. A prior is written down once, and nothing of it
is tuned on the curves that are forecast: every chick, country and thermometer of 4b's tables is one of those.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.set_networks import ContextTransformer
from mapping_lib.study import Recipe, Table, Tolerance, widened_theta
from mapping_lib.study.training import TOLD, Training, rounded
from mapping_lib.task import Batch, Params, Task, TaskFamily
from mapping_lib.worlds import held_out
from mapping_lib.worlds.derived import VaryingShots
from mapping_lib.worlds.linear import LinearFunctions

from .family_imagined import GRAMS, Imagined, ImaginedChicks
from .methods_density import Bars, Density, Forecaster, Normal, Said
from .methods_prior_fitted import prior_fitted, said_of
from .study_contestants import Contestant, table_of

SHOTS = (1, 3, 5)
LINES = LinearFunctions()
LINE_SHOTS = (1, 2, 3, 5, 10)
N_LINE_QUERIES = 20
WAVES_MOST, BARS = 20, Bars(torch.linspace(-5.25, 5.25, 64, dtype=torch.float32))


class Prior(NamedTuple):
    """What a network of some ``size`` is fitted to: tasks of ``family``, with 0 to ``most`` examples and 15 queries."""

    family: TaskFamily
    kind: Density
    most: int
    size: dict[str, int]
    outer_steps: int

    def make(self, *, most: int | None = None) -> Forecaster:
        """The network; by default it says when K is beyond its own ``most``."""
        transformer = ContextTransformer(n_out=self.kind.n_out, **self.size)
        return prior_fitted(transformer, self.kind, most=self.most if most is None else most)

    def training(self) -> Training:
        """Meta-training on what is imagined; theta is kept in half precision."""
        how = {"k_shot": self.most, "n_query": 15, "tasks_per_step": 24, "beta": 0.002}
        return Training(lambda: self.make().learner, VaryingShots(self.family), self.outer_steps, keep=rounded, **how)


SMALL = {"width": 48, "heads": 4, "layers": 3}
_of_curves = partial(Prior, kind=Normal(0.02), most=held_out.MAX_SHOTS, size=SMALL, outer_steps=4000)
_brief = partial(_of_curves, size={"width": 24, "heads": 4, "layers": 2}, outer_steps=1500)
PRIORS = {
    "curves": _of_curves(Imagined()),
    "chicks": _of_curves(ImaginedChicks()),
    "chicks_brief": _brief(ImaginedChicks()),
    "chicks_brief_any_start": _brief(ImaginedChicks(hatched=(41.0, 20.0))),
    "lines": Prior(LINES, Normal(0.05), 10, {"width": 32, "heads": 4, "layers": 3}, outer_steps=2500),
    "waves": Prior(Sinusoids(), BARS, WAVES_MOST, SMALL, outer_steps=3500),
}
"""By the name of the theta file, which begins with ``after_prior_``. That chicks hatch alike is taken out for a small
network with a brief training, beside one that was told. The bars of the waves are equally wide, 1/6, as the error is a
squared one; in Müller et al. 2022 they are equally probable under the prior."""


def shipped(name: str, *, most: int | None = None) -> tuple[Forecaster, Params]:
    """A network and its trained theta, in single precision.

    >>> shipped("curves")[1]["start"].shape
    torch.Size([48])
    """
    return PRIORS[name].make(most=most), widened_theta(f"after_prior_{name}")


RECIPES: dict[str, Recipe] = {
    f"after_prior_{name}": prior.training().recipe(
        *TOLD, "schedule", prior=repr(prior.family), n_out=prior.kind.n_out, **prior.size
    )
    for name, prior in PRIORS.items()
}


# Real curves --------------------------------------------------------------------------------------------

OF = {
    "chicks": ("curves", "chicks", "chicks_brief", "chicks_brief_any_start"),
    "countries": ("curves",),
    "sensors": ("curves",),
}
"""Whose curves are forecast by which networks."""


def units(name: str, data: str, task: Task) -> tuple[Tensor, Tensor]:
    """What stands for 0 and 1 of y: `GRAMS` for imagined chicks, else those of the training individuals, as in 4b."""
    if name.startswith("chicks"):
        return torch.tensor(GRAMS, dtype=torch.float32).unbind()
    part = held_out.study(data).part[task.description[:, 0].long()]
    return tuple(t[part, None, None] for t in held_out.units(data))


def read(name: str, data: str, task: Task) -> tuple[Said, Tensor, Tensor]:
    """What a network says at ``task.query.x`` of individuals, in its own units, and these: (said, center, scale).

    ``task`` is as from `held_out.judged`; its query's y is not read.

    >>> task = held_out.judged("chicks", "first", 3, generator=torch.Generator().manual_seed(0))
    >>> said, center, scale = read("chicks", "chicks", task)
    >>> (center + scale * said.mean).shape
    torch.Size([49, 9, 1])
    """
    center, scale = units(name, data, task)
    support = Batch(task.support.x, (task.support.y - center) / scale)
    return said_of(*shipped(name), support, task.query.x), center, scale


def _table_of_curves(data: str) -> Table:
    """Errors of the very individuals, supports and queries of 4b's table of the same data."""

    def score(name: str, setting: str, n: int, generator: Generator) -> Tensor:
        task = held_out.judged(data, **settings[setting], generator=generator)
        said, center, scale = read(name, data, task)
        return held_out.errors_of(center + scale * said.mean, task, data)[:n]

    orders = ("spread",) if data == "sensors" else ("spread", "first")
    settings = {f"{order}, {k}": {"order": order, "k_shot": k} for order in orders for k in SHOTS}
    n = int(held_out.study(data).judged.sum())
    measure = f"mean squared error of one of the {data} on its other observations, in squared units of the data"
    return Table(measure, OF[data], settings, score, {}, n=n, at_once=n, tolerance=TOLERANCE[data])


# Noisy lines --------------------------------------------------------------------------------------------


def bayes(task: Task) -> Said:
    """What Bayes' rule says of noisy lines: the oracle, as raw numbers of a normal distribution.

    >>> task = LINES.sample(7, 3, 5, generator=torch.Generator().manual_seed(0))
    >>> bayes(task).deviation.min() > LINES.noise
    tensor(True)
    """
    mean, deviation = LINES.predictive(task.support, task.query.x)
    kind = Normal(1e-6)
    return Said(kind, torch.cat([mean, (deviation - kind.least).expm1().log()], -1))


def _line_score(method: str, setting: str, n: int, generator: Generator) -> Tensor:
    task = LINES.sample(n, LINE_SETTINGS[setting]["k_shot"], N_LINE_QUERIES, generator=generator)
    said = bayes(task) if method == "Bayes" else said_of(*shipped("lines"), task.support, task.query.x)
    return -said.log_density(task.query.y).mean((1, 2))


LINE_METHODS = ("prior-fitted", "Bayes")
LINE_SETTINGS = {f"K = {k}": {"k_shot": k} for k in LINE_SHOTS}

# The waves ----------------------------------------------------------------------------------------------


def _of_waves(seed: int):
    pfn, theta = shipped("waves")
    return pfn.learner, theta


CONTESTANTS = {"prior-fitted": Contestant(_of_waves, "(S, x) ↦ p(y)", "0", "a prior to draw tasks from")}
TOLERANCE = {"chicks": Tolerance(0.5), "countries": Tolerance(2e-3), "sensors": Tolerance(1e-4)}
TABLES: dict[str, Table] = {f"after_{data}": _table_of_curves(data) for data in OF} | {
    "after_lines": Table(
        "-log p(y) of a task's queries", LINE_METHODS, LINE_SETTINGS, _line_score, {"n_query": N_LINE_QUERIES}
    ),
    "after_prior_fitted": table_of(CONTESTANTS),
}
