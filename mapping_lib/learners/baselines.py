"""The honest baselines: what a network does without meta-learning, under the same contract."""

import torch
from torch import Tensor, nn

from mapping_lib.learners import MetaLearner
from mapping_lib.learners.gradient import Loss, maml
from mapping_lib.task import Params, Task, join


def joint(network: nn.Module, loss: Loss, *, alpha: float = 0.01, steps: int = 1) -> MetaLearner:
    """Joint training on all tasks, then fine-tuning: "pretrained" in Finn et al. 2017, table 2.

    Meta-training descends the mean loss of theta itself on all examples: it is MAML with no inner
    step. ``alpha`` and ``steps`` are used at test time only. Errors as for `gradient.maml`.
    """
    fine_tuned = maml(network, loss, alpha=alpha, steps=steps)
    without_steps = maml(network, loss, steps=0)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        return without_steps.meta_grad(theta, tasks._replace(query=join(tasks.support, tasks.query)))

    return fine_tuned._replace(meta_grad=meta_grad, claims="no gradient")


def from_scratch(network: nn.Module, loss: Loss, *, alpha: float = 0.01, steps: int = 1) -> MetaLearner:
    """No meta-training at all: theta stays where it began, and the inner steps do all the learning.

    The direction is zero; the meta-loss is the query loss at phi. Errors as for `gradient.maml`.
    """
    learner = maml(network, loss, alpha=alpha, steps=steps)
    judge = maml(network, loss, alpha=alpha, steps=steps, first_order=True)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        meta_loss, _ = judge.meta_grad(theta, tasks)
        return meta_loss, {name: torch.zeros_like(p) for name, p in theta.items()}

    return learner._replace(meta_grad=meta_grad, claims="no gradient")
