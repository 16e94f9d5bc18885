"""Implicit MAML: the meta-gradient from where adaptation ends, whatever path has led there."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mapping_lib import batched_mlp
from mapping_lib.checks import check_batch, check_count, check_number, check_tasks, check_theta
from mapping_lib.inner_loop import Loss, mean_squared_error, strict, support_objective
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.many_tasks import paths_of_all, through_adaptation
from mapping_lib.networks import FunctionalNetwork, functional
from mapping_lib.over_tasks import stacked
from mapping_lib.params import as_params, flat
from mapping_lib.task import Batch, Params, Task

from .methods_implicit_fast import descend_all, implicit_gradient


def implicit_maml(
    network: nn.Module,
    loss: Loss,
    *,
    strength: float = 1.0,
    alpha: float = 0.01,
    steps: int = 20,
    momentum: float = 0.0,
    cg_steps: int = 10,
) -> MetaLearner:
    """Implicit MAML (Rajeswaran et al. 2019, lemma 1, algorithms 1 and 2): phi = argmin L_S(phi) + λ/2 |phi - theta|².

    phi is what ``steps`` steps of size ``alpha`` from theta make of this problem, with Polyak's ``momentum`` in
    [0, 1); λ is ``strength`` > 0. The meta-gradient is (I + ∇²L_S(phi) / λ)⁻¹ ∇L_Q(phi), by ``cg_steps`` >= 0 conjugate
    gradients (0: ∇L_Q itself). It needs phi alone, neither the path to it nor the solver, and so keeps as much for a
    thousand steps as for one. It claims to be exact, and is *where the problem is solved*, and CG has come to its end:
    `unsolved` says how far phi is from that. No step, or no evidence: phi is theta, and its gradient passes whole.
    ``adapt`` can be differentiated by theta, once; not by the support. Raises ValueError as `learners.gradient.maml`.

    >>> from mapping_lib.networks import mlp
    >>> learner = implicit_maml(mlp((1, 8, 1)), torch.nn.functional.mse_loss, strength=1.0, alpha=0.1)
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> phi = learner.adapt(theta, Batch(torch.zeros(10, 1), torch.ones(10, 1)))
    >>> learner.predict(phi, torch.zeros(3, 1)).shape
    torch.Size([3, 1])
    """
    problem = _Problem(
        functional(network),
        strict(loss),
        check_number("strength", strength, above=0),
        check_number("alpha", alpha, at_least=0),
        check_number("momentum", momentum, at_least=0),
        check_count("steps", steps, at_least=0),
        check_count("cg_steps", cg_steps, at_least=0),
    )
    if momentum >= 1:
        raise ValueError(f"momentum is {momentum}; allowed: a number from 0 to below 1")
    return _learner(problem)


class _Problem(NamedTuple):
    """The inner problem, how long it is worked on, and how its solution is differentiated."""

    model: FunctionalNetwork
    loss: Loss
    strength: float
    alpha: float
    momentum: float
    steps: int
    cg_steps: int

    def goes_fast(self) -> bool:
        """Whether `methods_implicit_fast` can compute it."""
        fits = self.loss is mean_squared_error and batched_mlp.is_relu_mlp(self.model.module)
        return fits and not torch.is_autocast_enabled("cpu")

    def objective(self, x: Tensor, y: Tensor) -> Callable[[Tensor], Tensor]:
        """The loss on a support, as a function of phi in one vector."""
        of_params = support_objective(self.model.predict, self.loss, Batch(x, y))
        return lambda vector: of_params(as_params(vector, self.model.shapes))

    def iterates(self, start: Tensor, x: Tensor, y: Tensor, steps: int) -> list[Tensor]:
        """All points from ``start`` to phi."""
        how = {"strength": self.strength, "alpha": self.alpha, "momentum": self.momentum}
        return descend(self.objective(x, y), start, steps=steps, **how)

    def pull_back(self, slope: Tensor, phi: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """What a slope at phi becomes at theta."""
        return implicit_slope(self.objective(x, y), phi, slope, self.strength, self.cg_steps)


def _learner(problem: _Problem) -> MetaLearner:
    model, loss = problem.model, problem.loss
    whole_x, shapes = model.reads_tokens, model.shapes
    *_, out = shapes.values()
    inner = {"strength": problem.strength, "alpha": problem.alpha, "momentum": problem.momentum}

    def in_order(theta: Params) -> Params:
        return {name: theta[name] for name in shapes}

    def adapt(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        steps = check_count("steps", problem.steps if steps is None else steps, at_least=0)
        check_batch("support", support, dtype=check_theta(theta, shapes), whole_x=whole_x)
        if steps == 0 or support.x.shape[0] == 0:  # no evidence: stay where you are
            return dict(theta)
        return as_params(_Solved.apply(flat(in_order(theta)), *support, problem, steps), shapes)

    def adapt_path(theta: Params, support: Batch, *, steps: int) -> Params:
        check_count("steps", steps, at_least=0)
        check_batch("support", support, dtype=check_theta(theta, shapes), ndim=3, whole_x=whole_x)

        def of_one(theta: Params, support: Batch) -> Params:
            still = support.x.shape[0] == 0
            start = flat(in_order(theta))
            path = [start] * (steps + 1) if still else problem.iterates(start, *support, steps)
            return stacked([as_params(phi, shapes) for phi in path])

        if problem.goes_fast() and support.y.shape == (*support.x.shape[:2], *out):
            path = descend_all(in_order(theta), support, steps=steps, **inner)
            return {name: torch.stack(iterates) for name, *iterates in zip(shapes, *path, strict=True)}
        return paths_of_all(of_one, theta, support)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_tasks(tasks, dtype=check_theta(theta, shapes), whole_x=whole_x)
        if not problem.goes_fast() or any(b.y.shape != (*b.x.shape[:2], *out) for b in (tasks.support, tasks.query)):
            return through_adaptation(adapt, model.predict, loss, theta, tasks)
        how = {"steps": problem.steps, "cg_steps": problem.cg_steps, **inner}
        return implicit_gradient(in_order(theta), tasks, conjugate_gradients, **how)

    return MetaLearner(model.init, adapt, model.predict, meta_grad, "exact", adapt_path)


def descend(
    objective: Callable[[Tensor], Tensor], start: Tensor, strength: float, alpha: float, momentum: float, steps: int
) -> list[Tensor]:
    """Descend ``objective(phi)`` + λ/2 |phi - start|² from ``start`` ``(parameter,)``: all ``steps`` + 1 points.

    phi' = phi - alpha * gradient + momentum * (phi - the phi before it); λ is ``strength``.

    >>> bowl = lambda phi: 0.5 * (phi - 3.0).square().sum()
    >>> descend(bowl, torch.zeros(1), strength=2.0, alpha=0.25, momentum=0.0, steps=2)
    [tensor([0.]), tensor([0.7500]), tensor([0.9375])]
    """
    path = before, phi = start, start
    for _ in range(steps):
        gradient = torch.func.grad(objective)(phi) + strength * (phi - start)
        before, phi = phi, phi - alpha * gradient + momentum * (phi - before)
        path = (*path, phi)
    return list(path[1:])


def implicit_slope(
    objective: Callable[[Tensor], Tensor], phi: Tensor, slope: Tensor, strength: float, cg_steps: int
) -> Tensor:
    """(I + H / λ)⁻¹ ``slope``, with H the Hessian of ``objective`` at ``phi`` and λ the ``strength``: ``(parameter,)``.

    Rajeswaran et al. 2019, lemma 1: what ∇L_Q at phi becomes at theta. By `conjugate_gradients`.

    >>> bowl = lambda phi: 0.5 * (torch.tensor([1.0, 10.0]) * phi * phi).sum()
    >>> implicit_slope(bowl, torch.zeros(2), torch.ones(2), strength=2.0, cg_steps=2)
    tensor([0.6667, 0.1667])
    """

    def product(v: Tensor) -> Tensor:
        of_gradient = torch.func.grad(lambda phi: torch.func.grad(objective)(phi) @ v)
        return v + of_gradient(phi) / strength

    return conjugate_gradients(product, slope, cg_steps)


def conjugate_gradients(product: Callable[[Tensor], Tensor], b: Tensor, steps: int) -> Tensor:
    """Solve ``product(x)`` = b for a symmetric, positive definite map, from x = b: ``(..., parameter)``.

    Nocedal & Wright 2006, algorithm 5.2. Each of several problems goes its own way, and stays where it is solved.

    >>> A = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    >>> conjugate_gradients(lambda v: A @ v, torch.tensor([3.0, 4.0]), steps=2)
    tensor([1., 1.])
    """
    x, r = b, b - product(b)
    p, rr = r, _dot(r, r)
    enough = torch.finfo(b.dtype).eps ** 2 * _dot(b, b)
    for _ in range(steps):
        moved, goes_on = product(p), rr > enough
        step = torch.where(goes_on, rr / torch.where(goes_on, _dot(p, moved), 1.0), 0.0)
        x, r = x + step * p, r - step * moved
        before, rr = rr, _dot(r, r)
        p = r + torch.where(goes_on, rr / torch.where(goes_on, before, 1.0), 0.0) * p
    return x


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1, keepdim=True)


def unsolved(learner: MetaLearner, theta: Params, phi: Params, support: Batch, loss: Loss, strength: float) -> Tensor:
    """How far phi is from solving its problem: |∇L_S(phi) + λ (phi - theta)| / |∇L_S(theta)|, 0 where it is solved.

    >>> from mapping_lib.networks import mlp
    >>> learner = implicit_maml(mlp((1, 8, 1)), torch.nn.functional.mse_loss, strength=1.0)
    >>> theta, S = learner.init(generator=torch.Generator().manual_seed(0)), Batch(torch.ones(3, 1), torch.ones(3, 1))
    >>> unsolved(learner, theta, theta, S, torch.nn.functional.mse_loss, 1.0)
    tensor(1.)
    """
    slope = torch.func.grad(support_objective(learner.predict, loss, support))
    first, now = flat(slope(theta)), flat(slope(phi))
    return (now + strength * (flat(phi) - flat(theta))).norm() / first.norm()


class _Solved(torch.autograd.Function):
    """phi of a solver, with the slope of the problem's solution: what the solver did on its way is not kept."""

    generate_vmap_rule = True

    @staticmethod
    def forward(start: Tensor, x: Tensor, y: Tensor, problem: _Problem, steps: int) -> Tensor:
        return problem.iterates(start, x, y, steps)[-1]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        _, x, y, ctx.problem, _ = inputs
        ctx.save_for_backward(output, x, y)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None, None, None]:
        return ctx.problem.pull_back(slope, *ctx.saved_tensors), None, None, None, None
