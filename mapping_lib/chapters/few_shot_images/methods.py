"""The methods of chapter 4a and how each is trained: a class from one or five images of it.

All methods have the same convolutional body (three layers of `FILTERS`), or none. They are trained on Latin and
Cyrillic and judged on Armenian and Georgian. Step sizes and
numbers of steps were chosen on Greek, for all methods in the same way (`TUNED`; `study_tuning` chooses them).

method            theta                                       adapts
pixel 1-NN        none                                        nothing
from scratch      random weights                              all layers, by Adam
joint training    the body, trained on all letters at once    a new last layer, by gradient steps
joint features    the same body                               nothing: nearest centroid of its features
MAML              where gradient steps begin                  all layers, by gradient steps
ANIL              a body and where the last layer begins      the last layer, by gradient steps
prototypical      an embedding                                nothing: nearest centroid of what it gives

MAML and ANIL have one theta for 5 ways and one for 20, trained with one shot, and used for five shots too.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from mapping_lib.chapters.few_shot_images.methods_features import BODY, HEAD, on_features
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.baselines import joint, joint_adam, nearest_neighbour
from mapping_lib.learners.gradient import maml
from mapping_lib.learners.prototypes import prototypical
from mapping_lib.meta_training import meta_train
from mapping_lib.networks import conv_net
from mapping_lib.study import shipped_theta
from mapping_lib.task import Params, TaskFamily
from mapping_lib.worlds.letters import Glyphs

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
    ("ANIL", 5, 1): Tuned(0.3, 20),
    ("ANIL", 5, 5): Tuned(0.1, 20),
}
"""The steps chosen for (method, N, K). What is not chosen for 20 ways is that of 5 ways."""

INNER = Tuned(0.3, 3)
"""The inner steps of MAML and ANIL in training, chosen before on the validation alphabet (`study_tuning`)."""


def body() -> nn.Sequential:
    """The convolutional layers, without the last linear one."""
    return conv_net(1, FILTERS)[:-1]


def head_learner(n_way: int, tuned: Tuned) -> MetaLearner:
    """Gradient steps on the last layer alone."""
    return on_features(body(), maml(nn.Linear(FEATURES, n_way), cross_entropy, **tuned._asdict()), cross_entropy)


def _chosen(method: str, n_way: int, k_shot: int) -> Tuned | None:
    shots = 5 if k_shot >= 5 else 1
    return TUNED.get((method, 20 if n_way >= 20 else 5, shots), TUNED.get((method, 5, shots)))


def learner_of(method: str, n_way: int, k_shot: int = 1, tuned: Tuned | None = None) -> MetaLearner:
    """The learner of a method, with the steps ``tuned`` or else those chosen for K examples: for 1, or for 5 and more.

    >>> learner_of("prototypical", 5).claims
    'exact'
    """
    tuned = tuned or _chosen(method, n_way, k_shot)
    match method:
        case "pixel 1-NN":
            return nearest_neighbour(n_way)
        case "from scratch":
            return joint_adam(conv_net(n_way, FILTERS), cross_entropy, **tuned._asdict())
        case "joint training" | "ANIL":
            return head_learner(n_way, tuned)
        case "joint features":
            return on_features(body(), prototypical(None, n_way), cross_entropy)
        case "MAML":
            return maml(conv_net(n_way, FILTERS), cross_entropy, **tuned._asdict())
        case "prototypical":
            return prototypical(conv_net(EMBEDDING, FILTERS), n_way)
    raise ValueError(f"method is {method!r}; allowed: {', '.join(map(repr, METHODS))}")


METHODS = ("pixel 1-NN", "from scratch", "joint training", "joint features", "MAML", "ANIL", "prototypical")
"""All methods, from those that learn nothing beforehand to those that learn to learn."""

JUDGED_WAYS = (5, 20)
"""The numbers of classes that MAML and ANIL have a theta for: their last layer has so many outputs."""


# The trained theta ------------------------------------------------------------------------------------


_LAST = list(dict(conv_net(1, FILTERS).named_parameters()))[-2:]


class Training(NamedTuple):
    """How one theta is trained: the learner, its tasks, and what `meta_train` is told."""

    learner: Callable[[Source], MetaLearner]
    tasks: Callable[[Source], TaskFamily]
    outer_steps: int
    tasks_per_step: int
    k_shot: int = 1
    n_query: int = 3
    beta: float = 0.003
    seed: int = 0
    body_only: bool = False

    def theta(self, source: Source) -> Params:
        """Train on the tasks of ``source``; the numbers are rounded to 16 bits, as they are stored."""
        told = {name: getattr(self, name) for name in ("outer_steps", "tasks_per_step", "k_shot", "n_query", "beta")}
        g = torch.Generator().manual_seed(self.seed)
        stream = meta_train(self.learner(source), self.tasks(source), generator=g, schedule="cosine", **told)
        for progress in stream:
            theta = progress.theta
        kept = {name: p for name, p in theta.items() if not (self.body_only and name in _LAST)}
        return {name: p.half() for name, p in kept.items()}


def _episodic(method: str, n_way: int, outer_steps: int, tasks_per_step: int, **told) -> Training:
    """Training by episodes of ``n_way`` classes at jitter 1."""
    return Training(
        lambda source: learner_of(method, n_way, tuned=INNER if method in ("MAML", "ANIL") else None),
        lambda source: source.episodes("train", n_way, 1.0),
        outer_steps,
        tasks_per_step,
        **told,
    )


def embedding(norm: str, n_way: int = 5) -> MetaLearner:
    """A prototypical network whose embedding is normalised in one of the ways of `networks.conv_net`."""
    return prototypical(conv_net(EMBEDDING, FILTERS, norm=norm), n_way)


def _normalised(norm: str) -> Training:
    return _episodic("prototypical", 20, 600, 2)._replace(learner=lambda source: embedding(norm, 20))


TRAINING: dict[str, Training] = {
    "prototypical": _episodic("prototypical", 20, 1500, 2),
    "joint": Training(
        lambda source: joint(conv_net(source.n_classes, FILTERS), cross_entropy),
        lambda source: source.all_classes(),
        outer_steps=1500,
        tasks_per_step=1,
        k_shot=0,
        n_query=1,
        body_only=True,
    ),
    "anil_5way": _episodic("ANIL", 5, 1500, 4),
    "anil_20way": _episodic("ANIL", 20, 800, 2),
    "maml_5way": _episodic("MAML", 5, 1500, 4),
    "maml_20way": _episodic("MAML", 20, 800, 2),
    "group_norm": _normalised("group"),
    "batch_norm": _normalised("batch"),
}
"""What is trained. Of joint training the last layer, which knows the training letters alone, is thrown away."""


def glyphs_theta(name: str) -> Params:
    """A shipped theta by its name in `TRAINING`, in 32 bits again.

    >>> {p.dtype for p in glyphs_theta("joint").values()}
    {torch.float32}
    """
    return {name: p.float() for name, p in shipped_theta(f"glyphs_{name}").items()}


def theta_of(method: str, n_way: int, read: Callable[[str], Params] = glyphs_theta, *, seed: int = 0) -> Params:
    """The theta that a method starts from; ``read`` gives a trained one by its name in `TRAINING`.

    ``seed`` is that of random weights, for "from scratch". Raises ValueError for MAML and ANIL with a number of ways
    that they were not trained for.
    """
    match method:
        case "pixel 1-NN":
            return {}
        case "from scratch":
            return learner_of(method, n_way).init(generator=torch.Generator().manual_seed(seed))
        case "joint features":
            return {BODY + name: p for name, p in read("joint").items()}
        case "joint training":  # a new last layer, which begins with no opinion
            shapes = {"weight": (n_way, FEATURES), "bias": (n_way,)}
            head = {name: torch.zeros(shape, dtype=torch.float32) for name, shape in shapes.items()}
            return theta_of("joint features", n_way, read) | {HEAD + name: p for name, p in head.items()}
        case "MAML" | "ANIL":
            if n_way not in JUDGED_WAYS:
                raise ValueError(f"n_way is {n_way}; allowed: {JUDGED_WAYS}, which {method} was trained for")
            return read(f"{method.lower()}_{n_way}way")
    return read("prototypical")


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
