"""MAML for policies with the outer step of its paper: trust region policy optimisation (Schulman et al. 2015).

A step of a fixed length in theta may change what the adapted policies do very little, or entirely. So the length is
measured where it matters: by how far the adapted policies move from what they did, in the mean Kullback-Leibler
divergence over the states that they saw. The constants are those of the released code of Finn et al. 2017.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import vjp, vmap

from mapping_lib.checks import check_number, check_theta
from mapping_lib.learners import MetaLearner
from mapping_lib.networks import functional
from mapping_lib.params import as_params, flat
from mapping_lib.task import Params, Task
from mapping_lib.twice import check_norms
from mapping_lib.worlds.goals import Navigation, log_probability

from .methods import Alphas, Updates, live, policy_maml, rollouts
from .methods_policies import experience, surrogate_with_score

DAMPING, CG_STEPS = 1e-5, 10
SHRINK, TRIES = 0.8, 15

EVERY = 20
"""The metric is measured on every so manieth state; the limit is checked on all of them."""


def trust_region_maml(
    policy: nn.Module, family: Navigation, *, alpha: float | Sequence[float] = 0.1, limit: float = 0.01
) -> MetaLearner:
    """`policy_maml` through one update, which goes outwards by a whole trust region step.

    The step solves  min g·Δ  with  Δ·F Δ / 2 <= limit,  where g is the meta-gradient and F the Fisher metric of the
    *adapted* policies as a function of theta (Schulman et al. 2015, section 6 and appendix C): Δ is -F⁻¹ g by
    conjugate gradients, scaled to the limit, then shortened until the divergence measured on all states is within the
    ``limit`` > 0 and the surrogate has become better; if that never happens, it is zero. The direction is -Δ: descend
    it with ``optimiser="sgd", beta=1``. ``alpha`` is as for `policy_maml`; training takes the first step alone. Raises
    ValueError for numbers out of range.

    >>> from mapping_lib.chapters.reinforcement_learning.methods_policies import GaussianPolicy
    >>> from mapping_lib.meta_training import meta_train
    >>> learner = trust_region_maml(GaussianPolicy((2, 8, 2)), Navigation(horizon=5))
    >>> settings = {"tasks_per_step": 2, "k_shot": 4, "n_query": 4, "generator": torch.Generator().manual_seed(0)}
    >>> [p.step for p in meta_train(learner, Navigation(horizon=5), beta=1, outer_steps=2, optimiser="sgd", **settings)]
    [1, 2]
    """
    check_number("limit", limit, above=0)
    plain, model, alphas = policy_maml(policy, family, alpha=alpha), functional(policy), Alphas.of(alpha)
    check_norms(model.module)
    updates = Updates(model, surrogate_with_score, alphas)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_theta(theta, model.shapes)
        (_, before), (phi, _) = live(model, family, alphas, theta, tasks.support, 1)
        judged = rollouts(model, family, phi, tasks.query)
        after, alive = experience(judged), judged.alive.flatten(1)

        def answers(vector: Tensor, every: int = 1) -> Tensor:
            theta = as_params(vector, model.shapes)
            of_one = lambda support, x: model.predict(updates.over(theta, [support]), x)  # noqa: E731
            return vmap(of_one)(before, after.x[:, ::every])

        here = flat(theta)
        old, pull = vjp(answers, here)
        region = _Region(old, after.y, alive / alive.sum())
        (slope,) = pull(torch.func.grad(region.loss)(old))
        metric = gauss_newton(lambda v: answers(v, EVERY), here, _fisher(old[:, ::EVERY], alive[:, ::EVERY]))
        step = _within(limit, conjugate_gradients(metric, -slope), metric)
        with torch.no_grad():
            fitting = _shortened(step, lambda step: region.allows(answers(here + step), limit))
        return -judged.returns.mean(), as_params(-fitting, model.shapes)

    return plain._replace(meta_grad=meta_grad, claims="no gradient")


def divergence(old: Tensor, new: Tensor) -> Tensor:
    """How far the Gaussian policies ``new`` are from ``old``, KL(old, new), in nats, for every state.

    Both ``(..., 2 n)`` are means and log standard deviations side by side.

    >>> divergence(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))  # half the squared distance of the means
    tensor([0.5000])
    """
    (m0, s0), (m1, s1) = old.chunk(2, -1), new.chunk(2, -1)
    return (s1 - s0 + ((2 * s0).exp() + (m0 - m1).square()) / (2 * (2 * s1).exp()) - 0.5).sum(-1)


def gauss_newton(outputs: Callable[[Tensor], Tensor], at: Tensor, weight: Tensor) -> Callable[[Tensor], Tensor]:
    """v -> Jᵀ (weight * J v), where J is the derivative of ``outputs`` at the vector ``at``.

    With the `_fisher` of the outputs for a weight this is the Hessian of the mean divergence from the outputs there.

    >>> gauss_newton(lambda x: 3 * x, torch.zeros(2), torch.tensor([1.0, 2.0]))(torch.ones(2))
    tensor([ 9., 18.])
    """
    value, pull = vjp(outputs, at)
    # pull is linear in what it is given, so its own derivative is J: a product forwards out of two backwards
    _, push = vjp(lambda u: pull(u)[0], torch.zeros_like(value))
    return lambda v: pull(weight * push(v)[0])[0]


def conjugate_gradients(product: Callable[[Tensor], Tensor], b: Tensor, *, steps: int = CG_STEPS) -> Tensor:
    """Solve A x = b for a positive definite A that is known by its ``product`` alone (Hestenes and Stiefel 1952).

    >>> conjugate_gradients(lambda v: torch.tensor([1.0, 4.0]) * v, torch.tensor([1.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    x, residual = torch.zeros_like(b), b
    direction, size = residual, residual @ residual
    for _ in range(steps):
        if size < 1e-10:  # solved
            break
        moved = product(direction) + DAMPING * direction
        length = size / (direction @ moved)
        x, residual = x + length * direction, residual - length * moved
        direction, size = residual + (residual @ residual) / size * direction, residual @ residual
    return x


class _Region(NamedTuple):
    """What the adapted policies did (``old``: means and log stds), what came of it, and how much each state counts."""

    old: Tensor
    y: Tensor
    share: Tensor

    def loss(self, new: Tensor) -> Tensor:
        actions, worth = self.y[..., :-1], self.y[..., -1]
        return -((log_probability(new, actions) - log_probability(self.old, actions)).exp() * worth).mean()

    def allows(self, new: Tensor, limit: float) -> bool:
        far = (divergence(self.old, new) * self.share).sum()
        return bool((far <= limit) & (self.loss(new) < self.loss(self.old)))


def _fisher(y_hat: Tensor, counts: Tensor) -> Tensor:
    """The Fisher metric of mean and log standard deviation, by state, weighted: 1 / σ² and 2."""
    log_std = y_hat.chunk(2, -1)[1]
    metric = torch.cat([(-2 * log_std).exp(), torch.full_like(log_std, 2.0)], -1)
    return metric * (counts / counts.sum())[..., None]


def _within(limit: float, step: Tensor, metric: Callable[[Tensor], Tensor]) -> Tensor:
    """Scale a step to the border of the region, as the metric has it."""
    length = step @ metric(step)
    return step * (2 * limit / length).sqrt() if length > 0 else step


def _shortened(step: Tensor, allowed: Callable[[Tensor], bool]) -> Tensor:
    for _ in range(TRIES):
        if allowed(step):
            return step
        step = SHRINK * step
    return torch.zeros_like(step)
