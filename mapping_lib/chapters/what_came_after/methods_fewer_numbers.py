"""Adapt few numbers: the weights of a task are written from theta and a handful of numbers that begin at 0.

Context parameters, LoRA, biases, a head and all weights differ in one thing only, a `Part`: which numbers are new for
a task, and what weights they make. Descent finds the numbers, S -> a few numbers (`few_numbers`), or another network
writes them, d -> a few numbers (`written_numbers`).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from mapping_lib.batched_mlp import is_relu_mlp
from mapping_lib.checks import (
    check_batch,
    check_choice,
    check_count,
    check_number,
    check_tasks,
    check_tensor,
    check_theta,
)
from mapping_lib.inner_loop import Loss, inner_step, mean_squared_error, strict, support_objective
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.many_tasks import learner_by_steps, through_writing
from mapping_lib.networks import FunctionalNetwork, functional
from mapping_lib.params import as_params, prefixed
from mapping_lib.task import Batch, Params, Task

from . import methods_fewer_fast as fast

NEW, LEARNED, WRITER = "new.", "learned.", "writer."
"""phi holds a task's own numbers under ``new.``; theta what was learned for them, and the writer's weights."""


class Part(NamedTuple):
    """What is new for a task: ``shapes`` of its numbers, which begin at 0, and the weights that they make.

    ``write(theta, numbers)`` gives the changed weights of the network, by name; ``learned`` are the shapes of what
    theta holds for it beside the network's weights, drawn from a normal distribution of these ``widths``.
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

    >>> from mapping_lib.networks import mlp
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

    >>> from mapping_lib.networks import mlp
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

    >>> from mapping_lib.networks import mlp
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

    >>> from mapping_lib.networks import mlp
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


def few_numbers(network: nn.Module, loss: Loss, *, part: Choice, alpha: float = 0.01, steps: int = 1) -> MetaLearner:
    """MAML for the numbers of one `Part`: they take ``steps`` inner steps of size ``alpha`` from 0, all else is shared.

    phi is theta and, under ``new.``, the numbers; the direction is the exact meta-gradient by all of theta. With
    ``only("all")`` it is `gradient.maml`. Arguments and errors as there.

    >>> from mapping_lib.networks import mlp
    >>> learner = few_numbers(mlp((1, 40, 40, 1)), nn.functional.mse_loss, part=context(2), alpha=0.1)
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> phi = learner.adapt(theta, Batch(torch.zeros(5, 1), torch.ones(5, 1)))
    >>> new_numbers(phi).shape, learner.predict(phi, torch.zeros(3, 1)).shape
    (torch.Size([2]), torch.Size([3, 1]))
    """
    alpha, steps = check_number("alpha", alpha, at_least=0), check_count("steps", steps, at_least=0)
    model, loss = functional(network), strict(loss)
    few = part(model)
    predict = _predictor(model, few)

    def iterates(theta: Params, support: Batch, steps: int) -> list[Params]:
        objective = support_objective(lambda new, x: predict(theta | new, x), loss, support)
        phis = [theta | _zeros(few, theta)]
        for _ in range(steps):
            new = {NEW + name: phis[-1][NEW + name] for name in few.shapes}
            phis.append(theta | inner_step(new, torch.func.grad(objective)(new), alpha))
        return phis

    shapes = _shapes(model, few)
    how = {"init": _init(model, few), "iterates": iterates, "steps": steps, "shapes": shapes}
    learner = learner_by_steps(model._replace(predict=predict), loss, **how)
    fits_fast = loss is mean_squared_error and is_relu_mlp(model.module)
    return _made_fast(learner, model, few, alpha, steps) if fits_fast else learner


def _made_fast(learner: MetaLearner, model: FunctionalNetwork, few: Part, alpha: float, steps: int) -> MetaLearner:
    """The same learner, computing all tasks at once; under `torch.autocast` as before."""
    shapes, default = _shapes(model, few), steps

    def write(phi: Params) -> list[Tensor]:
        return [*weights_of(model, few, phi).values()]

    def adapt_path(theta: Params, support: Batch, *, steps: int) -> Params:
        if torch.is_autocast_enabled("cpu"):
            return learner.adapt_path(theta, support, steps=steps)
        check_count("steps", steps, at_least=0)
        check_batch("support", support, dtype=check_theta(theta, shapes), ndim=3, y_features=True)
        return fast.adapt_path(write, _zeros(few, theta), theta, support, alpha, steps)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        if torch.is_autocast_enabled("cpu"):
            return learner.meta_grad(theta, tasks)
        check_tasks(tasks, dtype=check_theta(theta, shapes))
        return fast.meta_gradient(write, _zeros(few, theta), theta, tasks, alpha, default)

    return learner._replace(adapt_path=adapt_path, meta_grad=meta_grad)


