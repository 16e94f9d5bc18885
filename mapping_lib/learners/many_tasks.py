"""From one task to many: exact meta-gradients, the iterates of all tasks, and learners made of steps."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from mapping_lib.checks import check_batch, check_count, check_tasks, check_theta
from mapping_lib.learners import MetaLearner
from mapping_lib.networks import FunctionalNetwork
from mapping_lib.over_tasks import over_tasks, stacked
from mapping_lib.task import Batch, Params, Task


def through_adaptation(adapt, predict, loss: Callable, theta: Params, tasks: Task) -> tuple[Tensor, Params]:
    """Differentiate each task's query loss at phi = adapt(theta, support) by theta, and average.

    Returns (meta_loss, direction). Finn et al. 2017, algorithm 1, line 8.

    >>> support, query = (Batch(torch.ones(4, 1, 1), torch.full((4, 1, 1), y)) for y in (2.0, 3.0))
    >>> adapt = lambda theta, support: {"w": theta["w"] + support.y.mean()}
    >>> predict, loss = (lambda phi, x: phi["w"] * x), torch.nn.functional.mse_loss
    >>> through_adaptation(adapt, predict, loss, {"w": torch.tensor(0.0)}, Task(support, query, torch.zeros(4, 1)))
    (tensor(1.), {'w': tensor(-2.)})
    """

    def task_loss(theta: Params, support: Batch, query: Batch) -> Tensor:
        return loss(predict(adapt(theta, support), query.x), query.y)

    # all tasks stand outside of grad: with grad(vmap(...)) torch 2.13 gives wrong second derivatives of
    # layer and batch normalisation, without a word
    per_task = torch.func.grad_and_value(task_loss)
    with in_plain_words():
        direction, value = over_tasks(per_task, one_each(theta, len(tasks.query.x)), tasks.support, tasks.query)
    return value.mean(), {name: d.mean(0) for name, d in direction.items()}


def through_writing(write, finish, predict, loss: Callable, theta: Params, tasks: Task) -> tuple[Tensor, Params]:
    """The same for a learner that first *writes* parameters, phi = finish(write(theta, task), support).

    By the chain rule: each task's gradient by the written parameters, pulled back through ``write``. theta,
    which may be a hundred times as large as phi, is then not differentiated once for every task.

    >>> support, query = (Batch(torch.ones(4, 1, 1), torch.full((4, 1, 1), y)) for y in (2.0, 3.0))
    >>> write = lambda theta, task: {"w": theta["v"] * task.description.sum()}
    >>> stay, predict = (lambda phi, support: phi), (lambda phi, x: phi["w"] * x)
    >>> tasks = Task(support, query, torch.ones(4, 2))
    >>> through_writing(write, stay, predict, torch.nn.functional.mse_loss, {"v": torch.tensor(1.0)}, tasks)
    (tensor(1.), {'v': tensor(-4.)})
    """

    def task_loss(written: Params, support: Batch, query: Batch) -> Tensor:
        return loss(predict(finish(written, support), query.x), query.y)

    written, pull_back = torch.func.vjp(lambda theta: over_tasks(lambda task: write(theta, task), tasks), theta)
    with in_plain_words():
        slopes, value = over_tasks(torch.func.grad_and_value(task_loss), written, tasks.support, tasks.query)
    (direction,) = pull_back({name: s / len(value) for name, s in slopes.items()})
    return value.mean(), direction


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Say in one sentence, a ValueError, where PyTorch cannot differentiate a network as MAML asks, and what can."""
    try:
        yield
    except (RuntimeError, NotImplementedError) as problem:
        for pattern, sentence in CANNOT.items():
            if match := re.search(pattern, str(problem)):
                raise ValueError(sentence.format(*match.groups())) from problem
        raise


