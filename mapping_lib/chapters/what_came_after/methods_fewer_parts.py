"""What may be new for a task: the few numbers that are adapted, and the weights that they write.

Context parameters, LoRA, the biases, a head and all weights differ in this alone.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from mapping_lib.checks import check_choice, check_count
from mapping_lib.networks import FunctionalNetwork
from mapping_lib.task import Params

LEARNED = "learned."
"""theta holds what was learned for the numbers under ``learned.name``."""


class Part(NamedTuple):
    """What is new for a task: ``shapes`` of its numbers, which begin at 0, and the weights that they make.

    ``write(theta, numbers)`` gives the changed weights of the network, by name; ``learned`` are the shapes of what
    theta holds for it beside the network's weights, drawn from a normal distribution of deviation 1 / √(last size).
    """

    shapes: dict[str, tuple[int, ...]]
    write: Callable[[Params, Params], Params]
    learned: dict[str, tuple[int, ...]] = {}  # noqa: RUF012 (a NamedTuple's default is never changed)

    @property
    def count(self) -> int:
        """How many numbers are new for a task."""
        return sum(math.prod(shape) for shape in self.shapes.values())


Choice = Callable[[FunctionalNetwork], Part]
"""What of a network is new for a task."""


def only(*which: str) -> Choice:
    """Move weights themselves: "all" (MAML), the "biases", the "head", which is the last layer (ANIL), or several.

    Ben Zaken et al. 2022 (BitFit) fine-tune the biases only; Raghu et al. 2020, section 4, adapt the head only.

    >>> from mapping_lib.networks import functional, mlp
    >>> [only(which)(functional(mlp((1, 40, 40, 1)))).count for which in ("all", "biases", "head")]
    [1761, 81, 41]
    """
    for one in which:
        check_choice("which", one, ("all", "biases", "head"))

    def part(model: FunctionalNetwork) -> Part:
        head = head_of(model)
        kinds = {name: {"all", "biases" * name.endswith("bias"), "head" * (name in head)} for name in model.shapes}
        shapes = {name: shape for name, shape in model.shapes.items() if kinds[name] & {*which}}
        return Part(shapes, lambda theta, numbers: {name: theta[name] + moved for name, moved in numbers.items()})

    return part


def low_rank(rank: int, *, body: bool = False) -> Choice:
    """LoRA: each weight matrix W becomes W + B A, of ``rank`` r (Hu et al. 2021, section 4.1).

    B ``(out, r)`` begins at 0, A ``(r, in)`` where theta says, so the update begins at 0. Filters are read as matrices,
    ``(out, in * 3 * 3)``. Their factor alpha / r is left to the step size. With ``body`` the head is left as it is.

    >>> from mapping_lib.networks import functional, mlp
    >>> [low_rank(rank)(functional(mlp((1, 40, 40, 1)))).count for rank in (1, 2)]
    [162, 324]
    """
    check_count("rank", rank, at_least=1)

    def part(model: FunctionalNetwork) -> Part:
        left_out = head_of(model) if body else []
        matrices = {n: s for n, s in model.shapes.items() if len(s) > 1 and n not in left_out}
        a = {f"A.{name}": (rank, math.prod(shape[1:])) for name, shape in matrices.items()}
        b = {f"B.{name}": (shape[0], rank) for name, shape in matrices.items()}

        def write(theta: Params, numbers: Params) -> Params:
            def update(name: str) -> Tensor:
                return numbers[f"B.{name}"] @ (theta[f"{LEARNED}A.{name}"] + numbers[f"A.{name}"])

            return {name: theta[name] + update(name).unflatten(-1, shape[1:]) for name, shape in matrices.items()}

        return Part(a | b, write, a)

    return part


def together(*choices: Choice) -> Choice:
    """Several parts at once, of different weights.

    >>> from mapping_lib.networks import functional, mlp
    >>> together(only("head"), low_rank(1, body=True))(functional(mlp((1, 40, 40, 1)))).count
    162
    """

    def part(model: FunctionalNetwork) -> Part:
        parts = [choice(model) for choice in choices]

        def write(theta: Params, numbers: Params) -> Params:
            each = [one.write(theta, {name: numbers[name] for name in one.shapes}) for one in parts]
            return {name: p for written in each for name, p in written.items()}

        shapes = {name: shape for one in parts for name, shape in one.shapes.items()}
        learned = {name: shape for one in parts for name, shape in one.learned.items()}
        return Part(shapes, write, learned)

    return part


def head_of(model: FunctionalNetwork) -> list[str]:
    """The names of the last layer's parameters."""
    last = [*model.shapes][-1].rpartition(".")[0]
    return [name for name in model.shapes if name.rpartition(".")[0] == last]


def context(n: int, *, everywhere: bool = False) -> Choice:
    """CAVIA: a vector c of ``n`` zeros stands beside the input, and it alone is adapted (Zintgraf et al. 2019).

    A first layer that reads (x, c) adds C c to its bias: so it is written here, with C in theta. ``everywhere`` lets
    every other layer's bias read c too.

    >>> from mapping_lib.networks import functional, mlp
    >>> part = context(4)(functional(mlp((1, 40, 40, 1))))
    >>> part.count, part.learned
    (4, {'C.0.bias': (40, 4)})
    """
    check_count("n", n, at_least=1)

    def part(model: FunctionalNetwork) -> Part:
        biases = [name for name in model.shapes if name.endswith("bias")][: None if everywhere else 1]

        def write(theta: Params, numbers: Params) -> Params:
            read = {name: nn.functional.linear(numbers["c"], theta[f"{LEARNED}C.{name}"]) for name in biases}
            return {name: theta[name] + added for name, added in read.items()}

        return Part({"c": (n,)}, write, {f"C.{name}": (*model.shapes[name], n) for name in biases})

    return part
