"""Tasks whose loss is a function of two parameters alone: small enough to look at from above.

There are no examples here. Think of as many as one could wish for, so that support and query loss are the
same function of the parameters.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mapping_lib.checks import check_choice, check_count, check_number
from mapping_lib.inner_loop import adapt


class Landscape(NamedTuple):
    """Several tasks, each with a loss over the same plane of parameters.

    ``loss(points)`` maps ``(..., task, 2)``, a point for each task, to their losses ``(..., task)``, ``derivatives`` to
    gradients ``(..., task, 2)`` and Hessians ``(..., task, 2, 2)``, in closed form, so that a page may compute them.
    ``minima (task, 2)`` are the tasks' best points. ``limits`` are the (low, high) of the two parameters worth
    looking at, ``names`` what they are.
    """

    loss: Callable[[Tensor], Tensor]
    derivatives: Callable[[Tensor], tuple[Tensor, Tensor]]
    minima: Tensor
    limits: tuple[tuple[float, float], tuple[float, float]]
    names: tuple[str, str]


BOWLS = torch.tensor([[-2.2, -1.6], [-2.4, 1.8], [2.4, 1.9], [1.8, -2.2]], dtype=torch.float32)
SINES = torch.tensor([[2.0, 0.4], [0.6, 1.2], [1.4, 2.2], [0.8, 3.0]], dtype=torch.float32)
"""The tasks' best points."""


def bowls(minima: Tensor = BOWLS) -> Landscape:
    """Four quadratic tasks, 1/2 (theta - c)' A (theta - c): one steep, three flatter, each with its own axes.

    The largest curvature is 4, so that inner steps are stable below alpha = 0.5.

    >>> landscape = bowls()
    >>> landscape.loss(landscape.minima)
    tensor([0., 0., 0., 0.])
    """
    a, b, c = torch.tensor(
        [_curvature(4.0, 2.0, 0.3), _curvature(1.2, 0.5, 1.1), _curvature(0.5, 0.25, -0.5), _curvature(0.8, 0.3, 2.0)],
        dtype=torch.float32,
    ).unbind(-1)

    def loss(points: Tensor) -> Tensor:
        x, y = (points - minima).unbind(-1)
        return x * (0.5 * a * x + b * y) + 0.5 * c * y * y

    matrices = torch.stack([torch.stack([a, b], -1), torch.stack([b, c], -1)], -1)

    blocks = torch.block_diag(*matrices)  # all tasks in one product: many points take a tenth of the time

    def derivatives(points: Tensor) -> tuple[Tensor, Tensor]:
        gradient = (points - minima).flatten(-2) @ blocks.to(points)
        return gradient.unflatten(-1, (-1, 2)), matrices.to(points).expand(*points.shape, 2)

    return Landscape(loss, derivatives, minima, ((-4.0, 4.0), (-4.0, 4.0)), ("θ₁", "θ₂"))


def sines(minima: Tensor = SINES) -> Landscape:
    """Four sine waves a sin(x - b), learned by their amplitude a and phase b: smooth, but no longer a bowl.

    The loss is the mean squared error over x uniform on [-5, 5], in closed form: it is quadratic in
    (a cos b, -a sin b), the weights of sin x and cos x. A strong wave is steep in its phase, a faint one flat.

    >>> landscape = sines()
    >>> landscape.loss(landscape.minima).abs().max() < 1e-9
    tensor(True)
    """
    sin_size, cos_size = (math.sqrt(0.5 + sign * math.sin(10) / 20) for sign in (-1, 1))  # root mean squares

    def weights(points: Tensor) -> tuple[Tensor, Tensor]:
        amplitude, phase = points.unbind(-1)
        return sin_size * amplitude * phase.cos(), cos_size * amplitude * phase.sin()

    best = weights(minima)

    def loss(points: Tensor) -> Tensor:
        of_sin, of_cos = weights(points)
        return (of_sin - best[0]).square() + (of_cos - best[1]).square()

    def derivatives(points: Tensor) -> tuple[Tensor, Tensor]:
        a, phase = points.unbind(-1)
        sin, cos = phase.sin(), phase.cos()
        # of amplitude 1, and by the phase
        p, q, dp, dq = sin_size * cos, cos_size * sin, -sin_size * sin, cos_size * cos
        u, v = a * p - best[0], a * q - best[1]  # too much of each weight
        turned = dp * u + dq * v
        mixed = turned + a * (p * dp + q * dq)
        steep = a * (a * (dp * dp + dq * dq) - p * u - q * v)
        rows = [torch.stack([p * p + q * q, mixed], -1), torch.stack([mixed, steep], -1)]
        return 2 * torch.stack([p * u + q * v, a * turned], -1), 2 * torch.stack(rows, -1)

    return Landscape(loss, derivatives, minima, ((-0.5, 3.0), (-0.5, 4.0)), ("amplitude", "phase"))


