"""Programs: what an explorer computes, run by PyTorch in a kernel, or traced for the page (`mapping_lib.page.tracing`).

A program is a list of stages, functions of the library that read and write one environment: named float32 tensors, or
trees of them (a theta, a `Batch`), whose leaves are named ``theta.0.weight``, ``support.x``.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

Environment = dict[str, Any]
"""Tensors, or trees of them, by name."""


class Stage(NamedTuple):
    """A function whose parameters are names in the environment, and whose results are put there, by name.

    It is called once, or as often as the whole number named ``times`` says, and ``extra`` times more. ``collect``
    {"curves": "curve"}: what the calls put under "curve" is stacked under "curves", ``(call, ...)``.
    """

    function: Callable[..., Mapping[str, Any]]
    times: str = ""
    extra: int = 0
    collect: Mapping[str, str] = {}

    @property
    def reads(self) -> list[str]:
        """The names of the parameters that have no value of their own."""
        parameters = inspect.signature(self.function).parameters.values()
        return [p.name for p in parameters if p.default is p.empty]


class Program(NamedTuple):
    """Stages, the names that make up the frame, what is in the environment from the start, and sizes that vary.

    ``dynamic`` {"x": ("K",), "y": ("K",)} names sizes of inputs, from the first dimension on, "" where one is fixed;
    those of what is computed follow.
    """

    stages: tuple[Stage, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Any] = {}
    dynamic: Mapping[str, tuple[str, ...]] = {}


@torch.no_grad()
def run(program: Program, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
    """The frame of a program: its outputs by name, trees of tensors leaf by leaf.

    Inputs are numbers, arrays, tensors, or trees of these. Raises KeyError where a name is missing.

    >>> double = Program((Stage(lambda x: {"x": 2 * x}, times="steps"),), ("x",))
    >>> run(double, {"x": [1, 2], "steps": 3})
    {'x': tensor([ 8., 16.])}
    """
    environment = as_tensors({**program.constants, **inputs})
    for stage in program.stages:
        call(stage, environment)
    return {name: leaf for output in program.outputs for name, leaf in leaves(output, environment[output])}


def leaves(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a tree, with their names.

    >>> [name for name, _ in leaves("theta", {"w": torch.ones(1), "b": [torch.ones(1)] * 2})]
    ['theta.w', 'theta.b.0', 'theta.b.1']
    """
    if isinstance(value, Tensor):
        yield name, value
    elif value is not None:
        parts = value._asdict() if hasattr(value, "_asdict") else value
        for key, part in parts.items() if isinstance(parts, Mapping) else enumerate(parts):
            yield from leaves(f"{name}.{key}", part)


def arrays(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Inputs or constants leaf by leaf, in float32: what the interpreter is given beside the traced program.

    >>> arrays({"theta": {"w": torch.zeros(2, 1)}, "alpha": 0.5})
    {'theta.w': array([[0.],
           [0.]], dtype=float32), 'alpha': array(0.5, dtype=float32)}
    """
    return {name: leaf.numpy() for tree, value in as_tensors(values).items() for name, leaf in leaves(tree, value)}


def as_tensors(values: Mapping[str, Any]) -> Environment:
    """Values as an environment: numbers, arrays and lists of numbers become float32 tensors.

    >>> as_tensors({"alpha": 0.5, "x": [[1], [2]]})["x"].shape
    torch.Size([2, 1])
    """

    def is_numbers(value: Any) -> bool:
        return isinstance(value, list) and not (value and isinstance(value[0], (Tensor, Mapping, tuple)))

    return tree_map(
        lambda value: torch.as_tensor(value, dtype=torch.float32).detach(), dict(values), is_leaf=is_numbers
    )


def call(stage: Stage, environment: Environment) -> None:
    """Put what a stage makes into the environment, as often as the stage says.

    >>> environment = {"x": torch.tensor(1.0), "steps": torch.tensor(3.0)}
    >>> call(Stage(lambda x: {"x": 2 * x}, times="steps", collect={"path": "x"}), environment)
    >>> environment["path"]
    tensor([2., 4., 8.])
    """
    collected: dict[str, list] = {many: [] for many in stage.collect}
    for _ in range((int(environment[stage.times]) if stage.times else 1) + stage.extra):
        environment |= stage.function(**{name: environment[name] for name in stage.reads})
        for many, one in stage.collect.items():
            collected[many].append(environment[one])
    together = {
        many: tree_map(lambda *parts: torch.stack(parts), *values) for many, values in collected.items() if values
    }
    environment |= together
