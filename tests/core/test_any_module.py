"""Any `nn.Module` under the contract: frozen parts, own starts, losses and layers that need a loop, what is refused."""

from types import SimpleNamespace

import pytest
import torch
from learners_table import BY_STEPS, WRITERS
from oracles import FLOAT64, copied, float64_mlp, loop_meta_grad, loop_path, random_tasks, seeded
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, dropout, gaussian_nll_loss, l1_loss, mse_loss, one_hot
from torch.testing import assert_close

from mapping_lib.chapters.few_shot_images.methods_features import on_features
from mapping_lib.chapters.multitask_and_continual.methods import sequence_model
from mapping_lib.chapters.reinforcement_learning.methods_trust_region import trust_region_maml
from mapping_lib.evaluation import evaluate_by_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners import baselines
from mapping_lib.learners.gradient import maml, reptile
from mapping_lib.learners.module import from_module
from mapping_lib.meta_training import meta_train
from mapping_lib.networks import functional, mlp
from mapping_lib.task import Batch, Task, each, map_tasks
from mapping_lib.worlds.goals import Navigation

TASKS = random_tasks()


class Recurrent(nn.Module):
    """An LSTM that reads the examples as a sequence: `torch.func.vmap` has no rule for it."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(1, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0])


# Where vmap cannot ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_STEPS)
def test_an_lstm_is_trained_adapted_and_judged_by_every_learner(name: str):
    learner, settings = BY_STEPS[name](Recurrent(), mse_loss), {"tasks_per_step": 3, "k_shot": 4, "n_query": 4}
    *_, last = meta_train(learner, Sinusoids(), beta=0.01, outer_steps=2, generator=seeded(0), **settings)
    counts = {"k_shot": 4, "n_tasks": 3, "n_query": 5}
    errors = evaluate_by_step(learner, last.theta, Sinusoids(), steps=2, generator=seeded(1), **counts)
    task = Sinusoids().sample(3, 4, 5, generator=seeded(1))
    phi = learner.adapt(last.theta, Batch(task.support.x[0], task.support.y[0]), steps=2)
    expected = mse_loss(learner.predict(phi, task.query.x[0]), task.query.y[0])
    assert_close(errors.per_task[0, 2], expected, rtol=1e-4, atol=1e-6)


LOSSES = {
    "an if": lambda y_hat, y: (y_hat - y).abs().mean() if (y_hat - y).abs().max() > 1 else (y_hat - y).square().mean(),
    "a mask": lambda y_hat, y: (y_hat - y)[y > 0].square().sum(),
    "a nested mean": lambda y_hat, y: torch.stack(
        [(a - b).square().sum() for a, b in zip(y_hat, y, strict=True)]
    ).mean(),
}


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_any_loss_gives_what_a_plain_loop_over_tasks_gives(name: str, first_order: bool):
    network, loss = float64_mlp(1, 5, 1, activation=nn.Tanh), LOSSES[name]
    learner = maml(network, loss, alpha=0.1, steps=2, first_order=first_order)
    theta = learner.init(generator=seeded(0))
    expected = loop_meta_grad(network, loss, theta, TASKS, 0.1, 2, first_order=first_order)
    assert_close(learner.meta_grad(theta, TASKS), expected, **FLOAT64)
    path = learner.adapt_path(theta, TASKS.support, steps=2)
    for i, task in enumerate(each(TASKS)):
        for m, phi in enumerate(loop_path(network, loss, theta, task.support, 0.1, 2, first_order=True)):
            assert_close({n: p[m, i] for n, p in path.items()}, {n: p.detach() for n, p in phi.items()}, **FLOAT64)


def test_a_loss_by_one_hot_labels_is_the_cross_entropy():
    network = float64_mlp(1, 5, 3, activation=nn.Tanh)
    by_hand = maml(network, lambda y_hat, y: -(one_hot(y, 3) * y_hat.log_softmax(-1)).sum(-1).mean())
    tasks = TASKS._replace(support=_labelled(TASKS.support), query=_labelled(TASKS.query))
    theta = by_hand.init(generator=seeded(0))
    assert_close(by_hand.meta_grad(theta, tasks), maml(network, cross_entropy).meta_grad(theta, tasks), **FLOAT64)


def _labelled(batch: Batch) -> Batch:
    return Batch(batch.x, (3 * torch.sigmoid(batch.y[..., 0])).long())


def test_what_torch_can_do_at_once_is_not_done_in_a_loop():
    calls, network = [], float64_mlp(1, 4, 1, activation=nn.Tanh)

    def counting(y_hat: Tensor, y: Tensor) -> Tensor:
        calls.append(1)
        return (y_hat - y).square().mean()

    learner = maml(network, counting, steps=2)
    learner.meta_grad(learner.init(generator=seeded(0)), TASKS)
    assert len(calls) == 3  # two inner steps and the query, for three tasks


def test_a_head_with_a_normalisation_has_its_exact_gradient_on_features():
    """Inside of a gradient, `torch.func.vmap` gives the second derivative of a layer norm wrong."""
    body = nn.Linear(1, 4).double()
    head = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 1)).double()
    learner = on_features(body, maml(head, mse_loss, alpha=0.1, steps=2), mse_loss)
    theta = learner.init(generator=seeded(0))
    _, direction = learner.meta_grad(theta, TASKS)
    line = {name: torch.randn(p.shape, generator=seeded(1), dtype=p.dtype) for name, p in theta.items()}
    up, down = ({n: p + eps * line[n] for n, p in theta.items()} for eps in (1e-5, -1e-5))
    slope = (learner.meta_grad(up, TASKS)[0] - learner.meta_grad(down, TASKS)[0]) / 2e-5
    assert_close(sum((direction[n] * line[n]).sum() for n in line), slope, rtol=1e-7, atol=1e-9)


# Frozen means frozen -------------------------------------------------------------------------------------


def half_frozen() -> nn.Sequential:
    """A network whose first layer does not learn."""
    network = mlp((1, 4, 1), nn.Tanh)
    network[0].requires_grad_(False)
    return network


@pytest.mark.parametrize("name", [*BY_STEPS, *WRITERS])
def test_what_is_frozen_is_no_part_of_theta_and_predicts_as_it_was(name: str):
    network = half_frozen()
    learner = (BY_STEPS | WRITERS)[name](network, mse_loss)
    *_, last = meta_train(learner, Sinusoids(), beta=0.01, outer_steps=3, generator=seeded(0), tasks_per_step=3)
    assert [n for n in last.theta if "0." in n and not n.startswith(("writer.", "rule."))] == []
    task = next(each(Sinusoids().sample(1, 5, 5, generator=seeded(1))))
    phi = learner.adapt(last.theta, task.support, description=task.description)
    assert sorted(n for n in phi if n in dict(network.named_parameters())) == ["2.bias", "2.weight"]
    by_hand = nn.functional.linear(network[0](task.query.x).tanh(), phi["2.weight"], phi["2.bias"])
    assert_close(learner.predict(phi, task.query.x), by_hand)


def test_a_frozen_body_under_a_relu_network_leaves_the_fast_path():
    network = mlp((1, 4, 1))
    network[0].requires_grad_(False)
    tasks = map_tasks(Tensor.float, TASKS)
    fast, slow = (
        maml(network, mse_loss, alpha=0.1),
        maml(network, lambda y_hat, y: (y_hat - y).square().mean(), alpha=0.1),
    )
    theta = fast.init(generator=seeded(0))
    assert_close(fast.meta_grad(theta, tasks), slow.meta_grad(theta, tasks))


def test_a_lent_model_keeps_what_is_frozen():
    model = half_frozen()
    before = copied(dict(model.named_parameters()))

    def backward(model: nn.Module, tasks: Task) -> Tensor:
        loss = mse_loss(model(tasks.query.x), tasks.query.y)
        loss.backward()
        return loss

    learner = from_module(model, backward, lambda model, support: model, claims="no gradient")
    theta = learner.init(generator=seeded(0))
    _, direction = learner.meta_grad(theta, map_tasks(Tensor.float, TASKS))
    assert theta.keys() == direction.keys() == {"2.weight", "2.bias"}
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())


def test_a_frozen_body_under_a_head_that_adapts():
    """Also in another precision than its own: its weights and running statistics follow."""
    body = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4)).eval().requires_grad_(False)
    body[1].running_mean.fill_(0.3)
    learner = on_features(body, maml(nn.Linear(4, 1), mse_loss, alpha=0.1), mse_loss)
    theta = {n: p.double() for n, p in learner.init(generator=seeded(0)).items()}
    assert list(theta) == ["head.weight", "head.bias"]
    wide = body.double()
    embedded = TASKS._replace(
        support=Batch(wide(TASKS.support.x.flatten(0, 1)).view(3, 5, 4), TASKS.support.y),
        query=Batch(wide(TASKS.query.x.flatten(0, 1)).view(3, 4, 4), TASKS.query.y),
    )
    head = maml(nn.Linear(4, 1).double(), mse_loss, alpha=0.1)
    expected, direction = head.meta_grad({n.removeprefix("head."): p for n, p in theta.items()}, embedded)
    found, ours = learner.meta_grad(theta, TASKS)
    assert_close(found, expected)
    assert_close(ours, {f"head.{n}": d for n, d in direction.items()})


def test_a_network_of_which_nothing_learns_is_refused():
    with pytest.raises(ValueError, match="without parameters that learn: all are frozen; allowed: at least one"):
        maml(mlp((1, 2, 1)).requires_grad_(False), mse_loss)


# The reader's own start ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_STEPS)
def test_training_can_begin_at_the_values_that_the_module_has(name: str):
    network = mlp((1, 4, 1), nn.Tanh)
    nn.init.zeros_(network[2].weight)
    own, fresh = (BY_STEPS[name](functional(network, own_start=flag), mse_loss) for flag in (True, False))
    theta = own.init(generator=seeded(0))
    assert all(torch.equal(theta[n], p) for n, p in network.named_parameters())
    assert not any(torch.equal(fresh.init(generator=seeded(0))[n], p) for n, p in network.named_parameters())


def test_a_network_that_is_a_function_already_can_still_begin_at_its_own_values():
    network = mlp((1, 4, 1), nn.Tanh)
    own = functional(functional(network), own_start=True)
    assert_close(own.init(generator=seeded(0)), dict(network.named_parameters()))
    assert_close(functional(own).init(generator=seeded(0)), dict(network.named_parameters()))
    with pytest.raises(TypeError, match="generator is None"):
        own.init(generator=None)


def test_what_happens_to_a_module_later_does_not_reach_its_learner():
    network = mlp((1, 4, 1), nn.Tanh)
    learner = maml(functional(network, own_start=True), mse_loss)
    theta = learner.init(generator=seeded(0))
    with torch.no_grad():
        network[0].weight.fill_(9.0)
    assert_close(learner.init(generator=seeded(0)), theta)
    theta["0.weight"].fill_(7.0)
    assert not torch.equal(learner.init(generator=seeded(0))["0.weight"], theta["0.weight"])


# Losses that would broadcast -----------------------------------------------------------------------------


BROADCASTS = {
    "l1": l1_loss,
    "nn.L1Loss": nn.L1Loss(),
    "a sum": lambda y_hat, y: (y_hat - y).square().sum(),
    "turned round": lambda y_hat, y: (y - y_hat).square().mean(),
    "by keywords": lambda y_hat, y: mse_loss(input=y_hat, target=y),
}


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 2)], ids=str)
@pytest.mark.parametrize("name", BROADCASTS)
def test_a_loss_that_would_broadcast_is_stopped(name: str, shape: tuple[int, ...]):
    tasks = TASKS._replace(support=Batch(TASKS.support.x, torch.zeros(shape).double()))
    learner = maml(float64_mlp(1, 3, 1, activation=nn.Tanh), BROADCASTS[name])
    with pytest.raises(ValueError, match=r"y has shape \(5,( 2)?\); allowed: \(5, 1\), that of the network's output"):
        learner.meta_grad(learner.init(generator=seeded(0)), tasks)


@pytest.mark.parametrize("error", [l1_loss, lambda y_hat, y: (y_hat - y).abs().max()])
def test_a_measure_that_would_broadcast_is_stopped(error):
    learner = maml(float64_mlp(1, 3, 1), mse_loss)
    wrong = TASKS._replace(query=Batch(TASKS.query.x, TASKS.query.y.expand(-1, -1, 2)))
    family = SimpleNamespace(sample=lambda *args, generator: wrong)
    with pytest.raises(ValueError, match=r"y has shape \(4, 2\); allowed: \(4, 1\)"):
        evaluate_by_step(
            learner, learner.init(generator=seeded(0)), family, k_shot=5, steps=1, n_tasks=3, generator=seeded(0),
            error=error,
        )  # fmt: skip


def test_whole_numbers_do_not_broadcast_either():
    tasks = TASKS._replace(support=Batch(TASKS.support.x, torch.zeros(3, 5).long()))
    learner = maml(float64_mlp(1, 3, 1, activation=nn.Tanh), l1_loss)
    with pytest.raises(ValueError, match=r"y has shape \(5,\); allowed: \(5, 1\)"):
        learner.meta_grad(learner.init(generator=seeded(0)), tasks)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32])
def test_labels_may_be_of_any_whole_number_dtype(dtype: torch.dtype):
    learner, batch = maml(float64_mlp(1, 3, 3, activation=nn.Tanh), cross_entropy), next(each(TASKS)).support
    theta, y = learner.init(generator=seeded(0)), torch.tensor([0, 1, 2, 1, 0])
    expected = learner.adapt(theta, Batch(batch.x, y))
    assert_close(learner.adapt(theta, Batch(batch.x, y.to(dtype))), expected)


@pytest.mark.parametrize("network", [nn.Tanh(), Recurrent()], ids=["at once", "in a loop"])
def test_tasks_without_a_description_are_judged(network: nn.Module):
    network = mlp((1, 4, 1), nn.Tanh) if isinstance(network, nn.Tanh) else network
    learner = WRITERS["set_network"](network, mse_loss)
    tasks = map_tasks(Tensor.float, TASKS)
    family = SimpleNamespace(sample=lambda *args, generator: tasks._replace(description=None))
    counts = {"k_shot": 5, "steps": 0, "n_tasks": 3, "n_query": 4}
    found = evaluate_by_step(learner, learner.init(generator=seeded(0)), family, generator=seeded(0), **counts)
    assert found.per_task.shape == (3, 1)
    assert learner.meta_grad(learner.init(generator=seeded(0)), family.sample(generator=None))[0] > 0


def test_a_loss_may_read_mean_and_variance_of_one_target():
    def nll(y_hat: Tensor, y: Tensor) -> Tensor:
        return gaussian_nll_loss(y_hat[..., :1], y, y_hat[..., 1:].exp())

    network = float64_mlp(1, 4, 2, activation=nn.Tanh)
    learner = maml(network, nll, alpha=0.1, steps=2)
    theta = learner.init(generator=seeded(0))
    assert_close(learner.meta_grad(theta, TASKS), loop_meta_grad(network, nll, theta, TASKS, 0.1, 2), **FLOAT64)


# What is refused -----------------------------------------------------------------------------------------


class Own(nn.Module):
    """A module of the reader's own."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(1, 1)
        self.register_buffer("seen", torch.zeros(1))


