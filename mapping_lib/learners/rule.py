"""A learned update rule: (phi, gradient) -> phi', a small network in the place of "minus alpha times the gradient"."""

import torch
from torch import Tensor, nn

from mapping_lib.checks import check_count, check_number
from mapping_lib.inner_loop import Loss, strict, support_objective
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.many_tasks import learner_by_steps
from mapping_lib.networks import functional, mlp
from mapping_lib.params import as_params, flat
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
    horizon = check_count("steps", steps, at_least=0)
    check_count("width", width, at_least=1)
    model, loss = functional(network), strict(loss)
    if clash := [name for name in model.shapes if name.startswith(RULE_PREFIX)]:
        raise ValueError(f"network has a parameter named {clash[0]!r}; allowed: no name that starts with 'rule.'")
    sizes = [shape.numel() for shape in model.shapes.values()]
    tensor_of = torch.eye(len(sizes), dtype=model.dtype).repeat_interleave(torch.tensor(sizes, dtype=torch.long), 0)
    rule = functional(mlp((4 + len(sizes), width, 2)).to(model.dtype))

    shapes = model.shapes | {RULE_PREFIX + name: shape for name, shape in rule.shapes.items()}

    def init(*, generator: torch.Generator) -> Params:
        weights = model.init(generator=generator)
        own = rule.init(generator=generator)
        own |= {name: torch.zeros_like(own[name]) for name in list(own)[-2:]}
        return weights | {RULE_PREFIX + name: p for name, p in own.items()}

    def step(theta: Params, phi: Params, gradient: Params) -> Params:
        own = {name: theta[RULE_PREFIX + name] for name in rule.shapes}
        weights, g = flat(phi), flat(gradient)
        a, b = rule.predict(own, features(weights, g, tensor_of.to(weights))).unbind(-1)
        return as_params(weights - alpha * (a.exp() * g + b), model.shapes)

    def iterates(theta: Params, support: Batch, steps: int) -> list[Params]:
        phis = [{name: theta[name] for name in model.shapes}]
        slope = torch.func.grad(support_objective(model.predict, loss, support))
        for _ in range(steps):
            gradient = slope(phis[-1])
            if first_order:
                gradient = {name: g.detach() for name, g in gradient.items()}
            phis.append(step(theta, phis[-1], gradient))
        return phis

    learner = learner_by_steps(model, loss, init=init, iterates=iterates, steps=horizon, shapes=shapes)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        meta_loss, direction = learner.meta_grad(theta, tasks)
        if not learn_start:
            direction |= {name: torch.zeros_like(direction[name]) for name in model.shapes}
        return meta_loss, direction

    whole = "first order" if first_order else "exact"
    claims = whole if learn_start else "no gradient"  # zero for the start, which the meta-loss does depend on
    return learner._replace(meta_grad=meta_grad, claims=claims)
