"""Wrong arguments raise at once, and the message names the argument, the value and what is allowed."""

import math
from functools import partial

import learners_table as table
import pytest
import torch
from oracles import general_mse, refusals, seeded
from torch import nn
from torch.nn.functional import mse_loss

from mapping_lib.chapters.other_mappings.methods import bayes_ridge, flow_to_tolerance
from mapping_lib.chapters.personalisation import family_choices as choices
from mapping_lib.doctor import diagnose
from mapping_lib.evaluation import evaluate_by_shots, evaluate_by_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.amortised import hypernetwork, n_weights
from mapping_lib.learners.baselines import from_scratch, joint, joint_adam
from mapping_lib.learners.flow import gradient_flow
from mapping_lib.learners.gradient import ALPHA_PREFIX, anil, fomaml, maml, meta_sgd, reptile
from mapping_lib.learners.rule import learned_rule
from mapping_lib.meta_training import meta_train
from mapping_lib.networks import functional, mlp
from mapping_lib.params import as_params, flat
from mapping_lib.set_networks import ContextTransformer, DeepSet
from mapping_lib.task import Batch, Task, each
from mapping_lib.worlds import curves as growth
from mapping_lib.worlds import individuals, pictures
from mapping_lib.worlds.derived import Mixed, NoisyDescriptions
from mapping_lib.worlds.goals import Navigation

NETWORK = mlp((1, 4, 1))
THETA = maml(NETWORK, mse_loss).init(generator=seeded(0))


# one step after writing: otherwise a hypernetwork never looks at the support
described, set_reader = (partial(make, steps=1) for make in table.WRITERS.values())
WRITER = nn.Linear(2, n_weights(NETWORK))
WRITERS = [described, set_reader]
MAKERS = [maml, fomaml, anil, meta_sgd, reptile, joint, joint_adam, from_scratch, learned_rule, *WRITERS]


def zeros(*shape: int, dtype=torch.float32) -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype)


def batch(*shape: int) -> Batch:
    return Batch(zeros(*shape), zeros(*shape))


def tasks(support: Batch, query: Batch) -> Task:
    return Task(support, query, zeros(3, 2))


def use(door: str, evidence, *, theta=None, network: nn.Module = NETWORK, make=maml):
    """Bring the evidence of one task to a learner by each way that there is; for all but `adapt`, three times."""
    learner = make(network, mse_loss)
    theta = learner.init(generator=seeded(0)) if theta is None else theta
    good = Batch(zeros(3, 4, 1), torch.func.vmap(network)(zeros(3, 4, 1)).detach())
    if door != "adapt" and isinstance(evidence, Batch):
        evidence = Batch(*(t.expand(3, *t.shape) if isinstance(t, torch.Tensor) else t for t in evidence))
    match door:
        case "adapt":
            learner.adapt(theta, evidence, description=zeros(2))
        case "adapt_path":
            learner.adapt_path(theta, evidence, steps=1)
        case "support":
            learner.meta_grad(theta, tasks(evidence, good))
        case "query":
            learner.meta_grad(theta, tasks(good, evidence))


# Numbers ----------------------------------------------------------------------------------------------

BAD_ALPHAS = [
    (-0.1, "-0.1"),
    (math.nan, "nan"),
    (math.inf, "inf"),
    ("0.1", "'0.1'"),
    ("much", "'much'"),
    (None, "None"),
]
BAD_STEPS = [(-1, "-1"), (1.0, r"1\.0"), (True, "True"), ("1", "'1'")]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("value", "shown"), BAD_ALPHAS, ids=str)
def test_alpha_is_a_finite_number_not_below_zero(make, value, shown: str):
    with pytest.raises((ValueError, TypeError), match=f"alpha is {shown}; allowed: a finite number, 0 or more"):
        make(NETWORK, mse_loss, alpha=value)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("value", "shown"), BAD_STEPS, ids=str)
def test_steps_is_a_whole_number_not_below_zero(make, value, shown: str):
    with pytest.raises((ValueError, TypeError), match=f"steps is {shown}; allowed: a whole number, 0 or more"):
        make(NETWORK, mse_loss, steps=value)


@pytest.mark.parametrize(("value", "shown"), BAD_STEPS, ids=str)
@pytest.mark.parametrize("make", [maml, joint_adam, learned_rule, gradient_flow, *WRITERS])
def test_steps_is_checked_at_the_call_too(make, value, shown: str):
    learner = make(NETWORK, mse_loss)
    theta = learner.init(generator=seeded(0))
    calls = [lambda: learner.adapt(theta, batch(4, 1), description=zeros(2), steps=value)]
    if learner.adapt_path:
        calls.append(lambda: learner.adapt_path(theta, batch(3, 4, 1), steps=value))
    for call in calls:
        with pytest.raises((ValueError, TypeError), match=f"steps is {shown}; allowed: a whole number"):
            call()


