"""Floor 6: checks of a reader's answers.

A check never raises: it prints "Right." with what was shown, or what is missing with a hint. An
exercise that is not begun yet (it returns ``...``) gets its hint, so that Run All reaches the end.
"""

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor

from mapping_lib.doctor import FAULTS, diagnose
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import fomaml, maml
from mapping_lib.learners.module import from_module
from mapping_lib.networks import mlp
from mapping_lib.params import copied, difference, norm
from mapping_lib.task import each

_mse = torch.nn.functional.mse_loss


class _NotYet(Exception):
    """What a check raises inside, with the sentence that the reader gets."""


class _NotBegun(Exception):
    """The exercise still returns ``...``."""


def _check(hint: str):
    """Turn a function that raises `_NotYet` into one that prints, adding ``hint`` when it is not right."""

    def decorate(check: Callable[[Callable], str]) -> Callable[[Callable], bool]:
        @wraps(check)
        def run(answer: Callable) -> bool:
            try:
                print(f"Right. {check(answer)}")
                return True
            except _NotBegun:
                print(f"Not begun: the function still returns `...`.\nHint: {hint}")
            except _NotYet as problem:
                print(f"Not yet: {problem}\nHint: {hint}")
            except Exception as problem:  # the reader's own code failed: say so, and go on
                print(f"Not yet: your code stopped with {type(problem).__name__}: {problem}\nHint: {hint}")
            return False

        return run

    return decorate


def _need(condition: bool, otherwise: str) -> None:
    if not condition:
        raise _NotYet(otherwise)


def _answered(value: object) -> object:
    if value is ...:
        raise _NotBegun
    _need(value is not None, "the function returns nothing: is a `return` missing?")
    return value


@_check("repeat m times: the gradient at theta is theta - 3; then theta = theta - alpha * gradient.")
def check_descend(descend: Callable[[float, float, int], float]) -> str:
    """Chapter 3, exercise 1: ``descend(theta, alpha, steps)`` on the loss (theta - 3)^2 / 2."""
    for theta, alpha, steps in ((0.0, 0.5, 1), (1.0, 0.1, 5), (2.0, 0.3, 0), (-1.0, 1.9, 3)):
        expected = 3 + (1 - alpha) ** steps * (theta - 3)
        got = float(_answered(descend(torch.tensor(theta), alpha, steps)))
        _need(abs(got - expected) < 1e-4, f"descend({theta}, {alpha}, {steps}) is {got:.4f}, not {expected:.4f}.")
    return "After m steps the distance to the minimum is (1 - alpha)^m of what it was."


@_check("only the inner gradient is a constant: call .detach() on each of its tensors, and on nothing else.")
def check_first_order(meta_loss: Callable) -> str:
    """Chapter 3, exercise 2: ``meta_loss(theta, tasks)`` whose gradient by theta is FOMAML's."""
    network = mlp((1, 40, 40, 1)).double()
    tasks = Sinusoids(dtype=torch.float64).sample(4, 5, 5, generator=torch.Generator().manual_seed(0))
    oracle = fomaml(network, _mse, alpha=0.01, steps=1)
    theta = oracle.init(generator=torch.Generator().manual_seed(1))
    value, wanted = oracle.meta_grad(theta, tasks)
    leaves = {name: p.clone().requires_grad_() for name, p in theta.items()}
    loss = _answered(meta_loss(leaves, tasks))
    _need(isinstance(loss, Tensor) and loss.dim() == 0, "the meta-loss should be a tensor without dimensions.")
    _need(loss.requires_grad, "no gradient reaches theta: were the parameters detached?")
    _need(bool(torch.isclose(loss, value)), "the meta-loss itself has changed: it should not.")
    got = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    _need(all(g is not None for g in got), "no gradient reaches some of theta: was a parameter detached?")
    apart = max(float((g - w).abs().max()) for g, w in zip(got, wanted.values(), strict=True))
    _need(apart < 1e-8, "this is still a different gradient from FOMAML's.")
    return "The same meta-loss, and the gradient without second derivatives."


