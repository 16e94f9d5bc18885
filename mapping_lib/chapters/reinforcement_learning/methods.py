"""MAML for policies: the support is a function from phi to trajectories, so every inner step tries its own phi."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mapping_lib import inner_loop
from mapping_lib.checks import check_count, check_number, check_theta
from mapping_lib.inner_loop import Loss, support_objective
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.many_tasks import one_each, through_adaptation
from mapping_lib.networks import FunctionalNetwork, functional
from mapping_lib.task import Batch, Params, Task
from mapping_lib.worlds.goals import Navigation, Rollouts

from .methods_policies import experience, surrogate, surrogate_with_score

Support = Callable[[Params], Batch]
"""phi -> what a policy with the parameters phi lives through, as a `Batch` of `methods_policies.experience`."""


def policy_maml(
    policy: nn.Module,
    family: Navigation,
    *,
    alpha: float | Sequence[float] = 0.1,
    steps: int = 1,
    score_term: bool = True,
) -> MetaLearner:
    """MAML for reinforcement learning (Finn et al. 2017, algorithm 3), with REINFORCE as the inner gradient.

    ``adapt(theta, support)`` takes a *function* for a support: each inner step calls it with the phi that it has
    reached, and descends the `surrogate` on what comes back; nothing is differentiated through the function.
    ``adapt_path`` and ``meta_grad`` take the luck that `Navigation.sample` draws, and share it out evenly to the steps.
    The meta-loss is minus the mean return after adaptation; the direction is an estimate of its gradient (up to the
    scale of advantages), with the score-function term of the inner trajectories or without (see
    `methods_policies.surrogate_with_score`). ``alpha`` is one size for all steps, or one each, the last of which then
    holds on. With ``steps=0`` this is joint training. Raises ValueError for numbers out of range.

    >>> from mapping_lib.chapters.reinforcement_learning.methods_policies import GaussianPolicy
    >>> family = Navigation(horizon=5)
    >>> learner = policy_maml(GaussianPolicy((2, 8, 2)), family, alpha=(0.1, 0.05))
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> tasks = family.sample(3, 4, 4, generator=torch.Generator().manual_seed(1))
    >>> learner.adapt_path(theta, tasks.support, steps=2)["log_std"].shape
    torch.Size([3, 3, 2])
    """
    model, alphas = functional(policy), Alphas.of(alpha)
    default = check_count("steps", steps, at_least=0)
    updates = Updates(model, surrogate_with_score if score_term else surrogate, alphas)

    def adapt(theta: Params, support: Support, *, description=None, steps: int | None = None) -> Params:
        steps = check_count("steps", default if steps is None else steps, at_least=0)
        return updates.over(theta, [support] * steps)

    def adapt_path(theta: Params, support: Batch, *, steps: int) -> Params:
        check_theta(theta, model.shapes)
        path = [phi for phi, _ in live(model, family, alphas, theta, support, steps)]
        return {name: torch.stack([phi[name] for phi in path]) for name in theta}

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_theta(theta, model.shapes)
        *stages, (phi, _) = live(model, family, alphas, theta, tasks.support, default)
        judged = rollouts(model, family, phi, tasks.query)
        lived = _stacked([stage.lived for stage in stages], like=tasks.support)
        adapted = Task(lived, experience(judged), tasks.description)
        _, direction = through_adaptation(updates.again, model.predict, surrogate, theta, adapted)
        return -judged.returns.mean(), direction

    return MetaLearner(model.init, adapt, model.predict, meta_grad, "no gradient", adapt_path)


class Alphas(NamedTuple):
    """The size of each inner step; the last one holds for all that follow.

    >>> Alphas.of((0.1, 0.05)).at(0), Alphas.of((0.1, 0.05)).at(7)
    (0.1, 0.05)
    """

    sizes: tuple[float, ...]

    @classmethod
    def of(cls, alpha: float | Sequence[float]) -> "Alphas":
        """From one size for all steps, or one each. Raises ValueError for a size that is no number, or below 0."""
        if isinstance(alpha, Sequence) and not isinstance(alpha, str):
            if not alpha:
                raise ValueError(f"alpha is {alpha!r}; allowed: one number, or one for each step")
            return cls(tuple(check_number(f"alpha[{i}]", a, at_least=0) for i, a in enumerate(alpha)))
        return cls((check_number("alpha", alpha, at_least=0),))

    def at(self, step: int) -> float:
        """The size of a step, counted from 0."""
        return self.sizes[min(step, len(self.sizes) - 1)]


class Updates(NamedTuple):
    """The inner loop of one task: a step down ``loss`` on each support, one after the other."""

    model: FunctionalNetwork
    loss: Loss
    alphas: Alphas

    def over(self, theta: Params, supports: Iterable[Support | Batch]) -> Params:
        """phi after a step on each of the supports: a function of phi, or a `Batch` that stays as it is."""
        check_theta(theta, self.model.shapes)
        phi = dict(theta)
        for i, support in enumerate(supports):
            objective = support_objective(self.model.predict, self.loss, support)
            phi = inner_loop.adapt(phi, objective, alpha=self.alphas.at(i), steps=1)
        return phi

    def again(self, theta: Params, lived: Batch) -> Params:
        """phi after the same steps on what the task has lived through in each, ``(step, row, feature)``."""
        return self.over(theta, [Batch(x, y) for x, y in zip(*lived, strict=True)])


class Stage(NamedTuple):
    """The parameters of all tasks' policies, and what these lived through: None once all steps are done."""

    phi: Params
    lived: Batch | None