def test_a_learned_alpha_may_be_negative():
    learner = meta_sgd(NETWORK, mse_loss, alpha=0.0)
    theta = learner.init(generator=seeded(0))
    theta |= {name: p - 0.5 for name, p in theta.items() if name.startswith(ALPHA_PREFIX)}
    ones = Batch(torch.ones(4, 1), torch.ones(4, 1))
    phi = learner.adapt(theta, ones)
    weights = {name: theta[name] for name in phi}
    before, after = (mse_loss(learner.predict(params, ones.x), ones.y) for params in (weights, phi))
    assert after > before  # a step uphill


def train(**kwargs):
    settings = {"beta": 0.1, "outer_steps": 1, "generator": seeded(0)} | kwargs
    return meta_train(maml(NETWORK, mse_loss), Sinusoids(), **settings)


def evaluate(**kwargs):
    settings = {"k_shot": 3, "steps": 1, "n_tasks": 3, "generator": seeded(0)} | kwargs
    return evaluate_by_step(maml(NETWORK, mse_loss), THETA, Sinusoids(), **settings)


def by_shots(**kwargs):
    """By a learner that takes no steps, and so does not look at how many it is to take."""
    settings = {"shots": (0, 3), "n_tasks": 3, "generator": seeded(0)} | kwargs
    return evaluate_by_shots(bayes_ridge(weight=1.0, intercept=1.0, noise=1.0), {}, Sinusoids(), **settings)


def sample(n_tasks=3, k_shot=2, n_query=2, **kwargs):
    return Sinusoids().sample(n_tasks, k_shot, n_query, **{"generator": seeded(0), **kwargs})


def waves(*shape: int, dtype=torch.float32, k_shot=2, n_query=2, **kwargs):
    description = zeros(*shape, dtype=dtype)
    return Sinusoids().examples(description, k_shot, n_query, **{"generator": seeded(0), **kwargs})


def ridge(x: torch.Tensor, y: torch.Tensor):
    return bayes_ridge(weight=1.0, intercept=1.0, noise=1.0).adapt({}, Batch(x, y))


def follow(**kwargs):
    return flow_to_tolerance({"w": zeros(1)}, lambda params: params["w"].sum(), **({"tau": 1.0} | kwargs))


def describe(description, writer: nn.Module | None = WRITER):
    learner = hypernetwork(NETWORK, mse_loss, writer=writer)
    return learner.adapt(learner.init(generator=seeded(0)), batch(4, 1), description=description)


