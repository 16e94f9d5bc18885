"""A wrong answer to an exercise of chapter 3c is told what is wrong."""

import torch
from answers import wrong_answers

from mapping_lib.chapters.clinic import exercises
from mapping_lib.task import each


def fails(*arguments):
    raise KeyError("0.weight")


def joint_recipe(model, tasks):
    loss = (model(tasks.query.x) - tasks.query.y).square().mean()
    loss.backward()
    return loss


def without_the_loop(model, tasks):
    theta = dict(model.named_parameters())
    loss = (model(tasks.support.x) - tasks.support.y).square().mean()
    gradient = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
    phi = {name: p - 0.01 * g for (name, p), g in zip(theta.items(), gradient, strict=True)}
    loss = (torch.func.functional_call(model, phi, (tasks.query.x,)) - tasks.query.y).square().mean()
    loss.backward()
    return loss


def too_long(model, tasks):
    theta, losses = dict(model.named_parameters()), []
    for support, query, _ in each(tasks):
        loss = torch.nn.functional.mse_loss(model(support.x), support.y)
        gradient = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
        phi = {name: p - 0.01 * g for (name, p), g in zip(theta.items(), gradient, strict=True)}
        losses.append(torch.nn.functional.mse_loss(torch.func.functional_call(model, phi, (query.x,)), query.y))
    loss = torch.stack(losses).mean()
    (4 * loss).backward()
    return loss


def error_peeked(learner, theta, task):
    phi = learner.adapt(theta, task.query)
    return (learner.predict(phi, task.query.x) - task.query.y).square().mean()


def error_before(learner, theta, task):
    return (learner.predict(theta, task.query.x) - task.query.y).square().mean()


def error_on_support(learner, theta, task):
    phi = learner.adapt(theta, task.support)
    return (learner.predict(phi, task.support.x) - task.support.y).square().mean()


test_a_wrong_answer_is_told_what_is_wrong = wrong_answers(
    (exercises.check_recipe, joint_recipe, "judged before adaptation"),
    (exercises.check_recipe, without_the_loop, "one φ for all tasks"),
    (exercises.check_recipe, too_long, "its length is not"),
    (exercises.check_error, error_peeked, "adapted on the query"),
    (exercises.check_error, lambda learner, theta, task: torch.zeros(5, 1), "should be one number"),
    (exercises.check_recipe, fails, "your code stopped with KeyError"),
    (exercises.check_error, error_before, "the error of theta on the query"),
    (exercises.check_error, error_on_support, "the error of phi on the support"),
)
