"""How tasks of one batch act on each other: asked by changing the evidence of some and the queries of others.

A meta-loss that is a sum over tasks has no *interplay*: what another support for task i changes does not depend on
which query task j has. Where one phi serves all tasks it does, and neither the order of the tasks nor single tasks
show it.
"""

from collections.abc import Callable, Iterator
from functools import cache

import torch
from torch import Tensor

from mapping_lib.task import Batch, Task, map_tasks

Ask = Callable[[Task], Tensor]
"""What is asked: tasks -> a vector (a meta-loss has one entry)."""

Places = tuple[int, ...]
"""Tasks by their places in the batch."""

ROUNDING = 1e-9
"""Relative interplay up to which float64 numbers count as sums; one inner step of 0.001 leaves a thousandth."""

COARSE = 1e-5
"""The same for what is no gradient, and may come back in float32."""


def sharing(
    ask: Ask, tasks: Task, others: Task, *, up_to_length: bool = False, rounding: float = ROUNDING
) -> tuple[str, str]:
    """The fault and what shows it, where tasks act on each other; two empty words where they do not.

    ``others`` are as many fresh tasks. ``up_to_length``: each answer is a direction, whose length means nothing.

    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> def from_one_mean(tasks):  # all queries are answered with one number, the mean over all supports
    ...     return (tasks.query.y - tasks.support.y.mean()).square().mean()[None]
    >>> tasks, others = (
    ...     map_tasks(torch.Tensor.double, Sinusoids().sample(4, 10, 10, generator=torch.Generator().manual_seed(seed)))
    ...     for seed in (0, 1)
    ... )
    >>> sharing(from_one_mean, tasks, others)[0]
    'one φ for all tasks'
    """
    interplay = _Interplay(ask, tasks, others, up_to_length, rounding)
    crossed, together = interplay.of_evidence_and_queries(), interplay.of_evidence()
    if together and deals_unnoticed(ask, tasks):
        return "one φ for all tasks", "supports dealt to other tasks give the same answer"
    if together:
        return "tasks leak", "what one support changes depends on other tasks"
    if crossed:
        n = len(tasks.query.x)
        read = [i for i in range(n) if not _equal(interplay.answer((i,), ()), interplay.answer((), ()), 1e-12)]
        if len(read) == 1:
            return "one φ for all tasks", f"1 of {n} supports changes the answer, and every query does"
        return "another task's query is judged", "what a support changes depends on the queries of other tasks"
    if not up_to_length and interplay.of_queries():
        return "tasks leak", "what one query adds depends on the queries of other tasks"
    return "", ""


def deals_unnoticed(ask: Ask, tasks: Task) -> bool:
    """Whether supports that are dealt to other tasks leave the answer as it was."""
    dealt = tasks._replace(
        support=Batch(*(t.roll(1, 0) for t in tasks.support)),
        description=None if tasks.description is None else tasks.description.roll(1, 0),
    )
    return _equal(ask(dealt), ask(tasks))


def evidence_meets(ask: Ask, tasks: Task, others: Task) -> bool:
    """Whether what one support changes depends on the supports of other tasks."""
    return _Interplay(ask, tasks, others).of_evidence()


def counts_unevenly(ask: Ask, tasks: Task, others: Task) -> bool:
    """Whether the place of a task in the batch chooses its weight, and nothing else."""
    n = len(tasks.query.x)
    first = map_tasks(lambda t: t[:1].expand_as(t), tasks)
    base = ask(first)

    def change(place: int, to: int) -> Tensor:
        """What it changes that another task stands at this place, among tasks that are all the same."""
        return ask(_changed(first, map_tasks(lambda t: t[[to] * n], others), (place,), (place,))) - base

    one, two = (torch.cat([change(place, to) for place in range(n)]) for to in (0, 1))
    ratio = one / two
    return not _equal(one, one[:1].expand_as(one), 1e-6) and _equal(ratio, ratio[:1].expand_as(ratio), 1e-6)


class _Interplay:
    """Whether two changes, of the evidence or the queries of some tasks, do other than the one and the other."""

    def __init__(self, ask: Ask, tasks: Task, others: Task, up_to_length=False, rounding=ROUNDING) -> None:
        self.answer = cache(lambda evidence, queries: ask(_changed(tasks, others, evidence, queries)))
        self.splits = list(_splits(len(tasks.query.x)))
        self.up_to_length, self.rounding = up_to_length, rounding

    def of_evidence_and_queries(self) -> bool:
        """Another support for some tasks, another query for others."""
        return any(self._meet((a, ()), ((), b)) or self._meet((b, ()), ((), a)) for a, b in self.splits)

    def of_evidence(self) -> bool:
        """Another support for some tasks and for others."""
        return any(self._meet((a, ()), (b, ())) for a, b in self.splits)

    def of_queries(self) -> bool:
        """Another query for some tasks and for others."""
        return any(self._meet(((), a), ((), b)) for a, b in self.splits)

    def _meet(self, first: tuple[Places, Places], second: tuple[Places, Places]) -> bool:
        both = [tuple(sorted(a + b)) for a, b in zip(first, second, strict=True)]
        answers = [self.answer(*change) for change in (((), ()), first, second, both)]
        if self.up_to_length:
            return _independent(torch.stack(answers, 1))
        none, one, other, together = answers
        return bool((together - one - other + none).norm() > self.rounding * torch.stack(answers).norm(dim=1).max())


def _splits(n: int) -> Iterator[tuple[Places, Places]]:
    """Ways to cut n tasks in two, such that any two tasks are parted by one of them."""
    for bit in range((n - 1).bit_length()):
        yield tuple(i for i in range(n) if i >> bit & 1), tuple(i for i in range(n) if not i >> bit & 1)


def _independent(columns: Tensor) -> bool:
    """Whether the last of some vectors lies outside of what the others span: no lengths make a sum of them."""
    columns = columns / columns.norm(dim=0).clamp_min(1e-300)
    basis, *_ = torch.linalg.qr(columns[:, :-1])
    left = columns[:, -1] - basis @ (basis.T @ columns[:, -1])
    return bool(left.norm() > COARSE)


def _changed(tasks: Task, others: Task, evidence: Places, queries: Places) -> Task:
    """The tasks with the evidence, or the queries, of others at some places."""

    def put(t: Tensor, other: Tensor, places: Places) -> Tensor:
        t = t.clone()
        t[list(places)] = other[list(places)]
        return t

    return Task(
        Batch(*(put(t, o, evidence) for t, o in zip(tasks.support, others.support, strict=True))),
        Batch(*(put(t, o, queries) for t, o in zip(tasks.query, others.query, strict=True))),
        None if tasks.description is None else put(tasks.description, others.description, evidence),
    )


def _equal(a: Tensor, b: Tensor, tolerance: float = ROUNDING) -> bool:
    return bool((a - b).norm() <= tolerance * b.norm())