class Named(nn.Module):
    """Has a layer of this name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.add_module(name, nn.Linear(1, 1))


class LogTau(nn.Module):
    """Has a parameter with the name under which a flow keeps its time."""

    def __init__(self) -> None:
        super().__init__()
        self.log_tau = nn.Parameter(torch.zeros(()))


NO_GENERATOR = "generator is None; allowed: a torch.Generator"
A_SEED = "generator is 0; allowed: a torch.Generator"
ABOVE_ZERO = "a finite number above 0"
CALLS = [
    (lambda: train(beta=0.0), f"beta is 0.0; allowed: {ABOVE_ZERO}"),
    (lambda: train(beta=-1), f"beta is -1.0; allowed: {ABOVE_ZERO}"),
    (lambda: train(beta=math.nan), f"beta is nan; allowed: {ABOVE_ZERO}"),
    (lambda: train(beta=math.inf), f"beta is inf; allowed: {ABOVE_ZERO}"),
    (lambda: train(beta="0.1"), f"beta is '0.1'; allowed: {ABOVE_ZERO}"),
    (lambda: train(outer_steps=-1), "outer_steps is -1; allowed: a whole number, 0 or more"),
    (lambda: train(outer_steps=1e3), "outer_steps is 1000.0; allowed: a whole number, 0 or more"),
    (lambda: train(tasks_per_step=0), "tasks_per_step is 0; allowed: a whole number, 1 or more"),
    (lambda: train(k_shot=-1), "k_shot is -1; allowed: a whole number, 0 or more"),
    (lambda: train(n_query=-1), "n_query is -1; allowed: a whole number, 0 or more"),
    (lambda: train(optimiser="rmsprop"), "optimiser is 'rmsprop'; allowed: 'adam', 'sgd'"),
    (lambda: train(schedule="linear"), "schedule is 'linear'; allowed: 'constant', 'cosine'"),
    (lambda: train(generator=None), NO_GENERATOR),
    (lambda: train(generator=0), A_SEED),
    (lambda: next(train(n_query=0)), "tasks.query is empty; allowed: at least one query example"),
    (lambda: next(train(theta={"w": zeros(1)})), "theta has the names ['w']; allowed: ['0.bias', '0.weight',"),
    (lambda: evaluate(k_shot=-1), "k_shot is -1; allowed: a whole number, 0 or more"),
    (lambda: evaluate(steps=-1), "steps is -1; allowed: a whole number, 0 or more"),
    (lambda: evaluate(n_tasks=0), "n_tasks is 0; allowed: a whole number, 2 or more"),
    (lambda: evaluate(n_query=0), "n_query is 0; allowed: a whole number, 1 or more"),
    (lambda: evaluate(generator=None), NO_GENERATOR),
    (lambda: by_shots(shots=()), "shots is (); allowed: one number of examples or more"),
    (lambda: by_shots(shots=(3, -1)), "shots[1] is -1; allowed: a whole number, 0 or more"),
    (lambda: by_shots(shots=[2.0]), "shots[0] is 2.0; allowed: a whole number, 0 or more"),
    (lambda: by_shots(steps=-1), "steps is -1; allowed: a whole number, 0 or more"),
    (lambda: by_shots(steps=1.0), "steps is 1.0; allowed: a whole number, 0 or more"),
    (lambda: by_shots(n_tasks=1), "n_tasks is 1; allowed: a whole number, 2 or more"),
    (lambda: by_shots(n_query=0), "n_query is 0; allowed: a whole number, 1 or more"),
    (lambda: by_shots(generator=None), NO_GENERATOR),
    (lambda: sample(n_tasks=0), "n_tasks is 0; allowed: a whole number, 1 or more"),
    (lambda: sample(n_tasks=2.0), "n_tasks is 2.0; allowed: a whole number, 1 or more"),
    (lambda: sample(k_shot=-1), "k_shot is -1; allowed: a whole number, 0 or more"),
    (lambda: sample(n_query=-1), "n_query is -1; allowed: a whole number, 0 or more"),
    (lambda: sample(generator=None), NO_GENERATOR),
    (lambda: waves(2), "description has shape (2,); allowed: (task, 2), 1 task or more"),
    (lambda: waves(4, 3), "description has shape (4, 3); allowed: (task, 2), 1 task or more"),
    (lambda: waves(0, 2), "description has shape (0, 2); allowed: (task, 2), 1 task or more"),
    (lambda: waves(4, 2, dtype=torch.float64), "description has dtype torch.float64; allowed: torch.float32, the"),
    (lambda: Sinusoids().examples([[1.0, 0.0]], 1, 1, generator=seeded(0)), "description is a list; allowed: a tensor"),
    (lambda: waves(4, 2, k_shot=-1), "k_shot is -1; allowed: a whole number, 0 or more"),
    (lambda: waves(4, 2, n_query=1.0), "n_query is 1.0; allowed: a whole number, 0 or more"),
    (lambda: waves(4, 2, generator=None), NO_GENERATOR),
    (lambda: bayes_ridge(weight=-1.0, intercept=1.0, noise=1.0), "weight is -1.0; allowed: a finite number, 0 or more"),
    (
        lambda: bayes_ridge(weight=1.0, intercept=math.nan, noise=1.0),
        "intercept is nan; allowed: a finite number, 0 or",
    ),
    (lambda: bayes_ridge(weight=1.0, intercept=1.0, noise=None), "noise is None; allowed: a finite number, 0 or more"),
    (
        lambda: ridge(zeros(4, 1), zeros(4, 2)),
        "support.y has shape (4, 2) and dtype torch.float32; allowed: (example, 1)",
    ),
    (
        lambda: ridge(zeros(4, 1), zeros(4).long()),
        "support.y has shape (4,) and dtype torch.int64; allowed: (example, 1)",
    ),
    (lambda: ridge(zeros(4, 1), zeros(3, 1)), "support.x has shape (4, 1) and support.y (3, 1); allowed: as many"),
    (
        lambda: ridge(zeros(4, 2, 2), zeros(4, 1)),
        "support.x has shape (4, 2, 2) and dtype torch.float32; allowed: (exam",
    ),
    (
        lambda: ridge(zeros(4, 1).long(), zeros(4, 1).long()),
        "support.x has shape (4, 1) and dtype torch.int64; allowed:",
    ),
    (lambda: learned_rule(NETWORK, mse_loss, width=0), "width is 0; allowed: a whole number, 1 or more"),
    (lambda: learned_rule(NETWORK, mse_loss, width=8.0), "width is 8.0; allowed: a whole number, 1 or more"),
    (lambda: learned_rule(Named("rule"), mse_loss), "network has a parameter named 'rule.weight'; allowed: no name"),
    (lambda: learned_rule(None, mse_loss), "network is a NoneType; allowed: a torch.nn.Module"),
    (lambda: gradient_flow(NETWORK, mse_loss, tau=0.0), f"tau is 0.0; allowed: {ABOVE_ZERO}"),
    (lambda: gradient_flow(NETWORK, mse_loss, tau=math.nan), f"tau is nan; allowed: {ABOVE_ZERO}"),
    (lambda: gradient_flow(NETWORK, mse_loss, tau="1"), f"tau is '1'; allowed: {ABOVE_ZERO}"),
    (lambda: gradient_flow(NETWORK, mse_loss, steps=0), "steps is 0; allowed: a whole number, 1 or more"),
    (lambda: gradient_flow(NETWORK, mse_loss, steps=2.0), "steps is 2.0; allowed: a whole number, 1 or more"),
    (lambda: gradient_flow(NETWORK, mse_loss).init(generator=None), NO_GENERATOR),
    (lambda: learned_rule(NETWORK, mse_loss).init(generator=0), A_SEED),
    (lambda: described(NETWORK, mse_loss).init(generator=None), NO_GENERATOR),
    (lambda: gradient_flow(LogTau(), mse_loss), "network has a parameter named 'log_tau'; allowed: any other name"),
    (lambda: follow(tau=-1), "tau is -1.0; allowed: a finite number, 0 or more"),
    (lambda: follow(tau=math.inf), "tau is inf; allowed: a finite number, 0 or more"),
    (lambda: follow(tolerance=0), f"tolerance is 0.0; allowed: {ABOVE_ZERO}"),
    (lambda: follow(max_steps=1), "max_steps is 1; allowed: a whole number, 2 or more"),
    (lambda: follow(max_steps=8.0), "max_steps is 8.0; allowed: a whole number, 2 or more"),
    (lambda: describe(None), "description is None; allowed: a vector that says which task it is, or a set_network"),
    (lambda: describe(zeros(2), nn.Linear(2, 12)), "writer gives the shape (12,); allowed: (13,), one number a weight"),
    (lambda: describe(zeros(3, 2)), "writer gives the shape (3, 13); allowed: (13,), one number a weight"),
    (lambda: describe(zeros(2), None), "network is a NoneType; allowed: a torch.nn.Module"),
    (lambda: DeepSet(0, 5), "sizes[0] is 0; allowed: a whole number, 1 or more"),
    (lambda: DeepSet(2, 5, last=0), "sizes[2] is 0; allowed: a whole number, 1 or more"),
    (lambda: as_params(zeros(5), {"w": (2, 3)}), "vector has 5 numbers; allowed: 6, as many as the parameters have"),
    (lambda: as_params(zeros(7), {"w": (2, 3)}), "vector has 7 numbers; allowed: 6, as many as the parameters have"),
    (lambda: maml(NETWORK, mse_loss).init(generator=None), NO_GENERATOR),
    (lambda: meta_sgd(NETWORK, mse_loss).init(generator=0), A_SEED),
    (lambda: Sinusoids(amplitude=(5.0, 0.1)), "amplitude is (5.0, 0.1); allowed: a pair with low not above high"),
    (lambda: Sinusoids(phase=(1.0, 0.0)), "phase is (1.0, 0.0); allowed: a pair with low not above high"),
    (lambda: Sinusoids(x=(5.0, -5.0)), "x is (5.0, -5.0); allowed: a pair with low not above high"),
    (lambda: Sinusoids(x=5.0), "x is 5.0; allowed: a pair (low, high)"),
    (lambda: Sinusoids(x=(0.0, math.inf)), "x[1] is inf; allowed: a finite number"),
    (lambda: Sinusoids(noise=-0.1), "noise is -0.1; allowed: a finite number, 0 or more"),
    (lambda: Sinusoids(noise=math.nan), "noise is nan; allowed: a finite number, 0 or more"),
    (lambda: Sinusoids(dtype=torch.int64), "dtype is torch.int64; allowed: a floating dtype"),
    (lambda: anil(NETWORK, mse_loss, head="9"), "head is '9'; allowed: "),
    (lambda: functional(None), "network is a NoneType; allowed: a torch.nn.Module"),
]


test_the_message_names_the_argument_the_value_and_what_is_allowed = refusals(CALLS)


def test_a_parameter_that_looks_like_an_alpha_is_refused():
    network = nn.ModuleDict({"alpha": nn.Linear(1, 1)})
    with pytest.raises(ValueError, match=r"network has a parameter named 'alpha\.weight'; allowed: no name"):
        meta_sgd(network, mse_loss)


# Batches ----------------------------------------------------------------------------------------------

BATCHES = [
    (Batch(zeros(4), zeros(4, 1)), r"\.x has shape \(.*4,?\); allowed: \(.*example, feature\)"),
    (Batch(zeros(4, 1), zeros()), r"\.y has shape \(.*\); allowed: \(.*example, feature\) or \(.*example,?\)"),
    (Batch(zeros(4), zeros(4)), r"\.x has shape \(.*4,?\); allowed: \(.*example, feature\)"),
    (Batch(zeros(4, 1), zeros(5, 1)), r"\.x has shape .*4, 1\) and .*\.y .*5, 1\); allowed: as many targets as inputs"),
    (Batch(zeros(4, 1), zeros(1, 1)), r"\.x has shape .*4, 1\) and .*\.y .*1, 1\); allowed: as many targets as inputs"),
    (Batch(zeros(4, 1, dtype=torch.float64), zeros(4, 1)), r"\.x has dtype torch.float64; allowed: torch.float32"),
    (Batch(zeros(4, 1), zeros(4, 1, dtype=torch.float64)), r"\.y has dtype torch.float64; allowed: torch.float32"),
    (Batch(zeros(4, 1, dtype=torch.int64), zeros(4, 1)), r"\.x has dtype torch.int64; allowed: torch.float32"),
    (
        Batch([[0.0]], zeros(1, 1)),
        r"\.x is a list; allowed: a tensor of shape \(.*example, feature\)\. Make it one: torch\.tensor\(x\)",
    ),
    (
        Batch(zeros(1, 1), zeros(1, 1).double().numpy()),
        r"\.y is a numpy\.ndarray; allowed: .*\. Make it one: torch\.tensor\(y, dtype=torch\.float32\)",
    ),
    (Batch(zeros(1, 1), None), r"\.y is a NoneType; allowed: a tensor of shape \(.*example, feature\)"),
    ((zeros(4, 1), zeros(4, 1)), r" is a tuple; allowed: Batch\(x, y\)"),
    (zeros(4, 1), r" is a Tensor; allowed: Batch\(x, y\)"),
    (None, r" is a NoneType; allowed: Batch\(x, y\)"),
]
NAMES = {"adapt": "support", "adapt_path": "support", "support": "tasks.support", "query": "tasks.query"}


AT_EVERY_DOOR = pytest.mark.parametrize("door", NAMES)
DOORS = [
    (make, door)
    for make in (maml, learned_rule, gradient_flow, *WRITERS)
    for door in NAMES
    if make not in WRITERS or door != "adapt_path"  # they have none
]
DOORS += [(joint_adam, "adapt"), (joint_adam, "adapt_path")]


@pytest.mark.parametrize(("make", "door"), DOORS)
@pytest.mark.parametrize(("evidence", "message"), BATCHES, ids=[message for _, message in BATCHES])
def test_a_wrong_batch_is_refused(make, door: str, evidence, message: str):
    with pytest.raises((ValueError, TypeError), match=f"^{NAMES[door]}{message}"):
        use(door, evidence, make=make)


WRONG_WIDTH = {
    "too many": (mlp((1, 4, 1)), Batch(zeros(4, 1), zeros(4, 2))),
    "too few": (mlp((1, 4, 2)), Batch(zeros(4, 1), zeros(4, 1))),
    "too many, no hidden layer": (mlp((1, 1)), Batch(zeros(4, 1), zeros(4, 2))),
    "too few, no hidden layer": (mlp((1, 2)), Batch(zeros(4, 1), zeros(4, 1))),
    "no feature": (mlp((1, 4, 1)), Batch(zeros(4, 1), zeros(4))),
    "no feature, any network": (mlp((1, 4, 1), nn.Tanh), Batch(zeros(4, 1), zeros(4))),
    "a feature too many": (nn.Sequential(mlp((1, 4, 1)), nn.Flatten(0)), Batch(zeros(4, 1), zeros(4, 1))),
    "labels": (mlp((1, 4, 1)), Batch(zeros(4, 1), zeros(4, dtype=torch.int64))),
    "too many, any network": (mlp((1, 4, 1), nn.Tanh), Batch(zeros(4, 1), zeros(4, 2))),
    "too few, any network": (mlp((1, 4, 2), nn.Tanh), Batch(zeros(4, 1), zeros(4, 1))),
}


@pytest.mark.parametrize(("make", "door"), [(make, door) for make, door in DOORS if make is not set_reader])
@pytest.mark.parametrize("kind", WRONG_WIDTH)
def test_mean_squared_error_never_broadcasts(make, kind: str, door: str):
    network, evidence = WRONG_WIDTH[kind]
    with pytest.raises(ValueError, match=r"y has shape \(.*\); allowed: \("):
        use(door, evidence, network=network, make=make)


class OneNumber(nn.Module):
    """The network's only output, without a feature dimension."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x)[..., 0]


