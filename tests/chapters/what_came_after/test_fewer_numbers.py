"""Fewer numbers to adapt: each part against weights and gradients written out by hand, and what is shipped."""

import pytest
import torch
from oracles import FLOAT64, float64_mlp, random_tasks, refusals, seeded
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mapping_lib.chapters.what_came_after.methods_fewer_numbers import (
    few_numbers,
    new_numbers,
    weights_of,
    written_numbers,
)
from mapping_lib.chapters.what_came_after.methods_fewer_parts import context, low_rank, only, together
from mapping_lib.chapters.what_came_after.study_contestants import errors_on, waves
from mapping_lib.chapters.what_came_after.study_fewer_letters import (
    BODY_PARTS,
    accuracies,
    count_letters,
    learner_of,
    start_of,
)
from mapping_lib.chapters.what_came_after.study_fewer_numbers import PARTS, RECIPES, SEEDS_OF, TRAINING, count, ready
from mapping_lib.learners.gradient import anil, maml
from mapping_lib.learners.many_tasks import paths_of_all, stacked, through_adaptation
from mapping_lib.networks import conv_net, functional, mlp
from mapping_lib.study import shipped_theta, theta_path
from mapping_lib.task import Batch
from mapping_lib.worlds.letters import Glyphs

ALPHA = 0.2
CHOICES = {
    "context": context(3),
    "context everywhere": context(3, everywhere=True),
    "LoRA, rank 1": low_rank(1),
    "LoRA, rank 2": low_rank(2),
    "biases": only("biases"),
    "head": only("head"),
    "all": only("all"),
    "head and LoRA": together(only("head"), low_rank(1, body=True)),
}


def points(n: int = 6, n_in: int = 1, n_out: int = 1, seed: int = 0) -> Batch:
    g = seeded(seed)
    return Batch(*(torch.randn(n, size, generator=g, dtype=torch.float64) for size in (n_in, n_out)))


# What the numbers write ---------------------------------------------------------------------------------


def test_the_weights_that_lora_makes_are_w_plus_b_a_number_by_number():
    model = functional(nn.Linear(3, 2).double())
    few = low_rank(2)(model)
    g = seeded(1)
    drawn = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    phi = {"weight": drawn(2, 3), "bias": drawn(2), "learned.A.weight": drawn(2, 3)}
    phi |= {"new.A.weight": drawn(2, 3), "new.B.weight": drawn(2, 2)}
    made = weights_of(model, few, phi)
    assert torch.equal(made["bias"], phi["bias"])
    for i in range(2):
        for j in range(3):
            a = [float(phi["learned.A.weight"][r, j] + phi["new.A.weight"][r, j]) for r in range(2)]
            update = sum(float(phi["new.B.weight"][i, r]) * a[r] for r in range(2))
            assert float(made["weight"][i, j]) == pytest.approx(float(phi["weight"][i, j]) + update, rel=1e-12)


def test_filters_are_read_as_matrices():
    model = functional(conv_net(3, (4,)))
    few = low_rank(1)(model)
    assert few.shapes["A.0.weight"] == (1, 9)
    assert few.shapes["B.0.weight"] == (4, 1)
    theta = model.init(generator=seeded()) | {f"learned.{n}": torch.ones(s) for n, s in few.learned.items()}
    numbers = {name: torch.ones(shape) for name, shape in few.shapes.items()}
    moved = few.write(theta, numbers)["0.weight"] - theta["0.weight"]
    assert_close(moved, torch.full((4, 1, 3, 3), 2.0))


def test_a_few_numbers_are_few_but_where_layers_are_thin():
    """1 x 40 and 40 x 1: an update of rank 1 has 41 numbers, more than the 40 of the layer itself."""
    shapes = low_rank(1)(functional(mlp((1, 40, 40, 1)))).shapes
    of_layer = [sum(torch.Size(shapes[f"{side}.{i}.weight"]).numel() for side in "AB") for i in (0, 2, 4)]
    assert of_layer == [41, 80, 41]
    assert [count(part) for part in PARTS] == [4, 41, 81, 162, 324, 1761]


# One step and more, by hand -----------------------------------------------------------------------------


