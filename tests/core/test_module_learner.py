"""Ordinary PyTorch code under the contract: `from_module` changes neither the code nor what it computes."""

import copy

import pytest
import torch
from clinic import ALPHA, STEPS, by_copies, fit, fitted_copy, inner, loss_of, maml_with, small
from oracles import FLOAT64, copied, float64_mlp, random_tasks, random_theta, seeded
from torch import nn
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import fomaml, maml
from mapping_lib.learners.module import from_module
from mapping_lib.meta_training import meta_train
from mapping_lib.task import Batch, each

TASKS = random_tasks()
SUPPORT = next(each(TASKS)).support
THETA = random_theta(small().double())


def with_code(backward=lambda model, tasks: 0.0, adapt=lambda model, support: model, model: nn.Module | None = None):
    return from_module(model or small(), backward, adapt)


def equal(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    ("ordinary", "library"), [(lambda: maml_with(inner), maml), (by_copies, fomaml)], ids=["maml", "fomaml"]
)
def test_right_code_gives_what_the_library_gives(ordinary, library):
    ours, theirs = ordinary(), library(small(), mse_loss, alpha=ALPHA, steps=STEPS)
    assert_close(ours.meta_grad(THETA, TASKS), theirs.meta_grad(THETA, TASKS), **FLOAT64)
    assert_close(ours.adapt(THETA, SUPPORT), theirs.adapt(THETA, SUPPORT), **FLOAT64)
    x = TASKS.query.x[0]
    assert_close(ours.predict(THETA, x), theirs.predict(THETA, x), **FLOAT64)
    assert equal(ours.init(generator=seeded(3)), theirs.init(generator=seeded(3)))


def test_it_can_be_meta_trained():
    settings = {"beta": 0.01, "outer_steps": 5, "tasks_per_step": 3}
    learners = maml_with(inner), maml(small(), mse_loss, alpha=ALPHA, steps=STEPS)
    *_, ours = meta_train(learners[0], Sinusoids(), generator=seeded(1), **settings)
    *_, theirs = meta_train(learners[1], Sinusoids(), generator=seeded(1), **settings)
    assert_close(ours.theta, theirs.theta, rtol=1e-3, atol=1e-5)


def test_a_missing_gradient_counts_as_zero():
    def backward(model, tasks):
        loss = model[2].weight.square().sum()
        loss.backward()
        return loss

    _, direction = with_code(backward).meta_grad(THETA, TASKS)
    assert_close(direction.pop("2.weight"), 2 * THETA["2.weight"], **FLOAT64)
    assert direction.keys() == {"0.weight", "0.bias", "2.bias"}
    assert all(torch.equal(d, torch.zeros_like(THETA[name])) for name, d in direction.items())


def test_gradients_of_an_earlier_call_are_not_added():
    model = small().double()
    learner = with_code(lambda model, tasks: loss_of(model, SUPPORT).backward() or 0.0, model=model)
    first = learner.meta_grad(THETA, TASKS)[1]
    loss_of(model, SUPPORT).backward()
    assert equal(learner.meta_grad(THETA, TASKS)[1], first)


@pytest.mark.parametrize("value", [0.1, torch.tensor(0.1, dtype=torch.float64)])
def test_a_meta_loss_keeps_its_precision(value):
    meta_loss, _ = with_code(lambda model, tasks: value).meta_grad(THETA, TASKS)
    assert float(meta_loss) == float(value)
    assert not meta_loss.requires_grad


@pytest.mark.parametrize("replace", [False, True], ids=["same memory", "new memory"])
def test_what_the_code_does_to_the_model_it_does_to_theta(replace: bool):
    def backward(model, tasks):
        for p in model.parameters():
            if replace:
                p.data = p.data + 1.0
            else:
                p.data += 1.0
        return 0.0

    def adapt(model, support):
        backward(model, None)
        return model

    learner = with_code(backward, adapt)
    theta = copied(THETA)
    learner.meta_grad(theta, TASKS)
    assert_close(theta, {name: p + 1.0 for name, p in THETA.items()})
    learner.adapt(theta, SUPPORT)
    assert_close(theta, {name: p + 2.0 for name, p in THETA.items()})


def stop(*_):
    raise RuntimeError("stopped on purpose")


@pytest.mark.parametrize("backward", [lambda model, tasks: loss_of(fit(model, SUPPORT), SUPPORT), stop])
def test_the_model_has_its_own_parameters_back(backward):
    model = small()
    model[0].bias.grad = torch.ones(8)
    before = copy.deepcopy(model)
    learner = from_module(model, backward, lambda model, support: backward(model, None) and model)
    for ask in (lambda: learner.meta_grad(copied(THETA), TASKS), lambda: learner.adapt(copied(THETA), SUPPORT)):
        if backward is stop:
            with pytest.raises(RuntimeError, match="on purpose"):
                ask()
        else:
            ask()
        assert equal(model.state_dict(), before.state_dict())
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert [p.grad is None for p in model.parameters()] == [True, False, True, True]
        assert torch.equal(model[0].bias.grad, torch.ones(8))


def test_float32_and_float64_take_turns():
    learner = maml_with(inner)
    single = {name: p.float() for name, p in THETA.items()}
    parts = [Batch(*(t.float() for t in part)) for part in TASKS[:2]]
    for _ in range(2):
        exact = learner.meta_grad(THETA, TASKS)[1]
        rough = learner.meta_grad(single, TASKS._replace(support=parts[0], query=parts[1]))[1]
        assert {p.dtype for p in rough.values()} == {torch.float32}
        assert_close(rough, {name: p.float() for name, p in exact.items()}, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("adapt", [inner, fitted_copy], ids=["parameters by name", "a module"])
def test_adapt_gives_phi_as_values(adapt):
    learner = with_code(adapt=adapt)
    phi = learner.adapt(THETA, SUPPORT)
    assert phi.keys() == THETA.keys()
    assert not any(p.requires_grad for p in phi.values())
    assert_close(phi, maml(small(), mse_loss, alpha=ALPHA, steps=STEPS).adapt(THETA, SUPPORT), **FLOAT64)


def test_phi_shares_no_memory_with_theta():
    theta = copied(THETA)
    for p in with_code().adapt(theta, SUPPORT).values():
        p.add_(1.0)
    assert equal(theta, THETA)


def test_what_adapt_leaves_out_stays_as_in_theta():
    phi = with_code(adapt=lambda model, support: {"2.bias": model[2].bias + 1.0}).adapt(THETA, SUPPORT)
    assert equal(phi, THETA | {"2.bias": THETA["2.bias"] + 1.0})


def test_a_parameter_that_the_model_does_not_have_is_refused():
    learner = with_code(adapt=lambda model, support: {"3.bias": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"adapt gave parameters named \['3.bias'\]; allowed: \['0.bias', '0.weight'"):
        learner.adapt(THETA, SUPPORT)


def test_predict_reads_phi_and_not_the_model():
    model = float64_mlp(1, 8, 1, activation=nn.Tanh)
    learner, x = with_code(model=model), torch.ones(3, 1).double()
    phi = learner.adapt(THETA, SUPPORT)
    before = learner.predict(phi, x)
    with torch.no_grad():
        model[2].bias += 1.0
    assert_close(learner.predict(phi, x), before)
    assert_close(learner.predict(phi | {"2.bias": phi["2.bias"] + 1.0}, x), before + 1.0)


def test_a_model_that_changes_by_itself_is_refused():
    with pytest.raises(ValueError, match="active dropout"):
        with_code(model=nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.5)))
