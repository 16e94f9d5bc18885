"""Programs that a reader might bring to the doctor: faulty ones are found by name, and right ones pass.

`FAULTY` and `RIGHT` name programs in ordinary PyTorch, other ones than the clinic's; each makes a learner, and the
arguments with which `diagnose` is asked.
"""

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from clinic import EVALUATIONS, RECIPES, fit, inner, loss_of, maml_with, mean_backward, recipe, small, take_gradients
from oracles import seeded
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy, l1_loss, mse_loss, smooth_l1_loss

from mapping_lib.doctor import FAULTS, diagnose
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.gradient import maml
from mapping_lib.learners.module import from_module
from mapping_lib.task import Batch, Params, Task, each, join
from mapping_lib.worlds.digits import Digits

ALPHA, STEPS = 0.02, 3
SEEDS = {0: 4, 1: 2, 2: 3}
"""Seeds of the doctor's draws, with the number of tasks."""

Program = Callable[[], tuple[MetaLearner, dict]]


def named(model: nn.Module) -> Params:
    return dict(model.named_parameters())


def slopes(loss: Tensor, phi: Params, graph: bool = True) -> Params:
    return dict(zip(phi, torch.autograd.grad(loss, list(phi.values()), create_graph=graph), strict=True))


def down(phi: Params, gradient: Params, alpha: float = ALPHA) -> Params:
    return {name: p - alpha * gradient[name] for name, p in phi.items()}


def loop(model: nn.Module, support: Batch, loss: Callable = loss_of, steps: int = STEPS) -> Params:
    """Several inner steps as they should be, down ``loss(model, support, phi)``."""
    *_, phi = path(model, support, loss, steps)
    return phi


def path(model: nn.Module, support: Batch, loss: Callable = loss_of, steps: int = STEPS, graph=True) -> Iterator:
    """theta, and phi after every step."""
    phi = named(model)
    yield phi
    for _ in range(steps):
        phi = down(phi, slopes(loss(model, support, phi), phi, graph))
        yield phi


def learner(backward: Callable, adapt: Callable = inner, claims: str = "exact", model: Callable = small, **asked):
    """An ordinary program as the doctor's patient, with the arguments of `diagnose`."""
    return from_module(model(), backward, adapt, claims=claims), asked


def of_whole_batch(meta_loss: Callable[[nn.Module, Task], Tensor], adapt: Callable = inner, **kwargs):
    """A program without a loop over tasks."""

    def backward(model: nn.Module, tasks: Task) -> Tensor:
        return mean_backward([meta_loss(model, tasks)])

    return learner(backward, adapt, **kwargs)


# One phi for several tasks ----------------------------------------------------------------------------


def one_phi_for_the_batch():
    """The loop over tasks is forgotten; the shapes just work."""
    return of_whole_batch(lambda model, tasks: loss_of(model, tasks.query, inner(model, tasks.support)))


def one_phi_after_several_steps():
    return of_whole_batch(lambda model, tasks: loss_of(model, tasks.query, loop(model, tasks.support)), loop)


def one_phi_flattened():
    """All tasks in one heap, as a DataLoader gives them."""

    def heap(model, tasks):
        support, query = (Batch(*(t.flatten(0, 1) for t in batch)) for batch in tasks[:2])
        return loss_of(model, query, inner(model, support))

    return of_whole_batch(heap)


def one_copy_for_the_batch():
    """First order, by a copy of the model and an optimiser."""

    def adapt(model, support):
        return fit(copy.deepcopy(model), support)

    def backward(model, tasks):
        fast = adapt(model, tasks.support)
        loss = loss_of(fast, tasks.query)
        take_gradients(model, fast, loss, 1)
        return loss

    return learner(backward, adapt, "first order")


def mean_of_the_phis():
    """The adapted networks are averaged, then judged."""

    def mean_phi(model, tasks):
        phis = [inner(model, task.support) for task in each(tasks)]
        return loss_of(model, tasks.query, {name: sum(phi[name] for phi in phis) / len(phis) for name in phis[0]})

    return of_whole_batch(mean_phi)


