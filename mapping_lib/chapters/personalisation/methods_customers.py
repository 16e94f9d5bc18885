"""Choices of new customers: who is held out, what each method forecasts."""

from functools import cache

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn.functional import cross_entropy

from mapping_lib.checks import check_choice
from mapping_lib.learners.gradient import ALPHA_PREFIX, meta_sgd
from mapping_lib.study import shipped_theta
from mapping_lib.task import Batch, Params, Task
from mapping_lib.worlds.individuals import folds

from .family_choices import FEATURES, Choices, load
from .methods_prior import Utility, choice_prior

N_FEATURES, N_CUSTOMERS, FOLDS, REPEAT, MAX_SHOTS = len(FEATURES), 361, 5, 5, 6
METHODS = (
    *("population", "own fit", "MAML", "Meta-SGD", "MAML, β tuned", "Meta-SGD, β tuned"),
    *("learned prior", "mixed effects"),
)
INNER_STEPS = 5
PRIOR = choice_prior(N_FEATURES)
ADAPTED = meta_sgd(Utility(N_FEATURES), cross_entropy, steps=INNER_STEPS)
WIDTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Standard deviations of the prior around 0 that an own fit is tuned over; 1 / width² is its ridge."""


@cache
def everyone() -> tuple[Choices, Tensor]:
    """All customers, and the part that each is held out in."""
    return Choices(*load()), folds(N_CUSTOMERS, FOLDS)


def training(part: int) -> Choices:
    """The customers on whom everything that judges ``part`` is learned."""
    family, parts = everyone()
    return family.of(parts != part)


def judged(order: str, k_shot: int, *, generator: torch.Generator) -> Task:
    """All customers, five times where the support is drawn by lot."""
    return everyone()[0].everyone(k_shot, order=order, repeat=REPEAT if order == "spread" else 1, generator=generator)


def file_of(method: str) -> str:
    """The name of a method's shipped theta.

    >>> file_of("MAML, β tuned")
    'customers_maml_beta_tuned'
    """
    plain = method.replace(",", "").replace("β", "beta").replace("-", "_").replace(" ", "_")
    return f"customers_{plain.lower()}"


@cache
def theta_of(method: str) -> Params:
    """theta of every part, stacked; MAML's alpha as one for each weight."""
    theta = dict(shipped_theta(file_of(method)))
    if "alpha" in theta:
        one = theta.pop("alpha")[:, None].expand_as(theta["weight"])
        theta.setdefault("alpha.weight", one)  # Meta-SGD has learned its own, and began here
    return theta


def forecast(method: str, task: Task) -> Tensor:
    """Logits ``(task, question, 4)`` for the query of customers who were held out; its y is not read.

    >>> task = judged("first", 3, generator=torch.Generator().manual_seed(0))
    >>> forecast("population", task).shape
    torch.Size([361, 9, 4])
    """
    check_choice("method", method, METHODS)
    part = everyone()[1][task.description[:, 0].long()]
    if method == "population":
        return torch.einsum("tqaf,tf->tqa", task.query.x, theta_of("population")["weight"][part])
    if method == "own fit":
        theta = around_zero(tuned_widths()[part, task.support.x.shape[1]])
    else:
        theta = {name: p[part] for name, p in theta_of(method).items()}
    learner = ADAPTED if ALPHA_PREFIX + "weight" in theta else PRIOR
    return vmap(lambda theta, support, x: learner.predict(learner.adapt(theta, support), x))(
        theta, task.support, task.query.x
    )


def rights(method: str, task: Task) -> Tensor:
    """The share of each customer's other choices that was forecast, over its supports: ``(customer,)``."""
    return _rights(forecast(method, task), task)


def _rights(logits: Tensor, task: Task) -> Tensor:
    answered = task.query.y >= 0
    right = (logits.argmax(-1) == task.query.y) & answered
    return (right.sum(-1).float() / answered.sum(-1)).view(-1, N_CUSTOMERS).mean(0)


def around_zero(width: Tensor) -> Params:
    """A prior that knows nothing: mean 0 and one standard deviation for all weights, ``width (task,)``."""
    eye = torch.eye(N_FEATURES, dtype=torch.float32)
    return {"mean": torch.zeros(len(width), N_FEATURES, dtype=torch.float32), "factor": width[:, None, None] * eye}


def adapted_weights(theta: Params, support: Batch, answered: Tensor) -> Tensor:
    """MAML's weights after each of several sets of answers, ``answered (set, question)``, at once: ``(set, feature)``.

    What `ADAPTED` does, a tenth as long: the slope of the mean cross entropy is the mean of (p - taken) x.
    """
    w = theta["weight"].expand(len(answered), -1)
    taken = (support.y[:, None] == torch.arange(support.x.shape[1])).to(w.dtype)
    for _ in range(INNER_STEPS):
        missed = (torch.einsum("qaf,kf->kqa", support.x, w).softmax(-1) - taken) * answered[..., None]
        slope = torch.einsum("kqa,qaf->kf", missed, support.x) / answered.sum(-1, keepdim=True).clamp(min=1)
        w = w - theta[ALPHA_PREFIX + "weight"] * slope
    return w


@cache
def tuned_widths() -> Tensor:
    """The width of an own fit by part and K, ``(part, MAX_SHOTS + 1)``: the best on the training customers."""
    family, part = everyone()
    chosen = [torch.ones(FOLDS, dtype=torch.float32)]
    adapted = vmap(lambda theta, support, x: PRIOR.predict(PRIOR.adapt(theta, support), x))
    for k in range(1, MAX_SHOTS + 1):
        task = family.everyone(k, generator=torch.Generator().manual_seed(50 + k))
        priors = [around_zero(torch.full((N_CUSTOMERS,), width, dtype=torch.float32)) for width in WIDTHS]
        logits = [adapted(prior, task.support, task.query.x) for prior in priors]
        right = torch.stack([_rights(each, task) for each in logits])
        best = [WIDTHS[int(right[:, part != f].mean(-1).argmax())] for f in range(FOLDS)]
        chosen.append(torch.tensor(best, dtype=torch.float32))
    return torch.stack(chosen, 1)
