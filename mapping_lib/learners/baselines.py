"""The honest baselines: what can be had without meta-learning, under the same contract."""

import torch
from torch import Tensor, nn

from mapping_lib.checks import check_batch, check_count, check_drawn, check_labels, check_number, check_tensor
from mapping_lib.inner_loop import Loss, inner_step, mean_squared_error, strict, support_objective
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
        of_class = phi["y"] == torch.arange(n_way)[:, None]
        return -torch.where(of_class, distance[:, None], torch.inf).amin(-1)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_drawn(tasks)
        y_hat = over_tasks(lambda support, x: predict(adapt(theta, support), x), tasks.support, tasks.query.x)
        return (y_hat.argmax(-1) != tasks.query.y).float().mean(), {}

    return MetaLearner(lambda *, generator: {}, adapt, predict, meta_grad, "no gradient")


def bayes_ridge(*, weight: float, intercept: float, noise: float) -> MetaLearner:
    """Bayes' rule for y = w · x + b + noise: no learner has a smaller expected squared error on such tasks.

    With w_j ~ N(0, weight²), b ~ N(0, intercept²) and Gaussian noise of standard deviation ``noise``, all three
    as given to `mapping_lib.worlds.linear.LinearFunctions`, phi is the posterior mean of (w, b),

        (X'X + noise² L⁻¹)⁻¹ X'y,  L = diag(weight², ..., weight², intercept²),  X with a last column of ones

    (Bishop 2006, eqs. 3.50 and 3.51): ridge regression whose strength is not tuned but known. It is the limit
    of that where a standard deviation is 0, and 0, the prior mean, where the support is empty. Shapes: phi has
    ``weight (1, n_features)`` and ``bias (1,)``, y is ``(example, 1)``. There is nothing to train: theta and the
    direction are empty, and the meta-loss is the mean squared error on the query. Raises ValueError for a
    negative standard deviation and for examples of another shape or of whole numbers.

    >>> learner = bayes_ridge(weight=1.0, intercept=0.0, noise=1.0)
    >>> support = Batch(torch.tensor([[1.0], [2.0]]), torch.tensor([[6.0], [6.0]]))
    >>> y_hat = learner.predict(learner.adapt({}, support), torch.tensor([[1.0], [-1.0]]))
    >>> y_hat.round(decimals=4)  # 18 / (5 + 1), where ordinary least squares have 18 / 5
    tensor([[ 3.],
            [-3.]])
    """
    for name, value in (("weight", weight), ("intercept", intercept), ("noise", noise)):
        check_number(name, value, at_least=0)

    def adapt(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        _check_real(support)
        (k_shot, n_features), like = support.x.shape, support.x
        scale = like.new_tensor([weight] * n_features + [intercept])
        design = torch.cat([support.x, like.new_ones(k_shot, 1)], 1) * scale
        # by the singular values s of the design, for (w, b) = scale * u: X'X would have s², with half of the digits.
        # A direction that no example shows has s = 0 but for rounding, and keeps its prior mean, 0
        left, s, right = torch.linalg.svd(design, full_matrices=False)
        shown = s > s[:1] * max(design.shape) * torch.finfo(s.dtype).eps
        share = torch.where(shown, s / (s.square() + noise**2), 0)
        coefficients = scale * (right.mT @ (share[:, None] * (left.mT @ support.y)))[:, 0]
        return {"weight": coefficients[None, :-1], "bias": coefficients[-1:]}

    def predict(phi: Params, x: Tensor) -> Tensor:
        return nn.functional.linear(x, phi["weight"], phi["bias"])

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        if check_drawn(tasks).query.x.shape[1] == 0:
            raise ValueError(
                "tasks.query is empty; allowed: at least one query example, which the meta-loss is made of"
            )
        y_hat = over_tasks(lambda support, x: predict(adapt(theta, support), x), tasks.support, tasks.query.x)
        return mean_squared_error(y_hat, tasks.query.y), {}

    return MetaLearner(lambda *, generator: {}, adapt, predict, meta_grad, "no gradient")


def _check_real(support: Batch) -> None:
    """Raise unless one task's examples are real numbers, with one target each."""
    check_batch("support", support)
    for part, tensor, allowed in (("x", support.x, "(example, feature)"), ("y", support.y, "(example, 1)")):
        if tensor.ndim != 2 or not tensor.is_floating_point() or (part == "y" and tensor.shape[1] != 1):
            shown = f"shape {tuple(tensor.shape)} and dtype {tensor.dtype}"
            raise ValueError(f"support.{part} has {shown}; allowed: {allowed} of a floating dtype")
