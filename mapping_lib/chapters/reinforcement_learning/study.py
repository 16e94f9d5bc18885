"""Chapter 4d: the return of a policy after 0 to 3 updates of 20 trajectories each, on goals that nobody trained on.

How fair is it? All methods but the oracle and the hypernetwork have the network, the family, the number of
trajectories and the form of the update in common: first a step of size alpha, then steps of alpha / 2. Two rows have
40 trajectories for an update, as the paper's test has; all others 20, as its training. MAML has the paper's alpha,
0.1, in training and after it. Those that were not trained for updates have theirs *tuned*: the best of `ALPHAS` by the
return after three updates on `VALIDATION` goals, drawn by a seed that neither training nor the table uses. MAML is
trained by trust region steps, as the paper's; of its theta, looked at every `LOOK` outer steps, the one is kept that is
best after three updates on the same goals. This does the tuning again:

    python -c "from mapping_lib.chapters.reinforcement_learning.study import tuned; print(tuned())"
"""

from functools import cache

import torch
from torch import Generator, Tensor

from mapping_lib.chapters.reinforcement_learning.methods import policy_maml, rollouts
from mapping_lib.chapters.reinforcement_learning.methods_policies import GaussianPolicy, experience, surrogate
from mapping_lib.chapters.reinforcement_learning.methods_trust_region import trust_region_maml
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.amortised import hypernetwork, n_weights
from mapping_lib.learners.many_tasks import one_each
from mapping_lib.meta_training import meta_train
from mapping_lib.networks import mlp
from mapping_lib.study import Table, Tolerance, shipped_theta
from mapping_lib.study.recipes import Recipe
from mapping_lib.task import Batch, Params, Task
from mapping_lib.worlds.goals import Navigation

FAMILY = Navigation()
TOLD = Navigation(show_goal=True)
SIZES, SMALL = (2, 100, 100, 2), (2, 16, 16, 2)
"""The network of the paper, and a small one for the hypernetwork to write."""

TRAJECTORIES, UPDATES = 20, 3
MANY, MANY_TRAJECTORIES = ", 40 trajectories", 40
ALPHA = {
    "MAML": 0.1,
    "MAML" + MANY: 0.1,
    "MAML, Adam": 0.1,
    "MAML, Adam, no score term": 0.1,
    "pretrained": 0.5,
    "pretrained" + MANY: 0.5,
    "pretrained, not tuned": 0.1,
    "random": 2.0,
}
"""The size of the first update; those after it are half as large."""

ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
VALIDATION, VALIDATION_SEED, LOOK = 40, 777, 25
SEED, TEST_SEED = 0, 2026

FILES = {
    "MAML": "navigation_maml",
    "MAML, Adam": "navigation_maml_adam",
    "MAML, Adam, no score term": "navigation_maml_adam_no_score",
    "pretrained": "navigation_pretrained",
    "hypernetwork": "navigation_hypernetwork",
    "oracle": "navigation_oracle",
}
METHODS = (*ALPHA, "hypernetwork", "oracle")


def learner(method: str, *, alpha: float | None = None) -> MetaLearner:
    """The learner of one of `METHODS`; only MAML is trained through inner steps, others meet them afterwards.

    >>> sum(p.numel() for p in learner("MAML").init(generator=torch.Generator().manual_seed(0)).values())
    10604
    """
    if method == "hypernetwork":
        return writing(SMALL)
    first = ALPHA.get(method, 0.0) if alpha is None else alpha
    sizes, family = ((4, *SIZES[1:]), TOLD) if method == "oracle" else (SIZES, FAMILY)
    policy, alphas = GaussianPolicy(sizes), (first, first / 2)
    if method in ("MAML", "MAML" + MANY):
        return trust_region_maml(policy, family, alpha=alphas)
    steps, score_term = int(method.startswith("MAML")), not method.endswith("no score term")
    return policy_maml(policy, family, alpha=alphas, steps=steps, score_term=score_term)