def last_phi_for_all():
    """The judging stands behind the loop: a line that was not indented."""

    def backward(model, tasks):
        for task in each(tasks):
            phi = inner(model, task.support)
        return mean_backward([loss_of(model, tasks.query, phi)])

    return learner(backward)


def first_support_for_all():
    return of_whole_batch(
        lambda model, tasks: loss_of(model, tasks.query, inner(model, Batch(*(t[0] for t in tasks.support))))
    )


def reptile_without_the_loop():
    def adapt(model, support):
        fast = copy.deepcopy(model)
        optimiser = torch.optim.SGD(fast.parameters(), lr=ALPHA)
        for _ in range(5):
            fit(fast, support, optimiser)
        return fast

    def backward(model, tasks):
        fast = adapt(model, tasks.support)
        for p, q in zip(model.parameters(), fast.parameters(), strict=True):
            p.grad = p.detach() - q.detach()
        return loss_of(fast, tasks.query)

    return learner(backward, adapt, "no gradient")


def batch_first_then_task():
    """One step on everybody's examples, then one on the task's own."""

    def backward(model, tasks):
        shared = inner(model, tasks.support)
        losses = []
        for task in each(tasks):
            phi = down(shared, slopes(loss_of(model, task.support, shared), shared))
            losses.append(loss_of(model, task.query, phi))
        return mean_backward(losses)

    return learner(backward, lambda model, support: loop(model, support, steps=2))


def examples_centred_over_the_batch():
    """The features are centred with the mean over all tasks' supports."""

    def backward(model, tasks):
        centred = tasks.support.y - tasks.support.y.mean()
        tasks = tasks._replace(support=Batch(tasks.support.x, centred))
        return mean_backward([loss_of(model, task.query, inner(model, task.support)) for task in each(tasks)])

    return learner(backward, lambda model, s: inner(model, Batch(s.x, s.y - s.y.mean())))


# Pairs that do not belong together --------------------------------------------------------------------


def every_phi_on_every_query():
    """Each phi is judged on the queries of the whole batch."""

    def backward(model, tasks):
        return mean_backward([loss_of(model, tasks.query, inner(model, task.support)) for task in each(tasks)])

    return learner(backward)


def neighbours_query():
    """The list of phis and the list of queries are shifted by one."""

    def backward(model, tasks):
        phis = [inner(model, task.support) for task in each(tasks)]
        return mean_backward(
            [loss_of(model, task.query, phi) for phi, task in zip(phis[1:] + phis[:1], each(tasks), strict=True)]
        )

    return learner(backward)


def tasks_count_unevenly():
    """A running mean: each task halves what was there before."""

    def backward(model, tasks):
        total = 0.0
        for task in each(tasks):
            total = (total + loss_of(model, task.query, inner(model, task.support))) / 2
        return mean_backward([total])

    return learner(backward)


# What the inner loop itself does ----------------------------------------------------------------------


def gradient_of_theta_in_every_step():
    """The gradient is taken once, before the loop over steps."""

    def adapt(model, support):
        phi = theta = named(model)
        gradient = slopes(loss_of(model, support, theta), theta)
        for _ in range(STEPS):
            phi = down(phi, gradient)
        return phi

    return maml_with(adapt), {"steps": STEPS}


def every_step_begins_at_theta():
    """The loop over steps computes the same step again and again."""

    def adapt(model, support):
        theta = named(model)
        for _ in range(STEPS):
            phi = down(theta, slopes(loss_of(model, support, theta), theta))
        return phi

    return maml_with(adapt), {"steps": STEPS}


def gradient_of_theta_in_a_learner_of_ones_own():
    """The same in a learner that takes as many steps as it is asked for; nothing need be said."""
    honest = maml(small(), mse_loss)

    def adapt(theta, support, *, description=None, steps=None):
        one = honest.adapt(theta, support)
        return {name: theta[name] + (steps or STEPS) * (one[name] - theta[name]) for name in theta}

    def meta_grad(theta, tasks):
        def meta_loss(theta):
            losses = [
                mse_loss(honest.predict(adapt(theta, task.support), task.query.x), task.query.y) for task in each(tasks)
            ]
            return torch.stack(losses).mean()

        direction, value = torch.func.grad_and_value(meta_loss)(theta)
        return value, direction

    return honest._replace(adapt=adapt, meta_grad=meta_grad, adapt_path=None), {}