@_check("average the phis over the tasks (dimension 0), and say from where theta should move away.")
def check_reptile(direction: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Chapter 3, exercise 3: ``direction(theta, phis)``, with ``phis (task, parameter)``, that Reptile descends."""
    theta, phis = torch.tensor([1.0, 2.0]), torch.tensor([[0.0, 2.0], [0.5, 5.0], [1.0, 2.0]])
    got = _answered(direction(theta, phis))
    _need(isinstance(got, Tensor) and got.shape == theta.shape, "the direction should have the shape of theta.")
    _need(not torch.allclose(got, phis.mean(0) - theta), "descending that moves theta away from phi.")
    _need(
        torch.allclose(got, theta - phis.mean(0)),
        f"you give {got.tolist()}, expected {(theta - phis.mean(0)).tolist()}.",
    )
    return "Descending theta - phi moves theta towards phi."


@_check("phi lies (1 - alpha h)^m times as far from c as theta does, and d phi / d theta is that number again.")
def check_pencil(pencil: Callable[[float, float, float, float, int], float]) -> str:
    """Chapter 2, exercise 1: the meta-gradient of 1/2 h (theta - c)^2 after ``m`` inner steps, as a formula."""
    for theta, h, c, alpha, m in ((1.0, 1.0, 3.0, 0.25, 1), (1.0, 2.0, -1.0, 0.25, 1), (0.5, 3.0, 2.0, 0.1, 4)):
        shrunk = (1 - alpha * h) ** m
        got = float(_answered(pencil(theta, h, c, alpha, m)))
        _need(
            m == 0 or abs(got - shrunk * h * (theta - c)) > 1e-9,
            "that is FOMAML's: it takes d phi / d theta for 1.",
        )
        wanted = shrunk * h * shrunk * (theta - c)
        _need(abs(got - wanted) < 1e-6, f"pencil({theta}, {h}, {c}, {alpha}, {m}) is {got:.4f}, not {wanted:.4f}.")
    return "One power for the way there, one for the way back."


@_check("the gradient of (gradient . v) by phi is H v; then v - alpha * H v.")
def check_one_link(one_link: Callable) -> str:
    """Chapter 2, exercise 2: ``one_link(loss, phi, v, alpha)`` is (I - alpha H(phi)) v."""
    generator = torch.Generator().manual_seed(0)
    phi, v = (torch.randn(4, generator=generator, dtype=torch.float64) for _ in range(2))

    def loss(p: Tensor) -> Tensor:
        return p.prod() + p.sin().square().sum()

    got = _answered(one_link(loss, phi, v, 0.1))
    _need(isinstance(got, Tensor) and got.shape == v.shape, "the result should be a vector as long as v.")
    Hv = torch.func.hessian(loss)(phi) @ v
    _need(not torch.allclose(got, Hv), "that is H v; the link is v - alpha * H v.")
    _need(not torch.allclose(got, v + 0.1 * Hv), "the sign: a step goes down, so alpha H v is taken away.")
    _need(torch.allclose(got, v - 0.1 * Hv), "this is not (I - alpha H) v.")
    return "That is one link of the chain; m of them make the meta-gradient."


@_check("one step leaves |1 - alpha lambda| of the distance: make it equally large at both ends.")
def check_best_alpha(best_alpha: Callable[[float, float], float]) -> str:
    """Chapter 2, exercise 3: the alpha for which the slowest direction between two curvatures shrinks fastest."""
    for low, high in ((1.0, 1.0), (1.0, 10.0), (0.5, 4.0)):
        got = float(_answered(best_alpha(low, high)))
        worst = [max(abs(1 - alpha * low), abs(1 - alpha * high)) for alpha in (got, 2 / (low + high))]
        _need(
            worst[0] < 1 or low == high == got, f"alpha = {got:.3g} does not shrink every direction of [{low}, {high}]."
        )
        _need(
            worst[0] < worst[1] + 1e-6,
            f"for [{low}, {high}] your alpha leaves {worst[0]:.3f}; {worst[1]:.3f} is possible.",
        )
    return "The two ends shrink equally fast."


@_check("phi = theta - 0.01 * gradient with create_graph=True; functional_call runs the model with phi; then backward.")
def check_recipe(recipe: Callable) -> str:
    """Clinic, exercise 1: ``recipe(model, tasks)`` leaves MAML's gradient in ``.grad`` and returns the meta-loss."""
    network = mlp((1, 40, 40, 1))
    healthy = maml(network, _mse, alpha=0.01, steps=1)
    learner = from_module(
        mlp((1, 40, 40, 1)), lambda model, tasks: _answered(recipe(model, tasks)), lambda model, s: model
    )
    tasks = Sinusoids().sample(2, 5, 5, generator=torch.Generator().manual_seed(0))
    theta = healthy.init(generator=torch.Generator().manual_seed(1))
    learner.meta_grad(copied(theta), tasks)  # what it raises is said in words
    diagnosis = diagnose(learner._replace(adapt=healthy.adapt), Sinusoids(), theta=theta)
    found = "; ".join(f"{name} ({FAULTS[name]})" for name in diagnosis.faults)
    _need(not diagnosis.faults, f"the doctor finds: {found}.")
    (wanted, slope), (got, direction) = (maker.meta_grad(copied(theta), tasks) for maker in (healthy, learner))
    _need(abs(float(got - wanted)) < 1e-4, "the meta-loss is not the mean query loss after one step with alpha = 0.01.")
    apart = float(norm(difference(direction, slope)) / norm(slope))
    _need(apart < 1e-3, "the direction is right, and its length is not: leave the gradient of the meta-loss itself.")
    return "The doctor finds no fault."


@_check("adapt on the support, predict with phi, judge on the query.")
def check_error(error: Callable) -> str:
    """Clinic, exercise 2: ``error(learner, theta, task)``, the error of one task that should be reported."""
    learner = maml(mlp((1, 40, 40, 1)), _mse, alpha=0.01, steps=1)
    theta = learner.init(generator=torch.Generator().manual_seed(1))
    tasks = Sinusoids().sample(1, 5, 5, generator=torch.Generator().manual_seed(0))
    task = next(each(tasks))
    phi, peeked = learner.adapt(theta, task.support), learner.adapt(theta, task.query)
    losses = {
        (name, of): float(_mse(learner.predict(params, batch.x), batch.y))
        for name, params in (("theta", theta), ("phi", phi))
        for of, batch in (("support", task.support), ("query", task.query))
    }
    got = _answered(error(learner, theta, task))
    _need(torch.as_tensor(got).numel() == 1, "the error should be one number: take the mean.")
    got = float(got)
    at_peeked = float(_mse(learner.predict(peeked, task.query.x), task.query.y))
    _need(abs(got - at_peeked) > 1e-6, "that phi has adapted on the query, which it is judged on.")
    for (params, of), value in losses.items():
        right = (params, of) == ("phi", "query")
        _need(right or abs(got - value) > 1e-6, f"that is the error of {params} on the {of}.")
    _need(abs(got - losses["phi", "query"]) < 1e-6, f"your error is {got:.4f}, expected {losses['phi', 'query']:.4f}.")
    return "The error of phi on the query."
