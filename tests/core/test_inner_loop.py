"""The inner loop against what a hand computes: on a quadratic, every number has a closed form."""

import numpy as np
import pytest
import torch
from oracles import (
    FLOAT64,
    Scale,
    bowl,
    copied,
    float64_mlp,
    general_mse,
    line_meta_grad,
    line_phi,
    quadratic_phi,
    random_tasks,
    random_theta,
    seeded,
)
from torch.func import functional_call
from torch.nn.functional import l1_loss, mse_loss
from torch.testing import assert_close

from mapping_lib.inner_loop import adapt, adapt_path, inner_step, step_size, support_objective, train_each
from mapping_lib.learners.gradient import fomaml, maml
from mapping_lib.task import Batch

CURVATURES = [-0.5, 0.0, 0.3, 1.0, 4.0]
STEPS = range(6)
ALPHA = 0.2


def vector(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def quadratic(h, c):
    """The objective 0.5 h (w - c)^2, for any curvature."""
    return lambda params: 0.5 * (h * (params["w"] - c) ** 2).sum()


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("h", CURVATURES)
def test_phi_has_its_closed_form(h: float, steps: int):
    phi = adapt({"w": vector(1.7)}, quadratic(h, 0.4), alpha=ALPHA, steps=steps)
    assert_close(phi["w"], vector(1.7 - (1 - (1 - ALPHA * h) ** steps) * (1.7 - 0.4)), **FLOAT64)


@pytest.mark.parametrize("first_order", [False, True], ids=["maml", "fomaml"])
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("h", CURVATURES)
def test_d_phi_by_d_theta_has_its_closed_form(h: float, steps: int, first_order: bool):
    theta = {"w": vector(1.7).requires_grad_()}
    phi = adapt(theta, quadratic(h, 0.4), alpha=ALPHA, steps=steps, first_order=first_order)
    slope = torch.autograd.grad(phi["w"].sum(), theta["w"])[0]
    assert_close(slope, vector(1.0 if first_order else (1 - ALPHA * h) ** steps), **FLOAT64)


@pytest.mark.parametrize("steps", STEPS[1:])
@pytest.mark.parametrize("h", CURVATURES)
def test_d_phi_by_d_alpha_has_its_closed_form(h: float, steps: int):
    alpha = vector(ALPHA).requires_grad_()
    phi = adapt({"w": vector(1.7)}, quadratic(h, 0.4), alpha={"w": alpha}, steps=steps)
    slope = torch.autograd.grad(phi["w"].sum(), alpha)[0]
    assert_close(slope, vector(-h * steps * (1 - ALPHA * h) ** (steps - 1) * (1.7 - 0.4)), **FLOAT64)


@pytest.mark.parametrize("steps", STEPS)
def test_every_parameter_follows_its_own_curvature(steps: int):
    theta, h, c = vector(1.0, -2.0), vector(0.5, 3.0), vector(0.3, 0.7)
    phi = adapt({"w": theta}, quadratic(h, c), alpha=ALPHA, steps=steps)
    assert_close(phi["w"], quadratic_phi(theta, h, c, ALPHA, steps), **FLOAT64)


@pytest.mark.parametrize("loss", [mse_loss, general_mse], ids=["mse", "any loss"])
@pytest.mark.parametrize("steps", STEPS)
def test_a_learner_adapts_a_network_by_the_closed_form(steps: int, loss):
    theta, h, c = vector(1.0, -2.0), vector(0.5, 3.0), vector(0.3, 0.7)
    learner = maml(Scale(2), loss, alpha=ALPHA, steps=steps)
    phi = learner.adapt({"w": theta}, bowl(h, c))
    assert_close(phi["w"], quadratic_phi(theta, h, c, ALPHA, steps), **FLOAT64)


@pytest.mark.parametrize(("make", "power"), [(maml, 1), (fomaml, 0)], ids=["maml", "fomaml"])
@pytest.mark.parametrize("steps", STEPS)
def test_the_meta_gradient_of_a_network_has_its_closed_form(steps: int, make, power: int):
    """d/dtheta of 0.5 h' (phi - c')^2 is h' (phi - c') (1 - alpha h)^m, or without the last factor."""
    theta, h, c, h_query, c_query = vector(1.0), vector(0.8), vector(0.3), vector(1.5), vector(-0.2)
    support, query = (Batch(x[None], y[None]) for x, y in (bowl(h, c), bowl(h_query, c_query)))
    tasks = random_tasks(1)._replace(support=support, query=query)
    meta_loss, direction = make(Scale(), mse_loss, alpha=ALPHA, steps=steps).meta_grad({"w": theta}, tasks)
    away = quadratic_phi(theta, h, c, ALPHA, steps) - c_query
    assert_close(meta_loss, (0.5 * h_query * away**2).sum(), **FLOAT64)
    assert_close(direction["w"], h_query * away * (1 - ALPHA * h) ** (steps * power), **FLOAT64)


@pytest.mark.parametrize("loss", [mse_loss, general_mse], ids=["fast path", "general path"])
@pytest.mark.parametrize("make", [maml, fomaml])
@pytest.mark.parametrize("steps", STEPS)
def test_a_straight_line_has_its_closed_form(steps: int, make, loss):
    """Weight and bias share a Hessian that is not diagonal."""
    learner, tasks = make(float64_mlp(1, 1), loss, alpha=ALPHA, steps=steps), random_tasks()
    theta = {"0.weight": vector(0.9)[None], "0.bias": vector(-0.4)}
    path = learner.adapt_path(theta, tasks.support, steps=steps)
    for i in range(len(tasks.support.x)):
        support = Batch(tasks.support.x[i], tasks.support.y[i])
        expected = line_phi(np.array([0.9, -0.4]), support, ALPHA, steps)
        assert_close(torch.stack([path["0.weight"][-1, i, 0, 0], path["0.bias"][-1, i, 0]]), vector(*expected))
    direction = learner.meta_grad(theta, tasks)[1]
    expected = line_meta_grad(np.array([0.9, -0.4]), tasks, ALPHA, steps, first_order=make is fomaml)
    assert_close(torch.cat([direction["0.weight"][0], direction["0.bias"]]), vector(*expected), **FLOAT64)


def test_inner_step_subtracts_alpha_times_the_gradient_by_name():
    params, gradient = {"a": vector(1.0, 2.0), "b": vector(3.0)}, {"a": vector(10.0, 20.0), "b": vector(-5.0)}
    assert_close(inner_step(params, gradient, 0.1), {"a": vector(0.0, 0.0), "b": vector(3.5)})
    alphas = {"a": vector(0.1, -0.1), "b": 0.0}
    assert_close(inner_step(params, gradient, alphas), {"a": vector(0.0, 4.0), "b": vector(3.0)})


def test_step_size_is_one_for_all_or_one_a_name():
    assert step_size(0.3, "a") == 0.3
    assert step_size({"a": 0.1, "b": 0.2}, "b") == 0.2


@pytest.mark.parametrize("steps", STEPS)
def test_alphas_by_name_move_each_parameter_at_its_own_pace(steps: int):
    def objective(params):
        return quadratic(1.5, 0.0)({"w": params["slow"]}) + quadratic(1.5, 0.0)({"w": params["fast"]})

    theta = {"slow": vector(1.0), "fast": vector(1.0)}
    phi = adapt(theta, objective, alpha={"slow": 0.0, "fast": vector(0.4)}, steps=steps)
    assert_close(phi, {"slow": vector(1.0), "fast": vector(0.4**steps)}, **FLOAT64)


def test_the_path_holds_theta_and_then_every_iterate():
    theta, h, c = vector(1.0, -2.0), vector(0.5, 3.0), vector(0.3, 0.7)
    path = adapt_path({"w": theta}, quadratic(h, c), alpha=ALPHA, steps=5)["w"]
    assert path.shape == (6, 2)
    assert torch.equal(path[0], theta)
    assert_close(path, torch.stack([quadratic_phi(theta, h, c, ALPHA, i) for i in STEPS]), **FLOAT64)


def test_the_path_follows_alphas_by_name():
    theta = {"a": vector(1.0), "b": vector(1.0)}
    path = adapt_path(theta, lambda p: 0.5 * (p["a"] * p["b"]).sum() ** 2, alpha={"a": 0.1, "b": -0.1}, steps=1)
    assert_close(path, {"a": vector(1.0, 0.9)[:, None], "b": vector(1.0, 1.1)[:, None]}, **FLOAT64)


def test_nothing_is_mutated():
    theta, gradient = {"w": torch.randn(4, generator=seeded(0))}, {"w": torch.randn(4, generator=seeded(1))}
    alpha = {"w": torch.full((4,), 0.1)}
    before = copied(theta), copied(gradient), copied(alpha)
    inner_step(theta, gradient, alpha)
    adapt(theta, quadratic(2.0, 1.0), alpha=alpha, steps=3)
    adapt_path(theta, quadratic(2.0, 1.0), alpha=alpha, steps=3)
    for now, then in zip((theta, gradient, alpha), before, strict=True):
        assert torch.equal(now["w"], then["w"])


def test_phi_without_a_step_is_a_mapping_of_its_own():
    """Whoever puts something into phi must not find it in theta."""
    theta = {"w": vector(1.0)}
    phi = maml(Scale(), mse_loss).adapt(theta, bowl(vector(1.0), vector(0.0)), steps=0)
    phi["w"] = vector(2.0)
    assert theta["w"] == 1.0


def test_support_objective_reads_a_batch_or_asks_for_one():
    batch = Batch(vector(1.0, 2.0)[:, None], vector(0.0, 0.0)[:, None])
    predict = lambda params, x: params["w"] * x  # noqa: E731
    assert support_objective(predict, mse_loss, batch)({"w": vector(2.0)}) == 10.0  # (2^2 + 4^2) / 2
    moving = lambda params: Batch(batch.x, params["w"] * batch.x / 2)  # noqa: E731
    assert support_objective(predict, mse_loss, moving)({"w": vector(2.0)}) == 2.5  # (1^2 + 2^2) / 2


# One network trained for each task --------------------------------------------------------------------

SMALL = float64_mlp(1, 4, 1)


def predict(params, x: torch.Tensor) -> torch.Tensor:
    return functional_call(SMALL, params, (x,))


def starts_of(n_tasks: int) -> dict[str, torch.Tensor]:
    """Another start for every task."""
    thetas = [random_theta(SMALL, seed) for seed in range(n_tasks)]
    return {name: torch.stack([theta[name] for theta in thetas]) for name in thetas[0]}


def trained_alone(start, batch: Batch, steps: int, lr: float, loss=mse_loss) -> list:
    """The parameters after every step of torch's Adam on one task."""
    params = {name: p.clone().requires_grad_() for name, p in start.items()}
    optimiser, path = torch.optim.Adam(params.values(), lr=lr), []
    for _ in range(steps):
        optimiser.zero_grad()
        loss(predict(params, batch.x), batch.y).backward()
        optimiser.step()
        path.append(copied(params))
    return path


@pytest.mark.parametrize("loss", [mse_loss, general_mse, l1_loss])
@pytest.mark.parametrize("n_tasks", [1, 3])
def test_each_task_is_trained_as_if_alone(n_tasks: int, loss):
    starts, batch = starts_of(n_tasks), random_tasks(n_tasks).support
    found = [copied(params) for params in train_each(predict, loss, starts, batch, steps=5, lr=0.05)]
    assert len(found) == 5
    for i in range(n_tasks):
        start, alone = {name: p[i] for name, p in starts.items()}, Batch(batch.x[i], batch.y[i])
        for now, expected in zip(found, trained_alone(start, alone, 5, 0.05, loss), strict=True):
            assert_close({name: p[i] for name, p in now.items()}, expected, **FLOAT64)


def test_adam_of_each_task_steps_by_a_hundredth_unless_told_otherwise():
    starts, batch = starts_of(2), random_tasks(2).support
    default, hundredth = (
        list(train_each(predict, mse_loss, starts, batch, steps=1, **lr)) for lr in ({}, {"lr": 0.01})
    )
    assert_close(default, hundredth, rtol=0, atol=0)


def test_training_each_task_leaves_the_starts_and_the_examples_as_they_were():
    starts, batch = starts_of(3), random_tasks().support
    starts["0.bias"].requires_grad_()
    before, examples = copied(starts), [part.clone() for part in batch]
    for _ in train_each(predict, mse_loss, starts, batch, steps=3):
        pass
    assert all(torch.equal(starts[name], before[name]) for name in starts)
    assert all(torch.equal(now, then) for now, then in zip(batch, examples, strict=True))
    assert starts["0.bias"].grad is None


def test_training_each_task_yields_all_parameters_after_each_step_and_no_gradient():
    starts = starts_of(3)
    yielded = train_each(predict, mse_loss, starts, random_tasks().support, steps=2)
    first = next(yielded)
    assert {name: p.shape for name, p in first.items()} == {name: p.shape for name, p in starts.items()}
    assert not any(p.requires_grad for p in first.values())
    kept = copied(first)
    last = next(yielded)
    assert not torch.equal(kept["0.weight"], last["0.weight"])
    assert torch.equal(first["0.weight"], last["0.weight"])  # memory is shared, as the docstring warns
    assert next(yielded, None) is None


def test_training_each_task_for_no_step_yields_nothing():
    assert list(train_each(predict, mse_loss, starts_of(3), random_tasks().support, steps=0)) == []
