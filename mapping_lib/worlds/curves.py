"""Curves of individuals: chicks that grow, countries whose birth rate falls. A task is an individual.

`data/README.md` says where the numbers come from.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_choice, check_count, check_tensor
from mapping_lib.families.drawing import check_draw
from mapping_lib.task import Batch, Task

from .individuals import ORDERS, deal, draw

FOLDER = Path(__file__).with_name("data")


class Curves(NamedTuple):
    """Individuals measured at common times: ``values (individual, time)``, nan where nothing was measured.

    ``what`` names the values and ``when`` the times, with units.
    """

    names: tuple[str, ...]
    times: Tensor
    values: Tensor
    what: str = "y"
    when: str = "time"

    def of(self, members: Tensor) -> "Curves":
        """Some of the individuals, by their numbers or as a mask."""
        numbers = torch.arange(len(self.names))[members]
        return self._replace(names=tuple(self.names[i] for i in numbers), values=self.values[numbers])


@dataclass(frozen=True, eq=False)
class Growth:
    """What is shown of an individual's curve, and what is to be forecast.

    ``order`` is "spread" (support drawn by lot) or "first" (the earliest observations, so that the query is the
    future); ``allowed (time,)`` restricts where a support may lie. x is time, from -1 to 1 over ``curves.times``; y is
    standardised by ``center`` and ``scale``, which must come from training individuals: `scaled_by` takes them.

    >>> family = Growth(load("chicks")).scaled_by(load("chicks"))
    >>> task = family.sample(25, 3, 5, generator=torch.Generator().manual_seed(0))
    >>> task.support.x.shape, task.query.y.shape, task.description.shape
    (torch.Size([25, 3, 1]), torch.Size([25, 5, 1]), torch.Size([25, 1]))
    """

    curves: Curves
    order: str = "spread"
    center: float = 0.0
    scale: float = 1.0
    allowed: Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_choice("order", self.order, ORDERS)
        check_tensor("curves.times", self.curves.times)
        check_tensor("curves.values", self.curves.values)

    def scaled_by(self, training: Curves) -> "Growth":
        """The same family with the mean and the standard deviation of all values of ``training``."""
        seen = training.values[training.values.isfinite()]
        return Growth(self.curves, self.order, float(seen.mean()), float(seen.std()), self.allowed)

    @property
    def x(self) -> Tensor:
        """The common times as inputs, ``(time,)``, from -1 to 1."""
        low, high = self.curves.times.min(), self.curves.times.max()
        return 2 * (self.curves.times - low) / (high - low) - 1

    @property
    def y(self) -> Tensor:
        """The values as targets, ``(individual, time)``, nan where there is none."""
        return (self.curves.values - self.center) / self.scale

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw individuals, with replacement, and observations of each, without.

        Shapes: x and y ``(n_tasks, k_shot, 1)`` in the support, likewise with n_query in the query. With "first" every
        query is later than the support. description ``(n_tasks, 1)`` is the individual's number. Only individuals
        with at least k_shot + n_query observations are drawn; ValueError where there is none.
        """
        check_draw(n_tasks, k_shot, n_query, generator)
        who = draw(self.y.isfinite(), n_tasks, k_shot + n_query, generator=generator)
        task = self._tasks(who, k_shot, generator)
        return task._replace(query=Batch(*(part[:, :n_query] for part in task.query)))

    def everyone(self, k_shot: int, *, repeat: int = 1, generator: Generator) -> Task:
        """All individuals in their order, ``repeat`` times, each with a support of its own; the query is all the rest.

        Query y is nan where an individual has no observation. Raises ValueError where one has too few for k_shot.
        """
        check_count("repeat", repeat, at_least=1)
        return self._tasks(torch.arange(len(self.y)).repeat(repeat), k_shot, generator)

    def _tasks(self, who: Tensor, k_shot: int, generator: Generator) -> Task:
        y, x = self.y[who], self.x.expand(len(who), -1)
        first = self.order == "first"
        places = deal(y.isfinite(), k_shot, first=first, allowed=self.allowed, generator=generator)
        support, query = (Batch(x.gather(1, at)[..., None], y.gather(1, at)[..., None]) for at in places)
        return Task(support, query, who[:, None].float())


@cache
def load(name: str) -> Curves:
    """Read "chicks" (50, their weight on 12 days) or "countries" (188, births per woman in 52 years).

    >>> chicks = load("chicks")
    >>> chicks.names[0], chicks.times[:4], chicks.values[0, :4]
    ('chick 1', tensor([0., 2., 4., 6.]), tensor([42., 51., 59., 64.]))
    """
    units = {"chicks": ("weight (g)", "day"), "countries": ("births per woman", "year")}
    what, when = units[check_choice("name", name, units)]
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        times, values = torch.from_numpy(file["times"]), torch.from_numpy(file["values"])
        return Curves(tuple(file["names"].tolist()), times, values, what, when)
