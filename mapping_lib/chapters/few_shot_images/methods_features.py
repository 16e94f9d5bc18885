"""A learner on top of features: the body of a network stays as it is while the last layer adapts."""

import torch
from torch import Tensor, nn
from torch.func import grad_and_value, vjp

from mapping_lib.checks import check_batch, check_tasks
from mapping_lib.inner_loop import Loss, strict
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.many_tasks import in_plain_words, one_each
from mapping_lib.networks import dtype_of, functional
from mapping_lib.over_tasks import over_tasks
from mapping_lib.params import prefixed
from mapping_lib.task import Batch, Params, Task

BODY, HEAD = "body.", "head."
"""What the names of theta begin with: the weights of the body; the meta-parameters of the learner on top."""


def on_features(body: nn.Module, learner: MetaLearner, loss: Loss) -> MetaLearner:
    """Let ``learner`` learn each task from f(x) in place of x, where f is the network ``body``, the same for all tasks.

    phi is f's weights, untouched, and what ``learner`` makes of (f(x), y). With MAML on one linear layer this is ANIL
    (Raghu et al. 2020, section 4), faster than `gradient.anil`: no gradient runs through the body at adaptation, and
    all tasks' examples are embedded at once. With joint training's body and a fresh layer it is fine-tuning a new head;
    with `prototypes.prototypical` on None, a nearest centroid in f's features. The direction is the exact gradient of
    the mean query ``loss``, for the body too, unless that is frozen: then it is no part of theta. theta and phi have
    the body's names after ``body.`` and the learner's after ``head.``; f(x) is flattened. Raises what
    `networks.functional` and the learner raise.

    >>> from mapping_lib.learners.gradient import maml
    >>> ce = nn.functional.cross_entropy
    >>> learner = on_features(nn.Linear(8, 3), maml(nn.Linear(3, 2), ce, alpha=1.0), ce)
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> phi = learner.adapt(theta, Batch(torch.rand(4, 8), torch.tensor([0, 0, 1, 1])))
    >>> [name for name in phi if not torch.equal(phi[name], theta[name])]
    ['head.weight', 'head.bias']
    """
    model, loss = functional(body, may_be_frozen=True), strict(loss)

    def features(theta: Params, x: Tensor) -> Tensor:
        return model.predict(_part(theta, BODY), x).flatten(1)

    def init(*, generator: torch.Generator) -> Params:
        return prefixed(BODY, model.init(generator=generator)) | prefixed(HEAD, learner.init(generator=generator))

    def adapt(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        check_batch("support", support, dtype=dtype_of(model, _part(theta, BODY), support), whole_x=model.reads_tokens)
        seen = Batch(features(theta, support.x), support.y)
        return prefixed(BODY, _part(theta, BODY)) | prefixed(HEAD, learner.adapt(_part(theta, HEAD), seen, steps=steps))

    def predict(phi: Params, x: Tensor) -> Tensor:
        return learner.predict(_part(phi, HEAD), features(phi, x))

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_tasks(tasks, dtype=dtype_of(model, _part(theta, BODY), tasks.query), whole_x=model.reads_tokens)

        def embed(theta: Params) -> list[Tensor]:
            return [features(theta, b.x.flatten(0, 1)).unflatten(0, b.x.shape[:2]) for b in tasks[:2]]

        def one_task(head: Params, seen: Tensor, asked: Tensor, support_y: Tensor, query_y: Tensor) -> Tensor:
            return loss(learner.predict(learner.adapt(head, Batch(seen, support_y)), asked), query_y)

        # by the chain rule, as in `through_writing`: no gradient is taken around all tasks' adaptation
        embedded, pull_back = vjp(embed, theta)
        head = one_each(_part(theta, HEAD), len(tasks.query.x))
        per_task = grad_and_value(one_task, argnums=(0, 1, 2))
        with in_plain_words():
            slopes, value = over_tasks(per_task, head, *embedded, tasks.support.y, tasks.query.y)
        (direction,) = pull_back([s / len(value) for s in slopes[1:]])
        return value.mean(), direction | prefixed(HEAD, {name: s.mean(0) for name, s in slopes[0].items()})

    return MetaLearner(init, adapt, predict, meta_grad, "exact")


def _part(params: Params, prefix: str) -> Params:
    return {name.removeprefix(prefix): p for name, p in params.items() if name.startswith(prefix)}


def whitening(features: Tensor, classes: Tensor, ridge: float = 0.3) -> Tensor:
    """A matrix W such that, within a class, no direction of ``features @ W`` scatters more than another.

    With C the covariance of ``features (example, feature)`` about the means of their ``classes (example,)``, W is
    (C + ridge * mean(diag C) * I)^(-1/2): what differs from print to print of one letter is made small, and counts
    less in a distance (Fisher's discriminant, before its last step). The ridge keeps directions small that scatter by
    too few examples.

    >>> features = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([10.0, 1.0])
    >>> (features @ whitening(features, torch.arange(4000) % 2, ridge=0.0)).std(0).round(decimals=1).tolist()
    [1.0, 1.0]
    """
    kinds, place = classes.unique(return_inverse=True)
    counts = place.bincount(minlength=len(kinds))[:, None]
    means = features.new_zeros(len(kinds), features.shape[1]).index_add_(0, place, features) / counts
    away = features - means[place]
    covariance = away.T @ away / len(away)
    floor = ridge * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=covariance.dtype)
    values, vectors = torch.linalg.eigh(covariance + floor)
    return vectors * values.clamp(min=1e-9).rsqrt() @ vectors.T
