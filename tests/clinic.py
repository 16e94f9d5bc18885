"""Recipes that look like MAML and are not, in ordinary PyTorch, each beside its smallest mending.

A recipe is ``(mended) -> MetaLearner``; `RECIPES` names them, with the faults that the doctor must find in
each, no fewer and no more. `EVALUATIONS` does the same for ways to judge a learner.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import mse_loss

from mapping_lib.learners import MetaLearner
from mapping_lib.learners.gradient import maml
from mapping_lib.learners.module import from_module
from mapping_lib.networks import functional
from mapping_lib.task import Batch, Params, Task, each, join

ALPHA, STEPS = 0.02, 1


def small() -> nn.Module:
    """A network with one input and one output, whose loss has no kinks."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))


def loss_of(model: nn.Module, batch: Batch, phi: Params | None = None) -> Tensor:
    """The loss of a model on a batch, or that of other parameters in it."""
    return mse_loss(model(batch.x) if phi is None else functional_call(model, phi, (batch.x,)), batch.y)


def inner(model: nn.Module, support: Batch, step: Callable = lambda p, g: p - ALPHA * g, graph: bool = True) -> Params:
    """The inner loop as it should be; ``step`` and ``graph`` are where a fault may enter."""
    phi = dict(model.named_parameters())
    for _ in range(STEPS):
        slopes = torch.autograd.grad(loss_of(model, support, phi), list(phi.values()), create_graph=graph)
        phi = {name: step(p, g) for (name, p), g in zip(phi.items(), slopes, strict=True)}
    return phi


def fit(model: nn.Module, support: Batch, optimiser: torch.optim.Optimizer | None = None) -> nn.Module:
    """Inner steps as an optimiser takes them: the model itself is changed."""
    optimiser = optimiser or torch.optim.SGD(model.parameters(), lr=ALPHA)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss_of(model, support).backward()
        optimiser.step()
    optimiser.zero_grad()
    return model


def fitted_copy(model: nn.Module, support: Batch) -> nn.Module:
    """A copy of the model after its inner steps."""
    return fit(copy.deepcopy(model), support)


def mean_backward(losses: list[Tensor]) -> Tensor:
    """Descend the mean of the tasks' losses."""
    meta_loss = torch.stack(losses).mean()
    meta_loss.backward()
    return meta_loss


def recipe(task_loss: Callable[[nn.Module, Task], Tensor], adapt: Callable = inner, claims: str = "exact"):
    """A learner that descends the mean of ``task_loss(model, task)``."""

    def backward(model: nn.Module, tasks: Task) -> Tensor:
        return mean_backward([task_loss(model, task) for task in each(tasks)])

    return from_module(small(), backward, adapt, claims=claims)


def maml_with(adapt: Callable, claims: str = "exact") -> MetaLearner:
    """MAML with this inner loop, which gives phi by name."""
    return recipe(lambda model, task: loss_of(model, task.query, adapt(model, task.support)), adapt, claims)


def stepping(step: Callable, graph: bool = True) -> MetaLearner:
    """MAML with this inner step."""
    return maml_with(lambda model, support: inner(model, support, step, graph))


def take_gradients(model: nn.Module, fast: nn.Module, loss: Tensor, n_tasks: int) -> None:
    """Add the gradients of a copy to the ``.grad`` of the model."""
    for p, g in zip(model.parameters(), torch.autograd.grad(loss, list(fast.parameters())), strict=True):
        p.grad = g / n_tasks + (0 if p.grad is None else p.grad)


def by_copies(adapt: Callable = fitted_copy, claims: str = "first order") -> MetaLearner:
    """Every task adapts a copy of the model, and its query gradient is carried back."""

    def backward(model: nn.Module, tasks: Task) -> float:
        losses = []
        for task in each(tasks):
            fast = adapt(model, task.support)
            losses.append(loss_of(fast, task.query))
            take_gradients(model, fast, losses[-1], len(tasks.query.x))
        return sum(loss.item() for loss in losses) / len(losses)

    return from_module(small(), backward, adapt, claims=claims)


# Recipes ----------------------------------------------------------------------------------------------


def shared_model_stepped(mended: bool) -> MetaLearner:
    if mended:
        return by_copies()

    def backward(model: nn.Module, tasks: Task) -> Tensor:
        losses, sums = [], [torch.zeros_like(p) for p in model.parameters()]
        for task in each(tasks):
            fit(model, task.support)
            losses.append(loss_of(model, task.query))
            losses[-1].backward()
            sums = [s + p.grad for s, p in zip(sums, model.parameters(), strict=True)]
        for p, s in zip(model.parameters(), sums, strict=True):
            p.grad = s
        return torch.stack(losses).mean()

    return from_module(small(), backward, fit)


