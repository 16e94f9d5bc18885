"""Fewer numbers to adapt, on letters: the usual use of LoRA, a trained network and a new head for a new task.

The body is chapter 4a's, trained jointly on 332 training letters and never to adapt; the head, a new last layer, begins
at 0 for five letters of alphabets never seen. It always adapts: the five classes are new. Beside it adapt the body's
biases, updates of rank 1 or 2 of its filters, all its weights, or nothing. (Context parameters are left out: a body
must be trained to read them.) Nothing is trained here; alpha and m are chosen on the validation alphabet, for every
part among the same `GRID`:

    python -m mapping_lib.study what_came_after --tune
"""

from collections.abc import Iterator
from functools import cache
from itertools import product

import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy

from mapping_lib.checks import check_choice
from mapping_lib.learners import MetaLearner
from mapping_lib.networks import conv_net, functional
from mapping_lib.study import Table, Tolerance, widened_theta
from mapping_lib.task import Batch, Params, Task
from mapping_lib.worlds.letters import Glyphs

from .methods_fewer_numbers import few_numbers
from .methods_fewer_parts import Choice, low_rank, only, together

N_WAY, FILTERS, N_QUERY = 5, (16, 32, 32), 3
"""The network is that of chapter 4a."""

BODY_PARTS: dict[str, Choice] = {
    "head only": only("head"),
    "biases and head": only("biases", "head"),
    "LoRA, rank 1, and head": together(low_rank(1, body=True), only("head")),
    "LoRA, rank 2, and head": together(low_rank(2, body=True), only("head")),
    "all weights": only("all"),
}
"""What a task may change."""

SETTINGS = {f"{N_WAY}-way 1-shot": {"k_shot": 1}}
GRID = tuple(product((0.001, 0.003, 0.01, 0.03), (10, 30)))
TUNED: dict[tuple[str, int], tuple[float, int]] = {
    (part, k): best for part in BODY_PARTS for k, best in ((1, (0.003, 10)), (5, (0.01, 30)))
}
"""alpha and m by what adapts and K: among the trials the same were best for every part."""


def network():
    """Chapter 4a's convolutional network, for five letters."""
    return conv_net(N_WAY, FILTERS)


def learner_of(part: str, alpha: float, steps: int) -> MetaLearner:
    """The learner of one of `BODY_PARTS`."""
    choice = BODY_PARTS[check_choice("part", part, BODY_PARTS)]
    return few_numbers(network(), cross_entropy, part=choice, alpha=alpha, steps=steps)


def count_letters(part: str) -> int:
    """How many numbers are new for a task.

    >>> count_letters("head only"), count_letters("LoRA, rank 1, and head"), count_letters("all weights")
    (2565, 3086, 16613)
    """
    return BODY_PARTS[check_choice("part", part, BODY_PARTS)](functional(network())).count


@cache
def start_of(part: str) -> Params:
    """theta: the body as joint training left it, a head of zeros, and LoRA's A drawn at random."""
    learner = learner_of(part, 0.0, 0)
    drawn = learner.init(generator=torch.Generator().manual_seed(0))
    body = widened_theta("glyphs_joint")
    fresh = {name: p if name.startswith("learned.") else torch.zeros_like(p) for name, p in drawn.items()}
    return fresh | body


def accuracies(part: str, tasks: Task, alpha: float, steps: int) -> Tensor:
    """The share of right answers in each episode, ``(task,)``."""
    learner, theta = learner_of(part, alpha, steps), start_of(part)

    def answer(support: Batch, x: Tensor) -> Tensor:
        return learner.predict(learner.adapt(theta, support), x)

    with torch.no_grad():
        y_hat = torch.func.vmap(answer)(tasks.support, tasks.query.x)
    return (y_hat.argmax(-1) == tasks.query.y).float().mean(-1)


def tune(n_tasks: int = 30) -> Iterator[str]:
    """Every choice with its accuracy on the validation alphabet, and the best, a line each."""
    for (part, k_shot), _ in TUNED.items():
        tasks = Glyphs("validation").sample(n_tasks, k_shot, N_QUERY, generator=torch.Generator().manual_seed(1))
        found = {pair: float(accuracies(part, tasks, *pair).mean()) for pair in GRID}
        yield from (f"{part}, K = {k_shot}: alpha {a}, {m} steps: {score:.3f}" for (a, m), score in found.items())
        yield f"{part}, K = {k_shot}: best {max(found, key=found.get)}"


def _tasks(setting: str, n: int, generator: Generator) -> Task:
    return Glyphs("held out").sample(n, SETTINGS[setting]["k_shot"], N_QUERY, generator=generator)


def _score(part: str, setting: str, n: int, generator: Generator) -> Tensor:
    return accuracies(part, _tasks(setting, n, generator), *TUNED[part, SETTINGS[setting]["k_shot"]])


TABLES = {
    "after_fewer_letters": Table(
        "accuracy",
        tuple(BODY_PARTS),
        SETTINGS,
        _score,
        {"n_way": N_WAY, "n_query": N_QUERY, "tuned": {f"{p}, K = {k}": [*t] for (p, k), t in TUNED.items()}},
        n=600,
        at_once=10,
        tolerance=Tolerance(0.02),
        unit="letter",
        units=lambda setting, n, generator: _tasks(setting, n, generator).description.long(),
    )
}
