"""Every learner of the library, small and in float64: how it is made, what it learns from, what it claims.

`core/test_every_learner.py` asks each of them every question, but for the exemptions that `EXEMPT` gives a reason for.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from clinic import by_copies, inner, maml_with
from oracles import float64_mlp, random_tasks, seeded
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from mapping_lib.chapters.few_shot_images.methods_features import on_features
from mapping_lib.chapters.language.methods import naive_bayes
from mapping_lib.chapters.other_mappings.methods import bayes_ridge
from mapping_lib.chapters.personalisation.methods_prior import choice_prior, gaussian_prior, legendre
from mapping_lib.chapters.reinforcement_learning.methods import policy_maml, trials
from mapping_lib.chapters.reinforcement_learning.methods_policies import GaussianPolicy
from mapping_lib.chapters.reinforcement_learning.methods_trust_region import trust_region_maml
from mapping_lib.chapters.what_came_after.methods_density import Bars, Normal
from mapping_lib.chapters.what_came_after.methods_fewer_numbers import few_numbers, written_numbers
from mapping_lib.chapters.what_came_after.methods_fewer_parts import context, low_rank, only
from mapping_lib.chapters.what_came_after.methods_implicit import implicit_maml
from mapping_lib.chapters.what_came_after.methods_neural_process import neural_process
from mapping_lib.chapters.what_came_after.methods_prior_fitted import prior_fitted
from mapping_lib.chapters.what_came_after.methods_recurrent import RecurrentPolicy, lives, recurrent_policy
from mapping_lib.chapters.what_came_after.methods_test_time import test_time
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.amortised import hypernetwork, n_weights, set_network
from mapping_lib.learners.baselines import from_scratch, joint, joint_adam, nearest_neighbour
from mapping_lib.learners.flow import gradient_flow
from mapping_lib.learners.gradient import anil, fomaml, maml, meta_sgd, reptile
from mapping_lib.learners.in_context import in_context
from mapping_lib.learners.prototypes import prototypical
from mapping_lib.learners.rule import learned_rule
from mapping_lib.networks import mlp
from mapping_lib.set_networks import ContextTransformer, DeepSet
from mapping_lib.task import Batch, Params, Task
from mapping_lib.worlds.goals import Navigation

ALPHA = 0.15

# Learners that take any network and loss -----------------------------------------------------------------


def described(network: nn.Module, loss: Callable, *, dtype: torch.dtype = torch.float32, **settings) -> MetaLearner:
    """A hypernetwork that reads a description of two numbers."""
    return hypernetwork(network, loss, writer=mlp((2, 4, n_weights(network)), nn.Tanh).to(dtype), **settings)


def set_reader(network: nn.Module, loss: Callable, *, dtype: torch.dtype = torch.float32, **settings) -> MetaLearner:
    """A set network that reads one input, and as many targets as the network has outputs."""
    n_out = list(network.parameters())[-1].shape[0]
    writer = DeepSet(1 + n_out, n_weights(network), width=4).to(dtype)
    return set_network(network, loss, writer=writer, **settings)


BY_STEPS = {
    make.__name__: make
    for make in (maml, fomaml, anil, meta_sgd, reptile, gradient_flow, learned_rule, joint, from_scratch, joint_adam)
}
WRITERS = {"hypernetwork": described, "set_network": set_reader}

# Tasks ---------------------------------------------------------------------------------------------------

TaskMaker = Callable[..., Task]
"""(n_tasks, k_shot, n_query, *, seed) -> tasks in float64."""


def labelled(*sizes: int, n_in: int = 4, n_way: int = 3, change=lambda x: x, **settings: int) -> Task:
    """Points of four features, or what ``change`` makes of them, with the labels 0, 1, ... in turn."""
    support, query, description = random_tasks(*sizes, n_in=n_in, **settings)
    y = (torch.arange(b.x.shape[1]).expand(b.x.shape[:2]).clone() % n_way for b in (support, query))
    return Task(Batch(change(support.x), next(y)), Batch(change(query.x), next(y)), description)


counted = partial(labelled, change=lambda x: (10 * x).abs().round())
choices = partial(labelled, n_in=8, n_way=4, change=lambda x: x.unflatten(2, (4, 2)))
"""Counts for features, and choices among four alternatives of two features."""


def goals(n_tasks: int = 3, k_shot: int = 4, n_query: int = 4, *, seed: int = 100) -> Task:
    """Goals in the plane, and luck for as many trajectories."""
    g = seeded(seed)
    return PLANE.toward(torch.rand(n_tasks, 2, generator=g, dtype=torch.float64) - 0.5, k_shot, n_query, generator=g)


# The table -----------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """``make(steps)`` gives the learner; the first of ``steps`` is used where a question asks for no other.

    ``evidence`` makes of one task's support what ``adapt`` reads.
    """

    make: Callable[[int], MetaLearner]
    claims: str = "exact"
    tasks: TaskMaker = random_tasks
    loss: Callable[[Tensor, Tensor], Tensor] = mse_loss
    steps: tuple[int, ...] = (2,)
    evidence: Callable[[Batch], Any] = lambda support: support

    def learner(self, steps: int | None = None) -> MetaLearner:
        return self.make(self.steps[0] if steps is None else steps)


TANH, RELU, BODY = float64_mlp(1, 3, 1, activation=nn.Tanh), float64_mlp(1, 3, 1), float64_mlp(4, 3, activation=nn.Tanh)
HEAD, TRANSFORMER = float64_mlp(3, 3), ContextTransformer(width=4, heads=2, layers=1).double()
PLANE, POLICY = Navigation(horizon=5), GaussianPolicy((2, 3, 2)).double()
NETWORKS = [TANH, RELU, BODY, HEAD, TRANSFORMER, POLICY]


def by_steps(make: Callable, network: nn.Module, **settings) -> Callable[[int], MetaLearner]:
    """steps -> a learner of a network and the mean squared error."""
    return lambda steps: make(network, mse_loss, steps=steps, **settings)


CLAIMS = {maml: "exact", fomaml: "first order", anil: "exact", meta_sgd: "exact", reptile: "no gradient"}
CLAIMS |= dict.fromkeys((joint, from_scratch, joint_adam), "no gradient")
LEARNERS = {
    f"{make.__name__}, {path} path": Entry(
        by_steps(make, network, alpha=ALPHA), claims, steps=(2, 1, 3, 4, 5) if claims == "exact" else (2,)
    )
    for make, claims in CLAIMS.items()
    for path, network in {"general": TANH, "fast": RELU}.items()
}
RULE = partial(learned_rule, alpha=ALPHA, width=3)
LEARNERS |= {
    "meta_sgd, first order": Entry(by_steps(meta_sgd, TANH, alpha=ALPHA, first_order=True), "first order"),
    "learned_rule": Entry(by_steps(RULE, TANH)),
    "learned_rule, first order": Entry(by_steps(RULE, TANH, first_order=True), "first order"),
    "learned_rule, start held": Entry(by_steps(RULE, TANH, learn_start=False), "no gradient"),
    "learned_rule, start held, first order": Entry(
        by_steps(RULE, TANH, learn_start=False, first_order=True), "no gradient"
    ),
    "gradient_flow": Entry(by_steps(gradient_flow, TANH, tau=0.6), steps=(3,)),
}
LEARNERS |= {
    f"{name}, {steps} steps": Entry(by_steps(make, TANH, dtype=torch.float64, alpha=ALPHA), steps=(steps,))
    for name, make in WRITERS.items()
    for steps in (0, 2)
}
LEARNERS |= {
    "maml, classes": Entry(
        lambda steps: maml(BODY, cross_entropy, alpha=ALPHA, steps=steps), tasks=labelled, loss=cross_entropy
    ),
    "in_context": Entry(lambda steps: in_context(TRANSFORMER, mse_loss)),
    "prototypical": Entry(lambda steps: prototypical(BODY, 3), tasks=labelled, loss=cross_entropy),
    "prototypical, no network": Entry(lambda steps: prototypical(None, 3), tasks=labelled, loss=cross_entropy),
    "on_features, maml": Entry(
        lambda steps: on_features(BODY, maml(HEAD, cross_entropy, alpha=ALPHA, steps=steps), cross_entropy),
        tasks=labelled,
        loss=cross_entropy,
    ),
    "on_features, prototypical": Entry(
        lambda steps: on_features(BODY, prototypical(None, 3), cross_entropy), tasks=labelled, loss=cross_entropy
    ),
    "naive_bayes": Entry(lambda steps: naive_bayes(3, 4), tasks=counted, loss=cross_entropy),
    "gaussian_prior": Entry(lambda steps: gaussian_prior(legendre(1), 2)),
    "choice_prior": Entry(lambda steps: choice_prior(2, newton_steps=5), tasks=choices, loss=cross_entropy),
    "nearest_neighbour": Entry(lambda steps: nearest_neighbour(3), "no gradient", labelled, cross_entropy),
    "bayes_ridge": Entry(lambda steps: bayes_ridge(weight=1.0, intercept=1.0, noise=0.5), "no gradient"),
    "a lent model": Entry(lambda steps: maml_with(inner)),
    "a lent model, copied": Entry(lambda steps: by_copies(), "first order"),
    "policy_maml": Entry(
        lambda steps: policy_maml(POLICY, PLANE, alpha=0.3, steps=steps), "no gradient", goals, steps=(1,),
        evidence=partial(trials, POLICY, PLANE),
    ),
    "trust_region_maml": Entry(
        lambda steps: trust_region_maml(POLICY, PLANE), "no gradient", goals, evidence=partial(trials, POLICY, PLANE)
    ),
}  # fmt: skip

# Chapter 4g: prior-data fitted networks, judged by what they say of y, of which `predict` is the mean --------


def prior_fitted_entry(kind) -> Entry:
    """Its raw numbers as the answer, and minus their log density as the loss."""
    pfn = prior_fitted(ContextTransformer(n_out=kind.n_out, width=4, heads=2, layers=1).double(), kind)
    learner = pfn.learner._replace(predict=lambda phi, x: pfn.density(phi, x).raw)
    return Entry(lambda steps: learner, loss=lambda raw, y: -kind.log_density(raw, y).mean())


LEARNERS |= {
    "prior_fitted, normal": prior_fitted_entry(Normal(0.1)),
    "prior_fitted, bars": prior_fitted_entry(Bars(torch.tensor([-2.0, -0.5, 0.5, 2.0], dtype=torch.float64))),
}
# Chapter 4g, implicit MAML: exact where its problem is solved, and so with many steps
LEARNERS["implicit_maml"] = Entry(by_steps(implicit_maml, TANH, alpha=0.12, strength=5.0), steps=(30,))
# Chapter 4g: fewer numbers to adapt
FEW = {"context": context(2), "LoRA": low_rank(1), "biases and head": only("biases", "head")}
LEARNERS |= {
    f"few_numbers, {part}, {path}": Entry(by_steps(few_numbers, network, part=FEW[part], alpha=ALPHA))
    for part in FEW
    for path, network in {"one by one": TANH, "batched": RELU}.items()
}
LEARNERS["written_numbers"] = Entry(
    lambda steps: written_numbers(TANH, mse_loss, part=low_rank(1), writer=mlp((2, 4, 8), nn.Tanh).double())
)

# Chapter 4g: test-time training, and a neural process, judged by its raw numbers as prior-fitted networks are --


def neural_process_entry(kind) -> Entry:
    """Its raw numbers as the answer, and minus their log density as the loss."""
    process = neural_process(float64_mlp(2, 3, activation=nn.Tanh), float64_mlp(4, 3, kind.n_out), kind)
    learner = process.learner._replace(predict=lambda phi, x: process.density(phi, x).raw)
    return Entry(lambda steps: learner, loss=lambda raw, y: -kind.log_density(raw, y).mean())


LEARNERS |= {
    "test_time": Entry(by_steps(test_time, TRANSFORMER, alpha=ALPHA), steps=(2, 1)),
    "test_time, with itself": Entry(by_steps(test_time, TRANSFORMER, alpha=ALPHA, leave_one_out=False)),
    "neural_process": neural_process_entry(Normal(0.1)),
}

# Who need not answer, and why ----------------------------------------------------------------------------

POLICIES = ("policy_maml", "trust_region_maml")
NO_THETA = dict.fromkeys(("prototypical, no network", "nearest_neighbour", "bayes_ridge"), "has an empty theta")
ACTS = dict.fromkeys(POLICIES, "the support is a function that acts: what is lived through is drawn, not given")
LENT = dict.fromkeys(("a lent model", "a lent model, copied"), "phi is given as values, by code that changes a module")
NOT_EXACT = {
    name: f"claims to be {entry.claims}: see 'no slope'" for name, entry in LEARNERS.items() if entry.claims != "exact"
}
EXEMPT: dict[str, dict[str, str]] = {
    "meta-loss": {
        **{f"{make}, {path} path": "is judged at theta, on all examples"
           for make in ("joint", "joint_adam") for path in ("general", "fast")},
        "nearest_neighbour": "reports the share of wrong answers",
        **dict.fromkeys(POLICIES, "reports minus the mean return"),
    },
    "slope": NOT_EXACT | NO_THETA,
    "no slope": {
        **{name: "claims to be exact: see 'slope'" for name, entry in LEARNERS.items() if entry.claims == "exact"},
        **NO_THETA,
        **ACTS,
    },
    "gradient": {
        **{name: reason for name, reason in NOT_EXACT.items() if LEARNERS[name].claims == "no gradient"},
        **LENT,
    },
    "vmap": LENT | ACTS,
    "path": {
        **{name: "has no path: it takes no steps, or its steps begin at what it wrote"
           for name, entry in LEARNERS.items() if entry.learner().adapt_path is None},
        **ACTS,
    },
    "evidence": {
        **dict.fromkeys(LENT, "the clinic's code takes the mean over no examples"),
        **dict.fromkeys(POLICIES, "without a trajectory there is no step to take: refused"),
        **{name: "phi has numbers that theta has not: they stay at 0, see chapters/what_came_after"
           for name in LEARNERS if name.startswith("few_numbers")},
    },
    "mean over tasks": {"trust_region_maml": "one step for all tasks, of a length measured on all"},
    "init": NO_THETA | dict.fromkeys(
        ("naive_bayes", "gaussian_prior", "choice_prior"), "begins at the same wide prior whatever the seed"
    ),
    "query": {
        **dict.fromkeys(("reptile, general path", "reptile, fast path"), "is then judged on the support"),
        "nearest_neighbour": "reports the share of wrong answers, of none: NaN",
        **LENT,
        **ACTS,
    },
    "arrays": {
        **dict.fromkeys(LENT, "what code does with the tensors that it is lent is its own affair"),
        **ACTS,
        "prototypical, no network": "reads the dtype of x before it looks at x: it cannot yet",
    },
    "no_grad": dict.fromkeys(LENT, "a reader's own backward() needs gradients"),
    "graph": {
        **{name: "for looking: computed without torch.func, a path keeps the graph that theta brings"
           for name in LEARNERS if name.endswith(("fast path", "batched")) and "adam" not in name},
        **dict.fromkeys(POLICIES, "for looking: the path begins with theta itself, and the graph that it brings"),
    },
    "order": {"trust_region_maml": "ten conjugate gradients on a metric that is nearly singular magnify rounding"},
    "device": {
        **dict.fromkeys(LENT, "a reader's own model lies where the reader put it"),
        **dict.fromkeys(POLICIES, "the world that it acts in lies on the CPU"),
        **dict.fromkeys(("naive_bayes", "gaussian_prior", "choice_prior"), "counts and tables, on the CPU"),
    },
    "doctor": {
        **ACTS,
        **dict.fromkeys(
            ("prototypical", "prototypical, no network", "on_features, prototypical"),
            "phi holds which classes were seen, as bools, and the doctor subtracts phi from phi: it cannot yet",
        ),
    },
}  # fmt: skip
"""By question and learner: the reason for which it is not asked."""


# Chapter 4g2: a policy that remembers -------------------------------------------------------------------

REMEMBERS = RecurrentPolicy(3).double()
NETWORKS.append(REMEMBERS)
LEARNERS["recurrent_policy"] = Entry(
    lambda steps: recurrent_policy(REMEMBERS, PLANE), "no gradient", goals, steps=(1,),
    evidence=partial(lives, REMEMBERS, PLANE),
)  # fmt: skip
for question, reason in {
    "meta-loss": "reports minus the mean return",
    "slope": "claims to be no gradient: its oracles are in chapters/what_came_after",
    "no slope": ACTS["policy_maml"],
    "gradient": "claims to be no gradient: its oracles are in chapters/what_came_after",
    "vmap": ACTS["policy_maml"],
    "path": "has no path: what it remembers is its own, and no step from theta",
    "mean over tasks": "advantages are scaled over all tasks of an outer step",
    "order of examples": "the episodes of a trial come one after the other: in another order they are another trial",
    "query": ACTS["policy_maml"],
    "arrays": ACTS["policy_maml"],
    "device": "the world that it acts in lies on the CPU",
    "doctor": ACTS["policy_maml"],
}.items():
    EXEMPT.setdefault(question, {})["recurrent_policy"] = reason


def asked(question: str) -> pytest.MarkDecorator:
    """Ask every learner that is not exempt."""
    return pytest.mark.parametrize("name", [name for name in LEARNERS if name not in EXEMPT.get(question, {})])


def theta_of(learner: MetaLearner, seed: int = 3) -> Params:
    """A fresh theta in float64 with noise on every number: a learned rule is no gradient descent any more."""
    g, theta = seeded(seed), learner.init(generator=seeded(seed))
    return {name: p.double() + 0.4 * torch.randn(p.shape, generator=g).double() for name, p in theta.items()}
