"""MAML and its siblings: adaptation by inner gradient steps, (theta, S) -> phi.

They differ in two things only: which alpha each parameter has (one for all: MAML; zero outside the
head: ANIL; learned: Meta-SGD), and what the outer optimiser descends (the exact meta-gradient, one
without second derivatives: FOMAML, or theta - phi: Reptile).
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mapping_lib import batched_mlp, inner_loop
from mapping_lib.checks import check_batch, check_count, check_drawn, check_number, check_tasks, check_theta
from mapping_lib.inner_loop import Loss, StepSize, mean_squared_error, strict, support_objective
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.many_tasks import paths_of_all, through_adaptation
from mapping_lib.networks import FunctionalNetwork, functional
from mapping_lib.over_tasks import over_tasks
from mapping_lib.params import prefixed
from mapping_lib.task import Batch, Params, Task

ALPHA_PREFIX = "alpha."
"""Meta-SGD's theta holds the step size of parameter ``name`` under ``alpha.name``."""


def maml(
    network: nn.Module, loss: Loss, *, alpha: float = 0.01, steps: int = 1, first_order: bool = False
) -> MetaLearner:
    """Model-agnostic meta-learning (Finn et al. 2017, algorithms 1 and 2).

    phi = theta after ``steps`` inner steps of size ``alpha`` on the support; the meta-gradient is that
    of the mean query loss at phi, through all inner steps. ``alpha`` >= 0, ``steps`` >= 0; ``network``
    is any module whose forward pass changes no buffer and draws no random number; its frozen parameters stay as they
    are, in both loops, and `networks.functional` lets training begin at its own values. Raises ValueError
    for a value out of range or an unfit network. Where you differentiate through ``adapt`` yourself, put
    `torch.func.vmap` outside of the gradient: inside, torch 2.13 is wrong for normalisation layers.

    >>> from mapping_lib.networks import mlp
    >>> learner = maml(mlp((1, 40, 40, 1)), torch.nn.functional.mse_loss, alpha=0.01, steps=1)
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> phi = learner.adapt(theta, Batch(torch.zeros(10, 1), torch.ones(10, 1)))
    >>> learner.predict(phi, torch.zeros(3, 1)).shape
    torch.Size([3, 1])
    """
    alpha = check_number("alpha", alpha, at_least=0)
    rule = _rule(network, loss, steps, first_order)
    return _gradient_learner(rule, split=lambda theta: (theta, alpha))


def fomaml(network: nn.Module, loss: Loss, *, alpha: float = 0.01, steps: int = 1) -> MetaLearner:
    """First-order MAML (Finn et al. 2017, section 5.2): the inner *gradient* is taken as a constant.

    The direction is the mean of the query gradients at phi. Arguments and errors as for `maml`.
    """
    return maml(network, loss, alpha=alpha, steps=steps, first_order=True)


def anil(
    network: nn.Module, loss: Loss, *, alpha: float = 0.01, steps: int = 1, head: str | None = None
) -> MetaLearner:
    """Almost No Inner Loop (Raghu et al. 2020, section 4): only the head adapts, alpha is 0 elsewhere.

    ``head`` is the name of the layer that adapts; by default the last one that has parameters.
    Other arguments and errors as for `maml`.

    >>> from mapping_lib.networks import mlp
    >>> learner = anil(mlp((1, 8, 1)), torch.nn.functional.mse_loss)
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> phi = learner.adapt(theta, Batch(torch.ones(2, 1), torch.ones(2, 1)))
    >>> [name for name in phi if not torch.equal(phi[name], theta[name])]
    ['2.weight', '2.bias']
    """
    alpha = check_number("alpha", alpha, at_least=0)
    rule = _rule(network, loss, steps)
    if head is None:
        last = list(rule.model.shapes)[-1]
        head = last.rpartition(".")[0] or last
    alphas = {name: alpha if f"{name}.".startswith(f"{head}.") else 0.0 for name in rule.model.shapes}
    if not any(f"{name}.".startswith(f"{head}.") for name in alphas):
        raise ValueError(
            f"head is {head!r}; allowed: the name of a layer, the first part of one of {', '.join(alphas)}"
        )
    return _gradient_learner(rule, split=lambda theta: (theta, alphas))


