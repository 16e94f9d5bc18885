"""The learned update rule: it begins as gradient descent, holds Meta-SGD, equals one worked out weight by weight."""

import math
from collections.abc import Iterator

import pytest
import torch
from oracles import (
    FLOAT64,
    Tokens,
    assert_path_is,
    copied,
    each,
    flat,
    float64_mlp,
    general_mse,
    loop_path,
    random_tasks,
    random_theta,
    seeded,
    token_tasks,
    unflat,
)
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mapping_lib.doctor import diagnose
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import ALPHA_PREFIX, maml, meta_sgd
from mapping_lib.learners.rule import RULE_PREFIX, features, learned_rule
from mapping_lib.task import Batch, Params, Task

ALPHA, STEPS, WIDTH = 0.15, 2, 5
NETWORK = float64_mlp(1, 3, 1, activation=nn.Tanh)
SHAPES = {name: p.shape for name, p in NETWORK.named_parameters()}
LEARNER = learned_rule(NETWORK, mse_loss, alpha=ALPHA, steps=STEPS, width=WIDTH)
FRESH = LEARNER.init(generator=seeded(0))
TASKS = random_tasks()


def perturbed(theta: Params = FRESH, seed: int = 3, scale: float = 0.4) -> Params:
    """theta with noise on every number, so that the rule is no gradient descent any more."""
    g = seeded(seed)
    return {name: p + scale * torch.randn(p.shape, generator=g, dtype=p.dtype) for name, p in theta.items()}


THETA = perturbed()


def weights_of(theta: Params) -> Params:
    return {name: theta[name] for name in SHAPES}


# What the rule reads ----------------------------------------------------------------------------------


def by_hand(weights: list[float], gradient: list[float], groups: list[int]) -> Iterator[list[float]]:
    """The features of every weight, one number after the other."""
    for weight, g, group in zip(weights, gradient, groups, strict=True):
        own = [other for other, its in zip(gradient, groups, strict=True) if its == group]
        rms = math.sqrt(sum(other**2 for other in own) / len(own) + 1e-12)
        marks = [float(group == i) for i in range(max(groups) + 1)]
        yield [weight, math.log(g + math.sqrt(g * g + 1)), g / rms, math.log(rms) / 4, *marks]


def test_features_equal_numbers_worked_out_one_by_one():
    weights, gradient, groups = [0.5, -2.0, 3.0, 0.0, 1.0], [10.0, -0.1, 2.0, 1e-3, -4.0], [0, 0, 1, 1, 1]
    parts = (torch.tensor(numbers, dtype=torch.float64) for numbers in (weights, gradient))
    found = features(*parts, torch.eye(2, dtype=torch.float64)[groups])
    assert_close(found, torch.tensor(list(by_hand(weights, gradient, groups)), dtype=torch.float64), **FLOAT64)


def test_a_gradient_of_zero_is_no_trouble():
    found = features(torch.ones(2), torch.zeros(2), torch.eye(2))
    assert found.isfinite().all()
    assert not found[:, 1:3].any()


def test_the_scale_of_the_gradient_stays_out_of_its_sign():
    """g / rms is the same for a hundred times the gradient, log(rms) / 4 grows by log(100) / 4."""
    gradient, marks = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64), torch.ones(3, 1, dtype=torch.float64)
    small, large = (features(gradient, scale * gradient, marks) for scale in (1, 100))
    assert_close(large[:, 2], small[:, 2], **FLOAT64)
    assert_close(large[:, 3] - small[:, 3], torch.full((3,), math.log(100) / 4, dtype=torch.float64), **FLOAT64)


# The beginning: gradient descent ----------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_a_fresh_rule_is_gradient_descent(steps: int):
    sgd, theta = maml(NETWORK, mse_loss, alpha=ALPHA, steps=STEPS), weights_of(FRESH)
    path = LEARNER.adapt_path(FRESH, TASKS.support, steps=steps)
    assert_close(path, sgd.adapt_path(theta, TASKS.support, steps=steps), **FLOAT64)
    for support, _ in each(TASKS):
        assert_close(LEARNER.adapt(FRESH, support, steps=steps), sgd.adapt(theta, support, steps=steps), **FLOAT64)
        assert_close(LEARNER.adapt(FRESH, support), sgd.adapt(theta, support), **FLOAT64)


@pytest.mark.parametrize("first_order", [False, True])
def test_a_fresh_rules_meta_gradient_by_the_start_is_mamls(first_order: bool):
    settings = {"alpha": ALPHA, "steps": 3, "first_order": first_order}
    value, direction = learned_rule(NETWORK, mse_loss, width=WIDTH, **settings).meta_grad(FRESH, TASKS)
    expected = maml(NETWORK, mse_loss, **settings).meta_grad(weights_of(FRESH), TASKS)
    assert_close((value, weights_of(direction)), expected, **FLOAT64)
    of_last_layer = [name for name in FRESH if name.startswith("rule.2.")]
    assert all(direction[name].all() for name in of_last_layer), "or the rule could never begin to learn"


