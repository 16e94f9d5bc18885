"""The doctor passes every learner of the library, and finds every fault of the clinic by its name, and no other."""

import re
from functools import cache

import pytest
import torch
from clinic import EVALUATIONS, RECIPES, hypernetwork, inner, loss_of, maml_with, right_evaluation, small
from oracles import copied, seeded
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy, mse_loss

from mapping_lib.doctor import FAULTS, Diagnosis, diagnose
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.baselines import from_scratch, joint, nearest_neighbour
from mapping_lib.learners.gradient import anil, fomaml, maml, meta_sgd, reptile
from mapping_lib.learners.module import from_module
from mapping_lib.networks import mlp
from mapping_lib.study.sinusoids import LEARNERS as SHIPPED
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Batch, Task, each, map_tasks
from mapping_lib.worlds.digits import Digits

SEEDS = {0: 2, 1: 4, 2: 2, 3: 2, 4: 3}
"""Seeds of the doctor's draws, with the number of tasks: what it finds must not hang on luck."""

LEARNERS = {
    "maml": maml,
    "maml, 3 steps": lambda *args: maml(*args, steps=3),
    "maml, 5 steps": lambda *args: maml(*args, steps=5),
    "fomaml, 3 steps": lambda *args: fomaml(*args, steps=3),
    "anil": anil,
    "meta_sgd, 2 steps": lambda *args: meta_sgd(*args, steps=2),
    "meta_sgd, first order": lambda *args: meta_sgd(*args, first_order=True),
    "reptile": lambda *args: reptile(*args, steps=5),
    "joint": joint,
    "from_scratch": from_scratch,
}


def layer_normed() -> nn.Module:
    return nn.Sequential(nn.Linear(1, 10), nn.LayerNorm(10), nn.GELU(), nn.Linear(10, 1))


def examine(learner: MetaLearner, seed: int = 0, family=None, **kwargs) -> Diagnosis:
    """Diagnose on sinusoids, with the number of tasks that belongs to the seed."""
    settings = {"n_tasks": SEEDS[seed], "generator": seeded(seed)} | kwargs
    return diagnose(learner, family or Sinusoids(), **settings)


def faults(learner: MetaLearner, seed: int = 0, family=None, **kwargs) -> set[str]:
    return set(examine(learner, seed, family, **kwargs).faults)


@cache
def examined(recipe: str, seed: int) -> Diagnosis:
    """What the doctor says of a recipe of the clinic."""
    return examine(RECIPES[recipe][0](False), seed)


# Right learners ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNERS)
def test_a_layer_norm_is_no_fault(name: str):
    """Without one, `core/test_every_learner.py` asks."""
    assert faults(LEARNERS[name](layer_normed(), mse_loss), seed=1) == set()


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_learners_have_no_fault(name: str):
    learner, theta = shipped(name)
    diagnosis = examine(learner, theta=theta)
    assert diagnosis.faults == ()
    assert diagnosis.claims == learner.claims


@pytest.mark.parametrize(("k_shot", "n_query"), [(1, 1), (5, 3)])
@pytest.mark.parametrize("name", ["maml", "meta_sgd, 2 steps", "reptile"])
def test_few_examples_are_no_fault(name: str, k_shot: int, n_query: int):
    """Though a fresh theta may then fit the support to the cost of the query."""
    learner = LEARNERS[name](layer_normed(), mse_loss)
    assert faults(learner, k_shot=k_shot, n_query=n_query) == set()


class Blobs:
    """Classes around centres that every task deals anew, in 1x2x2 images."""

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: torch.Generator) -> Task:
        n = 3 * (k_shot + n_query)
        centres = 2.0 * torch.randn(n_tasks, 3, 1, 2, 2, generator=generator)
        y = torch.arange(n).expand(n_tasks, n) % 3
        noise = torch.randn(n_tasks, n, 1, 2, 2, generator=generator)
        x = torch.stack([c[labels] for c, labels in zip(centres, y, strict=True)]) + noise
        support = Batch(x[:, : 3 * k_shot], y[:, : 3 * k_shot])
        return Task(support, Batch(x[:, 3 * k_shot :], y[:, 3 * k_shot :]), torch.zeros(n_tasks, 1))


