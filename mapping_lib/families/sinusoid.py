"""Sine waves of unknown amplitude and phase: the regression tasks of Finn et al. 2017, section 5.1."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_number, check_range, check_tensor
from mapping_lib.families.drawing import check_description, check_draw, check_floating, noisy, split, uniform
from mapping_lib.task import Task


@dataclass(frozen=True)
class Sinusoids:
    """The family y = amplitude * sin(x - phase) + noise.

    ``amplitude``, ``phase`` (radians) and ``x`` are drawn uniformly from their ranges ``(low, high)``;
    the defaults are the paper's. The minus sign is that of the paper's released code. ``noise`` is the
    standard deviation of Gaussian noise on every y, support and query alike.

    >>> task = Sinusoids().sample(25, 10, 15, generator=torch.Generator().manual_seed(0))
    >>> task.support.x.shape, task.query.y.shape, task.description.shape
    (torch.Size([25, 10, 1]), torch.Size([25, 15, 1]), torch.Size([25, 2]))
    """

    amplitude: tuple[float, float] = (0.1, 5.0)
    phase: tuple[float, float] = (0.0, math.pi)
    x: tuple[float, float] = (-5.0, 5.0)
    noise: float = 0.0
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        for name in ("amplitude", "phase", "x"):
            check_range(name, getattr(self, name))
        check_number("noise", self.noise, at_least=0)
        check_floating(self.dtype)

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw tasks; support and query are different points of the same wave.

        Shapes: support ``(n_tasks, k_shot, 1)``, query ``(n_tasks, n_query, 1)``, description
        ``(n_tasks, 2)``, which is (amplitude, phase). Zero examples are legal in either part.
        """
        check_draw(n_tasks, k_shot, n_query, generator)
        settings = {"generator": generator, "dtype": self.dtype}
        drawn = [uniform(bounds, (n_tasks, 1), **settings) for bounds in (self.amplitude, self.phase)]
        return self.examples(torch.cat(drawn, dim=1), k_shot, n_query, generator=generator)

    def examples(self, description: Tensor, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw fresh examples of given tasks, ``description (task, 2)`` of the family's dtype.

        Shapes as for `sample`. The description need not lie in the family's ranges.

        >>> waves = torch.tensor([[2.0, 0.0], [2.0, 3.0], [0.1, 0.0]])
        >>> Sinusoids().examples(waves, 10, 5, generator=torch.Generator().manual_seed(0)).query.y.shape
        torch.Size([3, 5, 1])
        """
        check_description(description, 2, self.dtype)
        check_draw(len(description), k_shot, n_query, generator)
        x = uniform(self.x, (len(description), k_shot + n_query, 1), generator=generator, dtype=self.dtype)
        y = noisy(self.truth(description, x), self.noise, generator=generator)
        return split(x, y, k_shot, description)

    @staticmethod
    def truth(description: Tensor, x: Tensor) -> Tensor:
        """The noiseless y at ``x (..., example, 1)`` for descriptions ``(..., 2)``.

        >>> Sinusoids.truth(torch.tensor([2.0, 0.0]), torch.tensor([[math.pi / 2]]))
        tensor([[2.]])
        """
        check_tensor("description", description)
        check_tensor("x", x)
        amplitude, phase = description[..., None, :1], description[..., None, 1:]
        return amplitude * torch.sin(x - phase)
