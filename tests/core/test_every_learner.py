"""What every learner must answer, asked once: its slope, its claim, vmap, purity, device, no evidence, any size."""

import pytest
import torch
from learners_table import EXEMPT, LEARNERS, NETWORKS, Entry, asked, theta_of
from oracles import FLOAT64, central_differences, copied, differences_at_once, flat, seeded
from torch import Tensor
from torch.func import vmap
from torch.testing import assert_close

from mapping_lib.doctor import diagnose
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.uneven import uneven
from mapping_lib.task import Batch, Params, Task, by_size, each, map_tasks

SIZES = [(3, 7), (10, 2), (3, 7), (1, 1), (10, 7), (3, 7)]
"""Support and query of six tasks."""


def adapted(entry: Entry, learner: MetaLearner, theta: Params, task: Task, **settings) -> Params:
    """phi of one task."""
    return learner.adapt(theta, entry.evidence(task.support), description=task.description, **settings)


def loop_meta_loss(entry: Entry, learner: MetaLearner, theta: Params, tasks: Task) -> Tensor:
    """The mean query loss at phi, one task after the other."""
    phis = [adapted(entry, learner, theta, task) for task in each(tasks)]
    losses = [entry.loss(learner.predict(phi, x), y) for phi, x, y in zip(phis, *tasks.query, strict=True)]
    return torch.stack(losses).mean()


def given(name: str, **settings) -> tuple[Entry, MetaLearner, Params, Task]:
    """What most questions are asked about."""
    entry = LEARNERS[name]
    learner = entry.learner()
    return entry, learner, theta_of(learner), entry.tasks(**settings)


def without_evidence(name: str) -> dict[str, int]:
    """The number of examples in the support: none, where the learner can do without, and the usual one."""
    return {} if name in EXEMPT["evidence"] else {"k_shot": 0}


def slope(name: str, learner: MetaLearner, theta: Params, tasks: Task) -> Params:
    """Central differences of the meta-loss, for every number in theta."""
    differences = central_differences if name in EXEMPT["vmap"] else differences_at_once
    return differences(lambda theta: loop_meta_loss(LEARNERS[name], learner, theta, tasks), theta)


def same(a: Params, b: Params) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_exemptions_are_for_learners_that_there_are():
    assert {name for names in EXEMPT.values() for name in names} <= LEARNERS.keys()


# What the direction is ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNERS)
def test_it_claims_what_the_table_says(name: str):
    assert LEARNERS[name].learner().claims == LEARNERS[name].claims


@asked("meta-loss")
def test_the_meta_loss_is_the_mean_query_loss_at_phi(name: str):
    entry, learner, theta, tasks = given(name)
    expected = loop_meta_loss(entry, learner, theta, tasks).detach()
    assert_close(learner.meta_grad(theta, tasks)[0], expected, **FLOAT64)


@pytest.mark.parametrize("examples", ["none", "some"])
@asked("slope")
def test_the_direction_is_the_slope_of_the_meta_loss(name: str, examples: str):
    """For every number of steps that the table asks for."""
    settings = without_evidence(name) if examples == "none" else {}
    entry, _, theta, tasks = given(name, **settings)
    for steps in entry.steps:
        learner = entry.learner(steps)
        value, direction = learner.meta_grad(theta, tasks)
        assert_close(value, loop_meta_loss(entry, learner, theta, tasks).detach(), **FLOAT64)
        assert_close(direction, slope(name, learner, theta, tasks), rtol=1e-6, atol=1e-8)


@asked("no slope")
def test_what_claims_no_exact_gradient_has_none(name: str):
    _, learner, theta, tasks = given(name)
    exact, direction = flat(slope(name, learner, theta, tasks)), flat(learner.meta_grad(theta, tasks)[1])
    assert (direction - exact).norm() > 0.02 * exact.norm()


@asked("gradient")
def test_a_gradient_through_adapt_is_the_direction(name: str):
    """By autograd and by torch.func: where the direction is the slope, or what first order makes of it."""
    entry, learner, theta, tasks = given(name)
    _, direction = learner.meta_grad(theta, tasks)
    leaves = {name: p.clone().requires_grad_() for name, p in theta.items()}
    by_func = torch.func.grad(lambda theta: loop_meta_loss(entry, learner, theta, tasks))(theta)
    assert_close(by_func, direction, **FLOAT64)
    if leaves:
        slopes = torch.autograd.grad(loop_meta_loss(entry, learner, leaves, tasks), list(leaves.values()))
        assert_close(dict(zip(leaves, slopes, strict=True)), direction, **FLOAT64)