def classifier() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


@pytest.mark.parametrize("name", LEARNERS)
def test_classes_of_images_are_no_trouble(name: str):
    learner = LEARNERS[name](classifier(), cross_entropy)
    assert faults(learner, family=Blobs(), loss=cross_entropy, k_shot=3, n_query=3) == set()


@pytest.mark.parametrize("seed", [12, 15, 20])
def test_a_count_of_mistakes_is_enough_where_no_gradient_is_claimed(seed: int):
    """The nearest neighbour: no theta, phi is the support. With these seeds another query has as many mistakes."""
    settings = {"loss": cross_entropy, "k_shot": 1, "n_query": 1, "generator": seeded(seed)}
    assert diagnose(nearest_neighbour(3), Blobs(), **settings).faults == ()


def one_half(y_hat: Tensor, y: Tensor) -> Tensor:
    return 0.5 * (y_hat - y).square().sum()


@pytest.mark.parametrize("make", [maml, fomaml])
def test_a_constant_factor_is_no_fault(make):
    """Half of the sum of squares is descended, and the doctor knows the mean."""
    diagnosis = examine(make(small(), one_half, alpha=0.002))
    assert diagnosis.faults == ()
    assert "the query loss after adaptation, times 5" in str(diagnosis)


def test_a_sum_over_tasks_is_no_fault():
    learner = maml(small(), mse_loss)

    def summed(theta, tasks):
        meta_loss, direction = learner.meta_grad(theta, tasks)
        return meta_loss, {name: d * len(tasks.query.x) for name, d in direction.items()}

    diagnosis = examine(learner._replace(meta_grad=summed), seed=1)
    assert diagnosis.faults == ()
    assert "; 4 times as long" in str(diagnosis)


@pytest.mark.parametrize("seed", SEEDS)
def test_phi_may_have_other_names_than_theta(seed: int):
    learner = hypernetwork(lambda predict, phi, task: mse_loss(predict(phi, task.query.x), task.query.y))
    diagnosis = examine(learner, seed, evaluate=right_evaluation(learner))
    assert diagnosis.faults == ()
    assert "φ is made from the evidence" in str(diagnosis)


def test_a_hypernetwork_that_reads_nothing_is_found():
    learner = hypernetwork(lambda predict, phi, task: mse_loss(predict(phi, task.query.x), task.query.y))

    def adapt(theta, support, *, description, steps=None):
        return learner.adapt(theta, support, description=torch.zeros_like(description))

    assert "no inner loop" in faults(learner._replace(adapt=adapt))


# Claims -----------------------------------------------------------------------------------------------

CLAIMS = [
    (fomaml, "exact", {"second order is cut"}),
    (maml, "first order", {"not first order"}),
    (reptile, "exact", {"not the gradient of its meta-loss"}),
    (reptile, "first order", {"not first order"}),
    (joint, "exact", {"judged before adaptation"}),
    (from_scratch, "exact", {"no gradient reaches θ"}),
    (maml, "no gradient", set()),
    (fomaml, "no gradient", set()),
]


@pytest.mark.parametrize("seed", [0, 1, 4])
@pytest.mark.parametrize(("make", "claims", "expected"), CLAIMS)
def test_a_learner_is_judged_by_its_claim(make, claims: str, expected: set[str], seed: int):
    learner = make(mlp((1, 20, 20, 1)), mse_loss, steps=2)
    assert faults(learner._replace(claims=claims), seed) == expected


@pytest.mark.parametrize("learner", [maml(small(), mse_loss, steps=0), maml(small(), mse_loss, alpha=0.0)])
@pytest.mark.parametrize("claims", ["exact", "first order", "no gradient"])
def test_a_loop_without_steps_is_no_inner_loop(learner, claims: str):
    assert faults(learner._replace(claims=claims)) == {"no inner loop"}


