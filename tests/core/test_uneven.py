"""Tasks of unequal size: the answer is that of one task after the other; and the smallest: one task, one example."""

import re

import pytest
import torch
from oracles import FLOAT64, float64_mlp, loop_path, seeded
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.testing import assert_close

from mapping_lib.evaluation import evaluate_by_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.baselines import nearest_neighbour
from mapping_lib.learners.gradient import maml
from mapping_lib.learners.prototypes import prototypical
from mapping_lib.learners.uneven import uneven
from mapping_lib.meta_training import MetaTrainingDiverged, meta_train
from mapping_lib.networks import mlp
from mapping_lib.task import Batch, Task, by_size, each
from mapping_lib.worlds.derived import Pool
from mapping_lib.worlds.digits import Digits

FAMILY = Sinusoids(dtype=torch.float64)
NETWORK = float64_mlp(1, 6, 1)
SIZES = [(3, 7), (10, 2), (3, 7), (1, 1), (10, 7), (3, 7)]
"""Support and query of six tasks."""


def singles(sizes=SIZES, seed: int = 0) -> list[Task]:
    """Tasks of these sizes, without the task dimension."""
    g = seeded(seed)
    return [next(each(FAMILY.sample(1, k, n, generator=g))) for k, n in sizes]


class Uneven:
    """A family whose tasks differ in size."""

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: torch.Generator) -> list[Task]:
        k = torch.randint(1, k_shot + 1, (n_tasks,), generator=generator)
        return by_size(next(each(FAMILY.sample(1, int(i), n_query, generator=generator))) for i in k)


def test_groups_hold_every_task_once_and_in_order():
    tasks = singles()
    groups = by_size(tasks)
    assert [tuple(group.support.x.shape) for group in groups] == [(3, 3, 1), (1, 10, 1), (1, 1, 1), (1, 10, 1)]
    found = [task for group in groups for task in each(group)]
    for task, wanted in zip(found, [tasks[i] for i in (0, 2, 5, 1, 3, 4)], strict=True):
        assert all(
            torch.equal(a, b) for a, b in zip(task.support + task.query, wanted.support + wanted.query, strict=True)
        )
        assert torch.equal(task.description, wanted.description)


def test_labels_and_images_are_grouped_too():
    tasks = [next(each(Digits(n_way=n).sample(1, 1, 2, generator=seeded(n)))) for n in (3, 5, 3)]
    groups = by_size(tasks)
    assert [tuple(group.query.y.shape) for group in groups] == [(2, 6), (1, 10)]
    assert groups[0].query.y.dtype == torch.int64


def test_meta_training_and_evaluation_take_uneven_tasks():
    learner = uneven(maml(mlp((1, 40, 40, 1)).double(), mse_loss))
    theta = learner.init(generator=seeded(0))
    settings = {"beta": 0.003, "outer_steps": 150, "tasks_per_step": 12, "generator": seeded(1), "theta": theta}
    *_, last = meta_train(learner, Uneven(), **settings)
    judged = {"k_shot": 10, "steps": 3, "n_tasks": 100}
    before, after = (evaluate_by_step(learner, t, Uneven(), generator=seeded(2), **judged) for t in (theta, last.theta))
    assert after.per_task.shape == (100, 4)
    assert after.mean[3] < 0.8 * before.mean[3]


def test_every_uneven_task_is_judged_by_its_own_path():
    learner = maml(NETWORK, mse_loss, alpha=0.02)
    theta = learner.init(generator=seeded(1))

    class Drawn:
        def sample(self, *args, **kwargs):
            return by_size(singles())

    found = evaluate_by_step(learner, theta, Drawn(), k_shot=1, steps=2, n_tasks=6, generator=seeded(0)).per_task
    for errors, task in zip(found, [task for group in by_size(singles()) for task in each(group)], strict=True):
        for error, phi in zip(errors, loop_path(NETWORK, mse_loss, theta, task.support, 0.02, 2), strict=True):
            y_hat = torch.func.functional_call(NETWORK, phi, (task.query.x,))
            assert_close(error, mse_loss(y_hat, task.query.y).detach(), **FLOAT64)


def test_a_list_without_uneven_is_refused_with_the_way_out():
    learner = maml(NETWORK, mse_loss)
    message = (
        r"tasks is a list; allowed: Task\(support, query, description\)\. For tasks of several sizes: learners\.uneven"
    )
    with pytest.raises(TypeError, match=message):
        next(meta_train(learner, Uneven(), beta=0.1, outer_steps=1, generator=seeded(0)))
    with pytest.raises(ValueError, match="tasks is empty; allowed: one group of tasks or more"):
        uneven(learner).meta_grad(learner.init(generator=seeded(0)), [])


def test_nan_is_found_in_the_group_where_it_is():
    class Spoilt:
        def sample(self, *args, **kwargs):
            groups = by_size(singles())
            groups[1].query.y[0, 1] = torch.nan
            return groups

    with pytest.raises(MetaTrainingDiverged, match=re.escape("tasks[1].query.y holds 1 number of 2")):
        next(meta_train(uneven(maml(NETWORK, mse_loss)), Spoilt(), beta=0.1, outer_steps=1, generator=seeded(0)))


# One task, one example ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: maml(nn.Linear(64, 1), cross_entropy),
        lambda: prototypical(nn.Linear(64, 3), 1),
        lambda: nearest_neighbour(1),
    ],
)
def test_one_image_of_one_class_will_do(make):
    learner, tasks = make(), Digits(n_way=1).sample(1, 1, 1, generator=seeded(0))
    theta = learner.init(generator=seeded(0))
    assert learner.meta_grad(theta, tasks)[0].isfinite()
    phi = learner.adapt(theta, Batch(tasks.support.x[0], tasks.support.y[0]))
    assert learner.predict(phi, tasks.query.x[0]).shape == (1, 1)


def test_a_family_of_a_single_task_is_learned():
    learner, pool = maml(mlp((1, 40, 40, 1)), mse_loss), Pool(Sinusoids(), n_tasks=1, seed=0)
    settings = {"beta": 0.01, "outer_steps": 200, "tasks_per_step": 1, "k_shot": 1, "n_query": 10}
    losses = [p.meta_loss for p in meta_train(learner, pool, generator=seeded(0), **settings)]
    assert sum(losses[-20:]) < 0.2 * sum(losses[:20])