def one_optimiser_for_both_loops(mended: bool) -> MetaLearner:
    """Inner steps of the outer optimiser; after the tasks, the last query loss is descended (a recipe often seen)."""
    if mended:
        return by_copies()

    def backward(model: nn.Module, tasks: Task) -> Tensor:
        optimiser = torch.optim.SGD(model.parameters(), lr=ALPHA)
        for task in each(tasks):
            fit(model, task.support, optimiser)
            loss = loss_of(model, task.query)
        model.zero_grad()
        loss.backward()
        return loss

    return from_module(small(), backward, fit)


def parameters_replaced(mended: bool) -> MetaLearner:
    """``p.data`` gets new memory: theta is changed all the same."""

    def adapt(model: nn.Module, support: Batch) -> nn.Module:
        model = copy.deepcopy(model) if mended else model
        for _ in range(STEPS):
            slopes = torch.autograd.grad(loss_of(model, support), list(model.parameters()))
            for p, g in zip(model.parameters(), slopes, strict=True):
                p.data = p.data - ALPHA * g
        return model

    return by_copies(adapt)


def last_task_only(mended: bool) -> MetaLearner:
    def backward(model: nn.Module, tasks: Task) -> Tensor:
        total = 0.0
        for task in each(tasks):
            loss = loss_of(model, task.query, inner(model, task.support))
            total = total + loss if mended else loss
        total.backward()
        return total

    return from_module(small(), backward, inner)


def last_task_differentiated(mended: bool) -> MetaLearner:
    """The mean is reported, and the last task's loss descended."""

    def backward(model: nn.Module, tasks: Task) -> Tensor:
        losses = [loss_of(model, task.query, inner(model, task.support)) for task in each(tasks)]
        (torch.stack(losses).sum() if mended else losses[-1]).backward()
        return torch.stack(losses).mean()

    return from_module(small(), backward, inner)


def loop_ends_too_early(mended: bool) -> MetaLearner:
    """An index that stops one too early: with a single task it stops before it begins."""

    def backward(model: nn.Module, tasks: Task) -> Tensor:
        chosen = list(each(tasks))[: len(tasks.query.x) - (not mended)]
        return mean_backward([loss_of(model, task.query, inner(model, task.support)) for task in chosen])

    return from_module(small(), backward, inner)


def no_inner_loop(mended: bool) -> MetaLearner:
    if mended:
        return maml_with(inner)
    return recipe(lambda model, task: loss_of(model, task.query), lambda model, support: model)


def no_inner_loop_and_one_heap(mended: bool) -> MetaLearner:
    """Support and query alike are examples to fit."""
    if mended:
        return maml_with(inner)
    return recipe(lambda model, task: loss_of(model, join(task.support, task.query)), lambda model, support: model)


def inner_loop_at_test_time_only(mended: bool) -> MetaLearner:
    return recipe(lambda model, task: loss_of(model, task.query, inner(model, task.support) if mended else None))


def gradient_added(mended: bool) -> MetaLearner:
    return stepping(lambda p, g: p - ALPHA * g if mended else p + ALPHA * g)


def gradient_detached(mended: bool) -> MetaLearner:
    return stepping(lambda p, g: p - ALPHA * (g if mended else g.detach()))


def graph_not_made(mended: bool) -> MetaLearner:
    return stepping(lambda p, g: p - ALPHA * g, graph=mended)


def parameters_detached(mended: bool) -> MetaLearner:
    return stepping(lambda p, g: p - ALPHA * g if mended else (p - ALPHA * g).detach().requires_grad_())


def start_detached(mended: bool) -> MetaLearner:
    """The step is taken from p as a constant: only the second order is left."""
    return stepping(lambda p, g: (p if mended else p.detach()) - ALPHA * g)


def deepcopy(mended: bool) -> MetaLearner:
    return by_copies(claims="first order" if mended else "exact")


def deepcopy_not_carried_back(mended: bool) -> MetaLearner:
    """The query loss of the copies is differentiated, and nobody asks the copies for their gradients."""
    if mended:
        return by_copies()
    return recipe(lambda model, task: loss_of(fitted_copy(model, task.support), task.query), fitted_copy)