@pytest.mark.parametrize(("make", "fault"), [(maml, "not the gradient of its meta-loss"), (fomaml, "not first order")])
def test_a_direction_that_points_uphill_is_found(make, fault: str):
    learner = make(small(), mse_loss)

    def meta_grad(theta, tasks):
        meta_loss, direction = learner.meta_grad(theta, tasks)
        return meta_loss, {name: -d for name, d in direction.items()}

    assert faults(learner._replace(meta_grad=meta_grad)) == {fault}


@pytest.mark.parametrize("seed", [2, 5, 7])
def test_phi_may_lie_anywhere_as_long_as_it_fits_the_support(seed: int):
    """All hidden units change their signs: the same function, far from theta, at any angle to the gradient."""
    learner = maml(small(), mse_loss, alpha=0.02)

    def adapt(theta, support, **kwargs):
        return {n: p if n == "2.bias" else -p for n, p in learner.adapt(theta, support, **kwargs).items()}

    diagnosis = diagnose(learner._replace(adapt=adapt), Sinusoids(), generator=seeded(seed))
    assert "cosine -" in diagnosis.findings[4].seen
    assert diagnosis.faults == ()


# Faults -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", RECIPES)
def test_every_fault_is_found_by_name_and_no_other(name: str, seed: int):
    assert set(examined(name, seed).faults) == RECIPES[name][1]


@pytest.mark.parametrize("name", RECIPES)
def test_the_mended_recipe_has_no_fault(name: str):
    make, _ = RECIPES[name]
    assert faults(make(True), seed=list(RECIPES).index(name) % len(SEEDS)) == set()


@pytest.mark.parametrize("name", ["inner Adam kept", "inner momentum kept", "copy never reset"])
def test_a_leak_is_found_in_meta_training_and_in_adaptation_alike(name: str):
    make, _ = RECIPES[name]
    assert faults(make(False)._replace(adapt=make(True).adapt)) == {"tasks leak"}
    assert faults(make(True)._replace(adapt=make(False).adapt)) == {"tasks leak"}


@pytest.mark.parametrize("name", ["inner Adam kept", "copy never reset"])
def test_what_a_leak_makes_uncertain_is_not_measured(name: str):
    rows = {finding.check: finding for finding in examined(name, 0).findings}
    for check in (*CHECKS[4:9:2], *CHECKS[7:10]):
        assert rows[check][1:] == ("cannot be measured while the same call gives other answers", None)
    assert str(examined(name, 0)).count("\n– ") == 6, "and what the meta-loss measures: no verdict"


def test_theta_may_be_changed_by_one_of_the_two():
    make, _ = RECIPES["parameters replaced"]
    diagnosis = examine(make(False)._replace(adapt=make(True).adapt))
    assert diagnosis.faults == ("θ is changed in place", "tasks leak")
    assert diagnosis.findings[1].seen == "changed by meta_grad"
    diagnosis = examine(make(True)._replace(adapt=make(False).adapt))
    assert diagnosis.faults == ("θ is changed in place",)
    assert diagnosis.findings[1].seen == "changed by adapt"


def test_a_name_too_many_is_a_change_of_theta():
    learner = maml(small(), mse_loss)

    def adapt(theta, support, **kwargs):
        phi = learner.adapt(theta, support, **kwargs)
        theta["steps"] = torch.ones(())
        return phi

    assert faults(learner._replace(adapt=adapt)) == {"θ is changed in place"}


def test_a_fault_found_twice_is_named_once():
    learner = RECIPES["shared model stepped"][0](False)
    found = examine(learner, evaluate=EVALUATIONS["on theta itself"][0](learner))
    assert sum("θ is changed in place" in (finding.faults or ()) for finding in found.findings) == 2
    assert found.faults == ("θ is changed in place", "tasks leak", "second order is cut")


