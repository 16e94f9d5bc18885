"""The device follows theta: asked of "meta", which has shapes and no numbers, as these checks have no GPU.

A tensor of the CPU among its own is an error there, as on a GPU, but for matrix products. Every learner is asked in
`test_every_learner.py`; here the outer loop, the evaluation and networks with parts that do not learn.
"""

import pytest
import torch
from oracles import seeded
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from mapping_lib.curvature import largest_curvature
from mapping_lib.evaluation import evaluate_by_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.inner_loop import support_objective
from mapping_lib.learners.gradient import maml
from mapping_lib.learners.uneven import uneven
from mapping_lib.meta_training import meta_train
from mapping_lib.networks import functional, mlp
from mapping_lib.task import map_tasks


class Scaled(nn.Module):
    """A reader's own: a frozen layer, a buffer of floats and one of whole numbers, and layers that learn."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.learns = nn.Linear(1, 4).requires_grad_(False), nn.Linear(4, 1)
        self.register_buffer("scale", torch.tensor([2.0]))
        self.register_buffer("order", torch.arange(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.learns(self.frozen(x).tanh().index_select(-1, self.order))


NETWORKS = {"fast": mlp((1, 4, 1)), "general": mlp((1, 4, 1), nn.Tanh), "own": Scaled()}


class There:
    """Waves on the device "meta", in groups."""

    def sample(self, *counts: int, generator: torch.Generator) -> list:
        return [map_tasks(lambda t: t.to("meta"), Sinusoids().sample(*counts, generator=generator))]


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch):
    """Where code looks at a number of "meta", it is finite."""
    real, truth = Tensor.__float__, Tensor.__bool__
    monkeypatch.setattr(Tensor, "__float__", lambda t: 1.0 if t.is_meta else real(t))
    monkeypatch.setattr(Tensor, "__bool__", lambda t: True if t.is_meta else truth(t))


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_outer_loop_and_evaluation_stay_where_theta_is(network: nn.Module, numbers):
    learner = uneven(maml(network, mse_loss, alpha=0.1, steps=2))
    theta = {name: p.to("meta") for name, p in learner.init(generator=seeded(0)).items()}
    settings = {"beta": 0.1, "outer_steps": 2, "optimiser": "sgd", "generator": seeded(1), "theta": theta}
    *_, last = meta_train(learner, There(), **settings)
    errors = evaluate_by_step(learner, last.theta, There(), k_shot=3, steps=2, n_tasks=5, generator=seeded(2))
    assert {t.device.type for t in (*last.theta.values(), *errors)} == {"meta"}
    assert last.step == 2


def test_curvature_is_asked_where_the_parameters_are():
    network, task = functional(NETWORKS["general"]), There().sample(1, 3, 3, generator=seeded(0))[0]
    params = {name: p.to("meta") for name, p in network.init(generator=seeded(0)).items()}
    objective = support_objective(network.predict, mse_loss, type(task.support)(*(t[0] for t in task.support)))
    assert largest_curvature(objective, params, generator=seeded(0), iterations=1).is_meta


def test_parts_that_do_not_learn_keep_their_numbers():
    network = Scaled()
    theta = functional(network).init(generator=seeded(0))
    with torch.no_grad():
        for name, p in theta.items():
            network.get_parameter(name).copy_(p)
    x = torch.randn(5, 1, generator=seeded(1))
    assert torch.equal(functional(network).predict(theta, x), network(x))
    double = functional(network).predict({name: p.double() for name, p in theta.items()}, x.double())
    torch.testing.assert_close(double, network.double()(x.double()), rtol=1e-12, atol=1e-12)
