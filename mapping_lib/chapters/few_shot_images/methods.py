"""The methods of chapter 4a and how each is trained: a class from one or five images of it.

All methods have the same convolutional body (three layers of `FILTERS`), or none. They are trained on Latin and
Cyrillic and judged on Armenian and Georgian. Step sizes and numbers of steps were chosen on Greek, for all methods in
the same way (`TUNED`; `study_tuning` chooses them). What each would be with another's head is in `study_seeds`.

method            theta                                       adapts
pixel 1-NN        none                                        nothing
from scratch      random weights                              all layers, by Adam
joint training    the body, trained on all letters at once    a new last layer, by gradient steps
joint features    the same body                               nothing: nearest centroid of its features
joint, cosine     an embedding, trained on all letters        nothing: nearest centroid of its directions
MAML              where gradient steps begin                  all layers, by gradient steps
ANIL              a body and where the last layer begins      the last layer, by gradient steps
prototypical      an embedding                                nothing: nearest centroid of what it gives

MAML and ANIL have one theta for 5 ways and one for 20, trained with one shot, and used for five shots too.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mapping_lib.checks import check_choice
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.baselines import joint_adam, nearest_neighbour
from mapping_lib.learners.gradient import maml
from mapping_lib.learners.prototypes import prototypical
from mapping_lib.networks import conv_net
from mapping_lib.params import prefixed
from mapping_lib.study import shipped_theta
from mapping_lib.task import Batch, Params, TaskFamily
from mapping_lib.worlds.letters import Glyphs

from .methods_cosine import OnSphere
from .methods_features import BODY, HEAD, on_features

FILTERS, EMBEDDING, FEATURES = (16, 32, 32), 64, 512
"""The layers of the body; the length of the prototypical network's embedding; how many numbers the body gives."""

cross_entropy = nn.functional.cross_entropy


class Source(NamedTuple):
    """Where tasks come from: ``episodes(part, n_way, jitter)``, and all classes of "train", always in one order."""

    episodes: Callable[[str, int, float], TaskFamily]
    all_classes: Callable[[], TaskFamily]
    n_classes: int


GLYPHS = Source(
    lambda part, n_way, jitter: Glyphs(part, n_way=n_way, jitter=jitter),
    lambda: Glyphs("train", n_way=332, relabel=False),
    332,
)


class Tuned(NamedTuple):
    """What was chosen on the validation alphabet for adaptation with K examples: the step size and the steps."""

    alpha: float
    steps: int


TUNED: dict[tuple[str, int, int], Tuned] = {
    ("from scratch", 5, 1): Tuned(0.003, 40),
    ("from scratch", 5, 5): Tuned(0.003, 40),
    ("joint training", 5, 1): Tuned(0.001, 10),
    ("joint training", 5, 5): Tuned(0.001, 10),
    ("joint training", 20, 1): Tuned(0.003, 10),
    ("joint training", 20, 5): Tuned(0.01, 50),
    ("MAML", 5, 1): Tuned(0.1, 20),
    ("MAML", 5, 5): Tuned(0.1, 10),
    ("MAML", 20, 1): Tuned(0.3, 3),
    ("MAML", 20, 5): Tuned(0.1, 20),
    ("ANIL", 5, 1): Tuned(0.3, 20),
    ("ANIL", 5, 5): Tuned(0.3, 50),
    ("ANIL", 20, 1): Tuned(0.3, 10),
    ("ANIL", 20, 5): Tuned(0.3, 50),
}
"""The steps chosen for (method, N, K). What is not chosen for 20 ways is that of 5 ways."""

JUDGED_WAYS = (5, 20)
"""The numbers of classes that MAML and ANIL have a theta for: their last layer has so many outputs."""

# Learners ---------------------------------------------------------------------------------------------


def body() -> nn.Sequential:
    """The convolutional layers, without the last linear one."""
    return conv_net(1, FILTERS)[:-1]


def embedding(norm: str = "none", n_way: int = 5) -> MetaLearner:
    """A prototypical network whose embedding is normalised in one of the ways of `networks.conv_net`."""
    return prototypical(conv_net(EMBEDDING, FILTERS, norm=norm), n_way)


def directions(n_way: int = 5) -> MetaLearner:
    """A prototypical network whose embedding is put on a sphere: the nearest centroid by the cosine.

    >>> learner = directions(2)
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> support = Batch(torch.rand(2, 1, 28, 28), torch.arange(2))
    >>> phi = learner.adapt(theta, support)
    >>> [round(float(length), 3) for length in phi["prototypes"].norm(dim=1)]
    [2.236, 2.236]
    """
    return prototypical(nn.Sequential(*conv_net(EMBEDDING, FILTERS), OnSphere()), n_way)


def _last_layer(n_way: int, **steps: float) -> MetaLearner:
    return on_features(body(), maml(nn.Linear(FEATURES, n_way), cross_entropy, **steps), cross_entropy)


# Where they start -------------------------------------------------------------------------------------

Read = Callable[[str], Params]
"""A trained theta, by its name in `study_training.TRAINING`."""


def glyphs_theta(name: str) -> Params:
    """A shipped theta by its name in `study_training.TRAINING`, in 32 bits again.

    >>> {p.dtype for p in glyphs_theta("joint").values()}
    {torch.float32}
    """
    return {name: p.float() for name, p in shipped_theta(f"glyphs_{name}").items()}


def _joint_body(n_way: int, read: Read) -> Params:
    return prefixed(BODY, read("joint"))


