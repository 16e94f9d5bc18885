"""Implicit MAML: its solution, its slope and what it keeps, each computed another way."""

import pytest
import torch
from oracles import FLOAT64, differences_at_once, float64_mlp, random_tasks, random_theta, refusals, seeded
from torch import nn
from torch.func import hessian
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mapping_lib.chapters.what_came_after.methods_implicit import (
    conjugate_gradients,
    implicit_maml,
    implicit_slope,
    unsolved,
)
from mapping_lib.chapters.what_came_after.methods_implicit_graph import numbers_kept
from mapping_lib.doctor import diagnose
from mapping_lib.learners.gradient import maml
from mapping_lib.networks import mlp
from mapping_lib.params import as_params, flat
from mapping_lib.task import Batch, each

LINE, TANH, RELU = float64_mlp(2, 1), float64_mlp(1, 3, 1, activation=nn.Tanh), float64_mlp(1, 3, 1)


def ridge(theta, support, strength):
    """argmin of a line's mean squared error + strength / 2 |phi - theta|², and d phi / d theta, in closed form."""
    X = torch.cat([support.x, torch.ones(len(support.x), 1, dtype=torch.float64)], 1)
    H = 2 / len(X) * X.T @ X
    A = H + strength * torch.eye(3, dtype=torch.float64)
    return torch.linalg.solve(A, 2 / len(X) * X.T @ support.y[:, 0] + strength * theta), strength * torch.linalg.inv(A)


@pytest.mark.parametrize("momentum", [0.0, 0.3])
def test_of_a_line_it_is_ridge_regression_towards_theta_whatever_the_solver(momentum: float):
    learner = implicit_maml(LINE, mse_loss, strength=4.0, alpha=0.1, steps=55, momentum=momentum, cg_steps=3)
    theta, tasks = random_theta(LINE), random_tasks(3, 6, 5, n_in=2)
    slopes = []
    for task in each(tasks):
        phi, jacobian = ridge(flat(theta), task.support, 4.0)
        assert_close(flat(learner.adapt(theta, task.support)), phi, **FLOAT64)
        slope = torch.func.grad(lambda v, q=task.query: mse_loss(line(v, q.x), q.y))(phi)
        slopes.append(jacobian @ slope)
    assert_close(flat(learner.meta_grad(theta, tasks)[1]), torch.stack(slopes).mean(0), **FLOAT64)


def line(vector, x):
    return x @ vector[:2, None] + vector[2]


@pytest.mark.parametrize("steps", [2, 80])
def test_unsolved_the_direction_is_the_formula_at_where_it_stopped(steps: int):
    """By torch.linalg.solve of the whole Hessian; and it is not the slope of its meta-loss, when steps are few."""
    learner = implicit_maml(TANH, mse_loss, strength=0.5, alpha=0.1, steps=steps, cg_steps=10)
    theta, tasks = random_theta(TANH), random_tasks(1, 6, 5)
    task = next(each(tasks))
    phi, shapes = flat(learner.adapt(theta, task.support)), {name: p.shape for name, p in theta.items()}

    def loss_of(batch):
        return lambda v: mse_loss(learner.predict(as_params(v, shapes), batch.x), batch.y)

    H, slope = hessian(loss_of(task.support))(phi), torch.func.grad(loss_of(task.query))(phi)
    wanted = torch.linalg.solve(torch.eye(len(H), dtype=H.dtype) + H / 0.5, slope)
    found = flat(learner.meta_grad(theta, tasks)[1])
    assert_close(found, wanted, rtol=1e-7, atol=1e-9)

    def after(theta):
        return mse_loss(learner.predict(learner.adapt(theta, task.support), task.query.x), task.query.y)

    exact = flat(differences_at_once(after, theta))
    assert ((found - exact).norm() > 0.05 * exact.norm()) == (steps < 80)


def test_the_fast_path_is_the_general_one():
    theta, tasks = random_theta(RELU), random_tasks(3, 6, 5)
    for steps, cg_steps in ((0, 4), (1, 0), (7, 4)):
        settings = {"strength": 0.8, "alpha": 0.05, "steps": steps, "momentum": 0.4, "cg_steps": cg_steps}
        fast, general = (implicit_maml(RELU, loss, **settings) for loss in (mse_loss, lambda a, b: mse_loss(a, b)))
        assert_close(fast.meta_grad(theta, tasks), general.meta_grad(theta, tasks), **FLOAT64)


