"""What chapter 4e compares: how each method is trained on the tasks of a sequence, and with which settings.

`METHODS` has one row a method; `CHOSEN` is what `study_tuning` chose from its `Method.choices`, for each kind of
sequence by itself.
"""

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

from torch import Generator
from torch.nn.functional import cross_entropy

from mapping_lib.networks import mlp
from mapping_lib.task import Batch, Params

from .family import KINDS, DigitSequences
from .methods import Model, sequence_model, train_in_sequence, train_jointly
from .methods_features import READOUTS, Readout, train_prototypes
from .methods_online import Inner, follow_the_meta_leader, meta_train_each

OLD, HIDDEN, MEMORY = 4, 40, 10
INNER_STEPS = 3


class Chosen(NamedTuple):
    """A method's settings: Adam's step size and steps a task, EWC's lambda, and the inner alpha of meta-training.

    ``scale`` is that of a prototypical network's cosines (0: squared distances). ``adapt`` are the step sizes of
    adaptation: to an old task by 3 steps, to the new one by 3, to the new one by 50. ``readouts`` are what features are
    looked up by: with the examples of all tasks together, for an old task alone, for the new one.
    """

    lr: float = 0.01
    steps: int = 20
    penalty: float = 0.0
    alpha: float = 0.5
    scale: float = 0.0
    adapt: tuple[float, float, float] = (0.1, 0.1, 0.1)
    readouts: tuple[Readout, Readout, Readout] = (READOUTS[0],) * 3


class Lessons(NamedTuple):
    """What a method is trained with: a model, where each sequence starts, the tasks, the settings, and luck."""

    model: Model
    starts: Params
    seen: Batch
    chosen: Chosen
    inner: Inner
    generator: Generator

    def adam(self, n_tasks: int = 1) -> dict[str, float]:
        """Adam's steps for so many tasks at once, and its step size."""
        return {"steps": n_tasks * self.chosen.steps, "lr": self.chosen.lr}


def _jointly(lessons: Lessons) -> list[Params]:
    model, starts, seen, *_ = lessons
    return [train_jointly(model, starts, seen, **lessons.adam(seen.x.shape[1]))]


def _in_sequence(kept: int = 0) -> Callable[[Lessons], list[Params]]:
    def train(lessons: Lessons) -> list[Params]:
        model, starts, seen, chosen, *_ = lessons
        return list(train_in_sequence(model, starts, seen, kept=kept, penalty=chosen.penalty, **lessons.adam()))

    return train


def _meta(lessons: Lessons) -> list[Params]:
    model, starts, seen, _, inner, generator = lessons
    return [meta_train_each(model, starts, seen, inner, **lessons.adam(seen.x.shape[1]), generator=generator)]


def _prototypes(lessons: Lessons) -> list[Params]:
    model, starts, seen, chosen, inner, generator = lessons
    settings = lessons.adam(seen.x.shape[1]) | {"scale": chosen.scale, "generator": generator}
    return [train_prototypes(model, starts, seen, inner, **settings)]


def _meta_online(remember: bool) -> Callable[[Lessons], list[Params]]:
    def train(lessons: Lessons) -> list[Params]:
        model, starts, seen, _, inner, generator = lessons
        luck = {"remember": remember, "generator": generator}
        return list(follow_the_meta_leader(model, starts, seen, inner, **luck, **lessons.adam()))

    return train


# The table --------------------------------------------------------------------------------------------


STEP_SIZES = (0.003, 0.01, 0.03)
PLAIN = tuple(Chosen(lr=lr) for lr in STEP_SIZES)
META = tuple(Chosen(lr=lr, steps=15, alpha=alpha) for lr, alpha in product((0.01, 0.03), (0.5, 0.8)))
WIDE = tuple(Chosen(lr=lr, steps=15, alpha=alpha) for lr, alpha in product(STEP_SIZES, (0.3, 0.5, 0.8, 1.2, 1.8)))
"""For the MAML that is best on new labels: as many trials as the prototypical network has."""

METRIC = tuple(Chosen(lr=lr, scale=scale) for lr, scale in product(STEP_SIZES, (0.0, 1.0, 3.0, 10.0, 30.0)))


class Method(NamedTuple):
    """One row: ``train(lessons)`` gives its parameters after each task, or the final ones alone; None: it has none.

    ``choices`` are the settings that tuning tries. ``heads``: one for each of the five tasks. ``meta``: it is trained
    to adapt, and judged after it, with its labels dealt anew in training if they are to ``relabel``. ``lookup``:
    nothing is adapted, its features are read by one of `READOUTS`. ``in_order``: it meets the tasks one after the
    other, and its matrix of errors is stored. ``kinds``: where it is measured.
    """

    train: Callable[[Lessons], list[Params]] | None
    choices: tuple[Chosen, ...] = PLAIN
    heads: bool = False
    meta: bool = False
    relabel: bool = False
    lookup: bool = False
    in_order: bool = False
    kinds: tuple[str, ...] = KINDS


# where tasks contradict each other, a pull towards old answers has no point
ONLY_PAIRS = ("pairs",)
# two clean digits are told apart in pixels: no network's features are needed there
ONLY_RELABELLED = ("relabelled",)

