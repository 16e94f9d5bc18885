"""In-context learning: adaptation without a step, (S, x) -> y."""

import torch
from torch import Tensor, nn

from mapping_lib.checks import check_batch, check_count, check_tasks, check_theta
from mapping_lib.inner_loop import Loss, strict
from mapping_lib.learners import MetaLearner
from mapping_lib.networks import functional
from mapping_lib.over_tasks import over_tasks
from mapping_lib.task import Batch, Params, Task

EVIDENCE = ("support.x", "support.y")
"""phi holds theta, and under these names the support itself."""


def in_context(transformer: nn.Module, loss: Loss) -> MetaLearner:
    """One forward pass reads the support and answers the query (Garg et al. 2022, Müller et al. 2022).

    theta is the transformer's weights, and phi is theta with the support beside it: nothing is computed
    before a query comes, and there are no inner steps (``steps`` may be None or 0). What is learned is
    E over tasks of loss(G(S, x; theta), y), whose exact gradient is the direction. ``transformer`` is any module
    that maps support.x ``(..., example, n_x)``, support.y ``(..., example, n_y)`` and x ``(..., query, n_x)`` to
    y_hat ``(..., query, n_y)``, such as `set_networks.ContextTransformer`. Raises ValueError for an unfit
    module, more than 0 steps, and tasks that do not fit.

    >>> from mapping_lib.set_networks import ContextTransformer
    >>> learner = in_context(ContextTransformer(width=8, heads=2, layers=1), nn.functional.mse_loss)
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> phi = learner.adapt(theta, Batch(torch.zeros(5, 1), torch.ones(5, 1)))
    >>> learner.predict(phi, torch.zeros(3, 1)).shape
    torch.Size([3, 1])
    """
    model, loss = functional(transformer), strict(loss)
    if clash := [name for name in model.shapes if name in EVIDENCE]:
        raise ValueError(f"transformer has a parameter named {clash[0]!r}; allowed: any other name")

    def answer(theta: Params, support: Batch, x: Tensor) -> Tensor:
        return model.predict(theta, support.x, support.y, x)

    def adapt(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        if check_count("steps", 0 if steps is None else steps, at_least=0):
            raise ValueError(f"steps is {steps}; allowed: 0 or None, as an in-context learner takes no steps")
        check_batch("support", support, dtype=check_theta(theta, model.shapes), whole_x=model.reads_tokens)
        return theta | dict(zip(EVIDENCE, support, strict=True))

    def predict(phi: Params, x: Tensor) -> Tensor:
        theta = {name: phi[name] for name in model.shapes}
        return answer(theta, Batch(*(phi[name] for name in EVIDENCE)), x)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        _check_tasks(tasks, check_theta(theta, model.shapes), model.reads_tokens)

        def meta_loss(theta: Params) -> Tensor:
            y_hat = answer(theta, tasks.support, tasks.query.x)  # all tasks in one call
            return over_tasks(loss, y_hat, tasks.query.y).mean()

        direction, value = torch.func.grad_and_value(meta_loss)(theta)
        return value, direction

    return MetaLearner(model.init, adapt, predict, meta_grad, "exact")


def _check_tasks(tasks: Task, dtype: torch.dtype, reads_tokens: bool) -> None:
    """Raise unless every task has a support and a query of one kind; what a loss would broadcast is looked at here."""
    check_tasks(tasks, dtype=dtype, whole_x=reads_tokens)
    support, query = tasks.support, tasks.query
    if query.y.shape[2:] != support.y.shape[2:]:
        shapes = f"{tuple(query.y.shape)} and tasks.support.y {tuple(support.y.shape)}"
        raise ValueError(f"tasks.query.y has shape {shapes}; allowed: targets of one length")