@pytest.mark.parametrize("make", [maker for maker in MAKERS if maker not in WRITERS] + [gradient_flow, described])
def test_an_output_without_a_feature_dimension_is_as_good_as_one_with(make):
    """Targets (example,), the shape of the output: the same meta-loss, direction and phi as with (example, 1)."""
    with_one, without = make(mlp((1, 4, 1), nn.Tanh), mse_loss), make(OneNumber(mlp((1, 4, 1), nn.Tanh)), mse_loss)
    theta, own = (learner.init(generator=seeded(0)) for learner in (with_one, without))
    rename = dict(zip(own, theta, strict=True))
    own = {name: theta[other] for name, other in rename.items()}
    many = sample()
    flat = many._replace(support=Batch(many.support.x, many.support.y[..., 0]))
    flat = flat._replace(query=Batch(many.query.x, many.query.y[..., 0]))
    (loss, direction), (flat_loss, flat_direction) = with_one.meta_grad(theta, many), without.meta_grad(own, flat)
    torch.testing.assert_close(flat_loss, loss)
    torch.testing.assert_close(flat_direction, {name: direction[other] for name, other in rename.items()})
    one, flat_one = (Batch(part.support.x[0], part.support.y[0]) for part in (many, flat))
    phi, flat_phi = with_one.adapt(theta, one, description=zeros(2)), without.adapt(own, flat_one, description=zeros(2))
    torch.testing.assert_close(list(flat_phi.values()), list(phi.values()))
    assert without.predict(flat_phi, one.x).shape == (2,)


