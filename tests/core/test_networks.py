"""Networks as pure functions: where their parameters come from, and which modules are refused."""

import pytest
import torch
from oracles import seeded
from torch import nn
from torch.testing import assert_close

from mapping_lib.networks import functional, mlp


class Attention(nn.Module):
    """Self-attention over ``(example, time, 4)``."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, dropout=dropout, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


class Bare(nn.Module):
    """One parameter that no layer draws."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.head = nn.Parameter(torch.tensor(2.5)), nn.Linear(1, 1)

    def forward(self, x):
        return self.gain * self.head(x)


RANDOM = {
    "mlp": lambda: mlp((1, 4, 1)),
    "conv": lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2, 1)),
    "LSTM": lambda: nn.LSTM(1, 3),
    "embedding": lambda: nn.Sequential(nn.Embedding(7, 3), nn.Linear(3, 1)),
    "attention": Attention,
}


@pytest.mark.parametrize("kind", RANDOM)
def test_one_seed_gives_one_theta_whatever_else_was_drawn(kind: str):
    first = functional(RANDOM[kind]()).init(generator=seeded(3))
    torch.rand(5)
    second = functional(RANDOM[kind]()).init(generator=seeded(3))
    assert all(torch.equal(first[name], second[name]) for name in first | second)


@pytest.mark.parametrize("kind", RANDOM)
def test_every_weight_differs_from_seed_to_seed(kind: str):
    init = functional(RANDOM[kind]()).init
    first, second = init(generator=seeded(1)), init(generator=seeded(2))
    assert [name for name in first if "weight" in name and torch.equal(first[name], second[name])] == []


def test_one_generator_gives_a_new_theta_at_every_call():
    init, g = functional(mlp((1, 4, 1))).init, seeded(0)
    assert not torch.equal(init(generator=g)["0.weight"], init(generator=g)["0.weight"])


def test_init_leaves_the_global_random_state_and_the_module_alone():
    network = mlp((1, 4, 1))
    state, weight = torch.get_rng_state(), network[0].weight.detach().clone()
    functional(network).init(generator=seeded(0))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(network[0].weight, weight)


def test_theta_shares_no_memory_with_the_module():
    network = Bare()
    theta = functional(network).init(generator=seeded(0))
    for p in theta.values():
        p.fill_(7.0)
    assert network.gain == 2.5
    assert not any(p.requires_grad for p in theta.values())


def test_a_parameter_that_no_layer_draws_keeps_its_value():
    assert functional(Bare()).init(generator=seeded(0))["gain"] == 2.5


def test_init_draws_within_the_bounds_of_the_layer():
    """`nn.Linear` draws weights uniformly within 1 / sqrt(inputs)."""
    theta = functional(mlp((4, 500, 1))).init(generator=seeded(0))
    assert theta["0.weight"].abs().max() <= 0.5
    assert_close(theta["0.weight"].std(), torch.tensor(0.5 / 3**0.5), rtol=0.05, atol=0.0)


@pytest.mark.parametrize("kind", RANDOM)
def test_names_and_shapes_are_those_of_the_module(kind: str):
    network = RANDOM[kind]()
    expected = {name: p.shape for name, p in network.named_parameters()}
    model = functional(network)
    assert model.shapes == expected
    assert {name: p.shape for name, p in model.init(generator=seeded(0)).items()} == expected


def test_theta_has_the_dtype_of_the_module():
    model = functional(mlp((1, 4, 1)).double())
    assert model.dtype == torch.float64
    assert {p.dtype for p in model.init(generator=seeded(0)).values()} == {torch.float64}


def test_predict_computes_with_the_parameters_it_is_given():
    """relu(2 x - 1) * 3 + 0.5, at x = 0 and x = 2."""
    params = {"0.weight": [[2.0]], "0.bias": [-1.0], "2.weight": [[3.0]], "2.bias": [0.5]}
    params = {name: torch.tensor(p) for name, p in params.items()}
    y_hat = functional(mlp((1, 1, 1))).predict(params, torch.tensor([[0.0], [2.0]]))
    assert_close(y_hat, torch.tensor([[0.5], [9.5]]))


