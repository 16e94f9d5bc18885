"""What families of regression tasks share: checked arguments, points drawn from a range, noise, the split."""

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_count, check_generator, check_tensor
from mapping_lib.task import Batch, Task


def check_draw(n_tasks: int, k_shot: int, n_query: int, generator: Generator) -> None:
    """Raise unless these are arguments of ``sample``: at least one task, no negative count, a generator.

    >>> check_draw(25, -1, 10, torch.Generator())
    Traceback (most recent call last):
        ...
    ValueError: k_shot is -1; allowed: a whole number, 0 or more
    """
    check_count("n_tasks", n_tasks, at_least=1)
    check_count("k_shot", k_shot, at_least=0)
    check_count("n_query", n_query, at_least=0)
    check_generator(generator)


def check_description(description: Tensor, width: int, dtype: torch.dtype) -> None:
    """Raise unless ``description`` is a tensor ``(task, width)`` of this dtype, with at least one task."""
    check_tensor("description", description, f"(task, {width})")
    if description.ndim != 2 or description.shape[1] != width or len(description) == 0:
        raise ValueError(f"description has shape {tuple(description.shape)}; allowed: (task, {width}), 1 task or more")
    if description.dtype != dtype:
        raise ValueError(f"description has dtype {description.dtype}; allowed: {dtype}, the dtype of the family")


def check_floating(dtype: torch.dtype) -> None:
    """Raise ValueError unless ``dtype`` is one of real numbers."""
    if not dtype.is_floating_point:
        raise ValueError(f"dtype is {dtype}; allowed: a floating dtype, such as torch.float32")


def uniform(bounds: tuple[float, float], shape: tuple[int, ...], *, generator: Generator, dtype: torch.dtype) -> Tensor:
    """Draw numbers uniformly from the range ``bounds`` = (low, high).

    >>> uniform((3.0, 3.0), (1, 2), generator=torch.Generator(), dtype=torch.float32)
    tensor([[3., 3.]])
    """
    low, high = bounds
    return torch.rand(shape, generator=generator, dtype=dtype).mul_(high - low).add_(low)


def noisy(y: Tensor, noise: float, *, generator: Generator) -> Tensor:
    """``y`` with Gaussian noise of this standard deviation; without noise, nothing is drawn."""
    return y + noise * torch.randn(y.shape, generator=generator, dtype=y.dtype) if noise > 0 else y


def split(x: Tensor, y: Tensor, k_shot: int, description: Tensor) -> Task:
    """Make tasks of examples ``(task, example, feature)``: the first ``k_shot`` are support, the rest query.

    >>> split(torch.zeros(4, 15, 1), torch.zeros(4, 15, 1), 10, torch.zeros(4, 2)).query.x.shape
    torch.Size([4, 5, 1])
    """
    return Task(Batch(x[:, :k_shot], y[:, :k_shot]), Batch(x[:, k_shot:], y[:, k_shot:]), description)