def test_a_reader_of_sets_needs_the_feature_dimension_of_y():
    with pytest.raises(ValueError, match=r"y has shape \(4,\) and x \(4, 1\); allowed: as many dimensions as x"):
        use("adapt", Batch(zeros(4, 1), zeros(4)), make=set_reader)


@pytest.mark.parametrize("k_shot", [0, 3])
def test_the_evaluation_never_broadcasts(k_shot: int):
    """Two outputs, one target."""
    learner = maml(mlp((1, 4, 2)), general_mse)
    theta = learner.init(generator=seeded(0))
    with pytest.raises(ValueError, match=r"y has shape \(.*allowed: "):
        evaluate_by_step(learner, theta, Sinusoids(), k_shot=k_shot, steps=1, n_tasks=2, generator=seeded(0))


@table.asked("query")
def test_an_empty_query_has_no_meta_loss(name: str):
    learner, learns_from_all = table.LEARNERS[name].learner(), name.startswith("joint")
    theta, query = table.theta_of(learner), r"tasks\.query is empty; allowed: at least one query example"
    if learns_from_all:
        assert learner.meta_grad(theta, table.LEARNERS[name].tasks(n_query=0))[0].isfinite()
    with pytest.raises(ValueError, match=query):
        learner.meta_grad(theta, table.LEARNERS[name].tasks(k_shot=0 if learns_from_all else 4, n_query=0))


