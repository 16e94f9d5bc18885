"""N-way K-shot episodes from any examples that have a class: a few classes, dealt anew in every task."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_count, check_tensor
from mapping_lib.families.drawing import check_draw
from mapping_lib.task import Batch, Task


@dataclass(frozen=True, eq=False)
class Episodes:
    """Tell ``n_way`` classes apart, drawn anew for every task and labelled 0 ... n_way - 1 in the order drawn.

    ``x (example, feature ...)`` are all examples, ``classes (example,)`` the class of each: a whole number of 0 or
    more. Numbers may be left out (0, 3, 7), as they are where some classes are put aside. Hold classes out by making
    two families of different classes. Without ``relabel`` the classes of a task keep their order; with all of them in
    every task, a label then always means the same. Raises ValueError for examples and classes that do not fit, and
    for an ``n_way`` that is more than there are classes; TypeError for what is no tensor.

    >>> family = Episodes(torch.rand(60, 8), torch.arange(60) % 6, n_way=5)
    >>> task = family.sample(25, 1, 3, generator=torch.Generator().manual_seed(0))
    >>> task.support.x.shape, task.support.y.shape, task.query.x.shape, task.description.shape
    (torch.Size([25, 5, 8]), torch.Size([25, 5]), torch.Size([25, 15, 8]), torch.Size([25, 5]))
    """

    x: Tensor = field(repr=False)
    classes: Tensor = field(repr=False)
    n_way: int = 5
    relabel: bool = True

    def __post_init__(self) -> None:
        check_tensor("x", self.x)
        check_tensor("classes", self.classes)
        if self.classes.ndim != 1 or self.classes.is_floating_point() or len(self.classes) != len(self.x):
            form = f"shape {tuple(self.classes.shape)} and dtype {self.classes.dtype}"
            raise ValueError(f"classes has {form}; allowed: one whole number for each of the {len(self.x)} examples")
        if len(self.classes) == 0 or int(self.classes.min()) < 0:
            raise ValueError("classes is empty or has numbers below 0; allowed: classes counted from 0")
        if check_count("n_way", self.n_way, at_least=1) > self.n_classes:
            raise ValueError(f"n_way is {self.n_way}; allowed: at most {self.n_classes}, the number of classes")

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self._numbers)

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw tasks; ``k_shot`` and ``n_query`` count the examples *of each class*.

        Shapes: x ``(n_tasks, n_way * k_shot, feature ...)``; y ``(n_tasks, n_way * k_shot)``, int64, label after
        label; the query likewise with ``n_query``. No example is in both. description ``(n_tasks, n_way)`` says
        which class each label means, by its number (float32: exact up to 2 ** 24). Raises ValueError where a class
        has fewer examples than k_shot + n_query.
        """
        check_draw(n_tasks, k_shot, n_query, generator)
        lots = torch.rand((n_tasks, self.n_classes), generator=generator, dtype=torch.float32)
        dealt = lots.argsort(-1)[:, : self.n_way]
        dealt = dealt if self.relabel else dealt.sort(-1).values
        indices = self._draw(dealt, k_shot + n_query, generator)
        support, query = (self._labelled(part) for part in indices.split([k_shot, n_query], dim=-1))
        return Task(support, query, self._numbers[dealt].float())

    @cached_property
    def _numbers(self) -> Tensor:
        """The numbers of the classes, ascending; a class is dealt by its place here."""
        return self.classes.unique()

    @cached_property
    def _members(self) -> tuple[Tensor, Tensor]:
        """The examples of every class, ``(class, most)``, and where that is filling: some classes have fewer."""
        by_class = [(self.classes == c).nonzero()[:, 0] for c in self._numbers]
        padded = torch.nn.utils.rnn.pad_sequence(by_class, batch_first=True, padding_value=-1)
        return padded, padded < 0

    def _draw(self, dealt: Tensor, n: int, generator: Generator) -> Tensor:
        """``n`` different examples of each class of ``dealt (task, way)``, as indices ``(task, way, n)``."""
        members, filling = self._members
        fewest = int((~filling).sum(-1)[dealt].min())
        if n > fewest:
            raise ValueError(f"k_shot + n_query is {n}; allowed: at most {fewest}, the examples of the rarest class")
        lots = torch.rand((*dealt.shape, members.shape[1]), generator=generator, dtype=torch.float32)
        lots[filling[dealt]] = 2.0  # above every lot that is drawn
        return members[dealt].gather(-1, lots.topk(n, largest=False).indices)

    def _labelled(self, indices: Tensor) -> Batch:
        """The examples of ``indices (task, way, shot)``, labelled by their place along ``way``."""
        n_tasks, n_way, n = indices.shape
        y = torch.arange(n_way)[:, None].expand(n_tasks, n_way, n)
        return Batch(self.x[indices.flatten(1)], y.flatten(1))