class Drops(Own):
    def forward(self, x: Tensor) -> Tensor:
        return dropout(self.line(x), training=self.training)


class Counts(Own):
    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        return self.line(x)


class Replaces(Own):
    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.seen + 1
        return self.line(x)


class Clips(Own):
    def __init__(self) -> None:
        super().__init__()
        self.line.weight.data.fill_(0.5)  # drawn, it would lie within the bounds in one run of a hundred

    def forward(self, x: Tensor) -> Tensor:
        self.line.weight.data.clamp_(-0.01, 0.01)
        return self.line(x)


@pytest.mark.parametrize("make", [maml, reptile, baselines.joint])
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Drops, "draws random"),
        (Counts, "changes its 'seen'"),
        (Replaces, "changes its 'seen'"),
        (Clips, "'line.weight'"),
    ],
)
def test_a_module_that_draws_or_changes_itself_is_refused_when_it_is_run(kind, why: str, make):
    learner = make(kind(), mse_loss)
    theta = learner.init(generator=seeded(0))
    with pytest.raises(ValueError, match=f"^network is a {kind.__name__} whose forward pass .*{why}.*; allowed: "):
        learner.meta_grad(theta, map_tasks(Tensor.float, TASKS))


def test_what_stops_in_evaluation_mode_is_then_allowed():
    learner = maml(Drops().eval(), mse_loss)
    learner.meta_grad(learner.init(generator=seeded(0)), map_tasks(Tensor.float, TASKS))


