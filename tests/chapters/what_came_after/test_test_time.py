"""Test-time training: its questions by hand, its steps by autograd, and what they mend outside the family."""

import pytest
import torch
from oracles import FLOAT64, random_tasks, refusals, seeded
from torch.func import functional_call
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mapping_lib.chapters.what_came_after import methods_test_time as at_test_time
from mapping_lib.chapters.what_came_after.study_contestants import errors_on, waves
from mapping_lib.chapters.what_came_after.study_test_time import by_steps, errors_by_steps
from mapping_lib.learners.in_context import in_context
from mapping_lib.set_networks import ContextTransformer
from mapping_lib.task import Batch, each

TRANSFORMER = ContextTransformer(width=8, heads=2, layers=2).double()
THETA = {name: p.detach().clone() for name, p in TRANSFORMER.named_parameters()}
SUPPORT = next(each(random_tasks(1, 5, 3))).support


def learner(**settings):
    return at_test_time.test_time(TRANSFORMER, mse_loss, **{"alpha": 0.05, "steps": 3} | settings)


def one_at_a_time(weights: dict, leave_one_out: bool) -> torch.Tensor:
    """The mean loss over the examples, each asked for by itself: a loop, no index arithmetic."""
    losses = []
    for i in range(len(SUPPORT.x)):
        kept = [j for j in range(len(SUPPORT.x)) if not (leave_one_out and j == i)]
        y_hat = functional_call(TRANSFORMER, weights, (SUPPORT.x[kept], SUPPORT.y[kept], SUPPORT.x[i : i + 1]))
        losses.append(mse_loss(y_hat, SUPPORT.y[i : i + 1]))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("leave_one_out", [True, False])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_its_steps_are_those_of_autograd_on_questions_asked_one_at_a_time(leave_one_out: bool, steps: int):
    weights = {name: p.clone().requires_grad_() for name, p in THETA.items()}
    for _ in range(steps):
        slopes = torch.autograd.grad(one_at_a_time(weights, leave_one_out), list(weights.values()))
        weights = {
            name: (p - 0.05 * slope).detach().requires_grad_()
            for (name, p), slope in zip(weights.items(), slopes, strict=True)
        }
    phi = learner(leave_one_out=leave_one_out).adapt(THETA, SUPPORT, steps=steps)
    assert_close({name: phi[name] for name in THETA}, {n: p.detach() for n, p in weights.items()}, **FLOAT64)
    assert phi.keys() - THETA.keys() == {"support.x", "support.y"}


def test_no_example_is_in_the_context_of_its_own_question():
    """Another y in example 2 changes the answers to all questions but its own."""
    asked = []

    def spy(params, x, y, query):
        asked.append((y, query))
        return query

    at_test_time.leave_one_out_loss(spy, mse_loss, SUPPORT)(THETA)
    ((context, query),) = asked  # one forward pass
    assert context.shape == (5, 4, 1)
    assert torch.equal(query[:, 0], SUPPORT.x)
    for i in range(5):
        rest = {y.item() for j, y in enumerate(SUPPORT.y) if j != i}
        assert {y.item() for y in context[i]} == rest


def test_without_steps_it_is_the_in_context_learner():
    x = torch.linspace(-2, 2, 7, dtype=torch.float64)[:, None]
    plain, mine = in_context(TRANSFORMER, mse_loss), learner()
    phi = mine.adapt(THETA, SUPPORT, steps=0)
    assert_close(mine.predict(phi, x), plain.predict(plain.adapt(THETA, SUPPORT), x), **FLOAT64)


def test_one_example_is_asked_for_from_nothing():
    """K = 1: the context is empty, which this transformer can read; the step is a step all the same."""
    phi = learner(steps=1).adapt(THETA, Batch(SUPPORT.x[:1], SUPPORT.y[:1]))
    empty = torch.zeros(0, 1, dtype=torch.float64)
    weights = {name: p.clone().requires_grad_() for name, p in THETA.items()}
    loss = mse_loss(functional_call(TRANSFORMER, weights, (empty, empty, SUPPORT.x[:1])), SUPPORT.y[:1])
    slopes = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
    expected = {name: THETA[name] - 0.05 * slope for name, slope in zip(THETA, slopes, strict=True)}
    assert_close({name: phi[name] for name in THETA}, expected, **FLOAT64)


def test_gradients_pass_through_the_steps_and_both_kinds_differ():
    tasks = random_tasks(2, 4, 3)
    directions = [learner(leave_one_out=kind).meta_grad(THETA, tasks)[1] for kind in (True, False)]
    assert any(not torch.allclose(a, b) for a, b in zip(*(d.values() for d in directions), strict=True))


def test_steps_mend_upside_down_waves_and_the_tuning_takes_the_same_steps():
    tasks = waves(1.0).sample(20, 5, 20, generator=seeded(8))
    none, five = (errors_on(*by_steps(0.003, m), tasks) for m in (0, 5))
    assert five.mean() < 0.6 * none.mean()
    assert_close(errors_by_steps("test-time steps", 0.003, tasks, (2, 5))[1], five, rtol=1e-3, atol=1e-4)


test_bad_input_is_refused = refusals(
    [
        (lambda: learner(steps=-1), "steps is -1"),
        (lambda: learner(alpha=-0.1), "alpha is -0.1"),
        (lambda: learner().adapt(THETA, SUPPORT, steps=-2), "steps is -2"),
        (lambda: at_test_time.others(0), "k_shot is 0"),
        (lambda: learner().adapt(THETA, Batch(SUPPORT.x.float(), SUPPORT.y)), "support.x has dtype torch.float32"),
        (lambda: learner().meta_grad(THETA, random_tasks(2, 3, 0)), "tasks.query is empty"),
    ]
)