@asked("doctor")
def test_the_doctor_finds_no_fault(name: str):
    entry = LEARNERS[name]

    class Family:
        def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: torch.Generator) -> Task:
            seed = int(torch.randint(1000, (), generator=generator))
            return entry.tasks(n_tasks, k_shot, n_query, seed=seed)

    diagnosis = diagnose(entry.learner(), Family(), loss=entry.loss, n_tasks=3, generator=seeded(1))
    assert diagnosis.claims == entry.claims
    assert diagnosis.faults == ()


# Purity -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNERS)
def test_theta_is_unchanged_bit_for_bit(name: str):
    """Nor are the tasks, nor the networks; what comes back is its own and keeps no graph."""
    entry, learner, theta, tasks = given(name)
    weights = [copied(dict(network.named_parameters())) for network in NETWORKS]
    before, drawn = copied(theta), map_tasks(torch.clone, tasks)
    path = learner.adapt_path or (lambda *args, **kwargs: {})
    for call in (
        lambda: adapted(entry, learner, theta, next(each(tasks))),
        lambda: learner.predict(adapted(entry, learner, theta, next(each(tasks))), tasks.query.x[0]),
        lambda: path(theta, tasks.support, steps=2),
        lambda: learner.meta_grad(theta, tasks),
    ):
        call()
        assert same(theta, before)
    phi = adapted(entry, learner, theta, next(each(tasks)), steps=0)
    phi["new"] = None
    assert same(theta, before)
    assert all(torch.equal(a, b) for a, b in zip(_tensors(tasks), _tensors(drawn), strict=True))
    assert all(same(dict(n.named_parameters()), kept) for n, kept in zip(NETWORKS, weights, strict=True))


def _tensors(tasks: Task) -> list[Tensor]:
    return [*tasks.support, *tasks.query, tasks.description]


@pytest.mark.parametrize("name", LEARNERS)
def test_no_graph_is_kept_and_an_evaluation_may_switch_gradients_off(name: str):
    _, learner, theta, tasks = given(name)
    leaves = {name: p.clone().requires_grad_() for name, p in theta.items()}
    if learner.adapt_path and name not in EXEMPT["graph"]:
        path = learner.adapt_path(leaves, tasks.support, steps=2)
        assert not any(p.requires_grad for p in path.values())
    value, direction = learner.meta_grad(theta, tasks)
    assert not any(t.requires_grad for t in (value, *direction.values(), *theta.values()))
    assert all(p.grad is None for p in theta.values())
    if name not in EXEMPT["no_grad"]:
        with torch.no_grad():
            assert_close(learner.meta_grad(theta, tasks), (value, direction), rtol=0, atol=0)


