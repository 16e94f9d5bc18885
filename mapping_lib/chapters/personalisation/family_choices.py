"""Choices of real customers: which of four electricity suppliers would you take? A task is a customer.

`data/README.md` says where the choices come from.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_choice, check_count, check_tensor
from mapping_lib.families.drawing import check_draw
from mapping_lib.task import Batch, Task
from mapping_lib.worlds.individuals import ORDERS, deal, draw

FILE = Path(__file__).with_name("data") / "electricity.npz"
FEATURES = ("price", "contract", "local", "well known", "time of day", "seasonal")
"""Price in ten cents per kWh (0 where a tariff of fixed rates is offered), contract in five years, then yes or no."""

SCALE = torch.tensor([10.0, 5.0, 1.0, 1.0, 1.0, 1.0], dtype=torch.float32)


@dataclass(frozen=True, eq=False)
class Choices:
    """Customers, each of whom answered up to twelve questions by choosing one of four offers.

    ``offers (customer, question, 4, 6)`` and ``choices (customer, question)``, int64, -1 where a question is missing.

    >>> family = Choices(*load())
    >>> task = family.sample(25, 3, 4, generator=torch.Generator().manual_seed(0))
    >>> task.support.x.shape, task.support.y.shape, task.query.y.shape
    (torch.Size([25, 3, 4, 6]), torch.Size([25, 3]), torch.Size([25, 4]))
    """

    offers: Tensor = field(repr=False)
    choices: Tensor = field(repr=False)

    def __post_init__(self) -> None:
        check_tensor("offers", self.offers)
        check_tensor("choices", self.choices)
        if self.choices.is_floating_point() or self.offers.shape[:2] != self.choices.shape or self.offers.ndim != 4:
            form = f"shape {tuple(self.choices.shape)} and dtype {self.choices.dtype}"
            raise ValueError(
                f"choices has {form}; allowed: one whole number a question, {tuple(self.offers.shape[:2])}"
            )

    def of(self, members: Tensor) -> "Choices":
        """Some of the customers, by their numbers or as a mask."""
        return Choices(self.offers[members], self.choices[members])

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw customers, with replacement, and questions of each, without; which are support is drawn by lot.

        Shapes: x ``(n_tasks, k_shot, 4, 6)``, y ``(n_tasks, k_shot)``, int64; the query likewise. description
        ``(n_tasks, 1)`` is the customer's number. Only customers with k_shot + n_query answers are drawn;
        ValueError where there is none.
        """
        check_draw(n_tasks, k_shot, n_query, generator)
        who = draw(self.choices >= 0, n_tasks, k_shot + n_query, generator=generator)
        task = self._tasks(who, k_shot, generator, first=False)
        return task._replace(query=Batch(*(part[:, :n_query] for part in task.query)))

    def everyone(self, k_shot: int, *, order: str = "spread", repeat: int = 1, generator: Generator) -> Task:
        """All customers in their order, ``repeat`` times, each with ``k_shot`` answers as support, the rest as query.

        ``order`` is "spread" (the support is drawn by lot) or "first" (their first answers). Query y is -1 where there
        is no answer. Raises ValueError where a customer has too few for k_shot.
        """
        check_count("repeat", repeat, at_least=1)
        first = check_choice("order", order, ORDERS) == "first"
        return self._tasks(torch.arange(len(self.choices)).repeat(repeat), k_shot, generator, first=first)

    def _tasks(self, who: Tensor, k_shot: int, generator: Generator, *, first: bool) -> Task:
        x, y = self.offers[who], self.choices[who]
        rows = torch.arange(len(who))[:, None]
        places = deal(y >= 0, k_shot, first=first, generator=generator)
        support, query = (Batch(x[rows, at], y[rows, at]) for at in places)
        return Task(support, query, who[:, None].float())


@cache
def load() -> tuple[Tensor, Tensor]:
    """All offers ``(361, 12, 4, 6)``, float32, and choices ``(361, 12)``, int64.

    >>> offers, choices = load()
    >>> offers[0, 0, 0], choices[0, :4]
    (tensor([0.7000, 1.0000, 0.0000, 1.0000, 0.0000, 0.0000]), tensor([3, 2, 3, 3]))
    """
    with np.load(FILE, allow_pickle=False) as file:
        offers, choices = torch.from_numpy(file["offers"]), torch.from_numpy(file["choices"])
    return offers.float() / SCALE, choices.long()
