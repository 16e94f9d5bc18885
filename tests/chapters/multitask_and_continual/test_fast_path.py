"""The fast path of the explorer is the learner: the same parameters after every task, in float64."""

import pytest
import torch
from oracles import seeded

from mapping_lib.chapters.multitask_and_continual.methods import sequence_model, train_in_sequence
from mapping_lib.chapters.multitask_and_continual.methods_fast import adam_step, shares
from mapping_lib.networks import functional, mlp
from mapping_lib.params import flat
from mapping_lib.task import Batch


@pytest.mark.parametrize("sizes", [(2, 6), (2, 5, 7, 6)])
@pytest.mark.parametrize(("heads", "rehearsed"), [(1, 0), (1, 9), (3, 0), (3, 4)])
def test_a_phase_is_that_of_the_learner(sizes: tuple[int, ...], heads: int, rehearsed: int):
    network = mlp((*sizes, heads)).double()
    draws = {"generator": seeded(0), "dtype": torch.float64}
    x, y = (torch.randn(3, 9, size, **draws) for size in (2, 1))
    theta = functional(network).init(generator=seeded(1))
    path = train_in_sequence(
        sequence_model(network, torch.nn.functional.mse_loss, heads=heads),
        {name: p[None] for name, p in theta.items()},
        Batch(x[None], y[None]),
        steps=20,
        lr=0.02,
        kept=rehearsed,
    )
    vector, shapes = flat(theta), functional(network).shapes
    pick = torch.eye(3, dtype=torch.float64) if heads > 1 else torch.ones(3, 1, dtype=torch.float64)
    for now, params in enumerate(path, 1):
        weights = shares(pick[:now], torch.tensor(float(rehearsed), dtype=torch.float64), 9).flatten(0, 1)
        state = vector, torch.zeros_like(vector), torch.zeros_like(vector), torch.tensor(0.0, dtype=torch.float64)
        for _ in range(20):
            state = adam_step(state, shapes, x[:now].flatten(0, 1), y[:now].flatten(0, 1), weights, 0.02)
        vector = state[0]
        assert float((vector - flat(params)).abs().max()) < 1e-9
