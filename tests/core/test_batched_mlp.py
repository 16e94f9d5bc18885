"""The fast path equals the general one, and its Hessian product equals an explicit Hessian, in float64.

`test_gradient_learners.py` holds both paths to references that share no code with either.
"""

import itertools

import pytest
import torch
from oracles import FLOAT64, explicit_hessian, flat, float64_mlp, general_mse, random_tasks, random_theta, unflat
from torch import nn
from torch.func import functional_call
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mapping_lib.batched_mlp import adapt, hessian_product, is_relu_mlp, loss_gradient
from mapping_lib.learners.baselines import joint
from mapping_lib.learners.gradient import ALPHA_PREFIX, anil, fomaml, maml, meta_sgd
from mapping_lib.networks import mlp
from mapping_lib.task import Batch, Params, Task


def first_order_meta_sgd(*args, **kwargs):
    return meta_sgd(*args, **kwargs, first_order=True)


SIZES = [(1, 1), (2, 3), (1, 7, 1), (2, 4, 3, 2), (3, 4, 6, 3, 1)]
LOSSES = (mse_loss, general_mse)
MAKERS = [maml, fomaml, anil, meta_sgd, first_order_meta_sgd, joint]
EVERY = [
    pytest.param(sizes, make, steps, id=f"{make.__name__}-{sizes}-{steps} steps")
    for sizes, make, steps in itertools.product(SIZES, MAKERS, range(6))
]


def setting(sizes: tuple[int, ...], make, k_shot: int = 5) -> tuple[nn.Module, Params, Task]:
    """A network, its theta (for Meta-SGD with an alpha of either sign for every weight) and tasks."""
    network = float64_mlp(*sizes)
    theta = random_theta(network, seed=len(sizes))
    if make in (meta_sgd, first_order_meta_sgd):
        theta |= {ALPHA_PREFIX + name: 0.1 * p for name, p in random_theta(network, seed=50).items()}
    return network, theta, random_tasks(3, k_shot, 4, n_in=sizes[0], n_out=sizes[-1])


@pytest.mark.parametrize(("sizes", "make", "steps"), EVERY)
def test_loss_and_direction_equal_the_general_path(sizes, make, steps: int):
    network, theta, tasks = setting(sizes, make)
    fast, general = (make(network, loss, alpha=0.1, steps=steps).meta_grad(theta, tasks) for loss in LOSSES)
    assert_close(fast, general, **FLOAT64)


@pytest.mark.parametrize(("sizes", "make", "steps"), EVERY)
def test_the_path_equals_the_general_path(sizes, make, steps: int):
    network, theta, tasks = setting(sizes, make)
    fast, general = (make(network, loss, alpha=0.1).adapt_path(theta, tasks.support, steps=steps) for loss in LOSSES)
    assert_close(fast, general, **FLOAT64)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("sizes", SIZES)
def test_without_support_the_paths_agree_too(sizes, make):
    network, theta, tasks = setting(sizes, make, k_shot=0)
    fast, general = (make(network, loss, alpha=0.1, steps=2) for loss in LOSSES)
    assert_close(fast.meta_grad(theta, tasks), general.meta_grad(theta, tasks), **FLOAT64)
    assert_close(*(one.adapt_path(theta, tasks.support, steps=2) for one in (fast, general)), **FLOAT64)


def test_the_fast_path_is_taken_and_the_general_one_is_not(monkeypatch):
    """Else every comparison above would compare a path with itself."""

    def refuse(*args, **kwargs):
        raise AssertionError("the fast path was taken")

    network, theta, tasks = setting((1, 3, 1), maml)
    monkeypatch.setattr("mapping_lib.batched_mlp.meta_gradient", refuse)
    maml(network, general_mse).meta_grad(theta, tasks)
    maml(network, nn.MSELoss(reduction="sum")).meta_grad(theta, tasks)
    for loss in (mse_loss, nn.MSELoss()):
        with pytest.raises(AssertionError, match="fast path"):
            maml(network, loss).meta_grad(theta, tasks)


@pytest.mark.parametrize("make", MAKERS)
def test_the_results_are_ordinary_tensors(make):
    """In whatever mode the fast path computes, autograd may go on with what it gives."""
    network, theta, tasks = setting((1, 3, 1), make)
    learner = make(network, mse_loss, alpha=0.1, steps=2)
    value, direction = learner.meta_grad(theta, tasks)
    path = learner.adapt_path(theta, tasks.support, steps=2)
    assert not any(t.is_inference() for t in (value, *direction.values(), *path.values()))


class Subclass(nn.Linear):
    """A Linear that may compute anything."""


