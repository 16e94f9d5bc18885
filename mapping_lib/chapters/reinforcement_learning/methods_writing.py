"""A hypernetwork h that writes a policy from the goal, goal ↦ φ: the idea of a seed article, on real tasks."""

from functools import partial

import torch
from torch import Tensor

from mapping_lib.learners import MetaLearner
from mapping_lib.learners.amortised import hypernetwork, n_weights
from mapping_lib.networks import mlp
from mapping_lib.task import Batch, Params, Task
from mapping_lib.worlds.goals import Navigation

from .methods import rollouts
from .methods_policies import GaussianPolicy, experience, surrogate


def writing(policy: GaussianPolicy, family: Navigation) -> MetaLearner:
    """`amortised.hypernetwork`, trained on what the policies that it wrote have lived through.

    >>> theta = writing(GaussianPolicy((2, 4, 2)), Navigation()).init(generator=torch.Generator().manual_seed(0))
    >>> theta["base.log_std"]
    tensor([0., 0.])
    """
    h = hypernetwork(policy, surrogate, writer=mlp((2, 32, n_weights(policy))))

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        with torch.no_grad():
            phi = torch.func.vmap(partial(write, h, theta))(tasks.description)
            lived = rollouts(policy, family, phi, tasks.query)
        n_tasks = len(tasks.description)
        nothing = Batch(*(torch.zeros(n_tasks, 0, width, dtype=torch.float32) for width in (2, 3)))
        _, direction = h.meta_grad(theta, Task(nothing, experience(lived), tasks.description))
        return -lived.returns.mean(), direction

    return h._replace(meta_grad=meta_grad, claims="no gradient")


def write(h: MetaLearner, theta: Params, goal: Tensor) -> Params:
    """The policy that h writes for one ``goal (2,)``, without a try.

    >>> h = writing(GaussianPolicy((2, 4, 2)), Navigation())
    >>> write(h, h.init(generator=torch.Generator().manual_seed(0)), torch.tensor([0.3, -0.3]))["log_std"].shape
    torch.Size([2])
    """
    return h.adapt(theta, Batch(goal.new_zeros(0, 2), goal.new_zeros(0, 3)), description=goal)