def broadcasting(loss: Callable = mse_loss) -> Callable:
    """The labels lost their last dimension: (10, 1) against (10,) makes (10, 10)."""

    def of(model, batch, phi=None):
        y_hat = model(batch.x) if phi is None else functional_call(model, phi, (batch.x,))
        return (
            (y_hat - batch.y.squeeze(-1)).square().mean()
            if loss is mse_loss
            else (y_hat - batch.y.squeeze(-1)).abs().mean()
        )

    return of


def inner_loss_broadcasts(steps: int = 1, loss: Callable = mse_loss):
    wrong = broadcasting(loss)
    return maml_with(lambda model, support: loop(model, support, wrong, steps)), {}


def outer_loss_broadcasts():
    wrong = broadcasting()
    return recipe(lambda model, task: wrong(model, task.query, inner(model, task.support))), {}


def both_losses_broadcast():
    wrong = broadcasting()

    def adapt(model, support):
        return loop(model, support, wrong, 1)

    return recipe(lambda model, task: wrong(model, task.query, adapt(model, task.support)), adapt), {}


def doctors_loss_broadcasts_too():
    """The reader's own loss is given to the doctor."""
    faulty, _ = both_losses_broadcast()
    return faulty, {"loss": lambda y_hat, y: (y_hat - y.squeeze(-1)).square().mean()}


def first_example_only():
    """`support.x[0]`: a task dimension that is no longer there."""
    return maml_with(lambda model, s: inner(model, Batch(s.x[:1], s.y[:1]))), {}


def one_query_example_only():
    def first(batch):
        return Batch(batch.x[:1], batch.y[:1])

    return recipe(lambda model, task: loss_of(model, first(task.query), inner(model, task.support))), {}


def adapted_on_support_and_query():
    """phi has met the query that it is judged on."""
    return recipe(lambda model, task: loss_of(model, task.query, inner(model, join(task.support, task.query)))), {}


def one_step_too_few():
    """The query is judged in the loop over steps, before the last step."""

    def task_loss(model, task):
        phi = named(model)
        for _ in range(STEPS):
            loss = loss_of(model, task.query, phi)
            phi = down(phi, slopes(loss_of(model, task.support, phi), phi))
        return loss

    return recipe(task_loss, loop), {}


def graph_of_the_last_step_only():
    def adapt(model, support):
        phi = named(model)
        for i in range(STEPS):
            phi = down(phi, slopes(loss_of(model, support, phi), phi, graph=i == STEPS - 1))
        return phi

    return maml_with(adapt), {}


def labels_of_the_support():
    """phi's predictions for the query are compared with the labels of the support."""
    return recipe(
        lambda model, task: loss_of(model, Batch(task.query.x, task.support.y), inner(model, task.support))
    ), {}


def reptile_uphill():
    """phi - theta, handed to an optimiser that subtracts."""
    honest = maml(small(), mse_loss, alpha=ALPHA)

    def meta_grad(theta, tasks):
        phis = [honest.adapt(theta, task.support, steps=5) for task in each(tasks)]
        return honest.meta_grad(theta, tasks)[0], {
            name: sum(phi[name] for phi in phis) / len(phis) - p for name, p in theta.items()
        }

    return honest._replace(meta_grad=meta_grad, claims="no gradient"), {}


# Evaluations ------------------------------------------------------------------------------------------


def evaluated(evaluate: Callable[[MetaLearner], Callable]) -> Program:
    def make():
        healthy = maml(small(), mse_loss, alpha=ALPHA)
        return healthy, {"evaluate": evaluate(healthy)}

    return make


def one_phi_in_the_evaluation(healthy):
    def evaluate(theta, tasks):
        support, query = (Batch(*(t.flatten(0, 1) for t in batch)) for batch in tasks[:2])
        return mse_loss(healthy.predict(healthy.adapt(theta, support), query.x), query.y)

    return evaluate


