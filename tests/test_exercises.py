"""Every stub of a chapter fails its check and says how to go on; every solution given there passes it."""

import math
import re
from pathlib import Path

import nbformat
import pytest
import torch

from mapping_lib import exercises
from mapping_lib.task import each

ROOT = Path(__file__).parent.parent
CHAPTERS = sorted((ROOT / "notebooks").glob("0[1-4]*.ipynb"))  # 05*: pages to look things up in
SOLUTION = re.compile(r"<summary>Solution</summary>\s*```python\n(.*?)```", re.DOTALL)
CALL = re.compile(r"exercises\.(check_\w+)\((\w+)\)")

PRELUDE = """
import torch
from torch.func import functional_call, grad, vmap
from mapping_lib import exercises
from mapping_lib.networks import mlp
from mapping_lib.task import each

mse = torch.nn.functional.mse_loss
network = mlp((1, 40, 40, 1))


def loss_at(params, batch):
    return mse(functional_call(network, params, (batch.x,)), batch.y)
"""


def found() -> list[tuple[str, str, str, str]]:
    """(check, function, stub, solution) for every exercise of every chapter, in order."""
    rows = []
    for path in CHAPTERS:
        nb = nbformat.read(path, nbformat.NO_CONVERT)
        stubs = [cell.source for cell in nb.cells if "exercise" in cell.metadata.get("tags", [])]
        solutions = SOLUTION.findall("\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown"))
        assert len(stubs) == len(solutions) >= 2, path
        rows += [(*CALL.search(stub).groups(), stub, solution) for stub, solution in zip(stubs, solutions, strict=True)]
    return rows


@pytest.mark.parametrize(("check", "function", "stub", "solution"), found(), ids=lambda text: text[:20])
def test_the_stub_gets_a_hint_and_the_solution_passes(check, function, stub, solution, capsys):
    names: dict = {}
    exec(PRELUDE, names)
    exec(stub, names)
    assert capsys.readouterr().out.startswith("Not begun: the function still returns `...`.\nHint: ")
    exec(solution, names)
    assert getattr(exercises, check)(names[function])
    assert capsys.readouterr().out.startswith("Right. ")


def ascend(theta, alpha, steps):
    return theta + steps * alpha * (theta - 3)


def one_big_step(theta, alpha, steps):
    return theta - steps * alpha * (theta - 3)


def no_return(*arguments):
    pass


def fails(*arguments):
    raise KeyError("0.weight")


def first_hidden_layer(phi, order):
    return phi | {n: phi[n][order] for n in ("0.weight", "0.bias")} | {"2.weight": phi["2.weight"][:, order]}


def rows_only(phi, order):
    return phi | {name: phi[name][order] for name in ("2.weight", "2.bias")}


def in_place(phi, order):
    phi["2.bias"].copy_(phi["2.bias"][order])
    return dict(phi)


def never_empty(x, y, sigma):
    return (x * y).sum() / ((x * x).sum() + sigma**2) if len(x) else torch.tensor(1.0)


def first_order_formula(theta, h, c, alpha, m):
    return (1 - alpha * h) ** m * h * (theta - c)


def hessian_times_v(loss, phi, v, alpha):
    return torch.func.grad(lambda p: torch.func.grad(loss)(p) @ v)(phi)


def joint_recipe(model, tasks):
    loss = (model(tasks.query.x) - tasks.query.y).square().mean()
    loss.backward()
    return loss


def too_long(model, tasks):
    theta, losses = dict(model.named_parameters()), []
    for support, query, _ in each(tasks):
        loss = torch.nn.functional.mse_loss(model(support.x), support.y)
        gradient = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
        phi = {name: p - 0.01 * g for (name, p), g in zip(theta.items(), gradient, strict=True)}
        losses.append(torch.nn.functional.mse_loss(torch.func.functional_call(model, phi, (query.x,)), query.y))
    loss = torch.stack(losses).mean()
    (4 * loss).backward()
    return loss


def two_samples(a, b):
    mean, half = (a - b).mean(), 1.96 * ((a.var() + b.var()) / len(a)) ** 0.5
    return mean - half, mean + half


def error_peeked(learner, theta, task):
    phi = learner.adapt(theta, task.query)
    return (learner.predict(phi, task.query.x) - task.query.y).square().mean()


def error_before(learner, theta, task):
    return (learner.predict(theta, task.query.x) - task.query.y).square().mean()


def error_on_support(learner, theta, task):
    phi = learner.adapt(theta, task.support)
    return (learner.predict(phi, task.support.x) - task.support.y).square().mean()


