"""Tasks over two parameters, checked another way: closed forms, explicit matrices, sums over x, central differences."""

import numpy as np
import pytest
import torch
from oracles import FLOAT64

from mapping_lib.worlds.landscapes import (
    METHODS,
    Landscape,
    adapted,
    bowls,
    curvatures,
    direction,
    meta_loss,
    rings,
    sines,
)

POINTS = torch.tensor([[0.3, -0.7], [-3.0, 2.5], [1.4, 1.9], [2.2, 0.6]], dtype=torch.float64)
SETTINGS = [(0.1, 1), (0.2, 3), (0.45, 1), (0.45, 5), (0.55, 4), (0.05, 20), (0.3, 0), (0.0, 2)]
on_all_settings = pytest.mark.parametrize(("alpha", "steps"), SETTINGS)


def matrices() -> tuple[np.ndarray, np.ndarray]:
    """A (task, 2, 2) and c (task, 2) of the bowls, from their loss alone."""
    landscape = bowls()
    at = torch.zeros(2, dtype=torch.float64)
    tasks = range(len(landscape.minima))
    hessian = torch.autograd.functional.hessian
    A = [hessian(lambda t, i=i: landscape.loss(t.expand(len(tasks), 2))[i], at) for i in tasks]
    return torch.stack(A).numpy(), landscape.minima.double().numpy()


def bowl_phi(theta: np.ndarray, alpha: float, steps: int) -> np.ndarray:
    """phi = c + (I - alpha A)^m (theta - c), task by task."""
    pairs = zip(*matrices(), strict=True)
    return np.array([c + np.linalg.matrix_power(np.eye(2) - alpha * A, steps) @ (theta - c) for A, c in pairs])


def bowl_directions(theta: np.ndarray, alpha: float, steps: int) -> dict[str, np.ndarray]:
    """The four directions from explicit matrices; Reptile's as the mean of the gradients met on the way."""
    sums = {method: np.zeros(2) for method in METHODS}
    for A, c in zip(*matrices(), strict=True):
        shrink = np.eye(2) - alpha * A
        power = np.linalg.matrix_power(shrink, steps)
        sums["joint training"] += A @ (theta - c)
        sums["FOMAML"] += A @ power @ (theta - c)
        sums["MAML"] += power.T @ A @ power @ (theta - c)
        met = [A @ np.linalg.matrix_power(shrink, k) @ (theta - c) for k in range(max(steps, 1))]
        sums["Reptile"] += np.mean(met, axis=0)
    return {method: total / len(matrices()[0]) for method, total in sums.items()}


def directions(landscape: Landscape, theta: torch.Tensor, **inner: float) -> dict[str, torch.Tensor]:
    return {method: direction(landscape, theta, method, **inner) for method in METHODS}


def close(ours: torch.Tensor, expected: np.ndarray, **tolerance: float) -> None:
    np.testing.assert_allclose(ours.numpy(), expected, **(tolerance or FLOAT64))


@on_all_settings
def test_bowls_adapt_as_their_closed_form_says(alpha: float, steps: int):
    A, c = matrices()
    for theta in POINTS:
        phi = bowl_phi(theta.numpy(), alpha, steps)
        close(adapted(bowls(), theta, alpha=alpha, steps=steps), phi)
        F = np.mean([0.5 * (p - best) @ H @ (p - best) for p, H, best in zip(phi, A, c, strict=True)])
        close(meta_loss(bowls(), theta, alpha=alpha, steps=steps), F)