def every_phi_on_every_query_in_the_evaluation(healthy):
    def evaluate(theta, tasks):
        phis = [healthy.adapt(theta, task.support) for task in each(tasks)]
        return torch.stack(
            [mse_loss(healthy.predict(phi, x), y) for phi in phis for x, y in zip(*tasks.query, strict=True)]
        )

    return evaluate


# Right programs ---------------------------------------------------------------------------------------


def multi_step_loss(claims: str = "exact", steps: int = 5, of_theta: bool = False):
    """MAML++ (Antoniou et al. 2019, section 4): the query loss after every step counts, the last one most."""
    weights = torch.linspace(1.0, 2.0, steps, dtype=torch.float64)

    def task_loss(model, task):
        _, *phis = path(model, task.support, steps=steps)
        return sum(w * loss_of(model, task.query, phi) for w, phi in zip(weights, phis, strict=True)) / weights.sum()

    return recipe(task_loss, lambda model, support: loop(model, support, steps=steps)), {}


def multi_step_loss_first_order():
    def backward(model, tasks):
        total = 0.0
        for task in each(tasks):
            _, *phis = path(model, task.support, graph=False)
            for weight, phi in zip((0.2, 0.3, 0.5), phis, strict=True):
                loss = weight * loss_of(model, task.query, phi)
                for p, g in zip(model.parameters(), torch.autograd.grad(loss, list(phi.values())), strict=True):
                    p.grad = g + (0 if p.grad is None else p.grad)
                total = total + loss.detach()
        return total

    return learner(backward, loop, "first order")


def multi_step_loss_with_sizes(*sizes: dict[str, float]):
    """The same, with an alpha for every step and every layer, as MAML++ learns them."""

    def steps(model, support):
        phi = named(model)
        for size in sizes:
            gradient = slopes(loss_of(model, support, phi), phi)
            phi = {name: p - size[name.partition(".")[0]] * gradient[name] for name, p in phi.items()}
            yield phi

    def task_loss(model, task):
        phis = steps(model, task.support)
        return sum(w * loss_of(model, task.query, phi) for w, phi in zip((0.2, 0.3, 0.5), phis, strict=True))

    return recipe(task_loss, lambda model, support: list(steps(model, support))[-1]), {}


def multi_step_loss_with_steps_of_its_own():
    """A learner that takes as many steps as it is asked for, with normalised gradients."""
    model = small()
    honest = maml(model, mse_loss)

    def trail(theta, support, steps):
        phi = theta
        for _ in range(steps):
            g = torch.func.grad(lambda p: mse_loss(honest.predict(p, support.x), support.y))(phi)
            length = sum(part.square().sum() for part in g.values()).sqrt()
            phi = {name: p - 0.1 * g[name] / length for name, p in phi.items()}
            yield phi

    def adapt(theta, support, *, description=None, steps=None):
        *_, phi = trail(theta, support, steps or 4)
        return phi

    def meta_grad(theta, tasks):
        def meta_loss(theta):
            return sum(
                weight * mse_loss(honest.predict(phi, task.query.x), task.query.y)
                for task in each(tasks)
                for weight, phi in zip((0.1, 0.2, 0.3, 0.4), trail(theta, task.support, 4), strict=True)
            )

        direction, value = torch.func.grad_and_value(meta_loss)(theta)
        return value, direction

    return honest._replace(adapt=adapt, meta_grad=meta_grad, adapt_path=None), {}


def clipped_outer_gradient():
    def backward(model, tasks):
        loss = mean_backward([loss_of(model, task.query, inner(model, task.support)) for task in each(tasks)])
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        return loss

    return learner(backward)


def clipped_reptile():
    """The direction has length 1, whatever the tasks are."""

    def adapt(model, support):
        fast = copy.deepcopy(model)
        for _ in range(5):
            fit(fast, support)
        return fast

    def backward(model, tasks):
        losses = []
        for task in each(tasks):
            fast = adapt(model, task.support)
            losses.append(loss_of(fast, task.query).detach())
            for p, q in zip(model.parameters(), fast.parameters(), strict=True):
                p.grad = p.detach() - q.detach() + (0 if p.grad is None else p.grad)
        nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
        return torch.stack(losses).mean()

    return learner(backward, adapt, "no gradient")


