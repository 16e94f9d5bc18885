"""A trained network as a place to look things up in: the nearest of the few examples, by what the network makes of x.

Nothing is adapted. phi is theta with the few examples of the task, and the prediction is the label of the nearest of
them, or of the nearest mean of a label (Snell et al. 2017, section 2.3). Any network can be read so, however it was
trained: `READOUTS` are the ways, and which one serves a network best is chosen like a step size.
"""

from functools import partial
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn.functional import cross_entropy, normalize, one_hot

from mapping_lib.checks import check_choice
from mapping_lib.task import Batch, Params

from .methods import Model
from .methods_online import Inner, train_on_splits

LAYERS, DISTANCES, NEAREST = ("hidden", "outputs", "probabilities"), ("euclid", "cosine"), ("example", "mean")


class Readout(NamedTuple):
    """Which ``layer`` is read, how far two are apart, and what the nearest is: an example, or the mean of a label."""

    layer: str = "hidden"
    distance: str = "euclid"
    nearest: str = "example"


READOUTS = tuple(Readout(*parts) for parts in product(LAYERS, DISTANCES, NEAREST))


def features(model: Model, params: Params, x: Tensor, layer: str, heads: int = 1) -> Tensor:
    """What one sequence's network 64-40-n makes of ``x (example, 64)``: ``(example, feature)``.

    "hidden" are its 40 hidden units. "outputs" and "probabilities" are those of the first ``heads`` heads, one after
    the other; heads that nobody trained are best left out. Raises ValueError for another layer.
    """
    if check_choice("layer", layer, LAYERS) == "hidden":
        return (x @ params["0.weight"].T + params["0.bias"]).relu()
    outputs = [model.predict(params, x, head) for head in range(heads)]
    return torch.cat([out.softmax(-1) if layer == "probabilities" else out for out in outputs], -1)


def nearest_label(kept: Batch, x: Tensor, readout: Readout, n_way: int) -> Tensor:
    """The label of what is nearest among the ``kept``, for features ``(..., example, feature)`` of both.

    >>> kept = Batch(torch.tensor([[0.0, 0.0], [0.0, 10.0], [2.0, 4.0]]), torch.tensor([0, 0, 1]))
    >>> [nearest_label(kept, torch.tensor([[0.0, 1.0]]), Readout(nearest=of), 2).item() for of in NEAREST]
    [0, 1]
    """
    places, labels = kept
    if readout.distance == "cosine":
        places, x = normalize(places, dim=-1), normalize(x, dim=-1)
    if readout.nearest == "mean":
        belongs = one_hot(labels, n_way).to(places.dtype).mT
        places = (belongs @ places) / belongs.sum(-1, keepdim=True)
        labels = torch.arange(n_way).expand(*places.shape[:-1])
        places = normalize(places, dim=-1) if readout.distance == "cosine" else places
    return labels.gather(-1, torch.cdist(x, places).argmin(-1))


def prototype_loss(model: Model, theta: Params, support: Batch, query: Batch, n_way: int, scale: float) -> Tensor:
    """Prototypical networks' objective, for one sequence: cross entropy of the query by the support's means.

    ``support`` and ``query`` lead with the task. With ``scale`` 0 the logits are minus squared distances (Snell et al.
    2017, eq. 2), otherwise so many times the cosine.
    """

    def of_one(support: Batch, query: Batch) -> Tensor:
        near, asked = (model.predict(theta, part.x, 0) for part in (support, query))
        belongs = one_hot(support.y, n_way).to(near.dtype).T
        means = (belongs @ near) / belongs.sum(-1, keepdim=True)
        if scale:
            logits = scale * normalize(asked, dim=-1) @ normalize(means, dim=-1).T
        else:
            logits = -(asked[:, None] - means).square().sum(-1)
        return cross_entropy(logits, query.y)

    return vmap(of_one)(support, query).mean()


def train_prototypes(model: Model, starts: Params, tasks: Batch, inner: Inner, *, scale: float, **settings) -> Params:
    """A prototypical network on a fixed set of tasks: steps of Adam, each on a new split; ``settings`` as for MAML."""
    objective = partial(prototype_loss, model, n_way=inner.n_way, scale=scale)
    return train_on_splits(objective, starts, tasks, inner, **settings)
