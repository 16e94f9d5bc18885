"""Families made of families: supports of any size, a finite pool of tasks, mixtures, descriptions one cannot trust.

They can be put into one another: ``VaryingShots(Mixed((Sinusoids(), LinearFunctions())))`` is a family, too.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot, pad

from mapping_lib.checks import check_count, check_drawn, check_family, check_generator, check_number
from mapping_lib.families.drawing import check_draw
from mapping_lib.task import Batch, Task, TaskFamily

POOL = 0x706F6F6C
"""Keeps a pool's seed apart from the same seed elsewhere: fresh tasks of seed 0 are not those of the pool of seed 0."""


class DescribedFamily(TaskFamily, Protocol):
    """A family whose descriptions say all about a task, so that they can be turned into tasks again."""

    def examples(self, description: Tensor, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw fresh examples of the tasks with this ``description (task, feature)``."""
        ...


@dataclass(frozen=True)
class VaryingShots:
    """The tasks of ``family`` with supports of any size, for learners that are to read any number of examples.

    Each call of ``sample`` draws one K for all its tasks, uniformly from ``at_least`` ... ``k_shot``. Raises
    ValueError for a negative ``at_least``.

    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> g = torch.Generator().manual_seed(0)
    >>> [VaryingShots(Sinusoids()).sample(25, 10, 5, generator=g).support.x.shape[1] for _ in range(6)]
    [10, 6, 6, 10, 9, 3]
    """

    family: TaskFamily
    at_least: int = 0

    def __post_init__(self) -> None:
        check_family("family", self.family)
        check_count("at_least", self.at_least, at_least=0)

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw tasks with at most ``k_shot`` support examples; the query has ``n_query``, as ever.

        Raises ValueError for k_shot below ``at_least``.
        """
        check_count("k_shot", k_shot, at_least=self.at_least)
        check_generator(generator)
        k = int(torch.randint(self.at_least, k_shot + 1, (), generator=generator))
        return self.family.sample(n_tasks, k, n_query, generator=generator)


@dataclass(frozen=True)
class Pool:
    """A finite number of tasks of ``family``: what is left of p(T) when only ``n_tasks`` of them were ever seen.

    ``descriptions (n_tasks, feature)`` are fixed by ``seed``, a whole number of 0 or more, when the pool is
    made. Tasks drawn from ``family`` itself are others with probability one, even with a generator of the
    same seed. Raises ValueError for a count or seed out of range, TypeError for a family without a method
    ``examples``.

    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> pool = Pool(Sinusoids(), n_tasks=3, seed=0)
    >>> tasks = pool.sample(100, 10, 5, generator=torch.Generator().manual_seed(0))
    >>> tasks.description.unique(dim=0).shape, tasks.query.x.unique().shape
    (torch.Size([3, 2]), torch.Size([500]))
    """

    family: DescribedFamily
    n_tasks: int
    seed: int
    descriptions: Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_family("family", self.family, "examples")
        check_count("n_tasks", self.n_tasks, at_least=1)
        own = torch.Generator().manual_seed(check_count("seed", self.seed, at_least=0) ^ POOL)
        object.__setattr__(self, "descriptions", self.family.sample(self.n_tasks, 0, 0, generator=own).description)

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw tasks from the pool, uniformly and with replacement, each with fresh examples.

        Shapes as for ``family.sample``. A task that is drawn twice has other examples the second time.
        """
        check_draw(n_tasks, k_shot, n_query, generator)
        chosen = torch.randint(self.n_tasks, (n_tasks,), generator=generator)
        return self.family.examples(self.descriptions[chosen], k_shot, n_query, generator=generator)


@dataclass(frozen=True)
class Mixed:
    """Tasks of several kinds: each comes from one of ``families``, all equally likely.

    Their examples must have the same shapes and dtypes. Raises TypeError or ValueError for anything but a
    tuple of at least two families.

    >>> from mapping_lib.worlds.linear import LinearFunctions
    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> family = Mixed((Sinusoids(), LinearFunctions()))
    >>> family.sample(25, 10, 5, generator=torch.Generator().manual_seed(0)).description.shape
    torch.Size([25, 4])
    """

    families: tuple[TaskFamily, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.families, tuple):
            raise TypeError(f"families is {self.families!r}; allowed: a tuple of at least two families")
        if len(self.families) < 2:
            raise ValueError(f"families is {self.families!r}; allowed: a tuple of at least two families")
        for i, family in enumerate(self.families):
            check_family(f"families[{i}]", family)

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw tasks; their description says which family, then which task of that family.

        Shapes: examples as the families make them; description ``(n_tasks, len(families) + widest)``: a one
        at the place of the family, then the family's own description, with zeros behind it up to the width
        of the widest. Raises ValueError where the families' examples differ in shape or dtype.
        """
        check_draw(n_tasks, k_shot, n_query, generator)
        # every family draws every task, and one of them is kept: simpler than counting who draws how many
        drawn = [check_drawn(f.sample(n_tasks, k_shot, n_query, generator=generator)) for f in self.families]
        _check_alike(drawn)
        kind = torch.randint(len(drawn), (n_tasks,), generator=generator)

        def keep(part: Callable[[Task], Tensor]) -> Tensor:
            return torch.stack([part(tasks) for tasks in drawn])[kind, torch.arange(n_tasks)]

        support = Batch(keep(lambda tasks: tasks.support.x), keep(lambda tasks: tasks.support.y))
        query = Batch(keep(lambda tasks: tasks.query.x), keep(lambda tasks: tasks.query.y))
        widest = max(tasks.description.shape[1] for tasks in drawn)
        own = keep(lambda tasks: pad(tasks.description, (0, widest - tasks.description.shape[1])))
        return Task(support, query, torch.cat([one_hot(kind, len(drawn)).to(own), own], dim=1))


def _check_alike(drawn: list[Task]) -> None:
    """Raise unless the examples of all families have one form."""
    for of, part in (("support", "x"), ("support", "y"), ("query", "x"), ("query", "y")):
        tensors = [getattr(getattr(tasks, of), part) for tasks in drawn]
        forms = [f"{tuple(t.shape)} {t.dtype}" for t in tensors]
        if len(set(forms)) > 1:
            raise ValueError(f"families draw a {of}.{part} of {', '.join(forms)}; allowed: one shape and dtype for all")


@dataclass(frozen=True)
class NoisyDescriptions:
    """The tasks of ``family``, described badly: the same examples, a description with noise or none at all.

    Gaussian noise of standard deviation ``noise``, one number or a tuple with one for each feature, is added
    to the description. With probability ``missing`` the whole description is then replaced by ``blank``, a
    tuple with one number for each feature, such as the features' means: needed where missing is above 0.

    Raises ValueError for a negative noise, a probability outside of 0 ... 1, and a blank that is lacking.

    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> family = NoisyDescriptions(Sinusoids(), noise=(0.5, 0.1), missing=0.5, blank=(0.0, 0.0))
    >>> family.sample(3, 10, 5, generator=torch.Generator().manual_seed(0)).description[:, 0] == 0
    tensor([False, False,  True])
    """

    family: TaskFamily
    noise: float | tuple[float, ...] = 0.0
    missing: float = 0.0
    blank: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_family("family", self.family)
        if isinstance(self.noise, tuple):
            for i, deviation in enumerate(self.noise):
                check_number(f"noise[{i}]", deviation, at_least=0)
        else:
            check_number("noise", self.noise, at_least=0)
        if check_number("missing", self.missing, at_least=0) > 1:
            raise ValueError(f"missing is {self.missing}; allowed: a probability, 0 to 1")
        self._check_blank()

    def _check_blank(self) -> None:
        if self.blank is None and self.missing == 0:
            return
        if not isinstance(self.blank, tuple):
            raise ValueError(f"blank is {self.blank!r}; allowed: a tuple, one number for each feature")
        for i, number in enumerate(self.blank):
            check_number(f"blank[{i}]", number)

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw the tasks of ``family``, then spoil their descriptions.

        Shapes as for ``family.sample``. Noise and lots are drawn after the tasks, and in the same number
        whatever ``noise`` and ``missing`` are: with generators of one seed, all settings meet the same tasks,
        call after call. Raises ValueError where ``noise`` or ``blank`` has another length than a description.
        """
        tasks = check_drawn(self.family.sample(n_tasks, k_shot, n_query, generator=generator))
        clear = tasks.description
        deviation, blank = self._for_width(clear)
        noisy = clear + deviation * torch.randn(clear.shape, generator=generator, dtype=clear.dtype)
        lost = torch.rand((len(clear), 1), generator=generator, dtype=torch.float32) < self.missing
        return tasks._replace(description=torch.where(lost, blank, noisy))

    def _for_width(self, description: Tensor) -> tuple[Tensor, Tensor]:
        """Noise and blank as tensors ``(feature,)``, for descriptions ``(task, feature)``."""
        width = description.shape[1]
        noise = self.noise if isinstance(self.noise, tuple) else (self.noise,) * width
        blank = (0.0,) * width if self.blank is None else self.blank
        for name, numbers in (("noise", noise), ("blank", blank)):
            if len(numbers) != width:
                raise ValueError(
                    f"{name} is {numbers}; allowed: {width} numbers, one for each feature of a description"
                )
        return description.new_tensor(noise), description.new_tensor(blank)