def over_tasks_by_vmap():
    def meta_loss(model, tasks):
        def task_loss(theta, support, query):
            g = torch.func.grad(lambda p: mse_loss(functional_call(model, p, (support[0],)), support[1]))(theta)
            return mse_loss(functional_call(model, down(theta, g), (query[0],)), query[1])

        pairs = tuple(tasks.support), tuple(tasks.query)
        return torch.func.vmap(task_loss, in_dims=(None, 0, 0))(named(model), *pairs).mean()

    return of_whole_batch(meta_loss)


def stepping_with(step: Callable, state: Callable = lambda phi: None, steps: int = STEPS, **asked):
    """Exact MAML with another inner rule: ``step(phi, gradient, state, i) -> phi``."""

    def adapt(model, support):
        phi = named(model)
        kept = state(phi)
        for i in range(steps):
            phi = step(phi, slopes(loss_of(model, support, phi), phi), kept, i)
        return phi

    return maml_with(adapt), asked


def fresh_momentum():
    def step(phi, gradient, velocity, i):
        for name, g in gradient.items():
            velocity[name] = 0.9 * velocity.get(name, 0.0) + g
        return down(phi, velocity)

    return stepping_with(step, lambda phi: {}, steps=STEPS)


def another_alpha_in_every_step():
    return stepping_with(lambda phi, gradient, _, i: down(phi, gradient, (0.05, 0.02, 0.01)[i]), steps=STEPS)


def clipped_inner_gradient():
    def step(phi, gradient, *_):
        length = sum(g.square().sum() for g in gradient.values()).sqrt()
        return down(phi, {name: g / (1 + length) for name, g in gradient.items()})

    return stepping_with(step, steps=STEPS)


def signs_of_the_gradient():
    """Several steps along the same signs are no single step along the gradient."""
    return stepping_with(lambda phi, gradient, *_: down(phi, {n: g.sign() for n, g in gradient.items()}, 1e-3))


def last_bias_only():
    """phi depends on the labels by their mean alone, as it must."""
    return stepping_with(
        lambda phi, gradient, *_: phi | {"2.bias": phi["2.bias"] - 0.1 * gradient["2.bias"]}, steps=STEPS
    )


def drawn_back_to_theta():
    """A proximal term in the inner loss (as in iMAML's), unrolled."""

    def adapt(model, support):
        theta = phi = named(model)
        for _ in range(STEPS):
            away = sum((p - theta[name]).square().sum() for name, p in phi.items())
            phi = down(phi, slopes(loss_of(model, support, phi) + 0.5 * away, phi))
        return phi

    return maml_with(adapt), {"steps": STEPS}


def a_slope_and_nothing_else():
    """One number: the second gradient lies along the first, since there is no other way."""
    return maml(nn.Linear(1, 1, bias=False), mse_loss, steps=STEPS), {}


def halves_of_the_support():
    """Mini-batches in the inner loop: odd examples, then even ones."""
    return stepping_halves(), {}


def stepping_halves() -> MetaLearner:
    def adapt(model, support):
        phi = named(model)
        for i in range(4):
            half = Batch(support.x[i % 2 :: 2], support.y[i % 2 :: 2])
            phi = down(phi, slopes(loss_of(model, half, phi), phi))
        return phi

    return maml_with(adapt)


def another_inner_loss():
    """The inner loop descends absolute errors, the outer one squared errors."""

    def absolute(model, batch, phi):
        return l1_loss(functional_call(model, phi, (batch.x,)), batch.y)

    return maml_with(lambda model, support: loop(model, support, absolute)), {}


def huber_in_both_loops():
    return maml(small(), smooth_l1_loss, steps=2), {"loss": smooth_l1_loss}


def zero_head_on_digits():
    """The last layer begins at zero: every prediction is the same at theta."""
    net = nn.Sequential(nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 10))
    learner = maml(net, cross_entropy, alpha=0.4, steps=2)
    theta = learner.init(generator=seeded(0))
    theta |= {name: torch.zeros_like(theta[name]) for name in ("2.weight", "2.bias")}
    return learner, {"theta": theta, "loss": cross_entropy, "family": Digits("train"), "k_shot": 1}


