"""The exercises of chapter 3: wrong answers are told what is wrong, right ones may be written in any way."""

import numpy as np
import torch
from answers import judged
from torch.func import functional_call, grad, vmap

from mapping_lib.chapters.maml_code import exercises
from mapping_lib.networks import mlp
from mapping_lib.task import each

mse = torch.nn.functional.mse_loss
network = mlp((1, 40, 40, 1))


def loss_at(params, batch):
    return mse(functional_call(network, params, (batch.x,)), batch.y)


def descend_from(first, last=0):
    """Descend with other numbers of steps."""

    def descend(theta, alpha, steps):
        for _ in range(first, steps + last):
            theta = theta - alpha * (theta - 3)
        return theta

    return descend


def descend_in_place(theta, alpha, steps):
    for _ in range(steps):
        theta -= alpha * (theta - 3)
    return theta.reshape(1)


def descend_by_autograd(theta, alpha, steps):
    theta = theta.clone().requires_grad_()
    for _ in range(steps):
        (slope,) = torch.autograd.grad(0.5 * (theta - 3) ** 2, theta)
        theta = (theta - alpha * slope).detach().requires_grad_()
    return theta


def descend_again(theta, alpha, steps):
    return descend_again(theta - alpha * (theta - 3), alpha, steps - 1) if steps else theta


test_descend = judged(
    exercises.check_descend,
    wrong={
        "the steps go up": lambda theta, alpha, steps: 3 + (1 + alpha) ** steps * (theta - 3),
        "that is one long step": lambda theta, alpha, steps: theta - steps * alpha * (theta - 3),
        "one step too few": descend_from(1),
        "one step too many": descend_from(0, 1),
        "how far it is from the minimum": lambda theta, alpha, steps: (1 - alpha) ** steps * (theta - 3),
        "without a 2": lambda theta, alpha, steps: 3 + (1 - 2 * alpha) ** steps * (theta - 3),
        "for descend(1.0, 0.1, 5) you give": lambda theta, alpha, steps: theta - alpha * theta - 3,
        "is a `return` missing?": lambda theta, alpha, steps: None,
        "your code stopped with KeyError": lambda *arguments: {}["theta"],
        "yours has the shape (2,)": lambda theta, alpha, steps: [theta, alpha],
    },
    right={
        "a formula": lambda theta, alpha, steps: 3 + (1 - alpha) ** steps * (float(theta) - 3),
        "NumPy, float64": lambda theta, alpha, steps: np.float64(3 + np.power(1 - alpha, steps) * (theta.numpy() - 3)),
        "autograd": descend_by_autograd,
        "in place": descend_in_place,
        "recursion": descend_again,
    },
)


def meta_loss(step, *, graph=True, reduce=torch.mean):
    """The meta-loss with an inner step of one's own: ``step(theta, gradient) -> phi``, both by name."""

    def of(theta, tasks):
        def query_loss(support, query):
            gradient = grad(loss_at)(theta, support)
            return loss_at({name: step(theta[name], gradient[name]) for name in theta}, query)

        return reduce(vmap(query_loss)(tasks.support, tasks.query))

    return of


def first_order_with(alpha):
    return meta_loss(lambda p, g: p - alpha * g.detach())


def by_a_loop(theta, tasks):
    losses = []
    for support, query, _ in each(tasks):
        gradient = torch.autograd.grad(loss_at(theta, support), list(theta.values()))  # without a graph: a constant
        phi = {name: p - 0.01 * g for (name, p), g in zip(theta.items(), gradient, strict=True)}
        losses.append(loss_at(phi, query))
    return sum(losses) / len(losses)


def at_a_detached_theta(theta, tasks):
    def query_loss(support, query):
        gradient = grad(loss_at)({name: p.detach() for name, p in theta.items()}, support)
        return loss_at({name: theta[name] - 0.01 * gradient[name] for name in theta}, query)

    return vmap(query_loss)(tasks.support, tasks.query).mean(0, keepdim=True)


def judged_on_the_support(theta, tasks):
    return first_order_with(0.01)(theta, tasks._replace(query=tasks.support))


def one_layer_detached(theta, tasks):
    return first_order_with(0.01)(theta | {"4.bias": theta["4.bias"].detach()}, tasks)


def half_detached(theta, tasks):
    def query_loss(support, query):
        gradient = grad(loss_at)(theta, support)
        step = {name: g.detach() if name < "2" else g for name, g in gradient.items()}
        return loss_at({name: theta[name] - 0.01 * step[name] for name in theta}, query)

    return vmap(query_loss)(tasks.support, tasks.query).mean()


test_first_order = judged(
    exercises.check_first_order,
    wrong={
        "were the parameters detached?": meta_loss(lambda p, g: (p - 0.01 * g).detach()),
        "no gradient reaches some of theta": one_layer_detached,
        "nothing in it is detached": meta_loss(lambda p, g: p - 0.01 * g),
        "this is still a different gradient from FOMAML's": half_detached,
        "for the meta-loss, which should not change, you give": first_order_with(0.1),
        "should not change": judged_on_the_support,
        "which should not change": meta_loss(lambda p, g: p - 0.01 * g.detach(), reduce=torch.sum),
        "the meta-loss should be one number": meta_loss(lambda p, g: p - 0.01 * g.detach(), reduce=torch.square),
        "is a `return` missing?": lambda theta, tasks: first_order_with(0.01)(theta, tasks).backward(),
        "your code stopped with AttributeError": lambda theta, tasks: theta.detach(),
    },
    right={
        "a loop, and no graph": by_a_loop,
        "the gradient at a detached theta": at_a_detached_theta,
        "theta less a detached change": meta_loss(lambda p, g: p - (0.01 * g).detach()),
        "in float32": lambda theta, tasks: first_order_with(0.01)(theta, tasks).float(),
    },
)

test_reptile = judged(
    exercises.check_reptile,
    wrong={
        "moves theta away from phi": lambda theta, phis: phis.mean(0) - theta,
        "take the mean over them": lambda theta, phis: (theta - phis).sum(0),
        "you give [-0.5, -7], not [0.5, -1]": lambda theta, phis: theta - phis.sum(0),
        "yours has the shape (3, 2)": lambda theta, phis: theta - phis,
        "yours has the shape (3,)": lambda theta, phis: (theta - phis).mean(1),
        "not the direction": lambda theta, phis: phis.mean(0),
        "only the first task": lambda theta, phis: theta - phis[0],
        "only the last task": lambda theta, phis: theta - phis[-1],
        "you give [-0.75, 0.25]": lambda theta, phis: theta - phis.mean(),
        "of type str": lambda theta, phis: "theta - phi",
    },
    right={
        "each task's, then the mean": lambda theta, phis: (theta - phis).mean(0),
        "float64": lambda theta, phis: theta.double() - phis.double().sum(0) / len(phis),
        "NumPy": lambda theta, phis: theta.numpy() - np.average(phis.numpy(), axis=0),
        "a list": lambda theta, phis: [t - sum(p[i] for p in phis) / len(phis) for i, t in enumerate(theta)],
    },
)