CANNOT = {
    r"derivative for '?(?:aten::)?(\w+?)_backward'? is not implemented": (
        "network or loss computes {}, of which PyTorch has no second derivative; allowed: another layer or loss (for"
        " attention nn.MultiheadAttention), or fomaml or reptile, which need none"
    ),
    "setup_context": (
        "network has an autograd.Function of the older kind, which torch.func cannot differentiate; allowed: one with"
        " setup_context, or PyTorch's own layers"
    ),
    "saved tensor hooks": (
        "network computes parts of itself anew in the backward pass (a checkpoint), which torch.func cannot;"
        " allowed: the same without checkpoints"
    ),
    "data pointer of Tensor that doesn't have storage": (
        "network or loss looks at a tensor's memory (packed sequences, numpy), which torch.func cannot; allowed:"
        " padded sequences, PyTorch's own functions"
    ),
}
"""What PyTorch says, and what it means here."""


def paths_of_all(path_of_one: Callable, theta: Params, support: Batch) -> Params:
    """Every tensor of phi after 0 ... ``steps`` steps, for several tasks: ``(steps + 1, task, ...)``.

    ``path_of_one(theta, support)`` gives one task's, ``(steps + 1, ...)``. No gradient is kept.

    >>> halve = lambda theta, support: {"w": theta["w"] / torch.tensor([1.0, 2.0])}
    >>> paths_of_all(halve, {"w": torch.tensor(8.0)}, Batch(torch.ones(3, 1, 1), torch.ones(3, 1, 1)))["w"].shape
    torch.Size([2, 3])
    """
    with torch.no_grad():
        paths = over_tasks(path_of_one, one_each(theta, len(support.x)), support)
    return {name: p.transpose(0, 1) for name, p in paths.items()}


def one_each(params: Params, n_tasks: int) -> Params:
    """Give every task its own view of ``params``: under vmap an LSTM refuses weights shared by all tasks.

    >>> one_each({"w": torch.zeros(2)}, 25)["w"].shape
    torch.Size([25, 2])
    """
    return {name: p.expand(n_tasks, *p.shape) for name, p in params.items()}


def learner_by_steps(
    model: FunctionalNetwork, loss: Callable, *, init: Callable, iterates: Callable, steps: int, shapes: Mapping
) -> MetaLearner:
    """Make a learner of what one task's adaptation passes through; its direction is the exact meta-gradient.

    ``iterates(theta, support, steps)`` gives phi after 0 ... ``steps`` steps as a list; it is not asked for steps
    on an empty support, where adaptation stays at its start. ``steps`` is how many are taken by default, ``shapes``
    the names and shapes of theta. ``adapt`` and ``adapt_path`` raise ValueError for what does not fit them.

    >>> from mapping_lib.networks import functional, mlp
    >>> net = functional(mlp((1, 1)))
    >>> stay = lambda theta, support, steps: [theta] * (steps + 1)
    >>> mse = torch.nn.functional.mse_loss
    >>> lazy = learner_by_steps(net, mse, init=net.init, iterates=stay, steps=1, shapes=net.shapes)
    >>> theta = lazy.init(generator=torch.Generator().manual_seed(0))
    >>> lazy.adapt(theta, Batch(torch.ones(3, 1), torch.ones(3, 1))) == theta
    True
    """

    default = steps

    def path(theta: Params, support: Batch, steps: int) -> list[Params]:
        if support.x.shape[0] == 0:  # no evidence: stay where you are
            return iterates(theta, support, 0) * (steps + 1)
        return iterates(theta, support, steps)

    def adapt(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        steps = check_count("steps", default if steps is None else steps, at_least=0)
        check_batch("support", support, dtype=check_theta(theta, shapes), whole_x=model.reads_tokens)
        return path(theta, support, steps)[-1]

    def adapt_path(theta: Params, support: Batch, *, steps: int) -> Params:
        check_count("steps", steps, at_least=0)
        check_batch("support", support, dtype=check_theta(theta, shapes), ndim=3, whole_x=model.reads_tokens)
        return paths_of_all(lambda theta, support: stacked(path(theta, support, steps)), theta, support)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_tasks(tasks, dtype=check_theta(theta, shapes), whole_x=model.reads_tokens)
        return through_adaptation(adapt, model.predict, loss, theta, tasks)

    return MetaLearner(init, adapt, model.predict, meta_grad, "exact", adapt_path)