@pytest.mark.parametrize(("supports", "queries"), [(3, 2), (0, 0)])
def test_every_task_has_a_support_and_a_query(supports: int, queries: int):
    learner = maml(NETWORK, mse_loss)
    theta = learner.init(generator=seeded(0))
    with pytest.raises(ValueError, match=f"tasks has {supports} supports and {queries} queries; allowed: one of each"):
        learner.meta_grad(theta, tasks(batch(supports, 4, 1), batch(queries, 4, 1)))


# theta ------------------------------------------------------------------------------------------------

A_NAME_TOO_FEW = {name: p for name, p in THETA.items() if name != "2.bias"}
BAD_THETAS = [
    (A_NAME_TOO_FEW, r"theta has the names \['0.bias', '0.weight', '2.weight'\]; allowed: .*'2.bias'"),
    (THETA | {"w": zeros(1)}, r"theta has the names .*'w'\]; allowed: \['0.bias', '0.weight', '2.bias', '2.weight'\]"),
    (THETA | {"2.bias": zeros(2)}, r"theta\['2.bias'\] has shape \(2,\); allowed: \(1,\)"),
    (THETA | {"0.weight": zeros(1, 4)}, r"theta\['0.weight'\] has shape \(1, 4\); allowed: \(4, 1\)"),
]


