"""Chapter 4d: the return of a policy after 0 to 3 updates of 20 trajectories each, on goals that nobody trained on.

How fair is it? All methods but the oracle and the hypernetwork have the network, the family, the number of
trajectories and the form of the update in common: first a step of size alpha, then steps of alpha / 2. Two rows have
40 trajectories for an update, as the paper's test has; all others 20, as its training. MAML has the paper's alpha,
0.1, in training and after it. Those that were not trained for updates have theirs *tuned*, by `study_tuning`: the best
by the return after three updates on `VALIDATION` goals, drawn by a seed that neither training nor the table uses. MAML
is trained by trust region steps, as the paper's; of its theta, looked at every `LOOK` outer steps, the one is kept that
is best after three updates on the same goals.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_choice
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.many_tasks import one_each
from mapping_lib.meta_training import Progress
from mapping_lib.study import Recipe, Table, Tolerance, shipped_theta
from mapping_lib.study.training import TOLD, Training
from mapping_lib.task import Batch, Params, Task
from mapping_lib.worlds.goals import Navigation, on_the_rim

from .methods import policy_maml, rollouts
from .methods_policies import GaussianPolicy
from .methods_trust_region import trust_region_maml
from .methods_writing import write, writing

FAMILY, GOAL_IN_SIGHT = Navigation(), Navigation(show_goal=True)
SIZES, SMALL = (2, 100, 100, 2), (2, 16, 16, 2)
"""The network of the paper, and a small one for the hypernetwork to write."""

TRAJECTORIES, UPDATES = 20, 3
VALIDATION, VALIDATION_SEED, LOOK = 40, 777, 25
SEED, TEST_SEED, FAR = 0, 2026, 1.0

# Methods ----------------------------------------------------------------------------------------------


class Method(NamedTuple):
    """One row of the table: its learner, the file of its theta (None: nobody trained it), and what it is allowed.

    ``make(policy, family, alphas)`` gives the learner; ``alpha`` is the size of the first update, those after it are
    half as large. ``of_goal(theta, goals)`` gives the policies of those that know their goal and have no update.
    """

    make: Callable[[GaussianPolicy, Navigation, tuple[float, float]], MetaLearner]
    file: str | None
    alpha: float = 0.0
    trajectories: int = TRAJECTORIES
    sizes: tuple[int, ...] = SIZES
    family: Navigation = FAMILY
    of_goal: Callable[[Params, Tensor], Params] | None = None


def _policy_maml(**settings) -> Callable:
    return lambda policy, family, alphas: policy_maml(policy, family, alpha=alphas, **settings)


_MAML = Method(lambda policy, family, alphas: trust_region_maml(policy, family, alpha=alphas), "navigation_maml", 0.1)
_PRETRAINED = Method(_policy_maml(steps=0), "navigation_pretrained", 0.5)

METHODS = {
    "MAML": _MAML,
    "MAML, 40 trajectories": _MAML._replace(trajectories=40),
    "MAML, Adam": Method(_policy_maml(), "navigation_maml_adam", 0.1),
    "MAML, Adam, no score term": Method(_policy_maml(score_term=False), "navigation_maml_adam_no_score", 0.1),
    "pretrained": _PRETRAINED,
    "pretrained, 40 trajectories": _PRETRAINED._replace(trajectories=40),
    "pretrained, not tuned": _PRETRAINED._replace(alpha=0.1),
    "random": _PRETRAINED._replace(file=None, alpha=2.0),
    "hypernetwork": Method(
        lambda policy, family, _: writing(policy, family),
        "navigation_hypernetwork",
        sizes=SMALL,
        of_goal=lambda theta, goals: torch.func.vmap(partial(written, theta))(goals),
    ),
    "oracle": _PRETRAINED._replace(
        file="navigation_oracle",
        alpha=0.0,
        sizes=(4, *SIZES[1:]),
        family=GOAL_IN_SIGHT,
        of_goal=lambda theta, goals: one_each(theta, len(goals)),
    ),
}
"""Only MAML is trained through inner steps, others meet them afterwards."""

ALPHA = {name: method.alpha for name, method in METHODS.items() if method.of_goal is None}
"""The size of the first update."""


def learner(method: str, *, alpha: float | None = None) -> MetaLearner:
    """The learner of one of `METHODS`, with its own first alpha or another one.

    >>> sum(p.numel() for p in learner("MAML").init(generator=torch.Generator().manual_seed(0)).values())
    10604
    """
    chosen = METHODS[check_choice("method", method, METHODS)]
    first = chosen.alpha if alpha is None else alpha
    return chosen.make(*policy_of(method), (first, first / 2))


def policy_of(method: str) -> tuple[GaussianPolicy, Navigation]:
    """The network that a method's phi belongs to, and what it sees."""
    return GaussianPolicy(METHODS[method].sizes), METHODS[method].family


@cache
def theta_of(method: str) -> Params:
    """The shipped theta; for "random" one that nobody trained."""
    if METHODS[method].file is None:
        return learner(method).init(generator=torch.Generator().manual_seed(SEED))
    return shipped_theta(METHODS[method].file)


def written(theta: Params, goal: Tensor) -> Params:
    """The policy that the hypernetwork writes for one ``goal (2,)``, without a try.

    >>> written(theta_of("hypernetwork"), torch.tensor([0.3, -0.3]))["log_std"].shape
    torch.Size([2])
    """
    return write(_WRITER, theta, goal)


_WRITER = learner("hypernetwork")

# What is measured -------------------------------------------------------------------------------------