def test_a_lazy_layer_is_told_to_see_an_input_first():
    with pytest.raises(ValueError, match=r"layer '0' is a LazyLinear that has seen no input .*call network\(x\) once"):
        maml(nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 1)), mse_loss)


@pytest.mark.parametrize(
    "norm", [nn.LayerNorm(2), nn.BatchNorm1d(2, track_running_stats=False)], ids=["layer", "batch"]
)
@pytest.mark.parametrize(
    "make",
    [lambda net: sequence_model(net, mse_loss), lambda net: trust_region_maml(net, Navigation(horizon=5))],
    ids=["a sequence", "trust region"],
)
def test_learners_with_vmap_inside_of_a_gradient_refuse_what_is_wrong_there(make, norm: nn.Module):
    with pytest.raises(ValueError, match=r"layer '1' is a (Layer|Batch)Norm.*second derivative.*allowed: GroupNorm"):
        make(nn.Sequential(nn.Linear(2, 2), norm, nn.Linear(2, 4)))


def test_a_random_loss_is_refused():
    learner = maml(float64_mlp(1, 3, 1), lambda y_hat, y: dropout((y_hat - y).square()).mean())
    with pytest.raises(ValueError, match="network or loss draws random numbers; allowed: "):
        learner.meta_grad(learner.init(generator=seeded(0)), TASKS)