@AT_EVERY_DOOR
@pytest.mark.parametrize(
    ("theta", "message"), BAD_THETAS, ids=["name too few", "name too many", "length", "transposed"]
)
def test_a_theta_of_another_network_is_refused(door: str, theta, message: str):
    with pytest.raises(ValueError, match=message):
        use(door, batch(4, 1), theta=theta)


@pytest.mark.parametrize(("make", "door"), [(make, door) for make, door in DOORS if make is not maml])
def test_a_theta_without_what_was_learned_is_refused(make, door: str):
    theta = make(NETWORK, mse_loss).init(generator=seeded(0))
    name = list(theta)[-1]  # of the rule, the time, the writer
    few = {other: p for other, p in theta.items() if other != name}
    with pytest.raises(ValueError, match=rf"theta has the names .*; allowed: .*'{name}'"):
        use(door, batch(4, 1), theta=few, make=make)
    with pytest.raises(ValueError, match=rf"theta\['{name}'\] has shape \(7, 7\); allowed: \("):
        use(door, batch(4, 1), theta=theta | {name: zeros(7, 7)}, make=make)


@pytest.mark.parametrize(
    ("theta", "message"),
    [
        (
            NETWORK,
            r"theta is a Sequential; allowed: a dict of tensors by name\. Of a module: dict\(module\.named_param",
        ),
        (list(THETA.values()), "theta is a list; allowed: a dict of tensors by name"),
        (
            {n: p.numpy() for n, p in THETA.items()},
            r"theta\['0\.weight'\] is a numpy\.ndarray; allowed: a tensor\. Make",
        ),
        (THETA | {"2.bias": [0.0]}, r"theta\['2\.bias'\] is a list; allowed: a tensor\. Make it one: torch\.tensor"),
    ],
    ids=["a module", "a list", "numpy", "a list inside"],
)
@AT_EVERY_DOOR
def test_a_theta_that_is_no_dict_of_tensors_is_refused(door: str, theta, message: str):
    with pytest.raises(TypeError, match=f"^{message}"):
        use(door, batch(4, 1), theta=theta)


def test_meta_sgd_needs_its_alphas():
    learner = meta_sgd(NETWORK, mse_loss)
    with pytest.raises(ValueError, match=r"theta has the names .*; allowed: .*'alpha\.0\.weight'"):
        learner.adapt(THETA, batch(4, 1))


# Arrays and lists in place of tensors -----------------------------------------------------------------

ARRAYS = pytest.mark.parametrize("convert", [lambda t: t.numpy(), lambda t: t.tolist()], ids=["numpy", "list"])
REMEDY = r"^{} is a (numpy\.ndarray|list); allowed: a tensor.*\. Make it one: torch\.tensor\("
PLACES = ["support.x", "support.y", "query.x", "query.y", "description"]


def converted(drawn: Task, place: str, convert) -> Task:
    """The tasks with one tensor replaced."""
    name, _, part = place.partition(".")
    old = getattr(drawn, name)
    return drawn._replace(**{name: old._replace(**{part: convert(getattr(old, part))}) if part else convert(old)})


class Arrays:
    """Sinusoids with an array in place of one tensor."""

    def __init__(self, place: str, convert) -> None:
        self.place, self.convert = place, convert

    def sample(self, *args, **kwargs) -> Task:
        return converted(Sinusoids().sample(*args, **kwargs), self.place, self.convert)


@ARRAYS
@table.asked("arrays")
def test_every_learner_names_the_array(name: str, convert):
    learner, drawn = table.LEARNERS[name].learner(), table.LEARNERS[name].tasks()
    theta, one = table.theta_of(learner), next(each(drawn))
    for place in PLACES:
        with pytest.raises(TypeError, match=REMEDY.format(f"tasks.{place}")):
            learner.meta_grad(theta, converted(drawn, place, convert))
    for place in ("support.x", "support.y"):
        with pytest.raises(TypeError, match=REMEDY.format(place)):
            learner.adapt(theta, converted(one, place, convert).support, description=one.description)