def test_conjugate_gradients_solve_several_systems_side_by_side():
    root = torch.randn(4, 6, 6, generator=seeded(1), dtype=torch.float64)
    eye, b = torch.eye(6, dtype=torch.float64), torch.randn(4, 6, generator=seeded(2), dtype=torch.float64)
    A = root @ root.mT + eye
    A[0], b[1] = eye, 0.0  # solved before it begins, and nothing to solve
    found = conjugate_gradients(lambda v: (A @ v[..., None])[..., 0], b, 9)
    assert_close(found, torch.linalg.solve(A, b), rtol=1e-8, atol=1e-9)
    assert torch.equal(conjugate_gradients(lambda v: 2 * v, b, 0), b)


def test_the_implicit_slope_of_a_bowl_is_what_is_left_of_each_direction():
    h = torch.tensor([0.0, 1.0, 10.0], dtype=torch.float64)
    found = implicit_slope(lambda p: 0.5 * (h * p * p).sum(), torch.zeros_like(h), torch.ones_like(h), 2.0, 3)
    assert_close(found, 2 / (2 + h))


def test_it_keeps_as_much_for_thirty_steps_as_for_one_and_maml_does_not():
    theta, task = random_theta(TANH), next(each(random_tasks(1)))

    def kept(make, steps, **settings):
        leaves = {name: p.clone().requires_grad_() for name, p in theta.items()}
        phi = make(TANH, mse_loss, alpha=0.1, steps=steps, **settings).adapt(leaves, task.support)
        return numbers_kept(phi.values())

    assert kept(implicit_maml, 1) == kept(implicit_maml, 30) < 100
    one, two, three = (kept(maml, steps) for steps in (10, 20, 30))
    assert three - two == two - one > 100


def test_the_doctor_hears_whether_the_problem_was_solved():
    class Family:
        def sample(self, n_tasks, k_shot, n_query, *, generator):
            return random_tasks(n_tasks, k_shot, n_query, seed=int(torch.randint(1000, (), generator=generator)))

    few = implicit_maml(TANH, mse_loss, strength=3.0, alpha=0.1, steps=2)
    faults = diagnose(few, Family(), loss=mse_loss, n_tasks=2, generator=seeded(1)).faults
    assert faults == ("not the gradient of its meta-loss",)


def test_without_evidence_or_step_it_stays_and_its_gradient_passes_whole():
    theta = random_theta(TANH)
    for steps, k_shot in ((0, 5), (3, 0)):
        learner, tasks = implicit_maml(TANH, mse_loss, steps=steps), random_tasks(1, k_shot)
        x, y = (part[0] for part in tasks.query)
        slope = torch.func.grad(lambda p, x=x, y=y, predict=learner.predict: mse_loss(predict(p, x), y))(theta)
        assert_close(learner.meta_grad(theta, tasks)[1], slope, **FLOAT64)


def test_unsolved_is_one_at_theta_and_falls_to_zero():
    learner = implicit_maml(TANH, mse_loss, strength=3.0, alpha=0.1)
    theta, task = random_theta(TANH), next(each(random_tasks(1)))
    left = [
        float(unsolved(learner, theta, learner.adapt(theta, task.support, steps=m), task.support, mse_loss, 3.0))
        for m in (0, 10, 100)
    ]
    assert left[0] == pytest.approx(1.0)
    assert left[0] > left[1] > left[2]
    assert left[2] < 1e-9


def test_a_minimum_may_lie_at_a_kink_of_relu_where_no_step_arrives():
    """A short alpha, 4,000 steps: the gradient stays, and an example lies on the edge of a unit."""
    start = mlp((1, 3, 1)).double()
    learner = implicit_maml(start, mse_loss, strength=3.0, alpha=0.005)
    theta = {name: p.double() for name, p in learner.init(generator=seeded(0)).items()}
    support = next(each(random_tasks(4, 5, 4, seed=0))).support
    path = learner.adapt_path(theta, Batch(support.x[None], support.y[None]), steps=4000)
    phi = {name: p[-1, 0] for name, p in path.items()}
    assert float(unsolved(learner, theta, phi, support, mse_loss, 3.0)) > 0.05
    edge = (support.x @ phi["0.weight"].T + phi["0.bias"]).abs()
    assert float(edge.min()) < 0.002


NET = mlp((1, 2, 1))
test_bad_input = refusals(
    [
        (lambda: implicit_maml(NET, mse_loss, strength=0.0), "strength is 0.0; allowed: a finite number above 0"),
        (lambda: implicit_maml(NET, mse_loss, alpha=-1.0), "alpha is -1.0"),
        (lambda: implicit_maml(NET, mse_loss, steps=-1), "steps is -1"),
        (lambda: implicit_maml(NET, mse_loss, cg_steps=2.5), "cg_steps is 2.5"),
        (lambda: implicit_maml(NET, mse_loss, momentum=1.0), "momentum is 1.0; allowed: a number from 0 to below 1"),
    ]
)
