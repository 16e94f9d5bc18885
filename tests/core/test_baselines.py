"""The honest baselines: joint training, learning from scratch, and the Bayes answer for linear functions."""

import pytest
import torch
from oracles import FLOAT64, copied, each, float64_mlp, general_mse, loop_meta_loss, random_tasks, random_theta, seeded
from torch.func import functional_call
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mapping_lib.chapters.other_mappings.methods import bayes_ridge
from mapping_lib.evaluation import evaluate_by_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.baselines import from_scratch, joint, joint_adam
from mapping_lib.meta_training import meta_train
from mapping_lib.task import Batch, Task
from mapping_lib.worlds.linear import LinearFunctions

NETWORK = float64_mlp(1, 5, 1)
PATHS = pytest.mark.parametrize("loss", [mse_loss, general_mse], ids=["fast path", "general path"])


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


# Fine-tuning by Adam ----------------------------------------------------------------------------------


def by_adam(theta, support: Batch, lr: float, steps: int) -> dict:
    """Where torch's own Adam comes to from theta."""
    params = {name: p.detach().clone().requires_grad_() for name, p in theta.items()}
    optimiser = torch.optim.Adam(params.values(), lr=lr)
    for _ in range(steps):
        optimiser.zero_grad()
        mse_loss(functional_call(NETWORK, params, (support.x,)), support.y).backward()
        optimiser.step()
    return copied(params)


@PATHS
@pytest.mark.parametrize("steps", range(6))
def test_fine_tuning_by_adam_is_torch_s_adam(loss, steps: int):
    theta = random_theta(NETWORK)
    for support, _ in each(random_tasks()):
        expected = by_adam(theta, support, 0.03, steps)
        assert_close(joint_adam(NETWORK, loss, alpha=0.03, steps=steps).adapt(theta, support), expected, **FLOAT64)
        assert_close(joint_adam(NETWORK, loss, alpha=0.03).adapt(theta, support, steps=steps), expected, **FLOAT64)


def test_adam_s_first_step_has_the_length_alpha_whatever_the_slope():
    network = float64_mlp(1, 1)
    theta = {"0.weight": torch.tensor([[2.0]]).double(), "0.bias": torch.tensor([-1.0]).double()}
    for times in (1e-3, 1.0, 1e3):
        support = Batch(torch.ones(1, 1).double(), torch.full((1, 1), 1 - times).double())  # a slope of 2 * times
        phi = joint_adam(network, mse_loss, alpha=0.25).adapt(theta, support)
        assert_close(phi, {name: p - 0.25 for name, p in theta.items()}, rtol=1e-5, atol=1e-5)


@PATHS
@pytest.mark.parametrize("steps", [0, 3])
def test_fine_tuning_by_adam_is_trained_as_joint_is(loss, steps: int):
    theta, tasks = random_theta(NETWORK), random_tasks()
    found = joint_adam(NETWORK, loss, alpha=0.3, steps=steps).meta_grad(theta, tasks)
    assert_close(found, joint(NETWORK, loss).meta_grad(theta, tasks), rtol=0, atol=0)
    one, other = (make(NETWORK, loss).init(generator=seeded(0)) for make in (joint_adam, joint))
    assert_close(one, other, rtol=0, atol=0)


# The Bayes answer for noisy linear functions ----------------------------------------------------------

PRIORS = [(1.0, 1.0, 0.5), (0.3, 4.0, 2.0), (2.0, 0.0, 1.0), (0.0, 1.5, 0.7), (1.0, 1.0, 0.0)]
priors = pytest.mark.parametrize(("weight", "intercept", "noise"), PRIORS)


def lines(weight: float, intercept: float, noise: float, n_features: int = 1) -> LinearFunctions:
    return LinearFunctions(n_features, weight=weight, intercept=intercept, noise=noise, dtype=torch.float64)


def kernel(a: torch.Tensor, b: torch.Tensor, weight: float, intercept: float) -> torch.Tensor:
    """The covariance of f(a) and f(b): linear functions as a Gaussian process, without any coefficient."""
    return weight**2 * a @ b.T + intercept**2


def process(support: Batch, x: torch.Tensor, weight: float, intercept: float, noise: float):
    """Mean k(x, X)(K + noise² I)⁻¹ y and variance of f at x (Rasmussen and Williams 2006, eqs. 2.25 and 2.26)."""
    across = kernel(x, support.x, weight, intercept)
    inner = kernel(support.x, support.x, weight, intercept) + noise**2 * torch.eye(len(support.x)).double()
    gain = across @ torch.linalg.pinv(inner, hermitian=True, rtol=1e-10)
    return gain @ support.y, kernel(x, x, weight, intercept).diagonal() - (gain * across).sum(1)


@priors
@pytest.mark.parametrize("k_shot", [0, 1, 2, 3, 12])
@pytest.mark.parametrize("n_features", [1, 3])
def test_the_bayes_answer_is_that_of_the_gaussian_process(weight, intercept, noise, k_shot: int, n_features: int):
    learner = bayes_ridge(weight=weight, intercept=intercept, noise=noise)
    tasks = lines(weight, intercept, noise, n_features).sample(5, k_shot, 4, generator=seeded(0))
    for support, query in each(tasks):
        phi = learner.adapt({}, support)
        assert (phi["weight"].shape, phi["bias"].shape) == ((1, n_features), (1,))
        expected, _ = process(support, query.x, weight, intercept, noise)
        assert_close(learner.predict(phi, query.x), expected, rtol=1e-7, atol=1e-7)


