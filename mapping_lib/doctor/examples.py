"""Whether single examples count, and whether each label belongs to its input.

A loss that broadcasts, (k, 1) against (k,), compares every prediction with every label: then only the labels' mean
matters to it, and labels that are dealt to other examples of the batch are not missed.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mapping_lib.doctor.steps import gradient, same
from mapping_lib.params import norm
from mapping_lib.task import Batch, Params, Task, map_tasks

TRIES = 5
"""Other examples that are put in an example's place: counts of mistakes, or whole numbers, may be equal by chance."""

ROUNDING = 1e-11
"""Relative difference up to which answers count as one: sums over examples in another order differ in last digits."""


def broadcasts(patient: Any) -> tuple[str, ...]:
    """Who does not miss labels that are dealt to other examples: the inner loss, the outer loss, or ``loss`` itself.

    >>> from mapping_lib.doctor import diagnose
    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> from mapping_lib.learners.gradient import maml
    >>> learner = maml(torch.nn.Linear(1, 1), torch.nn.functional.mse_loss)
    >>> diagnose(learner, Sinusoids(), loss=lambda y_hat, y: (y_hat - y[:, 0]).square().mean()).faults
    ('the loss broadcasts',)
    """
    seen = {
        "the loss given to the doctor": _given_loss_broadcasts,
        "φ": _inner_loss_broadcasts,
        "the meta-loss": _outer_loss_broadcasts,
    }
    return tuple(name for name, is_seen in seen.items() if is_seen(patient))


def unread(patient: Any) -> tuple[str, ...]:
    """In words, how many examples of a support change phi, and of a query the direction, where some do not."""
    task, n_query = map_tasks(lambda t: t[0], patient.tasks), patient.tasks.query.x.shape[1]
    counted = {"support": _count(task.support.x.shape[0], lambda *at: _changes_phi(patient, task, *at))}
    if _descends(patient):
        counted["query"] = _count(n_query, lambda *at: _changes_direction(patient, *at))
    return tuple(
        f"{read} of {n} examples of the {role} change{'s' * (read == 1)} the answer"
        for role, (read, n) in counted.items()
        if 0 < read < n
    )


def _count(n: int, changes: Callable[[int, int], bool]) -> tuple[int, int]:
    return sum(any(changes(place, other) for other in range(TRIES)) for place in range(n)), n


def _put(batch: Batch, place: int, other: Batch, at: int) -> Batch:
    """A batch (example, ...) with another example at one place."""
    x, y = (part.clone() for part in batch)
    x[place], y[place] = other.x[at % len(other.x)], other.y[at % len(other.y)]
    return Batch(x, y)


def _changes_phi(patient: Any, task: Task, place: int, other: int) -> bool:
    stranger = Batch(*(t[other % len(t)] for t in patient.others.support))
    support = _put(task.support, place, stranger, place + other)
    return not same(patient.adapt(task._replace(support=support)), patient.phis[0], ROUNDING)


def _changes_direction(patient: Any, place: int, other: int) -> bool:
    x, y = (part.clone() for part in patient.tasks.query)
    first = _put(Batch(x[0], y[0]), place, Batch(*(t[other % len(t)] for t in patient.others.query)), place + other)
    x[0], y[0] = first
    return patient.notices(patient.tasks._replace(query=Batch(x, y)))


def _descends(patient: Any) -> bool:
    """Whether the direction is said to descend the query loss of every task."""
    return patient.claims != "no gradient" and not patient.left_out and float(norm(patient.answer[1])) > 0


def _dealt(y: Tensor, dim: int) -> list[Tensor]:
    """The labels dealt anew, in two ways; fewer where that leaves them as they are."""
    return [new for new in (y.roll(1, dim), y.flip(dim)) if not torch.equal(new, y)]


def _inner_loss_broadcasts(patient: Any) -> bool:
    """Another task's labels change phi, its own in any order do not, and for the right loss they would."""
    if patient.before is None or patient.stands_still:
        return False
    verdicts = [_misses_labels(patient, i) for i in range(patient.n_tasks)]
    return True in verdicts and False not in verdicts


def _misses_labels(patient: Any, i: int) -> bool | None:
    """The same of one task; None where it allows no verdict."""
    task, phi = map_tasks(lambda t: t[i], patient.tasks), patient.phis[i]
    orders = [task.support._replace(y=y) for y in _dealt(task.support.y, 0)]
    if not all(same(patient.adapt(task._replace(support=order)), phi, ROUNDING) for order in orders):
        return False
    moved = [name for name in phi if not torch.equal(phi[name], patient.before[name])]

    def slope(support: Batch) -> Params:
        g = gradient(lambda p: patient.error(p, support), patient.before)
        return {name: g[name] for name in moved}

    if not moved or any(same(slope(order), slope(task.support), ROUNDING) for order in orders):
        return None
    others = (task.support._replace(y=y) for y in patient.others.support.y)
    changed = any(not same(patient.adapt(task._replace(support=other)), phi, ROUNDING) for other in others)
    return True if orders and changed else None


def _outer_loss_broadcasts(patient: Any) -> bool:
    """The same of the direction and the labels of all queries."""
    if not _descends(patient):
        return False
    query = patient.tasks.query
    if not patient.notices(patient.tasks._replace(query=query._replace(y=patient.others.query.y))):
        return False  # they are not read at all
    errors = patient.losses(patient.phis, [Batch(*pair) for pair in zip(*query, strict=True)])
    orders = _dealt(query.y, 1)

    def is_missed(y: Tensor) -> bool:
        """By the right loss, at phi."""
        now = patient.losses(patient.phis, [Batch(*pair) for pair in zip(query.x, y, strict=True)])
        return bool((now - errors).norm() > 1e-9 * errors.norm())

    return bool(orders) and all(
        is_missed(y) and not patient.notices(patient.tasks._replace(query=query._replace(y=y))) for y in orders
    )


@torch.no_grad()
def _given_loss_broadcasts(patient: Any) -> bool:
    """The loss that the reader gave, on predictions that are all different."""
    task = map_tasks(lambda t: t[0], patient.tasks)
    y_hat, y = patient.learner.predict(patient.phis[0], task.support.x), task.support.y
    single = torch.Generator().manual_seed(0)
    y_hat = y_hat + torch.randn(y_hat.shape, generator=single, dtype=torch.float32).to(y_hat.dtype)
    loss, other = (patient.loss(y_hat, labels) for labels in (y, patient.others.support.y[0]))
    orders = [patient.loss(y_hat, new) for new in _dealt(y, 0)]

    def close(a: Tensor) -> bool:
        return bool((a - loss).abs() <= 1e-9 * loss.abs())

    return bool(orders) and not close(other) and all(close(order) for order in orders)
