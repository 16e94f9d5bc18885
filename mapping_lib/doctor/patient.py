"""A learner under examination: what it is asked, each time from a fresh copy of theta."""

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from mapping_lib.doctor.examples import broadcasts, unread
from mapping_lib.doctor.sharing import COARSE, ROUNDING, counts_unevenly, sharing
from mapping_lib.doctor.steps import Alphas, descend, fewer_steps, rebuilt_steps, same, slope_where_it_moves
from mapping_lib.params import copied, flat, norm
from mapping_lib.task import Batch, Params, Task, each, join, map_tasks

TOLERANCE = 1e-4
"""Relative error up to which two float64 results count as equal; central differences are good to about 1e-8."""

STEP_BY_STEP = "a weighted sum of the query losses"
EARLY = STEP_BY_STEP + " before the last inner step"


class Patient:
    """A learner with the tasks it is examined on. Every question starts from a fresh copy of theta."""

    is_widened = False

    def __init__(self, learner, theta, tasks, many, loss, evaluate, probes, is_trained, steps=None) -> None:
        self.arguments = (learner, theta, tasks, many, loss, evaluate, probes, is_trained, steps)
        self.learner, self.theta, self.loss, self.evaluate = learner, theta, loss, evaluate
        self.tasks, self.many, self.probes, self.is_trained = tasks, many, probes, is_trained
        self.steps = steps
        self.claims, self.n_tasks = learner.claims, len(tasks.query.x)
        self.others = map_tasks(lambda t: t[: self.n_tasks], many)

    def widened(self) -> "Patient":
        """The same, before any question, to be asked while `widening.Widening` is entered."""
        again = Patient(*self.arguments)
        again.is_widened = True
        return again

    def meta_grad(self, tasks: Task | None = None, theta: Params | None = None) -> tuple[float, Params]:
        """The learner's meta-loss, as a number, and its direction."""
        theta = copied(self.theta if theta is None else theta)
        meta_loss, direction = self.learner.meta_grad(theta, self.tasks if tasks is None else tasks)
        if self.claims != "no gradient":
            _check_wide({"the meta-loss": meta_loss} | direction)
        return float(meta_loss), copied(direction)

    def adapt(self, task: Task, steps: int | None = None) -> Params:
        """phi of one task, cut off from theta; after the learner's own number of steps, or after ``steps``."""
        asked = {} if steps is None else {"steps": steps}
        return copied(self.learner.adapt(copied(self.theta), task.support, description=task.description, **asked))

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
        first, scale = self.answer[0], max(abs(self.answer[0]), 1e-300)
        drift = abs(self.meta_grad()[0] - first) / scale
        return max([drift, *(abs(self.meta_grad()[0] - first) / scale for _ in range(3 if drift > 0 else 0))])

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

    @property
    def some_left_out(self) -> bool:
        """Whether some tasks count and some do not."""
        return 0 < len(self.left_out) < self.n_tasks

    def _query_counts(self, i: int) -> bool:
        """Whether another query for task i is noticed; a mere count of mistakes may stay the same: try several."""
        tries = len(self.many.query.x) if self.remembers or self.claims == "no gradient" else 1
        return any(self._notices_query(i, other) for other in range(tries))

    def _notices_query(self, i: int, other: int) -> bool:
        x, y = (part.clone() for part in self.tasks.query)
        x[i], y[i] = self.many.query.x[other], self.many.query.y[other]
        if not self.remembers:
            return self.notices(self.tasks._replace(query=Batch(x, y)))
        if y.is_floating_point():
            y[i] *= 1e6  # loud enough to be heard above the drift
        value = self.meta_grad(self.tasks._replace(query=Batch(x, y)))[0]
        return abs(value - self.answer[0]) > 5 * self.drift * abs(self.answer[0])

    def notices(self, tasks: Task) -> bool:
        """Whether these tasks change what is descended: the direction, or any part where it is no gradient."""
        answer = self.meta_grad(tasks)
        if self.claims != "no gradient" and float(norm(self.answer[1])) > 0:
            return not same(answer[1], self.answer[1])
        return not same_answer(answer, self.answer, 1e-12)

    @cached_property
    def loose_labels(self) -> tuple[str, ...]:
        """Who does not miss labels that are dealt to other examples; not asked of a learner that remembers."""
        return () if self.remembers else broadcasts(self)

    @cached_property
    def unread(self) -> tuple[str, ...]:
        """Examples that change nothing, in words; not asked of a learner that remembers."""
        return () if self.remembers else unread(self)

    @property
    def leak(self) -> str:
        """How it is seen that the answer for one task depends on other tasks; empty where it does not."""
        return self.coupling[1]

    @cached_property
    def coupling(self) -> tuple[str, str]:
        """How the answer for one task depends on other tasks: the fault, and what shows it; empty where it does not."""
        if self.remembers:
            return "tasks leak", "the same call, made again, gave another answer"
        if self.some_left_out:
            x, y = (part.clone() for part in self.tasks.support)  # their order chooses who counts: ask otherwise
            for i in self.left_out:
                x[i], y[i] = self.others.support.x[i], self.others.support.y[i]
            if self.notices(self.tasks._replace(support=Batch(x, y))):
                return "tasks leak", "a support changes the answer, though its query does not count"
            return "", ""
        rounding = COARSE if self.claims == "no gradient" else ROUNDING
        kind = {"up_to_length": self._asks_for_direction, "rounding": rounding}
        shared = sharing(self._asked, self.tasks, self.others, **kind)
        if shared[0] and shared[0] != "tasks leak":
            return shared
        reverse = self.meta_grad(map_tasks(lambda t: t.flip(0), self.tasks))
        if same_answer(reverse, self.answer, 1e-6):
            return shared
        if not shared[0] and counts_unevenly(self._asked, self.tasks, self.others):
            return "tasks count unevenly", "the place of a task in the batch is its weight"
        return "tasks leak", "their order changes the answer"

    def _asked(self, tasks: Task) -> Tensor:
        """What is a sum over tasks: the meta-loss, or a direction that is no gradient of it."""
        meta_loss, direction = self.meta_grad(tasks)
        return flat(direction) if self._asks_for_direction else torch.tensor([meta_loss], dtype=torch.float64)

    @property
    def _asks_for_direction(self) -> bool:
        return self.claims == "no gradient" and len(self.theta) > 0

    def single(self, i: int) -> Task:
        """Task i by itself; as often as there are tasks where some are left out: then one of them counts."""
        return map_tasks(lambda t: t[[i] * (self.n_tasks if self.some_left_out and not self.leak else 1)], self.tasks)

    @cached_property
    def measure(self) -> tuple[str, str, tuple[str, ...]]:
        """What the meta-loss of a single task is: its name, the batch judged after adaptation, the fault.

        A constant factor is allowed: a sum in place of a mean, or one half of the squared error.
        """
        values = torch.tensor([self.meta_grad(self.single(i))[0] for i in range(self.n_tasks)], dtype=torch.float64)
        for name, role, faults, losses in self._known_losses():
            factor = (values / losses).median()
            room = TOLERANCE * values.abs() + 1e-9 * values.abs().max()
            if factor > 0 and bool(((values - factor * losses).abs() <= room).all()):
                return name + ("" if abs(factor - 1) <= TOLERANCE else f", times {factor:.3g}"), role, faults
        explained = self.some_left_out or self.remembers or self.loose_labels or self.unread
        name = "" if explained else over_steps(self.weights)
        return name, "query" if name else "", ("not the query loss after adaptation",) * (name == EARLY)

    def judged(self, i: int) -> list[tuple[float, Params]]:
        """The weights and the parameters with which the query of task i is judged: phi, or those after every step."""
        if not self.measure[0].startswith(STEP_BY_STEP):
            return [(1.0, self.phis[i])]
        return list(zip(self.weights, self.path(one(self.tasks, i)), strict=True))

    @cached_property
    def weights(self) -> list[float]:
        """The weight of the query loss after each inner step, where the meta-loss is a sum of these; else empty."""
        n_steps = len(self.path(one(self.tasks, 0)))
        n = n_steps + 3
        if n_steps < 2 or n > len(self.many.query.x):
            return []
        rows, values = [], []
        for i in range(n):
            task = one(self.many, i)
            path = self.path(task)
            if len(path) != n_steps:
                return []
            rows.append(self.losses(path, [task.query] * n_steps))
            values.append(self.meta_grad(map_tasks(lambda t, i=i: t[i : i + 1], self.many))[0])
        return weights_of(torch.stack(rows), torch.tensor(values, dtype=torch.float64))

    def path(self, task: Task) -> list[Params]:
        """phi after every inner step, where it can be known; else empty."""
        if self.before is None or self.stands_still:
            return []
        phi = self.adapt(task)
        if self.obeys:
            return fewer_steps(self.adapt, task, phi) or []
        if self.rebuilt is None:
            return []
        slope = slope_where_it_moves(lambda p: self.error(p, task.support), self.before, phi)
        path = descend(slope, self.before, self.rebuilt)
        return path if same(path[-1], phi, 1e-7) else []

    @cached_property
    def obeys(self) -> bool:
        """Whether adapt takes as many steps as it is asked for."""
        task = one(self.tasks, 0)
        try:
            return not same(self.adapt(task, 1), self.adapt(task, 2))
        except TypeError:  # adapt of a reader's own, without the argument
            return False

    @cached_property
    def rebuilt(self) -> Alphas | None:
        """The sizes of inner steps down the doctor's loss that end at phi; any task may show them."""
        for task, phi in zip(each(self.tasks), self.phis, strict=True):
            slope = slope_where_it_moves(lambda p, task=task: self.error(p, task.support), self.before, phi)
            alphas = rebuilt_steps(slope, self.before, phi)
            if alphas is not None:
                return alphas
        return None

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