OF_FAMILIES = {
    "meta_train": lambda family: next(meta_train(maml(NETWORK, mse_loss), family, **TRAINING)),
    "evaluate_by_step": lambda family: evaluate_by_step(maml(NETWORK, mse_loss), THETA, family, steps=1, **JUDGED),
    "evaluate_by_shots": lambda family: evaluate_by_shots(
        bayes_ridge(weight=1.0, intercept=1.0, noise=1.0), {}, family, shots=(1,), n_tasks=2, generator=seeded(0)
    ),
    "diagnose": lambda family: diagnose(maml(NETWORK, mse_loss), family),
    "Mixed": lambda family: Mixed((Sinusoids(), family)).sample(2, 2, 2, generator=seeded(0)),
    "NoisyDescriptions": lambda family: NoisyDescriptions(family, noise=0.1).sample(2, 2, 2, generator=seeded(0)),
}
TRAINING = {"beta": 0.1, "outer_steps": 1, "generator": seeded(0)}
JUDGED = {"k_shot": 2, "n_tasks": 2, "generator": seeded(0)}


@ARRAYS
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("use", OF_FAMILIES.values(), ids=OF_FAMILIES)
def test_a_family_that_draws_arrays_is_told_so(use, place: str, convert):
    with pytest.raises(TypeError, match=REMEDY.format(f"tasks.{place}")):
        use(Arrays(place, convert))


class Tuples:
    """Sinusoids as plain tuples."""

    def sample(self, *args, **kwargs):
        return tuple(Sinusoids().sample(*args, **kwargs))


@pytest.mark.parametrize("use", OF_FAMILIES.values(), ids=OF_FAMILIES)
def test_what_is_no_family_or_draws_no_task_is_named(use):
    with pytest.raises(TypeError, match=r"^tasks is a tuple; allowed: Task\(support, query, description\)"):
        use(Tuples())
    with pytest.raises(TypeError, match=r"^famil.* is None; allowed: a family of tasks with a method sample"):
        use(None)


OFFERS, TAKEN = (part[:5] for part in choices.load())
CHICKS = growth.load("chicks")
PLANE = Navigation(horizon=3)
LUCK = PLANE.toward(zeros(2, 2), 2, 0, generator=seeded(0)).support
OF_DATA = {
    "description": lambda convert: Sinusoids().examples(convert(zeros(3, 2)), 1, 1, generator=seeded(0)),
    "offers": lambda convert: choices.Choices(convert(OFFERS), TAKEN),
    "choices": lambda convert: choices.Choices(OFFERS, convert(TAKEN)),
    "curves.times": lambda convert: growth.Growth(CHICKS._replace(times=convert(CHICKS.times))),
    "curves.values": lambda convert: growth.Growth(CHICKS._replace(values=convert(CHICKS.values))),
    "observed": lambda convert: individuals.deal(convert(torch.ones(5, 6) > 0), 3, generator=seeded(0)),
    "picture": lambda convert: pictures.standardised(convert(torch.ones(5, 6))),
    "images": lambda convert: pictures.jittered(convert(torch.ones(2, 28, 28)), 1.0, generator=seeded(0)),
    "ink": lambda convert: pictures.centred(convert(torch.ones(2, 2))),
    "luck.x": lambda convert: PLANE.rollouts(lambda seen: 0 * seen, LUCK._replace(x=convert(LUCK.x))),
    "luck.y": lambda convert: PLANE.rollouts(lambda seen: 0 * seen, LUCK._replace(y=convert(LUCK.y))),
    "x": lambda convert: Sinusoids.truth(zeros(2), convert(zeros(3, 1))),
    r"params\['w'\]": lambda convert: flat({"w": convert(zeros(2))}),
    r"theta\['0.bias'\]": lambda convert: train(theta={"0.bias": convert(zeros(4))}),
    r"theta\['2.bias'\]": lambda convert: diagnose(
        maml(NETWORK, mse_loss), Sinusoids(), theta=THETA | {"2.bias": convert(zeros(1))}
    ),
    "vector": lambda convert: as_params(convert(zeros(2)), {"w": (2,)}),
    "support_y": lambda convert: ContextTransformer(width=8, heads=2, layers=1)(
        zeros(2, 1), convert(zeros(2, 1)), zeros(1, 1)
    ),
}


@ARRAYS
@pytest.mark.parametrize("name", OF_DATA)
def test_data_in_arrays_is_named_too(name: str, convert):
    with pytest.raises(TypeError, match=REMEDY.format(name)):
        OF_DATA[name](convert)