def test_queries_count_by_what_is_descended():
    """The loss that is reported may know of more queries than the direction."""
    seen = {name: examined(name, 1).findings[3].seen for name in ("last task differentiated", "item summed")}
    assert seen["last task differentiated"] == "1 of 4 queries change the answer"
    assert seen["item summed"] == "4 of 4 queries change the answer", "nothing is descended: then the loss counts"


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", EVALUATIONS)
def test_every_evaluation_is_looked_through(name: str, seed: int):
    make, expected = EVALUATIONS[name]
    learner = maml(small(), mse_loss)
    diagnosis = examine(learner, seed, evaluate=make(learner))
    assert set(diagnosis.faults) == expected
    assert diagnosis.findings[-1].check == "the evaluation"
    assert set(diagnosis.findings[-1].faults) == expected


def test_a_fault_in_classification_is_found_too():
    def backward(model, tasks):
        losses = [cross_entropy(model(x), y) for x, y in zip(*tasks.query, strict=True)]
        sum(losses).backward()
        return sum(losses)

    learner = from_module(classifier(), backward, lambda model, support: model)
    assert faults(learner, family=Blobs(), loss=cross_entropy, k_shot=3, n_query=3) == {"no inner loop"}


class Overlapping(Sinusoids):
    """The first query example stands in the support."""

    def sample(self, n_tasks, k_shot, n_query, *, generator):
        task = super().sample(n_tasks, k_shot, n_query, generator=generator)
        x, y = (torch.cat([s[:, :1], q[:, 1:]], 1) for s, q in zip(task.support, task.query, strict=True))
        return task._replace(query=Batch(x, y))


def test_overlapping_support_and_query_are_found():
    diagnosis = examine(maml(small(), mse_loss), family=Overlapping())
    assert diagnosis.faults == ("support and query overlap",)
    assert "30 of 300 query examples" in str(diagnosis)


class OtherQueries(Sinusoids):
    """The query is another task's, half a period away: what the support teaches is wrong for it."""

    def sample(self, n_tasks, k_shot, n_query, *, generator):
        task = super().sample(n_tasks, k_shot, n_query, generator=generator)
        return task._replace(query=Batch(task.query.x, -task.query.y))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_trained_theta_should_be_helped_by_adaptation(seed: int):
    """A fresh one may fit the support to the cost of the query; that is no fault of the code."""
    learner, theta = shipped("maml")
    assert faults(learner, seed, OtherQueries(), theta=theta) == {"adaptation raises the query error"}
    assert faults(learner, seed, OtherQueries()) == set()


def test_many_steps_of_a_network_with_kinks_are_no_trouble():
    """They drive a ReLU to its kink, and there a difference over a millionth is spoiled."""
    learner = maml(mlp((1, 40, 40, 1)), mse_loss, steps=20)
    assert faults(learner, theta=shipped("maml", 2)[1], generator=seeded(5), n_tasks=2) == set()


# Learners that do not run -----------------------------------------------------------------------------


def answering(change) -> MetaLearner:
    """MAML whose answer is changed."""
    learner = maml(small(), mse_loss)
    return learner._replace(meta_grad=lambda theta, tasks: change(*learner.meta_grad(theta, tasks)))


def stop(*_, **__):
    raise RuntimeError("stopped on purpose\nand a second line")


def stop_silently(*_, **__):
    raise ValueError


def adds_to_its_own(loss: Tensor, direction):
    torch.zeros(1, 1).addmm_(loss.view(1, 1), loss.view(1, 1))
    return loss, direction


