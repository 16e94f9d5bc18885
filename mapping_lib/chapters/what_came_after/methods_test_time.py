"""Test-time training: an in-context learner that takes a few steps on the support before it answers, (theta, S) -> phi.

In-context learning leaves the weights as they are, whatever the support says. Here the support is made into practice:
each of its examples is asked for, with the others for a context.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mapping_lib.checks import check_count, check_number, check_tasks, check_theta
from mapping_lib.inner_loop import Loss, Objective, strict
from mapping_lib.inner_loop import adapt as descend
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.in_context import in_context
from mapping_lib.learners.many_tasks import through_adaptation
from mapping_lib.networks import functional
from mapping_lib.task import Batch, Params, Task
from mapping_lib.twice import plain_steps


def test_time(
    transformer: nn.Module,
    loss: Loss,
    *,
    alpha: float = 0.01,  # noqa: PT028 (a learner, not a test, whatever its name begins with)
    steps: int = 5,  # noqa: PT028
    leave_one_out: bool = True,  # noqa: PT028
) -> MetaLearner:
    """Take inner steps on the support's own leave-one-out questions, then answer in context (Akyürek et al. 2024).

    theta is the transformer's weights; phi is the weights after ``steps`` >= 0 gradient steps of size ``alpha`` >= 0
    down `leave_one_out_loss`, with the support beside them. Sun et al. 2020 trained at test time first, on a question
    that needs no label; on a labelled support the labels can be asked for. With ``leave_one_out=False`` the steps are
    those of plain fine-tuning: every example is asked for with the whole support, itself too, for a context. An empty
    support is no practice: no step is taken. The direction is the exact meta-gradient through the steps;
    ``transformer`` is as for `in_context`. Raises ValueError for a value out of range and an unfit module.

    >>> from mapping_lib.set_networks import ContextTransformer
    >>> learner = test_time(ContextTransformer(width=8, heads=2, layers=1), nn.functional.mse_loss, steps=2)
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> phi = learner.adapt(theta, Batch(torch.zeros(5, 1), torch.ones(5, 1)))
    >>> learner.predict(phi, torch.zeros(3, 1)).shape
    torch.Size([3, 1])
    """
    alpha, default = check_number("alpha", alpha, at_least=0), check_count("steps", steps, at_least=0)
    model, loss = functional(transformer), strict(loss)
    reader = in_context(model, loss)
    practice = leave_one_out_loss if leave_one_out else with_itself_loss

    def adapt(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        steps = default if steps is None else check_count("steps", steps, at_least=0)
        phi = reader.adapt(theta, support)
        if support.x.shape[0] == 0:  # no evidence: stay where you are
            return phi
        with plain_steps():  # attention that can be differentiated twice, and many tasks at once
            return phi | descend(theta, practice(model.predict, loss, support), alpha=alpha, steps=steps)

    def predict(phi: Params, x: Tensor) -> Tensor:
        with plain_steps():
            return reader.predict(phi, x)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_tasks(tasks, dtype=check_theta(theta, model.shapes), whole_x=model.reads_tokens)
        return through_adaptation(adapt, predict, loss, theta, tasks)

    return MetaLearner(model.init, adapt, predict, meta_grad, "exact")


test_time.__test__ = False  # pytest takes a function of this name for a test of its own


def others(k_shot: int) -> Tensor:
    """Of K examples, for each the numbers of all the others: ``(K, K - 1)``.

    >>> others(3)
    tensor([[1, 2],
            [2, 0],
            [0, 1]])
    """
    check_count("k_shot", k_shot, at_least=1)
    each = torch.arange(k_shot, dtype=torch.int64)
    return (each[:, None] + each[None, 1:]) % k_shot


def leave_one_out_loss(predict: Callable, loss: Loss, support: Batch) -> Objective:
    """The mean loss of K questions: example i, answered from the K - 1 others; all in one forward pass.

    ``predict(params, support_x, support_y, x)`` is the transformer, which may have leading dimensions: here the
    questions ``(K, K - 1, feature)``. The leave-one-out tasks of Akyürek et al. 2024, without their copies of each
    task in other orders: `ContextTransformer` does not see the order.

    >>> mean_of_others = lambda params, x, y, query: y.mean(-2, keepdim=True) + params["w"]
    >>> support = Batch(torch.zeros(3, 1), torch.tensor([[0.0], [0.0], [6.0]]))
    >>> leave_one_out_loss(mean_of_others, nn.functional.mse_loss, support)({"w": torch.tensor(0.0)})  # 3, 3 and 6 off
    tensor(18.)
    """
    rest = others(len(support.x))

    def objective(params: Params) -> Tensor:
        y_hat = predict(params, support.x[rest], support.y[rest], support.x[:, None])
        return loss(y_hat[:, 0], support.y)

    return objective


def with_itself_loss(predict: Callable, loss: Loss, support: Batch) -> Objective:
    """The control, plain fine-tuning: the loss on the support, each example with itself in the context.

    >>> mean_of_all = lambda params, x, y, query: y.mean(-2, keepdim=True).expand(len(query), 1) + params["w"]
    >>> support = Batch(torch.zeros(3, 1), torch.tensor([[0.0], [0.0], [6.0]]))
    >>> with_itself_loss(mean_of_all, nn.functional.mse_loss, support)({"w": torch.tensor(0.0)})  # 2, 2 and 4 off
    tensor(8.)
    """
    return lambda params: loss(predict(params, support.x, support.y, support.x), support.y)