def test_theta_is_a_start_and_a_rule_whose_last_layer_is_zero():
    assert list(FRESH) == [*SHAPES, "rule.0.weight", "rule.0.bias", "rule.2.weight", "rule.2.bias"]
    assert FRESH["rule.0.weight"].shape == (WIDTH, 4 + len(SHAPES))
    assert FRESH["rule.2.weight"].shape == (2, WIDTH)
    assert not FRESH["rule.2.weight"].any()
    assert not FRESH["rule.2.bias"].any()
    assert FRESH["rule.0.weight"].all()
    assert {p.dtype for p in FRESH.values()} == {torch.float64}


# Special rules ----------------------------------------------------------------------------------------


def of_its_tensor(log_gains: list[float]) -> Params:
    """A rule that reads nothing but which tensor a weight belongs to, and answers a = its log gain, b = 0."""
    rule = {name: torch.zeros_like(p) for name, p in FRESH.items() if name.startswith(RULE_PREFIX)}
    for i, gain in enumerate(log_gains):
        rule["rule.0.weight"][i, 4 + i] = 1.0
        rule["rule.2.weight"][0, i] = gain
    return rule


def test_meta_sgd_is_its_smallest_case():
    """With alpha e^a of its own for every tensor: the same phi, the same slopes by the start and by each a."""
    log_gains = [0.3, -0.5, 1.1, -2.0]
    theta = weights_of(THETA) | of_its_tensor(log_gains)
    alphas = {name: ALPHA * math.exp(a) for name, a in zip(SHAPES, log_gains, strict=True)}
    for support, _ in each(TASKS):
        expected = copied(loop_path(NETWORK, mse_loss, weights_of(theta), support, alphas, 3)[-1])
        assert_close(LEARNER.adapt(theta, support, steps=3), expected, **FLOAT64)
    value, direction = LEARNER.meta_grad(theta, TASKS)
    full = {ALPHA_PREFIX + name: torch.full(shape, alphas[name], dtype=torch.float64) for name, shape in SHAPES.items()}
    expected, by_alpha = meta_sgd(NETWORK, mse_loss, steps=STEPS).meta_grad(weights_of(theta) | full, TASKS)
    assert_close((value, weights_of(direction)), (expected, weights_of(by_alpha)), **FLOAT64)
    by_gain = [alphas[name] * by_alpha[ALPHA_PREFIX + name].sum() for name in SHAPES]  # d alpha / d a is alpha
    assert_close(direction["rule.2.weight"][0, :4], torch.stack(by_gain), **FLOAT64)


def test_a_bias_of_log_2_is_twice_the_alpha():
    theta = FRESH | {"rule.2.bias": torch.tensor([math.log(2), 0.0], dtype=torch.float64)}
    sgd = maml(NETWORK, mse_loss, alpha=2 * ALPHA)
    path = LEARNER.adapt_path(theta, TASKS.support, steps=3)
    assert_close(path, sgd.adapt_path(weights_of(FRESH), TASKS.support, steps=3), **FLOAT64)


def test_b_moves_every_weight_whatever_the_gradient():
    """With a = -1000, e^a is zero: alpha b is all that is left of a step."""
    theta = FRESH | {"rule.2.bias": torch.tensor([-1000.0, 0.7], dtype=torch.float64)}
    support, _ = next(each(TASKS))
    expected = {name: p - 3 * ALPHA * 0.7 for name, p in weights_of(theta).items()}
    assert_close(LEARNER.adapt(theta, support, steps=3), expected, **FLOAT64)


# Any rule, worked out weight by weight ----------------------------------------------------------------


def loop_rule(theta: Params, support: Batch, steps: int, *, first_order: bool = False) -> Params:
    """phi after ``steps`` steps, by `torch.autograd.grad` and one weight at a time."""
    groups = [i for i, shape in enumerate(SHAPES.values()) for _ in range(shape.numel())]
    w1, b1, w2, b2 = (theta[name] for name in theta if name.startswith(RULE_PREFIX))
    phi = weights_of(theta)
    for _ in range(steps):
        held = phi if all(p.requires_grad for p in phi.values()) else copied(phi)
        held = {name: p.requires_grad_() for name, p in held.items()}
        value = mse_loss(functional_call(NETWORK, held, (support.x,)), support.y)
        slopes = torch.autograd.grad(value, list(held.values()), create_graph=not first_order)
        gradient, w, moved = torch.cat([g.flatten() for g in slopes]), flat(phi), []
        for i, group in enumerate(groups):
            own = torch.stack([gradient[j] for j, its in enumerate(groups) if its == group])
            rms = (own.square().mean() + 1e-12).sqrt()
            marks = torch.eye(len(SHAPES), dtype=torch.float64)[group]
            read = torch.stack([w[i], gradient[i].asinh(), gradient[i] / rms, rms.log() / 4])
            a, b = w2 @ torch.relu(w1 @ torch.cat([read, marks]) + b1) + b2
            moved.append(w[i] - ALPHA * (a.exp() * gradient[i] + b))
        phi = unflat(torch.stack(moved), weights_of(theta))
    return phi


