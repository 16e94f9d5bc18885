"""The in-context learner: its attention against PyTorch's own, what it must not depend on, its gradient."""

import pytest
import torch
from oracles import FLOAT64, each, random_tasks, random_theta, refusals, seeded
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy, gelu, mse_loss, one_hot
from torch.testing import assert_close

from mapping_lib.evaluation import adaptation_path, evaluate_by_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.in_context import in_context
from mapping_lib.meta_training import meta_train
from mapping_lib.networks import functional
from mapping_lib.set_networks import ContextTransformer
from mapping_lib.task import Batch, Task

NETWORK = ContextTransformer(2, 3, width=4, heads=2, layers=2).double()
LEARNER = in_context(NETWORK, mse_loss)
THETA = random_theta(NETWORK)
FAMILY = Sinusoids(dtype=torch.float64)


def tasks(n_tasks: int = 3, k_shot: int = 5, n_query: int = 4) -> Task:
    return random_tasks(n_tasks, k_shot, n_query, n_in=2, n_out=3)


def answer(support: Batch, x: torch.Tensor) -> torch.Tensor:
    """y_hat with `THETA`, for one task or, with a leading dimension, several."""
    return functional_call(NETWORK, THETA, (support.x, support.y, x))


# The transformer, by hand -----------------------------------------------------------------------------


def by_torch(tokens: torch.Tensor, n_context: int, layer: nn.Module) -> torch.Tensor:
    """One layer with `nn.MultiheadAttention` and a mask, as its papers draw it."""
    width = tokens.shape[-1]
    attention = nn.MultiheadAttention(width, layer.heads, batch_first=True, dtype=tokens.dtype)
    attention.load_state_dict(
        {
            "in_proj_weight": torch.cat([layer.ask.weight, layer.offer.weight]).detach(),
            "in_proj_bias": torch.cat([layer.ask.bias, layer.offer.bias]).detach(),
            "out_proj.weight": layer.join.weight.detach(),
            "out_proj.bias": layer.join.bias.detach(),
        }
    )
    hidden = torch.arange(tokens.shape[-2]).expand(tokens.shape[-2], -1) >= n_context
    seen = layer.norm_1(tokens)
    tokens = tokens + attention(seen, seen, seen, attn_mask=hidden, need_weights=False)[0]
    return tokens + layer.think[2](gelu(layer.think[0](layer.norm_2(tokens))))


def test_a_forward_pass_equals_masked_attention_by_pytorch():
    network = ContextTransformer(2, 3, width=4, heads=2, layers=2).double()
    network.load_state_dict(THETA)
    for support, query in each(tasks()):
        examples = network.embed_example(torch.cat([support.x, support.y], 1))
        tokens = torch.cat([network.start[None], examples, network.embed_query(query.x)])[None]
        for layer in network.layers:
            tokens = by_torch(tokens, 1 + len(support.x), layer)
        assert_close(answer(support, query.x), network.read_out(tokens[0, 1 + len(support.x) :]).detach(), **FLOAT64)


def test_attention_by_hand():
    """One head of length 1: a token of the context that offers key 0 and one that offers key log 3."""
    layer = ContextTransformer(width=1, heads=1, layers=1).double().layers[0]
    weights = {"ask": (0.0, 1.0), "join": (1.0, 0.0)}  # every token asks with 1
    for name, (weight, bias) in weights.items():
        nn.init.constant_(getattr(layer, name).weight, weight)
        nn.init.constant_(getattr(layer, name).bias, bias)
    layer.offer.weight.data = torch.tensor([[1.0], [10.0]], dtype=torch.float64)  # key = token, value = 10 token
    nn.init.zeros_(layer.offer.bias)
    log_3 = float(torch.tensor(3.0, dtype=torch.float64).log())
    tokens = torch.tensor([[0.0], [log_3], [77.0]], dtype=torch.float64)
    expected = 10 * (0.25 * 0.0 + 0.75 * log_3)  # exp(0) : exp(log 3) is 1 : 3, and the query's 77 is not read
    assert_close(layer.attend(tokens, 2), torch.full_like(tokens, expected), **FLOAT64)


