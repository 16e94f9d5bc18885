"""How each theta of chapter 4a was made: by episodes of the training letters, or jointly on all of them."""

from collections.abc import Callable, Iterator
from functools import partial

from torch import nn

from mapping_lib.learners import MetaLearner
from mapping_lib.learners.baselines import joint
from mapping_lib.meta_training import Progress
from mapping_lib.networks import conv_net
from mapping_lib.study.training import GIVEN, Training, rounded
from mapping_lib.task import Params

from .methods import EMBEDDING, FILTERS, GLYPHS, METHODS, Source, Tuned, cross_entropy, embedding
from .methods_cosine import Cosine

INNER = Tuned(0.3, 3)
"""The inner steps of MAML and ANIL in training, chosen before on the validation alphabet (`study_tuning`)."""

AS_MANY_IMAGES = 723
"""Outer steps in which joint training sees 240,000 images, as the prototypical network does in its 1,500."""


def rounded_body(stream: Iterator[Progress]) -> Params:
    """The last theta, rounded to 16 bits, without the last layer, which knows the training letters alone."""
    theta = rounded(stream)
    last_layer = list(theta)[-1].partition(".")[0]
    return {name: p for name, p in theta.items() if name.partition(".")[0] != last_layer}


def trainings(source: Source) -> dict[str, Training]:
    """The training of every theta that the table of methods reads, on the tasks of ``source``.

    >>> [name for name, training in trainings(GLYPHS).items() if training.k_shot == 0]
    ['joint', 'joint_cosine']
    """
    cosine = nn.Sequential(*conv_net(EMBEDDING, FILTERS), Cosine(EMBEDDING, source.n_classes))

    def of(method: str, n_way: int, outer_steps: int, tasks_per_step: int, **inner: object) -> Training:
        return episodic(source, partial(METHODS[method].make, n_way), n_way, outer_steps, tasks_per_step, **inner)

    by_gradient = partial(of, inner=INNER._asdict())
    return {
        "prototypical": of("prototypical", 20, 1500, 2),
        "joint": jointly(source, conv_net(source.n_classes, FILTERS), 1500),
        "joint_cosine": jointly(source, cosine, AS_MANY_IMAGES),
        "anil_5way": by_gradient("ANIL", 5, 1500, 4),
        "anil_20way": by_gradient("ANIL", 20, 800, 2),
        "maml_5way": by_gradient("MAML", 5, 1500, 4),
        "maml_20way": by_gradient("MAML", 20, 800, 2),
    }


def jointly(source: Source, network: nn.Module, outer_steps: int) -> Training:
    """Joint training on one image of every class in each step; the last layer is thrown away afterwards."""
    counts = {"tasks_per_step": 1, "k_shot": 0, "n_query": 1}
    make = partial(joint, network, cross_entropy)
    return Training(make, source.all_classes(), outer_steps, keep=rounded_body, **counts)


def episodic(
    source: Source, make: Callable[..., MetaLearner], n_way: int, outer_steps: int, tasks_per_step: int, **inner: object
) -> Training:
    """Training of what ``make(**inner)`` gives by episodes of ``n_way`` classes, one example of each, at jitter 1."""
    family = source.episodes("train", n_way, 1.0)
    counts = {"tasks_per_step": tasks_per_step, "k_shot": 1, "n_query": 3}
    return Training(make, family, outer_steps, keep=rounded, **counts, **inner)


def _normalised(norm: str) -> Training:
    return episodic(GLYPHS, partial(embedding, norm, 20), 20, 600, 2)


TRAINING = trainings(GLYPHS) | {"group_norm": _normalised("group"), "batch_norm": _normalised("batch")}
"""What is trained."""

_KEPT = {"filters": list(FILTERS), "stored": "16 bits"}
RECIPES = {
    f"glyphs_{name}": training.recipe(*GIVEN, body_only=training.keep is rounded_body, **_KEPT)
    for name, training in TRAINING.items()
}
