"""Sequences of tasks that come one after the other, and one more at the end that nobody has trained on.

Every tensor leads with ``(sequence, task)``. The support is all that a task brings to train on, the query judges.
Examples come in rounds of one a label, so that the first few of a task are balanced, and can be kept in memory.
"""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_choice, check_count, check_generator
from mapping_lib.families.episodes import Episodes
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.task import Batch, Task, map_tasks
from mapping_lib.worlds.digits import FIRST_HELD_OUT, load

KINDS = ("pairs", "relabelled")
"""What `DigitSequences` can be made of: tasks that agree with one another, and tasks that contradict one another."""

FIRST_TUNING = 776
"""The seventh of the nine forms for training begins here."""

FORMS = {
    "held out": (slice(0, FIRST_HELD_OUT), slice(FIRST_HELD_OUT, None)),
    "tuning": (slice(0, FIRST_TUNING), slice(FIRST_TUNING, FIRST_HELD_OUT)),
}
"""Which images are trained on and which judge. Settings are chosen on "tuning", where no held-out form appears."""


@dataclass(frozen=True)
class DigitSequences:
    """Sequences of ``n_tasks`` tasks of handwritten digits, judged on forms that were never trained on.

    ``kind`` "pairs": the ten digits are dealt into pairs, and each task tells one pair apart, by labels 0 and 1. No
    digit is in two tasks, so one network can be right on all of them. "relabelled": each task has all ten digits and
    deals their labels anew, so the same image has another label in every task. ``judged_on`` is one of `FORMS`.
    Raises ValueError for another name, and for n_tasks below 1 or, in pairs, above 5.

    >>> tasks = DigitSequences("pairs").sample(20, 20, 25, generator=torch.Generator().manual_seed(0))
    >>> tasks.support.x.shape, tasks.support.y.shape, tasks.query.x.shape, tasks.description.shape
    (torch.Size([20, 5, 40, 64]), torch.Size([20, 5, 40]), torch.Size([20, 5, 50, 64]), torch.Size([20, 5, 2]))
    """

    kind: str = "pairs"
    n_tasks: int = 5
    judged_on: str = "held out"

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        check_choice("judged_on", self.judged_on, FORMS)
        if check_count("n_tasks", self.n_tasks, at_least=1) > 5 and self.kind == "pairs":
            raise ValueError(f"n_tasks is {self.n_tasks}; allowed: at most 5, as ten digits make five pairs")

    @property
    def n_way(self) -> int:
        """How many labels a task has."""
        return 2 if self.kind == "pairs" else 10

    def sample(self, n_sequences: int, n_train: int, n_test: int, *, generator: Generator) -> Task:
        """Draw sequences; ``n_train`` and ``n_test`` count the images of each label in a task.

        Shapes: support x ``(n_sequences, n_tasks, n_train * n_way, 64)`` and y without the last, int64; the query
        likewise. description ``(n_sequences, n_tasks, n_way)`` says which digit each label means. Within a sequence no
        image appears twice. Raises ValueError where a digit has too few images.
        """
        check_count("n_sequences", n_sequences, at_least=1)
        check_generator(generator)
        dealt = self._deal(n_sequences, generator)
        parts = [
            self._images(family, dealt, n, generator) for family, n in zip(self._forms, (n_train, n_test), strict=True)
        ]
        return Task(*parts, dealt.float())

    def _deal(self, n_sequences: int, generator: Generator) -> Tensor:
        """Which digit each label means: ``(sequence, task, way)``."""
        if self.kind == "pairs":
            order = torch.rand((n_sequences, 10), generator=generator, dtype=torch.float32).argsort(-1)
            return order.unflatten(-1, (5, 2))[:, : self.n_tasks]
        return torch.rand((n_sequences, self.n_tasks, 10), generator=generator, dtype=torch.float32).argsort(-1)

    def _images(self, family: Episodes, dealt: Tensor, n: int, generator: Generator) -> Batch:
        """``n`` images of each digit of each task, round after round; ``dealt (sequence, task, way)``."""
        check_count("the number of images", n, at_least=0)
        uses = 1 if self.kind == "pairs" else self.n_tasks  # in how many tasks a digit appears
        drawn = family.sample(len(dealt), n * uses, 0, generator=generator).support.x
        drawn = drawn.unflatten(1, (10, uses, n))  # (sequence, digit, use, image, 64)
        use = torch.arange(self.n_tasks) % uses
        x = drawn[torch.arange(len(dealt))[:, None, None], dealt, use[:, None]].transpose(2, 3)
        y = torch.arange(self.n_way).expand(*x.shape[:-1])
        return Batch(x.flatten(2, 3), y.flatten(2))

    @cached_property
    def _forms(self) -> tuple[Episodes, Episodes]:
        images, digits = load()
        return tuple(Episodes(images[f], digits[f], 10, relabel=False) for f in FORMS[self.judged_on])


@dataclass(frozen=True)
class WaveSequences:
    """Sequences of ``n_tasks`` waves of ``family``: they contradict one another, for the same x has another y.

    >>> tasks = WaveSequences(n_tasks=3).sample(20, 10, 40, generator=torch.Generator().manual_seed(0))
    >>> tasks.support.x.shape, tasks.query.y.shape, tasks.description.shape
    (torch.Size([20, 3, 10, 1]), torch.Size([20, 3, 40, 1]), torch.Size([20, 3, 2]))
    """

    n_tasks: int = 5
    family: Sinusoids = field(default_factory=Sinusoids)

    def __post_init__(self) -> None:
        check_count("n_tasks", self.n_tasks, at_least=1)

    def sample(self, n_sequences: int, n_train: int, n_test: int, *, generator: Generator) -> Task:
        """Draw sequences of fresh waves, with ``n_train`` points of each to train on and ``n_test`` to judge."""
        check_count("n_sequences", n_sequences, at_least=1)
        tasks = self.family.sample(n_sequences * self.n_tasks, n_train, n_test, generator=generator)
        return map_tasks(lambda t: t.unflatten(0, (n_sequences, self.n_tasks)), tasks)


def of_task(batch: Batch, task: int, first: int | None = None) -> Batch:
    """The examples of one task of every sequence, or the ``first`` of them: tensors lead with ``(sequence, example)``.

    >>> batch = Batch(torch.zeros(20, 5, 40, 64), torch.zeros(20, 5, 40))
    >>> of_task(batch, 3, first=10).x.shape
    torch.Size([20, 10, 64])
    """
    return Batch(*(part[:, task, :first] for part in batch))