def context_parameters():
    """CAVIA (Zintgraf et al. 2019): only a context vector adapts, from zero."""

    class WithContext(nn.Module):
        def __init__(self):
            super().__init__()
            self.context, self.body = (
                nn.Parameter(torch.zeros(3)),
                nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)),
            )

        def forward(self, x):
            return self.body(torch.cat([x, self.context.expand(*x.shape[:-1], 3)], -1))

    def adapt(model, support):
        phi = named(model)
        phi["context"] = torch.zeros_like(phi["context"]).requires_grad_()
        for _ in range(2):
            (g,) = torch.autograd.grad(loss_of(model, support, phi), [phi["context"]], create_graph=True)
            phi = phi | {"context": phi["context"] - 0.5 * g}
        return phi

    def backward(model, tasks):
        return mean_backward([loss_of(model, task.query, adapt(model, task.support)) for task in each(tasks)])

    return learner(backward, adapt, model=WithContext)


def median_in_the_evaluation(healthy):
    def evaluate(theta, tasks):
        phis = [healthy.adapt(theta, task.support) for task in each(tasks)]
        pairs = zip(phis, each(tasks), strict=True)
        return torch.stack([mse_loss(healthy.predict(phi, t.query.x), t.query.y) for phi, t in pairs]).median()

    return evaluate


ONE_PHI, CROSSED, LEAK = "one φ for all tasks", "another task's query is judged", "tasks leak"
AT_THETA, BROADCASTS, OUT = "every step looks at θ", "the loss broadcasts", "examples are left out"
NOT_QUERY = "not the query loss after adaptation"

FAULTY: dict[str, tuple[Program, set[str]]] = {
    "one phi for the batch": (one_phi_for_the_batch, {ONE_PHI}),
    "one phi, several steps": (one_phi_after_several_steps, {ONE_PHI}),
    "one phi, flattened": (one_phi_flattened, {ONE_PHI}),
    "one copy for the batch": (one_copy_for_the_batch, {ONE_PHI}),
    "mean of the phis": (mean_of_the_phis, {ONE_PHI}),
    "last phi for all": (last_phi_for_all, {ONE_PHI}),
    "first support for all": (first_support_for_all, {ONE_PHI}),
    "Reptile without the loop": (reptile_without_the_loop, {ONE_PHI}),
    "batch first, then task": (batch_first_then_task, {LEAK}),
    "centred over the batch": (examples_centred_over_the_batch, {LEAK}),
    "every phi on every query": (every_phi_on_every_query, {CROSSED}),
    "neighbour's query": (neighbours_query, {CROSSED}),
    "tasks count unevenly": (tasks_count_unevenly, {"tasks count unevenly"}),
    "gradient of theta in every step": (gradient_of_theta_in_every_step, {AT_THETA}),
    "every step begins at theta": (every_step_begins_at_theta, {AT_THETA}),
    "gradient of theta, own learner": (gradient_of_theta_in_a_learner_of_ones_own, {AT_THETA}),
    "inner loss broadcasts": (inner_loss_broadcasts, {BROADCASTS}),
    "inner loss broadcasts, three steps": (lambda: inner_loss_broadcasts(STEPS), {BROADCASTS}),
    "inner absolute loss broadcasts": (lambda: inner_loss_broadcasts(STEPS, l1_loss), {BROADCASTS}),
    "outer loss broadcasts": (outer_loss_broadcasts, {BROADCASTS}),
    "both losses broadcast": (both_losses_broadcast, {BROADCASTS}),
    "the doctor's loss too": (doctors_loss_broadcasts_too, {BROADCASTS}),
    "first example only": (first_example_only, {OUT}),
    "one query example only": (one_query_example_only, {OUT}),
    "adapted on the query too": (adapted_on_support_and_query, {NOT_QUERY}),
    "one step too few": (one_step_too_few, {NOT_QUERY}),
    "graph of the last step only": (graph_of_the_last_step_only, {"not the gradient of its meta-loss"}),
    "labels of the support": (labels_of_the_support, {NOT_QUERY}),
    "Reptile uphill": (reptile_uphill, {"the direction climbs"}),
    "one phi in the evaluation": (evaluated(one_phi_in_the_evaluation), {ONE_PHI}),
    "crossed in the evaluation": (evaluated(every_phi_on_every_query_in_the_evaluation), {CROSSED}),
}
RIGHT: dict[str, Program] = {
    "multi-step loss": multi_step_loss,
    "multi-step loss, ten steps": lambda: multi_step_loss(steps=10),
    "multi-step loss, first order": multi_step_loss_first_order,
    "multi-step loss, sizes by step": lambda: multi_step_loss_with_sizes(
        *({"0": a, "2": a} for a in (0.05, 0.02, 0.01))
    ),
    "multi-step loss, sizes by step and layer": lambda: multi_step_loss_with_sizes(
        {"0": 0.05, "2": 0.02}, {"0": 0.02, "2": 0.04}, {"0": 0.03, "2": 0.01}
    ),
    "multi-step loss, steps of its own": multi_step_loss_with_steps_of_its_own,
    "clipped outer gradient": clipped_outer_gradient,
    "clipped Reptile": clipped_reptile,
    "over tasks by vmap": over_tasks_by_vmap,
    "fresh momentum": fresh_momentum,
    "another alpha in every step": another_alpha_in_every_step,
    "clipped inner gradient": clipped_inner_gradient,
    "signs of the gradient": signs_of_the_gradient,
    "last bias only": last_bias_only,
    "drawn back to theta": drawn_back_to_theta,
    "a slope and nothing else": a_slope_and_nothing_else,
    "halves of the support": halves_of_the_support,
    "another inner loss": another_inner_loss,
    "Huber in both loops": huber_in_both_loops,
    "zero head on digits": zero_head_on_digits,
    "context parameters": context_parameters,
    "median in the evaluation": evaluated(median_in_the_evaluation),
}


