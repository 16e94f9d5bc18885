"""How each theta of chapter 4a was made: by episodes of the training letters, or jointly on all of them."""

from collections.abc import Iterator
from functools import partial

from mapping_lib.learners.baselines import joint
from mapping_lib.meta_training import Progress
from mapping_lib.networks import conv_net
from mapping_lib.study import Recipe
from mapping_lib.study.training import Training, last
from mapping_lib.task import Params

from .methods import FILTERS, GLYPHS, METHODS, Source, Tuned, cross_entropy, embedding

INNER = Tuned(0.3, 3)
"""The inner steps of MAML and ANIL in training, chosen before on the validation alphabet (`study_tuning`)."""

_LAST = list(dict(conv_net(1, FILTERS).named_parameters()))[-2:]


def _rounded(stream: Iterator[Progress]) -> Params:
    """The last theta, rounded to 16 bits, as it is stored."""
    return {name: p.half() for name, p in last(stream).items()}


def _rounded_body(stream: Iterator[Progress]) -> Params:
    """The same without the last layer, which knows the training letters alone."""
    return {name: p for name, p in _rounded(stream).items() if name not in _LAST}


def trainings(source: Source) -> dict[str, Training]:
    """The training of every theta that the table of methods reads, on the tasks of ``source``.

    >>> [name for name, training in trainings(GLYPHS).items() if training.k_shot == 0]
    ['joint']
    """
    by_gradient = partial(_episodic, source, inner=INNER._asdict())
    return {
        "prototypical": _episodic(source, "prototypical", 20, 1500, 2),
        "joint": Training(
            partial(joint, conv_net(source.n_classes, FILTERS), cross_entropy),
            source.all_classes(),
            outer_steps=1500,
            tasks_per_step=1,
            k_shot=0,
            n_query=1,
            keep=_rounded_body,
        ),
        "anil_5way": by_gradient("ANIL", 5, 1500, 4),
        "anil_20way": by_gradient("ANIL", 20, 800, 2),
        "maml_5way": by_gradient("MAML", 5, 1500, 4),
        "maml_20way": by_gradient("MAML", 20, 800, 2),
    }


def _episodic(
    source: Source, method: str, n_way: int, outer_steps: int, tasks_per_step: int, **inner: object
) -> Training:
    """Training by episodes of ``n_way`` classes, with one example of each, at jitter 1."""
    make, family = partial(METHODS[method].make, n_way), source.episodes("train", n_way, 1.0)
    counts = {"tasks_per_step": tasks_per_step, "k_shot": 1, "n_query": 3}
    return Training(make, family, outer_steps, keep=_rounded, **counts, **inner)


def _normalised(norm: str) -> Training:
    return _episodic(GLYPHS, "prototypical", 20, 600, 2)._replace(make=partial(embedding, norm, 20))


TRAINING = trainings(GLYPHS) | {"group_norm": _normalised("group"), "batch_norm": _normalised("batch")}
"""What is trained."""


def _settings(training: Training) -> dict:
    """What a theta hangs on, as plain values."""
    names = ("outer_steps", "tasks_per_step", "k_shot", "n_query", "beta", "optimiser", "schedule")
    fixed = {"seed": 0, "body_only": training.keep is _rounded_body, "filters": list(FILTERS), "stored": "16 bits"}
    return {**training.settings(*names), **training.inner, **fixed}


RECIPES = {f"glyphs_{name}": Recipe(training.theta, _settings(training)) for name, training in TRAINING.items()}