def phis(method: str, theta: Params, tasks: Task, *, updates: int = UPDATES, alpha: float | None = None) -> Params:
    """phi after 0 ... ``updates`` updates: tensors ``(updates + 1, task, ...)``, all alike where there is no update."""
    of_goal = METHODS[method].of_goal
    if of_goal is None:
        return learner(method, alpha=alpha).adapt_path(theta, tasks.support, steps=updates)
    with torch.no_grad():
        phi = of_goal(theta, tasks.description)
    return {name: p.expand(updates + 1, *p.shape) for name, p in phi.items()}


def returns(method: str, theta: Params, tasks: Task, *, alpha: float | None = None) -> Tensor:
    """The mean return of every task's policy after 0 ... 3 updates, ``(4, task)``.

    The trajectories that judge are never those that a policy learned from.
    """
    path, (policy, family) = phis(method, theta, tasks, alpha=alpha), policy_of(method)
    # without an update it is the same policy with the same luck, which need act only once
    steps = range(UPDATES + 1) if METHODS[method].of_goal is None else (0,)
    phi_after = [{name: p[step] for name, p in path.items()} for step in steps]
    rows = torch.stack([rollouts(policy, family, phi, tasks.query).returns.mean(-1) for phi in phi_after])
    return rows.expand(UPDATES + 1, -1)


def validated(method: str, theta: Params, *, alpha: float | None = None) -> float:
    """The mean return after three updates on the validation goals."""
    drawn = torch.Generator().manual_seed(VALIDATION_SEED)
    tasks = FAMILY.sample(VALIDATION, UPDATES * TRAJECTORIES, TRAJECTORIES, generator=drawn)
    return float(returns(method, theta, tasks, alpha=alpha)[-1].mean())


def score(method: str, setting: str, n: int, generator: Generator) -> Tensor:
    """The return of ``n`` goals after as many updates as the setting says."""
    k_shot = UPDATES * METHODS[method].trajectories
    tasks = FAMILY.sample(n, k_shot, TRAJECTORIES, generator=generator)  # goals are drawn first: all meet the same
    return _returns_after(SETTINGS[setting]["updates"], method, tasks)


def _returns_after(updates: int, method: str, tasks: Task) -> Tensor:
    key = method, tasks.description.numpy().tobytes()  # equal goals were drawn with equal luck
    if key not in _SCORES:  # all settings are columns of one adaptation: it is done once
        _SCORES[key] = returns(method, theta_of(method), tasks)
    return _SCORES[key][updates]


_SCORES: dict[tuple[str, bytes], Tensor] = {}


def far_score(method: str, setting: str, n: int, generator: Generator) -> Tensor:
    """The same for goals that nobody was trained for: on the rim of a square twice as wide."""
    tasks = FAMILY.sample(n, UPDATES * TRAJECTORIES, TRAJECTORIES, generator=generator)
    goals = on_the_rim(tasks.description, FAR)
    support, query = (Batch(b.x, goals[:, None].expand_as(b.y)) for b in (tasks.support, tasks.query))
    return _returns_after(SETTINGS[setting]["updates"], method, Task(support, query, goals))


# Recipes, and the table -------------------------------------------------------------------------------


def _training(method: str, **given) -> Training:
    return Training(partial(learner, method), METHODS[method].family, n_query=20, tasks_per_step=20, **given)


def _best_on_validation(stream: Iterator[Progress]) -> Params:
    looked_at = (progress.theta for progress in stream if progress.step % LOOK == 0)
    return max(looked_at, key=lambda theta: validated("MAML", theta))


def _by_trust_region(method: str, **given) -> Recipe:
    step = {"beta": 1.0, "optimiser": "sgd", "schedule": "constant"}  # the direction is a whole step
    training = _training(method, keep=_best_on_validation, **step, **given)
    return training.recipe(*TOLD, "optimiser", seed=SEED, method=method, limit=0.01, kept="the best on validation")


def _by_adam(method: str, **given) -> Recipe:
    return _training(method, **given).recipe(*TOLD, "schedule", seed=SEED, method=method)


_RECIPE_OF = {
    "MAML": _by_trust_region("MAML", outer_steps=300, k_shot=20),
    "MAML, Adam": _by_adam("MAML, Adam", beta=0.006, outer_steps=200, k_shot=20),
    "MAML, Adam, no score term": _by_adam("MAML, Adam, no score term", beta=0.006, outer_steps=200, k_shot=20),
    "pretrained": _by_adam("pretrained", beta=0.006, outer_steps=100, k_shot=0),
    "hypernetwork": _by_adam("hypernetwork", beta=0.005, outer_steps=200, k_shot=0),
    "oracle": _by_adam("oracle", beta=0.006, outer_steps=150, k_shot=0),
}
"""MAML by trust region steps, the others by Adam with cosine decay of beta; seed 0, fixed before any result."""

FILES = {method: METHODS[method].file for method in _RECIPE_OF}
RECIPES = {FILES[method]: recipe for method, recipe in _RECIPE_OF.items()}

SETTINGS = {f"{i} updates" if i != 1 else "1 update": {"updates": i} for i in range(UPDATES + 1)}
FIXED = {
    "family": repr(FAMILY),
    "trajectories": TRAJECTORIES,
    "alpha": ALPHA,
    "policy": SIZES,
    "policy of the hypernetwork": SMALL,
}
# A walk that, by the last digit, arrives one move sooner leads to another update, and that to other walks: up to 7 of
# 20 goals then have another return, by up to 2.7. The others' returns move by less than 0.001.
TOLERANCE = Tolerance(0.05, "most scores", sample=40)
TABLES = {
    "navigation": Table("return", tuple(METHODS), SETTINGS, score, FIXED, n=600, seed=TEST_SEED, tolerance=TOLERANCE),
    "navigation_far": Table(
        "return", ("MAML",), SETTINGS, far_score, {**FIXED, "half": FAR}, n=600, seed=TEST_SEED, tolerance=TOLERANCE
    ),
}