IN_FLOAT64 = r"dtype.*\(the doctor asks in float64: call \.double\(\)"
BROKEN = {
    "raises": (maml(small(), mse_loss)._replace(meta_grad=stop), "^stopped with RuntimeError: stopped on purpose$"),
    "raises silently": (maml(small(), mse_loss)._replace(meta_grad=stop_silently), "with ValueError: without a word"),
    "init raises": (maml(small(), mse_loss)._replace(init=stop), "stopped with RuntimeError: stopped on purpose"),
    "adapt raises": (maml(small(), mse_loss)._replace(adapt=stop), "stopped with RuntimeError: stopped on purpose"),
    "predict raises": (maml(small(), mse_loss)._replace(predict=stop), "stopped with RuntimeError"),
    "meta-loss NaN": (answering(lambda loss, d: (loss * torch.nan, d)), "^meta-loss nan"),
    "meta-loss infinite": (answering(lambda loss, d: (loss / 0, d)), "^meta-loss inf"),
    "direction NaN": (answering(lambda loss, d: (loss, d | {"2.bias": d["2.bias"] * torch.nan})), "not finite"),
    "a loss a task": (answering(lambda loss, d: (loss.expand(2), d)), "stopped with (RuntimeError|ValueError)"),
    "name missing": (answering(lambda loss, d: (loss, {"2.bias": d["2.bias"]})), "other names or shapes"),
    "name too many": (answering(lambda loss, d: (loss, d | {"w": d["2.bias"]})), "other names or shapes"),
    "wrong shape": (answering(lambda loss, d: (loss, d | {"2.bias": d["0.bias"]})), "other names or shapes"),
    "no direction": (answering(lambda loss, d: (loss, None)), "stopped with"),
    "direction a list": (answering(lambda loss, d: (loss, list(d.values()))), "stopped with"),
    "answer a number": (answering(lambda loss, d: loss), "stopped with TypeError"),
    "float32 in place": (answering(adds_to_its_own), IN_FLOAT64),
    "float16 meta-loss": (answering(lambda loss, d: (loss.half(), d)), "came back in torch.float16, too coarse to be"),
    "strange phi": (from_module(small(), lambda *_: 0.0, lambda *_: {"w": torch.ones(1)}), "parameters named"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_run_is_a_finding_and_no_exception(name: str):
    learner, words = BROKEN[name]
    diagnosis = examine(learner)
    assert "does not run" in diagnosis.faults
    assert "does not run" in diagnosis.findings[-1].faults, "nothing is examined after that"
    assert re.search(words, diagnosis.findings[-1].seen)


@pytest.mark.parametrize("error", [torch.nan, None, "low"])
def test_an_evaluation_that_gives_no_number_does_not_run(error):
    diagnosis = examine(maml(small(), mse_loss), evaluate=lambda theta, tasks: error)
    assert diagnosis.faults == ("does not run",)
    assert diagnosis.findings[-1].check == "the evaluation"


COUNTS = [
    ("n_tasks", 1, "2 or more"),
    ("n_tasks", 0, "2 or more"),
    ("k_shot", 0, "1 or more"),
    ("n_query", 0, "1 or more"),
    ("n_query", -1, "1 or more"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), COUNTS)
def test_a_count_out_of_range_is_named(name: str, value: int, allowed: str):
    with pytest.raises(ValueError, match=f"^{name} is {value}; allowed: a whole number, {allowed}"):
        diagnose(maml(small(), mse_loss), Sinusoids(), **{name: value})


@pytest.mark.parametrize("value", [2.0, "4", True])
def test_a_count_is_a_whole_number(value):
    with pytest.raises(TypeError, match=f"n_tasks is {value!r}; allowed: a whole number"):
        diagnose(maml(small(), mse_loss), Sinusoids(), n_tasks=value)


# Tensors of the learner's own ----------------------------------------------------------------------------


class FixedTable(nn.Module):
    """Multiplies by a buffer, which stays float32 when theta is float64."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.eye(1))
        self.layer = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x @ self.table)


def predicts_in_float32() -> MetaLearner:
    class Rounded(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x.float(), self.weight.float(), self.bias.float())

    return maml(Rounded(1, 1), lambda y_hat, y: mse_loss(y_hat, y.float()))


def loses_precision() -> MetaLearner:
    def backward(model, tasks):
        losses = [loss_of(model, task.query, inner(model, task.support)) for task in each(tasks)]
        sum(losses).backward()
        return torch.tensor([loss.item() for loss in losses]).mean()

    return from_module(small(), backward, inner)


class Counted(Digits):
    """Few images of each of ten digits; labels of another dtype."""

    dtype = torch.int64

    def sample(self, n_tasks, k_shot, n_query, *, generator) -> Task:
        tasks = super().sample(n_tasks, 1, 2, generator=generator)
        return map_tasks(lambda t: t if t.is_floating_point() else t.to(self.dtype), tasks)


WEIGHTS = torch.linspace(0.5, 1.5, 10)


def weighted(y_hat: Tensor, y: Tensor) -> Tensor:
    """Class weights of float32, as a reader brings them."""
    return cross_entropy(y_hat, y.long(), weight=WEIGHTS)


def digits_net() -> nn.Sequential:
    return mlp((64, 8, 10), nn.Tanh)


def in_place(loss) -> MetaLearner:
    """Ordinary PyTorch code, with the weighted loss."""

    def backward(model, tasks):
        losses = []
        for task in each(tasks):
            phi = adapted(model, task.support)
            losses.append(loss(functional_call(model, phi, (task.query.x,)), task.query.y))
        meta_loss = torch.stack(losses).mean()
        meta_loss.backward()
        return meta_loss

    def adapted(model, support):
        phi = dict(model.named_parameters())
        slopes = torch.autograd.grad(
            loss(functional_call(model, phi, (support.x,)), support.y), list(phi.values()), create_graph=True
        )
        return {name: p - 0.1 * slope for (name, p), slope in zip(phi.items(), slopes, strict=True)}

    return from_module(digits_net(), backward, adapted)


class Recurrent(nn.Module):
    """A recurrent network that begins at zeros of float32."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.RNNCell(1, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.cell(x, torch.zeros(len(x), 4)))


OWN_TENSORS = {
    "class weights": (lambda: maml(digits_net(), weighted, alpha=0.1), weighted),
    "a loss module": (
        lambda: maml(digits_net(), nn.CrossEntropyLoss(WEIGHTS), alpha=0.1),
        nn.CrossEntropyLoss(WEIGHTS),
    ),
    "first order": (lambda: fomaml(digits_net(), weighted, alpha=0.1), weighted),
    "a loop": (lambda: in_place(weighted), weighted),
    "zeros": (lambda: maml(Recurrent(), mse_loss), None),
    ".float()": (predicts_in_float32, None),
    "a number of numbers": (loses_precision, None),
}


@pytest.mark.parametrize("name", OWN_TENSORS)
def test_float32_tensors_of_a_sound_learners_own_are_no_fault(name: str):
    make, loss = OWN_TENSORS[name]
    diagnosis = examine(make(), family=Counted() if loss else None, **({"loss": loss} if loss else {}))
    assert diagnosis.faults == ()
    assert diagnosis.findings[0].seen.endswith("; float32 tensors of its own are read in float64")


def test_float32_buffers_of_a_module_follow_the_precision_that_is_asked_for():
    diagnosis = examine(maml(FixedTable(), mse_loss))
    assert diagnosis.faults == ()
    assert "float32" not in diagnosis.findings[0].seen
    assert [finding.check for finding in diagnosis.findings] == CHECKS
    assert "below 0.0001" in diagnosis.findings[6].seen


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda learner: fomaml(digits_net(), weighted, alpha=0.5)._replace(claims="exact"), "second order is cut"),
        (lambda learner: maml(digits_net(), weighted, alpha=0.5)._replace(claims="first order"), "not first order"),
        (lambda learner: maml(digits_net(), weighted, steps=0), "no inner loop"),
    ],
)
def test_faults_are_found_beside_float32_tensors(spoil, fault: str):
    assert faults(spoil(None), family=Counted(), loss=weighted) == {fault}


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize("loss", [cross_entropy, lambda y_hat, y: cross_entropy(y_hat, y.long())], ids=["plain", "own"])
def test_labels_stay_whole(loss, dtype: torch.dtype):
    family = Counted()
    object.__setattr__(family, "dtype", dtype)
    diagnosis = examine(maml(digits_net(), loss, alpha=0.1), family=family, loss=loss)
    assert diagnosis.faults == ()
    assert "float" not in str(diagnosis)


