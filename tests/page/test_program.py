"""Programs: run stage by stage, and traced, without a page."""

import json

import pytest
import torch
from torch import Tensor

from mapping_lib.page.program import Program, Stage, run
from mapping_lib.page.tracing import INTERPRETER, operators, traced
from mapping_lib.task import Batch


def halved(x: Tensor) -> dict[str, Tensor]:
    return {"x": x / 2, "sum": x.sum()}


HALVES = Program(
    (Stage(halved, "steps", 1, {"sums": "sum"}), Stage(lambda sums: {"first": sums[0], "last": sums[-1]})),
    ("first", "last", "sums"),
    {},
    {"x": ("K",)},
)


def test_stages_carry_and_collect():
    frame = run(HALVES, {"x": [4.0, 4.0], "steps": 2})
    assert {name: value.tolist() for name, value in frame.items()} == {"first": 8, "last": 2, "sums": [8, 4, 2]}


def test_what_is_missing_is_named():
    with pytest.raises(KeyError, match="'x'"):
        run(HALVES, {"steps": 2})


def test_a_trace_is_json_and_does_not_hang_on_the_example():
    first, second = (traced(HALVES, {"x": torch.rand(k), "steps": steps}) for k, steps in ((3, 2), (7, 5)))
    assert json.dumps(first, allow_nan=False) == json.dumps(second, allow_nan=False)
    assert first["outputs"] == ["first", "last", "sums"]
    assert first["stages"][0] | {"nodes": []} == {
        **{"name": "halved", "inputs": ["x"], "nodes": [], "outputs": {"x": 1, "sum": 2}},
        **{"times": "steps", "extra": 1, "collect": {"sums": "sum"}},
    }


def nodes(function, **example) -> list:
    sizes = {name: ("K",) for name, value in example.items() if getattr(value, "ndim", 0)}
    return traced(Program((Stage(function),), ("y",), {}, sizes), example)["stages"][0]["nodes"]


def test_dead_nodes_vanish_and_constants_are_computed():
    def function(x: Tensor):
        x.exp()
        return {"y": x.detach().clone().float() * (torch.arange(3).sum() + 1) + torch.eye(2)[0, 0]}

    assert nodes(function, x=torch.rand(3)) == [
        ["full", [[], 4.0]],
        ["mul", [{"$": 0}, {"$": 1}]],
        ["full", [[], 1.0]],
        ["add", [{"$": 2}, {"$": 3}]],
    ]


def test_gradients_of_many_and_changes_in_place_trace():
    def function(x: Tensor):
        y = torch.func.vmap(torch.func.grad(lambda a: a.sin()))(x)
        y[:2] = 0.0
        return {"y": y.clamp_min_(0.5)}

    written = nodes(function, x=torch.rand(5))
    assert {"cos", "slice_scatter", "clamp_min"} <= {name for name, *_ in written}


def test_numbers_that_json_lacks():
    assert nodes(lambda x: {"y": x.clamp(-torch.inf, 2.0)}, x=torch.rand(3)) == [
        ["clamp", [{"$": 0}, "-Infinity", 2.0]]
    ]


def test_one_tensor_given_twice_stays_two():
    x = torch.rand(3)
    assert nodes(lambda a, b: {"y": a + b}, a=x, b=x) == [["add", [{"$": 0}, {"$": 1}]]]


def test_an_unknown_operator_is_named():
    def fft(x: Tensor):
        return {"y": torch.fft.fft(x).real}

    with pytest.raises(ValueError, match=r"fft calls the operator '\S*fft\S*'; allowed: .*'add'"):
        nodes(fft, x=torch.rand(3))


def test_a_size_that_varies_must_stay_open():
    with pytest.raises(ValueError, match=r"fixes sizes that vary, \[3\]; allowed: x\.shape\[0\], not len\(x\)"):
        nodes(lambda x: {"y": x / len(x)}, x=torch.rand(3))


@pytest.mark.parametrize("sizes", [(4, 4), (3, 5), (1, 1)], ids=str)
def test_sizes_of_the_example_are_primes_and_a_letter_is_one_size(sizes: tuple[int, int]):
    batch = Batch(*map(torch.rand, sizes))
    program = Program((Stage(lambda batch: {"y": batch.x.sum()}),), ("y",), {}, {"batch.x": ("K",), "batch.y": ("K",)})
    with pytest.raises(ValueError, match=r"inputs has sizes .*; allowed: for each letter of dynamic one prime"):
        traced(program, {"batch": batch})


def test_operators_are_those_of_the_interpreter():
    assert {"sin", "addcmul", "amax", "max.dim", "bmm", "convolution"} <= operators()
    source = "".join(path.read_text(encoding="utf-8") for path in INTERPRETER)
    assert "eval(" not in source
    assert "new Function" not in source
