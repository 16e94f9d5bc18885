"""Neural processes: against loops over examples and torch.distributions; readers against attention by hand."""

import pytest
import torch
from oracles import FLOAT64, float64_mlp, random_tasks, refusals, seeded
from torch import nn
from torch.distributions import Normal as Reference
from torch.func import functional_call
from torch.nn.functional import scaled_dot_product_attention, softplus
from torch.testing import assert_close

from mapping_lib.chapters.what_came_after.methods_density import Normal
from mapping_lib.chapters.what_came_after.methods_neural_process import SetReader, neural_process
from mapping_lib.chapters.what_came_after.methods_prior_fitted import said_of
from mapping_lib.chapters.what_came_after.study_neural_process import READINGS, ready
from mapping_lib.task import Batch, each
from mapping_lib.worlds.linear import LinearFunctions

EACH, TOGETHER = float64_mlp(2, 6, 5, activation=nn.Tanh), float64_mlp(6, 7, 2, activation=nn.Tanh)
PROCESS = neural_process(EACH, TOGETHER, Normal(least=0.05))
THETA = {name: p.double() for name, p in PROCESS.learner.init(generator=seeded(1)).items()}
TASKS = random_tasks(3, 4, 3)
SUPPORT, QUERY, _ = next(each(TASKS))


def part(theta: dict, prefix: str) -> dict:
    return {name.removeprefix(prefix): p for name, p in theta.items() if name.startswith(prefix)}


def by_hand(theta: dict, support: Batch, x: torch.Tensor) -> Reference:
    """One example after the other, one query after the other."""
    r = torch.zeros(5, dtype=torch.float64)
    for a, b in zip(*support, strict=True):
        r = r + functional_call(EACH, part(theta, "each."), torch.cat([a, b])) / len(support.x)
    raw = [functional_call(TOGETHER, part(theta, "together."), torch.cat([r, one])) for one in x]
    mean, wide = torch.stack(raw)[:, :1], torch.stack(raw)[:, 1:]
    return Reference(mean, 0.05 + softplus(wide))


@pytest.mark.parametrize("k_shot", [0, 1, 4])
def test_what_it_says_is_that_of_a_loop(k_shot: int):
    support = Batch(*(t[:k_shot] for t in SUPPORT))
    said = PROCESS.density(PROCESS.learner.adapt(THETA, support), QUERY.x)
    expected = by_hand(THETA, support, QUERY.x)
    assert_close(said.mean, expected.mean, **FLOAT64)
    assert_close(said.deviation, expected.stddev, **FLOAT64)
    assert_close(said.log_density(QUERY.y), expected.log_prob(QUERY.y), **FLOAT64)


def test_the_direction_is_the_gradient_of_minus_the_mean_log_density():
    leaves = {name: p.clone().requires_grad_() for name, p in THETA.items()}
    losses = [-by_hand(leaves, task.support, task.query.x).log_prob(task.query.y).mean() for task in each(TASKS)]
    expected = torch.stack(losses).mean()
    value, direction = PROCESS.learner.meta_grad(THETA, TASKS)
    assert_close(value, expected.detach(), **FLOAT64)
    slopes = torch.autograd.grad(expected, list(leaves.values()))
    assert_close(direction, dict(zip(leaves, slopes, strict=True)), **FLOAT64)


def test_phi_is_short_and_does_not_grow_with_the_support():
    phi = PROCESS.learner.adapt(THETA, SUPPORT)
    assert phi.keys() == {name for name in THETA if name.startswith("together.")} | {"r"}
    assert phi["r"].shape == (5,)


def test_a_mean_cannot_tell_a_set_from_the_same_set_twice():
    """What pooling by a mean loses first: how many examples there were."""
    twice = Batch(*(torch.cat([t, t]) for t in SUPPORT))
    once, again = (PROCESS.learner.adapt(THETA, support)["r"] for support in (SUPPORT, twice))
    assert_close(again, once, **FLOAT64)


