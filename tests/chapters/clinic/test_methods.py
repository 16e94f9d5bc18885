"""The clinic's programs, written quickly, are the ordinary PyTorch ones that they stand for."""

import copy
from functools import partial

import pytest
import torch

from mapping_lib.chapters.clinic.methods import (
    ALPHA,
    FAMILY,
    FIRST_ORDER,
    REAL,
    adapted,
    begin,
    by_adam,
    by_library,
    examined,
    mse,
    one_phi,
    same_as_maml,
    seeded,
    stream,
    train,
)
from mapping_lib.doctor import diagnose
from mapping_lib.task import each


def with_twin(model, optimiser, tasks, make=torch.optim.Adam, fresh=False):
    """Recipe 5 after its first fixes, as chapter 3c writes it: a copy for every task."""
    twin, total = copy.deepcopy(model), 0.0
    inner = make(twin.parameters(), lr=ALPHA)
    optimiser.zero_grad()
    for support, query, _ in each(tasks):
        twin.load_state_dict(model.state_dict())
        inner = make(twin.parameters(), lr=ALPHA) if fresh else inner
        inner.zero_grad()
        mse(twin(support.x), support.y).backward()
        inner.step()
        loss = mse(twin(query.x), query.y) / len(tasks.query.x)
        gradient = torch.autograd.grad(loss, list(twin.parameters()))
        for p, g in zip(model.parameters(), gradient, strict=True):
            p.grad = g if p.grad is None else p.grad + g
        total = total + loss.detach()
    return total


def without_loop(model, optimiser, tasks):
    phi = adapted(model, tasks.support)
    loss = mse(torch.func.functional_call(model, phi, (tasks.query.x,)), tasks.query.y)
    optimiser.zero_grad()
    loss.backward()
    return loss


@pytest.mark.parametrize(
    ("quick", "plain"),
    [
        (partial(by_adam, fresh=False), with_twin),
        (partial(by_adam, fresh=True), partial(with_twin, fresh=True)),
        (FIRST_ORDER.meta_grad, partial(with_twin, make=torch.optim.SGD)),
        (one_phi, without_loop),
    ],
)
def test_quick_programs_go_the_way_of_ordinary_ones(quick, plain):
    mine, theirs = train(by_library(quick), outer_steps=20), train(plain, outer_steps=20)
    assert all(torch.allclose(mine[name], theirs[name], atol=1e-3) for name in mine)


def test_adapted_is_a_step_of_maml_that_autograd_knows():
    model, _ = begin()
    support = next(each(FAMILY.sample(1, 10, 0, generator=seeded(7)))).support
    theta = {name: p.detach() for name, p in model.named_parameters()}
    phi, healthy = adapted(model, support), REAL.adapt(theta, support)
    assert all(torch.allclose(phi[name], healthy[name], atol=1e-6) for name in phi)
    assert all(p.grad_fn for p in phi.values())


def test_a_recipe_is_told_apart_from_maml():
    assert same_as_maml(by_library(REAL.meta_grad), outer_steps=5)
    assert not same_as_maml(by_library(FIRST_ORDER.meta_grad), outer_steps=5)


def test_train_takes_the_steps_of_the_stream():
    steps = stream(by_library(REAL.meta_grad), seed=1)
    for _ in range(3):
        printed, theta = next(steps)
    assert printed > 0
    trained = train(by_library(REAL.meta_grad), seed=1, outer_steps=3)
    assert all(torch.equal(theta[name], trained[name]) for name in theta)


def test_a_fresh_adam_leaks_nothing():
    def adapt(model, optimiser, support):
        twin = copy.deepcopy(model)
        mse(twin(support.x), support.y).backward()
        torch.optim.Adam(twin.parameters(), lr=ALPHA).step()
        return twin

    diagnosis = diagnose(examined(partial(with_twin, fresh=True), adapt), FAMILY)
    assert "tasks leak" not in diagnosis.faults