def rollouts(policy: nn.Module | FunctionalNetwork, family: Navigation, phi: Params, luck: Batch) -> Rollouts:
    """Let every task's policy act: tensors of ``phi`` lead with the task dimension, ``luck`` as in `Navigation`.

    >>> from mapping_lib.chapters.reinforcement_learning.methods_policies import GaussianPolicy
    >>> family, policy = Navigation(horizon=5), GaussianPolicy((2, 8, 2))
    >>> phi = one_each(functional(policy).init(generator=torch.Generator().manual_seed(0)), 3)
    >>> tasks = family.sample(3, 4, 0, generator=torch.Generator().manual_seed(1))
    >>> rollouts(policy, family, phi, tasks.support).returns.shape
    torch.Size([3, 4])
    """
    predict = torch.func.vmap(functional(policy).predict)
    with torch.no_grad():
        return family.rollouts(lambda seen: predict(phi, seen), luck)


def trials(policy: nn.Module, family: Navigation, luck: Batch) -> Support:
    """One task's support as a function: try phi with this ``luck (trajectory, horizon, 2)``, and tell what happened.

    >>> from mapping_lib.chapters.reinforcement_learning.methods_policies import GaussianPolicy
    >>> family, policy = Navigation(horizon=5), GaussianPolicy((2, 8, 2))
    >>> phi = functional(policy).init(generator=torch.Generator().manual_seed(0))
    >>> task = family.sample(1, 4, 0, generator=torch.Generator().manual_seed(1))
    >>> trials(policy, family, Batch(task.support.x[0], task.support.y[0]))(phi).x.shape
    torch.Size([20, 2])
    """
    model = functional(policy)

    def support(phi: Params) -> Batch:
        held = {name: p.detach()[None] for name, p in phi.items()}
        lived = experience(rollouts(model, family, held, Batch(luck.x[None], luck.y[None])))
        return Batch(lived.x[0], lived.y[0])

    return support


def live(
    model: FunctionalNetwork, family: Navigation, alphas: Alphas, theta: Params, luck: Batch, steps: int
) -> Iterator[Stage]:
    """phi before each step with what it lived through there, and at last phi after all steps with None.

    ``alphas`` has the sizes of the steps, ``luck`` is shared out to them evenly. Nothing is differentiated. Raises
    ValueError where the trajectories cannot be shared out.

    >>> from mapping_lib.chapters.reinforcement_learning.methods_policies import GaussianPolicy
    >>> family, model = Navigation(horizon=5), functional(GaussianPolicy((2, 8, 2)))
    >>> luck = family.sample(3, 4, 0, generator=torch.Generator().manual_seed(1)).support
    >>> theta = model.init(generator=torch.Generator().manual_seed(0))
    >>> (_, lived), (phi, _) = live(model, family, Alphas.of(0.1), theta, luck, 1)
    >>> lived.x.shape, phi["log_std"].shape
    (torch.Size([3, 20, 2]), torch.Size([3, 2]))
    """
    check_count("steps", steps, at_least=0)
    if luck.x.ndim != 4 or luck.x.shape[1] < steps or (steps and luck.x.shape[1] % steps):
        raise ValueError(
            f"support.x has shape {tuple(luck.x.shape)};"
            f" allowed: (task, trajectory, horizon, 2), as many for each of {steps} steps"
        )
    phi, predict = one_each(theta, len(luck.x)), torch.func.vmap(model.predict)
    slopes = torch.func.vmap(torch.func.grad(lambda phi, x, y: surrogate(model.predict(phi, x), y)))
    with torch.no_grad():
        for i, share in enumerate(zip(*(part.chunk(max(steps, 1), 1) for part in luck), strict=True)):
            if i == steps:
                break
            act = lambda seen, phi=phi: predict(phi, seen)  # noqa: E731
            lived = experience(family.rollouts(act, Batch(*share)))
            yield Stage(phi, lived)
            phi = inner_loop.inner_step(phi, slopes(phi, *lived), alphas.at(i))
    yield Stage(phi, None)


def _stacked(batches: list[Batch], *, like: Batch) -> Batch:
    """What was lived in each step, as one batch ``(task, step, row, feature)``."""
    if not batches:
        empty = like.x.new_zeros(len(like.x), 0, 0, 0)
        return Batch(empty, empty)
    return Batch(*(torch.stack(part, 1) for part in zip(*batches, strict=True)))
