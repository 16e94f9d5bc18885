"""The exercises of chapter 4d."""

from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.page.checking import answered, check, need

from .methods_policies import rewards_to_go


@check("go from the last reward to the first: what is ahead is this reward plus the discount times what came after.")
def check_to_go(to_go: Callable[[Tensor, float], Tensor]) -> str:
    """Chapter 4d, exercise 1: ``to_go(rewards, discount)``, the discounted rewards from each step on."""
    for rewards, discount in (([1.0, 2.0, 4.0], 0.5), ([0.0, 0.0, 1.0, 5.0], 0.9), ([-1.0, -2.0], 1.0)):
        r = torch.tensor(rewards)
        got = answered(to_go(r, discount))
        need(
            isinstance(got, Tensor) and got.shape == r.shape, f"give a tensor as long as the rewards, {len(r)} numbers."
        )
        wanted, first = rewards_to_go(r, discount), float(rewards_to_go(r, 1.0)[0])
        given = f"rewards {rewards} and discount {discount}"
        if discount < 1:
            need(abs(float(got[0]) - first) > 1e-6, f"with {given} you do not discount.")
        past = torch.cumsum(r, 0)
        need(
            not torch.allclose(got, past),
            f"with {given} you sum the rewards *before* each action: it did not earn them.",
        )
        need(torch.allclose(got, wanted), f"with {given} you give {got.tolist()}, not {wanted.tolist()}.")
    return "An action is judged by what came after it."


@check("write log π - stop(log π) in the exponent; the ratio is 1, and its derivative is not 0.")
def check_score_term(loss: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Chapter 4d, exercise 2: ``loss(log_pi, weight)``, whose second derivative knows that actions are drawn."""
    a, weight = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([1.0, -0.5, 2.0])

    def at(mean: Tensor) -> Tensor:
        return answered(loss(-0.5 * (a - mean).square(), weight))

    mean = torch.tensor(0.3)
    value = at(mean)
    need(isinstance(value, Tensor) and value.ndim == 0, "the loss should be one number.")
    slope, wanted = float(torch.func.grad(at)(mean)), -float(((a - mean) * weight).mean())
    need(abs(slope + wanted) > 1e-5, "the sign is wrong: a loss goes down where the return goes up.")
    need(abs(slope - wanted) < 1e-5, f"the gradient is {slope:.3f}, and that of -mean(log π · weight) is {wanted:.3f}.")
    bend = float(torch.func.grad(torch.func.grad(at))(mean))
    plain = float(weight.mean())
    need(abs(bend - plain) > 1e-5, "the gradient is right, and the second derivative is that of log π alone.")
    wanted = plain - float(((a - mean).square() * weight).mean())
    need(abs(bend - wanted) < 1e-4, f"the second derivative is {bend:.3f}, not {wanted:.3f}.")
    return "The same step, and another meta-gradient."
