"""A learned prior: Bayes' rule computed another way, the highest point, and priors found again by EM."""

import numpy as np
import pytest
import torch
from oracles import seeded

from mapping_lib.chapters.personalisation.methods_prior import (
    Utility,
    choice_logits,
    choice_prior,
    gaussian_prior,
    legendre,
)
from mapping_lib.chapters.personalisation.methods_variance import fit_choices, fit_curves
from mapping_lib.task import Batch
from mapping_lib.worlds.individuals import folds


def random_prior(n: int, seed: int = 0) -> dict:
    g = seeded(seed)
    mean, factor = torch.randn(n, generator=g).double(), torch.randn(n, n, generator=g).double()
    return {"mean": mean, "factor": factor, "log_noise": torch.tensor(-0.7).double()}


def points(k: int, seed: int = 1) -> Batch:
    g = seeded(seed)
    return Batch(2 * torch.rand(k, 1, generator=g).double() - 1, torch.randn(k, 1, generator=g).double())


def test_features_are_numpys_legendre_polynomials():
    x = torch.linspace(-1, 1, 7).double()[:, None]
    for degree in (0, 1, 2, 5):
        assert torch.allclose(legendre(degree)(x), torch.tensor(np.polynomial.legendre.legvander(x[:, 0], degree)))


@pytest.mark.parametrize("k", [1, 3, 6])
def test_the_posterior_is_the_conditional_of_the_joint_normal_and_the_other_formula(k: int):
    """By precisions, (P + X'X/s²)^-1 (P mean + X'y/s²), and by the covariance of (phi, y) taken apart by numpy."""
    theta, support = random_prior(4), points(k)
    phi = gaussian_prior(legendre(3), 4).adapt(theta, support)
    X, y = legendre(3)(support.x), support.y[:, 0]
    C, s2 = theta["factor"] @ theta["factor"].T, float((2 * theta["log_noise"]).exp())
    P = torch.linalg.inv(C)
    V = torch.linalg.inv(P + X.T @ X / s2)
    assert torch.allclose(phi["weight"], V @ (P @ theta["mean"] + X.T @ y / s2), rtol=1e-7)
    assert torch.allclose(phi["covariance"], V, rtol=1e-6, atol=1e-9)
    A = torch.cat([torch.eye(4).double(), X])
    joint = (A @ C @ A.T + s2 * torch.diag(torch.tensor([0.0] * 4 + [1.0] * k)).double()).numpy()
    cross = joint[:4, 4:] @ np.linalg.pinv(joint[4:, 4:])
    wanted = theta["mean"].numpy() + cross @ (y - X @ theta["mean"]).numpy()
    assert phi["weight"].numpy() == pytest.approx(wanted, rel=1e-6)


def test_without_observations_it_is_the_population_and_with_a_wide_prior_the_own_fit():
    theta, learner = random_prior(3), gaussian_prior(legendre(2), 3)
    nothing = learner.adapt(theta, points(0))
    assert torch.equal(nothing["weight"], theta["mean"])
    assert torch.allclose(nothing["covariance"], theta["factor"] @ theta["factor"].T)
    support = points(8)
    wide = learner.adapt(theta | {"factor": 1e4 * torch.eye(3).double()}, support)
    own = torch.linalg.lstsq(legendre(2)(support.x), support.y).solution[:, 0]
    assert torch.allclose(wide["weight"], own, atol=1e-5)


@pytest.mark.parametrize("k", [1, 3, 5, 8])
def test_little_noise_leaves_the_posterior_its_digits(k: int):
    """In float32, where X C X' + s² I would be singular, as in float64."""
    theta, support = random_prior(4) | {"log_noise": torch.tensor(1e-4).double().log()}, points(k)
    learner, single = gaussian_prior(legendre(3), 4), lambda tensors: {name: p.float() for name, p in tensors.items()}
    wanted = single(learner.adapt(theta, support))
    got = learner.adapt(single(theta), Batch(support.x.float(), support.y.float()))
    for name, p in wanted.items():
        assert float((got[name] - p).abs().max()) < 1e-3 * float(p.abs().max()), name


# Choices ------------------------------------------------------------------------------------------------


def questions(k: int, seed: int = 0, n_features: int = 3) -> Batch:
    g = seeded(seed)
    return Batch(torch.randn(k, 4, n_features, generator=g).double(), torch.randint(4, (k,), generator=g))


def test_probabilities_are_those_of_a_scalar_loop():
    w, batch = torch.tensor([0.3, -1.0, 2.0]).double(), questions(5)
    got = choice_logits({"weight": w}, batch.x).softmax(-1)
    for offers, row in zip(batch.x.tolist(), got.tolist(), strict=True):
        utility = [sum(a * b for a, b in zip(offer, w.tolist(), strict=True)) for offer in offers]
        total = sum(np.exp(u) for u in utility)
        assert row == pytest.approx([np.exp(u) / total for u in utility])


@pytest.mark.parametrize("k", [0, 1, 4, 11])
def test_at_the_solution_the_gradient_of_the_posterior_is_zero(k: int):
    theta = {name: p for name, p in random_prior(3).items() if name != "log_noise"}
    batch = questions(k)
    phi = choice_prior(3).adapt(theta, batch)["weight"].requires_grad_()
    P = torch.linalg.inv(theta["factor"] @ theta["factor"].T)
    away = phi - theta["mean"]
    objective = 0.5 * away @ P @ away
    for offers, chosen in zip(batch.x, batch.y, strict=True):
        objective = objective - torch.log_softmax(offers @ phi, 0)[chosen]
    (slope,) = torch.autograd.grad(objective, phi)
    assert slope.abs().max() < 1e-7
    if k == 0:
        assert torch.equal(phi, theta["mean"])