def test_the_plainest_reader_is_the_neural_process():
    reader = SetReader(8, together=False, pool="mean").double()
    process = neural_process(reader.each, reader.tell, Normal())
    weights = dict(reader.named_parameters())
    theta = {f"each.{name}": weights[f"each.{name}"] for name in part(weights, "each.")}
    theta |= {f"together.{name}": p for name, p in part(weights, "tell.").items()}
    phi = process.learner.adapt(theta, SUPPORT)
    assert_close(process.density(phi, QUERY.x).raw, reader(*SUPPORT, QUERY.x), **FLOAT64)


def attended(attention: nn.Module, asks, keys, values) -> torch.Tensor:
    """PyTorch's own attention, a head at a time."""
    width = values.shape[-1] // 4
    heads = [slice(i * width, (i + 1) * width) for i in range(4)]
    q, k, v = attention.ask(asks), attention.key(keys), attention.value(values)
    return attention.join(torch.cat([scaled_dot_product_attention(q[:, h], k[:, h], v[:, h]) for h in heads], -1))


@pytest.mark.parametrize("pool", ["mean", "attention"])
@pytest.mark.parametrize("together", [True, False])
def test_readers_pool_as_they_say(pool: str, together: bool):
    reader = SetReader(8, together=together, pool=pool).double()
    seen = reader.each(torch.cat(SUPPORT, -1))
    if together:
        seen = seen + attended(reader.look, seen, seen, seen)
    if pool == "attention":
        r = attended(reader.choose, reader.place(QUERY.x), reader.place(SUPPORT.x), seen)
    else:
        r = seen.mean(0).expand(3, 8)
    expected = reader.tell(torch.cat([r, QUERY.x], -1))
    assert_close(reader(*SUPPORT, QUERY.x), expected, **FLOAT64)
    nothing = Batch(*(t[:0] for t in SUPPORT))
    assert reader(*nothing, QUERY.x).isfinite().all()
    many = reader(*TASKS.support, TASKS.query.x)
    assert_close(many[0], expected, **FLOAT64)


def test_the_shipped_process_comes_near_bayes_on_lines_and_does_not_beat_it():
    tasks = LinearFunctions().sample(200, 10, 20, generator=seeded(3))
    said = said_of(*ready("mean, on lines"), tasks.support, tasks.query.x)
    best = Reference(*LinearFunctions().predictive(tasks.support, tasks.query.x))
    lost = (best.log_prob(tasks.query.y) - said.log_density(tasks.query.y)).mean()
    assert 0 < lost < 0.15
    assert (said.mean - best.mean).square().mean() < 0.1


@pytest.mark.parametrize("name", READINGS)
def test_every_shipped_reader_fits_its_module_and_has_about_ten_thousand_numbers(name: str):
    process, theta = ready(name)
    fresh = process.learner.init(generator=seeded(0))
    assert {n: p.shape for n, p in theta.items()} == {n: p.shape for n, p in fresh.items()}
    assert 8_000 < sum(p.numel() for p in theta.values()) / (4 if name == "mean, wide" else 1) < 12_000


test_bad_input_is_refused = refusals(
    [
        (lambda: PROCESS.learner.adapt(THETA, SUPPORT, steps=1), "steps is 1"),
        (lambda: PROCESS.learner.adapt(THETA, Batch(SUPPORT.x, SUPPORT.y[:, 0])), "support.y has shape (4,)"),
        (lambda: PROCESS.learner.adapt(THETA, Batch(SUPPORT.x.float(), SUPPORT.y)), "support.x has dtype"),
        (lambda: PROCESS.learner.meta_grad(THETA, random_tasks(2, 3, 0)), "tasks.query is empty"),
        (lambda: SetReader(6, together=True, pool="mean"), "width is 6"),
        (lambda: SetReader(8, together=True, pool="max"), "pool is 'max'"),
    ]
)