def examine(program: Program, seed: int):
    learner, asked = program()
    settings = {"family": Sinusoids(), "n_tasks": SEEDS[seed], "generator": seeded(seed)} | asked
    return diagnose(learner, settings.pop("family"), **settings)


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_program_is_found_by_name_and_no_other(name: str, seed: int):
    program, expected = FAULTY[name]
    assert set(examine(program, seed).faults) == expected


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_program_has_no_fault(name: str, seed: int):
    diagnosis = examine(RIGHT[name], seed)
    assert diagnosis.faults == (), str(diagnosis)


def test_every_fault_of_the_list_can_be_found():
    """Here, or in the clinic."""
    expected = [faults for _, faults in [*RECIPES.values(), *EVALUATIONS.values(), *FAULTY.values()]]
    assert set().union(*expected, {"does not run", "support and query overlap"}) == FAULTS.keys()


def test_steps_along_one_gradient_are_one_step_to_a_doctor_who_is_not_told():
    """The doctor then says how long it is; with more than one step meant, it is a fault."""
    learner, asked = gradient_of_theta_in_every_step()
    diagnosis = diagnose(learner, Sinusoids())
    assert asked == {"steps": STEPS}
    assert diagnosis.faults == ()
    assert "cosine 1.00 with −∇L_S(θ): one step of 0.06" in str(diagnosis)
    assert diagnose(learner, Sinusoids(), steps=1).faults == ()


@pytest.mark.parametrize("value", [0, 2.0])
def test_the_number_of_steps_is_checked(value):
    with pytest.raises((ValueError, TypeError), match=f"^steps is {value}; allowed: a whole number"):
        diagnose(maml(small(), mse_loss), Sinusoids(), steps=value)


def test_what_is_seen_of_tasks_that_share_phi_is_said():
    seen = {name: str(examine(FAULTY[name][0], 0)) for name in ("one phi for the batch", "last phi for all")}
    assert "supports dealt to other tasks give the same answer" in seen["one phi for the batch"]
    assert "1 of 4 supports changes the answer, and every query does" in seen["last phi for all"]