@pytest.mark.parametrize(
    ("check", "answer", "said"),
    [
        (exercises.check_trained, lambda learn, predict: learn, "should be a function of x"),
        (exercises.check_trained, lambda learn, predict: lambda D: lambda x: predict(learn(D), x), "learns again"),
        (exercises.check_trained, lambda learn, predict: learn([1.0]), "should be a function of D"),
        (exercises.check_trained, lambda learn, predict: lambda D: lambda x: x, "not predict(learn(D), 5)"),
        (exercises.check_nearest, lambda S_x, S_y, x: min(S_x, key=lambda a: abs(a - x)), "that is the nearest x"),
        (exercises.check_nearest, lambda S_x, S_y, x: S_y[0], "at x = 0.0 you answer 7.0"),
        (exercises.check_exchanged, first_hidden_layer, "the second layer's units are not in the new order"),
        (exercises.check_exchanged, rows_only, "it draws another function"),
        (exercises.check_exchanged, lambda phi, order: phi["2.weight"][order], "should have the names of phi"),
        (exercises.check_exchanged, in_place, "phi itself was changed"),
        (exercises.check_strategy, lambda x, y, sigma: (x * y).sum() / (x * x).sum(), "that is least squares"),
        (exercises.check_strategy, lambda x, y, sigma: (x * y).sum() / ((x * x).sum() + sigma), "with 3 examples"),
        (exercises.check_strategy, never_empty, "without an example the answer should be 0"),
        (exercises.check_stop, lambda support, query: bool((support * query).sum() > 0), "still falls"),
        (exercises.check_stop, lambda support, query: False, "would rise"),
        (exercises.check_pencil, first_order_formula, "that is FOMAML's"),
        (exercises.check_pencil, lambda theta, h, c, alpha, m: theta, "pencil(1.0, 1.0, 3.0, 0.25, 1) is 1.0000"),
        (exercises.check_one_link, hessian_times_v, "that is H v"),
        (exercises.check_one_link, lambda loss, phi, v, alpha: v, "this is not (I - alpha H) v"),
        (exercises.check_one_link, lambda loss, phi, v, alpha: 0.0, "a vector as long as v"),
        (exercises.check_best_alpha, lambda low, high: 1 / high, "is possible"),
        (exercises.check_best_alpha, lambda low, high: 2 / low, "does not shrink every direction"),
        (exercises.check_recipe, joint_recipe, "judged before adaptation"),
        (exercises.check_recipe, too_long, "its length is not"),
        (exercises.check_error, error_peeked, "adapted on the query"),
        (exercises.check_error, lambda learner, theta, task: torch.zeros(5, 1), "should be one number"),
        (exercises.check_recipe, fails, "your code stopped with KeyError"),
        (exercises.check_error, error_before, "the error of theta on the query"),
        (exercises.check_error, error_on_support, "the error of phi on the support"),
        (exercises.check_descend, ascend, "Not yet: descend(0.0, 0.5, 1) is"),
        (exercises.check_descend, one_big_step, "Not yet: descend(1.0, 0.1, 5) is"),
        (exercises.check_descend, no_return, "is a `return` missing?"),
        (exercises.check_descend, fails, "your code stopped with KeyError"),
        (exercises.check_reptile, lambda theta, phis: phis.mean(0) - theta, "moves theta away from phi"),
        (exercises.check_reptile, lambda theta, phis: theta - phis.sum(0), "expected [0.5, -1.0]"),
        (exercises.check_reptile, lambda theta, phis: theta - phis, "should have the shape of theta"),
        (exercises.check_first_order, lambda theta, tasks: torch.tensor(1.0), "were the parameters detached?"),
        (exercises.check_interval, two_samples, "two independent samples"),
        (exercises.check_interval, lambda a, b: (2.0, 1.0), "they are exchanged"),
        (exercises.check_interval, lambda a, b: ((b - a).mean() - 1, (b - a).mean() + 1), "is not the mean of a - b"),
        (exercises.check_interval, lambda a, b: ((a - b).mean() - 1, (a - b).mean() + 1), "its half width is 1.000"),
        (exercises.check_episodes_needed, lambda sd, gain: (1.96 * sd / gain) ** 2, "Round up"),
        (exercises.check_episodes_needed, lambda sd, gain: math.ceil(1.96 * sd / gain), "is 20, not 385"),
    ],
)
def test_a_wrong_answer_is_told_what_is_wrong(check, answer, said, capsys):
    assert not check(answer)
    assert said in capsys.readouterr().out


def test_the_full_gradient_is_not_first_order(capsys):
    names: dict = {}
    exec(PRELUDE, names)
    solution = next(solution for check, _, _, solution in found() if check == "check_first_order")
    exec(solution.replace(".detach()", ""), names)
    assert not exercises.check_first_order(names["first_order_meta_loss"])
    assert "still a different gradient" in capsys.readouterr().out
