"""MAML and its siblings, against explicit Hessians, central differences, a plain loop and `higher`."""

from collections.abc import Callable

import pytest
import torch
from oracles import (
    FLOAT64,
    Scale,
    copied,
    each,
    float64_mlp,
    general_mse,
    hessian_chain_meta_grad,
    higher_meta_grad,
    loop_meta_grad,
    loop_meta_loss,
    loop_path,
    random_tasks,
    random_theta,
    seeded,
)
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.testing import assert_close

from mapping_lib.learners.baselines import from_scratch, joint
from mapping_lib.learners.gradient import ALPHA_PREFIX, anil, fomaml, maml, meta_sgd, reptile
from mapping_lib.task import Batch, Params, Task

ALPHA = 0.15
STEPS = range(1, 6)
PATHS = pytest.mark.parametrize("loss", [mse_loss, general_mse], ids=["fast path", "general path"])
MAKERS = pytest.mark.parametrize("make", [maml, fomaml, anil, meta_sgd, reptile, joint, from_scratch])


@pytest.fixture
def network() -> nn.Module:
    return float64_mlp(1, 4, 3, 1)


@pytest.fixture
def tasks() -> Task:
    return random_tasks()


def theta_of(make: Callable, network: nn.Module, seed: int = 0) -> Params:
    """Random weights, and for Meta-SGD random step sizes too, of which some are negative."""
    theta = random_theta(network, seed)
    if make is meta_sgd:
        theta |= {ALPHA_PREFIX + name: ALPHA * p for name, p in random_theta(network, seed + 1).items()}
    return theta


def alphas_of(make: Callable, theta: Params):
    """What `oracles.loop_path` needs to adapt as ``make`` does."""
    if make is meta_sgd:
        return {name.removeprefix(ALPHA_PREFIX): p for name, p in theta.items() if name.startswith(ALPHA_PREFIX)}
    if make is anil:
        *_, weight, bias = theta
        return {name: ALPHA if name in (weight, bias) else 0.0 for name in theta}
    return ALPHA


def weights_of(theta: Params) -> Params:
    return {name: p for name, p in theta.items() if not name.startswith(ALPHA_PREFIX)}


# The meta-gradient ------------------------------------------------------------------------------------


@PATHS
@pytest.mark.parametrize("steps", STEPS)
def test_maml_multiplies_by_one_minus_alpha_hessian_at_every_step(network, tasks, loss, steps: int):
    theta = random_theta(network)
    direction = maml(network, loss, alpha=ALPHA, steps=steps).meta_grad(theta, tasks)[1]
    assert_close(direction, hessian_chain_meta_grad(network, loss, theta, tasks, ALPHA, steps), **FLOAT64)


@PATHS
@pytest.mark.parametrize("steps", STEPS)
def test_fomaml_averages_the_query_gradients_at_phi(network, tasks, loss, steps: int):
    theta = random_theta(network)
    direction = fomaml(network, loss, alpha=ALPHA, steps=steps).meta_grad(theta, tasks)[1]
    slopes = []
    for support, query in each(tasks):
        phi = loop_path(network, mse_loss, theta, support, ALPHA, steps)[-1]
        leaves = {name: p.detach().requires_grad_() for name, p in phi.items()}
        value = mse_loss(torch.func.functional_call(network, leaves, (query.x,)), query.y)
        slopes.append(torch.autograd.grad(value, list(leaves.values())))
    means = [torch.stack(by_task).mean(0) for by_task in zip(*slopes, strict=True)]
    assert_close(direction, dict(zip(theta, means, strict=True)), **FLOAT64)


@PATHS
@pytest.mark.parametrize("make", [maml, fomaml])
@pytest.mark.parametrize("steps", STEPS)
def test_the_library_higher_agrees(network, tasks, make, loss, steps: int):
    theta = random_theta(network)
    ours = make(network, loss, alpha=ALPHA, steps=steps).meta_grad(theta, tasks)
    theirs = higher_meta_grad(float64_mlp(1, 4, 3, 1), mse_loss, theta, tasks, ALPHA, steps, make is fomaml)
    assert_close(ours[0], theirs[0], **FLOAT64)
    assert_close(ours[1], theirs[1], **FLOAT64)


def test_first_order_and_exact_differ_here(network, tasks):
    """Otherwise the tests above could not tell them apart."""
    theta = random_theta(network)
    exact, first = (make(network, mse_loss, alpha=ALPHA, steps=3).meta_grad(theta, tasks)[1] for make in (maml, fomaml))
    assert (exact["2.weight"] - first["2.weight"]).norm() > 0.05 * exact["2.weight"].norm()


