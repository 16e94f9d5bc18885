"""Reference code for the tests: slow, plain, and written without any algorithm of mapping_lib.

One task after the other, `torch.autograd.grad` in place of `torch.func.grad`, explicit Hessians, central
differences, closed forms. Only `mapping_lib.task` is shared with the code under test.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import higher
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.testing import assert_close

from mapping_lib.task import Batch, Params, Task, TaskFamily, map_tasks

FLOAT64 = {"rtol": 1e-9, "atol": 1e-11}
"""Tolerances for two float64 results that should be equal but for rounding."""


def seeded(seed: int = 0) -> torch.Generator:
    """A generator with this seed."""
    return torch.Generator().manual_seed(seed)


def tensors(task: Task) -> list[Tensor]:
    """All that tasks hold."""
    return [*task.support, *task.query, task.description]


def same(a: Any, b: Any) -> bool:
    """Equal to the last digit, whatever it is made of; nan equals nan."""
    if isinstance(a, Tensor | np.ndarray | float):
        a, b = np.asarray(a), np.asarray(b)
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def refusals(calls: list[tuple[Callable, str]]) -> Callable:
    """A test that each call raises an error whose words begin so."""

    @pytest.mark.parametrize(("call", "message"), calls, ids=[message for _, message in calls])
    def test(call: Callable, message: str):
        with pytest.raises((ValueError, TypeError)) as caught:
            call()
        assert str(caught.value).startswith(message)
        assert "; allowed: " in str(caught.value)

    return test


def general_mse(y_hat: Tensor, y: Tensor) -> Tensor:
    """Mean squared error that the library does not recognise, so that it takes the general path."""
    return (y_hat - y).square().mean()


# Data -------------------------------------------------------------------------------------------------


def float64_mlp(*sizes: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """A fully connected float64 network of these widths."""
    layers = [layer for a, b in itertools.pairwise(sizes) for layer in (nn.Linear(a, b), activation())]
    return nn.Sequential(*layers[:-1]).double()


def random_theta(network: nn.Module, seed: int = 0, scale: float = 0.6) -> Params:
    """Normal random parameters for ``network``."""
    g = seeded(seed)
    return {name: scale * torch.randn(p.shape, generator=g, dtype=p.dtype) for name, p in network.named_parameters()}


def random_tasks(
    n_tasks: int = 3, k_shot: int = 5, n_query: int = 4, *, n_in: int = 1, n_out: int = 1, seed: int = 100
) -> Task:
    """Regression tasks in float64 whose inputs and targets are normal random numbers."""
    g = seeded(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=g, dtype=torch.float64)

    support = Batch(normal(n_tasks, k_shot, n_in), normal(n_tasks, k_shot, n_out))
    query = Batch(normal(n_tasks, n_query, n_in), normal(n_tasks, n_query, n_out))
    return Task(support, query, normal(n_tasks, 2))


def each(tasks: Task) -> Iterator[tuple[Batch, Batch]]:
    """Take the tasks apart: (support, query), one after the other."""
    for i in range(len(tasks.support.x)):
        yield Batch(*(part[i] for part in tasks.support)), Batch(*(part[i] for part in tasks.query))


def copied(theta: Params) -> Params:
    """A copy that shares no memory with ``theta``."""
    return {name: p.detach().clone() for name, p in theta.items()}


class Tokens(nn.Module):
    """A network that reads whole numbers ``(example, token)``, of which there are five."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(5, 2), nn.Linear(2, 1)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embedding(x).mean(-2))


def token_tasks(n_tasks: int = 3) -> Task:
    """Tasks for `Tokens`."""
    parts = random_tasks(n_tasks)
    x = torch.randint(5, (n_tasks, 9, 2), generator=seeded(0))
    return Task(Batch(x[:, :5], parts.support.y), Batch(x[:, 5:], parts.query.y), parts.description)


class Spoilt:
    """A family whose tasks are copied, and then changed in place by ``spoil``."""

    def __init__(self, family: TaskFamily, spoil: Callable[[Task], None]) -> None:
        self.family, self.spoil = family, spoil

    def sample(self, *args, **kwargs) -> Task:
        tasks = map_tasks(torch.clone, self.family.sample(*args, **kwargs))
        self.spoil(tasks)
        return tasks


# A plain loop over tasks -------------------------------------------------------------------------------


