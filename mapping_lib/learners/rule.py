"""A learned update rule: (phi, gradient) -> phi', a small network in the place of "minus alpha times the gradient"."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mapping_lib.checks import check_count, check_number
from mapping_lib.inner_loop import Loss, strict, support_objective
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.many_tasks import learner_by_steps
from mapping_lib.networks import FunctionalNetwork, functional, mlp
from mapping_lib.params import as_params, flat, prefixed
from mapping_lib.task import Batch, Params, Task

RULE_PREFIX = "rule."
"""theta holds the rule's own weights under ``rule.name``."""


def features(weights: Tensor, gradient: Tensor, tensor_of: Tensor) -> Tensor:
    """What the rule reads of every weight ``(weight,)``: the weight, its gradient three times, and its tensor.

    The gradient comes compressed, asinh(g), and with sign and size apart: g / rms and log(rms) / 4, where rms is
    the root mean square over the weight's tensor (after Andrychowicz et al. 2016, appendix A). ``tensor_of
    (weight, tensor)`` marks which tensor each weight belongs to. Returns ``(weight, 4 + tensor)``.

    >>> features(torch.zeros(3), torch.ones(3), torch.eye(2)[[0, 0, 1]])[0]
    tensor([0.0000, 0.8814, 1.0000, 0.0000, 1.0000, 0.0000])
    """
    mean_square = tensor_of @ ((gradient.square() @ tensor_of) / tensor_of.sum(0))
    rms = (mean_square + 1e-12).sqrt()
    return torch.cat([torch.stack([weights, gradient.asinh(), gradient / rms, rms.log() / 4], -1), tensor_of], -1)


def learned_rule(
    network: nn.Module,
    loss: Loss,
    *,
    alpha: float = 0.01,
    steps: int = 5,
    width: int = 16,
    learn_start: bool = True,
    first_order: bool = False,
) -> MetaLearner:
    """Learn the update rule itself: phi' = phi - alpha * (e^a * g + b), where (a, b) = rule(phi, g).

    The rule is one small network, the same for every weight of the network that it trains. It reads the weight,
    its gradient, and which tensor it belongs to (`features`). Its last layer begins at zero: e^0 = 1, b = 0, and
    the learner begins as gradient descent. Were b = 0 and a one learned number a weight, it would be Meta-SGD, its
    smallest case (with alpha above 0). It is trained through ``steps`` >= 0 unrolled steps, and the start of
    adaptation with it, unless ``learn_start`` is False: then the direction is zero there, and so not the gradient
    by all of theta, nor claimed to be. Adapting may take another number of steps.
    ``first_order`` takes the gradients that the rule reads for constants (Andrychowicz et al. 2016, section
    2.1). Raises ValueError for values out of range or an unfit network.

    >>> learner = learned_rule(mlp((1, 8, 1)), nn.functional.mse_loss)
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> [name for name in theta if name.startswith("rule.")]
    ['rule.0.weight', 'rule.0.bias', 'rule.2.weight', 'rule.2.bias']
    """
    alpha = check_number("alpha", alpha, at_least=0)
    check_count("steps", steps, at_least=0)
    check_count("width", width, at_least=1)
    model, loss = functional(network), strict(loss)
    if clash := [name for name in model.shapes if name.startswith(RULE_PREFIX)]:
        raise ValueError(f"network has a parameter named {clash[0]!r}; allowed: no name that starts with 'rule.'")
    sizes = [shape.numel() for shape in model.shapes.values()]
    tensor_of = torch.eye(len(sizes), dtype=model.dtype).repeat_interleave(torch.tensor(sizes, dtype=torch.long), 0)
    writer = functional(mlp((4 + len(sizes), width, 2)).to(model.dtype))
    rule = _Rule(model, writer, tensor_of, loss, alpha, first_order)
    shapes = model.shapes | prefixed(RULE_PREFIX, writer.shapes)
    learner = learner_by_steps(model, loss, init=rule.init, iterates=rule.iterates, steps=steps, shapes=shapes)
    if not learn_start:
        return _without_direction(learner, list(model.shapes))
    return learner._replace(claims="first order" if first_order else "exact")


class _Rule(NamedTuple):
    """A rule for the parameters of ``model``: ``writer`` gives (a, b) of `features`, for every weight."""

    model: FunctionalNetwork
    writer: FunctionalNetwork
    tensor_of: Tensor
    loss: Loss
    alpha: float
    first_order: bool

    def init(self, *, generator: torch.Generator) -> Params:
        weights = self.model.init(generator=generator)
        own = self.writer.init(generator=generator)
        own |= {name: torch.zeros_like(own[name]) for name in list(own)[-2:]}
        return weights | prefixed(RULE_PREFIX, own)

    def iterates(self, theta: Params, support: Batch, steps: int) -> list[Params]:
        phis = [{name: theta[name] for name in self.model.shapes}]
        slope = torch.func.grad(support_objective(self.model.predict, self.loss, support))
        for _ in range(steps):
            gradient = slope(phis[-1])
            if self.first_order:
                gradient = {name: g.detach() for name, g in gradient.items()}
            phis.append(self.step(theta, phis[-1], gradient))
        return phis

    def step(self, theta: Params, phi: Params, gradient: Params) -> Params:
        own = {name: theta[RULE_PREFIX + name] for name in self.writer.shapes}
        weights, g = flat(phi), flat(gradient)
        a, b = self.writer.predict(own, features(weights, g, self.tensor_of.to(weights))).unbind(-1)
        return as_params(weights - self.alpha * (a.exp() * g + b), self.model.shapes)


def _without_direction(learner: MetaLearner, names: list[str]) -> MetaLearner:
    """The same learner, but its direction is zero by these parameters, on which the meta-loss does depend."""

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        meta_loss, direction = learner.meta_grad(theta, tasks)
        return meta_loss, direction | {name: torch.zeros_like(direction[name]) for name in names}

    return learner._replace(meta_grad=meta_grad, claims="no gradient")