def _joint_body_and_new_head(n_way: int, read: Read) -> Params:
    """A new last layer begins with no opinion."""
    shapes = {"weight": (n_way, FEATURES), "bias": (n_way,)}
    head = {name: torch.zeros(shape, dtype=torch.float32) for name, shape in shapes.items()}
    return _joint_body(n_way, read) | prefixed(HEAD, head)


def _trained_for_ways(method: str) -> Callable[[int, Read], Params]:
    def theta(n_way: int, read: Read) -> Params:
        if n_way not in JUDGED_WAYS:
            raise ValueError(f"n_way is {n_way}; allowed: {JUDGED_WAYS}, which {method} was trained for")
        return read(f"{method.lower()}_{n_way}way")

    return theta


# The table --------------------------------------------------------------------------------------------


class Method(NamedTuple):
    """One row of the table: a learner, where it starts, and the steps that were tried.

    ``make(n_way)`` gives the learner, of those that take steps ``make(n_way, alpha=..., steps=...)``. ``theta(n_way,
    read)`` is where it starts; None are random weights. ``choices`` are what `study_tuning` tries.
    """

    make: Callable[..., MetaLearner]
    theta: Callable[[int, Read], Params] | None
    choices: tuple[Tuned, ...] = ()


def _grid(alphas: tuple[float, ...], steps: tuple[int, ...]) -> tuple[Tuned, ...]:
    return tuple(Tuned(alpha, m) for alpha in alphas for m in steps)


METHODS = {
    "pixel 1-NN": Method(nearest_neighbour, lambda n_way, read: {}),
    "from scratch": Method(
        lambda n_way, **steps: joint_adam(conv_net(n_way, FILTERS), cross_entropy, **steps),
        None,
        _grid((0.003, 0.01), (10, 40)),
    ),
    "joint training": Method(_last_layer, _joint_body_and_new_head, _grid((0.001, 0.003, 0.01, 0.03, 0.1), (10, 50))),
    "joint features": Method(lambda n_way: on_features(body(), prototypical(None, n_way), cross_entropy), _joint_body),
    "joint, cosine": Method(directions, lambda n_way, read: read("joint_cosine")),
    "MAML": Method(
        lambda n_way, **steps: maml(conv_net(n_way, FILTERS), cross_entropy, **steps),
        _trained_for_ways("MAML"),
        _grid((0.1, 0.3), (3, 10, 20)),
    ),
    "ANIL": Method(_last_layer, _trained_for_ways("ANIL"), _grid((0.1, 0.3), (3, 10, 20, 50))),
    "prototypical": Method(lambda n_way: embedding(n_way=n_way), lambda n_way, read: read("prototypical")),
}
"""All methods, from those that learn nothing beforehand to those that learn to learn."""


def learner_of(method: str, n_way: int, k_shot: int = 1, tuned: Tuned | None = None) -> MetaLearner:
    """The learner of a method, with the steps ``tuned`` or else those chosen for K examples: for 1, or for 5 and more.

    >>> learner_of("prototypical", 5).claims
    'exact'
    """
    make = METHODS[check_choice("method", method, METHODS)].make
    shots = 5 if k_shot >= 5 else 1
    tuned = tuned or TUNED.get((method, 20 if n_way >= 20 else 5, shots), TUNED.get((method, 5, shots)))
    return make(n_way, **tuned._asdict()) if tuned else make(n_way)


def theta_of(method: str, n_way: int, read: Read = glyphs_theta, *, seed: int = 0) -> Params:
    """The theta that a method starts from; ``read`` gives a trained one by its name.

    ``seed`` is that of random weights, for "from scratch". Raises ValueError for MAML and ANIL with a number of ways
    that they were not trained for.
    """
    theta = METHODS[check_choice("method", method, METHODS)].theta
    if theta is None:
        return learner_of(method, n_way).init(generator=torch.Generator().manual_seed(seed))
    return theta(n_way, read)


def ready(method: str, n_way: int, k_shot: int = 1) -> tuple[MetaLearner, Params]:
    """A method as it is measured: its learner and its theta.

    ``learner.predict(learner.adapt(theta, support), x)`` gives logits ``(example, n_way)`` for images ``(example, 1,
    28, 28)``. Raises ValueError for an unknown method, and for MAML and ANIL with other than 5 or 20 ways.

    >>> learner, theta = ready("prototypical", 3)
    >>> from mapping_lib.task import Batch
    >>> support = Batch(torch.rand(3, 1, 28, 28), torch.arange(3))
    >>> learner.predict(learner.adapt(theta, support), torch.rand(7, 1, 28, 28)).shape
    torch.Size([7, 3])
    """
    return learner_of(method, n_way, k_shot), theta_of(method, n_way)


_ready = lru_cache(maxsize=64)(ready)


def can(method: str, n_way: int) -> bool:
    """Whether a method can tell so many classes apart.

    >>> can("MAML", 7), can("prototypical", 7)
    (False, True)
    """
    return method not in ("MAML", "ANIL") or n_way in JUDGED_WAYS


def confidences(method: str, n_way: int, support: Batch, x: Tensor) -> Tensor:
    """How sure a method is of each class, ``(query, n_way)``, rows adding up to 1: the softmax of its logits.

    For methods without training those are only minus a distance. Raises ValueError as `ready`.

    >>> support = Batch(torch.eye(3, 784).view(3, 1, 28, 28), torch.arange(3))
    >>> confidences("pixel 1-NN", 3, support, support.x).argmax(1)
    tensor([0, 1, 2])
    """
    learner, theta = _ready(method, n_way, len(support.y) // n_way)
    with torch.no_grad():
        return learner.predict(learner.adapt(theta, support), x).softmax(-1)