def loop_path(network, loss, params: Params, support: Batch, alpha, steps: int, first_order=False) -> list[Params]:
    """The iterates phi_0 ... phi_m of one task; ``alpha`` is a number, or one number or tensor a name."""
    path = [params]
    for _ in range(steps):
        phi = path[-1]
        if not any(p.requires_grad for p in phi.values()):
            phi = {name: p.detach().requires_grad_() for name, p in phi.items()}
        value = loss(functional_call(network, phi, (support.x,)), support.y)
        slopes = torch.autograd.grad(value, list(phi.values()), create_graph=not first_order)
        alphas = [alpha[name] if isinstance(alpha, dict) else alpha for name in phi]
        path.append({name: phi[name] - a * g for name, a, g in zip(phi, alphas, slopes, strict=True)})
    return path


def loop_meta_loss(network, loss, params: Params, tasks: Task, alpha, steps: int, first_order=False) -> Tensor:
    """The mean over tasks of the query loss at phi_m."""
    losses = []
    for support, query in each(tasks):
        phi = loop_path(network, loss, params, support, alpha, steps, first_order)[-1]
        losses.append(loss(functional_call(network, phi, (query.x,)), query.y))
    return torch.stack(losses).mean()


def loop_meta_grad(network, loss, theta: Params, tasks: Task, alpha, steps: int, first_order=False):
    """The meta-loss and its gradient by theta, by one `torch.autograd.grad` through the whole loop."""
    leaves = {name: p.detach().clone().requires_grad_() for name, p in theta.items()}
    meta_loss = loop_meta_loss(network, loss, leaves, tasks, alpha, steps, first_order)
    slopes = torch.autograd.grad(meta_loss, list(leaves.values()))
    return meta_loss.detach(), dict(zip(leaves, slopes, strict=True))


# Other ways to the meta-gradient -----------------------------------------------------------------------


def central_differences(function: Callable[[Params], Tensor], theta: Params, eps: float = 1e-6) -> Params:
    """The gradient of ``function`` by two evaluations for every number in ``theta``."""
    slopes = {name: torch.zeros_like(p) for name, p in theta.items()}
    for name, p in theta.items():
        for i in range(p.numel()):
            up, down = copied(theta), copied(theta)
            up[name].view(-1)[i] += eps
            down[name].view(-1)[i] -= eps
            slopes[name].view(-1)[i] = float((function(up) - function(down)).detach()) / (2 * eps)
    return slopes


def differences_at_once(function: Callable[[Params], Tensor], theta: Params, eps: float = 1e-6) -> Params:
    """As `central_differences`, of a function that `torch.func.vmap` can take."""
    here = flat(theta)
    ups, downs = (here + sign * eps * torch.eye(len(here), dtype=here.dtype) for sign in (1, -1))
    values = torch.func.vmap(lambda vector: function(unflat(vector, theta)))(torch.cat([ups, downs]))
    return unflat(torch.sub(*values.detach().chunk(2)) / (2 * eps), theta)


def flat(theta: Params) -> Tensor:
    """All of theta in one vector, in its own order."""
    return torch.cat([p.reshape(-1) for p in theta.values()])


def unflat(vector: Tensor, like: Params) -> Params:
    """The inverse of `flat`."""
    pieces = vector.split([p.numel() for p in like.values()])
    return {name: piece.view(p.shape) for (name, p), piece in zip(like.items(), pieces, strict=True)}


