"""The fast path of the explorer is the learner: the same parameters after every task, in float64."""

import pytest
import torch
from oracles import seeded

from mapping_lib.chapters.multitask_and_continual.methods import sequence_model, train_in_sequence
from mapping_lib.chapters.multitask_and_continual.methods_fast import train_phase
from mapping_lib.networks import functional, mlp
from mapping_lib.params import flat
from mapping_lib.task import Batch


@pytest.mark.parametrize("sizes", [(2, 6), (2, 5, 7, 6)])
@pytest.mark.parametrize(("heads", "rehearsed"), [(1, 0), (1, 9), (3, 0), (3, 4)])
def test_a_phase_is_that_of_the_learner(sizes: tuple[int, ...], heads: int, rehearsed: int):
    network = mlp((*sizes, heads)).double()
    draws = {"generator": seeded(0), "dtype": torch.float64}
    tasks = Batch(torch.randn(3, 9, 2, **draws), torch.randn(3, 9, 1, **draws))
    theta = functional(network).init(generator=seeded(1))
    path = train_in_sequence(
        sequence_model(network, torch.nn.functional.mse_loss, heads=heads),
        {name: p[None] for name, p in theta.items()},
        Batch(tasks.x[None], tasks.y[None]),
        steps=20,
        lr=0.02,
        kept=rehearsed,
    )
    vector, settings = flat(theta), {"heads": heads, "rehearsed": rehearsed, "steps": 20, "lr": 0.02}
    for now, params in enumerate(path):
        vector = train_phase(functional(network), vector, tasks, now, **settings)
        assert float((vector - flat(params)).abs().max()) < 1e-9