def test_nan_in_the_data_is_not_the_learners_fault_alone():
    class Spoilt(Sinusoids):
        def sample(self, *args, **kwargs) -> Task:
            tasks = map_tasks(torch.clone, super().sample(*args, **kwargs))
            tasks.query.y[1, 2] = torch.nan
            return tasks

    seen = examine(maml(small(), mse_loss), family=Spoilt()).findings[-1].seen
    assert seen.startswith("meta-loss nan")
    assert "tasks.query.y holds 1 number" in seen
    assert seen.endswith("in task 1")


def test_what_is_widened_is_widened_while_the_doctor_looks_only():
    examine(maml(FixedTable(), mse_loss))
    with pytest.raises(RuntimeError, match="dtype"):
        torch.eye(1) @ torch.eye(1).double()
    assert torch.eye(1).double().float().dtype == torch.float32


# What it leaves behind --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["shared model stepped", "parameters replaced", "gradient detached"])
def test_theta_and_the_global_random_state_are_kept(name: str, dtype: torch.dtype):
    learner = RECIPES[name][0](False)
    theta = {n: p.to(dtype) for n, p in learner.init(generator=seeded(0)).items()}
    before, state = copied(theta), torch.get_rng_state()
    examine(learner, theta=theta, evaluate=EVALUATIONS["on theta itself"][0](learner))
    assert all(torch.equal(theta[n], before[n]) and theta[n].dtype == dtype for n in before)
    assert all(p.grad is None and not p.requires_grad for p in theta.values())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_learner_that_draws_random_numbers_leaves_no_trace_either():
    learner = answering(lambda loss, d: (loss + 0 * torch.randn(()), d))
    state = torch.get_rng_state()
    assert faults(learner) == set()
    assert torch.equal(torch.get_rng_state(), state)


