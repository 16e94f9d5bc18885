"""Networks that write parameters: h(d) and G(S) against plain loops, what they may depend on, what only they can do."""

import pytest
import torch
from oracles import (
    FLOAT64,
    Tokens,
    copied,
    each,
    flat,
    float64_mlp,
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

from mapping_lib.learners.amortised import BASE, WRITER, hypernetwork, n_weights, set_network
from mapping_lib.learners.baselines import joint
from mapping_lib.learners.many_tasks import one_each, paths_of_all, through_writing
from mapping_lib.meta_training import meta_train
from mapping_lib.networks import mlp
from mapping_lib.set_networks import DeepSet
from mapping_lib.task import Batch, Params, Task

ALPHA = 0.15
NETWORK = float64_mlp(1, 3, 1, activation=nn.Tanh)
N = 10
BASES = {name: p.shape for name, p in NETWORK.named_parameters()}
WRITERS = {hypernetwork: float64_mlp(2, 4, N), set_network: DeepSet(2, N, width=3).double()}
MAKERS = pytest.mark.parametrize("make", WRITERS)
STEPS = pytest.mark.parametrize("steps", [0, 2])
TASKS = random_tasks()


def make_learner(make, steps: int = 0):
    return make(NETWORK, mse_loss, writer=WRITERS[make], alpha=ALPHA, steps=steps)


def theta_of(make, seed: int = 0) -> Params:
    base, writer = random_theta(NETWORK, seed), random_theta(WRITERS[make], seed + 1)
    return {BASE + name: p for name, p in base.items()} | {WRITER + name: p for name, p in writer.items()}


def written(make, theta: Params, task: Task) -> Params:
    """base + h(d) or base + G(S), the numbers cut up by hand."""
    weights = {name.removeprefix(WRITER): p for name, p in theta.items() if name.startswith(WRITER)}
    evidence = (task.description,) if make is hypernetwork else (task.support.x, task.support.y)
    base = {name: theta[BASE + name] for name in BASES}
    return unflat(flat(base) + functional_call(WRITERS[make], weights, evidence), base)


def singles(tasks: Task):
    for (support, query), description in zip(each(tasks), tasks.description, strict=True):
        yield Task(support, query, description)


def loop_phi(make, theta: Params, task: Task, steps: int) -> Params:
    phi = written(make, theta, task)
    if len(task.support.x) == 0:
        return phi
    return loop_path(NETWORK, mse_loss, phi, task.support, ALPHA, steps)[-1]


# phi --------------------------------------------------------------------------------


@MAKERS
@pytest.mark.parametrize("k_shot", [0, 5])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_phi_is_the_base_plus_what_is_written_and_then_inner_steps(make, steps: int, k_shot: int):
    """As many steps as the call says, or else the maker."""
    theta, learner, default = theta_of(make), make_learner(make, steps=2), make_learner(make, steps)
    for task in singles(random_tasks(k_shot=k_shot)):
        found = learner.adapt(theta, task.support, description=task.description, steps=steps)
        assert list(found) == list(BASES)
        assert_close(found, copied(loop_phi(make, theta, task, steps)), **FLOAT64)
        assert_close(default.adapt(theta, task.support, description=task.description), found, rtol=0, atol=0)


def test_the_network_that_is_written_may_read_tokens():
    network, tasks = Tokens(), token_tasks()
    writer = nn.Linear(2, n_weights(network)).double()
    learner = hypernetwork(network, mse_loss, writer=writer, alpha=ALPHA, steps=2)
    theta = learner.init(generator=seeded(0))
    losses = []
    for task in singles(tasks):
        numbers = theta["writer.weight"] @ task.description + theta["writer.bias"]
        base = {name.removeprefix(BASE): p for name, p in theta.items() if name.startswith(BASE)}
        phi = loop_path(network, mse_loss, unflat(flat(base) + numbers, base), task.support, ALPHA, 2)[-1]
        assert_close(learner.adapt(theta, task.support, description=task.description), copied(phi), **FLOAT64)
        losses.append(mse_loss(functional_call(network, phi, (task.query.x,)), task.query.y).detach())
    assert_close(learner.meta_grad(theta, tasks)[0], torch.stack(losses).mean(), **FLOAT64)


# What phi depends on ----------------------------------------------------------------------------------


def test_without_steps_a_hypernetwork_reads_no_example():
    theta, learner = theta_of(hypernetwork), make_learner(hypernetwork)
    first, second, _ = singles(TASKS)
    phi = learner.adapt(theta, first.support, description=first.description)
    assert_close(learner.adapt(theta, second.support, description=first.description), phi, rtol=0, atol=0)
    assert not torch.allclose(flat(learner.adapt(theta, first.support, description=second.description)), flat(phi))


def test_a_set_network_reads_no_description():
    theta, learner, task = theta_of(set_network), make_learner(set_network), next(singles(TASKS))
    described = learner.adapt(theta, task.support, description=task.description)
    assert_close(learner.adapt(theta, task.support), described, rtol=0, atol=0)


@STEPS
def test_seeing_every_example_twice_plays_no_part(steps: int):
    theta, learner, (support, *_) = theta_of(set_network), make_learner(set_network, steps), next(singles(TASKS))
    phi = learner.adapt(theta, support)
    twice = Batch(*(torch.cat([t, t]) for t in support))
    assert_close(learner.adapt(theta, twice), phi, **FLOAT64)


def test_an_x_goes_with_its_own_y_and_every_example_counts():
    theta, learner, (support, *_) = theta_of(set_network), make_learner(set_network), next(singles(TASKS))
    phi = flat(learner.adapt(theta, support))
    assert not torch.allclose(flat(learner.adapt(theta, support._replace(y=support.y.flip(0)))), phi)
    for i in range(5):
        without = Batch(*(torch.cat([t[:i], t[i + 1 :]]) for t in support))
        assert not torch.allclose(flat(learner.adapt(theta, without)), phi)


@pytest.mark.parametrize("k_shot", [0, 1, 5])
def test_a_deep_set_equals_numbers_worked_out_one_by_one(k_shot: int):
    """Each example through the first network by itself, their mean through the second."""
    deep_set = DeepSet(3, 2, width=4, last=5).double()
    tasks = random_tasks(k_shot=k_shot, n_in=2)
    found = deep_set(*tasks.support)
    assert found.shape == (3, 2)

    def by_hand(layers: nn.Sequential, read: list[Tensor]) -> list[Tensor]:
        for layer in layers:
            if isinstance(layer, nn.Linear):
                rows = zip(layer.weight, layer.bias, strict=True)
                read = [sum(w * r for w, r in zip(row, read, strict=True)) + bias for row, bias in rows]
            else:
                read = [max(r, torch.zeros_like(r)) for r in read]
        return read

    for (support, _), vector in zip(each(tasks), found, strict=True):
        seen = [by_hand(deep_set.each, [*x, *y]) for x, y in zip(*support, strict=True)]
        mean = [sum(column) / k_shot for column in zip(*seen, strict=True)] or [torch.zeros(()).double()] * 4
        assert_close(vector, torch.stack(by_hand(deep_set.together, mean)), **FLOAT64)
        assert_close(deep_set(*support), vector, **FLOAT64)


def test_a_deep_sets_last_hidden_layer_has_a_width_of_its_own():
    widths = [layer.out_features for layer in DeepSet(2, 9, width=4, last=5).together if isinstance(layer, nn.Linear)]
    assert widths == [4, 5, 9]
    assert [p.shape for p in DeepSet(2, 9, width=4).parameters()][-2:] == [(9, 4), (9,)]


# What a hypernetwork can do and one network cannot ------------------------------------------------------


class TwoTasks:
    """y = 1 + x^2 or its opposite; the description names the task, the support is of no use without steps."""

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: torch.Generator) -> Task:
        which = torch.randint(2, (n_tasks,), generator=generator)
        sign = 2.0 * which[:, None, None] - 1
        xs = (2 * torch.rand(n_tasks, n, 1, generator=generator) - 1 for n in (k_shot, n_query))
        support, query = (Batch(x, sign * (1 + x**2)) for x in xs)
        return Task(support, query, nn.functional.one_hot(which, 2).float())