def meta_sgd(
    network: nn.Module, loss: Loss, *, alpha: float = 0.01, steps: int = 1, first_order: bool = False
) -> MetaLearner:
    """Meta-SGD (Li et al. 2017, algorithm 1): every weight's alpha is learned along with the weights.

    theta holds the weights and, under ``alpha.<name>``, tensors of their shapes that start at
    ``alpha`` and may become negative. Other arguments and errors as for `maml`.
    """
    alpha = check_number("alpha", alpha, at_least=0)
    rule = _rule(network, loss, steps, first_order)
    names = rule.model.shapes
    if clash := [name for name in names if name.startswith(ALPHA_PREFIX)]:
        raise ValueError(f"network has a parameter named {clash[0]!r}; allowed: no name that starts with 'alpha.'")

    def init(*, generator: torch.Generator) -> Params:
        weights = rule.model.init(generator=generator)
        return weights | prefixed(ALPHA_PREFIX, {name: torch.full_like(w, alpha) for name, w in weights.items()})

    def split(theta: Params) -> tuple[Params, StepSize]:
        return {name: theta[name] for name in names}, {name: theta[ALPHA_PREFIX + name] for name in names}

    shapes = names | prefixed(ALPHA_PREFIX, names)
    return _gradient_learner(rule, split, alpha_too=True, shapes=shapes)._replace(init=init)


def reptile(network: nn.Module, loss: Loss, *, alpha: float = 0.01, steps: int = 10) -> MetaLearner:
    """Reptile (Nichol et al. 2018, algorithm 1): move theta towards phi; the direction is theta - phi.

    It uses the support alone, and no gradient passes through adaptation. Give it all the examples as
    support (``n_query=0``) to let it see as many as MAML does. With ``steps=1`` it is joint training.
    The meta-loss it reports is the loss at phi, on the query or, where that is empty, on the support.
    """
    learner, judge = maml(network, loss, alpha=alpha, steps=steps), strict(loss)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_drawn(tasks)
        path = learner.adapt_path(theta, tasks.support, steps=steps)
        phi = {name: p[-1] for name, p in path.items()}
        judged = tasks.query if tasks.query.x.shape[1] else tasks.support
        meta_loss = over_tasks(lambda phi, batch: judge(learner.predict(phi, batch.x), batch.y), phi, judged).mean()
        return meta_loss, {name: theta[name] - phi[name].mean(0) for name in theta}

    return learner._replace(meta_grad=torch.no_grad()(meta_grad), claims="no gradient")


class _Rule(NamedTuple):
    """What the siblings share: a network, the loss, the number of inner steps, and how to differentiate."""

    model: FunctionalNetwork
    loss: Loss
    steps: int
    first_order: bool = False
    fast: bool = False

    def check(self, name: str, batch: Batch, dtype: torch.dtype, *, ndim: int) -> None:
        """Raise unless ``batch`` fits the network; what the fast path would broadcast is looked at here."""
        check_batch(name, batch, dtype=dtype, ndim=ndim, whole_x=self.model.reads_tokens)
        if self.fast:
            (_, n_in), (n_out, *_) = list(self.model.shapes.values())[:: len(self.model.shapes) - 1]
            for part, tensor, width in (("x", batch.x, n_in), ("y", batch.y, n_out)):
                wanted = (*batch.x.shape[:-1], width)
                if tensor.shape != wanted:
                    raise ValueError(f"{name}.{part} has shape {tuple(tensor.shape)}; allowed: {wanted}")

    def goes_fast(self) -> bool:
        """Whether to take the fast path now: `torch.autocast` gives products another dtype than it was derived for."""
        return self.fast and not torch.is_autocast_enabled("cpu")

    def in_order(self, params: Params, alpha: StepSize) -> tuple[list[Tensor], list[Tensor]]:
        """Parameters and step sizes as the lists that `batched_mlp` reads, first layer first."""
        ordered = [params[name] for name in self.model.shapes]
        dtype = ordered[0].dtype
        if not isinstance(alpha, Mapping):  # one for all: make its tensor once
            return ordered, [torch.as_tensor(alpha, dtype=dtype)] * len(ordered)
        return ordered, [torch.as_tensor(alpha[name], dtype=dtype) for name in self.model.shapes]


