"""One function of one task, made a function of many."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils import _pytree as pytree


def over_tasks(of_one: Callable, *several: Any, at_once: int | None = None) -> Any:
    """Call ``of_one`` for every task and stack what it returns: by `torch.func.vmap`, or by a loop where that cannot.

    ``several`` are tensors that lead with the task dimension, dictionaries and tuples of such, or None; what is
    returned leads with it, too. ``at_once`` bounds how many tasks are computed together. PyTorch can compute most
    functions for all tasks at once; not a plain LSTM, nor a loss that asks ``if`` of a tensor. They run task by task
    here: slower, the same numbers. What ``of_one`` itself raises is raised; ValueError if it draws random numbers.

    >>> over_tasks(lambda a, b: {"sum": a + b}, torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0]))
    {'sum': tensor([11., 22.])}
    >>> over_tasks(lambda a: a if a > 1.5 else 0 * a, torch.tensor([1.0, 2.0]))
    tensor([0., 2.])
    """
    each = pytree.tree_map(lambda value: None if value is None else 0, several)
    try:
        return torch.func.vmap(of_one, in_dims=each, chunk_size=at_once)(*several)
    except Exception as problem:  # of vmap, or of the function itself: then the loop raises it again, in plain words
        if "randomness" in str(problem):  # a loop would draw anew for every task, and in every pass
            raise ValueError("network or loss draws random numbers; allowed: such as only compute") from problem
    n_tasks = len(next(value for value in pytree.tree_leaves(several) if value is not None))
    take = lambda value, i: None if value is None else value[i]  # noqa: E731
    return stacked([of_one(*pytree.tree_map(partial(take, i=i), several)) for i in range(n_tasks)])


def stacked(results: list[Any]) -> Any:
    """Put the results of single tasks together: each tensor gains a leading task dimension.

    >>> stacked([(torch.tensor(1.0), {"w": torch.tensor(2.0)}), (torch.tensor(3.0), {"w": torch.tensor(4.0)})])
    (tensor([1., 3.]), {'w': tensor([2., 4.])})
    """
    return pytree.tree_map(lambda *parts: torch.stack(parts), *results)
