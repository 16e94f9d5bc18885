"""The episodes of chapter 4a, setting by setting, and who answers rightly in them."""

import torch
from torch import Tensor

from mapping_lib.learners import MetaLearner
from mapping_lib.task import Batch, Params, Task

from .methods import JUDGED_WAYS

SETTINGS = {
    f"{n_way}-way {k_shot}-shot": {"n_way": n_way, "k_shot": k_shot, "jitter": 1.0}
    for n_way in JUDGED_WAYS
    for k_shot in (1, 5)
} | {"5-way 1-shot, jitter 1.6": {"n_way": 5, "k_shot": 1, "jitter": 1.6}}

N_QUERY = 3
"""Queries of each class in the episodes that are judged."""


def right_answers(learner: MetaLearner, theta: Params, tasks: Task, *, several: bool = False) -> Tensor:
    """Whether each query of each episode is answered rightly, ``(task, query)``.

    With ``several`` there is one theta for each episode, ``(task, ...)``.

    >>> from mapping_lib.learners.baselines import nearest_neighbour
    >>> from mapping_lib.worlds.letters import Glyphs
    >>> tasks = Glyphs("validation").sample(2, 1, 3, generator=torch.Generator().manual_seed(0))
    >>> right_answers(nearest_neighbour(5), {}, tasks).shape
    torch.Size([2, 15])
    """

    def answer(theta: Params, support: Batch, x: Tensor) -> Tensor:
        return learner.predict(learner.adapt(theta, support), x)

    with torch.no_grad():
        y_hat = torch.func.vmap(answer, in_dims=(0 if several else None, 0, 0))(theta, tasks.support, tasks.query.x)
    return y_hat.argmax(-1) == tasks.query.y