def there_and_back(model: nn.Module, work: Callable) -> object:
    """Let ``work`` change the model, then put its weights back."""
    saved = copy.deepcopy(model.state_dict())
    result = work()
    model.load_state_dict(saved)
    return result


def load_state_dict(mended: bool) -> MetaLearner:
    def task_gradient(model: nn.Module, task: Task) -> list[Tensor]:
        loss = loss_of(fit(model, task.support), task.query)
        return [loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))]

    def backward(model: nn.Module, tasks: Task) -> Tensor:
        rows = [there_and_back(model, lambda task=task: task_gradient(model, task)) for task in each(tasks)]
        losses, *slopes = [torch.stack(column) for column in zip(*rows, strict=True)]
        for p, g in zip(model.parameters(), slopes, strict=True):
            p.grad = g.sum(0)
        return losses.sum()

    def adapt(model: nn.Module, support: Batch) -> Params:
        def work() -> Params:
            return {name: p.clone() for name, p in fit(model, support).named_parameters()}

        return there_and_back(model, work)

    return from_module(small(), backward, adapt, claims="first order" if mended else "exact")


def kept_optimiser(kind: Callable, within_a_call: bool = False) -> Callable[[bool], MetaLearner]:
    """Copies that all share one model and one inner optimiser, whose state outlives the task."""

    def make(mended: bool) -> MetaLearner:
        fast = small().double()
        kept = {"optimiser": kind(fast.parameters())}

        def adapt(model: nn.Module, support: Batch, *, alone: bool = True) -> nn.Module:
            if mended or (alone and within_a_call):
                kept["optimiser"] = kind(fast.parameters())
            fast.load_state_dict(model.state_dict())
            return fit(fast, support, kept["optimiser"])

        def backward(model: nn.Module, tasks: Task) -> Tensor:
            losses = []
            for i, task in enumerate(each(tasks)):
                adapt(model, task.support, alone=i == 0)
                losses.append(loss_of(fast, task.query))
                take_gradients(model, fast, losses[-1], len(tasks.query.x))
            return torch.stack(losses).mean()

        return from_module(small(), backward, adapt, claims="first order")

    return make


def adam(parameters) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=ALPHA)


def momentum(parameters) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=ALPHA, momentum=0.9)


def next_task_begins_at_phi(mended: bool) -> MetaLearner:
    """Differentiable all the way; but every task begins where the last one ended."""

    def backward(model: nn.Module, tasks: Task) -> Tensor:
        phi, losses = None, []
        for task in each(tasks):
            phi = dict(model.named_parameters()) if mended or phi is None else phi
            for _ in range(STEPS):
                loss = loss_of(model, task.support, phi)
                slopes = torch.autograd.grad(loss, list(phi.values()), create_graph=True)
                phi = {name: p - ALPHA * g for (name, p), g in zip(phi.items(), slopes, strict=True)}
            losses.append(loss_of(model, task.query, phi))
        return mean_backward(losses)

    return from_module(small(), backward, inner)


def copy_never_reset(mended: bool) -> MetaLearner:
    """One copy for all tasks and all calls."""
    fast = small().double()
    fast.load_state_dict(maml(fast, mse_loss).init(generator=torch.Generator().manual_seed(0)))

    def adapt(model: nn.Module, support: Batch) -> nn.Module:
        if mended:
            fast.load_state_dict(model.state_dict())
        return fit(fast, support)

    return by_copies(adapt)


def judged_on_the_support(mended: bool) -> MetaLearner:
    return recipe(
        lambda model, task: loss_of(model, task.query if mended else task.support, inner(model, task.support))
    )


def item_summed(mended: bool) -> MetaLearner:
    def backward(model: nn.Module, tasks: Task) -> Tensor:
        losses = [loss_of(model, task.query, inner(model, task.support)) for task in each(tasks)]
        meta_loss = sum(loss if mended else loss.item() for loss in losses)
        meta_loss = meta_loss if mended else torch.tensor(meta_loss, dtype=torch.float64, requires_grad=True)
        meta_loss.backward()
        return meta_loss

    return from_module(small(), backward, inner)


def predicted_before_adaptation(mended: bool) -> MetaLearner:
    def task_loss(model: nn.Module, task: Task) -> Tensor:
        y_hat = model(task.query.x)
        phi = inner(model, task.support)
        return mse_loss(functional_call(model, phi, (task.query.x,)) if mended else y_hat, task.query.y)

    return recipe(task_loss)


