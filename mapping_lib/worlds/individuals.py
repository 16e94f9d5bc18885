"""What families of individuals share: who is held out when, and which observations are shown."""

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_count, check_generator, check_tensor

ORDERS = ("spread", "first")
"""How the support of an individual is chosen: drawn by lot from all observations, or the earliest ones."""


def folds(n: int, n_folds: int, *, seed: int = 0) -> Tensor:
    """Deal ``n`` individuals into ``n_folds`` parts of nearly equal size: the part of each, ``(n,)`` int64.

    Everything that judges part f is learned on the other parts, so that each individual is held out once.
    Raises ValueError for fewer than two parts, or more parts than individuals.

    >>> folds(7, 3).bincount()
    tensor([3, 2, 2])
    """
    check_count("n_folds", n_folds, at_least=2)
    if check_count("n", n, at_least=1) < n_folds:
        raise ValueError(f"n_folds is {n_folds}; allowed: at most {n}, the number of individuals")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    part = torch.empty(n, dtype=torch.long)
    part[order] = torch.arange(n) % n_folds
    return part


def draw(observed: Tensor, n_tasks: int, needed: int, *, generator: Generator) -> Tensor:
    """Draw individuals, with replacement, from those with at least ``needed`` observations: ``(n_tasks,)``.

    ``observed (individual, place)`` says which there are. Raises ValueError where nobody has so many.

    >>> draw(torch.tensor([[True, False], [True, True]]), 3, 2, generator=torch.Generator().manual_seed(0))
    tensor([1, 1, 1])
    """
    counts = check_tensor("observed", observed).sum(-1)
    able = (counts >= needed).nonzero()[:, 0]
    if len(able) == 0:
        most = int(counts.max())
        raise ValueError(f"k_shot + n_query is {needed}; allowed: at most {most}, the most that an individual has")
    return able[torch.randint(len(able), (n_tasks,), generator=generator)]


def deal(
    observed: Tensor, k_shot: int, *, generator: Generator, first: bool = False, allowed: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Choose which of each individual's observations are support, as places ``(individual, k_shot)``, and the rest.

    ``observed (individual, place)`` says which there are. The support is drawn by lot, and put in order, or with
    ``first`` is the earliest; ``allowed (place,)`` says where it may be (default: everywhere). The second result,
    ``(individual, place - k_shot)``, has all other places: those that were observed come first, in random order.
    Raises ValueError, with the number, where an individual has too few observations.

    >>> seen = torch.tensor([[True, False, True, True]])
    >>> deal(seen, 2, first=True, generator=torch.Generator().manual_seed(0))
    (tensor([[0, 2]]), tensor([[3, 1]]))
    """
    check_tensor("observed", observed)
    check_count("k_shot", k_shot, at_least=0)
    check_generator(generator)
    usable = observed if allowed is None else observed & allowed
    fewest = int(usable.sum(-1).min())
    if k_shot > fewest:
        raise ValueError(
            f"k_shot is {k_shot}; allowed: at most {fewest}, the observations that the individual with fewest has"
        )
    lots = torch.rand(observed.shape, generator=generator, dtype=torch.float32)
    keys = torch.arange(observed.shape[-1]).expand_as(lots).float() if first else lots
    support = keys.masked_fill(~usable, torch.inf).argsort(dim=-1, stable=True)[..., :k_shot].sort(-1).values
    rest = lots.masked_fill(~observed, 2.0).scatter(-1, support, 3.0).argsort(dim=-1, stable=True)
    return support, rest[..., : observed.shape[-1] - k_shot]
