"""The exercises of chapter 3c: wrong answers are told what is wrong, right ones may be written in any way."""

import copy

import torch
from answers import judged
from torch.func import functional_call, grad_and_value, vmap

from mapping_lib.chapters.clinic import exercises
from mapping_lib.task import each

mse = torch.nn.functional.mse_loss


def recipe(*, graph=True, alpha=0.01, part="support", judge="query", factor=1.0, reduce=torch.mean, phi_at=None):
    """The right recipe, with one thing changed."""

    def of(model, tasks):
        theta, losses = dict(model.named_parameters()), []
        for task in each(tasks):
            given, asked = getattr(task, part), getattr(task, judge)
            gradient = torch.autograd.grad(mse(model(given.x), given.y), list(theta.values()), create_graph=graph)
            phi = {name: p - alpha * g for (name, p), g in zip(theta.items(), gradient, strict=True)}
            losses.append(mse(functional_call(model, phi_at(theta) if phi_at else phi, (asked.x,)), asked.y))
        loss = reduce(torch.stack(losses))
        (factor * loss).backward()
        return loss

    return of


def joint(model, tasks):
    loss = mse(model(tasks.query.x), tasks.query.y)
    loss.backward()
    return loss


def one_phi_for_all(model, tasks):
    theta = dict(model.named_parameters())
    loss = mse(model(tasks.support.x), tasks.support.y)
    gradient = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
    phi = {name: p - 0.01 * g for (name, p), g in zip(theta.items(), gradient, strict=True)}
    loss = mse(functional_call(model, phi, (tasks.query.x,)), tasks.query.y)
    loss.backward()
    return loss


def copies(model, tasks):
    loss = 0.0
    for task in each(tasks):
        fast = copy.deepcopy(model)
        mse(fast(task.support.x), task.support.y).backward()
        torch.optim.SGD(fast.parameters(), 0.01).step()
        loss = loss + mse(fast(task.query.x), task.query.y) / len(tasks.query.x)
    loss.backward()
    return loss


def loss_before(model, tasks):
    recipe()(model, tasks)
    return mse(model(tasks.query.x), tasks.query.y)


def not_backward(model, tasks):
    theta = dict(model.named_parameters())
    return _functional(theta, model, tasks)[0]


def _functional(theta, model, tasks):
    def loss_at(params, batch):
        return mse(functional_call(model, params, (batch.x,)), batch.y)

    def meta_loss(theta):
        def one(support, query):
            gradient = torch.func.grad(loss_at)(theta, support)
            return loss_at({n: theta[n] - 0.01 * gradient[n] for n in theta}, query)

        return vmap(one)(tasks.support, tasks.query).mean()

    gradient, loss = grad_and_value(meta_loss)(theta)
    return loss, gradient


def functional(model, tasks):
    loss, gradient = _functional({n: p.detach() for n, p in model.named_parameters()}, model, tasks)
    for name, p in model.named_parameters():
        p.grad = gradient[name]
    return loss.item()


def task_by_task(model, tasks):
    theta, n, total = dict(model.named_parameters()), len(tasks.query.x), 0.0
    for support, query, _ in each(tasks):
        gradient = torch.autograd.grad(mse(model(support.x), support.y), theta.values(), create_graph=True)
        phi = {name: p - 0.01 * g for (name, p), g in zip(theta.items(), gradient, strict=True)}
        loss = (functional_call(model, phi, (query.x,)) - query.y).square().mean() / n
        loss.backward()
        total += loss.detach()
    return total


def by_autograd(model, tasks):
    theta = dict(model.named_parameters())
    losses = []
    for support, query, _ in each(tasks):
        gradient = torch.autograd.grad(mse(model(support.x), support.y), theta.values(), create_graph=True)
        phi = dict(zip(theta, (p - g / 100 for p, g in zip(theta.values(), gradient, strict=True)), strict=True))
        losses.append(mse(functional_call(model, phi, (query.x,)), query.y))
    loss = sum(losses) / len(losses)
    for p, g in zip(theta.values(), torch.autograd.grad(loss, theta.values()), strict=True):
        p.grad = g
    return loss.detach().numpy()


test_recipe = judged(
    exercises.check_recipe,
    wrong={
        "judged before adaptation": joint,
        ".grad is not its gradient": recipe(factor=4.0),
        "second order is cut": recipe(graph=False),
        "all tasks share one phi": one_phi_for_all,
        "the meta-loss is a sum": recipe(reduce=torch.sum),
        "the judged prediction was made with θ": loss_before,
        "not the query loss after adaptation": recipe(alpha=0.02),
        "the doctor finds": recipe(judge="support"),
        "the doctor finds: ": copies,
        "is a `return` missing?": lambda model, tasks: (recipe()(model, tasks), None)[1],
        "your code stopped with KeyError": lambda model, tasks: dict(model.named_parameters())["weight"],
    },
    right={
        "torch.func, and a Python number": functional,
        "backward task by task": task_by_task,
        "the gradient put into .grad, NumPy": by_autograd,
    },
)


def error(adapt_on="support", judge="query", measure=mse, phi=True, times=1):
    """The error of a task, with one thing changed."""

    def of(learner, theta, task):
        params = theta
        for _ in range(times if phi else 0):
            params = learner.adapt(params, getattr(task, adapt_on))
        batch = getattr(task, judge)
        return measure(learner.predict(params, batch.x), batch.y)

    return of


def in_place(learner, theta, task):
    for name, p in learner.adapt(theta, task.support).items():
        theta[name].copy_(p)
    return error(phi=False)(learner, theta, task)


test_error = judged(
    exercises.check_error,
    wrong={
        "adapted on the query": error(adapt_on="query"),
        "should be one number": error(measure=lambda y_hat, y: (y_hat - y).square()),
        "the error of theta on the query": error(phi=False),
        "the error of phi on the support": error(judge="support"),
        "the error of theta on the support": error(phi=False, judge="support"),
        "that is a sum": error(measure=lambda y_hat, y: (y_hat - y).square().sum()),
        "that is the root of it": error(measure=lambda y_hat, y: mse(y_hat, y).sqrt()),
        "the mean absolute error": error(measure=lambda y_hat, y: (y_hat - y).abs().mean()),
        "every prediction is compared with every y": error(measure=lambda y_hat, y: (y_hat[:, 0] - y).square().mean()),
        "adapted twice": error(times=2),
        "theta itself was changed": in_place,
        "for the error you give": error(measure=lambda y_hat, y: (y_hat - y).square().sum() / 5),
        "your code stopped with AttributeError": lambda learner, theta, task: learner.fit(theta, task.support),
    },
    right={
        "in float64": error(measure=lambda y_hat, y: (y_hat.double() - y.double()).square().mean()),
        "NumPy": error(measure=lambda y_hat, y: ((y_hat - y).detach().numpy() ** 2).mean()),
        "by the norm": error(measure=lambda y_hat, y: float((y_hat - y).norm() ** 2) / len(y)),
        "one by one": error(
            measure=lambda y_hat, y: sum((a - b) ** 2 for a, b in zip(y_hat, y, strict=True)) / y.numel()
        ),
    },
)