def test_every_parameter_is_drawn_anew():
    init = functional(ContextTransformer(width=8, heads=2, layers=1)).init
    first, again, other = (init(generator=seeded(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    same = [name for name in first if torch.equal(first[name], other[name])]
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in same} == {"norm_1", "norm_2", "0"}  # LayerNorms
    assert "start" in first.keys() - set(same)


# What an answer depends on ----------------------------------------------------------------------------


def test_an_x_goes_with_its_own_y():
    (support, query), *_ = each(tasks())
    assert not torch.allclose(answer(support._replace(y=support.y.flip(0)), query.x), answer(support, query.x))


def test_every_example_counts():
    (support, query), *_ = each(tasks())
    for i in range(5):
        without = Batch(*(torch.cat([t[:i], t[i + 1 :]]) for t in support))
        assert not torch.allclose(answer(without, query.x), answer(support, query.x))


@pytest.mark.parametrize("k_shot", [0, 5])
def test_no_query_reads_another(k_shot: int):
    for support, query in each(tasks(k_shot=k_shot)):
        alone = torch.cat([answer(support, x[None]) for x in query.x])
        assert_close(answer(support, query.x), alone, **FLOAT64)
        (slope,) = torch.func.jacrev(lambda x, support=support: (answer(support, x)[0].sum(),))(query.x)
        assert not slope[1:].any()
        assert slope[0].all()


@pytest.mark.parametrize("k_shot", [0, 5])
def test_leading_dimensions_are_tasks_of_their_own(k_shot: int):
    many = tasks(6, k_shot)
    expected = torch.stack([answer(support, query.x) for support, query in each(many)])
    assert_close(answer(many.support, many.query.x), expected, **FLOAT64)
    two_by_three = Batch(*(t.unflatten(0, (2, 3)) for t in many.support))
    assert_close(answer(two_by_three, many.query.x.unflatten(0, (2, 3))), expected.unflatten(0, (2, 3)), **FLOAT64)


# The learner ------------------------------------------------------------------------------------------


def test_phi_is_theta_and_the_support():
    (support, _), *_ = each(tasks())
    phi = LEARNER.adapt(THETA, support)
    assert phi.keys() == THETA.keys() | {"support.x", "support.y"}
    assert all(phi[name] is THETA[name] for name in THETA)
    assert phi["support.x"] is support.x
    assert phi["support.y"] is support.y


def test_the_loss_is_taken_task_by_task():
    """Here one that is no mean over examples."""
    many = tasks()
    expected = [mse_loss(answer(s, q.x), q.y).sqrt() for s, q in each(many)]
    learner = in_context(NETWORK, lambda y_hat, y: mse_loss(y_hat, y).sqrt())
    assert_close(learner.meta_grad(THETA, many)[0], torch.stack(expected).mean(), **FLOAT64)


class Classifier(nn.Module):
    """Reads class labels, and answers with logits."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = NETWORK

    def forward(self, support_x, support_y, x):
        return self.inner(support_x, one_hot(support_y, 3).to(x.dtype), x)


def test_any_module_that_reads_a_support_will_do():
    labelled = Task(*(batch._replace(y=batch.y.argmax(-1)) for batch in tasks()[:2]), torch.zeros(3, 1))
    theta = {f"inner.{name}": p for name, p in THETA.items()}
    logits = [answer(Batch(s.x, one_hot(s.y, 3).double()), q.x) for s, q in each(labelled)]
    expected = torch.stack([cross_entropy(z, y) for z, y in zip(logits, labelled.query.y, strict=True)]).mean()
    assert_close(in_context(Classifier(), cross_entropy).meta_grad(theta, labelled)[0], expected, **FLOAT64)


@pytest.mark.parametrize("n_tasks", [3, 230])
def test_the_evaluation_equals_a_plain_loop(n_tasks: int):
    """With more tasks than are judged in one go, too."""
    network = ContextTransformer(width=4, heads=2, layers=1).double()
    theta = random_theta(network)
    settings = {"k_shot": 4, "n_tasks": n_tasks, "n_query": 6}
    learner = in_context(network, mse_loss)
    found = evaluate_by_step(learner, theta, FAMILY, steps=0, generator=seeded(0), **settings)
    expected = [
        mse_loss(functional_call(network, theta, (*s, q.x)), q.y).detach()
        for s, q in each(FAMILY.sample(n_tasks, 4, 6, generator=seeded(0)))
    ]
    assert_close(found.per_task, torch.stack(expected)[:, None], **FLOAT64)


def test_an_evaluation_does_not_copy_theta_for_every_task():
    many = tasks()
    path = adaptation_path(LEARNER, THETA, many.support, many.description, steps=0)
    assert all(path[name].shape == (1, 3, *p.shape) for name, p in THETA.items())
    assert all(path[name].data_ptr() == p.data_ptr() for name, p in THETA.items())


def test_it_learns_to_use_examples():
    """Constant functions: with one example, the query is known."""

    class Constants:
        def sample(self, n_tasks, k_shot, n_query, *, generator):
            level = torch.randn(n_tasks, 1, 1, generator=generator)
            support, query = (torch.rand(n_tasks, n, 1, generator=generator) for n in (k_shot, n_query))
            return Task(*(Batch(x, level.expand_as(x)) for x in (support, query)), level[:, 0])

    learner = in_context(ContextTransformer(width=16, heads=2, layers=1), mse_loss)
    settings = {"beta": 0.01, "outer_steps": 200, "k_shot": 1, "n_query": 4, "schedule": "cosine"}
    *_, last = meta_train(learner, Constants(), generator=seeded(0), **settings)
    settings = {"k_shot": 1, "steps": 0, "n_tasks": 200, "generator": seeded(1)}
    assert evaluate_by_step(learner, last.theta, Constants(), **settings).mean < 0.05  # without it: 1


# Errors in words --------------------------------------------------------------------------------------


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.float64)


def pair(*lead: int, n_x: int = 2, n_y: int = 3) -> Batch:
    return Batch(zeros(*lead, n_x), zeros(*lead, n_y))


class Clash(nn.Module):
    """Has a parameter with the name that phi gives to the evidence."""

    def __init__(self) -> None:
        super().__init__()
        self.support = nn.ParameterDict({"x": torch.zeros(1)})


GOOD = tasks()
NO_STEPS = "allowed: 0 or None, as an in-context learner takes no steps"
CALLS = [
    (lambda: ContextTransformer(0), "n_x is 0; allowed: a whole number, 1 or more"),
    (lambda: ContextTransformer(layers=0), "layers is 0; allowed: a whole number, 1 or more"),
    (lambda: ContextTransformer(width=6.0), "width is 6.0; allowed: a whole number, 1 or more"),
    (lambda: ContextTransformer(width=10, heads=4), "width is 10; allowed: a multiple of heads, which is 4"),
    (lambda: NETWORK(zeros(5, 3), zeros(5, 3), zeros(4, 2)), "support_x has shape (5, 3); allowed: (5, 2)"),
    (lambda: NETWORK(zeros(5, 2), zeros(5, 1), zeros(4, 2)), "support_y has shape (5, 1); allowed: (5, 3)"),
    (lambda: NETWORK(zeros(5, 2), zeros(1, 3), zeros(4, 2)), "support_y has shape (1, 3); allowed: (5, 3)"),
    (lambda: NETWORK(zeros(5, 2), zeros(5, 3), zeros(4, 1)), "x has shape (4, 1); allowed: (4, 2)"),
    (lambda: NETWORK(zeros(5, 2), zeros(5, 3), zeros(2)), "x has shape (2,); allowed: "),
    (lambda: NETWORK(zeros(5, 2), zeros(5, 3), zeros(6, 4, 2)), "support_x has shape (5, 2); allowed: (6, 5, 2)"),
    (lambda: in_context(None, mse_loss), "network is a NoneType; allowed: a torch.nn.Module"),
    (lambda: in_context(Clash(), mse_loss), "transformer has a parameter named 'support.x'; allowed: any other name"),
    (lambda: LEARNER.adapt(THETA, pair(5), steps=3), f"steps is 3; {NO_STEPS}"),
    (lambda: LEARNER.adapt(THETA, pair(5), steps=-1), "steps is -1; allowed: a whole number, 0 or more"),
    (lambda: LEARNER.adapt({}, pair(5)), "theta has the names []; allowed: ["),
    (lambda: LEARNER.adapt(THETA, pair(3, 5)[0]), "support is a Tensor; allowed: Batch(x, y)"),
    (lambda: LEARNER.adapt(THETA, Batch(*(t.float() for t in pair(5)))), "support.x has dtype torch.float32; allowed:"),
    (lambda: LEARNER.meta_grad({}, GOOD), "theta has the names []; allowed: ["),
    (lambda: LEARNER.meta_grad(THETA, GOOD._replace(support=pair(5))), "tasks.support.x has shape (5, 2); allowed:"),
    (lambda: LEARNER.meta_grad(THETA, GOOD._replace(query=pair(3, 0))), "tasks.query is empty; allowed: at least one"),
    (lambda: LEARNER.meta_grad(THETA, GOOD._replace(query=pair(2, 4))), "tasks has 3 supports and 2 queries; allowed:"),
    (
        lambda: LEARNER.meta_grad(THETA, GOOD._replace(query=pair(3, 4, n_y=1))),
        "tasks.query.y has shape (3, 4, 1) and tasks.support.y (3, 5, 3); allowed: targets of one length",
    ),
]


test_the_message_names_the_argument_the_value_and_what_is_allowed = refusals(CALLS)


def test_an_evaluation_by_steps_it_does_not_take_is_refused():
    with pytest.raises(ValueError, match=f"steps is 1; {NO_STEPS}"):
        evaluate_by_step(LEARNER, THETA, FAMILY, k_shot=2, steps=1, n_tasks=2, generator=seeded(0))
