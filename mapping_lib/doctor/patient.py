"""A learner under examination: what it is asked, each time from a fresh copy of theta."""

from collections.abc import Callable, Iterator
from functools import cached_property

import torch
from torch import Tensor

from mapping_lib.params import copied, difference, norm
from mapping_lib.task import Batch, Params, Task, join

TOLERANCE = 1e-4
"""Relative error up to which two float64 results count as equal; central differences are good to about 1e-8."""


class Patient:
    """A learner with the tasks it is examined on. Every question starts from a fresh copy of theta."""

    def __init__(self, learner, theta, tasks, others, many, loss, evaluate, probes) -> None:
        self.learner, self.theta, self.loss, self.evaluate = learner, theta, loss, evaluate
        self.tasks, self.others, self.many, self.probes = tasks, others, many, probes
        self.claims, self.n_tasks = learner.claims, len(tasks.query.x)

    def meta_grad(self, tasks: Task | None = None, theta: Params | None = None) -> tuple[float, Params]:
        """The learner's meta-loss, as a number, and its direction."""
        theta = copied(self.theta if theta is None else theta)
        meta_loss, direction = self.learner.meta_grad(theta, self.tasks if tasks is None else tasks)
        return float(meta_loss), copied(direction)

    def adapt(self, task: Task) -> Params:
        """phi of one task, cut off from theta."""
        return copied(self.learner.adapt(copied(self.theta), task.support, description=task.description))

    def error(self, phi: Params, batch: Batch) -> Tensor:
        """The loss of one phi on one batch."""
        return self.loss(self.learner.predict(phi, batch.x), batch.y)

    @cached_property
    def answer(self) -> tuple[float, Params]:
        """What `meta_grad` says of the tasks."""
        return self.meta_grad()

    @cached_property
    def phis(self) -> list[Params]:
        """phi of every task."""
        return [self.adapt(task) for task in each(self.tasks)]

    @cached_property
    def before(self) -> Params | None:
        """theta as parameters that can predict, where phi has names of theta's."""
        phi = self.phis[0]
        if all(name in self.theta and p.shape == self.theta[name].shape for name, p in phi.items()):
            return {name: self.theta[name] for name in phi}
        return None

    @cached_property
    def stands_still(self) -> bool:
        """Whether phi is theta for every task."""
        return self.before is not None and all(same(phi, self.before) for phi in self.phis)

    @cached_property
    def drift(self) -> float:
        """How much the meta-loss changes when nothing has: above 0, the learner remembers."""
        again = [self.meta_grad()[0] for _ in range(3)]
        return max(abs(value - self.answer[0]) / max(abs(self.answer[0]), 1e-300) for value in again)

    @cached_property
    def remembers(self) -> bool:
        """Whether the same call, made again after other tasks, gives another answer."""
        first = self.phis[0]
        self.adapt(one(self.others, 0))
        return not same(self.adapt(one(self.tasks, 0)), first) or self.drift > 1e-9

    @cached_property
    def left_out(self) -> list[int]:
        """The tasks whose query changes nothing, or nothing beyond what changes by itself."""
        return [i for i in range(self.n_tasks) if not self._query_counts(i)]

    def _query_counts(self, i: int) -> bool:
        x, y = (part.clone() for part in self.tasks.query)
        x[i], y[i] = self.others.query.x[i], self.others.query.y[i]
        if self.remembers and y.is_floating_point():
            y[i] *= 30.0  # loud enough to be heard above the drift
        answer = self.meta_grad(self.tasks._replace(query=Batch(x, y)))
        if not self.remembers:
            return not same_answer(answer, self.answer)
        return abs(answer[0] - self.answer[0]) > 5 * self.drift * abs(self.answer[0])

    @cached_property
    def measure(self) -> tuple[str, str, tuple[str, ...]]:
        """What the meta-loss of a single task is: its name, the batch judged after adaptation, the fault."""
        tasks = [only(self.tasks, i) for i in range(self.n_tasks)]
        values = torch.tensor([self.meta_grad(task)[0] for task in tasks], dtype=torch.float64)
        for name, role, faults, losses in self._known_losses():
            for times in (1, 2):  # 2: two batches of a task, summed
                if bool((values - times * losses).abs().max() <= TOLERANCE * values.abs().max()):
                    return name, role, faults
        return "", "", ()

    def _known_losses(self) -> Iterator[tuple[str, str, tuple[str, ...], Tensor]]:
        tasks = list(each(self.tasks))
        batches = {"query": [t.query for t in tasks], "support": [t.support for t in tasks]}
        for role, fault in (("query", ()), ("support", ("judged on the support",))):
            yield f"the {role} loss after adaptation", role, fault, self.losses(self.phis, batches[role])
        if self.before is not None:
            batches["support and query"] = [join(t.support, t.query) for t in tasks]
            for role, of in batches.items():
                losses = self.losses([self.before] * len(tasks), of)
                yield f"the {role} loss of θ itself", "", ("judged before adaptation",), losses

    @torch.no_grad()
    def losses(self, params: list[Params], batches: list[Batch]) -> Tensor:
        """One loss a task: every phi on its batch, ``(task,)``."""
        return torch.stack([self.error(p, b) for p, b in zip(params, batches, strict=True)]).double()


def map_tasks(change: Callable[[Tensor], Tensor], tasks: Task) -> Task:
    """Apply one change to every tensor of the tasks."""
    support, query = (Batch(change(batch.x), change(batch.y)) for batch in (tasks.support, tasks.query))
    return Task(support, query, change(tasks.description))


def one(tasks: Task, i: int) -> Task:
    """Task i, without the task dimension."""
    return map_tasks(lambda t: t[i], tasks)


def only(tasks: Task, i: int) -> Task:
    """Task i alone, with the task dimension."""
    return map_tasks(lambda t: t[i : i + 1], tasks)


def each(tasks: Task) -> Iterator[Task]:
    """The tasks one by one, without the task dimension."""
    return (one(tasks, i) for i in range(len(tasks.support.x)))


def wide(t: Tensor) -> Tensor:
    """Floating numbers in float64; whole numbers as they are."""
    return t.detach().double() if t.is_floating_point() else t


def same(a: Params, b: Params, tolerance: float = 1e-12) -> bool:
    """Equal but for rounding."""
    return bool(norm(difference(a, b)) <= tolerance * norm(b))


def same_answer(a: tuple[float, Params], b: tuple[float, Params]) -> bool:
    """Equal meta-loss and equal direction, but for rounding."""
    return abs(a[0] - b[0]) <= 1e-9 * abs(b[0]) and same(a[1], b[1], 1e-9)