def written_numbers(network: nn.Module, loss: Loss, *, part: Choice, writer: nn.Module) -> MetaLearner:
    """A network h that writes the numbers of one `Part` from a task's description: d -> a few numbers.

    With `low_rank` it is Text-to-LoRA's idea (Charakorn et al. 2025), with a vector for the text. ``writer`` is h: it
    takes d ``(feature,)`` and gives `Part.count` numbers. The support is not read, and may be empty. Raises ValueError
    for a network that is unfit, a writer of another length, a missing description, and for steps.

    >>> from mapping_lib.networks import mlp
    >>> learner = written_numbers(mlp((1, 8, 1)), nn.functional.mse_loss, part=low_rank(1), writer=mlp((2, 16, 18)))
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> nothing = Batch(torch.zeros(0, 1), torch.zeros(0, 1))
    >>> new_numbers(learner.adapt(theta, nothing, description=torch.tensor([3.0, 1.0]))).shape
    torch.Size([18])
    """
    model, h, loss = functional(network), functional(writer), strict(loss)
    few = part(model)
    shapes = _shapes(model, few) | prefixed(WRITER, h.shapes)

    def init(*, generator: Generator) -> Params:
        return _init(model, few)(generator=generator) | prefixed(WRITER, h.init(generator=generator))

    def write(theta: Params, description: Tensor | None) -> Params:
        if description is None:
            raise ValueError("description is None; allowed: a vector that says which task it is, or few_numbers")
        check_tensor("description", description)
        numbers = h.predict({name: theta[WRITER + name] for name in h.shapes}, description)
        if numbers.shape != (few.count,):
            raise ValueError(f"writer gives the shape {tuple(numbers.shape)}; allowed: ({few.count},)")
        kept = {name: p for name, p in theta.items() if not name.startswith(WRITER)}
        return kept | prefixed(NEW, as_params(numbers, few.shapes))

    def adapt(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        if steps:
            raise ValueError(f"steps is {steps}; allowed: 0 or None, as the numbers are written at once")
        check_batch("support", support, dtype=check_theta(theta, shapes), whole_x=model.reads_tokens)
        return write(theta, description)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_tasks(tasks, dtype=check_theta(theta, shapes), whole_x=model.reads_tokens)

        def write_one(theta: Params, task: Task) -> Params:
            return write(theta, task.description)

        return through_writing(write_one, lambda phi, support: phi, predict, loss, theta, tasks)

    predict = _predictor(model, few)
    return MetaLearner(init, adapt, predict, meta_grad, "exact")


def new_numbers(phi: Params) -> Tensor:
    """All numbers that phi has for its task alone, as one vector.

    >>> new_numbers({"0.bias": torch.ones(3), "new.c": torch.zeros(2)})
    tensor([0., 0.])
    """
    return torch.cat([p.flatten() for name, p in phi.items() if name.startswith(NEW)])


def weights_of(model: FunctionalNetwork, few: Part, phi: Params) -> Params:
    """The network's weights for a task: theta's, but for those that its numbers write.

    >>> from mapping_lib.networks import mlp
    >>> model = functional(mlp((1, 1)))
    >>> phi = {"0.weight": torch.ones(1, 1), "0.bias": torch.zeros(1), "new.0.bias": torch.full((1,), 3.0)}
    >>> weights_of(model, only("biases")(model), phi)
    {'0.weight': tensor([[1.]]), '0.bias': tensor([3.])}
    """
    written = few.write(phi, {name: phi[NEW + name] for name in few.shapes})
    return {name: written.get(name, phi[name]) for name in model.shapes}


def _predictor(model: FunctionalNetwork, few: Part) -> Callable[[Params, Tensor], Tensor]:
    def predict(phi: Params, x: Tensor) -> Tensor:
        return model.predict(weights_of(model, few, phi), x)

    return predict


def _shapes(model: FunctionalNetwork, few: Part) -> dict[str, tuple[int, ...]]:
    return model.shapes | prefixed(LEARNED, few.learned)


def _zeros(few: Part, theta: Params) -> Params:
    like = next(iter(theta.values()))
    return prefixed(NEW, {name: like.new_zeros(shape) for name, shape in few.shapes.items()})


def _init(model: FunctionalNetwork, few: Part) -> Callable[..., Params]:
    def init(*, generator: Generator) -> Params:
        drawn = {"generator": generator, "dtype": model.dtype}
        own = {name: torch.randn(shape, **drawn) / shape[-1] ** 0.5 for name, shape in few.learned.items()}
        return model.init(generator=generator) | prefixed(LEARNED, own)

    return init
