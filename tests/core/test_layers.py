"""Every layer of `torch.nn`, tried: what `layers.TABLE` says of each is so, and the table is complete."""

import inspect
from types import SimpleNamespace

import layers
import pytest
import torch
from oracles import flat, loop_meta_grad, loop_meta_loss, loop_path, seeded, unflat
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.testing import assert_close

from mapping_lib.evaluation import evaluate_by_step
from mapping_lib.inner_loop import mean_squared_error
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.gradient import fomaml, maml, reptile
from mapping_lib.networks import functional
from mapping_lib.task import Batch, Params, Task, each

ALPHA, STEPS = 0.05, 2
LOOP = {"rtol": 1e-7, "atol": 1e-9}

# torch says so where it runs one operator task by task inside of vmap, or an LSTM by plain code: slower, and right
pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop", "ignore:LSTM with projections")


def named(*verdicts: str) -> list[str]:
    """The cases of these verdicts."""
    return [name for name, case in layers.TABLE.items() if case.verdict in verdicts]


def tasks_for(case: layers.Case) -> Task:
    """Two tasks with four examples of support and three of query."""
    g = seeded(1)

    def batch(n: int) -> Batch:
        x = torch.randn(2, n, 3, generator=g).double() if case.reads else torch.randint(5, (2, n, 3), generator=g)
        return Batch(x, torch.randn(2, n, 1, generator=g).double())

    return Task(batch(4), batch(3), torch.zeros(2, 1).double())


def prepared(name: str, make=maml) -> tuple[MetaLearner, nn.Module, Params, Task]:
    """A learner of the case, its network, a theta, and tasks."""
    case = layers.TABLE[name]
    learner, network = make(layers.network(case), mean_squared_error, alpha=ALPHA, steps=STEPS), layers.network(case)
    return learner, network, learner.init(generator=seeded(0)), tasks_for(case)


# Exact and slow ------------------------------------------------------------------------------------------


def meta_loss(network: nn.Module, theta: Params, tasks: Task) -> float:
    """The meta-loss by a plain loop, without the learner."""
    return float(loop_meta_loss(network, mean_squared_error, theta, tasks, ALPHA, STEPS, first_order=True).detach())


def errors_along(network: nn.Module, theta: Params, tasks: Task, direction: Tensor, moves: Tensor) -> list[float]:
    """How far a direction is from central differences of the meta-loss, along three random lines, relatively."""
    errors = []
    for line in torch.randn(3, len(direction), generator=seeded(2)).double() * moves:
        up, down = (meta_loss(network, unflat(flat(theta) + eps * line, theta), tasks) for eps in (1e-6, -1e-6))
        slope, found = (up - down) / 2e-6, float(line @ direction)
        errors.append(abs(found - slope) / max(abs(slope), 0.1 * float(direction.norm())))
    return sorted(errors)


@pytest.mark.parametrize("name", named("exact", "slow"))
def test_the_meta_gradient_is_that_of_central_differences(name: str):
    """The median of three lines: one of them may cross a kink."""
    learner, network, theta, tasks = prepared(name)
    loss, direction = learner.meta_grad(theta, tasks)
    direction = flat(direction)
    moves = (direction != 0).double() if layers.TABLE[name].still else torch.ones_like(direction)
    assert direction.norm() > 1e-3
    assert float(loss) == pytest.approx(meta_loss(network, theta, tasks), rel=1e-9)
    assert errors_along(network, theta, tasks, direction, moves)[1] < 1e-5


@pytest.mark.parametrize("name", named("exact", "slow", "first order"))
def test_every_step_is_that_of_a_plain_loop(name: str):
    """`adapt`, `adapt_path` and `evaluate_by_step`, for all tasks."""
    learner, network, theta, tasks = prepared(name, fomaml)
    paths = learner.adapt_path(theta, tasks.support, steps=STEPS)
    family = SimpleNamespace(sample=lambda *args, generator: tasks)
    counts = {"k_shot": 4, "steps": STEPS, "n_tasks": 2, "n_query": 3}
    by_step = evaluate_by_step(learner, theta, family, **counts, generator=seeded(0))
    for i, task in enumerate(each(tasks)):
        expected = [
            {n: p.detach() for n, p in phi.items()}
            for phi in loop_path(network, mean_squared_error, theta, task.support, ALPHA, STEPS, first_order=True)
        ]
        assert_close(dict(learner.adapt(theta, task.support)), expected[-1], **LOOP)
        for m, phi in enumerate(expected):
            assert_close({n: p[m, i] for n, p in paths.items()}, phi, **LOOP)
            y_hat = torch.func.functional_call(network, phi, (task.query.x,))
            assert_close(by_step.per_task[i, m], mean_squared_error(y_hat, task.query.y).detach(), **LOOP)


