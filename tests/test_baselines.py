"""The honest baselines: joint training and learning from scratch."""

import pytest
import torch
from oracles import (
    FLOAT64,
    copied,
    each,
    float64_mlp,
    general_mse,
    loop_meta_loss,
    loop_path,
    random_tasks,
    random_theta,
)
from torch.func import functional_call
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.baselines import from_scratch, joint
from mapping_lib.meta_training import meta_train

NETWORK = float64_mlp(1, 5, 1)
PATHS = pytest.mark.parametrize("loss", [mse_loss, general_mse], ids=["fast path", "general path"])
BASELINES = pytest.mark.parametrize("make", [joint, from_scratch])


@PATHS
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_joint_descends_the_plain_gradient_of_all_examples(loss, steps: int):
    """As if all tasks were one: alpha and the inner steps play no part."""
    theta, tasks = random_theta(NETWORK), random_tasks()
    leaves = {name: p.clone().requires_grad_() for name, p in theta.items()}
    x, y = (torch.cat([a.flatten(0, 1), b.flatten(0, 1)]) for a, b in zip(tasks.support, tasks.query, strict=True))
    value = mse_loss(functional_call(NETWORK, leaves, (x,)), y)
    slopes = dict(zip(theta, torch.autograd.grad(value, list(leaves.values())), strict=True))
    found = joint(NETWORK, loss, alpha=0.3, steps=steps).meta_grad(theta, tasks)
    assert_close(found, (value.detach(), slopes), **FLOAT64)


@PATHS
def test_from_scratch_has_no_direction_and_reports_the_query_loss_at_phi(loss):
    theta, tasks = random_theta(NETWORK), random_tasks()
    value, direction = from_scratch(NETWORK, loss, alpha=0.1, steps=2).meta_grad(theta, tasks)
    assert_close(direction, {name: torch.zeros_like(p) for name, p in theta.items()}, rtol=0, atol=0)
    assert_close(value, loop_meta_loss(NETWORK, mse_loss, theta, tasks, 0.1, 2).detach(), **FLOAT64)


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_from_scratch_stays_where_it_began(optimiser: str):
    theta, g = random_theta(NETWORK), torch.Generator().manual_seed(0)
    family = Sinusoids(dtype=torch.float64)
    learner = from_scratch(NETWORK, mse_loss)
    *_, last = meta_train(learner, family, beta=0.1, outer_steps=3, generator=g, theta=theta, optimiser=optimiser)
    assert all(torch.equal(last.theta[name], theta[name]) for name in theta)


@PATHS
@BASELINES
def test_both_are_fine_tuned_by_inner_steps(make, loss):
    theta, tasks = random_theta(NETWORK), random_tasks()
    learner = make(NETWORK, loss, alpha=0.1, steps=3)
    for support, _ in each(tasks):
        expected = {n: p.detach() for n, p in loop_path(NETWORK, mse_loss, theta, support, 0.1, 3)[-1].items()}
        assert_close(learner.adapt(theta, support), expected, **FLOAT64)


@PATHS
@BASELINES
def test_theta_is_unchanged(make, loss):
    theta, tasks = random_theta(NETWORK), random_tasks()
    before = copied(theta)
    make(NETWORK, loss, alpha=0.1, steps=2).meta_grad(theta, tasks)
    assert all(torch.equal(theta[name], before[name]) for name in theta)


@BASELINES
def test_they_claim_no_meta_gradient(make):
    assert make(NETWORK, mse_loss).claims == "no gradient"
