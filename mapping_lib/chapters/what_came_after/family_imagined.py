"""Imagined curves: what is written down of curves before one is seen, as distributions to draw from.

`Imagined` is about curves in general, in units of their spread: level, slope, bend, wiggles, noise. `ImaginedChicks`
says what may be known of chicks: what they weigh when they hatch and, roughly, three weeks later. No number in this
file was fitted or tuned: each was written down once, and then the real curves were forecast. Whoever wrote them had
read chapter 4b.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_number
from mapping_lib.families.drawing import check_draw, split
from mapping_lib.task import Task

COSINES = 5
GRAMS = (120.0, 70.0)
"""The units in which a network reads chicks: what stands for 0, and for 1, of y."""


@dataclass(frozen=True)
class Imagined:
    """y = level + slope x + bend (3x² - 1)/2 + wiggles + noise on x from -1 to 1; y has a spread of about 1.

    Standard deviations: of ``level``, ``slope`` and ``bend`` over curves. Wiggles are a sum of cosines, a Gaussian
    process but for their number (random features, Rahimi & Recht 2007), whose length is 0.3 to 1 and whose deviation is
    0 to ``wiggle``, drawn for each curve; that of the noise is 0 to ``noise``. Raises ValueError for a negative one.

    >>> task = Imagined().sample(25, 3, 10, generator=torch.Generator().manual_seed(0))
    >>> task.support.x.shape, task.query.y.shape, task.description.shape
    (torch.Size([25, 3, 1]), torch.Size([25, 10, 1]), torch.Size([25, 3]))
    """

    level: float = 0.7
    slope: float = 1.0
    bend: float = 0.5
    wiggle: float = 0.3
    noise: float = 0.15

    def __post_init__(self) -> None:
        for name in ("level", "slope", "bend", "wiggle", "noise"):
            check_number(name, getattr(self, name), at_least=0)

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw curves, and points of each, as `places` has them; description is (level, slope, bend)."""
        x = places(n_tasks, k_shot, n_query, generator=generator)
        spread = torch.tensor([self.level, self.slope, self.bend], dtype=torch.float32)
        numbers = spread * torch.randn((n_tasks, 3), generator=generator, dtype=torch.float32)
        level, slope, bend = (n[:, None, None] for n in numbers.unbind(-1))
        y = level + slope * x + bend * (3 * x.square() - 1) / 2
        y = y + _upto(self.wiggle, n_tasks, generator) * wiggles(x, generator=generator)
        y = y + _upto(self.noise, n_tasks, generator) * torch.randn(x.shape, generator=generator, dtype=torch.float32)
        return split(x, y, k_shot, numbers)


@dataclass(frozen=True)
class ImaginedChicks:
    """Weights of imagined chicks, in `GRAMS`: they hatch alike and grow in proportion to their weight, less and less.

    ln(weight) goes from its first to its last value along u + slowing u (1 - u), where u goes from 0 to 1 in 21 days,
    and slowing is uniform on 0 to 0.8. ``hatched`` is the first weight, mean and deviation in grams, 10 at least;
    ``after`` the last, its median, and the deviation of its ln. Wiggles of ln(weight) have a deviation of 0 to 0.05,
    larger the older the chick; a scale is right to a gram. Raises ValueError for a number that is not above 0.

    >>> task = ImaginedChicks().sample(5000, 3, 10, generator=torch.Generator().manual_seed(0))
    >>> grams = GRAMS[0] + GRAMS[1] * task.query.y[(task.query.x > 0.98)]
    >>> [round(float(q), -1) for q in grams.quantile(torch.tensor([0.1, 0.5, 0.9]))]
    [120.0, 200.0, 320.0]
    """

    hatched: tuple[float, float] = (41.0, 2.0)
    after: tuple[float, float] = (200.0, 0.4)

    def __post_init__(self) -> None:
        for name in ("hatched", "after"):
            for i in (0, 1):
                check_number(f"{name}[{i}]", getattr(self, name)[i], above=0)

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw chicks, and days of each, as `places` has them; description is (first weight, last weight, slowing)."""
        x = places(n_tasks, k_shot, n_query, generator=generator)
        draws = torch.randn((n_tasks, 2), generator=generator, dtype=torch.float32)
        first = (self.hatched[0] + self.hatched[1] * draws[:, 0]).clamp(min=10.0)
        last = self.after[0] * (self.after[1] * draws[:, 1]).exp()
        slowing = 0.8 * torch.rand(n_tasks, generator=generator, dtype=torch.float32)
        u = (x + 1) / 2
        path = u + slowing[:, None, None] * u * (1 - u)
        uneven = _upto(0.05, n_tasks, generator) * u * wiggles(x, generator=generator)
        grams = first[:, None, None] * ((last / first).log()[:, None, None] * path + uneven).exp()
        grams = grams + torch.randn(x.shape, generator=generator, dtype=torch.float32)
        return split(x, (grams - GRAMS[0]) / GRAMS[1], k_shot, torch.stack([first, last, slowing], -1))


def places(n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Tensor:
    """Where curves are observed, then where they are asked for: ``(n_tasks, k_shot + n_query, 1)``.

    Queries are uniform on -1 to 1. Of the supports a third are, too; a third lie between -1 and some end, as first
    observations do; and a third between two ends, as where one can only measure somewhere.

    >>> places(2, 3, 5, generator=torch.Generator().manual_seed(0)).shape
    torch.Size([2, 8, 1])
    """
    check_draw(n_tasks, k_shot, n_query, generator)
    ends = torch.rand((n_tasks, 2), generator=generator, dtype=torch.float32).sort(-1).values
    kind = torch.randint(3, (n_tasks, 1), generator=generator)
    low = torch.where(kind == 2, ends[:, :1], 0.0)
    high = torch.where(kind == 0, 1.0, ends[:, 1:])
    lots = torch.rand((n_tasks, k_shot + n_query), generator=generator, dtype=torch.float32)
    support = low + (high - low) * lots[:, :k_shot]
    return 2 * torch.cat([support, lots[:, k_shot:]], 1)[..., None] - 1


def wiggles(x: Tensor, *, generator: Generator) -> Tensor:
    """Smooth random functions at ``x (task, place, 1)``, of deviation 1 over functions: a sum of cosines.

    >>> x = torch.zeros(4000, 1, 1)
    >>> round(wiggles(x, generator=torch.Generator().manual_seed(0)).std().item(), 1)
    1.0
    """
    of_one = (len(x), 1, COSINES)
    length = 0.3 + 0.7 * torch.rand((len(x), 1, 1), generator=generator, dtype=torch.float32)
    frequency = torch.randn(of_one, generator=generator, dtype=torch.float32) / length
    phase = 2 * math.pi * torch.rand(of_one, generator=generator, dtype=torch.float32)
    return math.sqrt(2 / COSINES) * torch.cos(frequency * x + phase).sum(-1, keepdim=True)


def _upto(most: float, n: int, generator: Generator) -> Tensor:
    return most * torch.rand((n, 1, 1), generator=generator, dtype=torch.float32)
