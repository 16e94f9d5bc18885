"""The exercises of chapter 3c, the clinic."""

from collections.abc import Callable

import torch

from mapping_lib.doctor import FAULTS, diagnose
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import maml
from mapping_lib.learners.module import from_module
from mapping_lib.networks import mlp
from mapping_lib.page.checking import answered, check, need
from mapping_lib.params import copied, difference, norm
from mapping_lib.task import each

_mse = torch.nn.functional.mse_loss


@check("phi = theta - 0.01 * gradient with create_graph=True; functional_call runs the model with phi; then backward.")
def check_recipe(recipe: Callable) -> str:
    """Clinic, exercise 1: ``recipe(model, tasks)`` leaves MAML's gradient in ``.grad`` and returns the meta-loss."""
    network = mlp((1, 40, 40, 1))
    healthy = maml(network, _mse, alpha=0.01, steps=1)
    learner = from_module(
        mlp((1, 40, 40, 1)), lambda model, tasks: answered(recipe(model, tasks)), lambda model, s: model
    )
    tasks = Sinusoids().sample(2, 5, 5, generator=torch.Generator().manual_seed(0))
    theta = healthy.init(generator=torch.Generator().manual_seed(1))
    learner.meta_grad(copied(theta), tasks)  # what it raises is said in words
    diagnosis = diagnose(learner._replace(adapt=healthy.adapt), Sinusoids(), theta=theta)
    faults = "; ".join(f"{name} ({FAULTS[name]})" for name in diagnosis.faults)
    need(not diagnosis.faults, f"the doctor finds: {faults}.")
    (wanted, slope), (got, direction) = (maker.meta_grad(copied(theta), tasks) for maker in (healthy, learner))
    need(abs(float(got - wanted)) < 1e-4, "the meta-loss is not the mean query loss after one step with alpha = 0.01.")
    apart = float(norm(difference(direction, slope)) / norm(slope))
    need(apart < 1e-3, "the direction is right, and its length is not: leave the gradient of the meta-loss itself.")
    return "The doctor finds no fault."


@check("adapt on the support, predict with phi, judge on the query.")
def check_error(error: Callable) -> str:
    """Clinic, exercise 2: ``error(learner, theta, task)``, the error of one task that should be reported."""
    learner = maml(mlp((1, 40, 40, 1)), _mse, alpha=0.01, steps=1)
    theta = learner.init(generator=torch.Generator().manual_seed(1))
    tasks = Sinusoids().sample(1, 5, 5, generator=torch.Generator().manual_seed(0))
    task = next(each(tasks))
    phi, peeked = learner.adapt(theta, task.support), learner.adapt(theta, task.query)
    losses = {
        (name, of): float(_mse(learner.predict(params, batch.x), batch.y))
        for name, params in (("theta", theta), ("phi", phi))
        for of, batch in (("support", task.support), ("query", task.query))
    }
    got = answered(error(learner, theta, task))
    need(torch.as_tensor(got).numel() == 1, "the error should be one number: take the mean.")
    got = float(got)
    at_peeked = float(_mse(learner.predict(peeked, task.query.x), task.query.y))
    need(abs(got - at_peeked) > 1e-6, "that phi has adapted on the query, which it is judged on.")
    for (params, of), value in losses.items():
        right = (params, of) == ("phi", "query")
        need(right or abs(got - value) > 1e-6, f"that is the error of {params} on the {of}.")
    need(abs(got - losses["phi", "query"]) < 1e-6, f"your error is {got:.4f}, expected {losses['phi', 'query']:.4f}.")
    return "The error of phi on the query."
