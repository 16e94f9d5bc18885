"""Losses of all kinds, tried: which are exact, which run task by task, which serve `fomaml` and `reptile` alone."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from oracles import central_differences, loop_meta_grad, loop_meta_loss, seeded
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from mapping_lib.evaluation import evaluate_by_step
from mapping_lib.learners.gradient import fomaml, maml, reptile
from mapping_lib.task import Batch, Task

ALPHA, STEPS = 0.05, 2
LOOP = {"rtol": 1e-7, "atol": 1e-9}
pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop")  # as slow as a loop there, and right
WEIGHTS = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)


def numbers(n: int, g: torch.Generator, width: int = 1) -> Tensor:
    """Targets ``(task, example, width)``."""
    return torch.randn(2, n, width, generator=g).double()


def labels(n: int, g: torch.Generator) -> Tensor:
    """Class labels ``(task, example)``, of which there are three, every one of them in every task."""
    return torch.stack([torch.cat([torch.arange(3), torch.randint(3, (n - 3,), generator=g)]) for _ in range(2)])


def shares(n: int, g: torch.Generator) -> Tensor:
    """Probabilities of three classes."""
    return numbers(n, g, 3).softmax(-1)


def zero_or_one(n: int, g: torch.Generator) -> Tensor:
    """An answer of yes or no."""
    return (numbers(n, g) > 0).double()


def counts(n: int, g: torch.Generator) -> Tensor:
    """Whole numbers, written as floating ones."""
    return numbers(n, g).abs().mul(3).round()


def words(n: int, g: torch.Generator) -> Tensor:
    """Two letters an example."""
    return torch.randint(1, 3, (2, n, 2), generator=g)


def asks(y_hat: Tensor, y: Tensor) -> Tensor:
    """A loss with an ``if``."""
    error = F.mse_loss(y_hat, y)
    return error if error > 0.5 else 2 * error


def gaussian(y_hat: Tensor, y: Tensor) -> Tensor:
    """A Gaussian whose mean and variance the network gives."""
    return F.gaussian_nll_loss(y_hat[:, :1], y, F.softplus(y_hat[:, 1:]))


def ctc(y_hat: Tensor, y: Tensor) -> Tensor:
    """Words of two letters in four moments."""
    moments = y_hat.unflatten(1, (4, 3)).transpose(0, 1).log_softmax(-1)
    return F.ctc_loss(moments, y, torch.full((len(y),), 4), torch.full((len(y),), 2))


LOSSES: dict[str, tuple[str, int, Callable, Callable]] = {
    "mean square": ("exact", 1, numbers, F.mse_loss),
    "absolute": ("exact", 1, numbers, F.l1_loss),
    "Huber": ("exact", 1, numbers, F.huber_loss),
    "SmoothL1": ("exact", 1, numbers, nn.SmoothL1Loss(beta=0.1)),
    "Poisson": ("exact", 1, counts, nn.PoissonNLLLoss(full=True)),
    "logits": ("exact", 1, zero_or_one, nn.BCEWithLogitsLoss(pos_weight=WEIGHTS[1:2])),
    "cross entropy": ("exact", 3, labels, F.cross_entropy),
    "cross entropy, smoothed": ("exact", 3, labels, nn.CrossEntropyLoss(label_smoothing=0.1)),
    "cross entropy, weights": ("exact", 3, labels, nn.CrossEntropyLoss(weight=WEIGHTS)),
    "cross entropy, weights, smoothed": ("slow", 3, labels, nn.CrossEntropyLoss(WEIGHTS, label_smoothing=0.1)),
    "cross entropy, shares": ("exact", 3, shares, F.cross_entropy),
    "KL": ("exact", 3, shares, lambda y_hat, y: F.kl_div(y_hat.log_softmax(-1), y, reduction="batchmean")),
    "torch.where": ("exact", 1, numbers, lambda y_hat, y: torch.where(y > -0.5, (y_hat - y).square(), 0).mean()),
    "an if": ("slow", 1, numbers, asks),
    "a mask": ("slow", 1, numbers, lambda y_hat, y: (y_hat - y)[y > -0.5].square().mean()),
    "float": ("slow", 1, numbers, lambda y_hat, y: F.mse_loss(y_hat, y) * float(y.std())),
    "one_hot": ("slow", 3, labels, lambda y_hat, y: (y_hat - F.one_hot(y, 3)).square().mean()),
    "one_hot, no count": ("slow", 3, labels, lambda y_hat, y: (y_hat - F.one_hot(y)).square().mean()),
    "Gaussian": ("slow", 2, numbers, gaussian),
    "CTC": ("first order", 12, words, ctc),
    "MultiMargin": ("first order", 3, labels, F.multi_margin_loss),
}
"""Verdict as in `layers.TABLE`, outputs of the network, targets, loss."""


def prepared(name: str) -> tuple[nn.Module, Callable, Task]:
    """A smooth network, the loss, and tasks for it."""
    _, n_out, targets, loss = LOSSES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, n_out)).double()
    g = seeded(1)
    return network, loss, Task(*(Batch(numbers(n, g), targets(n, g)) for n in (5, 4)), torch.zeros(2, 1).double())


@pytest.mark.parametrize("name", [name for name in LOSSES if LOSSES[name][0] != "first order"])
def test_the_meta_gradient_is_that_of_central_differences(name: str):
    network, loss, tasks = prepared(name)
    learner = maml(network, loss, alpha=ALPHA, steps=STEPS)
    theta = learner.init(generator=seeded(0))
    meta_loss, direction = learner.meta_grad(theta, tasks)
    by_loop = lambda theta: loop_meta_loss(network, loss, theta, tasks, ALPHA, STEPS, first_order=True)  # noqa: E731
    assert_close(meta_loss, by_loop(theta).detach(), **LOOP)
    assert_close(direction, central_differences(by_loop, theta), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", [name for name in LOSSES if LOSSES[name][0] == "first order"])
def test_without_a_second_derivative_maml_says_so_and_fomaml_is_right(name: str):
    network, loss, tasks = prepared(name)
    learner = maml(network, loss, alpha=ALPHA, steps=STEPS)
    theta = learner.init(generator=seeded(0))
    with pytest.raises(ValueError, match=r"second derivative; allowed: [^\n]+$"):
        learner.meta_grad(theta, tasks)
    found = fomaml(network, loss, alpha=ALPHA, steps=STEPS).meta_grad(theta, tasks)
    assert_close(found, loop_meta_grad(network, loss, theta, tasks, ALPHA, STEPS, first_order=True), **LOOP)


@pytest.mark.parametrize("name", LOSSES)
def test_reptile_and_the_evaluation_take_every_loss(name: str):
    network, loss, tasks = prepared(name)
    learner = reptile(network, loss, alpha=ALPHA, steps=STEPS)
    theta = learner.init(generator=seeded(0))
    expected = loop_meta_loss(network, loss, theta, tasks, ALPHA, STEPS, first_order=True).detach()
    assert_close(learner.meta_grad(theta, tasks)[0], expected, **LOOP)
    family = SimpleNamespace(sample=lambda *args, generator: tasks)
    counts = {"k_shot": 5, "steps": STEPS, "n_tasks": 2, "n_query": 4}
    by_step = evaluate_by_step(learner, theta, family, **counts, generator=seeded(0), error=loss)
    assert_close(by_step.mean[-1], expected, **LOOP)


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_slow_is_what_vmap_cannot_do(name: str):
    network, loss, tasks = prepared(name)
    verdict, _, _, _ = LOSSES[name]
    y_hat = torch.stack([network(x).detach() for x in tasks.query.x])
    try:
        torch.func.vmap(torch.func.grad(loss))(y_hat, tasks.query.y)
        torch.func.vmap(loss)(y_hat, tasks.query.y)
    except RuntimeError:
        assert verdict == "slow"
    else:
        assert verdict != "slow"
