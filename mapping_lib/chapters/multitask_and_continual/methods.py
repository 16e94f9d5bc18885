"""Tasks that come one after the other: (phi, T_i, what was kept of T_1 ... T_i-1) -> phi'.

Everything runs for many sequences at once: tensors lead with ``(sequence, task)`` or, of one task, with
``(sequence,)``. A prediction is ``predict(params, x, task)``, for one sequence: which head answers may hang on the
number of the task. What distinguishes the methods is what they descend:

sequential            the loss of the current task
rehearsal             the mean over the tasks so far, of which only a few examples of each old one are kept
joint                 the mean over all tasks at once: there is no "one after the other" any more
EWC                   the loss of the current task, and a pull towards what old tasks need

`methods_online` descends the loss *after adaptation* instead.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.func import grad, vmap

from mapping_lib import inner_loop
from mapping_lib.checks import check_count, check_number
from mapping_lib.networks import functional
from mapping_lib.task import Batch, Params
from mapping_lib.twice import check_norms

from .family import of_task

Predict = Callable[[Params, Tensor, int], Tensor]
"""(params, x, task) -> y_hat of one sequence; ``task`` counts from 0."""

Loss = Callable[[Tensor, Tensor], Tensor]


class Model(NamedTuple):
    """A network for a sequence of tasks. ``init(n, generator=g)`` gives fresh parameters for ``n`` sequences."""

    init: Callable[..., Params]
    predict: Predict
    loss: Loss


def sequence_model(network: nn.Module, loss: Loss, *, heads: int = 1) -> Model:
    """A network that answers for all tasks with one head, or with as many ``heads`` as there are tasks.

    With several heads the network's outputs are dealt out among them in order, and task i reads head i: whoever
    judges must then say which task an example belongs to. Raises ValueError for heads below 1 and an unfit network.

    >>> from mapping_lib.networks import mlp
    >>> model = sequence_model(mlp((64, 40, 5 * 2)), nn.functional.cross_entropy, heads=5)
    >>> params = model.init(3, generator=torch.Generator().manual_seed(0))
    >>> params["0.weight"].shape, vmap(model.predict, (0, None, None))(params, torch.zeros(7, 64), 4).shape
    (torch.Size([3, 40, 64]), torch.Size([3, 7, 2]))
    """
    check_count("heads", heads, at_least=1)
    model, loss = functional(network), inner_loop.strict(loss)
    check_norms(model.module)  # `methods_online` takes the gradient around all sequences

    def init(n: int, *, generator: Generator) -> Params:
        drawn = [model.init(generator=generator) for _ in range(n)]
        return {name: torch.stack([params[name] for params in drawn]) for name in model.shapes}

    def predict(params: Params, x: Tensor, task: int) -> Tensor:
        y_hat = model.predict(params, x)
        return y_hat if heads == 1 else y_hat.unflatten(-1, (heads, -1))[..., task, :]

    return Model(init, predict, loss)


# What is descended ------------------------------------------------------------------------------------


def mean_loss(model: Model, params: Params, batches: Mapping[int, Batch]) -> Tensor:
    """Multi-task learning's objective, for one sequence: the mean over tasks of L_i(params).

    ``batches[i]`` are the examples of task i. Each task counts the same, whatever the number of its examples.
    """
    return torch.stack([objective_of(model, i, batch)(params) for i, batch in batches.items()]).mean()


def objective_of(model: Model, task: int, batch: Batch) -> inner_loop.Objective:
    """The loss of one task, as a function of the parameters."""
    return lambda params: model.loss(model.predict(params, batch.x, task), batch.y)


class Anchor(NamedTuple):
    """What an old task leaves behind for EWC: the parameters that solved it, and how much it needs each of them."""

    params: Params
    importance: Params


def pull(params: Params, anchors: Sequence[Anchor]) -> Tensor:
    """EWC's penalty for one sequence, without its lambda: the sum over old tasks of 1/2 F_k (params_k - params*_k)^2.

    Kirkpatrick et al. 2017, eq. 3, with a penalty of its own for each old task.

    >>> anchor = Anchor({"w": torch.tensor([1.0, 1.0])}, {"w": torch.tensor([4.0, 0.0])})
    >>> pull({"w": torch.tensor([2.0, 9.0])}, [anchor])
    tensor(2.)
    """
    parts = [(a.importance[n] * (p - a.params[n]).square()).sum() for a in anchors for n, p in params.items()]
    return 0.5 * torch.stack(parts).sum()


def fisher(model: Model, params: Params, x: Tensor, task: int) -> Params:
    """The diagonal of the Fisher information of class probabilities, for one sequence, by parameter.

    F_k = mean over x of sum over y of p(y|x) (d log p(y|x) / d params_k)^2: the expectation over the model's own
    answers, exactly.
    """

    def log_p(params: Params, one: Tensor, label: int) -> Tensor:
        return model.predict(params, one[None], task)[0].log_softmax(-1)[label]

    total = {name: torch.zeros_like(p) for name, p in params.items()}
    p = model.predict(params, x, task).softmax(-1)
    for label in range(p.shape[-1]):
        slopes = vmap(grad(lambda w, one, label=label: log_p(w, one, label)), (None, 0))(params, x)
        for name, s in slopes.items():
            total[name] = total[name] + torch.einsum("e,e...->...", p[:, label], s.square()) / len(x)
    return total


# How it is descended ----------------------------------------------------------------------------------


def minimise_each(objective: Callable, starts: Params, stream: Iterable, *, lr: float) -> Params:
    """Descend ``objective(params, data)`` by Adam, one step for each ``data`` of the stream, in every sequence.

    ``starts`` and data lead with the sequence dimension; ``objective`` sees one sequence. Every sequence has an
    Adam of its own (Kingma & Ba 2015, algorithm 1).

    >>> to_targets = [torch.tensor([3.0, -1.0])] * 400
    >>> minimise_each(lambda p, y: (p["w"] - y) ** 2, {"w": torch.zeros(2)}, to_targets, lr=0.1)["w"]
    tensor([ 3.0000, -1.0000])
    """
    params = {name: p.detach().clone().requires_grad_() for name, p in starts.items()}
    adam = torch.optim.Adam(params.values(), lr=check_number("lr", lr, above=0), fused=True)
    for data in stream:
        adam.zero_grad()
        vmap(objective)(params, data).sum().backward()
        adam.step()
    return {name: p.detach() for name, p in params.items()}


def train_jointly(model: Model, starts: Params, tasks: Batch, *, steps: int, lr: float) -> Params:
    """Train on all tasks at once: ``steps`` steps of Adam down `mean_loss`."""
    check_count("steps", steps, at_least=0)
    everything = {i: of_task(tasks, i) for i in range(tasks.x.shape[1])}
    return minimise_each(lambda p, seen: mean_loss(model, p, seen), starts, repeat(everything, steps), lr=lr)


def train_in_sequence(
    model: Model, starts: Params, tasks: Batch, *, steps: int, lr: float, kept: int = 0, penalty: float = 0.0
) -> Iterator[Params]:
    """Train on one task after the other, ``steps`` steps of Adam each; yield the parameters after each task.

    ``kept`` is how many examples of every old task stay in memory and are rehearsed; with all of them, each phase is
    joint training on what was seen. ``penalty`` is EWC's lambda. With neither, this is plain sequential training.
    """
    check_count("steps", steps, at_least=0)
    check_count("kept", kept, at_least=0)
    check_number("penalty", penalty, at_least=0)
    params, anchors = starts, []

    def objective(params: Params, known: tuple[dict[int, Batch], list[Anchor]]) -> Tensor:
        seen, anchors = known
        return mean_loss(model, params, seen) + (penalty * pull(params, anchors) if anchors else 0.0)

    for now in range(tasks.x.shape[1]):
        memory = {i: of_task(tasks, i, kept) for i in range(now)} if kept else {}
        current = of_task(tasks, now)
        params = minimise_each(objective, params, repeat((memory | {now: current}, anchors), steps), lr=lr)
        if penalty:
            importance = vmap(lambda p, x, now=now: fisher(model, p, x, now))(params, current.x)
            anchors = [*anchors, Anchor(params, importance)]
        yield params


# How good it is ---------------------------------------------------------------------------------------


def errors(model: Model, params: Params, query: Batch, error: Loss) -> Tensor:
    """The error ``(sequence, task)`` of each sequence's parameters on each of its tasks."""
    with torch.no_grad():
        return torch.stack([errors_on(model, params, query, i, error) for i in range(query.x.shape[1])], 1)


def errors_on(model: Model, params: Params, query: Batch, task: int, error: Loss) -> Tensor:
    """The error ``(sequence,)`` of each sequence's parameters on one of its tasks."""
    return vmap(lambda p, q: error(model.predict(p, q.x, task), q.y))(params, of_task(query, task))