def writing(sizes: tuple[int, ...]) -> MetaLearner:
    """A hypernetwork h that writes a policy from the goal, goal ↦ φ: the idea of a seed article, on real tasks.

    It is `amortised.hypernetwork`, trained on what the policies that it wrote have lived through.

    >>> written = writing((2, 4, 2)).init(generator=torch.Generator().manual_seed(0))
    >>> written["base.log_std"]
    tensor([0., 0.])
    """
    policy = GaussianPolicy(sizes)
    h = hypernetwork(policy, surrogate, writer=mlp((2, 32, n_weights(policy))))

    def write(theta: Params, goals: Tensor) -> Params:
        nothing = Batch(goals.new_zeros(0, 2), goals.new_zeros(0, 3))
        return torch.func.vmap(lambda goal: h.adapt(theta, nothing, description=goal))(goals)

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        with torch.no_grad():
            lived = rollouts(policy, FAMILY, write(theta, tasks.description), tasks.query)
        n_tasks = len(tasks.description)
        nothing = Batch(*(torch.zeros(n_tasks, 0, width, dtype=torch.float32) for width in (2, 3)))
        _, direction = h.meta_grad(theta, Task(nothing, experience(lived), tasks.description))
        return -lived.returns.mean(), direction

    return h._replace(meta_grad=meta_grad, claims="no gradient")


def written(theta: Params, goal: Tensor) -> Params:
    """The policy that the hypernetwork writes for one ``goal (2,)``, without a try.

    >>> theta = writing(SMALL).init(generator=torch.Generator().manual_seed(0))
    >>> written(theta, torch.tensor([0.3, -0.3]))["log_std"].shape
    torch.Size([2])
    """
    nothing = Batch(*(torch.zeros(0, width, dtype=torch.float32) for width in (2, 3)))
    return _WRITER.adapt(theta, nothing, description=goal)


def phis(method: str, theta: Params, tasks: Task, *, updates: int = UPDATES, alpha: float | None = None) -> Params:
    """phi after 0 ... ``updates`` updates: tensors ``(updates + 1, task, ...)``, all alike where there is no update."""
    if method == "hypernetwork":
        with torch.no_grad():
            phi = torch.func.vmap(lambda goal: written(theta, goal))(tasks.description)
        return {name: p.expand(updates + 1, *p.shape) for name, p in phi.items()}
    if method == "oracle":
        return {name: p.expand(updates + 1, *p.shape) for name, p in one_each(theta, len(tasks.description)).items()}
    return learner(method, alpha=alpha).adapt_path(theta, tasks.support, steps=updates)


def policy_of(method: str) -> tuple[GaussianPolicy, Navigation]:
    """The network that a method's phi belongs to, and what it sees."""
    sizes = {"hypernetwork": SMALL, "oracle": (4, *SIZES[1:])}.get(method, SIZES)
    return GaussianPolicy(sizes), TOLD if method == "oracle" else FAMILY


def returns(method: str, theta: Params, tasks: Task, *, alpha: float | None = None) -> Tensor:
    """The mean return of every task's policy after 0 ... 3 updates, ``(4, task)``.

    The trajectories that judge are never those that a policy learned from.
    """
    path = phis(method, theta, tasks, alpha=alpha)
    policy, family = policy_of(method)
    rows = []
    for step in range(UPDATES + 1):
        if step and method in ("oracle", "hypernetwork"):  # it has no update: the same policy, the same luck
            rows.append(rows[0])
            continue
        phi = {name: p[step] for name, p in path.items()}
        rows.append(rollouts(policy, family, phi, tasks.query).returns.mean(-1))
    return torch.stack(rows)


_WRITER = writing(SMALL)


@cache
def theta_of(method: str) -> Params:
    """The shipped theta; for "random" one that nobody trained."""
    if method == "random":
        return learner(method).init(generator=torch.Generator().manual_seed(SEED))
    return shipped_theta(FILES[method.removesuffix(", not tuned").removesuffix(MANY)])