def runs_at_once(learner: MetaLearner, theta: Params, tasks: Task) -> bool:
    """Whether `torch.func.vmap` can do what `meta_grad` and `evaluate_by_step` ask of a network."""

    def task_loss(theta: Params, support: Batch, query: Batch) -> Tensor:
        return mean_squared_error(learner.predict(learner.adapt(theta, support), query.x), query.y)

    many = {name: p.expand(2, *p.shape) for name, p in theta.items()}
    try:
        torch.func.vmap(torch.func.grad(task_loss))(many, tasks.support, tasks.query)
        torch.func.vmap(learner.predict)(many, tasks.query.x)
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize("name", named("exact", "slow"))
def test_what_is_exact_runs_for_all_tasks_at_once_and_what_is_slow_does_not(name: str):
    learner, _, theta, tasks = prepared(name)
    assert runs_at_once(learner, theta, tasks) == (layers.TABLE[name].verdict == "exact")


# First order, refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", named("first order"))
def test_without_a_second_derivative_maml_says_so_and_the_others_are_right(name: str):
    learner, network, theta, tasks = prepared(name)
    with pytest.raises(ValueError, match=r"second derivative; allowed: [^\n]+$"):
        learner.meta_grad(theta, tasks)
    found = prepared(name, fomaml)[0].meta_grad(theta, tasks)
    expected = loop_meta_grad(network, mean_squared_error, theta, tasks, ALPHA, STEPS, first_order=True)
    assert_close(found, expected, **LOOP)
    _, towards = prepared(name, reptile)[0].meta_grad(theta, tasks)
    paths = learner.adapt_path(theta, tasks.support, steps=STEPS)
    assert_close(towards, {n: theta[n] - p[-1].mean(0) for n, p in paths.items()}, **LOOP)


@pytest.mark.parametrize("name", named("refused"))
def test_what_is_refused_is_refused_in_one_sentence(name: str):
    with pytest.raises(ValueError, match=r"^network[^\n]+; allowed: [^\n]+$"):  # noqa: PT012
        learner, _, theta, tasks = prepared(name)
        learner.meta_grad(theta, tasks)


# The table -----------------------------------------------------------------------------------------------


def test_the_table_holds_every_layer_that_torch_has():
    offered = {n for n, kind in vars(nn).items() if inspect.isclass(kind) and issubclass(kind, nn.Module)}
    tried = {type(module).__name__ for case in layers.TABLE.values() for module in layers.network(case).modules()}
    left_out = {name for group in layers.NO_LAYERS.values() for name in group.split()}
    assert sorted(offered - tried - left_out) == []
    assert sorted(left_out - offered) == []


def test_a_layer_is_named_for_its_class():
    wrong = [
        name
        for name, case in layers.TABLE.items()
        if hasattr(nn, name.split(",")[0])
        and name.split(",")[0] not in {type(m).__name__ for m in layers.network(case).modules()}
    ]
    assert wrong == []


# Weights that are made of others -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["weight_norm, one norm", "spectral_norm, eval", "parametrize, a reader's own"])
def test_parametrised_weights_differ_from_seed_to_seed(name: str):
    model = functional(layers.network(layers.TABLE[name]))
    first, second = (model.init(generator=seeded(seed)) for seed in (1, 2))
    assert [n for n in first if torch.equal(first[n], second[n])] == []


@pytest.mark.parametrize("way", ["matrix_exp", "cayley", "householder"])
def test_an_orthogonal_layer_starts_orthogonal_and_differs_from_seed_to_seed(way: str):
    layer = parametrizations.orthogonal(nn.Linear(4, 4, bias=False).double(), orthogonal_map=way)
    model = functional(layer)
    first, second = (
        model.predict(model.init(generator=seeded(seed)), torch.eye(4, dtype=torch.float64)) for seed in (1, 2)
    )
    assert_close(first @ first.mT, torch.eye(4, dtype=torch.float64))
    assert not torch.allclose(first.abs(), second.abs())