def _rule(network: nn.Module, loss: Loss, steps: int, first_order: bool = False) -> _Rule:
    check_count("steps", steps, at_least=0)
    model, loss = functional(network), strict(loss)
    fast = loss is mean_squared_error and batched_mlp.is_relu_mlp(model.module)
    return _Rule(model, loss, steps, first_order, fast)


def _gradient_learner(rule: _Rule, split, *, alpha_too: bool = False, shapes=None) -> MetaLearner:
    """Make a learner of ``rule``; ``split`` takes theta apart into (initial parameters, alpha)."""
    model, loss, shapes = rule.model, rule.loss, shapes or rule.model.shapes

    def adapt(theta: Params, support, *, description=None, steps: int | None = None) -> Params:
        steps = check_count("steps", rule.steps if steps is None else steps, at_least=0)
        dtype = check_theta(theta, shapes)
        params, alpha = split(theta)
        if not callable(support):
            rule.check("support", support, dtype, ndim=2)
            if support.x.shape[0] == 0:  # no evidence: stay where you are
                return dict(params)
        objective = support_objective(model.predict, loss, support)
        return inner_loop.adapt(params, objective, alpha=alpha, steps=steps, first_order=rule.first_order)

    def adapt_path(theta: Params, support: Batch, *, steps: int) -> Params:
        check_count("steps", steps, at_least=0)
        rule.check("support", support, check_theta(theta, shapes), ndim=3)
        params, alpha = split(theta)
        return (_fast_path if rule.goes_fast() else _general_path)(rule, params, alpha, support, steps)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        dtype = check_theta(theta, shapes)
        check_tasks(tasks, dtype=dtype, whole_x=rule.model.reads_tokens)
        for name, batch in (("tasks.support", tasks.support), ("tasks.query", tasks.query)):
            rule.check(name, batch, dtype, ndim=3)
        if not rule.goes_fast():
            return through_adaptation(adapt, model.predict, loss, theta, tasks)
        params, alpha = split(theta)
        return _fast_meta_grad(rule, params, alpha, tasks, alpha_too)

    claims = "first order" if rule.first_order else "exact"
    return MetaLearner(model.init, adapt, model.predict, meta_grad, claims, adapt_path)


def _general_path(rule: _Rule, params: Params, alpha: StepSize, support: Batch, steps: int) -> Params:
    def one_task(params: Params, support: Batch) -> Params:
        if support.x.shape[0] == 0:
            return {name: p.expand(steps + 1, *p.shape) for name, p in params.items()}
        objective = support_objective(rule.model.predict, rule.loss, support)
        return inner_loop.adapt_path(params, objective, alpha=alpha, steps=steps)

    return paths_of_all(one_task, params, support)


def _fast_path(rule: _Rule, params: Params, alpha: StepSize, support: Batch, steps: int) -> Params:
    """As `_general_path`, by `batched_mlp`."""
    iterates = batched_mlp.adapt_path(*rule.in_order(params, alpha), support, steps)
    return {name: torch.stack(path) for name, *path in zip(rule.model.shapes, *iterates, strict=True)}


def _fast_meta_grad(rule: _Rule, params: Params, alpha: StepSize, tasks: Task, alpha_too: bool):
    """As `through_adaptation`, by `batched_mlp`."""
    result = batched_mlp.meta_gradient(
        *rule.in_order(params, alpha),
        tasks.support,
        tasks.query,
        steps=rule.steps,
        first_order=rule.first_order,
        alpha_too=alpha_too,
    )
    direction = dict(zip(rule.model.shapes, result.params, strict=True))
    if alpha_too:
        direction |= prefixed(ALPHA_PREFIX, dict(zip(rule.model.shapes, result.alpha, strict=True)))
    return result.loss, direction
