"""Chapter 4c: which of five languages is this name from, after 1 to 20 names of each?

All methods meet the same episodes of the 40 held-out languages. What a method leaves open (smoothing, step size,
number of steps) was chosen for each number of shots on 300 episodes of the 22 *validation* languages, from the values
in `Method.choices`: `study_tuning` does it, `CHOSEN` is what came out. The recipes (which network, how many outer
steps, trained at how many shots) were chosen on the same episodes. The held-out languages had no part in any choice.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

from mapping_lib.checks import check_choice
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.baselines import from_scratch
from mapping_lib.learners.gradient import maml
from mapping_lib.learners.prototypes import prototypical
from mapping_lib.study import Table, Tolerance, shipped_theta
from mapping_lib.task import Batch, Params, Task

from .family import WIDTH, Languages, counts, features
from .methods import PRIOR, naive_bayes
from .study_training import HIDDEN, N_WAY, Mixture, Weights, classifier, embedding
from .study_training import RECIPES as RECIPES

N_QUERY = 10
SHOTS = (1, 2, 5, 10, 20)

# Methods ----------------------------------------------------------------------------------------------


class Method(NamedTuple):
    """One row of the table: ``make(choice) -> (learner, theta)``, what it reads of a name, and the choices it has.

    ``read`` changes x before the learner sees it (the body that joint training made). ``trained``: whether the
    training languages had a part in it.
    """

    make: Callable[[object], tuple[MetaLearner, Params]]
    choices: tuple = (None,)
    reading: str = "unit"
    read: Callable[[Tensor], Tensor] = lambda x: x
    trained: bool = True


STRENGTHS = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
STEPS = tuple((alpha, steps) for alpha in (0.03, 0.1, 0.3) for steps in (10, 30, 100))


def _bayes(strength: float) -> tuple[MetaLearner, Params]:
    learner = naive_bayes(N_WAY, WIDTH, strength=strength)
    return learner, learner.init(generator=torch.Generator())


def _bayes_with_prior(strength: float) -> tuple[MetaLearner, Params]:
    prior = shipped_theta("names_prior")[PRIOR]
    return naive_bayes(N_WAY, WIDTH), {PRIOR: prior + torch.tensor(strength, dtype=torch.float32).log()}


def _softmax(n_features: int) -> Callable[[tuple[float, int]], tuple[MetaLearner, Params]]:
    """A new softmax regression that begins at zero: ``(alpha, steps) -> (learner, theta)``."""
    shapes = {"weight": (N_WAY, n_features), "bias": (N_WAY,)}
    zero = {name: torch.zeros(shape, dtype=torch.float32) for name, shape in shapes.items()}
    linear = nn.Linear(n_features, N_WAY)
    return lambda choice: (from_scratch(linear, cross_entropy, alpha=choice[0], steps=choice[1]), zero)


def _body(x: Tensor) -> Tensor:
    body = shipped_theta("names_joint")
    return nn.functional.linear(x, body["0.weight"], body["0.bias"]).relu()


METHODS = {
    "nearest centroid": Method(lambda _: (prototypical(None, N_WAY), {}), trained=False),
    "naive Bayes": Method(_bayes, STRENGTHS, "counts", trained=False),
    "from scratch": Method(
        _softmax(WIDTH), tuple((a, m) for a in (1.0, 5.0, 20.0) for m in (3, 10, 30)), trained=False
    ),
    "naive Bayes, learned prior": Method(_bayes_with_prior, STRENGTHS, "counts"),
    "idf weights": Method(lambda _: (prototypical(Weights(), N_WAY), shipped_theta("names_idf"))),
    "learned weights": Method(lambda _: (prototypical(Weights(), N_WAY), shipped_theta("names_weights"))),
    "prototypical network": Method(lambda _: (prototypical(embedding(), N_WAY), shipped_theta("names_prototypical"))),
    "embedding and raw": Method(
        lambda share: (prototypical(Mixture(share), N_WAY), shipped_theta("names_prototypical")),
        (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0),
    ),
    "joint training": Method(_softmax(HIDDEN), STEPS, read=_body),
    "MAML": Method(
        lambda choice: (
            maml(classifier(), cross_entropy, alpha=choice[0], steps=choice[1]),
            shipped_theta("names_maml"),
        ),
        ((0.5, 5), (0.5, 15), (0.5, 50), (1.5, 5), (1.5, 15)),
    ),
}
"""The first three know nothing of other languages; the others have seen the 80 training languages."""


def answers(method: str, choice: object, tasks: Task) -> Tensor:
    """The logits ``(task, example, 5)`` of a method for the queries of tasks in its own reading.

    >>> tasks = Languages("held out").sample(2, 1, 3, generator=torch.Generator().manual_seed(0))
    >>> answers("nearest centroid", None, tasks).shape
    torch.Size([2, 15, 5])
    """
    chosen = METHODS[check_choice("method", method, METHODS)]
    learner, theta = chosen.make(choice)

    def one_task(support: Batch, x: Tensor) -> Tensor:
        return learner.predict(learner.adapt(theta, Batch(chosen.read(support.x), support.y)), chosen.read(x))

    with torch.no_grad():
        return torch.func.vmap(one_task)(tasks.support, tasks.query.x)


def accuracy(method: str, choice: object, part: str, k_shot: int, n: int, generator: Generator) -> Tensor:
    """The share of right answers in each of ``n`` episodes of a part, ``(n,)``."""
    family = Languages(part, N_WAY, METHODS[method].reading)
    tasks = family.sample(n, k_shot, N_QUERY, generator=generator)
    return (answers(method, choice, tasks).argmax(-1) == tasks.query.y).float().mean(-1)


CHOSEN: dict[str, dict[int, object]] = {
    "naive Bayes": {1: 10.0, 2: 30.0, 5: 100.0, 10: 100.0, 20: 300.0},
    "from scratch": {1: (5.0, 3), 2: (20.0, 30), 5: (5.0, 30), 10: (20.0, 30), 20: (5.0, 30)},
    "naive Bayes, learned prior": {1: 300.0, 2: 300.0, 5: 30.0, 10: 300.0, 20: 1000.0},
    "embedding and raw": {1: 0.4, 2: 0.3, 5: 0.3, 10: 0.2, 20: 0.2},
    "joint training": {1: (0.1, 100), 2: (0.03, 30), 5: (0.03, 100), 10: (0.1, 30), 20: (0.1, 100)},
    "MAML": {1: (0.5, 50), 2: (0.5, 50), 5: (0.5, 50), 10: (0.5, 50), 20: (0.5, 50)},
}
"""What `study_tuning` gave for each method that has a choice, by shots."""

SHARPNESS = dict.fromkeys(("nearest centroid", "idf weights", "embedding and raw"), 15.0)
"""These methods learned no scale for their squared distances between vectors of length 1: times this, to be logits."""


def tuned(method: str, k_shot: int) -> object:
    """What was chosen for a method at the nearest of `SHOTS`; None for one without a choice."""
    return CHOSEN.get(method, {}).get(nearest_shots(k_shot))


def nearest_shots(k_shot: int) -> int:
    """The number of examples in the table that is nearest to another.

    >>> nearest_shots(7)
    5
    """
    return min(SHOTS, key=lambda k: abs(k - k_shot))


def adapted(method: str, names: Sequence[str], y: Tensor, k_shot: int) -> Callable[[Sequence[str]], Tensor]:
    """A method after some names and their languages ``y (name,)``: it gives logits ``(name, 5)`` for other names.

    >>> adapted("naive Bayes", ["Ísland", "Island"], torch.tensor([0, 1]), 1)(["Írland"]).argmax(-1)
    tensor([0])
    """
    chosen = METHODS[check_choice("method", method, METHODS)]
    learner, theta = chosen.make(tuned(method, k_shot))
    read = lambda names: chosen.read(_numbers(chosen.reading, tuple(names)))  # noqa: E731
    with torch.no_grad():
        phi = learner.adapt(theta, Batch(read(names), y))
    scale = SHARPNESS.get(method, 1.0)
    return lambda names: scale * learner.predict(phi, read(names)).detach()


@lru_cache(maxsize=1024)
def _numbers(reading: str, names: tuple[str, ...]) -> Tensor:
    """What a method reads of names: kept, since all methods are asked for the same."""
    return (counts if reading == "counts" else features)(names)


SETTINGS = {f"{k}-shot": {"k_shot": k} for k in SHOTS}


def _score(method: str, setting: str, n: int, generator: Generator) -> Tensor:
    k_shot = SETTINGS[setting]["k_shot"]
    return accuracy(method, CHOSEN.get(method, {}).get(k_shot), "held out", k_shot, n, generator)


def _languages(setting: str, n: int, generator: Generator) -> Tensor:
    """Which five of the 40 languages each of the ``n`` episodes has, ``(n, 5)``: the next 600 have the same 40."""
    return Languages("held out", N_WAY).sample(n, SETTINGS[setting]["k_shot"], N_QUERY, generator=generator).description


def _table(methods: Sequence[str], settings: Sequence[str], n: int) -> Table:
    chosen = {m: {str(k): v for k, v in c.items()} for m, c in CHOSEN.items() if m in methods}
    return Table(
        "accuracy",
        tuple(methods),
        {setting: SETTINGS[setting] for setting in settings},
        _score,
        fixed={"n_way": N_WAY, "n_query": N_QUERY, "languages": "held out", "chosen": chosen},
        n=n,
        tolerance=Tolerance(6e-3),  # moved by 1e-6, one answer of MAML in twenty episodes of 50 is another one: 0.001
        unit="language",
        units=_languages,
    )


TABLES = {
    "language_names": _table(tuple(METHODS), tuple(SETTINGS), 600),
    "language_more_episodes": _table(("nearest centroid", "prototypical network"), ("1-shot",), 6000),
}
"""All methods on 600 episodes; and two on ten times as many, the first 600 of which are the same."""
