"""Adaptation in continuous time: the flow against matrix exponentials, its learner against a plain Runge-Kutta loop."""

import math

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
    line_quadratic,
    loop_path,
    random_tasks,
    random_theta,
    seeded,
    token_tasks,
    unflat,
)
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mapping_lib.chapters.other_mappings.methods import flow_to_tolerance
from mapping_lib.flow import flow_step, gradient_flow
from mapping_lib.inner_loop import adapt as descend
from mapping_lib.learners import flow
from mapping_lib.task import Batch, Params

HALF = torch.tensor([[1.5, 0.3, -0.4], [0.0, 0.8, 0.2], [0.0, 0.0, 0.3]], dtype=torch.float64)
CURVATURE = HALF.T @ HALF
CENTRE = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
START = {"w": torch.tensor([2.0, 1.0], dtype=torch.float64), "b": torch.tensor(-0.7, dtype=torch.float64)}
TIMES = [0.1, 1.0]
CLOSE = {"rtol": 1e-6, "atol": 1e-6}
"""Forty steps are that near to the flow itself."""


def quadratic(params: Params) -> Tensor:
    """0.5 (φ - c)' A (φ - c), over both of `START`'s tensors."""
    away = flat(params) - CENTRE
    return 0.5 * away @ CURVATURE @ away


def quartic(params: Params) -> Tensor:
    return 0.25 * params["w"] ** 4


def quartic_flow(w: float, time: float) -> float:
    """Where dw/dt = -w^3 leads."""
    return w / math.sqrt(1 + 2 * w * w * time)


def number(value: float) -> Params:
    return {"w": torch.tensor(value, dtype=torch.float64)}


def closed_form(theta: Params, time: float) -> Params:
    return unflat(CENTRE + torch.matrix_exp(-CURVATURE * time) @ (flat(theta) - CENTRE), theta)


# The flow ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tau", TIMES)
def test_on_a_quadratic_phi_is_given_by_a_matrix_exponential(tau: float):
    assert_close(gradient_flow(START, quadratic, tau=tau, steps=40), closed_form(START, tau), **CLOSE)


@pytest.mark.parametrize("length", [0.1, 1.0])
def test_a_step_is_the_exponential_series_up_to_its_fifth_term(length: float):
    a = -length * CURVATURE
    series = sum(torch.linalg.matrix_power(a, k) / math.factorial(k) for k in range(5))
    expected = unflat(CENTRE + series @ (flat(START) - CENTRE), START)
    assert_close(flow_step(START, torch.func.grad(quadratic), length), expected, **FLOAT64)


def test_the_order_is_four_and_that_of_inner_steps_one():
    """Half the step: a sixteenth of the error, where Euler's method (alpha = tau / m) halves it."""
    truth = quartic_flow(0.5, 1.0)
    runge_kutta = [abs(float(gradient_flow(number(0.5), quartic, tau=1.0, steps=m)["w"]) - truth) for m in (20, 40)]
    euler = [abs(float(descend(number(0.5), quartic, alpha=1.0 / m, steps=m)["w"]) - truth) for m in (100, 200)]
    assert math.log2(runge_kutta[0] / runge_kutta[1]) == pytest.approx(4, abs=0.1)
    assert math.log2(euler[0] / euler[1]) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("tau", TIMES)
def test_d_phi_by_d_tau_is_minus_the_gradient_at_phi(tau: float):
    def phi(tau: Tensor) -> Params:
        return gradient_flow(START, quadratic, tau=tau, steps=40)

    time = torch.tensor(tau, dtype=torch.float64)
    expected = -CURVATURE @ (flat(closed_form(START, tau)) - CENTRE)
    assert_close(flat(jacrev(phi)(time)), expected, **CLOSE)
    assert_close(flat(grad(quadratic)(phi(time))), -expected, **CLOSE)


@pytest.mark.parametrize("tau", TIMES)
def test_d_phi_by_d_theta_is_the_matrix_exponential(tau: float):
    def phi(vector: Tensor) -> Tensor:
        return flat(gradient_flow(unflat(vector, START), quadratic, tau=tau, steps=40))

    assert_close(jacrev(phi)(flat(START)), torch.matrix_exp(-CURVATURE * tau), **CLOSE)


def test_two_times_one_after_the_other_are_their_sum():
    between = gradient_flow(START, quadratic, tau=0.7, steps=7)
    expected = gradient_flow(START, quadratic, tau=1.0, steps=10)
    assert_close(gradient_flow(between, quadratic, tau=0.3, steps=3), expected, **FLOAT64)


