"""Tasks of unequal size: any learner, fed with groups of tasks of one size each."""

from collections.abc import Sequence

from torch import Tensor

from mapping_lib.learners import MetaLearner
from mapping_lib.task import Params, Task


def uneven(learner: MetaLearner) -> MetaLearner:
    """The same learner, whose ``meta_grad`` also takes a list of groups, as `task.by_size` makes them.

    Within a group all tasks have one size, across groups they may differ, in support and query. Meta-loss and direction
    are the means over *all tasks*: a task with few examples counts as much as one with many, and the answer is that of
    one task after the other. A family whose ``sample`` returns such a list can be given to `meta_train` and
    `evaluate_by_step`. Not for learners whose meta-loss is no mean over tasks. Raises ValueError for an empty list.

    >>> import torch
    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> from mapping_lib.learners.gradient import maml
    >>> from mapping_lib.networks import mlp
    >>> g = torch.Generator().manual_seed(0)
    >>> learner = uneven(maml(mlp((1, 40, 40, 1)), torch.nn.functional.mse_loss))
    >>> groups = [Sinusoids().sample(n_tasks, k_shot, 10, generator=g) for n_tasks, k_shot in ((20, 5), (5, 1))]
    >>> meta_loss, direction = learner.meta_grad(learner.init(generator=g), groups)
    >>> meta_loss.shape, len(direction)
    (torch.Size([]), 6)
    """

    def meta_grad(theta: Params, tasks: Task | Sequence[Task]) -> tuple[Tensor, Params]:
        if isinstance(tasks, Task):
            return learner.meta_grad(theta, tasks)
        if len(tasks) == 0:
            raise ValueError("tasks is empty; allowed: one group of tasks or more")
        answers = [learner.meta_grad(theta, group) for group in tasks]
        counts = [len(group.support.x) for group in tasks]
        shares = [n / sum(counts) for n in counts]
        meta_loss = sum(share * loss for share, (loss, _) in zip(shares, answers, strict=True))
        names = answers[0][1]
        return meta_loss, {n: sum(share * d[n] for share, (_, d) in zip(shares, answers, strict=True)) for n in names}

    return learner._replace(meta_grad=meta_grad)
