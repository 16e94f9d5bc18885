"""The four types that everything else is written in.

Shapes are named by their dimensions, in this order: ``task, example, feature``. A function that works
on one task sees ``(example, feature)``; `torch.func.vmap` adds the leading ``task`` dimension.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from torch import Generator, Tensor, cat, stack

Params = dict[str, Tensor]
"""Named tensors: theta (what meta-training learns) and phi (what adaptation makes of it)."""


class Batch(NamedTuple):
    """Examples of one task: inputs ``x (example, feature)`` and targets ``y (example, feature)``.

    With a leading task dimension it holds one batch for each of several tasks.

    >>> import torch
    >>> Batch(torch.zeros(10, 1), torch.ones(10, 1)).x.shape
    torch.Size([10, 1])
    """

    x: Tensor
    y: Tensor


class Task(NamedTuple):
    """One task, or several with a leading task dimension.

    ``support`` is what is adapted on, ``query`` is what is judged on: same task, disjoint examples.
    ``description`` says which task it is, as a vector ``(task, feature)``; MAML never reads it.
    """

    support: Batch
    query: Batch
    description: Tensor


class TaskFamily(Protocol):
    """A distribution of tasks p(T), from which tasks are drawn."""

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw ``n_tasks`` tasks with ``k_shot`` support and ``n_query`` query examples each."""
        ...


def join(first: Batch, second: Batch, *, dim: int = 0) -> Batch:
    """Put the examples of two batches one after the other; ``dim`` is theirs: 0 for one task, 1 for several.

    >>> import torch
    >>> ten, five = Batch(torch.zeros(10, 1), torch.zeros(10)), Batch(torch.ones(5, 1), torch.ones(5))
    >>> join(ten, five).x.shape, join(ten, five).y.shape
    (torch.Size([15, 1]), torch.Size([15]))
    """
    return Batch(cat([first.x, second.x], dim), cat([first.y, second.y], dim))


def each(tasks: Task) -> Iterator[Task]:
    """Take several tasks apart: one after the other, without the task dimension.

    >>> import torch
    >>> many = Batch(torch.zeros(4, 10, 1), torch.zeros(4, 10, 1))
    >>> [task.support.x.shape for task in each(Task(many, many, torch.zeros(4, 2)))][:1]
    [torch.Size([10, 1])]
    """
    for i in range(len(tasks.support.x)):
        yield map_tasks(lambda t, i=i: t[i], tasks)


def map_tasks(change: Callable[[Tensor], Tensor], tasks: Task) -> Task:
    """Apply one change to every tensor of the tasks; a description that is None stays so.

    >>> import torch
    >>> many = Batch(torch.zeros(4, 10, 1), torch.zeros(4, 10, 1))
    >>> map_tasks(lambda t: t[:2], Task(many, many, torch.zeros(4, 2))).description.shape
    torch.Size([2, 2])
    """
    support, query = (Batch(change(batch.x), change(batch.y)) for batch in (tasks.support, tasks.query))
    return Task(support, query, None if tasks.description is None else change(tasks.description))


def by_size(tasks: Iterable[Task]) -> list[Task]:
    """Put single tasks of any sizes together: one `Task` with a leading dimension for those of each size.

    The groups stand in the order in which their sizes first came, the tasks of a group in their own order.

    >>> import torch
    >>> def task(k):
    ...     return Task(Batch(torch.zeros(k, 1), torch.zeros(k, 1)), Batch(torch.ones(9, 1), torch.ones(9, 1)), None)
    >>> [group.support.x.shape for group in by_size([task(5), task(3), task(5)])]
    [torch.Size([2, 5, 1]), torch.Size([1, 3, 1])]
    """
    groups: dict[tuple, list[Task]] = {}
    for task in tasks:
        sizes = tuple(t.shape for t in (*task.support, *task.query))
        groups.setdefault(sizes, []).append(task)
    return [_stacked(group) for group in groups.values()]


def _stacked(tasks: list[Task]) -> Task:
    def batch(batches: list[Batch]) -> Batch:
        return Batch(stack([b.x for b in batches]), stack([b.y for b in batches]))

    descriptions = [task.description for task in tasks if task.description is not None]
    description = stack(descriptions) if len(descriptions) == len(tasks) else None
    return Task(batch([task.support for task in tasks]), batch([task.query for task in tasks]), description)
