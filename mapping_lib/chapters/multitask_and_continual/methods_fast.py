"""The fast path of `methods.train_in_sequence`: one sequence and a ReLU network, its gradient derived by hand.

`batched_mlp` gives the gradients of all tasks at once, and Adam moves all parameters as one vector.
"""

import torch
from torch import Tensor

from mapping_lib import batched_mlp
from mapping_lib.networks import FunctionalNetwork
from mapping_lib.params import as_params
from mapping_lib.task import Batch


@torch.inference_mode()
def train_phase(
    model: FunctionalNetwork,
    vector: Tensor,
    tasks: Batch,
    now: int,
    *,
    heads: int,
    rehearsed: int,
    steps: int,
    lr: float,
) -> Tensor:
    """Train on task ``now`` as a phase of `train_in_sequence` does; give all parameters as one vector, as they came.

    ``tasks (task, example, feature)`` are those of one sequence, of which the first ``rehearsed`` examples of each task
    before ``now`` are rehearsed. ``model`` is an `mlp` with ReLU and one output for each of its ``heads``: one for all
    tasks, or one a task. The loss is the mean squared error.

    >>> from mapping_lib.networks import functional, mlp
    >>> from mapping_lib.params import flat
    >>> model, tasks = functional(mlp((1, 8, 4))), Batch(torch.zeros(4, 20, 1), torch.ones(4, 20, 1))
    >>> start = flat(model.init(generator=torch.Generator().manual_seed(0)))
    >>> train_phase(model, start, tasks, 2, heads=4, rehearsed=5, steps=3, lr=0.01).shape
    torch.Size([52])
    """
    batches = {(now, now + 1): Batch(*(part[now : now + 1] for part in tasks))}
    if rehearsed and now:
        batches[0, now] = Batch(*(part[:now, :rehearsed] for part in tasks))
    n_tasks = sum(len(batch.x) for batch in batches.values())
    mean, square = torch.zeros_like(vector), torch.zeros_like(vector)
    for t in range(1, steps + 1):
        params = list(as_params(vector, model.shapes).values())
        gradient = sum(_gradient(params, heads, *span, batch) for span, batch in batches.items()) / n_tasks
        mean = mean.lerp(gradient, 0.1)
        square = (0.999 * square).addcmul_(gradient, gradient, value=0.001)
        root = (square / (1 - 0.999**t)).sqrt_().add_(1e-8)
        vector = vector.addcdiv(mean, root, value=-lr / (1 - 0.9**t))
    return vector


def _gradient(params: list[Tensor], heads: int, first: int, last: int, batch: Batch) -> Tensor:
    """The gradient of the summed losses of the tasks ``first`` ... ``last`` - 1, each read from its own head."""
    if heads == 1:
        return torch.cat([slope.sum(0).flatten() for slope in batched_mlp.loss_gradient(params, batch)[0]])
    *hidden, weight, bias = params
    own = [p.expand(last - first, *p.shape) for p in hidden] + [weight[first:last, None], bias[first:last, None]]
    *slopes, of_weight, of_bias = batched_mlp.loss_gradient(own, batch)[0]
    ends = [torch.zeros_like(p) for p in (weight, bias)]
    for end, slope in zip(ends, (of_weight, of_bias), strict=True):
        end[first:last] = slope[:, 0]
    return torch.cat([*(slope.sum(0).flatten() for slope in slopes), *(end.flatten() for end in ends)])