def test_one_step_of_lora_on_a_linear_network_is_a_step_seen_through_a():
    """At B = 0 only B moves, by -alpha G A^T, G the slope by W: so W + B A is W - alpha G A^T A."""
    learner = few_numbers(nn.Linear(3, 2).double(), mse_loss, part=low_rank(1), alpha=ALPHA)
    theta, batch = learner.init(generator=seeded(2)), points(5, 3, 2)
    phi = learner.adapt(theta, batch)
    w, b, a = theta["weight"], theta["bias"], theta["learned.A.weight"]
    missed = batch.x @ w.T + b - batch.y
    slope = 2 * missed.T @ batch.x / missed.numel()
    assert torch.equal(phi["new.A.weight"], torch.zeros(1, 3, dtype=torch.float64))
    assert_close(phi["new.B.weight"], -ALPHA * slope @ a.T, **FLOAT64)
    assert_close(learner.predict(phi, batch.x), batch.x @ (w - ALPHA * slope @ a.T @ a).T + b, **FLOAT64)


@pytest.mark.parametrize("steps", [1, 3])
def test_context_parameters_are_inputs_beside_x_that_begin_at_zero(steps: int):
    """A network that reads (x, c), run as it is, with the gradient by c alone."""
    learner = few_numbers(float64_mlp(1, 4, 1), mse_loss, part=context(3), alpha=ALPHA, steps=steps)
    theta, batch = learner.init(generator=seeded(3)), points()
    first = torch.cat([theta["0.weight"], theta["learned.C.0.bias"]], 1)

    def run(c: Tensor, x: Tensor) -> Tensor:
        hidden = torch.cat([x, c.expand(len(x), 3)], 1) @ first.T + theta["0.bias"]
        return hidden.relu() @ theta["2.weight"].T + theta["2.bias"]

    c = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    for _ in range(steps):
        (slope,) = torch.autograd.grad((run(c, batch.x) - batch.y).square().mean(), c)
        c = (c - ALPHA * slope).detach().requires_grad_()
    phi = learner.adapt(theta, batch)
    assert_close(new_numbers(phi), c.detach(), **FLOAT64)
    assert_close(learner.predict(phi, batch.x), run(c, batch.x).detach(), **FLOAT64)


@pytest.mark.parametrize(("part", "make"), [("all", maml), ("head", anil)])
def test_where_weights_themselves_move_it_is_maml_or_anil(part: str, make):
    network, settings, tasks = float64_mlp(1, 4, 1), {"alpha": ALPHA, "steps": 2}, random_tasks()
    few, known = few_numbers(network, mse_loss, part=only(part), **settings), make(network, mse_loss, **settings)
    theta = known.init(generator=seeded(4))
    for (loss, direction), wanted in [(few.meta_grad(theta, tasks), known.meta_grad(theta, tasks))]:
        assert_close(loss, wanted[0], **FLOAT64)
        assert_close(direction, wanted[1], **FLOAT64)
    one = Batch(tasks.support.x[0], tasks.support.y[0])
    assert_close(few.predict(few.adapt(theta, one), one.x), known.predict(known.adapt(theta, one), one.x), **FLOAT64)


# The fast path ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHOICES)
def test_all_tasks_at_once_give_what_one_after_the_other_gives(name: str):
    learner = few_numbers(float64_mlp(1, 4, 4, 1), mse_loss, part=CHOICES[name], alpha=ALPHA, steps=2)
    theta, tasks = learner.init(generator=seeded(5)), random_tasks()
    loss, direction = learner.meta_grad(theta, tasks)
    slow_loss, slow = through_adaptation(learner.adapt, learner.predict, mse_loss, theta, tasks)
    assert_close(loss, slow_loss, **FLOAT64)
    assert_close(direction, slow, **FLOAT64)
    fast = learner.adapt_path(theta, tasks.support, steps=2)
    path = paths_of_all(
        lambda theta, support: stacked([learner.adapt(theta, support, steps=m) for m in range(3)]), theta, tasks.support
    )
    assert_close(fast, path, **FLOAT64)


def test_theta_is_left_as_it_was_and_keeps_no_graph():
    learner = few_numbers(float64_mlp(1, 4, 1), mse_loss, part=low_rank(1), alpha=ALPHA)
    theta, tasks = learner.init(generator=seeded(6)), random_tasks()
    before = {name: p.clone() for name, p in theta.items()}
    _, direction = learner.meta_grad(theta, tasks)
    assert_close(theta, before, rtol=0, atol=0)
    assert not any(p.requires_grad for p in (*theta.values(), *direction.values()))