def adapted(landscape: Landscape, theta: Tensor, *, alpha: float, steps: int, first_order: bool = False) -> Tensor:
    """phi of every task, ``(..., task, 2)``, from points theta ``(..., 2)``; differentiable by theta.

    ``alpha`` >= 0, ``steps`` >= 0; ``first_order`` as in `mapping_lib.inner_loop.adapt`.

    >>> adapted(bowls(), torch.zeros(7, 5, 2), alpha=0.1, steps=3).shape
    torch.Size([7, 5, 4, 2])
    """
    check_number("alpha", alpha, at_least=0)
    check_count("steps", steps, at_least=0)
    start = {"theta": theta[..., None, :].expand(*theta.shape[:-1], *landscape.minima.shape)}
    # no point's loss depends on another point: the gradient of the sum is each one's own
    objective = lambda params: landscape.loss(params["theta"]).sum()  # noqa: E731
    return adapt(start, objective, alpha=alpha, steps=steps, first_order=first_order)["theta"]


def meta_loss(landscape: Landscape, theta: Tensor, *, alpha: float, steps: int) -> Tensor:
    """F(theta) = the mean over tasks of L(phi(theta)), ``(...)``; with no steps, the joint loss E[L(theta)].

    >>> F = [meta_loss(bowls(), torch.zeros(2), alpha=0.1, steps=m) for m in (0, 1, 20)]
    >>> bool(F[0] > F[1] > F[2])
    True
    """
    return landscape.loss(adapted(landscape, theta, alpha=alpha, steps=steps)).mean(-1)


METHODS = ("MAML", "FOMAML", "Reptile", "joint training")
"""The methods of `direction`."""


def direction(landscape: Landscape, theta: Tensor, method: str, *, alpha: float, steps: int) -> Tensor:
    """What ``method`` descends at one theta ``(2,)``; without inner steps, the joint gradient for all.

    MAML: grad F. FOMAML: the mean over tasks of the gradient at phi. Joint training: that at theta. Reptile:
    (theta - phi) / (alpha * steps), which makes it the mean of the gradients met on the way, so that the
    same beta suits all four.

    >>> direction(bowls(), torch.zeros(2), "Reptile", alpha=0.1, steps=1).allclose(
    ...     direction(bowls(), torch.zeros(2), "joint training", alpha=0.1, steps=1), atol=1e-5)
    True
    """
    check_choice("method", method, METHODS)
    gradient = torch.func.grad
    if method == "joint training" or alpha * steps == 0:
        return gradient(lambda t: meta_loss(landscape, t, alpha=alpha, steps=0))(theta)
    if method == "MAML":
        return gradient(lambda t: meta_loss(landscape, t, alpha=alpha, steps=steps))(theta)
    phi = adapted(landscape, theta, alpha=alpha, steps=steps)
    if method == "FOMAML":
        return gradient(lambda points: landscape.loss(points).mean())(phi).sum(0)
    return (theta - phi.mean(0)) / (alpha * steps)


def curvatures(landscape: Landscape, theta: Tensor) -> Tensor:
    """The Hessian of every task's loss at one point theta ``(2,)``: ``(task, 2, 2)``.

    Inner steps on a task are stable where alpha is below 2 / its largest eigenvalue.

    >>> curvatures(bowls(), torch.zeros(2)).shape
    torch.Size([4, 2, 2])
    """
    return landscape.derivatives(theta.expand(landscape.minima.shape))[1]


def rings(landscape: Landscape, level: float = 0.1, corners: int = 60) -> Tensor:
    """Around each task's best point, where its loss is ``level``, ``(task, corner, 2)``: a steep task has a small ring.

    >>> rings(bowls()).shape
    torch.Size([4, 60, 2])
    """
    angle = torch.linspace(0, 2 * math.pi, corners, dtype=torch.float32)
    ways = torch.stack([angle.cos(), angle.sin()], dim=-1)[:, None]
    reach = torch.full((corners, len(landscape.minima), 1), level, dtype=torch.float32)
    for _ in range(30):  # were the loss quadratic, once would be enough
        reach = reach * (level / landscape.loss(landscape.minima + reach * ways)[..., None]).sqrt()
    return (landscape.minima + reach * ways).transpose(0, 1)


def _curvature(first: float, second: float, angle: float) -> tuple[float, float, float]:
    """A symmetric matrix ((a, b), (b, c)) with these eigenvalues; the first one's axis at ``angle`` radians."""
    c, s = math.cos(angle), math.sin(angle)
    return first * c * c + second * s * s, (first - second) * c * s, first * s * s + second * c * c
