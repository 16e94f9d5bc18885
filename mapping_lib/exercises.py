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
from mapping_lib.networks import functional, mlp
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


@_check("a unit is a row of 2.weight, an entry of 2.bias, and a column of 4.weight: put all three in the new order.")
def check_exchanged(exchanged: Callable) -> str:
    """Chapter 3b, exercise 1: ``exchanged(phi, order)``, the second hidden layer's units in another order."""
    network = functional(mlp((1, 40, 40, 1)))
    phi = network.init(generator=torch.Generator().manual_seed(0))
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    before = copied(phi)
    got = _answered(exchanged(phi, order))
    _need(isinstance(got, dict) and got.keys() == phi.keys(), "the result should have the names of phi.")
    _need(all(torch.equal(phi[name], before[name]) for name in phi), "phi itself was changed: make new tensors.")
    x = torch.linspace(-5, 5, 50)[:, None]
    apart = float((network.predict(got, x) - network.predict(phi, x)).abs().max())
    _need(apart < 1e-4, f"it draws another function: up to {apart:.2f} away.")
    _need(torch.equal(got["2.weight"], phi["2.weight"][order]), "the second layer's units are not in the new order.")
    return "Other parameters, the same function."


@_check("divide the sum of x y by the sum of x squared plus sigma squared.")
def check_strategy(strategy: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Chapter 3b, exercise 2: ``strategy(x, y, sigma)``, Bayes' slope of a noisy line through the origin."""
    for k, sigma in ((3, 0.5), (1, 1.0), (8, 0.1)):
        generator = torch.Generator().manual_seed(k)
        x, y = (torch.randn(k, 1, generator=generator, dtype=torch.float64) for _ in range(2))
        got = float(_answered(strategy(x, y, sigma)))
        covariance = x @ x.T + sigma**2 * torch.eye(k, dtype=x.dtype)  # of y, when w ~ N(0, 1)
        wanted = float((x.T @ torch.linalg.solve(covariance, y)).squeeze())
        squares = float((x * y).sum() / (x * x).sum())
        _need(abs(got - squares) > 1e-9, "that is least squares: it forgets that w is probably near 0.")
        _need(abs(got - wanted) < 1e-6, f"with {k} examples and sigma = {sigma} you give {got:.4f}, not {wanted:.4f}.")
    empty = torch.zeros(0, 1)
    got = float(strategy(empty, empty, 0.5))
    _need(got == 0, f"without an example the answer should be 0, and yours is {got}.")
    return "Samples go in, a parameter comes out, and without samples it is the prior's mean."


@_check("the query loss changes by minus the inner product of the two gradients.")
def check_stop(stop_now: Callable[[Tensor, Tensor], bool]) -> str:
    """Chapter 3b, exercise 3: ``stop_now(gradient_support, gradient_query)`` on the gradient flow."""
    for support, query in (([1.0, 0.0], [1.0, 1.0]), ([1.0, 0.0], [-1.0, 5.0]), ([1.0, 2.0], [2.0, -3.0])):
        falls = sum(s * q for s, q in zip(support, query, strict=True)) > 0
        got = bool(_answered(stop_now(torch.tensor(support), torch.tensor(query))))
        shown = f"gradients {support} (support) and {query} (query)"
        _need(got != falls, f"with {shown} the query loss {'still falls' if falls else 'would rise'}.")
    return "Go on while the two gradients agree."


@_check("inside, define a function of D: it calls learn(D) once and returns a function of x that calls predict.")
def check_trained(trained: Callable) -> str:
    """Chapter 1, exercise 1: ``trained(learn, predict)`` is the mapping D -> (x -> y)."""
    calls = []

    def learn(data: list[float]) -> float:
        calls.append(data)
        return sum(data) / len(data)

    with_data = _answered(trained(learn, lambda theta, x: theta * x))
    _need(callable(with_data), "trained(learn, predict) should be a function of D.")
    _need(not calls, "nothing can be learned yet: D is not there before the function is called with it.")
    model, other = with_data([1.0, 3.0]), with_data([10.0])
    _need(callable(model), "with data, the result should be a function of x.")
    _need(model(5.0) == 10.0 and other(5.0) == 50.0, f"model(5) is {model(5.0)}, not predict(learn(D), 5) = 10.0.")
    _need(len(calls) == 2, "it learns again for every x: learn once, then predict.")
    return "A mapping whose output is a mapping."


@_check("find the index i for which |S_x[i] - x| is smallest, and return S_y[i].")
def check_nearest(nearest: Callable) -> str:
    """Chapter 1, exercise 2: ``nearest(S_x, S_y, x)``, the y of the example whose x is nearest."""
    xs, ys = [-3.0, 0.5, 2.0], [7.0, -1.0, 4.0]
    for x, wanted in ((-10.0, 7.0), (0.0, -1.0), (1.2, -1.0), (1.4, 4.0), (9.0, 4.0)):
        got = float(_answered(nearest(xs, ys, x)))
        _need(got != float(min(xs, key=lambda a, x=x: abs(a - x))), f"at x = {x} that is the nearest x, not its y.")
        _need(got == wanted, f"at x = {x} you answer {got}; the nearest example says {wanted}.")
    return "Examples and a question go in, an answer comes out. No parameters anywhere."