def support_loss_added(mended: bool) -> MetaLearner:
    def task_loss(model: nn.Module, task: Task) -> Tensor:
        phi = inner(model, task.support)
        return loss_of(model, task.query, phi) + (0 if mended else loss_of(model, task.support, phi))

    return recipe(task_loss)


def alpha_too_large(mended: bool) -> MetaLearner:
    return maml(small(), mse_loss, alpha=ALPHA if mended else 2.0)


def gradients_not_zeroed(mended: bool) -> MetaLearner:
    """The gradient of the last inner step is still in ``.grad`` when the query's is added."""

    def backward(model: nn.Module, tasks: Task) -> Tensor:
        losses = []
        for task in each(tasks):
            fast = copy.deepcopy(model)
            optimiser = torch.optim.SGD(fast.parameters(), lr=ALPHA)
            for _ in range(STEPS):
                optimiser.zero_grad()
                loss_of(fast, task.support).backward()
                optimiser.step()
            if mended:
                optimiser.zero_grad()
            losses.append(loss_of(fast, task.query))
            losses[-1].backward()
            for p, q in zip(model.parameters(), fast.parameters(), strict=True):
                p.grad = q.grad + (0 if p.grad is None else p.grad)
        return torch.stack(losses).sum()

    return from_module(small(), backward, fitted_copy, claims="first order")


def hypernetwork(task_loss: Callable[[Callable, Params, Task], Tensor]) -> MetaLearner:
    """d -> phi: theta is a linear map from a task's description to the weights of a network."""
    target = functional(small())
    h = functional(nn.Linear(2, sum(shape.numel() for shape in target.shapes.values())))

    def adapt(theta: Params, support: Batch | None = None, *, description: Tensor, steps: int | None = None) -> Params:
        pieces = h.predict(theta, description).split([shape.numel() for shape in target.shapes.values()])
        return {name: p.view(shape) for (name, shape), p in zip(target.shapes.items(), pieces, strict=True)}

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        leaves = {name: p.detach().requires_grad_() for name, p in theta.items()}
        losses = [task_loss(target.predict, adapt(leaves, description=task.description), task) for task in each(tasks)]
        meta_loss = torch.stack(losses).mean()
        return meta_loss.detach(), dict(zip(theta, torch.autograd.grad(meta_loss, list(leaves.values())), strict=True))

    return MetaLearner(h.init, adapt, target.predict, meta_grad, "exact")


def regression_on_parameters(mended: bool) -> MetaLearner:
    """The targets are the parameters theta_i of networks that were trained on each task before."""
    start = {name: p.detach().double() for name, p in small().named_parameters()}

    def task_loss(predict: Callable, phi: Params, task: Task) -> Tensor:
        if mended:
            return mse_loss(predict(phi, task.query.x), task.query.y)
        model = small().double()
        model.load_state_dict(start)
        theta_i = dict(fit(model, task.support).named_parameters())
        return sum((phi[name] - p.detach()).square().sum() for name, p in theta_i.items())

    return hypernetwork(task_loss)


def regression_on_adapted_parameters(mended: bool) -> MetaLearner:
    """theta itself is drawn to the theta_i that its own inner loop found."""

    def task_loss(model: nn.Module, task: Task) -> Tensor:
        phi = inner(model, task.support)
        if mended:
            return loss_of(model, task.query, phi)
        return sum((p - phi[name].detach()).square().sum() for name, p in model.named_parameters())

    return recipe(task_loss)