@PATHS
def test_meta_sgd_with_equal_alphas_is_maml(network, tasks, loss):
    theta, names = random_theta(network), dict(network.named_parameters())
    with_alphas = theta | {ALPHA_PREFIX + name: torch.full_like(p, ALPHA) for name, p in theta.items()}
    value, direction = meta_sgd(network, loss, steps=3).meta_grad(with_alphas, tasks)
    expected = loop_meta_grad(network, mse_loss, theta, tasks, ALPHA, 3)
    assert_close((value, {name: direction[name] for name in names}), expected, **FLOAT64)


def test_meta_sgd_starts_every_alpha_at_its_argument(network):
    theta = meta_sgd(network, mse_loss, alpha=0.25).init(generator=seeded(0))
    alphas = alphas_of(meta_sgd, theta)
    assert alphas.keys() == dict(network.named_parameters()).keys()
    assert all(torch.equal(alphas[name], torch.full_like(theta[name], 0.25)) for name in alphas)


@PATHS
def test_reptile_points_from_theta_to_the_mean_phi(network, tasks, loss):
    theta = random_theta(network)
    value, direction = reptile(network, loss, alpha=ALPHA, steps=4).meta_grad(theta, tasks)
    phis = [loop_path(network, mse_loss, theta, support, ALPHA, 4)[-1] for support, _ in each(tasks)]
    expected = {name: p - torch.stack([phi[name].detach() for phi in phis]).mean(0) for name, p in theta.items()}
    assert_close(direction, expected, **FLOAT64)
    assert_close(value, loop_meta_loss(network, mse_loss, theta, tasks, ALPHA, 4).detach(), **FLOAT64)


def test_reptile_without_a_query_reports_the_support_loss_at_phi(network, tasks):
    theta = random_theta(network)
    empty = Batch(tasks.query.x[:, :0], tasks.query.y[:, :0])
    value, _ = reptile(network, mse_loss, alpha=ALPHA, steps=4).meta_grad(theta, tasks._replace(query=empty))
    on_support = loop_meta_loss(network, mse_loss, theta, tasks._replace(query=tasks.support), ALPHA, 4)
    assert_close(value, on_support.detach(), **FLOAT64)


# Adaptation -------------------------------------------------------------------------------------------


@PATHS
@MAKERS
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_adapt_and_adapt_path_equal_a_plain_loop(network, tasks, make, loss, steps: int):
    learner, theta = make(network, loss, alpha=ALPHA, steps=steps), theta_of(make, network)
    path = learner.adapt_path(theta, tasks.support, steps=steps)
    for i, (support, _) in enumerate(each(tasks)):
        loop = loop_path(network, mse_loss, weights_of(theta), support, alphas_of(make, theta), steps)
        loop = list(map(copied, loop))
        assert_close(learner.adapt(theta, support), loop[-1], **FLOAT64)
        for m, phi in enumerate(loop):
            assert_close({name: p[m, i] for name, p in path.items()}, phi, **FLOAT64)


@PATHS
def test_anil_leaves_the_body_where_it_was(network, tasks, loss):
    theta = random_theta(network)
    path = anil(network, loss, alpha=ALPHA, steps=3).adapt_path(theta, tasks.support, steps=3)
    for name, p in theta.items():
        is_head = name.startswith("4.")
        assert torch.equal(path[name], p.expand_as(path[name])) is not is_head, name


def test_anil_adapts_the_head_that_it_is_told(network, tasks):
    theta, (support, _) = random_theta(network), next(each(tasks))
    phi = anil(network, mse_loss, alpha=ALPHA, head="2").adapt(theta, support)
    assert [name for name in theta if not torch.equal(phi[name], theta[name])] == ["2.weight", "2.bias"]


