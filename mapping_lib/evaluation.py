"""How good is a learner? Error by inner step, over many tasks, with intervals."""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_count, check_drawn, check_family, check_generator
from mapping_lib.data_checks import not_finite, not_scaled
from mapping_lib.inner_loop import mean_squared_error, strict
from mapping_lib.learners import MetaLearner
from mapping_lib.over_tasks import over_tasks, stacked
from mapping_lib.task import Batch, Params, Task, TaskFamily

DIVERGED_TIMES = 10.0
"""A task has diverged where its error exceeds this many times the median error before adaptation."""

TASKS_AT_ONCE = 100
"""How many tasks are judged in one go. More is no faster, and a transformer's layers fill the memory."""

Error = Callable[[Tensor, Tensor], Tensor]
"""(y_hat, y) of one task -> a tensor without dimensions."""


class ErrorByStep(NamedTuple):
    """Query errors after 0, 1, ... inner steps: ``per_task`` is ``(task, steps + 1)``, the rest ``(steps + 1,)``.

    No task is ever dropped: an error that is not finite counts as infinite, and makes the mean so.
    ``low`` and ``high`` bound the mean by its 95 % interval over tasks, mean -+ 1.96 standard errors.
    ``diverged`` is the share of tasks whose error is not finite or above `DIVERGED_TIMES` the median
    error before adaptation.
    """

    per_task: Tensor
    mean: Tensor
    median: Tensor
    low: Tensor
    high: Tensor
    diverged: Tensor


def summarise(per_task: Tensor) -> ErrorByStep:
    """Summarise errors ``(task, steps + 1)`` by inner step.

    >>> errors = summarise(torch.tensor([[4.0, 1.0], [4.0, 3.0], [4.0, float("nan")]]))
    >>> errors.mean, errors.median, errors.diverged
    (tensor([4., inf]), tensor([4., 3.]), tensor([0.0000, 0.3333]))
    """
    per_task = torch.where(torch.isfinite(per_task), per_task, torch.inf)
    mean = per_task.mean(0)
    half = (1.96 * per_task.std(0, correction=1) / len(per_task) ** 0.5).nan_to_num(nan=torch.inf)
    low = torch.where(mean.isinf(), -torch.inf, mean - half)
    ordered, n = per_task.sort(0).values, len(per_task)
    median = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2  # `Tensor.quantile` gives nan where the middle is infinite
    diverged = (per_task.isinf() | (per_task > DIVERGED_TIMES * median[0])).float().mean(0)
    return ErrorByStep(per_task, mean, median, low, mean + half, diverged)


def evaluate_by_step(
    learner: MetaLearner,
    theta: Params,
    family: TaskFamily,
    *,
    k_shot: int,
    steps: int,
    n_tasks: int,
    generator: Generator,
    n_query: int = 100,
    error: Error = mean_squared_error,
) -> ErrorByStep:
    """Adapt ``theta`` to fresh tasks and measure the query error after 0 ... ``steps`` steps.

    A family may draw a list of groups, for tasks of several sizes (`learners.uneven`); errors stand in its order.
    ``error(y_hat, y)`` judges one task and gives a tensor without dimensions; for class labels, for example
    ``lambda y_hat, y: (y_hat.argmax(-1) != y).float().mean()``. Give two learners generators of the same
    seed and they meet the same tasks. ``k_shot`` may be 0, which leaves theta as it is. Raises ValueError
    for counts out of range. Warns where an error is not finite and the data themselves are not, or ask to be scaled.

    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> from mapping_lib.learners.gradient import maml
    >>> from mapping_lib.networks import mlp
    >>> learner = maml(mlp((1, 40, 40, 1)), torch.nn.functional.mse_loss)
    >>> g = torch.Generator().manual_seed(0)
    >>> theta = learner.init(generator=g)
    >>> evaluate_by_step(learner, theta, Sinusoids(), k_shot=5, steps=3, n_tasks=9, generator=g).mean.shape
    torch.Size([4])
    """
    check_count("k_shot", k_shot, at_least=0)
    check_count("steps", steps, at_least=0)
    tasks = check_drawn(_sampled(family, n_tasks, k_shot, n_query, generator), groups=True)
    errors = []
    with torch.no_grad():
        for group in tasks if isinstance(tasks, list) else [tasks]:
            path = adaptation_path(learner, theta, group.support, group.description, steps)
            errors.append(query_errors(learner, path, group.query, error))
    return summarise(_looked_at(torch.cat(errors, 1).T, tasks))