@pytest.mark.parametrize("name", CHOICES)
def test_without_evidence_the_numbers_stay_at_zero_and_theta_speaks(name: str):
    model = functional(float64_mlp(1, 4, 1))
    learner = few_numbers(model, mse_loss, part=CHOICES[name], alpha=ALPHA)
    theta, tasks = learner.init(generator=seeded(6)), random_tasks(k_shot=0)
    for steps in (0, 3):
        phi = learner.adapt(theta, Batch(tasks.support.x[0], tasks.support.y[0]), steps=steps)
        assert not new_numbers(phi).any()
        weights = {n: theta[n] for n in model.shapes}
        assert torch.equal(learner.predict(phi, tasks.query.x[0]), model.predict(weights, tasks.query.x[0]))
        path = learner.adapt_path(theta, tasks.support, steps=steps)
        assert_close(path, {n: p.expand(steps + 1, 3, *p.shape) for n, p in phi.items()}, rtol=0, atol=0)
    assert learner.meta_grad(theta, tasks)[0].isfinite()


# Written ------------------------------------------------------------------------------------------------


def test_a_hypernetwork_writes_the_numbers_in_their_order():
    writer = nn.Linear(2, 8).double()
    learner = written_numbers(float64_mlp(1, 3, 1), mse_loss, part=low_rank(1), writer=writer)
    theta, d = learner.init(generator=seeded(7)), torch.tensor([2.0, -1.0], dtype=torch.float64)
    nothing = Batch(*(torch.zeros(0, 1, dtype=torch.float64) for _ in "xy"))
    phi = learner.adapt(theta, nothing, description=d)
    assert_close(new_numbers(phi), theta["writer.weight"] @ d + theta["writer.bias"], **FLOAT64)
    assert not any(name.startswith("writer.") for name in phi)


# Bad input ----------------------------------------------------------------------------------------------

LINE = nn.Linear(1, 1)
NOTHING = Batch(torch.zeros(0, 1), torch.zeros(0, 1))


def _written(n: int = 2, **evidence):
    learner = written_numbers(LINE, mse_loss, part=low_rank(1), writer=nn.Linear(2, n))
    return lambda: learner.adapt(learner.init(generator=seeded()), NOTHING, **evidence)


test_bad_input_is_refused = refusals(
    [
        (lambda: only("heads"), "which is 'heads'"),
        (lambda: low_rank(0), "rank is 0"),
        (lambda: context(-1), "n is -1"),
        (lambda: few_numbers(LINE, mse_loss, part=context(1), alpha=-1.0), "alpha is -1.0"),
        (lambda: few_numbers(LINE, mse_loss, part=context(1), steps=-1), "steps is -1"),
        (_written(), "description is None"),
        (_written(3, description=torch.zeros(2)), "writer gives the shape (3,)"),
        (_written(description=torch.zeros(2), steps=1), "steps is 1"),
        (_written(description=[1.0, 2.0]), "description is a list"),
        (lambda: count("heads"), "part is 'heads'"),
    ]
)


# What is shipped ----------------------------------------------------------------------------------------


def test_every_recipe_has_its_theta():
    assert len(RECIPES) == sum(map(len, SEEDS_OF.values()))
    assert all(theta_path(name).stat().st_size < 30_000 for name in RECIPES)


@pytest.mark.parametrize("name", TRAINING)
def test_what_is_shipped_knows_the_waves(name: str):
    tasks = waves().sample(60, 10, 50, generator=seeded(8))
    still = float(tasks.query.y.square().mean())
    errors = [float(errors_on(*ready(name, seed), tasks).mean()) for seed in SEEDS_OF[name]]
    assert max(errors) < 0.5 * still


# Letters ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", BODY_PARTS)
def test_on_letters_all_begin_at_the_trained_body_and_move_what_they_say(part: str):
    learner, theta = learner_of(part, 0.01, 2), start_of(part)
    tasks = Glyphs("validation").sample(1, 1, 1, generator=seeded(9))
    phi = learner.adapt(theta, Batch(tasks.support.x[0], tasks.support.y[0]))
    assert len(new_numbers(phi)) == count_letters(part)
    body = {name: p.float() for name, p in shipped_theta("glyphs_joint").items()}
    assert all(torch.equal(phi[name], p) for name, p in body.items())
    before = learner.adapt(theta, Batch(tasks.support.x[0], tasks.support.y[0]), steps=0)
    assert not learner.predict(before, tasks.query.x[0]).any()


def test_on_letters_one_step_of_all_weights_moves_the_head_alone():
    """The head begins at 0, and so does every slope below it: the first step is the same for all."""
    tasks = Glyphs("validation").sample(3, 1, 3, generator=seeded(10))
    one, *others = (accuracies(part, tasks, 0.01, 1) for part in BODY_PARTS)
    assert all(torch.equal(one, other) for other in others)
