"""Ten programs that run, print a loss and leave a gradient: MAML, and nine with a fault.

A recipe is ``(model, optimiser, tasks) -> meta_loss``: it leaves a direction in the parameters' ``.grad``, as PyTorch
code does, and the outer optimiser takes the step. All begin at the same theta and meet the same tasks, and all are
judged alike, by MAML's own inner steps.
"""

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, vmap

from mapping_lib.evaluation import ErrorByStep, evaluate_by_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.inner_loop import adapt, support_objective
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.baselines import joint
from mapping_lib.learners.gradient import ALPHA_PREFIX, fomaml, maml, meta_sgd
from mapping_lib.learners.module import from_module
from mapping_lib.networks import mlp
from mapping_lib.page.progress import show_progress
from mapping_lib.task import Batch, Params, Task, each, map_tasks

ALPHA, BETA, STEPS, OUTER_STEPS, SEEDS = 0.01, 0.003, 5, 1000, (0, 1, 2)
"""Step sizes; how many inner steps everybody is judged after; how long everybody trains, with which seeds."""

DRAWN = {"n_tasks": 4, "k_shot": 10, "n_query": 10}
JUDGED = {"n_tasks": 600, "k_shot": 10, "n_query": 50}
FAMILY, NETWORK = Sinusoids(), mlp((1, 40, 40, 1))
mse = nn.functional.mse_loss
REAL = maml(NETWORK, mse, alpha=ALPHA, steps=1)
Recipe = Callable[[nn.Module, torch.optim.Optimizer, Task], Tensor]


def seeded(seed: int) -> torch.Generator:
    """A generator that begins at a seed."""
    return torch.Generator().manual_seed(seed)


def begin(seed: int = 0) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The model at the theta that a seed gives, and the outer optimiser."""
    model = mlp((1, 40, 40, 1))
    model.load_state_dict(REAL.init(generator=seeded(seed)))
    return model, torch.optim.Adam(model.parameters(), lr=BETA, fused=True)  # fused: quicker for small tensors


def stream(recipe: Recipe, seed: int = 0) -> Iterator[tuple[float, Params]]:
    """Meta-train without end; yield the loss that is printed, and theta after each outer step."""
    (model, optimiser), generator = begin(seed), seeded(seed + 1)
    while True:
        printed = recipe(model, optimiser, FAMILY.sample(**DRAWN, generator=generator))
        optimiser.step()
        yield float(printed.detach()), {name: p.detach() for name, p in model.named_parameters()}


def train(recipe: Recipe, seed: int = 0, outer_steps: int = OUTER_STEPS) -> Params:
    """Meta-train for some outer steps, with a bar that fills: the theta that it ends with."""
    steps = islice(stream(recipe, seed), outer_steps)
    return deque(show_progress(steps, total=outer_steps, label="meta-training"), maxlen=1).pop()[1]


def same_as_maml(recipe: Recipe, outer_steps: int = 50) -> bool:
    """Whether a recipe arrives at the theta of the library's MAML, weight for weight, from the same tasks."""
    mine, library = (train(one, outer_steps=outer_steps) for one in (recipe, by_library(REAL.meta_grad)))
    return all(torch.allclose(mine[name], library[name], atol=1e-3) for name in library)


def judge(theta: Params) -> ErrorByStep:
    """The error on new tasks after 0 ... 5 of MAML's inner steps, whatever theta was made by."""
    return evaluate_by_step(REAL, theta, FAMILY, **JUDGED, steps=STEPS, generator=seeded(100))


def examined(recipe: Recipe, adapt_by: Callable) -> MetaLearner:
    """A recipe and its inner loop ``(model, optimiser, support) -> phi`` as a learner, for the doctor."""
    model, optimiser = begin()
    given = lambda work: lambda model, evidence: work(model, optimiser, evidence)  # noqa: E731
    return from_module(model, given(recipe), given(adapt_by))


def by_library(meta_grad: Callable[[Params, Task], tuple[Tensor, Params]]) -> Recipe:
    """A learner's ``meta_grad`` as a recipe.

    >>> printed, theta = next(stream(by_library(REAL.meta_grad)))
    >>> theta["2.weight"].shape
    torch.Size([40, 40])
    """

    def recipe(model: nn.Module, optimiser: torch.optim.Optimizer, tasks: Task) -> Tensor:
        meta_loss, direction = meta_grad({name: p.detach() for name, p in model.named_parameters()}, tasks)
        for name, p in model.named_parameters():
            p.grad = direction[name]
        return meta_loss

    return recipe


def adapted(model: nn.Module, support: Batch) -> Params:
    """phi, computed from the model's own parameters, so that autograd knows the way."""
    theta = dict(model.named_parameters())
    gradient = torch.autograd.grad(mse(model(support.x), support.y), list(theta.values()), create_graph=True)
    return {name: p - ALPHA * g for (name, p), g in zip(theta.items(), gradient, strict=True)}


# The faults -----------------------------------------------------------------------------------------------


def stepped(model: nn.Module, optimiser: torch.optim.Optimizer, tasks: Task) -> Tensor:
    """Recipe 1: inner steps change the model itself, and the last query's loss is descended."""
    for support, query, _ in each(tasks):
        fitted(model, optimiser, support)
        loss = mse(model(query.x), query.y)
    optimiser.zero_grad()
    loss.backward()
    return loss


