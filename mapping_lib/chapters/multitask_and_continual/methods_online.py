"""Meta-learning on the few tasks of a sequence, all at once or as they come: (theta, S_i) -> phi_i.

theta is judged after adaptation, and each task starts from theta itself. As in `methods`, everything runs for many
sequences at once, by Adam.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.func import vmap

from mapping_lib import inner_loop
from mapping_lib.checks import check_count, check_generator
from mapping_lib.task import Batch, Params, Task

from .family import of_task
from .methods import Loss, Model, errors_on, minimise_each, objective_of


class Inner(NamedTuple):
    """How meta-learning adapts, and how it practises: ``k_shot`` examples of a task as support, ``n_query`` as query.

    Both are whole rounds of ``n_way`` examples, one of each label, so that a support is balanced. With ``relabel``
    the labels of every task are dealt anew in every split: many tasks are made of few (Rajendran et al. 2020).
    """

    alpha: float
    steps: int
    k_shot: int
    n_query: int
    n_way: int = 1
    relabel: bool = False


def mean_loss_after(model: Model, theta: Params, support: Batch, query: Batch, inner: Inner) -> Tensor:
    """Meta-learning's objective, for one sequence: the mean over tasks of L_i(U(theta, S_i)), U being inner steps.

    ``support`` and ``query`` lead with the task. Finn et al. 2017, section 2.2, just above eq. 1, on a fixed set
    of tasks.
    """

    def one_task(support: Batch, query: Batch, task: Tensor) -> Tensor:
        phi = inner_loop.adapt(theta, objective_of(model, task, support), alpha=inner.alpha, steps=inner.steps)
        return objective_of(model, task, query)(phi)

    return vmap(one_task)(support, query, torch.arange(len(query.x))).mean()


def episode(tasks: Batch, inner: Inner, *, generator: Generator) -> tuple[Batch, Batch]:
    """Split the examples of tasks ``(sequence, task, example, ...)`` into a support and a query, at random.

    All tasks are split alike, and nothing is in both. Raises ValueError where there are too few examples.

    >>> inner = Inner(alpha=0.1, steps=3, k_shot=10, n_query=20, n_way=2)
    >>> tasks = Batch(torch.zeros(20, 4, 40, 64), torch.zeros(20, 4, 40))
    >>> support, query = episode(tasks, inner, generator=torch.Generator().manual_seed(0))
    >>> support.x.shape, query.y.shape
    (torch.Size([20, 4, 10, 64]), torch.Size([20, 4, 20]))
    """
    n, wanted = tasks.x.shape[2], inner.k_shot + inner.n_query
    if wanted > n:
        raise ValueError(f"k_shot + n_query is {wanted}; allowed: at most {n}, the examples of a task")
    rounds = torch.randperm(n // inner.n_way, generator=check_generator(generator))
    order = (rounds[:, None] * inner.n_way + torch.arange(inner.n_way)).flatten()
    chosen = order[: inner.k_shot], order[inner.k_shot : wanted]
    if inner.relabel:
        dealt = torch.rand((*tasks.y.shape[:2], inner.n_way), generator=generator, dtype=torch.float32).argsort(-1)
        tasks = Batch(tasks.x, dealt.gather(-1, tasks.y))
    return tuple(Batch(*(part[:, :, places] for part in tasks)) for places in chosen)


def meta_train_each(model: Model, starts: Params, tasks: Batch, inner: Inner, **settings) -> Params:
    """MAML on a fixed set of tasks: down `mean_loss_after`, with the ``settings`` of `train_on_splits`."""
    return train_on_splits(partial(mean_loss_after, model, inner=inner), starts, tasks, inner, **settings)


def train_on_splits(
    objective: Callable, starts: Params, tasks: Batch, inner: Inner, *, steps: int, lr: float, generator: Generator
) -> Params:
    """Descend ``objective(theta, support, query)`` by ``steps`` steps of Adam, each on a new split of the tasks."""
    stream = (episode(tasks, inner, generator=generator) for _ in range(check_count("steps", steps, at_least=0)))
    return minimise_each(lambda theta, drawn: objective(theta, *drawn), starts, stream, lr=lr)


def follow_the_meta_leader(
    model: Model, starts: Params, tasks: Batch, inner: Inner, *, remember: bool = True, **settings
) -> Iterator[Params]:
    """Online MAML: with each task that comes, go on to meta-train, on all tasks so far; yield theta after each.

    Follow the meta-leader (Finn et al. 2019): all examples of old tasks are kept. Without ``remember`` none is, and
    theta practises the current task alone. ``settings`` are those of `train_on_splits`, its ``steps`` for each task.
    """
    theta = starts
    for now in range(tasks.x.shape[1]):
        seen = Batch(*(part[:, 0 if remember else now : now + 1] for part in tasks))
        theta = meta_train_each(model, theta, seen, inner, **settings)
        yield theta


def errors_after(
    model: Model, theta: Params, tasks: Task, error: Loss, *, on: Sequence[int], k_shot: int, alpha: float, steps: int
) -> Tensor:
    """The error ``(sequence, task)`` on the tasks of these numbers, to each of which theta is adapted first.

    Adaptation takes ``steps`` inner steps on the first ``k_shot`` examples of a task's support. Each task starts from
    theta itself, which stays as it was. Raises ValueError for counts out of range.
    """
    check_count("k_shot", k_shot, at_least=1)
    check_count("steps", steps, at_least=0)

    def adapted(task: int) -> Params:
        one = lambda p, s: inner_loop.adapt(p, objective_of(model, task, s), alpha=alpha, steps=steps)  # noqa: E731
        return vmap(one)(theta, of_task(tasks.support, task, k_shot))

    with torch.no_grad():
        return torch.stack([errors_on(model, adapted(i), tasks.query, i, error) for i in on], 1)