def test_real_customers_arrive_at_their_highest_point():
    from mapping_lib.chapters.personalisation import methods_customers as customers

    task, theta = customers.judged("first", 6, generator=seeded(0)), customers.theta_of("mixed effects")
    part = customers.everyone()[1]
    for i in range(0, 361, 6):
        mine = {name: p[part[i]].double() for name, p in theta.items()}
        phi = customers.PRIOR.adapt(mine, Batch(task.support.x[i].double(), task.support.y[i]))["weight"]
        p = torch.softmax(task.support.x[i].double() @ phi, -1)
        taken = torch.nn.functional.one_hot(task.support.y[i], 4)
        pull = torch.linalg.solve(mine["factor"] @ mine["factor"].T, phi - mine["mean"])
        slope = torch.einsum("ea,eaf->f", p - taken, task.support.x[i].double()) + pull
        assert slope.abs().max() < 1e-6


# A known prior is found again --------------------------------------------------------------------------


def test_em_finds_a_known_prior_of_curves_again_with_gaps_in_the_data():
    g, x = seeded(0), torch.linspace(-1, 1, 9)[:, None]
    X, mean, factor = legendre(1)(x), torch.tensor([2.0, -1.0]), torch.tensor([[1.0, 0.0], [0.6, 0.5]])
    y = (mean + torch.randn(3000, 2, generator=g) @ factor.T) @ X.T + 0.3 * torch.randn(3000, 9, generator=g)
    y[torch.rand(3000, 9, generator=g) < 0.3] = torch.nan
    theta = fit_curves(X, y, steps=100)
    assert theta["mean"].tolist() == pytest.approx([2.0, -1.0], abs=0.05)
    C = theta["factor"] @ theta["factor"].T
    assert torch.allclose(C, factor @ factor.T, atol=0.07)
    assert float(theta["log_noise"].exp()) == pytest.approx(0.3, rel=0.03)


def likelihood(theta: dict, X: torch.Tensor, y: torch.Tensor) -> float:
    C = X @ theta["factor"] @ theta["factor"].T @ X.T + (2 * theta["log_noise"]).exp() * torch.eye(len(X))
    normal = torch.distributions.MultivariateNormal((X @ theta["mean"]).double(), C.double())
    return float(normal.log_prob(y.double()).sum())


def test_the_likelihood_never_falls():
    X, y = legendre(2)(torch.linspace(-1, 1, 6)[:, None]), torch.randn(40, 6, generator=seeded(2)).cumsum(-1)
    values = [likelihood(fit_curves(X, y, steps=n), X, y) for n in (1, 2, 3, 5, 10, 40, 200)]
    assert values == sorted(values)


def test_em_finds_a_known_prior_of_choices_again():
    """Many answers each, where Laplace's approximation is good."""
    g, mean, spread = seeded(1), torch.tensor([1.0, -2.0]), torch.tensor([1.0, 0.5])
    w = mean + spread * torch.randn(600, 2, generator=g)
    offers = torch.randn(600, 30, 4, 2, generator=g)
    p = torch.einsum("iqaf,if->iqa", offers, w).softmax(-1)
    chosen = torch.multinomial(p.flatten(0, 1), 1, generator=g).view(600, 30)
    chosen[:, 25:] = torch.where(torch.rand(600, 5, generator=g) < 0.5, -1, chosen[:, 25:])
    theta = fit_choices(offers, chosen)
    assert theta["mean"].tolist() == pytest.approx([1.0, -2.0], abs=0.15)
    assert (theta["factor"] @ theta["factor"].T).diag().sqrt().tolist() == pytest.approx([1.0, 0.5], abs=0.12)


def test_networks_are_the_features_times_the_weight():
    x, utility = torch.linspace(-1, 1, 5)[:, None], Utility(2)
    wanted = 1 + 2 * x[:, 0] - (5 * x[:, 0] ** 3 - 3 * x[:, 0]) / 2
    assert torch.allclose(legendre(3)(x) @ torch.tensor([1.0, 2.0, 0.0, -1.0]), wanted, atol=1e-6)
    with torch.no_grad():
        utility.weight.copy_(torch.tensor([1.0, -1.0]))
        assert utility(torch.tensor([[[3.0, 1.0]]])).item() == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian_prior(legendre(1), 0), "n_features is 0; allowed"),
        (lambda: gaussian_prior(legendre(1), 2).adapt({}, points(2)), "theta has the names"),
        (lambda: choice_prior(2, newton_steps=0), "newton_steps is 0; allowed"),
        (
            lambda: choice_prior(3).adapt(
                choice_prior(3).init(generator=seeded(0)), Batch(torch.zeros(2, 4, 3), torch.zeros(2, 1))
            ),
            r"support.y has shape \(2, 1\)",
        ),
        (lambda: fit_curves(torch.ones(3, 1), torch.ones(1, 3)), "y has 1 individuals; allowed: two or more"),
        (lambda: fit_curves(torch.ones(3, 1), torch.ones(2, 3), steps=0), "steps is 0; allowed"),
        (lambda: legendre(-1), "degree is -1; allowed"),
        (lambda: folds(0, 2), "n is 0; allowed"),
    ],
)
def test_what_does_not_fit_is_named(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()