def fitted(model: nn.Module, optimiser: torch.optim.Optimizer, support: Batch) -> nn.Module:
    """A step of the one optimiser, on the model itself."""
    optimiser.zero_grad()
    mse(model(support.x), support.y).backward()
    optimiser.step()
    return model


def only_the_last(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
    """The other tasks' losses are overwritten in the loop."""
    return REAL.meta_grad(theta, map_tasks(lambda t: t[-1:], tasks))


def on_the_support(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
    """phi is judged on what it was adapted on."""
    return REAL.meta_grad(theta, tasks._replace(query=tasks.support))


def added(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
    """theta + alpha * gradient: Meta-SGD's step sizes may be negative."""
    alphas = {ALPHA_PREFIX + name: torch.full_like(p, -ALPHA) for name, p in theta.items()}
    meta_loss, direction = meta_sgd(NETWORK, mse).meta_grad(theta | alphas, tasks)
    return meta_loss, {name: direction[name] for name in theta}


def by_item(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
    """Each loss is a plain number: nothing flows back."""
    return REAL.meta_grad(theta, tasks)[0], {name: torch.zeros_like(p) for name, p in theta.items()}


def error_of(theta: Params, batch: Batch) -> Tensor:
    """The loss of a theta on a batch."""
    return mse(functional_call(NETWORK, theta, (batch.x,)), batch.y)


def by_adam(theta: Params, tasks: Task, *, fresh: bool) -> tuple[Tensor, Params]:
    """An Adam takes the inner steps, first order; unless it is ``fresh``, it remembers the tasks before."""
    slopes = vmap(grad(error_of), in_dims=(None, 0))(theta, tasks.support)
    moves = {name: torch.stack([*adam_steps(slope, fresh)]) for name, slope in slopes.items()}

    def meta_loss(theta: Params) -> Tensor:
        return vmap(error_of)({name: p - moves[name] for name, p in theta.items()}, tasks.query).mean()

    return grad_and_value(meta_loss)(theta)[::-1]


def adam_steps(slopes: Tensor, fresh: bool) -> Iterator[Tensor]:
    """Adam's next step for each task's slope (Kingma & Ba 2015, algorithm 1)."""
    m, v, t = 0.0, 0.0, 0
    for slope in slopes:
        m, v, t = (0.0, 0.0, 0) if fresh else (m, v, t)
        m, v, t = 0.9 * m + 0.1 * slope, 0.999 * v + 0.001 * slope.square(), t + 1
        yield ALPHA * m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)


def one_phi(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
    """Without the loop over tasks: one step on the mean support loss, one phi for all queries."""

    def meta_loss(theta: Params) -> Tensor:
        gradient = grad(error_of)(theta, tasks.support)
        return error_of({name: p - ALPHA * gradient[name] for name, p in theta.items()}, tasks.query)

    return grad_and_value(meta_loss)(theta)[::-1]


class Case(NamedTuple):
    """A program: its outer step, its inner loop ``(theta, support) -> phi`` where that is not MAML's, its faults."""

    recipe: Recipe
    faults: tuple[str, ...] = ()
    inner: Callable[[nn.Module, torch.optim.Optimizer, Batch], nn.Module | Params] | None = None

    def learner(self) -> MetaLearner:
        """The program as the doctor examines it; it claims to be exact."""
        return examined(self.recipe, self.inner or _step)


def _step(model: nn.Module, optimiser: torch.optim.Optimizer, support: Batch, *, alpha: float = ALPHA) -> Params:
    theta = {name: p.detach() for name, p in model.named_parameters()}
    return adapt(theta, support_objective(REAL.predict, mse, support), alpha=alpha, steps=1)


def _adam_step(model: nn.Module, optimiser: torch.optim.Optimizer, support: Batch) -> Params:
    theta = {name: p.detach() for name, p in model.named_parameters()}
    slopes = grad(error_of)(theta, support)
    return {name: p - next(adam_steps(slopes[name][None], fresh=True)) for name, p in theta.items()}


FIRST_ORDER = fomaml(NETWORK, mse, alpha=ALPHA, steps=1)
CASES = {
    "MAML": Case(by_library(REAL.meta_grad)),
    "shared model stepped": Case(stepped, ("θ is changed in place", "tasks leak", "only the last task counts"), fitted),
    "only the last task": Case(by_library(only_the_last), ("only the last task counts",)),
    "no inner loop": Case(by_library(joint(NETWORK, mse).meta_grad), ("no inner loop",), lambda model, *_: model),
    "gradient added": Case(
        by_library(added), ("the gradient is added", "adaptation raises the query error"), partial(_step, alpha=-ALPHA)
    ),
    "judged on support": Case(by_library(on_the_support), ("judged on the support",)),
    "loss.item()": Case(by_library(by_item), ("no gradient reaches θ",)),
    "Adam leaks": Case(by_library(partial(by_adam, fresh=False)), ("tasks leak", "second order is cut"), _adam_step),
    "second order cut": Case(by_library(FIRST_ORDER.meta_grad), ("second order is cut",)),
    "one φ for all": Case(by_library(one_phi), ("one φ for all tasks",)),
}
"""In the order of the recipes that have them. "Judged before adaptation" trains as "no inner loop" does."""