class SimilarNames(nn.Module):
    """A network whose body has a layer with a name that begins like the head's."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head_norm, self.head = nn.Linear(1, 4), nn.LayerNorm(4), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.head_norm(self.body(x)))


@pytest.mark.parametrize("head", [None, "head"])
def test_anil_adapts_no_layer_whose_name_only_begins_like_the_heads(tasks, head):
    network = SimilarNames().double()
    theta, (support, _) = random_theta(network), next(each(tasks))
    phi = anil(network, mse_loss, alpha=ALPHA, head=head).adapt(theta, support)
    assert [name for name in theta if not torch.equal(phi[name], theta[name])] == ["head.weight", "head.bias"]


# Evidence that depends on phi, as in reinforcement learning -------------------------------------------


def test_a_callable_support_is_asked_at_every_iterate():
    """0.5 w^2 halves w at every step of size 0.5."""
    met = []

    def support(phi: Params) -> Batch:
        met.append(float(phi["w"].detach()))
        return Batch(torch.full((1, 1), 0.5**0.5).double(), torch.zeros(1, 1).double())

    phi = maml(Scale(), mse_loss, alpha=0.5, steps=3).adapt({"w": torch.ones(1).double()}, support)
    assert met == pytest.approx([1.0, 0.5, 0.25])
    assert phi["w"].tolist() == pytest.approx([0.125])


@pytest.mark.parametrize(("follows", "expected"), [(True, 1 - 0.5 * 0.5), (False, 1 - 0.5 * 1.0)])
def test_a_callable_support_may_or_may_not_carry_gradient(follows: bool, expected: float):
    """The loss (w - w/2)^2 has slope w/2 where the target follows w, and w where it is held."""

    def support(phi: Params) -> Batch:
        w = phi["w"] if follows else phi["w"].detach()
        return Batch(torch.ones(1, 1).double(), w[None] / 2)

    phi = maml(Scale(), mse_loss, alpha=0.5).adapt({"w": torch.ones(1).double()}, support)
    assert phi["w"].tolist() == pytest.approx([expected])


# Any module -------------------------------------------------------------------------------------------


class Recurrent(nn.Module):
    """Reads a sequence ``(example, time, 1)`` and answers with one number."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(1, 3, batch_first=True), nn.Linear(3, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class Bare(nn.Module):
    """Parameters of its own, one of them without dimensions, and one beside a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.frequencies = nn.Parameter(torch.tensor(0.5)), nn.Parameter(torch.randn(1, 4))
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        return self.gain * self.head(torch.sin(x @ self.frequencies))


def convolutional() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3))


def layer_normed() -> nn.Module:
    return nn.Sequential(nn.Linear(1, 5), nn.LayerNorm(5), nn.GELU(), nn.Linear(5, 1))


def group_normed() -> nn.Module:
    return nn.Sequential(nn.Linear(1, 4), nn.GroupNorm(2, 4), nn.SiLU(), nn.Linear(4, 1))


def batch_normed() -> nn.Module:
    return nn.Sequential(nn.Linear(1, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Tanh(), nn.Linear(5, 1))


def image_tasks() -> Task:
    g = seeded(5)
    parts = [
        Batch(torch.randn(3, n, 1, 6, 6, generator=g).double(), torch.randint(3, (3, n), generator=g)) for n in (5, 4)
    ]
    return Task(*parts, torch.zeros(3, 1))


def sequence_tasks() -> Task:
    parts = random_tasks(n_in=6)
    longer = [Batch(batch.x[..., None], batch.y) for batch in (parts.support, parts.query)]
    return Task(*longer, parts.description)


ANY_MODULE = {
    "convolutional, cross entropy": (convolutional, cross_entropy, image_tasks),
    "LSTM": (Recurrent, mse_loss, sequence_tasks),
    "LayerNorm": (layer_normed, mse_loss, random_tasks),
    "bare parameters": (Bare, mse_loss, random_tasks),
    "GroupNorm": (group_normed, mse_loss, random_tasks),
    "BatchNorm by batch": (batch_normed, mse_loss, random_tasks),
    "loss module": (lambda: float64_mlp(1, 4, 1), nn.MSELoss(), random_tasks),
    "Tanh": (lambda: float64_mlp(1, 4, 1, activation=nn.Tanh), mse_loss, random_tasks),
}


@pytest.mark.parametrize("make", [maml, fomaml])
@pytest.mark.parametrize("kind", ANY_MODULE)
def test_any_module_learns_as_in_a_plain_loop(kind: str, make):
    build, loss, sample = ANY_MODULE[kind]
    network, tasks = build().double(), sample()
    theta = random_theta(network)
    found = make(network, loss, alpha=ALPHA, steps=2).meta_grad(theta, tasks)
    expected = loop_meta_grad(network, loss, theta, tasks, ALPHA, 2, make is fomaml)
    assert_close(found, expected, **FLOAT64)


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # torch on an LSTM in float32: slow, and right
@pytest.mark.parametrize("kind", ANY_MODULE)
def test_any_module_learns_in_float32_too(kind: str):
    """Torch computes some layers by other kernels there; a warning of theirs would be an error here."""
    build, loss, sample = ANY_MODULE[kind]
    network, tasks = build().float(), sample()
    parts = [Batch(*(t.float() if t.is_floating_point() else t for t in part)) for part in tasks[:2]]
    tasks, theta = Task(*parts, tasks.description), random_theta(network)
    found = maml(network, loss, alpha=ALPHA, steps=2).meta_grad(theta, tasks)
    assert_close(found, loop_meta_grad(network, loss, theta, tasks, ALPHA, 2), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ANY_MODULE)
def test_any_module_has_a_path(kind: str):
    build, loss, sample = ANY_MODULE[kind]
    network, tasks = build().double(), sample()
    theta = random_theta(network)
    path = maml(network, loss, alpha=ALPHA).adapt_path(theta, tasks.support, steps=2)
    for i, (support, _) in enumerate(each(tasks)):
        for m, phi in enumerate(loop_path(network, loss, theta, support, ALPHA, 2)):
            assert_close({name: p[m, i] for name, p in path.items()}, copied(phi), **FLOAT64)