METHODS = {
    "from scratch": Method(lambda lessons: [lessons.starts], (Chosen(),)),
    "sequential": Method(_in_sequence(), in_order=True),
    "EWC": Method(
        _in_sequence(),
        tuple(plain._replace(penalty=penalty) for plain in PLAIN for penalty in (10.0, 100.0, 1000.0)),
        in_order=True,
        kinds=ONLY_PAIRS,
    ),
    "rehearsal": Method(_in_sequence(kept=MEMORY), in_order=True),
    "joint": Method(_jointly),
    "sequential, heads": Method(_in_sequence(), heads=True, in_order=True),
    "joint, heads": Method(_jointly, heads=True),
    "MAML": Method(_meta, META, meta=True),
    "MAML, relabelled": Method(_meta, WIDE, meta=True, relabel=True),
    "joint, heads, features": Method(_jointly, heads=True, lookup=True, kinds=ONLY_RELABELLED),
    "MAML, relabelled, features": Method(_meta, WIDE, relabel=True, lookup=True, kinds=ONLY_RELABELLED),
    "prototypical": Method(_prototypes, METRIC, lookup=True, kinds=ONLY_RELABELLED),
    "online MAML": Method(_meta_online(remember=True), META, meta=True, in_order=True, kinds=ONLY_PAIRS),
    "online MAML, no memory": Method(_meta_online(remember=False), META, meta=True, kinds=ONLY_PAIRS),
    "nearest neighbour": Method(None, ()),
}

METHODS_OF = {kind: tuple(name for name, method in METHODS.items() if kind in method.kinds) for kind in KINDS}
"""What is measured on which kind."""

IN_ORDER = tuple(name for name, method in METHODS.items() if method.in_order)

_COSINE = Readout("hidden", "cosine", "example")
CHOSEN = {
    "pairs": {
        "from scratch": Chosen(adapt=(0.5, 0.5, 0.8)),
        "sequential": Chosen(lr=0.003, adapt=(0.3, 0.3, 0.5)),
        "EWC": Chosen(lr=0.003, penalty=100.0, adapt=(0.3, 0.3, 0.5)),
        "rehearsal": Chosen(lr=0.03, adapt=(0.3, 0.5, 0.5)),
        "joint": Chosen(lr=0.003, adapt=(0.3, 0.3, 0.5)),
        "sequential, heads": Chosen(adapt=(0.1, 0.03, 0.8)),
        "joint, heads": Chosen(adapt=(0.8, 0.03, 0.5)),
        "MAML": Chosen(steps=15, alpha=0.8, adapt=(0.5, 0.5, 0.8)),
        "MAML, relabelled": Chosen(steps=15, adapt=(0.3, 0.3, 0.5)),
        "online MAML": Chosen(steps=15, alpha=0.8, adapt=(0.5, 0.5, 0.8)),
        "online MAML, no memory": Chosen(steps=15, adapt=(0.3, 0.3, 0.5)),
    },
    "relabelled": {
        "from scratch": Chosen(adapt=(0.8, 0.8, 0.5)),
        "sequential": Chosen(lr=0.003, adapt=(0.5, 0.8, 0.8)),
        "rehearsal": Chosen(lr=0.003, adapt=(0.5, 0.8, 0.8)),
        "joint": Chosen(lr=0.003, adapt=(0.5, 0.8, 0.8)),
        "sequential, heads": Chosen(lr=0.03, adapt=(0.1, 0.1, 0.3)),
        "joint, heads": Chosen(adapt=(0.0, 0.1, 0.5)),
        "MAML": Chosen(lr=0.03, steps=15, alpha=0.8, adapt=(0.8, 0.8, 0.8)),
        "MAML, relabelled": Chosen(lr=0.03, steps=15, alpha=1.2, adapt=(0.8, 0.8, 0.8)),
        "joint, heads, features": Chosen(
            lr=0.03,
            readouts=(
                Readout("probabilities", "cosine", "mean"),
                Readout("probabilities", "cosine", "example"),
                Readout("probabilities", "euclid", "example"),
            ),
        ),
        "MAML, relabelled, features": Chosen(
            lr=0.03, steps=15, alpha=1.2, readouts=(Readout("hidden", "cosine", "mean"), _COSINE, _COSINE)
        ),
        "prototypical": Chosen(
            lr=0.01,
            scale=3.0,
            readouts=(
                Readout("outputs", "cosine", "mean"),
                Readout("outputs", "cosine", "example"),
                Readout("outputs", "cosine", "example"),
            ),
        ),
    },
}
"""What `study_tuning` chose."""


def make_model(kind: str, method: str) -> Model:
    """The network 64-40-n; some methods have one head for each of the five tasks.

    >>> make_model("pairs", "joint, heads").init(3, generator=Generator().manual_seed(0))["2.weight"].shape
    torch.Size([3, 10, 40])
    """
    n_way, heads = DigitSequences(kind).n_way, OLD + 1 if METHODS[method].heads else 1
    outputs = HIDDEN if method == "prototypical" else heads * n_way  # a metric needs no output for each label
    return sequence_model(mlp((64, HIDDEN, outputs)), cross_entropy, heads=heads)


def train(kind: str, method: str, seen: Batch, chosen: Chosen, generator: Generator) -> tuple[Model, list[Params]]:
    """Train one method on the tasks ``seen``; give its parameters after each task, or the final ones alone.

    A MAML practises by 3 steps on ten examples, judged on twenty others of the same task.
    """
    model, row = make_model(kind, method), METHODS[method]
    starts = model.init(len(seen.x), generator=generator)
    inner = Inner(chosen.alpha, INNER_STEPS, MEMORY, 20, DigitSequences(kind).n_way, relabel=row.relabel)
    return model, row.train(Lessons(model, starts, seen, chosen, inner, generator))
