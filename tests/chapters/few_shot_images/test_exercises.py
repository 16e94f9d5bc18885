"""The exercises of chapter 4a: wrong answers are told what is wrong, right ones may be written in any way."""

import numpy as np
import torch
from answers import judged

from mapping_lib.chapters.few_shot_images import exercises


def in_place(prototype, k, embedded):
    prototype *= k
    prototype += embedded
    return prototype.div_(k + 1)


def into_the_new_one(prototype, k, embedded):
    return embedded.add_(k * prototype).div_(k + 1)


test_one_more = judged(
    exercises.check_one_more,
    wrong={
        "stands for k examples, not for one": lambda prototype, k, embedded: (prototype + embedded) / 2,
        "there are k + 1 examples now": lambda prototype, k, embedded: (k * prototype + embedded) / max(k, 1),
        "times k it is the sum": lambda prototype, k, embedded: (prototype + embedded) / (k + 1),
        "not the new one": lambda prototype, k, embedded: (prototype + k * embedded) / (k + 1),
        "added whole": lambda prototype, k, embedded: prototype + embedded,
        "was changed in place": in_place,
        "make a new tensor": into_the_new_one,
        "with k = 2, for the mean of all k + 1 embeddings, you give": lambda prototype, k, embedded: (
            k * prototype / (k + 1)
        ),
        "you give [nan, nan, nan, nan]": lambda prototype, k, embedded: (prototype + embedded / k) * k / (k + 1),
        "yours has the shape (2, 4)": lambda prototype, k, embedded: torch.stack([prototype, embedded]),
    },
    right={
        "a step towards the new one": lambda prototype, k, embedded: prototype + (embedded - prototype) / (k + 1),
        "float32": lambda prototype, k, embedded: torch.lerp(prototype.float(), embedded.float(), 1 / (k + 1)),
        "NumPy": lambda prototype, k, embedded: np.average([prototype, embedded], axis=0, weights=[k, 1]),
        "a list": lambda prototype, k, embedded: [
            (k * p + e) / (k + 1) for p, e in zip(prototype, embedded, strict=True)
        ],
    },
)


def centred(prototypes):
    """A shift that all classes share drops out of the softmax."""
    middle = prototypes.mean(0)
    return 2 * (prototypes - middle), middle.square().sum() - prototypes.square().sum(1)


def as_a_layer(prototypes):
    layer = torch.nn.Linear(prototypes.shape[1], len(prototypes))
    with torch.no_grad():
        layer.weight.copy_(2 * prototypes)
        layer.bias.copy_(-(prototypes.norm(dim=1) ** 2))
    return layer.weight, layer.bias


def by_numpy(prototypes):
    c = prototypes.numpy()
    return 2 * c, -np.einsum("nf,nf->n", c, c)


def by_lists(prototypes):
    rows = prototypes.tolist()
    return [[2 * a for a in row] for row in rows], [-sum(a * a for a in row) for row in rows]


test_linear = judged(
    exercises.check_linear,
    wrong={
        "the answers agree; the confidences do not": lambda c: (c, -c.square().sum(1) / 2),
        "some points get another answer": lambda c: (2 * c, torch.zeros(len(c))),
        "some points get another answer than": lambda c: (2 * c, -c.norm(dim=1)),
        "some points get another answer than by": lambda c: (c, -c.square().sum(1)),
        "some points get another answer than by distance": lambda c: (2 * c, c.square().sum(1)),
        "the sign": lambda c: (-2 * c, c.square().sum(1)),
        "weight (n_way, feature) should be numbers of shape (2, 3)": lambda c: (2 * c.T, -c.square().sum(1)),
        "bias (n_way,) should be numbers of shape (2,)": lambda c: (2 * c, -c.square().sum(1, keepdim=True)),
        "and yours has the shape (3,)": lambda c: (2 * c, -c.square().sum(0)),
        "return two things": lambda c: 2 * c,
    },
    right={
        "about the middle": centred,
        "an nn.Linear's, float32": as_a_layer,
        "NumPy": by_numpy,
        "lists": by_lists,
    },
)


def alone(predict, x):
    return torch.cat([predict(x[i : i + 1]) for i in range(len(x))])


def in_another_order(predict, x):
    order = torch.arange(len(x) - 1, -1, -1)
    return not torch.allclose(predict(x[order])[order], predict(x), atol=1e-4)


def without_one(predict, x):
    """Leave each out in turn: the others may not notice."""
    together = predict(x)
    rest = [torch.arange(len(x)) != i for i in range(len(x))]
    return bool(max((predict(x[keep]) - together[keep]).abs().max() for keep in rest) > 1e-4)


def with_others(predict, x):
    together = predict(x)
    return np.bool_(
        any(
            not np.allclose(predict(torch.cat([x[i : i + 1], 10 * x]))[0], together[i], atol=1e-4)
            or not np.allclose(predict(x[i][None])[0], together[i], atol=1e-4)
            for i in range(len(x))
        )
    )


test_company = judged(
    exercises.check_company,
    wrong={
        "should give False": lambda predict, x: not torch.equal(predict(x), alone(predict, x)),
        "centred by the batch should give True": lambda predict, x: (
            not torch.allclose(predict(torch.cat([x, x]))[: len(x)], predict(x), atol=1e-4)
        ),
        "each with the next one, if there is one should give True": lambda predict, x: (
            not torch.allclose(predict(x[-1:]), predict(x)[-1:], atol=1e-4)
        ),
        "centred by the images before should give True": lambda predict, x: (
            not torch.allclose(predict(x[:1]), predict(x)[:1], atol=1e-4)
        ),
        "divided by the largest in the batch should give True": lambda predict, x: bool(
            (predict(x).argmax(1) != alone(predict, x).argmax(1)).any()
        ),
        "works centred by the batch should": in_another_order,
        "works centred by the batch": lambda predict, x: bool((predict(x).sum() - alone(predict, x).sum()).abs() > 100),
        "works each image by itself should give False": lambda predict, x: torch.allclose(
            predict(x), alone(predict, x), atol=1e-4
        ),
        "a hundredth nearer to the batch's mean should give True": lambda predict, x: (
            not torch.allclose(predict(x), alone(predict, x), atol=0.1)
        ),
        "one True or False, and yours has the shape (6,)": lambda predict, x: (
            (predict(x) - alone(predict, x)).abs() > 1e-4
        ).any(1),
        "True or False, and yours is 3": lambda predict, x: 3,
        "your code stopped with": lambda predict, x: bool(
            (predict(x) - torch.stack([predict(row) for row in x])).abs().max() > 1e-4
        ),
    },
    right={
        "a boolean tensor": lambda predict, x: ((predict(x) - alone(predict, x)).abs() > 1e-4).any(),
        "NumPy, float64": lambda predict, x: (
            np.abs(predict(x).double().numpy() - alone(predict, x).double().numpy()).max() > 1e-5
        ),
        "stacked, in float64": lambda predict, x: bool(
            (predict(x) - torch.stack([predict(row[None])[0] for row in x])).double().norm() > 1e-4
        ),
        "leave one out": without_one,
        "among others": with_others,
        "0 or 1": lambda predict, x: int(not torch.allclose(predict(x), alone(predict, x), atol=1e-4)),
    },
)
