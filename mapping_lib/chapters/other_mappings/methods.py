"""What the other mappings are held against: the gradient flow without an error, and Bayes on linear functions."""

import torch
from torch import Tensor, nn

from mapping_lib.checks import check_batch, check_count, check_drawn, check_number
from mapping_lib.flow import gradient_flow
from mapping_lib.inner_loop import Objective, mean_squared_error
from mapping_lib.learners import MetaLearner
from mapping_lib.over_tasks import over_tasks
from mapping_lib.params import flat
from mapping_lib.task import Batch, Params, Task


def flow_to_tolerance(
    params: Params, objective: Objective, *, tau: float, tolerance: float = 1e-6, max_steps: int = 2**14
) -> tuple[Params, int]:
    """Follow the flow with twice as many steps each time, until doubling moves no parameter by ``tolerance``.

    Returns phi(tau) and the number of Runge-Kutta steps that it took. Raises ValueError for arguments out of
    range and ArithmeticError where ``max_steps`` are not enough. Not for use inside `torch.func.vmap`.

    >>> phi, steps = flow_to_tolerance({"w": torch.tensor(1.0)}, lambda p: 0.5 * p["w"] ** 2, tau=1.0)
    >>> round(float(phi["w"]), 5), steps
    (0.36788, 16)
    """
    check_number("tau", tau, at_least=0)
    check_number("tolerance", tolerance, above=0)
    check_count("max_steps", max_steps, at_least=2)
    steps, coarse = 1, gradient_flow(params, objective, tau=tau, steps=1)
    while 2 * steps <= max_steps:
        steps *= 2
        fine = gradient_flow(params, objective, tau=tau, steps=steps)
        moved = float((flat(fine) - flat(coarse)).abs().max())  # nan where the flow was lost: that is no success
        if moved <= tolerance:
            return fine, steps
        coarse = fine
    raise ArithmeticError(
        f"tolerance is {tolerance:g}, and {steps} steps up to tau = {tau:g} still moved a parameter by {moved:.2g};"
        " allowed: a larger tolerance, a shorter tau, or more max_steps"
    )


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
        has_evidence = s > s[:1] * max(design.shape) * torch.finfo(s.dtype).eps
        share = torch.where(has_evidence, s / (s.square() + noise**2), 0)
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
            form = f"shape {tuple(tensor.shape)} and dtype {tensor.dtype}"
            raise ValueError(f"support.{part} has {form}; allowed: {allowed} of a floating dtype")