@pytest.mark.parametrize(("tau", "steps"), [(0.0, 5), (1.0, 0)])
def test_without_time_or_steps_nothing_moves_and_nothing_is_changed_in_place(tau: float, steps: int):
    theta = copied(START)
    phi = gradient_flow(theta, quadratic, tau=tau, steps=steps)
    assert_close(phi, START, rtol=0, atol=0)
    phi["new"] = torch.zeros(1)
    gradient_flow(theta, quadratic, tau=1.0, steps=3)
    assert_close(theta, START, rtol=0, atol=0)


# To a tolerance ---------------------------------------------------------------------------------------


def network_objective() -> tuple[Params, object]:
    network, (support, _) = float64_mlp(1, 4, 1, activation=nn.Tanh), next(each(random_tasks()))
    return random_theta(network), lambda phi: mse_loss(functional_call(network, phi, (support.x,)), support.y)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_the_tolerance_is_met_by_the_fewest_steps(tolerance: float):
    """Against a solution with many more steps; half as many would have moved by more than the tolerance."""
    theta, objective = network_objective()
    phi, steps = flow_to_tolerance(theta, objective, tau=2.0, tolerance=tolerance)
    fine, half, quarter = (
        flat(gradient_flow(theta, objective, tau=2.0, steps=n)) for n in (4 * steps, steps // 2, steps // 4)
    )
    assert (flat(phi) - fine).abs().max() < tolerance / 4  # order 4: the error is about 1/15 of the last move
    assert (flat(phi) - half).abs().max() <= tolerance < (half - quarter).abs().max()
    assert_close(phi, gradient_flow(theta, objective, tau=2.0, steps=steps), rtol=0, atol=0)


def test_the_last_doubling_moves_no_parameter_by_more_than_the_tolerance():
    """From 4 to 8 steps a parameter moves by so much: a little more is a tolerance met, a little less is not."""
    four, eight = (flat(gradient_flow(START, quadratic, tau=1.0, steps=n)) for n in (4, 8))
    move = float((eight - four).abs().max())
    for share, steps in ((1.001, 8), (0.999, 16)):
        assert flow_to_tolerance(START, quadratic, tau=1.0, tolerance=share * move)[1] == steps


def test_the_parameter_that_moves_most_decides():
    def objective(params: Params) -> Tensor:
        return 0.5 * params["still"] ** 2 * 1e-6 + quartic(params)

    for theta in (number(1.5) | {"still": torch.tensor(1.0)}, {"still": torch.tensor(1.0)} | number(1.5)):
        phi, _ = flow_to_tolerance(theta, objective, tau=1.0, tolerance=1e-8)
        assert float(phi["w"]) == pytest.approx(quartic_flow(1.5, 1.0), abs=1e-8)


def test_a_flow_that_needs_more_steps_says_so():
    message = r"tolerance is 1e-06, and 4 steps up to tau = 50 still moved a parameter by .*; allowed: a larger tolera"
    with pytest.raises(ArithmeticError, match=message):
        flow_to_tolerance(number(1.0), quartic, tau=50.0, max_steps=4)


@pytest.mark.parametrize("max_steps", [2, 3, 4, 7, 8])
def test_no_more_steps_are_taken_than_allowed(max_steps: int):
    taken = 2 ** int(math.log2(max_steps))
    with pytest.raises(ArithmeticError, match=f"and {taken} steps up to tau = 5 still"):
        flow_to_tolerance(number(2.0), quartic, tau=5.0, tolerance=1e-12, max_steps=max_steps)


@pytest.mark.parametrize("lost", ["first", "last"])
def test_a_flow_that_is_lost_has_not_settled(lost: str):
    """A step far too long ends at infinity, and infinity less infinity is no number: not a small one, either."""
    still = {"still": torch.tensor(1.0, dtype=torch.float64)}
    theta = number(1e8) | still if lost == "first" else still | number(1e8)
    with pytest.raises(ArithmeticError, match="still moved a parameter by nan"):
        flow_to_tolerance(theta, lambda p: quartic(p) + 0.0 * p["still"], tau=1e9, max_steps=8)


# The learner ------------------------------------------------------------------------------------------

TAU, STEPS = 0.6, 3
NETWORK = float64_mlp(1, 3, 1, activation=nn.Tanh)
LEARNER = flow.gradient_flow(NETWORK, mse_loss, tau=TAU, steps=STEPS)


def log_time(tau: float) -> Tensor:
    return torch.tensor(math.log(tau), dtype=torch.float64)


THETA = random_theta(NETWORK) | {"log_tau": log_time(0.9)}  # another time than the learner was made with
TASKS = random_tasks()


def weights_of(theta: Params) -> Params:
    return {name: p for name, p in theta.items() if name != "log_tau"}


def loop_flow(theta: Params, support: Batch, taken: int, of: int = STEPS) -> Params:
    """Runge-Kutta on one long vector, by `torch.autograd.grad`: ``taken`` steps of which ``of`` fill the time."""
    h, weights = theta["log_tau"].exp() / of, weights_of(theta)

    def velocity(vector: Tensor) -> Tensor:
        vector = vector if vector.requires_grad else vector.detach().requires_grad_()
        value = mse_loss(functional_call(NETWORK, unflat(vector, weights), (support.x,)), support.y)
        return -torch.autograd.grad(value, vector, create_graph=True)[0]

    w = flat(weights)
    for _ in range(taken):
        k1 = velocity(w)
        k2 = velocity(w + h / 2 * k1)
        k3 = velocity(w + h / 2 * k2)
        k4 = velocity(w + h * k3)
        w = w + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return unflat(w, weights)


def test_a_straight_line_follows_its_matrix_exponential():
    """The mean squared error of a linear function is a quadratic; steps=k of 40 are k / 40 of the time."""
    learner = flow.gradient_flow(nn.Linear(1, 1).double(), mse_loss, tau=TAU, steps=40)
    theta = {"weight": torch.tensor([[1.5]]).double(), "bias": torch.tensor([-0.4]).double(), "log_tau": log_time(TAU)}
    for support, _ in each(TASKS):
        hessian, centre = (torch.from_numpy(part) for part in line_quadratic(support))
        for steps in (None, 10, 50):
            time = TAU * (1 if steps is None else steps / 40)
            expected = centre + torch.matrix_exp(-hessian * time) @ (torch.tensor([1.5, -0.4]).double() - centre)
            assert_close(flat(learner.adapt(theta, support, steps=steps)), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("steps", [0, 1, 3, 5])
def test_adapt_and_adapt_path_equal_a_plain_loop(steps: int):
    assert loop_flow(THETA, TASKS.support, 0).keys() == weights_of(THETA).keys()
    assert_path_is(LEARNER, THETA, TASKS, loop_flow, steps)


def test_many_small_inner_steps_come_to_the_same_place():
    """Euler's method for tau = alpha m: ten times as many steps, a tenth of the distance."""
    learner, (support, _) = flow.gradient_flow(NETWORK, mse_loss, steps=40), next(each(TASKS))
    end, theta = flat(learner.adapt(THETA, support)), weights_of(THETA)
    few, many = (flat(loop_path(NETWORK, mse_loss, theta, support, 0.9 / m, m)[-1]).detach() for m in (50, 500))
    assert 8 < (few - end).norm() / (many - end).norm() < 12


def test_d_query_loss_by_d_tau_is_minus_the_product_of_the_two_gradients_at_phi():
    """The longer the flow, the better, as long as support and query agree on where to go."""
    learner = flow.gradient_flow(NETWORK, mse_loss, steps=20)
    products = []
    for support, query in each(TASKS):
        phi = learner.adapt(THETA, support)
        losses = (lambda p, b=b: mse_loss(functional_call(NETWORK, p, (b.x,)), b.y) for b in (support, query))
        by_support, by_query = (flat(grad(loss)(phi)) for loss in losses)
        products.append(by_support @ by_query)
    _, direction = learner.meta_grad(THETA, TASKS)
    by_tau = direction["log_tau"] / THETA["log_tau"].exp()
    assert_close(by_tau, -torch.stack(products).mean(), rtol=1e-5, atol=1e-7)


def test_theta_begins_with_the_logarithm_of_the_time_that_was_asked_for():
    theta = LEARNER.init(generator=seeded(0))
    assert list(theta) == [*dict(NETWORK.named_parameters()), "log_tau"]
    assert_close(theta["log_tau"], log_time(TAU), **FLOAT64)
    assert flow.gradient_flow(nn.Linear(1, 1), mse_loss).init(generator=seeded(0))["log_tau"].dtype == torch.float32


def test_a_network_may_read_tokens():
    """With a short time, one Runge-Kutta step is an inner step but for tau^2."""
    network, tasks = Tokens(), token_tasks()
    weights, learner = random_theta(network), flow.gradient_flow(network, mse_loss, steps=1)
    theta = weights | {"log_tau": log_time(1e-6)}
    path = learner.adapt_path(theta, tasks.support, steps=1)
    for i, (support, _) in enumerate(each(tasks)):
        expected = flat(loop_path(network, mse_loss, weights, support, 1e-6, 1)[-1]) - flat(weights)
        for phi in (learner.adapt(theta, support), {name: p[1, i] for name, p in path.items()}):
            assert_close(flat(phi) - flat(weights), expected.detach(), rtol=1e-5, atol=1e-11)
    assert learner.meta_grad(theta, tasks)[1]["embedding.weight"].any()