def test_only_a_network_with_an_embedding_reads_tokens():
    assert [functional(RANDOM[kind]()).reads_tokens for kind in ("mlp", "embedding")] == [False, True]


def test_mlp_has_linear_layers_with_activations_between_them():
    kinds = [type(layer) for layer in mlp((2, 8, 5, 3), nn.Tanh)]
    assert kinds == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    assert [tuple(p.shape) for p in mlp((2, 8, 5, 3)).parameters()] == [(8, 2), (8,), (5, 8), (5,), (3, 5), (3,)]
    assert sum(p.numel() for p in mlp((1, 40, 40, 1)).parameters()) == 1761
    assert type(mlp((1, 2, 1))[1]) is nn.ReLU


@pytest.mark.parametrize(("sizes", "message"), [((1,), "sizes is"), ((), "sizes is"), ((1, 0, 1), r"sizes\[1\] is 0")])
def test_mlp_refuses_sizes_without_meaning(sizes, message: str):
    with pytest.raises(ValueError, match=f"{message}.*allowed: "):
        mlp(sizes)


@pytest.mark.parametrize(
    ("build", "remedy"),
    [
        (lambda: nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2)), "track_running_stats=False"),
        (lambda: nn.InstanceNorm1d(2, affine=True, track_running_stats=True), "track_running_stats=False"),
        (lambda: nn.Sequential(nn.Linear(1, 2), nn.Dropout(0.5)), r"network\.eval\(\)"),
        (lambda: nn.Sequential(nn.Linear(1, 2), nn.Dropout(1)), r"network\.eval\(\)"),
        (lambda: nn.Sequential(nn.Linear(1, 2), nn.AlphaDropout(0.5)), r"network\.eval\(\)"),
        (lambda: nn.LSTM(1, 2, num_layers=2, dropout=0.5), r"network\.eval\(\)"),
        (lambda: Attention(dropout=0.1), r"network\.eval\(\)"),
        (lambda: nn.TransformerEncoderLayer(4, 2, dropout=0.1), r"network\.eval\(\)"),
        (nn.ReLU, "at least one"),
        (nn.Sequential, "at least one"),
    ],
    ids=[
        "BatchNorm",
        "InstanceNorm",
        "Dropout",
        "Dropout of everything",
        "AlphaDropout",
        "LSTM",
        "MultiheadAttention",
        "Transformer",
        "ReLU",
        "empty",
    ],
)
def test_an_unfit_network_is_refused_and_the_remedy_named(build, remedy: str):
    with pytest.raises(ValueError, match=f"(?s)network.*allowed: .*{remedy}"):
        functional(build())


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2, track_running_stats=False)),
        lambda: nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2)).eval(),
        lambda: nn.Sequential(nn.Linear(1, 2), nn.Dropout(0.5)).eval(),
        lambda: nn.Sequential(nn.Linear(1, 2), nn.Dropout(0.0)),
        lambda: nn.Sequential(nn.Linear(1, 2), nn.GroupNorm(1, 2)),
        lambda: nn.LSTM(1, 2, num_layers=2, dropout=0.0),
    ],
    ids=["BatchNorm by batch", "BatchNorm eval", "Dropout eval", "Dropout 0", "GroupNorm", "LSTM"],
)
def test_the_remedies_work(build):
    network = build()
    x = torch.randn(5, 1, generator=seeded(0))
    params = {name: p.detach() for name, p in network.named_parameters()}
    found, expected = functional(network).predict(params, x), network(x)
    assert_close(found, expected)


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"network is a function; allowed: a torch\.nn\.Module"):
        functional(torch.nn.functional.relu)
