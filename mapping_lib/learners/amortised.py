"""Learners that write parameters at once, by a second network: d -> phi and S -> phi.

What gradient descent would have to find for every task anew, another network has learned to write down.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mapping_lib.checks import check_batch, check_count, check_number, check_tasks, check_tensor, check_theta
from mapping_lib.inner_loop import Loss, strict, support_objective
from mapping_lib.inner_loop import adapt as descend
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.many_tasks import through_writing
from mapping_lib.networks import FunctionalNetwork, functional
from mapping_lib.params import as_params, prefixed
from mapping_lib.task import Batch, Params, Task

BASE, WRITER = "base.", "writer."
"""theta holds the parameters that are written to under ``base.name``, those of the writer under ``writer.name``."""


def n_weights(network: nn.Module | FunctionalNetwork) -> int:
    """How many numbers a writer has to write for ``network``: its parameters that are not frozen.

    >>> from mapping_lib.networks import mlp
    >>> n_weights(mlp((1, 40, 40, 1)))
    1761
    """
    return sum(shape.numel() for shape in functional(network).shapes.values())


def hypernetwork(
    network: nn.Module, loss: Loss, *, writer: nn.Module, alpha: float = 0.01, steps: int = 0
) -> MetaLearner:
    """A network h that maps a task's description to its parameters: phi = base + h(d) (Ha et al. 2017, section 3).

    ``writer`` is h: it takes d ``(feature,)`` and gives `n_weights` numbers. theta holds h's weights and one
    ``base`` for all tasks, to which h adds. After that come ``steps`` >= 0 inner steps of size ``alpha`` on the
    support: none is needed, and the support may be empty. Raises ValueError for a value out of range, a network
    that is unfit, a writer of another length, and, in adapting, for a missing description.

    >>> from mapping_lib.networks import mlp
    >>> network = mlp((1, 8, 1))
    >>> learner = hypernetwork(network, nn.functional.mse_loss, writer=mlp((2, 16, n_weights(network))))
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> nothing = Batch(torch.zeros(0, 1), torch.zeros(0, 1))
    >>> learner.adapt(theta, nothing, description=torch.tensor([3.0, 1.0]))["0.weight"].shape
    torch.Size([8, 1])
    """

    def read(support: Batch, description: Tensor | None) -> tuple[Tensor]:
        if description is None:
            raise ValueError("description is None; allowed: a vector that says which task it is, or a set_network")
        return (check_tensor("description", description),)

    return _writing_learner(network, loss, writer, read, alpha, steps)


def set_network(
    network: nn.Module, loss: Loss, *, writer: nn.Module, alpha: float = 0.01, steps: int = 0
) -> MetaLearner:
    """A network G that maps the support to parameters, phi = base + G(S), so that H(x, S) = F(x; base + G(S)).

    ``writer`` is G: it takes x ``(example, feature)`` and y ``(example, feature)``, in any order and number, and
    gives `n_weights` numbers; `set_networks.DeepSet` is one. The rest as for `hypernetwork`, without a
    description.
    """
    return _writing_learner(network, loss, writer, lambda support, description: (support.x, support.y), alpha, steps)


def _writing_learner(network: nn.Module, loss: Loss, writer: nn.Module, read: Callable, alpha: float, steps: int):
    """Make a learner of a writer; ``read`` says what of (support, description) the writer is given."""
    check_number("alpha", alpha, at_least=0)
    default = check_count("steps", steps, at_least=0)
    model, h, loss = functional(network), functional(writer), strict(loss)
    wanted = n_weights(model)
    shapes = prefixed(BASE, model.shapes) | prefixed(WRITER, h.shapes)

    def init(*, generator: torch.Generator) -> Params:
        base, weights = model.init(generator=generator), h.init(generator=generator)
        return prefixed(BASE, base) | prefixed(WRITER, weights)

    def write(theta: Params, support: Batch, description: Tensor | None) -> Params:
        weights = {name: theta[WRITER + name] for name in h.shapes}
        numbers = h.predict(weights, *read(support, description))
        if numbers.shape != (wanted,):
            raise ValueError(
                f"writer gives the shape {tuple(numbers.shape)}; allowed: ({wanted},), one number a weight"
            )
        return {name: theta[BASE + name] + part for name, part in as_params(numbers, model.shapes).items()}

    def fine_tune(phi: Params, support: Batch, steps: int = default) -> Params:
        if support.x.shape[0] == 0:
            return phi
        return descend(phi, support_objective(model.predict, loss, support), alpha=alpha, steps=steps)

    def adapt(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        check_batch("support", support, dtype=check_theta(theta, shapes), whole_x=model.reads_tokens)
        written = write(theta, support, description)
        return fine_tune(written, support, default if steps is None else check_count("steps", steps, at_least=0))

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_tasks(tasks, dtype=check_theta(theta, shapes), whole_x=model.reads_tokens)

        def write_one(theta: Params, task: Task) -> Params:
            return write(theta, task.support, task.description)

        return through_writing(write_one, fine_tune, model.predict, loss, theta, tasks)

    return MetaLearner(init, adapt, model.predict, meta_grad, "exact")
