"""Adapt few numbers: the weights of a task are written from theta and a handful of numbers that begin at 0.

Which numbers, and what weights they make, says a `Part` (`methods_fewer_parts`). Descent finds them, S -> a few
numbers (`few_numbers`), or another network writes them, d -> a few numbers (`written_numbers`).
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from mapping_lib.batched_mlp import is_relu_mlp
from mapping_lib.checks import check_batch, check_count, check_number, check_tasks, check_tensor, check_theta
from mapping_lib.inner_loop import Loss, inner_step, mean_squared_error, strict, support_objective
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.many_tasks import learner_by_steps, through_writing
from mapping_lib.networks import FunctionalNetwork, functional
from mapping_lib.params import as_params, prefixed
from mapping_lib.task import Batch, Params, Task

from . import methods_fewer_fast as fast
from .methods_fewer_parts import LEARNED, Choice, Part

NEW, WRITER = "new.", "writer."
"""phi holds a task's own numbers under ``new.name``; theta a writer's weights under ``writer.name``."""


def few_numbers(network: nn.Module, loss: Loss, *, part: Choice, alpha: float = 0.01, steps: int = 1) -> MetaLearner:
    """MAML for the numbers of one `Part`: they take ``steps`` inner steps of size ``alpha`` from 0, all else is shared.

    phi is theta and, under ``new.``, the numbers; the direction is the exact meta-gradient by all of theta. With
    ``only("all")`` it is `gradient.maml`. Arguments and errors as there.

    >>> from mapping_lib.chapters.what_came_after.methods_fewer_parts import context
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

    >>> from mapping_lib.chapters.what_came_after.methods_fewer_parts import low_rank
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

    >>> from mapping_lib.chapters.what_came_after.methods_fewer_parts import only
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
