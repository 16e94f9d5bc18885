"""The fast path of the explorer is the learner: the same phi and the same trajectories, in float64."""

import pytest
import torch
from oracles import seeded

from mapping_lib.chapters.reinforcement_learning.methods import Alphas, live, rollouts
from mapping_lib.chapters.reinforcement_learning.methods_fast import updates
from mapping_lib.chapters.reinforcement_learning.methods_policies import GaussianPolicy
from mapping_lib.learners.many_tasks import one_each
from mapping_lib.networks import functional
from mapping_lib.task import Batch
from mapping_lib.worlds.goals import Navigation

FAMILY = Navigation(horizon=20)


@pytest.mark.parametrize("sizes", [(2, 2), (2, 8, 6, 2)])
def test_updates_are_those_of_the_learner(sizes: tuple[int, ...]):
    model = functional(GaussianPolicy(sizes).double())
    theta, goal = model.init(generator=seeded(0)), torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    luck = FAMILY.toward(goal, 15, 0, generator=seeded(1)).support
    shares = [Batch(*share) for share in zip(*(part.chunk(3, 1) for part in luck), strict=True)]
    path = updates(model, FAMILY, theta, shares, alpha=(0.1, 0.05))
    lived = list(live(model, FAMILY, Alphas((0.1, 0.05)), theta, luck, 3))
    for (phi, quick), (expected, _), share in zip(path, lived[:3], shares, strict=True):
        slow = rollouts(model, FAMILY, one_each(phi, 1), share)
        assert max(float((phi[name] - p[0]).abs().max()) for name, p in expected.items()) < 1e-12
        assert max(float((a.double() - b.double()).abs().max()) for a, b in zip(quick, slow, strict=True)) < 1e-12
    assert float((path[2][0]["log_std"] - theta["log_std"]).abs().max()) > 1e-3