def test_one_hot_descriptions_let_one_theta_hold_two_tasks():
    """One network that is told nothing errs, at best, by a quarter of the squared difference of the two."""
    network, settings = mlp((1, 16, 1)), {"beta": 0.02, "outer_steps": 250, "tasks_per_step": 8, "k_shot": 0}
    writer = nn.Linear(2, n_weights(network))
    tasks = TwoTasks().sample(200, 0, 50, generator=seeded(9))
    errors = {}
    for name, learner in {
        "told": hypernetwork(network, mse_loss, writer=writer),
        "not told": joint(network, mse_loss, steps=0),
    }.items():
        *_, last = meta_train(learner, TwoTasks(), n_query=20, schedule="cosine", generator=seeded(0), **settings)
        errors[name] = float(learner.meta_grad(last.theta, tasks)[0])
    best_untold = float(((1 + tasks.query.x**2) * 2).square().mean() / 4)
    assert errors["told"] < 0.02 * best_untold
    assert errors["not told"] > 0.9 * best_untold


# Many tasks -------------------------------------------------------------------------------------------


def test_paths_of_all_stacks_every_tasks_iterates_and_keeps_no_graph():
    theta = {"w": torch.tensor([1.0, 2.0], dtype=torch.float64).requires_grad_()}

    def path_of_one(theta: Params, support: Batch) -> Params:
        return {"w": torch.stack([theta["w"] + i * support.y.mean() for i in range(4)])}

    path = paths_of_all(path_of_one, theta, TASKS.support)
    expected = [[theta["w"].detach() + i * support.y.mean() for support, _ in each(TASKS)] for i in range(4)]
    assert_close(path["w"], torch.stack([torch.stack(row) for row in expected]), **FLOAT64)
    assert not path["w"].requires_grad


def test_one_each_gives_every_task_a_view():
    theta = {"w": torch.randn(2, 3), "b": torch.tensor(1.0)}
    views = one_each(theta, 4)
    for name, p in theta.items():
        assert_close(views[name], torch.stack([p] * 4), rtol=0, atol=0)
        assert views[name].data_ptr() == p.data_ptr()


def test_through_writing_averages_over_tasks_what_autograd_gives_for_each():
    """A writer that reads all of the task, with a finish that reads the support."""
    theta = {"v": torch.tensor([0.4, -1.1], dtype=torch.float64)}

    def write(theta: Params, task: Task) -> Params:
        return {"w": theta["v"] @ task.description + task.support.x.mean()}

    def finish(phi: Params, support: Batch) -> Params:
        return {"w": phi["w"] ** 2 * support.y.mean()}

    def predict(phi: Params, x: Tensor) -> Tensor:
        return phi["w"] * x

    value, direction = through_writing(write, finish, predict, mse_loss, theta, TASKS)
    leaf = theta["v"].clone().requires_grad_()
    losses = [
        mse_loss(predict(finish(write({"v": leaf}, task), task.support), task.query.x), task.query.y)
        for task in singles(TASKS)
    ]
    expected = torch.stack(losses).mean()
    assert_close(value, expected.detach(), **FLOAT64)
    assert_close(direction["v"], torch.autograd.grad(expected, leaf)[0], **FLOAT64)
