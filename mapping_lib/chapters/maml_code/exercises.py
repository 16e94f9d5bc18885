"""The exercises of chapter 3."""

from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import fomaml, maml
from mapping_lib.networks import mlp
from mapping_lib.page.checking import answered, check, expect, need, number, numbers

_mse = torch.nn.functional.mse_loss


@check("repeat m times: the gradient at theta is theta - 3; then theta = theta - alpha * gradient.")
def check_descend(descend: Callable[[float, float, int], float]) -> str:
    """Chapter 3, exercise 1: ``descend(theta, alpha, steps)`` on the loss (theta - 3)^2 / 2."""
    for theta, alpha, steps in ((1.0, 0.1, 5), (0.0, 0.5, 1), (2.0, 0.3, 0), (-1.0, 1.9, 3)):
        left = 1 - alpha
        mistakes = {
            "the steps go up: a step is taken *against* the gradient.": 3 + (1 + alpha) ** steps * (theta - 3),
            "that is one long step: the gradient is another one after each step.": theta - steps * alpha * (theta - 3),
            "that is one step too few.": 3 + left ** (steps - 1) * (theta - 3) if steps else theta,
            "that is one step too many.": 3 + left ** (steps + 1) * (theta - 3),
            "that is how far it is from the minimum, 3, and not where it is.": left**steps * (theta - 3),
            "the gradient of 1/2 (theta - 3)^2 is theta - 3, without a 2.": 3 + (1 - 2 * alpha) ** steps * (theta - 3),
        }
        got = number(descend(torch.tensor(theta), alpha, steps))
        expect(got, 3 + left**steps * (theta - 3), f"for descend({theta}, {alpha}, {steps})", mistakes)
    return "After m steps the distance to the minimum is (1 - alpha)^m of what it was."


@check("only the inner gradient is a constant: call .detach() on each of its tensors, and on nothing else.")
def check_first_order(meta_loss: Callable) -> str:
    """Chapter 3, exercise 2: ``meta_loss(theta, tasks)`` whose gradient by theta is FOMAML's."""
    network = mlp((1, 40, 40, 1)).double()
    tasks = Sinusoids(dtype=torch.float64).sample(4, 5, 7, generator=torch.Generator().manual_seed(0))
    first, full = (make(network, _mse, alpha=0.01, steps=1) for make in (fomaml, maml))
    theta = first.init(generator=torch.Generator().manual_seed(1))
    (value, wanted), (_, exact) = (learner.meta_grad(theta, tasks) for learner in (first, full))
    leaves = {name: p.clone().requires_grad_() for name, p in theta.items()}
    loss = answered(meta_loss(leaves, tasks))
    expect(number(loss, "the meta-loss"), float(value), "for the meta-loss, which should not change,")
    need(isinstance(loss, Tensor) and loss.requires_grad, "no gradient reaches theta: were the parameters detached?")
    got = torch.autograd.grad(loss.sum(), list(leaves.values()), allow_unused=True)
    need(all(g is not None for g in got), "no gradient reaches some of theta: was a parameter detached?")
    apart, from_full = (
        max(float((g - w).abs().max()) for g, w in zip(got, gradient.values(), strict=True))
        for gradient in (wanted, exact)
    )
    need(from_full > 1e-6, "that is MAML's full gradient, second derivatives and all: nothing in it is detached.")
    need(apart < 1e-6, "this is still a different gradient from FOMAML's.")
    return "The same meta-loss, and the gradient without second derivatives."


@check("average the phis over the tasks (dimension 0), and say from where theta should move away.")
def check_reptile(direction: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Chapter 3, exercise 3: ``direction(theta, phis)``, with ``phis (task, parameter)``, that Reptile descends."""
    for theta, phis in (
        ([1.0, 2.0], [[0.0, 2.0], [0.5, 5.0], [1.0, 2.0]]),
        ([0.5, -1.0, 3.0], [[1.5, 0.0, 2.5], [-2.5, 1.0, 6.0]]),
    ):
        given = torch.tensor(theta), torch.tensor(phis)
        got = numbers(direction(*given), (len(theta),), "the direction, in the shape of theta,")
        start, ends = (torch.tensor(values, dtype=torch.float64) for values in (theta, phis))
        mistakes = {
            "descending that moves theta away from phi.": ends.mean(0) - start,
            "it points the right way, and is longer for more tasks: take the mean over them.": (start - ends).sum(0),
            "that is where theta would go, not the direction.": ends.mean(0),
            "only the first task is in it.": start - ends[0],
            "only the last task is in it.": start - ends[-1],
        }
        expect(got, start - ends.mean(0), f"with theta = {theta} and phis = {phis}", mistakes)
    return "Descending theta - phi moves theta towards phi."
