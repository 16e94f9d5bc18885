"""The exercises of chapter 4d: wrong answers are told what is wrong, right ones may be written in any way."""

import numpy as np
import torch
from answers import judged

from mapping_lib.chapters.reinforcement_learning import exercises


def ahead(rewards, discount):
    """The right answer, by a triangle of powers."""
    steps = torch.arange(len(rewards))
    apart = steps - steps[:, None]
    return (torch.where(apart < 0, 0.0, float(discount) ** apart.clamp(min=0)) * rewards).sum(1)


def by_recursion(rewards, discount):
    if not len(rewards):
        return []
    later = by_recursion(rewards[1:], discount)
    return [rewards[0] + discount * (later[0] if later else 0), *later]


def by_numpy(rewards, discount):
    powers = discount ** np.arange(len(rewards))
    return (np.cumsum((rewards.numpy() * powers)[::-1])[::-1] / powers)[::1]


def backwards_in_place(rewards, discount):
    for i in range(len(rewards) - 2, -1, -1):
        rewards[i] += discount * rewards[i + 1]
    return rewards


def reversed_list(rewards, discount):
    out, value = [], 0.0
    for reward in reversed(rewards.tolist()):
        value = reward + discount * value
        out.append(value)
    return torch.tensor(out)


def the_next_alone(rewards, discount):
    return rewards + discount * torch.cat([rewards[1:], torch.zeros(1)])


test_to_go = judged(
    exercises.check_to_go,
    wrong={
        "you do not discount": lambda r, discount: r.flip(0).cumsum(0).flip(0),
        "the rewards *before* each action": lambda r, discount: r.cumsum(0),
        "from the beginning of the walk": lambda r, discount: (
            (r * discount ** torch.arange(len(r))).flip(0).cumsum(0).flip(0)
        ),
        "the reward of the step itself is missing": lambda r, discount: ahead(r, discount) - r,
        "every step gets the whole return": lambda r, discount: ahead(r, discount)[0].expand(len(r)),
        "turn it round": reversed_list,
        "only the next reward": the_next_alone,
        "with rewards [1.0, 2.0, 4.0] and discount 0.5 you give [1, 2, 4], not [3, 4, 4]": lambda r, discount: r,
        "and yours has the shape ()": lambda r, discount: ahead(r, discount)[0],
        "and yours has the shape (2,)": lambda r, discount: ahead(r, discount)[1:],
    },
    right={
        "powers": ahead,
        "float64": lambda r, discount: ahead(r.double(), discount),
        "recursion, a list": by_recursion,
        "NumPy, divided again": by_numpy,
        "in place": backwards_in_place,
        "stacked": lambda r, discount: torch.stack([ahead(r[i:], discount)[0] for i in range(len(r))]),
    },
)


def ratio(log_pi):
    return (log_pi - log_pi.detach()).exp()


def by_a_square(log_pi, weight):
    """The first two terms of the exponential's series: higher ones have no second derivative here."""
    move = log_pi - log_pi.detach()
    return -((1 + move + move**2 / 2) * weight).mean()


test_score_term = judged(
    exercises.check_score_term,
    wrong={
        "that of log π alone": lambda log_pi, weight: -(log_pi * weight).mean(),
        "the sign is wrong": lambda log_pi, weight: (ratio(log_pi) * weight).mean(),
        "must not be detached": lambda log_pi, weight: (
            -((log_pi.detach() - log_pi.detach()).exp() * weight).mean() + 0 * log_pi.sum()
        ),
        "that of a sum": lambda log_pi, weight: -(ratio(log_pi) * weight).sum(),
        "for the gradient, that of -mean(log π · weight), you give": lambda log_pi, weight: (
            -(log_pi.exp() * weight).mean()
        ),
        "there twice": lambda log_pi, weight: (
            -(((log_pi - log_pi.detach()) + (log_pi - log_pi.detach()) ** 2) * weight).mean()
        ),
        "the loss should be one number": lambda log_pi, weight: -ratio(log_pi) * weight,
        "the loss should be a tensor": lambda log_pi, weight: -float(weight.mean()),
        "the second derivative is that of": lambda log_pi, weight: -((log_pi - log_pi.detach()) * weight).mean(),
        "for the gradient, that of": lambda log_pi, weight: -(ratio(log_pi) * weight).sum() / 3,
        "is a `return` missing?": lambda log_pi, weight: None,
    },
    right={
        "a quotient": lambda log_pi, weight: -(log_pi.exp() / log_pi.exp().detach() * weight).mean(),
        "a series": by_a_square,
        "float64, by a dot product": lambda log_pi, weight: -(ratio(log_pi).double() @ weight.double()) / len(weight),
        "of one element, without its value": lambda log_pi, weight: ((1 - ratio(log_pi)) * weight).mean(
            0, keepdim=True
        ),
    },
)