def weights_of(losses: Tensor, values: Tensor) -> list[float]:
    """The weights with which rows of losses, one for every step, sum up to the values; empty where none do.

    The last weight is zero where the earlier steps explain the values as well.
    """
    misses, found = [], []
    for used in (losses[:, :-1], losses):
        weights = torch.linalg.lstsq(used, values, driver="gelsd").solution
        misses.append(float((used @ weights - values).norm() / values.norm()))
        found.append([*weights.tolist(), *[0.0] * (losses.shape[1] - used.shape[1])])
    if not (misses[1] <= 1e-7 and sum(found[1]) > 0):
        return []
    return found[0] if misses[0] <= 100 * misses[1] else found[1]


def over_steps(weights: list[float]) -> str:
    """A meta-loss that sums over steps, in words; empty without weights."""
    if not weights:
        return ""
    return STEP_BY_STEP + " after every inner step" if weights[-1] else EARLY


def one(tasks: Task, i: int) -> Task:
    """Task i, without the task dimension."""
    return map_tasks(lambda t: t[i], tasks)


def wide(t: Tensor) -> Tensor:
    """Floating numbers in float64, whole ones in int64; booleans as they are."""
    if t.is_floating_point():
        return t.detach().double()
    return t if t.dtype == torch.bool else t.long()


def _check_wide(named: dict[str, Tensor | float]) -> None:
    for name, t in named.items():
        if isinstance(t, Tensor) and t.is_floating_point() and t.dtype != torch.float64:
            raise TypeError(f"{name} came back in {t.dtype}, too coarse to be measured: keep the dtype of θ")


def same_answer(a: tuple[float, Params], b: tuple[float, Params], tolerance: float) -> bool:
    """Equal meta-loss and equal direction, but for rounding."""
    return abs(a[0] - b[0]) <= tolerance * abs(b[0]) and same(a[1], b[1], tolerance)