def loop_meta_loss(theta: Params, tasks: Task = TASKS, *, first_order: bool = False) -> Tensor:
    losses = []
    for support, query in each(tasks):
        phi = loop_rule(theta, support, STEPS, first_order=first_order)
        losses.append(mse_loss(functional_call(NETWORK, phi, (query.x,)), query.y))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_adapt_and_adapt_path_equal_a_rule_worked_out_weight_by_weight(steps: int):
    assert loop_rule(THETA, TASKS.support, 0).keys() == SHAPES.keys()
    assert_path_is(LEARNER, THETA, TASKS, loop_rule, steps)


def test_first_order_takes_the_gradients_for_constants():
    learner = learned_rule(NETWORK, mse_loss, alpha=ALPHA, steps=STEPS, width=WIDTH, first_order=True)
    value, direction = learner.meta_grad(THETA, TASKS)
    exact_value, exact = LEARNER.meta_grad(THETA, TASKS)
    assert_close(value, exact_value, **FLOAT64)
    leaves = {name: p.clone().requires_grad_() for name, p in THETA.items()}
    slopes = torch.autograd.grad(loop_meta_loss(leaves, first_order=True), list(leaves.values()))
    assert_close(direction, dict(zip(THETA, slopes, strict=True)), **FLOAT64)
    assert (flat(direction) - flat(exact)).norm() > 0.05 * flat(exact).norm()


def test_a_start_that_is_not_learned_has_no_direction():
    learner = learned_rule(NETWORK, mse_loss, alpha=ALPHA, steps=STEPS, width=WIDTH, learn_start=False)
    value, direction = learner.meta_grad(THETA, TASKS)
    expected_value, expected = LEARNER.meta_grad(THETA, TASKS)
    assert_close(value, expected_value, rtol=0, atol=0)
    assert not any(direction[name].any() for name in SHAPES)
    assert list(direction) == list(THETA)
    assert_close(
        {n: direction[n] for n in direction.keys() - SHAPES}, {n: expected[n] for n in expected.keys() - SHAPES}
    )


# Evidence, tasks, types -------------------------------------------------------------------------------


def test_a_network_made_in_float32_takes_a_theta_in_float64():
    """As the doctor brings it."""
    narrow = learned_rule(
        float64_mlp(1, 3, 1, activation=nn.Tanh).float(), mse_loss, alpha=ALPHA, steps=STEPS, width=WIDTH
    )
    assert {p.dtype for p in narrow.init(generator=seeded(0)).values()} == {torch.float32}
    assert_close(narrow.meta_grad(THETA, TASKS), LEARNER.meta_grad(THETA, TASKS), **FLOAT64)


class Bare(nn.Module):
    """A parameter without dimensions beside one with two."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.matrix = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(1, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * torch.sin(x @ self.matrix).sum(-1, keepdim=True)


def test_any_network_will_do():
    for network, tasks in ((Bare(), TASKS), (Tokens(), token_tasks())):
        network = network.double()
        learner, sgd = (make(network, general_mse, alpha=ALPHA, steps=2) for make in (learned_rule, maml))
        weights = random_theta(network)
        theta = learner.init(generator=seeded(0)) | weights
        value, direction = learner.meta_grad(theta, tasks)
        found = value, {name: direction[name] for name in weights}
        assert_close(found, sgd.meta_grad(weights, tasks), **FLOAT64)
        assert_close(
            learner.adapt_path(theta, tasks.support, steps=2),
            sgd.adapt_path(weights, tasks.support, steps=2),
            **FLOAT64,
        )


def test_nor_in_a_rule_that_has_learned_to_scale_every_gradient():
    """Noise on the rule, with b = 0: e^a is above zero, and a step goes downhill."""
    network = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))
    learner = learned_rule(network, mse_loss, steps=2)
    theta = perturbed(learner.init(generator=seeded(0)))
    for name in ("rule.2.weight", "rule.2.bias"):
        theta[name][1] = 0.0
    diagnosis = diagnose(learner, Sinusoids(), theta=theta, n_tasks=2)
    assert diagnosis.claims == "exact"
    assert diagnosis.faults == ()