# Precision -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["maml", "meta_sgd", "reptile", "joint", "joint_adam"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_half_precision_is_near_single(name: str, dtype: torch.dtype, activation):
    tasks = map_tasks(Tensor.float, TASKS)
    make = BY_STEPS[name]
    single, half = (make(mlp((1, 6, 1), activation).to(d), mse_loss, steps=2) for d in (torch.float32, dtype))
    theta = single.init(generator=seeded(0))
    expected, _ = single.meta_grad(theta, tasks)
    lower = {n: p.to(dtype) for n, p in theta.items()}
    found, direction = half.meta_grad(lower, map_tasks(lambda t: t.to(dtype), tasks))
    assert {p.dtype for p in direction.values()} == {dtype}
    assert float(found) == pytest.approx(float(expected), rel=0.05)
    path = half.adapt_path(lower, Batch(*(t.to(dtype) for t in tasks.support)), steps=2)
    assert all(bool(p.isfinite().all()) for p in path.values())


@pytest.mark.parametrize("name", ["maml", "meta_sgd", "reptile", "joint", "joint_adam"])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_autocast_trains_every_network(name: str, activation):
    learner = BY_STEPS[name](mlp((1, 6, 1), activation), mse_loss, steps=2)
    theta, tasks = learner.init(generator=seeded(0)), map_tasks(Tensor.float, TASKS)
    expected, _ = learner.meta_grad(theta, tasks)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, direction = learner.meta_grad(theta, tasks)
    assert {p.dtype for p in direction.values()} == {torch.float32}
    assert float(found) == pytest.approx(float(expected), rel=0.05)
    assert float(found) != float(expected)