@pytest.mark.parametrize(
    ("network", "verdict"),
    [
        (mlp((1, 1)), True),
        (mlp((2, 5, 5, 5, 3)), True),
        (nn.Sequential(nn.Linear(1, 3), nn.ReLU(inplace=True), nn.Linear(3, 1)), True),
        (mlp((1, 5, 1), nn.Tanh), False),
        (nn.Linear(1, 1), False),
        (nn.Sequential(), False),
        (nn.Sequential(nn.ReLU()), False),
        (nn.Sequential(nn.Linear(1, 3), nn.ReLU()), False),
        (nn.Sequential(nn.Linear(1, 3), nn.Linear(3, 1)), False),
        (nn.Sequential(nn.Linear(1, 3), nn.LeakyReLU(), nn.Linear(3, 1)), False),
        (nn.Sequential(nn.Linear(1, 3, bias=False), nn.ReLU(), nn.Linear(3, 1)), False),
        (nn.Sequential(nn.Linear(1, 3), nn.ReLU(), Subclass(3, 1)), False),
        (nn.Sequential(nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 1))), False),
    ],
    ids=str,
)
def test_is_relu_mlp(network: nn.Module, verdict: bool):
    assert is_relu_mlp(network) is verdict


def explicit_product(network: nn.Module, theta: Params, batch: Batch, v: Params) -> Params:
    """H v with the Hessian written out."""

    def loss_at(vector: torch.Tensor) -> torch.Tensor:
        return mse_loss(functional_call(network, unflat(vector, theta), (batch.x,)), batch.y)

    return unflat(explicit_hessian(loss_at, flat(theta)) @ flat(v), theta)


def each_batch(batch: Batch) -> list[Batch]:
    return [Batch(x, y) for x, y in zip(*batch, strict=True)]


def stacked(thetas: list[Params]) -> list[torch.Tensor]:
    return [torch.stack([theta[name] for theta in thetas]) for name in thetas[0]]


@pytest.mark.parametrize("sizes", SIZES)
def test_the_hessian_product_of_each_task(sizes):
    """Parameters of each task's own: the products come back task by task."""
    network, batch = float64_mlp(*sizes), random_tasks(3, n_in=sizes[0], n_out=sizes[-1]).support
    thetas, vs = ([random_theta(network, first + i) for i in range(3)] for first in (0, 10))
    params = stacked(thetas)
    found = hessian_product(params, *loss_gradient(params, batch)[1:], stacked(vs))
    expected = [explicit_product(network, *each) for each in zip(thetas, each_batch(batch), vs, strict=True)]
    assert_close(found, stacked(expected), **FLOAT64)


@pytest.mark.parametrize("sizes", SIZES)
def test_the_hessian_product_of_shared_parameters_is_summed_over_the_tasks(sizes):
    network, batch = float64_mlp(*sizes), random_tasks(3, n_in=sizes[0], n_out=sizes[-1]).support
    theta, vs = random_theta(network), [random_theta(network, 10 + i) for i in range(3)]
    params = list(theta.values())
    found = hessian_product(params, *loss_gradient(params, batch)[1:], stacked(vs))
    each = [explicit_product(network, theta, *pair) for pair in zip(each_batch(batch), vs, strict=True)]
    assert_close(found, [p.sum(0) for p in stacked(each)], **FLOAT64)


@pytest.mark.parametrize("sizes", SIZES)
def test_the_gradient_of_each_task(sizes):
    network, batch = float64_mlp(*sizes), random_tasks(3, n_in=sizes[0], n_out=sizes[-1]).support
    thetas = [random_theta(network, i) for i in range(3)]
    found, _, _ = loss_gradient(stacked(thetas), batch)
    expected = []
    for theta, one in zip(thetas, each_batch(batch), strict=True):
        leaves = {name: p.clone().requires_grad_() for name, p in theta.items()}
        value = mse_loss(functional_call(network, leaves, (one.x,)), one.y)
        expected.append(dict(zip(theta, torch.autograd.grad(value, list(leaves.values())), strict=True)))
    assert_close(found, stacked(expected), **FLOAT64)


@pytest.mark.parametrize("k_shot", [0, 5])
@pytest.mark.parametrize("sizes", SIZES)
def test_inner_steps_may_begin_at_a_start_of_its_own_for_every_task(sizes, k_shot: int):
    network, _, tasks = setting(sizes, maml, k_shot)
    thetas = [random_theta(network, seed=i) for i in range(len(tasks.support.x))]
    phi = adapt(stacked(thetas), [torch.tensor(0.1, dtype=torch.float64)] * len(thetas[0]), tasks.support, 3)
    learner = maml(network, general_mse, alpha=0.1, steps=3)
    expected = [learner.adapt(theta, batch) for theta, batch in zip(thetas, each_batch(tasks.support), strict=True)]
    assert_close(phi, stacked(expected), **FLOAT64)
