"""What the chapter says of causes, by the experiment that could have said otherwise, on three seeds."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from mapping_lib.evaluation import ErrorByStep, evaluate_by_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import anil
from mapping_lib.meta_training import meta_train
from mapping_lib.networks import mlp
from mapping_lib.params import flat
from mapping_lib.study.sinusoids import LEARNERS, SEEDS, SIZES, shipped
from mapping_lib.task import Batch

NETWORK = mlp(SIZES)


def judged(learner, theta, seed: int = 100, steps: int = 10) -> ErrorByStep:
    """As the chapter's table: 600 new tasks with five points each, ten steps."""
    settings = {"k_shot": 5, "steps": steps, "n_tasks": 600, "generator": torch.Generator().manual_seed(seed)}
    return evaluate_by_step(learner, theta, Sinusoids(), **settings)


def features(theta: dict, x: Tensor) -> Tensor:
    """What the last layer reads: the second layer's units, and a one for the bias."""
    body = {name: p for name, p in theta.items() if not name.startswith("4.")}
    read = functional_call(NETWORK[:-1], body, (x,))
    return torch.cat([read, torch.ones_like(read[..., :1])], -1)


@pytest.mark.parametrize("seed", SEEDS)
def test_anil_diverges_where_its_alpha_is_above_the_limit_of_a_bowl_and_nowhere_else(seed: int):
    theta = shipped("anil", seed)[1]
    errors = judged(*shipped("anil", seed))
    tasks = Sinusoids().sample(600, 5, 100, generator=torch.Generator().manual_seed(100))
    read = features(theta, tasks.support.x)
    curvature = 2 / 5 * torch.linalg.eigvalsh(read @ read.mT)[:, -1]
    lost = errors.per_task[:, 10] > 10 * errors.median[0]
    assert 20 < lost.sum() < 45
    assert not (lost & (curvature < 200)).any()
    assert (curvature > 200).float().mean() < 0.15


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_points_of_a_slower_wave_are_met_between_them(seed: int):
    learner, theta = shipped("maml", seed)
    y = torch.tensor([0.3, 1.9, 2.4, 1.8, 0.1, -1.7, -2.6, -1.9, -0.3, 1.6])
    points = Batch(torch.arange(-4.5, 5.0)[:, None], y[:, None])
    phi = learner.adapt(theta, points, steps=50)
    assert abs(learner.predict(phi, torch.tensor([[2.0]])).item() + 2.3) < 0.6


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("alpha", [0.005, 0.007])
def test_with_a_smaller_alpha_anil_diverges_nowhere_and_is_between_maml_and_joint_training(alpha: float, seed: int):
    errors = judged(LEARNERS["anil"].learner(alpha=alpha), shipped("anil", seed)[1])
    assert not errors.diverged.any()
    assert 0.4 < errors.mean[10] < 0.7


@pytest.mark.parametrize("seed", SEEDS)
def test_of_mamls_theta_the_first_layer_alone_does_what_all_do_and_the_last_next_to_nothing(seed: int):
    theta = shipped("maml", seed)[1]
    everything = judged(*shipped("maml", seed)).mean
    first, second, last = (judged(_only(layer), theta).mean for layer in ("0", "2", "4"))
    assert first[10] < 1.4 * everything[10] < 0.6
    assert 1.7 < second[10] < 2.2
    assert 2.1 < last[10] < 2.6 < last[0]
    assert judged(_only("4", alpha=0.02), theta).mean[10] > 2


def _only(layer: str, alpha: float = 0.01):
    return anil(mlp(SIZES), nn.functional.mse_loss, alpha=alpha, head=layer)


@pytest.mark.parametrize("seed", SEEDS)
def test_not_even_the_best_last_layer_would_make_of_mamls_features_what_its_steps_make(seed: int):
    """Ridge regression on the features, with the best of seven penalties."""
    theta = shipped("maml", seed)[1]
    tasks = Sinusoids().sample(600, 5, 100, generator=torch.Generator().manual_seed(100))
    read, asked = features(theta, tasks.support.x), features(theta, tasks.query.x)
    head = torch.cat([theta["4.weight"][0], theta["4.bias"]])[:, None]
    missed = tasks.support.y - read @ head
    errors = []
    for penalty in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0):
        step = read.mT @ torch.linalg.solve(read @ read.mT + penalty * torch.eye(5), missed)
        errors.append(float((asked @ (head + step) - tasks.query.y).square().mean()))
    assert 1.3 < min(errors) < 2.0


def test_all_who_were_trained_with_one_step_gain_by_a_shorter_one_when_they_take_five():
    """The same care as for joint training: alpha is chosen for each, on tasks of its own."""
    for name in ("maml", "fomaml", "reptile", "anil"):
        sums = {
            alpha: sum(judged(LEARNERS[name].learner(alpha=alpha), shipped(name, s)[1], 5, 5).mean[5] for s in SEEDS)
            for alpha in (0.005, 0.007, 0.01)
        }
        assert min(sums, key=sums.get) == 0.007
    for seed in SEEDS:
        maml, head_only = (judged(LEARNERS[n].learner(alpha=0.007), shipped(n, seed)[1]) for n in ("maml", "anil"))
        assert maml.mean[10] < 0.8 * head_only.mean[10]


@pytest.mark.parametrize("seed", SEEDS)
def test_meta_sgd_falls_apart_also_with_smaller_alphas(seed: int):
    learner, theta = shipped("meta_sgd", seed)
    smaller = {name: 0.3 * p if name.startswith("alpha.") else p for name, p in theta.items()}
    assert 0.02 < judged(learner, smaller).diverged[10] < 0.3


def test_training_amplifies_rounding():
    """Theta that differ by a millionth at the start are a hundredth apart after 400 outer steps on the same tasks."""
    learner = LEARNERS["maml"].learner()
    ends = []
    for nudge in (0, 1e-6):
        g = torch.Generator().manual_seed(0)
        start = learner.init(generator=g)
        noise = torch.Generator().manual_seed(1)
        start = {name: p * (1 + nudge * torch.randn(p.shape, generator=noise)) for name, p in start.items()}
        *_, last = meta_train(learner, Sinusoids(), beta=0.003, outer_steps=400, theta=start, generator=g)
        ends.append(flat(last.theta))
    assert (ends[0] - ends[1]).norm() / ends[0].norm() > 1000 * 1e-6