def evaluate_by_shots(
    learner: MetaLearner,
    theta: Params,
    family: TaskFamily,
    *,
    shots: Sequence[int],
    n_tasks: int,
    generator: Generator,
    steps: int | None = None,
    n_query: int = 100,
    error: Error = mean_squared_error,
) -> ErrorByStep:
    """Adapt ``theta`` to fresh tasks and measure the query error with each number of examples in ``shots``.

    Columns are numbers of examples where `evaluate_by_step` has numbers of steps. The tasks are the same in all
    columns, and of their examples the first K are shown. ``steps`` is given to the learner's ``adapt``; None
    leaves it to the learner. Raises ValueError for counts out of range.

    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> from mapping_lib.learners.gradient import maml
    >>> from mapping_lib.networks import mlp
    >>> learner = maml(mlp((1, 40, 40, 1)), torch.nn.functional.mse_loss)
    >>> g = torch.Generator().manual_seed(0)
    >>> theta = learner.init(generator=g)
    >>> evaluate_by_shots(learner, theta, Sinusoids(), shots=(0, 5, 10), n_tasks=9, generator=g).mean.shape
    torch.Size([3])
    """
    if len(shots) == 0:
        raise ValueError(f"shots is {shots!r}; allowed: one number of examples or more")
    for i, k_shot in enumerate(shots):
        check_count(f"shots[{i}]", k_shot, at_least=0)
    if steps is not None:
        check_count("steps", steps, at_least=0)
    tasks = check_drawn(_sampled(family, n_tasks, max(shots), n_query, generator))
    columns = []
    with torch.no_grad():
        for k_shot in shots:
            support = Batch(*(part[:, :k_shot] for part in tasks.support))
            phi = _adapted(learner, theta, support, tasks.description, steps)
            columns.append(query_errors(learner, {name: p[None] for name, p in phi.items()}, tasks.query, error)[0])
    return summarise(_looked_at(torch.stack(columns, 1), tasks))


def _sampled(family: TaskFamily, n_tasks: int, k_shot: int, n_query: int, generator: Generator) -> Task:
    check_count("n_tasks", n_tasks, at_least=2)
    check_count("n_query", n_query, at_least=1)
    check_family("family", family)
    return family.sample(n_tasks, k_shot, n_query, generator=check_generator(generator))


def _looked_at(errors: Tensor, tasks: Task) -> Tensor:
    """The errors as they are; where some are not finite, and the data may be to blame, a warning says so."""
    if not errors.isfinite().all() and (blame := not_finite(tasks) or not_scaled(tasks)):
        warnings.warn(f"some errors are not finite. {blame}", stacklevel=3)
    return errors


def _adapted(learner: MetaLearner, theta: Params, support: Batch, description: Tensor, steps: int | None) -> Params:
    """phi for several tasks; by ``adapt_path`` where there is one and it is known how far, as it is faster."""
    if learner.adapt_path is not None and steps is not None:
        return {name: p[-1] for name, p in learner.adapt_path(theta, support, steps=steps).items()}
    one = lambda support, description: learner.adapt(theta, support, description=description, steps=steps)  # noqa: E731
    return over_tasks(one, support, description)


def adaptation_path(learner: MetaLearner, theta: Params, support: Batch, description: Tensor, steps: int) -> Params:
    """phi after 0 ... ``steps`` steps for several tasks: tensors that lead with ``(steps + 1, task)``.

    Uses the learner's own ``adapt_path``, or where it has none calls ``adapt`` once for each number of
    steps.
    """
    if learner.adapt_path is not None:
        return learner.adapt_path(theta, support, steps=steps)

    phis = [_adapted(learner, theta, support, description, i) for i in range(steps + 1)]
    if steps == 0:  # a view: what all tasks have in common (a transformer's weights) is not copied for each
        return {name: p[None] for name, p in phis[0].items()}
    return stacked(phis)


def query_errors(learner: MetaLearner, path: Params, query: Batch, error: Error = mean_squared_error) -> Tensor:
    """The error ``(steps + 1, task)`` of every phi of ``path`` on its task's query."""

    error = strict(error)

    def one_task(phi: Params, query: Batch) -> Tensor:
        return error(learner.predict(phi, query.x), query.y)

    # one step and some tasks at a time: all at once would not fit the processor's cache
    n_steps = len(next(iter(path.values())))
    phis = ({name: p[step] for name, p in path.items()} for step in range(n_steps))
    return torch.stack([over_tasks(one_task, phi, query, at_once=TASKS_AT_ONCE) for phi in phis])
