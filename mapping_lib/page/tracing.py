"""Tracing: a program written down for the interpreter of the page, ``front/program.js``, operator by operator."""

import base64
import itertools
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx
from torch._decomp import get_decompositions
from torch._dynamo.source import ConstantSource
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from mapping_lib.page.program import Environment, Program, Stage, arrays, as_tensors, call, leaves

RARE = """
mse_loss mse_loss_backward huber_loss smooth_l1_loss binary_cross_entropy_with_logits nll_loss_forward
nll_loss_backward _safe_softmax _softmax_backward_data _log_softmax_backward_data native_layer_norm_backward
native_group_norm native_batch_norm gelu_backward sigmoid_backward tanh_backward threshold_backward softplus elu silu
hardtanh leaky_relu std norm linalg_vector_norm addr fill embedding select_backward slice_backward nan_to_num
"""
"""Operators that PyTorch itself takes apart into others, so that the interpreter need not know them."""

INTERPRETER = tuple(
    Path(__file__).parent / "front" / f"{name}.js" for name in ("kernel", "loops", "tensors", "program")
)
"""The files of the interpreter, each after those that it imports."""


def traced(program: Program, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Write a program down for the interpreter, as JSON can hold it, from what it does on example ``inputs``.

    Each stage has the names of its ``inputs``, its ``nodes`` [operator, arguments, keywords?], the ``outputs`` {name:
    value}, ``times``, ``extra`` and ``collect``. {"$": i} is value i: first the inputs, then what the nodes made.
    The sizes that vary must be different primes in the example, and numbers of repetitions 2 or more.
    Raises ValueError for an operator that the interpreter lacks, and where a function fixes a size that varies.

    >>> program = Program((Stage(lambda x: {"y": x.sin() + 1}),), ("y",), dynamic={"x": ("K",)})
    >>> traced(program, {"x": [1.0, 2.0, 3.0]})["stages"][0]["nodes"]
    [['sin', [{'$': 0}]], ['add', [{'$': 1}, 1]]]
    """
    example = as_tensors({**program.constants, **inputs})
    _check_sizes(program.dynamic, arrays(inputs))
    other = _resized(program, example)
    stages = []
    for stage in program.stages:
        before, before_other = example.copy(), other.copy()
        with torch.no_grad():  # first: what is wrong with a function is easier to read so
            call(stage, example)
            call(stage, other)
        stages.append(_traced_stage(stage, before, before_other))
    outputs = [name for output in program.outputs for name, _ in leaves(output, example[output])]
    return {"stages": stages, "outputs": outputs}


def _check_sizes(dynamic: Mapping[str, tuple[str, ...]], inputs: Mapping[str, Any]) -> None:
    sizes: dict[str, set[int]] = {}
    for name, letters in dynamic.items():
        for letter, size in zip(letters, np.shape(inputs[name]), strict=False):
            sizes.setdefault(letter, set()).add(size)
    every = [size for letter, of_letter in sizes.items() if letter for size in of_letter]
    if len(every) > min(len(sizes.keys() - {""}), len(set(every))) or not all(map(_is_prime, every)):
        raise ValueError(f"inputs has sizes {sizes}; allowed: for each letter of dynamic one prime of its own")


def _resized(program: Program, example: Environment) -> Environment:
    """The example with one less of each size that varies, and one repetition more."""
    values, tree = tree_flatten(example)
    names = [name for part, value in example.items() for name, _ in leaves(part, value)]
    times = {stage.times for stage in program.stages}
    for i, name in enumerate(names):
        for dim, letter in enumerate(program.dynamic.get(name, ())):
            values[i] = values[i].narrow(dim, 0, values[i].shape[dim] - 1) if letter else values[i]
        values[i] = values[i] + (name in times)
    return tree_unflatten(values, tree)


def _is_prime(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))


def _traced_stage(stage: Stage, example: Environment, other: Environment) -> dict[str, Any]:
    """Trace one stage: with symbols for the sizes that differ between the two environments."""
    shapes = ShapeEnv()
    mode, number = FakeTensorMode(shape_env=shapes, allow_non_fake_inputs=True), itertools.count()

    def fake(tensor: Tensor, resized: Tensor) -> Tensor:
        sizes = zip(tensor.shape, resized.shape, strict=True)
        context = StatelessSymbolicContext([DimDynamic.STATIC if a == b else DimDynamic.DUCK for a, b in sizes])
        source = ConstantSource(f"input_{next(number)}")
        return mode.from_tensor(tensor.clone(), symbolic_context=context, source=source)  # one tensor twice would fuse

    outputs: list[str] = []

    def function(*values: Any) -> list[Tensor]:
        results = stage.function(**dict(zip(stage.reads, values, strict=True)))
        named = dict(pair for result in results for pair in leaves(result, results[result]))
        outputs[:] = named
        return list(named.values())

    values = [tree_map(fake, example[name], other[name]) for name in stage.reads]
    rare = get_decompositions([getattr(torch.ops.aten, name) for name in RARE.split()])
    how = {"tracing_mode": "symbolic", "_allow_non_fake_inputs": True, "decomposition_table": rare}
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        # twice: to make a function free of mutation at once fixes sizes in PyTorch's own composite operators
        graph = make_fx(functionalize(make_fx(function, **how)(*values), remove="mutations"), **how)(*values)
    if fixed := {symbol: size for symbol, size in shapes.replacements.items() if size.is_number}:
        sizes = list(fixed.values())
        raise ValueError(f"{_name(stage)} fixes sizes that vary, {sizes}; allowed: x.shape[0], not len(x)")
    nodes, places = _Writer(graph, _name(stage)).written()
    names = [leaf for name in stage.reads for leaf, _ in leaves(name, example[name])]
    collect = {
        f"{many}{leaf.removeprefix(one)}": leaf
        for many, one in stage.collect.items()
        for leaf in outputs
        if leaf == one or leaf.startswith(f"{one}.")
    }
    written = {
        "name": _name(stage),
        "inputs": names,
        "nodes": nodes,
        "outputs": dict(zip(outputs, places, strict=True)),
    }
    return written | {"times": stage.times, "extra": stage.extra, "collect": collect}


def _name(stage: Stage) -> str:
    return getattr(stage.function, "__name__", None) or stage.function.func.__name__  # of a partial


class _Writer:
    """From a graph to nodes: what only constants go into is computed now, what changes nothing is left out."""

    def __init__(self, graph: fx.GraphModule, stage: str) -> None:
        self.graph, self.stage = graph, stage
        self.nodes: list[list] = []
        self.inputs = [node for node in graph.graph.nodes if node.op == "placeholder"]
        self.place: dict[fx.Node, Any] = {node: i for i, node in enumerate(self.inputs)}
        self.known: dict[fx.Node, Any] = {}

    def written(self) -> tuple[list[list], list[int]]:
        *steps, end = self.graph.graph.nodes
        for node in steps:
            self._compute(node)
        results = tree_leaves(end.args[0])
        needed = set(results)
        for node in reversed(steps):
            if node in needed and node not in self.known:
                needed.update(node.all_input_nodes)
        for node in steps:
            if node in needed and node not in self.known and node not in self.place:
                same = _unchanged(node)
                self.place[node] = self._add(*self._call(node)) if same is None else self._reference(same)["$"]
        return self.nodes, [self._reference(node)["$"] for node in results]

    def _compute(self, node: fx.Node) -> None:
        """Compute what only constants go into."""
        if node.op == "get_attr":
            self.known[node] = getattr(self.graph, node.target)
        elif node.op == "call_function" and all(source in self.known for source in node.all_input_nodes):
            args, keywords = fx.node.map_arg((node.args, node.kwargs), self.known.__getitem__)
            self.known[node] = node.target(*args, **keywords)

    def _reference(self, node: fx.Node) -> dict[str, int]:
        """Where a value is; a constant is written down when it is first asked for."""
        if node not in self.place:
            self.place[node] = self._add(*_constant(self.known[node]))
        return {"$": self.place[node]}

    def _add(self, *node: Any) -> int:
        self.nodes.append(list(node))
        return len(self.inputs) + len(self.nodes) - 1

    def _call(self, node: fx.Node) -> Iterator[Any]:
        yield _operator(node, self.stage)
        args = [self._argument(a) for a in node.args]
        while args and args[-1] is None:
            args.pop()
        yield args
        keywords = {name: self._argument(a) for name, a in node.kwargs.items() if name not in LEFT_OUT}
        if keywords := {name: a for name, a in keywords.items() if a is not None}:
            yield keywords

    def _argument(self, value: Any) -> Any:
        if isinstance(value, fx.Node):
            plain = self.known.get(value)
            return plain if isinstance(plain, (int, float)) else self._reference(value)
        if isinstance(value, (list, tuple)):
            return [self._argument(part) for part in value]
        if isinstance(value, float) and not math.isfinite(value):
            return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")  # JSON has no such numbers
        return value if isinstance(value, (bool, int, float, str)) else None


LEFT_OUT = {"dtype", "device", "layout", "pin_memory", "memory_format", "implicit"}
SAME = {"detach", "alias", "clone", "contiguous", "lift_fresh", "lift_fresh_copy", "_to_copy", "sym_float"}
"""Operators that change no number. Conversions to whole numbers and truth values do."""


def _base(node: fx.Node) -> str:
    return node.target._schema.name.split("::")[1] if hasattr(node.target, "_schema") else node.target.__name__


def _unchanged(node: fx.Node) -> fx.Node | None:
    """What a node only passes on, or None."""
    converts = _base(node) == "_to_copy" and _conversion(node) != ""
    return node.args[0] if _base(node) in SAME and not converts else None


def _conversion(node: fx.Node) -> str:
    before, after = (n.meta["val"].dtype for n in (node.args[0], node))
    if after == torch.bool != before:
        return "to_bool"
    return "trunc" if before.is_floating_point and not after.is_floating_point else ""


def _operator(node: fx.Node, stage: str) -> str:
    """The interpreter's name for what a node calls."""
    base = _conversion(node) if _base(node) == "_to_copy" else _base(node)
    full = f"{base}.{getattr(node.target, '_overloadname', '')}"
    if not {base, full} & operators():
        raise ValueError(
            f"{stage} calls the operator {full!r}; allowed: {sorted(operators())}, those of front/program.js"
        )
    return full if full in operators() else base


@cache
def operators() -> frozenset[str]:
    """The names of the interpreter's operators, read from its tables.

    >>> {"mul", "bmm", "softmax"} - operators()
    {'softmax'}
    """
    source = "".join(path.read_text(encoding="utf-8") for path in INTERPRETER)
    tables = re.findall(r"^(?:export )?const [A-Z]+ = \{\n(.*?)^\};", source, re.DOTALL | re.MULTILINE)
    return frozenset(re.findall(r'^  "?([\w.]+)"?[:,(]', "\n".join(tables), re.MULTILINE))


def _constant(value: Any) -> tuple[str, list]:
    """A node that makes a known tensor: its shape, and its one number or the bytes of all."""
    numbers = np.asarray(value, dtype=np.float32)
    if numbers.size and (numbers == numbers.flat[0]).all() and math.isfinite(numbers.flat[0]):
        return "full", [list(numbers.shape), float(numbers.flat[0])]
    return "constant", [list(numbers.shape), base64.b64encode(numbers.tobytes()).decode()]
