"""Sine waves of unknown amplitude and phase: the regression tasks of Finn et al. 2017, section 5.1."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_count, check_generator, check_number, check_range
from mapping_lib.task import Batch, Task


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
        if not self.dtype.is_floating_point:
            raise ValueError(f"dtype is {self.dtype}; allowed: a floating dtype, such as torch.float32")

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw tasks; support and query are different points of the same wave.

        Shapes: support ``(n_tasks, k_shot, 1)``, query ``(n_tasks, n_query, 1)``, description
        ``(n_tasks, 2)``, which is (amplitude, phase). Zero examples are legal in either part.
        """
        check_count("n_tasks", n_tasks, at_least=1)
        check_count("k_shot", k_shot, at_least=0)
        check_count("n_query", n_query, at_least=0)
        check_generator(generator)
        description = torch.cat(
            [
                self._uniform(self.amplitude, (n_tasks, 1), generator),
                self._uniform(self.phase, (n_tasks, 1), generator),
            ],
            dim=1,
        )
        x = self._uniform(self.x, (n_tasks, k_shot + n_query, 1), generator)
        y = self.truth(description, x)
        if self.noise > 0:
            y = y + self.noise * torch.randn(y.shape, generator=generator, dtype=self.dtype)
        support = Batch(x[:, :k_shot], y[:, :k_shot])
        return Task(support, Batch(x[:, k_shot:], y[:, k_shot:]), description)

    @staticmethod
    def truth(description: Tensor, x: Tensor) -> Tensor:
        """The noiseless y at ``x (..., example, 1)`` for descriptions ``(..., 2)``.

        >>> Sinusoids.truth(torch.tensor([2.0, 0.0]), torch.tensor([[math.pi / 2]]))
        tensor([[2.]])
        """
        amplitude, phase = description[..., None, :1], description[..., None, 1:]
        return amplitude * torch.sin(x - phase)

    def _uniform(self, bounds: tuple[float, float], shape: tuple[int, ...], generator: Generator) -> Tensor:
        low, high = bounds
        return torch.rand(shape, generator=generator, dtype=self.dtype).mul_(high - low).add_(low)
