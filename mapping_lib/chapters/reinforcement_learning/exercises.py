"""The exercises of chapter 4d."""

from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.page.checking import answered, check, expect, need, number, numbers

from .methods_policies import rewards_to_go


@check("go from the last reward back: this one plus discount times what came after it.")
def check_to_go(to_go: Callable[[Tensor, float], Tensor]) -> str:
    """Chapter 4d, exercise 1: ``to_go(rewards, discount)``, the discounted rewards from each step on."""
    for rewards, discount in (([1.0, 2.0, 4.0], 0.5), ([0.0, 0.0, 1.0, 5.0], 0.9), ([-1.0, -2.0], 1.0)):
        r = torch.tensor(rewards, dtype=torch.float64)
        wanted, plain = rewards_to_go(r, discount), rewards_to_go(r, 1.0)
        from_the_start = rewards_to_go(r * discount ** torch.arange(len(r)), 1.0)
        mistakes = {
            "you do not discount.": plain,
            "you sum the rewards *before* each action: it did not earn them.": r.cumsum(0),
            "you discount from the beginning of the walk: what lies ahead of a step counts from there.": from_the_start,
            "the reward of the step itself is missing.": wanted - r,
            "every step gets the whole return: it earned only what came after it.": wanted[0].expand(len(r)),
            "it runs from the last step to the first: turn it round.": wanted.flip(0),
            "only the next reward is ahead of a step: it should be all of them.": r
            + discount * torch.cat([r[1:], r.new_zeros(1)]),
        }
        got = numbers(to_go(torch.tensor(rewards), discount), (len(r),), "a value for each of the rewards,")
        given = f"with rewards {rewards} and discount {discount}"
        expect(got, wanted, given, {f"{given} {sentence}": value for sentence, value in mistakes.items()})
    return "An action is judged by what came after it."


@check("exp(log π - log π held fixed) is the ratio: its value is 1, its derivative is not 0.")
def check_score_term(loss: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Chapter 4d, exercise 2: ``loss(log_pi, weight)``, whose second derivative knows that actions are drawn."""
    for actions, weights in (([0.5, -1.0, 2.0], [1.0, -0.5, 2.0]), ([-1.5, 1.0], [0.5, 2.0])):
        a, weight = torch.tensor(actions), torch.tensor(weights)

        def at(mean: Tensor, a: Tensor = a, weight: Tensor = weight) -> Tensor:
            return answered(loss(-0.5 * (a - mean).square(), weight))

        mean = torch.tensor(0.3)
        value = at(mean)
        number(value, "the loss")
        need(isinstance(value, Tensor), "the loss should be a tensor: a number has no derivative.")
        first = torch.func.grad(lambda mean, at=at: at(mean).reshape(()))
        slope, wanted = float(first(mean)), -float(((a - mean) * weight).mean())
        mistakes = {
            "the sign is wrong: a loss goes down where the return goes up.": -wanted,
            "no gradient is left: one of the two log π must not be detached.": 0.0,
            "the gradient is that of a sum: take the mean over the actions.": len(a) * wanted,
        }
        expect(slope, wanted, "for the gradient, that of -mean(log π · weight),", mistakes)
        bend, plain = float(torch.func.grad(first)(mean)), float(weight.mean())
        score = float(((a - mean).square() * weight).mean())
        mistakes = {
            "the gradient is right, and the second derivative is that of log π alone.": plain,
            "the gradient is right; in the second derivative the score is there twice.": plain - 2 * score,
        }
        expect(bend, plain - score, "for the second derivative", mistakes)
    return "The same step, and another meta-gradient."