def explicit_hessian(loss_of: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """The Hessian matrix of a function of one vector."""
    return torch.autograd.functional.hessian(loss_of, at)


def hessian_chain_meta_grad(network, loss, theta: Params, tasks: Task, alpha: float, steps: int) -> Params:
    """The mean over tasks of (I - alpha H(phi_0)) ... (I - alpha H(phi_{m-1})) grad L_Q(phi_m)."""
    total = torch.zeros_like(flat(theta))
    for support, query in each(tasks):

        def loss_at(vector: Tensor, batch: Batch) -> Tensor:
            return loss(functional_call(network, unflat(vector, theta), (batch.x,)), batch.y)

        def slope(vector: Tensor, batch: Batch, loss_at=loss_at) -> Tensor:
            leaf = vector.detach().requires_grad_()
            return torch.autograd.grad(loss_at(leaf, batch), leaf)[0]

        phis = [flat(theta)]
        for _ in range(steps):
            phis.append(phis[-1] - alpha * slope(phis[-1], support))
        v = slope(phis[-1], query)
        for phi in reversed(phis[:-1]):
            hessian = explicit_hessian(lambda at, batch=support, f=loss_at: f(at, batch), phi)
            v = v - alpha * hessian @ v
        total += v
    return unflat(total / len(tasks.support.x), theta)


def higher_meta_grad(network, loss, theta: Params, tasks: Task, alpha: float, steps: int, first_order=False):
    """The meta-loss and direction by the library `higher` (Grefenstette et al. 2019)."""
    network.load_state_dict(theta)
    inner = torch.optim.SGD(network.parameters(), lr=alpha)
    total, sums = 0.0, [torch.zeros_like(p) for p in network.parameters()]
    for support, query in each(tasks):
        exact = not first_order
        with higher.innerloop_ctx(network, inner, copy_initial_weights=False, track_higher_grads=exact) as (phi, step):
            for _ in range(steps):
                step.step(loss(phi(support.x), support.y))
            value = loss(phi(query.x), query.y)
            by = list(phi.parameters(time=0 if exact else -1))
            sums = [s + g for s, g in zip(sums, torch.autograd.grad(value, by), strict=True)]
        total += value.detach()
    n = len(tasks.support.x)
    return total / n, {name: s / n for (name, _), s in zip(network.named_parameters(), sums, strict=True)}


# Quadratic tasks, whose adaptation has a closed form ---------------------------------------------------


class Scale(nn.Module):
    """The network y_hat = w * x, feature by feature."""

    def __init__(self, n: int = 1) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(n, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.w * x


def bowl(h: Tensor, c: Tensor) -> Batch:
    """One example on which `Scale`'s mean squared error is 0.5 * sum(h * (w - c)^2), for curvatures h >= 0."""
    x = (len(h) * h / 2).sqrt()[None]
    return Batch(x, c * x)


def quadratic_phi(theta: Tensor, h: Tensor, c: Tensor, alpha: float, steps: int) -> Tensor:
    """phi = theta - (1 - (1 - alpha h)^m)(theta - c): where m steps on 0.5 h (theta - c)^2 end."""
    return theta - (1 - (1 - alpha * h) ** steps) * (theta - c)


def line_quadratic(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Hessian and minimiser of the mean squared error of y = w x + b, as (w, b)."""
    x, y = batch.x[:, 0].numpy(), batch.y[:, 0].numpy()
    design = np.stack([x, np.ones_like(x)], axis=1)
    return 2 * design.T @ design / len(x), np.linalg.lstsq(design, y, rcond=None)[0]


def line_phi(theta: np.ndarray, batch: Batch, alpha: float, steps: int) -> np.ndarray:
    """phi = c + (I - alpha H)^m (theta - c) for the two parameters of a straight line."""
    hessian, c = line_quadratic(batch)
    return c + np.linalg.matrix_power(np.eye(2) - alpha * hessian, steps) @ (theta - c)


def line_meta_grad(theta: np.ndarray, tasks: Task, alpha: float, steps: int, first_order: bool) -> np.ndarray:
    """The closed-form meta-gradient for the two parameters of a straight line."""
    total = np.zeros(2)
    for support, query in each(tasks):
        hessian, best = line_quadratic(query)
        slope = hessian @ (line_phi(theta, support, alpha, steps) - best)
        chain = np.linalg.matrix_power(np.eye(2) - alpha * line_quadratic(support)[0], steps)
        total += slope if first_order else chain.T @ slope
    return total / len(tasks.support.x)


def assert_path_is(learner, theta: Params, tasks: Task, by_hand: Callable[[Params, Batch, int], Params], steps: int):
    """Of every task, `adapt` and each iterate of `adapt_path` are what ``by_hand(theta, support, steps)`` gives."""
    path, (first, _) = learner.adapt_path(theta, tasks.support, steps=steps), next(each(tasks))
    assert path.keys() == by_hand(theta, first, 0).keys()
    for i, (support, _) in enumerate(each(tasks)):
        assert_close(learner.adapt(theta, support, steps=steps), copied(by_hand(theta, support, steps)), **FLOAT64)
        for m in range(steps + 1):
            expected = copied(by_hand(theta, support, m))
            assert_close({name: p[m, i] for name, p in path.items()}, expected, **FLOAT64)