@on_all_settings
def test_on_bowls_all_four_directions_are_those_of_explicit_matrices(alpha: float, steps: int):
    for theta in POINTS:
        expected = bowl_directions(theta.numpy(), alpha, steps)
        ours = directions(bowls(), theta, alpha=alpha, steps=steps)
        assert ours.keys() == expected.keys()
        for method in METHODS:
            close(ours[method], expected[method], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("landscape", [bowls(), sines()], ids=["bowls", "sines"])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_without_an_inner_step_all_methods_are_joint_training(landscape, alpha: float):
    for steps in (0, 3) if alpha == 0 else (0,):
        ours = directions(landscape, POINTS[0], alpha=alpha, steps=steps)
        assert all(torch.allclose(ours[method], ours["joint training"]) for method in METHODS)


def test_the_loss_of_sines_is_the_mean_over_x():
    x = np.linspace(-5, 5, 200_001)

    def mean(y: np.ndarray) -> float:
        return float(np.trapezoid(y, x) / 10)

    landscape = sines()
    for point in POINTS:
        a, b = point.tolist()
        expected = [mean((a * np.sin(x - b) - A * np.sin(x - B)) ** 2) for A, B in landscape.minima.double().tolist()]
        close(landscape.loss(point.expand(4, 2)), np.array(expected), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("alpha", "steps"), [(0.1, 1), (0.1, 5), (0.2, 3), (0.3, 2)])
def test_on_sines_maml_is_the_slope_of_F_and_joint_training_that_of_the_loss(alpha: float, steps: int):
    landscape, eps = sines(), 1e-6
    shifts = eps * torch.eye(2, dtype=torch.float64)
    for theta in POINTS[[0, 2, 3]]:
        ours = directions(landscape, theta, alpha=alpha, steps=steps)
        for method, m in (("MAML", steps), ("joint training", 0)):
            up, down = (meta_loss(landscape, theta + sign * shifts, alpha=alpha, steps=m) for sign in (1, -1))
            close(ours[method], ((up - down) / (2 * eps)).numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("alpha", "steps"), [(0.1, 1), (0.1, 5), (0.2, 3)])
def test_on_sines_the_path_the_first_order_and_reptile_are_those_of_a_plain_loop(alpha: float, steps: int):
    landscape = sines()

    def slopes(phi: torch.Tensor) -> torch.Tensor:
        leaf = phi.detach().requires_grad_()
        return torch.autograd.grad(landscape.loss(leaf).sum(), leaf)[0]

    for theta in POINTS[[0, 2, 3]]:
        path, met = [theta.expand(4, 2)], []
        for _ in range(steps):
            met.append(slopes(path[-1]))
            path.append(path[-1] - alpha * met[-1])
        ours = torch.stack([adapted(landscape, theta, alpha=alpha, steps=m) for m in range(steps + 1)])
        close(ours, torch.stack(path).numpy())
        ours = directions(landscape, theta, alpha=alpha, steps=steps)
        close(ours["FOMAML"], slopes(path[-1]).mean(0).numpy())
        close(ours["Reptile"], torch.stack(met).mean((0, 1)).numpy(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("landscape", [bowls(), sines()], ids=["bowls", "sines"])
def test_points_do_not_mix(landscape):
    many = adapted(landscape, POINTS, alpha=0.1, steps=3)
    for theta, phi in zip(POINTS, many, strict=True):
        close(phi, adapted(landscape, theta, alpha=0.1, steps=3).numpy())


@pytest.mark.parametrize("landscape", [bowls(), sines()], ids=["bowls", "sines"])
def test_minima_are_minima_inside_the_limits(landscape):
    low, high = torch.tensor(landscape.limits).T
    assert ((low < landscape.minima) & (landscape.minima < high)).all()
    assert landscape.loss(landscape.minima).abs().max() < 1e-9
    for i, best in enumerate(landscape.minima):
        assert torch.linalg.eigvalsh(curvatures(landscape, best)[i]).min() > 0.1


def test_curvatures_are_the_bowls_matrices_and_the_steepest_limit_is_a_half():
    A, _ = matrices()
    close(curvatures(bowls(), POINTS[0]), A)
    assert 2 / np.linalg.eigvalsh(A).max() == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize("landscape", [bowls(), sines()], ids=["bowls", "sines"])
def test_slopes_and_hessians_are_those_of_autograd(landscape):
    points = POINTS[[0, 2, 3], None] + torch.tensor([[0.0, 0.0], [0.5, 1.0], [-1.0, 0.2], [0.1, -2.0]]).double()

    def slope(points: torch.Tensor) -> torch.Tensor:
        return torch.func.grad(lambda p: landscape.loss(p).sum())(points)

    gradient, hessian = landscape.derivatives(points)
    close(gradient, slope(points).numpy())
    units = torch.eye(2, dtype=torch.float64)
    columns = [torch.func.jvp(slope, (points,), (unit.expand(points.shape),))[1] for unit in units]
    close(hessian, torch.stack(columns, -1).numpy())


@pytest.mark.parametrize("landscape", [bowls(), sines()], ids=["bowls", "sines"])
def test_on_a_ring_the_tasks_loss_is_a_tenth(landscape):
    for i, ring in enumerate(rings(landscape)):
        close(landscape.loss(ring[:, None].expand(-1, 4, 2))[:, i], np.full(60, 0.1), rtol=1e-3)


def weighted_minimum(alpha: float, steps: int) -> np.ndarray:
    """Where F of the bowls is lowest, by its normal equations."""
    A, c = matrices()
    powers = [np.linalg.matrix_power(np.eye(2) - alpha * H, steps) for H in A]
    weights = np.array([power @ H @ power for power, H in zip(powers, A, strict=True)])
    return np.linalg.solve(weights.sum(0), np.einsum("tij,tj->i", weights, c))


def test_the_lowest_F_lies_inside_the_limits_and_far_from_the_joint_minimum():
    joint = weighted_minimum(0.0, 0)
    for alpha in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5):
        for steps in range(1, 6):
            assert np.abs(weighted_minimum(alpha, steps)).max() < 4
    assert np.linalg.norm(weighted_minimum(0.2, 3) - joint) > 2


def test_maml_walks_to_its_minimum_and_joint_training_to_its_own():
    for method, expected in (("MAML", weighted_minimum(0.2, 3)), ("joint training", weighted_minimum(0.0, 0))):
        theta = torch.tensor([-3.0, 3.0], dtype=torch.float64)
        for _ in range(300):
            theta = theta - 0.7 * direction(bowls(), theta, method, alpha=0.2, steps=3)
        close(theta, expected, rtol=1e-6, atol=1e-6)


def test_first_order_points_up_F_where_alpha_times_curvature_is_above_one_and_m_is_odd():
    theta = torch.tensor([0.5, -1.0], dtype=torch.float64)
    ours = directions(bowls(), theta, alpha=0.45, steps=1)
    assert torch.cosine_similarity(ours["FOMAML"], ours["MAML"], dim=0) < -0.9
    ours = directions(bowls(), theta, alpha=0.2, steps=1)
    assert torch.cosine_similarity(ours["FOMAML"], ours["MAML"], dim=0) > 0.5


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="method is 'SGD'; allowed: 'MAML', 'FOMAML', 'Reptile', 'joint training'"):
        direction(bowls(), POINTS[0], "SGD", alpha=0.1, steps=1)
    with pytest.raises(ValueError, match=r"alpha is -0\.1"):
        adapted(bowls(), POINTS[0], alpha=-0.1, steps=1)
    with pytest.raises(ValueError, match="steps is -1"):
        adapted(bowls(), POINTS[0], alpha=0.1, steps=-1)
