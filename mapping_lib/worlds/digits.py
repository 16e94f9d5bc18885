"""Real handwritten digits, relabelled in every task: the MNIST example of a seed article, on 8x8 images.

`mapping_lib/worlds/data/README.md` says where the images come from.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_choice, check_count
from mapping_lib.families.episodes import Episodes
from mapping_lib.task import Task

FILE = Path(__file__).with_name("data") / "digits.npz"

FIRST_HELD_OUT = 1157
"""The images come form after form, each written by one hand; the tenth of fourteen forms begins here."""

PARTS = {"train": slice(0, FIRST_HELD_OUT), "held out": slice(FIRST_HELD_OUT, None)}
"""No form is in both parts; every digit is, 114 to 118 times in "train" and 60 to 65 times in "held out"."""


@dataclass(frozen=True)
class Digits:
    """Tell ``n_way`` digits apart, whose labels 0 ... n_way - 1 are dealt anew in every task.

    ``images`` is "train" or "held out", two sets of images without a common form. ``classes`` are the
    digits that tasks draw from, ``n_way`` (default: all of them) how many a task has. Without
    ``relabel`` a task's digits keep the order of ``classes``: with all of them in every task, one
    network then solves all tasks without adaptation, and a support has nothing to tell.

    Raises ValueError for an unknown part, classes that are not different digits, n_way out of range.

    >>> task = Digits().sample(25, 1, 15, generator=torch.Generator().manual_seed(0))
    >>> task.support.x.shape, task.support.y.shape, task.query.x.shape, task.description.shape
    (torch.Size([25, 10, 64]), torch.Size([25, 10]), torch.Size([25, 150, 64]), torch.Size([25, 10]))
    """

    images: str = "train"
    classes: tuple[int, ...] = tuple(range(10))
    n_way: int | None = None
    relabel: bool = True

    def __post_init__(self) -> None:
        check_choice("images", self.images, PARTS)
        if not isinstance(self.classes, tuple) or not 0 < len(set(self.classes) & set(range(10))) == len(self.classes):
            raise ValueError(f"classes is {self.classes!r}; allowed: a tuple of different digits, such as (0, 1, 2)")
        if self.n_way is None:
            object.__setattr__(self, "n_way", len(self.classes))
        if check_count("n_way", self.n_way, at_least=1) > len(self.classes):
            raise ValueError(f"n_way is {self.n_way}; allowed: at most {len(self.classes)}, the number of classes")

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw tasks; ``k_shot`` and ``n_query`` count the examples *of each class*.

        Shapes: x ``(n_tasks, n_way * k_shot, 64)``, float32 from 0 to 1; y ``(n_tasks, n_way * k_shot)``,
        int64, label after label; the query likewise with ``n_query``. No image is in both. description
        ``(n_tasks, n_way)`` says which digit each label means. Raises ValueError where a class has fewer
        images than k_shot + n_query.
        """
        task = self._episodes.sample(n_tasks, k_shot, n_query, generator=generator)
        digits = torch.tensor(self.classes, dtype=torch.float32)
        return task._replace(description=digits[task.description.long()])

    @cached_property
    def _episodes(self) -> Episodes:
        images, digits = (part[PARTS[self.images]] for part in load())
        place = torch.full((10,), -1)
        place[list(self.classes)] = torch.arange(len(self.classes))
        chosen = place[digits] >= 0
        return Episodes(images[chosen], place[digits[chosen]], self.n_way, self.relabel)


def wrong(y_hat: Tensor, y: Tensor) -> Tensor:
    """The share of labels that the largest logit gets wrong.

    >>> wrong(torch.tensor([[0.9, 0.1], [0.8, 0.2]]), torch.tensor([0, 1]))
    tensor(0.5000)
    """
    return (y_hat.argmax(-1) != y).float().mean()


@cache
def load() -> tuple[Tensor, Tensor]:
    """All images ``(1797, 64)``, float32 from 0 (paper) to 1 (ink), and the digits they show, ``(1797,)`` int64.

    >>> images, digits = load()
    >>> digits[:12].tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    """
    with np.load(FILE, allow_pickle=False) as file:
        images, digits = torch.from_numpy(file["images"]), torch.from_numpy(file["labels"])
    return images.flatten(1).float() / 16, digits.long()
