"""Hessian products and largest eigenvalues, against explicit Hessians."""

from functools import partial

import pytest
import torch

from mapping_lib.curvature import hessian_vector_product, largest_curvature, largest_eigenvalue
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.networks import functional, mlp


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_problem():
    """A loss of a small tanh network on five points, as a function of named and of flat parameters."""
    net = functional(mlp((1, 6, 1), torch.nn.Tanh).double())
    params = net.init(generator=seeded(0))
    tasks = Sinusoids(dtype=torch.float64).sample(1, 5, 0, generator=seeded(1))
    x, y = tasks.support.x[0], tasks.support.y[0]

    def objective(p):
        return (net.predict(p, x) - y).square().mean()

    def flat_objective(flat):
        sizes = [p.numel() for p in params.values()]
        parts = dict(zip(params, flat.split(sizes), strict=True))
        return objective({name: parts[name].view_as(p) for name, p in params.items()})

    return objective, params, torch.autograd.functional.hessian(flat_objective, _flat(params))


def _flat(params):
    return torch.cat([p.flatten() for p in params.values()])


def test_a_hessian_product_is_that_of_the_explicit_hessian():
    objective, params, hessian = small_problem()
    v = {name: torch.randn(p.shape, generator=seeded(2), dtype=p.dtype) for name, p in params.items()}
    product = hessian_vector_product(objective, params, v)
    assert torch.allclose(_flat(product), hessian @ _flat(v), atol=1e-12)


def test_the_largest_curvature_is_the_largest_eigenvalue():
    objective, params, hessian = small_problem()
    found = largest_curvature(objective, params, generator=seeded(3), iterations=200)
    assert float(found) == pytest.approx(float(torch.linalg.eigvalsh(hessian)[-1]), rel=1e-3)


@pytest.mark.parametrize(
    ("eigenvalues", "largest"),
    [([1.0, 10.0, 3.0], 10.0), ([-10.0, 4.0, 1.0], 4.0), ([-10.0, -4.0, -1.0], -1.0), ([0.0, 0.0, 0.0], 0.0)],
    ids=["all above zero", "the furthest is below zero", "all below zero", "flat"],
)
def test_the_largest_is_found_even_where_another_is_larger_in_size(eigenvalues, largest):
    basis = torch.linalg.qr(torch.randn(3, 3, generator=seeded(4), dtype=torch.float64)).Q
    matrix = basis @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ basis.T
    start = {"w": torch.randn(3, generator=seeded(5), dtype=torch.float64)}
    found = largest_eigenvalue(lambda v: {"w": matrix @ v["w"]}, start, iterations=300)
    assert float(found) == pytest.approx(largest, abs=1e-6)


def test_many_tasks_at_once_give_what_one_by_one_gives():
    net = functional(mlp((1, 6, 1)).double())
    params = net.init(generator=seeded(0))
    support = Sinusoids(dtype=torch.float64).sample(4, 5, 0, generator=seeded(1)).support
    start = {name: torch.ones_like(p) for name, p in params.items()}

    def sharpness(x, y):
        product = partial(hessian_vector_product, lambda p: (net.predict(p, x) - y).square().mean(), params)
        return largest_eigenvalue(product, start)

    together = torch.func.vmap(sharpness)(support.x, support.y)
    assert torch.allclose(together, torch.stack([sharpness(*task) for task in zip(*support, strict=True)]))


def test_iterations_and_generator_are_checked():
    bowl, params = lambda p: p["w"].square().sum(), {"w": torch.ones(2)}
    with pytest.raises(ValueError, match="iterations is 0; allowed: a whole number, 1 or more"):
        largest_curvature(bowl, params, generator=seeded(0), iterations=0)
    with pytest.raises(TypeError, match=r"generator is None; allowed: a torch\.Generator"):
        largest_curvature(bowl, params, generator=None)
