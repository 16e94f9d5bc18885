"""The exercises of chapter 3c, the clinic."""

from collections.abc import Callable

import torch

from mapping_lib.doctor import FAULTS, diagnose
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import maml
from mapping_lib.learners.module import from_module
from mapping_lib.networks import mlp
from mapping_lib.page.checking import answered, check, close, expect, need, number
from mapping_lib.params import copied, difference, norm
from mapping_lib.task import Batch, Params, each

_mse = torch.nn.functional.mse_loss


@check("phi = theta - 0.01 * gradient, with create_graph=True; functional_call; backward.")
def check_recipe(recipe: Callable) -> str:
    """Clinic, exercise 1: ``recipe(model, tasks)`` leaves MAML's gradient in ``.grad`` and returns the meta-loss."""
    network = mlp((1, 40, 40, 1))
    healthy = maml(network, _mse, alpha=0.01, steps=1)
    learner = from_module(
        mlp((1, 40, 40, 1)), lambda model, tasks: answered(recipe(model, tasks)), lambda model, s: model
    )
    tasks = Sinusoids().sample(2, 5, 7, generator=torch.Generator().manual_seed(0))
    theta = healthy.init(generator=torch.Generator().manual_seed(1))
    (wanted, slope), (got, direction) = (maker.meta_grad(copied(theta), tasks) for maker in (healthy, learner))
    loss = number(got, "the meta-loss")
    need(not close(loss, 2 * wanted), "the meta-loss is a sum: take the mean over the tasks.")
    support, query = (Batch(*(t.flatten(0, 1) for t in part)) for part in (tasks.support, tasks.query))
    of_one_phi = _mse(healthy.predict(healthy.adapt(theta, support), query.x), query.y)
    need(not close(loss, of_one_phi), "all tasks share one phi: the inner step belongs into the loop over the tasks.")
    diagnosis = diagnose(learner._replace(adapt=healthy.adapt), Sinusoids(), theta=theta)
    faults = "; ".join(f"{name} ({FAULTS[name]})" for name in diagnosis.faults)
    need(not diagnosis.faults, f"the doctor finds: {faults}.")
    apart = float(norm(difference(direction, slope)) / norm(slope))
    need(apart < 1e-3, "the loss is right, and .grad is not its gradient: is it the last task's, or has it a factor?")
    return "The doctor finds no fault."


@check("adapt on the support, predict with phi, judge on the query.")
def check_error(error: Callable) -> str:
    """Clinic, exercise 2: ``error(learner, theta, task)``, the error of one task that should be reported."""
    learner = maml(mlp((1, 40, 40, 1)), _mse, alpha=0.01, steps=1)
    theta = learner.init(generator=torch.Generator().manual_seed(1))
    task = next(each(Sinusoids().sample(1, 5, 7, generator=torch.Generator().manual_seed(0))))
    support, query = task.support, task.query
    phi = learner.adapt(theta, support)

    def loss(params: Params, batch: Batch) -> float:
        return float(_mse(learner.predict(params, batch.x), batch.y))

    y_hat = learner.predict(phi, query.x)
    apart = y_hat - query.y
    mistakes = {
        "that is the error of theta on the query.": loss(theta, query),
        "that is the error of theta on the support.": loss(theta, support),
        "that is the error of phi on the support.": loss(phi, support),
        "that phi has adapted on the query, which it is judged on.": loss(learner.adapt(theta, query), query),
        "phi has adapted twice; the learner's own number of steps is one.": loss(learner.adapt(phi, support), query),
        "that is a sum: take the mean over the query's examples.": apart.square().sum(),
        "that is the root of it: the *mean squared* error is asked for.": apart.square().mean().sqrt(),
        "that is the mean absolute error: square the differences.": apart.abs().mean(),
        "every prediction is compared with every y: the shapes are (7,) and (7, 1).": (
            (y_hat.flatten() - query.y).square().mean()
        ),
    }
    given = copied(theta)
    got = number(error(learner, given, task), "the error")
    unchanged = all(torch.equal(given[name], p) for name, p in theta.items())
    need(unchanged, "theta itself was changed: the next task has to begin from it, too.")
    expect(got, loss(phi, query), "for the error", mistakes)
    return "The error of phi on the query."