def tuned(methods: tuple[str, ...] = ("pretrained", "random")) -> dict[str, dict[float, float]]:
    """The return after three updates on the validation goals, for each method and alpha."""
    return {m: {a: _validated(m, theta_of(m), alpha=a) for a in ALPHAS} for m in methods}


def _validated(method: str, theta: Params, *, alpha: float | None = None) -> float:
    """The mean return after three updates on the validation goals."""
    drawn = torch.Generator().manual_seed(VALIDATION_SEED)
    tasks = FAMILY.sample(VALIDATION, UPDATES * TRAJECTORIES, TRAJECTORIES, generator=drawn)
    return float(returns(method, theta, tasks, alpha=alpha)[-1].mean())


def score(method: str, setting: str, n: int, generator: Generator) -> Tensor:
    """The return of ``n`` goals after as many updates as the setting says."""
    each_update = MANY_TRAJECTORIES if method.endswith(MANY) else TRAJECTORIES
    tasks = FAMILY.sample(
        n, UPDATES * each_update, TRAJECTORIES, generator=generator
    )  # goals are drawn first: the same
    key = method, tasks.description.numpy().tobytes()  # equal goals were drawn with equal luck
    if key not in _SCORES:  # all settings are columns of one adaptation: it is done once
        _SCORES[key] = returns(method, theta_of(method), tasks)
    return _SCORES[key][SETTINGS[setting]["updates"]]


_SCORES: dict[tuple[str, bytes], Tensor] = {}


def _trained(method: str, *, beta: float, outer_steps: int, k_shot: int) -> Recipe:
    settings = {"beta": beta, "outer_steps": outer_steps, "k_shot": k_shot, "n_query": 20, "tasks_per_step": 20}

    def train() -> Params:
        *_, last = meta_train(
            learner(method),
            TOLD if method == "oracle" else FAMILY,
            generator=torch.Generator().manual_seed(SEED),
            schedule="cosine",
            **settings,
        )
        return last.theta

    return Recipe(train, {"method": method, "seed": SEED, "schedule": "cosine", **settings})


def _by_trust_region(outer_steps: int) -> Recipe:
    settings = {"beta": 1.0, "outer_steps": outer_steps, "k_shot": 20, "n_query": 20, "tasks_per_step": 20}
    settings |= {"optimiser": "sgd"}  # the direction is a whole step

    def train() -> Params:
        stream = meta_train(learner("MAML"), FAMILY, generator=torch.Generator().manual_seed(SEED), **settings)
        looked_at = (progress.theta for progress in stream if progress.step % LOOK == 0)
        return max(looked_at, key=lambda theta: _validated("MAML", theta))

    return Recipe(train, {"method": "MAML", "seed": SEED, "limit": 0.01, "kept": "the best on validation", **settings})


RECIPES = {
    FILES["MAML"]: _by_trust_region(outer_steps=300),
    FILES["MAML, Adam"]: _trained("MAML, Adam", beta=0.006, outer_steps=200, k_shot=20),
    FILES["MAML, Adam, no score term"]: _trained("MAML, Adam, no score term", beta=0.006, outer_steps=200, k_shot=20),
    FILES["pretrained"]: _trained("pretrained", beta=0.006, outer_steps=100, k_shot=0),
    FILES["oracle"]: _trained("oracle", beta=0.006, outer_steps=150, k_shot=0),
    FILES["hypernetwork"]: _trained("hypernetwork", beta=0.005, outer_steps=200, k_shot=0),
}
"""MAML by trust region steps, the others by Adam with cosine decay of beta; seed 0, fixed before any result."""

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
TABLES = {"navigation": Table("return", METHODS, SETTINGS, score, FIXED, n=600, seed=TEST_SEED, tolerance=TOLERANCE)}