def test_the_closed_form_of_the_docstring_is_what_is_computed():
    support, _ = next(each(lines(0.8, 3.0, 1.7, 2).sample(1, 6, 0, generator=seeded(0))))
    x = torch.cat([support.x, torch.ones(6, 1).double()], 1)
    precision = 1.7**2 * torch.diag(torch.tensor([0.8, 0.8, 3.0], dtype=torch.float64) ** -2)
    expected = torch.linalg.inv(x.T @ x + precision) @ x.T @ support.y
    phi = bayes_ridge(weight=0.8, intercept=3.0, noise=1.7).adapt({}, support)
    assert_close(torch.cat([phi["weight"][0], phi["bias"]]), expected[:, 0], **FLOAT64)


@priors
def test_without_examples_the_answer_is_the_prior_mean(weight, intercept, noise):
    phi = bayes_ridge(weight=weight, intercept=intercept, noise=noise).adapt(
        {}, Batch(torch.ones(0, 3), torch.ones(0, 1))
    )
    assert (phi["weight"].tolist(), phi["bias"].tolist()) == ([[0.0] * 3], [0.0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_noise_as_many_examples_as_coefficients_tell_all(dtype: torch.dtype):
    family = LinearFunctions(2, noise=0.0, dtype=dtype)
    meta_loss, _ = bayes_ridge(weight=1, intercept=1, noise=0).meta_grad(
        {}, family.sample(50, 5, 9, generator=seeded(0))
    )
    assert meta_loss.dtype == dtype
    assert meta_loss < 1e-9


def test_without_noise_examples_that_say_the_same_twice_are_no_trouble():
    support = Batch(torch.full((4, 1), 2.0), torch.full((4, 1), 10.0))
    phi = bayes_ridge(weight=1.0, intercept=1.0, noise=0.0).adapt({}, support)
    assert_close(phi, {"weight": torch.tensor([[4.0]]), "bias": torch.tensor([2.0])})  # of w and b with 2 w + b = 10


@pytest.mark.parametrize("noise", [0.1, 1e-3, 1e-5, 0.0])
@pytest.mark.parametrize("k_shot", [2, 5, 20])
def test_little_noise_leaves_the_bayes_answer_its_digits(noise: float, k_shot: int):
    """In float32 as in float64, with ten features and too few examples for them, or enough."""
    learner = bayes_ridge(weight=1.0, intercept=1.0, noise=noise)
    tasks = lines(1.0, 1.0, noise, 10).sample(20, k_shot, 0, generator=seeded(0))
    for support, _ in each(tasks):
        wanted = learner.adapt({}, support)["weight"]
        got = learner.adapt({}, Batch(support.x.float(), support.y.float()))["weight"]
        assert_close(got, wanted.float(), rtol=0, atol=1e-5)


FEW = {"weight": 1.0, "intercept": 2.0, "noise": 3.0}
"""So much noise that four examples leave a task in doubt: here the prior matters."""


def many_lines() -> Task:
    return lines(**FEW).sample(4000, 4, 10, generator=seeded(0))


def test_no_other_ridge_does_better():
    """Nor ordinary least squares, which is ridge of strength 0; on 4000 tasks, the same for all."""
    tasks = many_lines()
    x = torch.cat([tasks.support.x, torch.ones_like(tasks.support.x)], 2)
    at = torch.cat([tasks.query.x, torch.ones_like(tasks.query.x)], 2)
    best, _ = bayes_ridge(**FEW).meta_grad({}, tasks)
    for prior in ((1.0, 2.0), (1.0, 1.0), (2.0, 1.0)):  # the last two punish the intercept wrongly
        for times in (0.0, 0.2, 0.5, 2.0, 5.0, 100.0):
            strength = times * 3.0**2 * torch.diag(torch.tensor(prior).double() ** -2)
            phi = torch.linalg.solve(x.mT @ x + strength, x.mT @ tasks.support.y)
            assert (at @ phi - tasks.query.y).square().mean() > best, (prior, times)


@pytest.mark.parametrize(
    "wrong", [{"noise": 1.5}, {"noise": 6.0}, {"weight": 0.5}, {"weight": 2.0}, {"intercept": 0.0}]
)
def test_a_wrong_prior_does_worse(wrong: dict[str, float]):
    right, worse = (bayes_ridge(**settings).meta_grad({}, many_lines())[0] for settings in (FEW, FEW | wrong))
    assert right < worse


def test_the_error_is_the_one_that_the_posterior_foretells():
    """Posterior variance plus noise, averaged over tasks: computed without looking at any y."""
    tasks = many_lines()
    foretold = torch.cat([process(support, query.x, **FEW)[1] for support, query in each(tasks)]).mean() + 3.0**2
    found, _ = bayes_ridge(**FEW).meta_grad({}, tasks)
    assert found.item() == pytest.approx(foretold.item(), rel=0.03)


def test_inner_steps_are_nothing_to_the_bayes_answer():
    learner, family = bayes_ridge(weight=1.0, intercept=1.0, noise=0.5), LinearFunctions()
    meta_loss, _ = learner.meta_grad({}, family.sample(40, 5, 7, generator=seeded(0)))
    found = evaluate_by_step(learner, {}, family, k_shot=5, steps=2, n_tasks=40, n_query=7, generator=seeded(0))
    assert found.mean.tolist() == pytest.approx([float(meta_loss)] * 3)
