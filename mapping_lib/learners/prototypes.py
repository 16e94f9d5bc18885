"""Prototypical networks: a class is the mean of its examples' embeddings, S -> phi without a step."""

import torch
from torch import Tensor, nn
from torch.func import grad_and_value, vmap

from mapping_lib.checks import check_batch, check_count, check_labels, check_tasks
from mapping_lib.learners import MetaLearner
from mapping_lib.networks import dtype_of, functional
from mapping_lib.task import Batch, Params, Task

PROTOTYPES, SEEN = "prototypes", "seen"
"""The names under which phi keeps the class means ``(n_way, embedding)``, and which classes had an example."""


def prototypical(network: nn.Module | None, n_way: int) -> MetaLearner:
    """Prototypical network (Snell et al. 2017, eqs. 1 and 2): the class whose mean embedding is nearest.

    phi is theta, the weights of the embedding f = ``network``, with the prototypes c_k = mean of f(x) over the
    support examples of class k. ``predict`` gives logits ``(example, n_way)``, -|f(x) - c_k|²: -inf for a class
    that the support lacks, 0 for all where the support is empty. The direction is the exact gradient of the mean
    cross entropy on the query, through the prototypes. With ``None`` for a network f(x) is x, theta is empty, and
    this is the nearest centroid of the raw features; a frozen network is no part of theta. Labels are whole numbers
    0 ... n_way - 1; x is ``(example, feature ...)``. Raises ValueError for n_way below 1 and for labels of another
    kind.

    >>> learner = prototypical(None, n_way=2)
    >>> support = Batch(torch.tensor([[0.0], [2.0], [5.0]]), torch.tensor([1, 1, 0]))
    >>> learner.predict(learner.adapt({}, support), torch.tensor([[2.0]]))
    tensor([[-9., -1.]])
    """
    check_count("n_way", n_way, at_least=1)
    model = None if network is None else functional(network, may_be_frozen=True)

    def embed(theta: Params, x: Tensor) -> Tensor:
        return (x if model is None else model.predict({name: theta[name] for name in model.shapes}, x)).flatten(1)

    def adapt(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        dtype = _dtype(theta, support)
        check_batch("support", support, dtype=dtype, whole_x=model is not None and model.reads_tokens)
        check_labels("support", support, ndim=1)
        return theta | _prototypes(embed(theta, support.x), support.y, n_way)

    def predict(phi: Params, x: Tensor) -> Tensor:
        return _logits(embed(phi, x), phi)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_tasks(tasks, dtype=_dtype(theta, tasks.query), whole_x=model is not None and model.reads_tokens)
        for name, batch in (("tasks.support", tasks.support), ("tasks.query", tasks.query)):
            check_labels(name, batch, ndim=2)

        def meta_loss(theta: Params) -> Tensor:
            # one network for all tasks: embed all their examples at once, then take the tasks apart
            support, query = (embed(theta, b.x.flatten(0, 1)).unflatten(0, b.y.shape) for b in tasks[:2])
            phi = vmap(lambda embedded, y: _prototypes(embedded, y, n_way))(support, tasks.support.y)
            return nn.functional.cross_entropy(vmap(_logits)(query, phi).flatten(0, 1), tasks.query.y.flatten())

        direction, value = grad_and_value(meta_loss)(theta)
        return value, direction

    def _dtype(theta: Params, batch: Batch) -> torch.dtype:
        return batch.x.dtype if model is None else dtype_of(model, theta, batch)

    init = (lambda *, generator: {}) if model is None else model.init
    return MetaLearner(init, adapt, predict, meta_grad, "exact")


def _prototypes(embedded: Tensor, y: Tensor, n_way: int) -> Params:
    one_hot = (y[:, None] == torch.arange(n_way, device=y.device)).to(embedded.dtype)
    counts = one_hot.sum(0)
    return {PROTOTYPES: one_hot.T @ embedded / counts.clamp(min=1)[:, None], SEEN: counts > 0}


def _logits(embedded: Tensor, phi: Params) -> Tensor:
    distance = (embedded[:, None] - phi[PROTOTYPES]).square().sum(-1)
    logits = torch.where(phi[SEEN], -distance, -torch.inf)
    return torch.where(phi[SEEN].any(), logits, torch.zeros_like(logits))
