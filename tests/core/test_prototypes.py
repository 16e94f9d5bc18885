"""Prototypical networks: equal to a nearest centroid written with loops, and an exact gradient."""

import re

import pytest
import torch
from oracles import random_theta, seeded
from torch import nn
from torch.testing import assert_close

from mapping_lib.families.episodes import Episodes
from mapping_lib.learners.prototypes import prototypical
from mapping_lib.networks import mlp
from mapping_lib.task import Batch, Task, each, map_tasks

N_WAY = 3
NETWORK = mlp((4, 6, 2), nn.Tanh).double()
LEARNER = prototypical(NETWORK, N_WAY)


def tasks(n_tasks: int = 4) -> Task:
    x = torch.randn(60, 4, generator=seeded(0), dtype=torch.float64)
    return Episodes(x, torch.arange(60) % 6, N_WAY).sample(n_tasks, 2, 3, generator=seeded(1))


def nearest_centroid(support: Batch, x: torch.Tensor) -> list[int]:
    """By loops over Python numbers."""
    answers = []
    for point in x.tolist():
        distances = []
        for label in range(N_WAY):
            mine = [s for s, y in zip(support.x.tolist(), support.y.tolist(), strict=True) if y == label]
            centre = [sum(column) / len(mine) for column in zip(*mine, strict=True)]
            distances.append(sum((a - b) ** 2 for a, b in zip(point, centre, strict=True)))
        answers.append(distances.index(min(distances)))
    return answers


def test_without_a_network_it_is_the_nearest_centroid_of_the_raw_features():
    learner = prototypical(None, N_WAY)
    for task in each(tasks(20)):
        got = learner.predict(learner.adapt({}, task.support), task.query.x).argmax(-1)
        assert got.tolist() == nearest_centroid(task.support, task.query.x)


def test_a_linear_embedding_that_changes_nothing_gives_the_same_answers():
    same = nn.Linear(4, 4, bias=False).double()
    learner, raw = prototypical(same, N_WAY), prototypical(None, N_WAY)
    for support, query, _ in each(tasks()):
        theta = {"weight": torch.eye(4, dtype=torch.float64)}
        assert_close(
            learner.predict(learner.adapt(theta, support), query.x), raw.predict(raw.adapt({}, support), query.x)
        )


def test_a_class_without_an_example_is_never_the_answer_and_no_example_leaves_all_open():
    theta, (support, query, _) = random_theta(NETWORK), next(each(tasks()))
    two = Batch(support.x[:4], support.y[:4])
    logits = LEARNER.predict(LEARNER.adapt(theta, two), query.x)
    assert logits[:, 2].isinf().all()
    assert logits[:, :2].isfinite().all()
    none = LEARNER.adapt(theta, Batch(support.x[:0], support.y[:0]))
    assert LEARNER.predict(none, query.x).eq(0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: prototypical(None, 0), "n_way is 0; allowed: a whole number, 1 or more"),
        (
            lambda: LEARNER.adapt(random_theta(NETWORK), Batch(torch.zeros(3, 4).double(), torch.zeros(3, 1).double())),
            "support.y has shape (3, 1) and dtype torch.float64; allowed: one whole number an example",
        ),
        (
            lambda: LEARNER.meta_grad(random_theta(NETWORK), map_tasks(lambda t: t[:, :0], tasks())),
            "tasks.query is empty",
        ),
        (lambda: LEARNER.adapt({}, next(each(tasks())).support), "theta has the names []"),
    ],
)
def test_wrong_arguments_are_named(call, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