IN_PLACE, LEAK, CUT = "θ is changed in place", "tasks leak", "second order is cut"
RECIPES: dict[str, tuple[Callable[[bool], MetaLearner], set[str]]] = {
    "shared model stepped": (shared_model_stepped, {IN_PLACE, LEAK, CUT}),
    "one optimiser for both loops": (one_optimiser_for_both_loops, {IN_PLACE, LEAK, CUT, "only the last task counts"}),
    "parameters replaced": (parameters_replaced, {IN_PLACE, LEAK}),
    "last task only": (last_task_only, {"only the last task counts"}),
    "last task differentiated": (last_task_differentiated, {"only the last task counts"}),
    "loop ends too early": (loop_ends_too_early, {"tasks are left out"}),
    "no inner loop": (no_inner_loop, {"no inner loop"}),
    "no inner loop and one heap": (no_inner_loop_and_one_heap, {"no inner loop"}),
    "inner loop at test time only": (inner_loop_at_test_time_only, {"judged before adaptation"}),
    "gradient added": (gradient_added, {"the gradient is added", "adaptation raises the query error"}),
    "gradient detached": (gradient_detached, {CUT}),
    "graph not made": (graph_not_made, {CUT}),
    "parameters detached": (parameters_detached, {"no gradient reaches θ"}),
    "start detached": (start_detached, {"not the gradient of its meta-loss"}),
    "deepcopy": (deepcopy, {CUT}),
    "deepcopy, not carried back": (deepcopy_not_carried_back, {"no gradient reaches θ"}),
    "load_state_dict": (load_state_dict, {CUT}),
    "inner Adam kept": (kept_optimiser(adam), {LEAK}),
    "inner Adam kept within a call": (kept_optimiser(adam, within_a_call=True), {LEAK}),
    "inner momentum kept": (kept_optimiser(momentum), {LEAK}),
    "next task begins at phi": (next_task_begins_at_phi, {LEAK}),
    "copy never reset": (copy_never_reset, {LEAK}),
    "judged on the support": (judged_on_the_support, {"judged on the support"}),
    "item summed": (item_summed, {"no gradient reaches θ"}),
    "predicted before adaptation": (predicted_before_adaptation, {"judged before adaptation"}),
    "support loss added": (support_loss_added, {"not the query loss after adaptation"}),
    "alpha too large": (alpha_too_large, {"adaptation raises the query error"}),
    "gradients not zeroed": (gradients_not_zeroed, {"not first order"}),
    "regression on parameters": (regression_on_parameters, {"the query is not judged"}),
    "regression on adapted parameters": (
        regression_on_adapted_parameters,
        {"the query is not judged", "not the gradient of its meta-loss"},
    ),
}


# Evaluations ------------------------------------------------------------------------------------------


def right_evaluation(learner: MetaLearner) -> Callable[[Params, Task], Tensor]:
    def evaluate(theta: Params, tasks: Task) -> Tensor:
        errors = []
        for task in each(tasks):
            phi = learner.adapt(theta, task.support, description=task.description)
            errors.append(mse_loss(learner.predict(phi, task.query.x), task.query.y))
        return torch.stack(errors)

    return evaluate


def evaluated_on_the_support(learner: MetaLearner):
    right = right_evaluation(learner)
    return lambda theta, tasks: right(theta, tasks._replace(query=tasks.support))


def evaluated_before_adaptation(learner: MetaLearner):
    def evaluate(theta: Params, tasks: Task) -> float:
        y_hats = [learner.predict(theta, task.query.x) for task in each(tasks)]
        for task in each(tasks):
            learner.adapt(theta, task.support)
        return sum(float(mse_loss(a, b)) for a, b in zip(y_hats, tasks.query.y, strict=True)) / len(y_hats)

    return evaluate


def evaluated_on_a_shared_model(learner: MetaLearner):
    model = small().double()

    def evaluate(theta: Params, tasks: Task) -> float:
        model.load_state_dict(theta)
        return sum(loss_of(fit(model, task.support), task.query).item() for task in each(tasks))

    return evaluate


def evaluated_with_a_kept_adam(learner: MetaLearner):
    model = small().double()
    optimiser = adam(model.parameters())

    def evaluate(theta: Params, tasks: Task) -> Tensor:
        errors = []
        for task in each(tasks):
            model.load_state_dict(theta)
            errors.append(loss_of(fit(model, task.support, optimiser), task.query).item())
        return torch.tensor(errors)

    return evaluate


def evaluated_on_theta_itself(learner: MetaLearner):
    """The inner steps are written into theta, for task after task."""
    right = right_evaluation(learner)

    def evaluate(theta: Params, tasks: Task) -> Tensor:
        errors = []
        for i, task in enumerate(each(tasks)):
            errors.append(right(theta, Task(*(Batch(*(t[i : i + 1] for t in b)) for b in tasks[:2]), tasks[2][i:])))
            for name, p in learner.adapt(theta, task.support).items():
                theta[name].copy_(p)
        return torch.stack(errors)

    return evaluate


EVALUATIONS: dict[str, tuple[Callable, set[str]]] = {
    "right": (right_evaluation, set()),
    "on the support": (evaluated_on_the_support, {"judged on the support"}),
    "before adaptation": (evaluated_before_adaptation, {"judged before adaptation"}),
    "on a shared model": (evaluated_on_a_shared_model, {LEAK}),
    "with a kept Adam": (evaluated_with_a_kept_adam, {LEAK}),
    "on theta itself": (evaluated_on_theta_itself, {IN_PLACE, LEAK}),
}
