"""Walks over a landscape: four methods side by side, in single steps of one form, which a program can repeat."""

from typing import NamedTuple

import torch
from torch import Tensor

from mapping_lib.worlds.landscapes import METHODS, Landscape

TAKES_STEPS, LOOKS_BACK, IS_REPTILE = (
    torch.tensor([[float(method in named)] for method in METHODS], dtype=torch.float32)
    for named in ({"MAML", "FOMAML", "Reptile"}, {"MAML"}, {"Reptile"})
)
"""What makes the difference between `METHODS`, ``(method, 1)``."""


class Walkers(NamedTuple):
    """Where all `METHODS` are: theta ``(method, 2)``, and within an outer step phi ``(method, task, 2)``.

    Joint training's phi stays at theta. ``jacobian (method, task, 2, 2)`` is that of MAML's phi by theta, the product
    of (I - alpha H) along its path, by which the gradient at phi comes back to theta; for others it is I. ``done``
    counts inner steps.
    """

    theta: Tensor
    phi: Tensor
    jacobian: Tensor
    done: Tensor


def start(theta: Tensor) -> Walkers:
    """All methods at the beginning of an outer step, at thetas ``(method, 2)``, or one ``(2,)`` for all.

    >>> start(torch.zeros(2)).phi.shape
    torch.Size([4, 4, 2])
    """
    theta, jacobian = theta.expand(4, 2), torch.eye(2, dtype=torch.float32).expand(4, 4, 2, 2)
    return Walkers(theta, theta[:, None].expand(4, 4, 2), jacobian, torch.zeros((), dtype=torch.float32))


def walk(
    landscape: Landscape, walkers: Walkers, *, alpha: Tensor, steps: Tensor, beta: Tensor, ends: Tensor
) -> tuple[Walkers, Tensor, Tensor]:
    """An inner step of all methods or, once ``steps`` are done, an outer one; tensors without dimensions say how.

    An outer step that would leave the map, ``ends`` (low, high), is not taken. Returns the walkers, the slope
    ``(method, 2)`` that an outer step from here would go down (`landscapes.direction`, once all inner steps are done),
    and whether it would stay on the map ``(method,)``.

    >>> from mapping_lib.worlds.landscapes import bowls
    >>> how = {"alpha": torch.tensor(0.2), "steps": torch.tensor(1), "beta": torch.tensor(0.1)}
    >>> walkers = start(torch.zeros(2))
    >>> for _ in range(2):
    ...     walkers, slope, stays = walk(bowls(), walkers, **how, ends=torch.tensor([[-4.0, -4.0], [4.0, 4.0]]))
    >>> torch.allclose(walkers.theta, -0.1 * slope), stays.all()
    (True, tensor(True))
    """
    theta, phi, jacobian, done = walkers
    gradient, hessian = landscape.derivatives(phi)
    slope, way = (jacobian * gradient[..., None]).sum(-2).mean(1), IS_REPTILE * alpha * steps
    slope = torch.where(way > 0, (theta - phi.mean(1)) / way, slope)
    moved, turn = theta - beta * slope, done >= steps
    stays = ((moved >= ends[0]) & (moved <= ends[1])).all(-1)
    reached = torch.where(turn & stays[:, None], moved, theta)
    product = (hessian[..., None] * jacobian[:, :, None]).sum(-2)
    after = Walkers(
        reached,
        torch.where(turn, reached[:, None], phi - alpha * TAKES_STEPS[..., None] * gradient),
        torch.where(turn, torch.eye(2, dtype=torch.float32), jacobian - alpha * LOOKS_BACK[..., None, None] * product),
        torch.where(turn, 0.0, done + 1),
    )
    return after, slope, stays


def grid(landscape: Landscape, cells: int = 61) -> Tensor:
    """The points of the map, ``(row, column, 2)``, the lowest row first.

    >>> from mapping_lib.worlds.landscapes import bowls
    >>> grid(bowls(), 3)[0]
    tensor([[-4., -4.],
            [ 0., -4.],
            [ 4., -4.]])
    """
    sides = (torch.linspace(low, high, cells, dtype=torch.float32) for low, high in landscape.limits)
    return torch.stack(torch.meshgrid(*sides, indexing="xy"), dim=-1)


def lowest_point(values: Tensor, points: Tensor) -> Tensor:
    """Where values on a `grid` are lowest, ``(2,)``: the vertex of the parabola through the nine around the lowest.

    >>> from mapping_lib.worlds.landscapes import bowls, meta_loss
    >>> points = grid(bowls())
    >>> lowest_point(meta_loss(bowls(), points, alpha=0.0, steps=0), points).round(decimals=2)
    tensor([-1.4800, -1.0000])
    """
    row, column = (values.amin(dim).argmin().clamp(1, values.shape[0] - 2) for dim in (1, 0))
    beside = torch.arange(-1, 2)
    nine = values.index_select(0, row + beside).index_select(1, column + beside).view(-1)
    middle = points.index_select(0, row.view(1)).index_select(1, column.view(1)).view(2)
    x, y, xx, yy, xy = (DIFFERENCES @ nine).unbind()
    det = xx * yy - xy * xy
    shift = torch.stack([yy * x - xy * y, xx * y - xy * x]) / det
    bowl = det > 1e-4 * (xx + yy).square()  # else it is a valley so long that rounding places its lowest point
    return middle - (points[1, 1] - points[0, 0]) * torch.where(bowl, shift.clamp(-1, 1), 0.0)


DIFFERENCES = torch.tensor(
    [
        [0, 0, 0, -0.5, 0, 0.5, 0, 0, 0],
        [0, -0.5, 0, 0, 0, 0, 0, 0.5, 0],
        [0, 0, 0, 1, -2, 1, 0, 0, 0],
        [0, 1, 0, 0, -2, 0, 0, 1, 0],
        [0.25, 0, -0.25, 0, 0, 0, -0.25, 0, 0.25],
    ],
    dtype=torch.float32,
)
"""Slopes by x and y of nine values, row by row, and bends: by x, by y, by both."""


def stable_below(landscape: Landscape, theta: Tensor) -> Tensor:
    """2 / lambda_max of every task's loss at a point ``(2,)``: inner steps below it are stable there, ``(task,)``.

    >>> from mapping_lib.worlds.landscapes import bowls
    >>> stable_below(bowls(), torch.zeros(2)).round(decimals=3)
    tensor([0.5000, 1.6670, 4.0000, 2.5000])
    """
    (a, b), (_, d) = (row.unbind(-1) for row in landscape.derivatives(theta.expand(4, 2))[1].unbind(-2))
    return 2 / ((a + d) / 2 + (((a - d) / 2).square() + b * b).sqrt()).clamp_min(1e-6)
