"""The honest baselines: what can be had without meta-learning, under the same contract."""

import torch
from torch import Tensor, nn

from mapping_lib.checks import check_batch, check_count, check_drawn, check_labels, check_tensor
from mapping_lib.inner_loop import Loss, inner_step, strict, support_objective
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.gradient import maml
from mapping_lib.learners.many_tasks import learner_by_steps
from mapping_lib.networks import functional
from mapping_lib.over_tasks import over_tasks
from mapping_lib.task import Batch, Params, Task, join


def joint(network: nn.Module, loss: Loss, *, alpha: float = 0.01, steps: int = 1) -> MetaLearner:
    """Joint training on all tasks, then fine-tuning: "pretrained" in Finn et al. 2017, table 2.

    Meta-training descends the mean loss of theta itself on all examples: it is MAML with no inner
    step. ``alpha`` and ``steps`` are used at test time only. Errors as for `gradient.maml`.
    """
    fine_tuned = maml(network, loss, alpha=alpha, steps=steps)
    without_steps = maml(network, loss, steps=0)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_drawn(tasks)
        return without_steps.meta_grad(theta, tasks._replace(query=join(tasks.support, tasks.query, dim=1)))

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


def joint_adam(network: nn.Module, loss: Loss, *, alpha: float = 0.01, steps: int = 1) -> MetaLearner:
    """Joint training, then fine-tuning by Adam in place of plain gradient steps (Kingma & Ba 2015, algorithm 1).

    A fresh Adam for every task, with the paper's 0.9 and 0.999. Meta-training is that of `joint`, so no gradient
    need pass through Adam. Errors as for `gradient.maml`.
    """
    learner, model = joint(network, loss, alpha=alpha, steps=steps), functional(network)

    def iterates(theta: Params, support: Batch, steps: int) -> list[Params]:
        gradient = torch.func.grad(support_objective(model.predict, strict(loss), support))
        # both means in float32 or finer: in half precision a squared gradient is soon 0
        wide = {
            name: torch.zeros_like(p, dtype=torch.promote_types(p.dtype, torch.float32)) for name, p in theta.items()
        }
        phis, mean, square = [dict(theta)], wide, wide
        for t in range(1, steps + 1):
            g = {name: slope.to(wide[name].dtype) for name, slope in gradient(phis[-1]).items()}
            mean = {name: 0.9 * mean[name] + 0.1 * g[name] for name in g}
            square = {name: 0.999 * square[name] + 0.001 * g[name].square() for name in g}
            move = {n: mean[n] / (1 - 0.9**t) / ((square[n] / (1 - 0.999**t)).sqrt() + 1e-8) for n in g}
            phis.append(inner_step(phis[-1], {n: step.to(theta[n].dtype) for n, step in move.items()}, alpha))
        return phis

    by_adam = learner_by_steps(model, loss, init=model.init, iterates=iterates, steps=steps, shapes=model.shapes)
    return learner._replace(adapt=by_adam.adapt, adapt_path=by_adam.adapt_path)


def nearest_neighbour(n_way: int) -> MetaLearner:
    """No network and no theta: an example has the label of the support example nearest to it.

    phi is the support itself. ``predict`` gives logits ``(example, n_way)``, minus the Euclidean distance
    to the nearest support example of each class: -inf for a class that the support lacks, 0 for all where
    the support is empty. Labels are whole numbers from 0 to n_way - 1. There is nothing to train: the
    direction is empty, and the meta-loss is the share of the query that is wrong. Raises ValueError for
    n_way below 1 and for labels of another shape or kind.

    >>> learner = nearest_neighbour(n_way=2)
    >>> support = Batch(torch.tensor([[0.0], [5.0]]), torch.tensor([1, 0]))
    >>> learner.predict(learner.adapt({}, support), torch.tensor([[2.0]]))
    tensor([[-3., -2.]])
    """
    check_count("n_way", n_way, at_least=1)

    def adapt(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        check_batch("support", support)
        check_labels("support", support, ndim=1)
        return {"x": support.x, "y": support.y}

    def predict(phi: Params, x: Tensor) -> Tensor:
        check_tensor("x", x)
        if len(phi["x"]) == 0:
            return x.new_zeros(len(x), n_way)
        distance = torch.cdist(x.flatten(1), phi["x"].flatten(1))
        of_class = phi["y"] == torch.arange(n_way, device=x.device)[:, None]
        return -torch.where(of_class, distance[:, None], torch.inf).amin(-1)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_drawn(tasks)
        y_hat = over_tasks(lambda support, x: predict(adapt(theta, support), x), tasks.support, tasks.query.x)
        return (y_hat.argmax(-1) != tasks.query.y).float().mean(), {}

    return MetaLearner(lambda *, generator: {}, adapt, predict, meta_grad, "no gradient")