@pytest.mark.parametrize("name", LEARNERS)
def test_one_seed_gives_one_theta_and_the_direction_has_its_names(name: str):
    _, learner, _, tasks = given(name)
    state = torch.get_rng_state()
    theta, other = (learner.init(generator=seeded(seed)) for seed in (1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        assert same(learner.init(generator=seeded(1)), theta)
    assert same(theta, other) == (name in EXEMPT["init"])
    constant = {name for name, p in theta.items() if len(p.unique()) == 1}
    assert name in EXEMPT["init"] or all(torch.equal(theta[n], other[n]) <= (n in constant) for n in theta)
    direction = learner.meta_grad({name: p.double() for name, p in theta.items()}, tasks)[1]
    assert {name: d.shape for name, d in direction.items()} == {name: p.shape for name, p in theta.items()}


# Many tasks ---------------------------------------------------------------------------------------------


@asked("vmap")
def test_adapt_and_predict_can_be_vmapped_over_tasks_and_over_thetas(name: str):
    _, learner, _, tasks = given(name)
    thetas = [theta_of(learner, seed) for seed in range(3)]
    stacked = {name: torch.stack([theta[name] for theta in thetas]) for name in thetas[0]}

    def answer(theta: Params, support: Batch, description: Tensor, x: Tensor) -> tuple[Params, Tensor]:
        phi = learner.adapt(theta, support, description=description)
        return phi, learner.predict(phi, x)

    phis, y_hats = vmap(answer)(stacked, tasks.support, tasks.description, tasks.query.x)
    for i, (theta, task) in enumerate(zip(thetas, each(tasks), strict=True)):
        phi, y_hat = answer(theta, task.support, task.description, task.query.x)
        assert_close(({name: p[i] for name, p in phis.items()}, y_hats[i]), (phi, y_hat), **FLOAT64)


@asked("path")
def test_a_path_passes_through_what_adapt_gives_for_every_number_of_steps(name: str):
    """The number that the learner was made with is overridden at the call."""
    entry, learner, theta, tasks = given(name)
    path = learner.adapt_path(theta, tasks.support, steps=4)
    for i, task in enumerate(each(tasks)):
        for steps in range(5):
            phi = {name: p[steps, i] for name, p in path.items()}
            assert_close(adapted(entry, learner, theta, task, steps=steps), phi, **FLOAT64)
        whole = adapted(entry, learner, theta, task, steps=entry.steps[0])
        assert_close(adapted(entry, learner, theta, task), whole, rtol=0, atol=0)


@asked("order")
def test_the_order_of_the_tasks_does_not_matter(name: str):
    _, learner, theta, tasks = given(name)
    flipped = map_tasks(lambda t: t.flip(0), tasks)
    assert_close(learner.meta_grad(theta, flipped), learner.meta_grad(theta, tasks), **FLOAT64)


@asked("mean over tasks")
def test_tasks_of_any_size_count_the_same(name: str):
    """Meta-loss and direction are the means over single tasks, of which one has one example; see `uneven`."""
    entry, learner, theta, equal = given(name)
    tasks = [next(each(entry.tasks(1, *sizes, seed=seed))) for seed, sizes in enumerate(SIZES)]
    alone = [learner.meta_grad(theta, map_tasks(lambda t: t[None], task)) for task in tasks]
    meta_loss, direction = uneven(learner).meta_grad(theta, by_size(tasks))
    assert_close(meta_loss, sum(loss for loss, _ in alone) / 6, **FLOAT64)
    assert_close(direction, {name: sum(d[name] for _, d in alone) / 6 for name in theta}, **FLOAT64)
    if learner.adapt_path:
        path = learner.adapt_path(theta, map_tasks(lambda t: t[None], tasks[3]).support, steps=1)
        assert {p.shape[:2] for p in path.values()} == {(2, 1)}
    for groups in (equal, [equal], [map_tasks(lambda t: t[:2], equal), map_tasks(lambda t: t[2:], equal)]):
        assert_close(uneven(learner).meta_grad(theta, groups), learner.meta_grad(theta, equal), **FLOAT64)


@asked("device")
def test_all_is_computed_where_theta_and_the_tasks_lie(name: str):
    """On the device "meta", which has shapes and no numbers; a tensor of the CPU among its own is an error there."""
    entry, learner, theta, tasks = given(name)
    theta, tasks = {name: p.to("meta") for name, p in theta.items()}, map_tasks(lambda t: t.to("meta"), tasks)
    meta_loss, direction = learner.meta_grad(theta, tasks)
    phi = adapted(entry, learner, theta, next(each(tasks)))
    y_hat = learner.predict(phi, tasks.query.x[0])
    assert all(t.is_meta for t in (meta_loss, y_hat, *direction.values(), *phi.values()))


@asked("order of examples")
def test_the_order_of_the_examples_plays_no_part(name: str):
    entry, learner, theta, tasks = given(name)
    task = next(each(tasks))
    turned = task._replace(support=Batch(*(t[torch.arange(len(t)).roll(2)] for t in task.support)))
    found, expected = (learner.predict(adapted(entry, learner, theta, one), task.query.x) for one in (turned, task))
    assert_close(found, expected, **FLOAT64)


@asked("evidence")
def test_without_evidence_there_is_an_answer_and_no_step_moves(name: str):
    """Where there are steps phi stays at theta, bit for bit, and so does the path."""
    entry, learner, theta, tasks = given(name, k_shot=0)
    phi = adapted(entry, learner, theta, next(each(tasks)))
    y_hat = learner.predict(phi, tasks.query.x[0])
    assert y_hat.isfinite().all()
    usual = adapted(entry, learner, theta, next(each(entry.tasks())))
    assert y_hat.shape == learner.predict(usual, tasks.query.x[0]).shape
    assert learner.meta_grad(theta, tasks)[0].isfinite()
    if learner.adapt_path:
        path = learner.adapt_path(theta, tasks.support, steps=3)
        for steps in (0, 3):
            assert same(adapted(entry, learner, theta, next(each(tasks)), steps=steps), phi)
        assert same(phi, {name: theta[name] for name in phi})
        assert same(path, {name: theta[name].expand(4, 3, *theta[name].shape) for name in phi})
