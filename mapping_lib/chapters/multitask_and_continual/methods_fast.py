"""The fast path of `methods.train_in_sequence`: one sequence and a ReLU network, its gradient derived by hand.

`batched_mlp` gives the gradients of all tasks at once, and Adam moves all parameters as one vector. Which points are
trained on, and by which head each task is read, is all in one tensor of weights.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from mapping_lib import batched_mlp
from mapping_lib.params import as_params


def shares(pick: Tensor, kept: Tensor, n_points: int) -> Tensor:
    """What each point counts in a phase: ``(task, example, head)``, for the mean over tasks of the mean over examples.

    ``pick (task, head)`` is 1 for the head by which a task is read. All points of the last task count, of each task
    before it the first ``kept``; where this is 0, old tasks do not count.

    >>> shares(torch.eye(2), torch.tensor(1.0), 4)[:, :, 1]
    tensor([[0.0000, 0.0000, 0.0000, 0.0000],
            [0.1250, 0.1250, 0.1250, 0.1250]])
    """
    n_tasks, place = pick.shape[0], torch.arange(n_points)
    old = (place < kept) / kept.clamp_min(1) * kept.new_ones(n_tasks - 1, 1)
    points = torch.cat([old, kept.new_full((1, n_points), 1 / n_points)])
    counted = 1 + (n_tasks - 1) * (kept > 0)
    return (points / counted)[..., None] * pick[:, None]


def weighted_gradient(params: list[Tensor], x: Tensor, y: Tensor, weights: Tensor) -> list[Tensor]:
    """The gradient of the sum of ``weights (example, head)`` times the squared error; ``x`` and ``y (example, 1)``.

    With a task in front of all shapes, those of the parameters, too, it is the gradient for each task by itself.
    """
    hidden = batched_mlp.forward(list(params), x)
    deltas = batched_mlp.backward(list(params), hidden, 2 * weights * (hidden[-1] - y))
    return [part for h, d in zip(hidden, deltas, strict=False) for part in (d.mT @ h, d.sum(-2))]


def adam_step(state: tuple, shapes: Mapping, x: Tensor, y: Tensor, weights: Tensor, lr: float) -> tuple:
    """One step of Adam (Kingma & Ba 2015, algorithm 1) on `weighted_gradient`.

    ``state`` is (parameters as one vector, mean, square, step), of which the last three begin at 0.
    """
    vector, mean, square, t = state
    params = list(as_params(vector, shapes).values())
    gradient = torch.cat([part.flatten() for part in weighted_gradient(params, x, y, weights)])
    mean = mean.lerp(gradient, 0.1)
    square = (0.999 * square).addcmul(gradient, gradient, value=0.001)
    root = (square / (1 - 0.999 ** (t + 1))).sqrt() + 1e-8
    return vector.addcdiv(lr / (1 - 0.9 ** (t + 1)) * mean, root, value=-1), mean, square, t + 1