def test_it_works_where_gradients_are_switched_off():
    with torch.no_grad():
        assert faults(maml_with(inner)) == set()
        assert not torch.is_grad_enabled()


def test_the_generator_chooses_the_draws():
    texts = [str(diagnose(maml(small(), mse_loss), Sinusoids(), generator=seeded(seed))) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] == str(diagnose(maml(small(), mse_loss), Sinusoids()))
    assert texts[0] != texts[2]


# The table --------------------------------------------------------------------------------------------

CHECKS = [
    "it runs",
    "θ is left as it was",
    "tasks are independent",
    "every task's query counts",
    "adaptation goes downhill",
    "what the meta-loss measures",
    "the direction",
    "labels stay with their inputs",
    "every example counts",
    "adaptation helps",
    "support and query are disjoint",
]


def test_the_table_of_a_right_learner():
    learner, theta = shipped("maml")
    first, *rows, last = str(diagnose(learner, Sinusoids(), theta=theta)).splitlines()
    assert first == "claims: exact"
    assert last == "→ no fault found"
    assert [row[2:33].rstrip() for row in rows] == CHECKS
    assert all(row.startswith("✓ ") and row[33:].strip() for row in rows)
    assert "second-order share" in rows[6]
    assert all(len(row) <= 120 for row in rows)


@pytest.mark.parametrize("name", RECIPES)
def test_the_table_of_a_faulty_learner_names_each_fault_with_its_cure(name: str):
    first, *lines = str(examined(name, 0)).splitlines()
    rows, cures = lines[: len(CHECKS)], lines[len(CHECKS) :]
    assert first.startswith("claims: ")
    assert [row[2:33].rstrip() for row in rows] == CHECKS
    assert all(row[0] in "✓✗–" and len(row) <= 140 for row in rows)
    assert any(row[0] == "✗" for row in rows)
    assert sorted(cures) == sorted(f"→ {fault}: {FAULTS[fault]}" for fault in RECIPES[name][1])


@pytest.mark.parametrize("name", ["gradient detached", "inner Adam kept", "shared model stepped"])
def test_the_same_text_on_two_runs(name: str):
    assert str(examine(RECIPES[name][0](False))) == str(examined(name, 0))


def test_every_cure_is_a_line():
    assert all(0 < len(cure) <= 120 and "\n" not in cure for cure in FAULTS.values())
