"""What the chapter says of causes, by the experiment that could have said otherwise."""

import pytest
import torch
from torch import nn

from mapping_lib.evaluation import evaluate_by_shots, evaluate_by_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.baselines import joint_adam
from mapping_lib.learners.flow import gradient_flow
from mapping_lib.learners.gradient import maml
from mapping_lib.networks import mlp
from mapping_lib.study.sinusoids import SIZES, shipped
from mapping_lib.study.training import Training
from mapping_lib.worlds.derived import Pool
from mapping_lib.worlds.linear import LinearFunctions

WAVES = Sinusoids()
LEARNER = maml(mlp(SIZES), nn.functional.mse_loss, alpha=0.01, steps=1)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def flow_by_time():
    """Mean error of the flow by time and by how many Runge-Kutta steps follow it, on the same tasks."""
    _, theta = shipped("flow")

    def error(tau: float, steps: int) -> float:
        learner = gradient_flow(mlp(SIZES, nn.Tanh), nn.functional.mse_loss, steps=steps)
        timed = theta | {"log_tau": torch.tensor(tau).log()}
        settings = {"shots": (10,), "n_tasks": 500, "n_query": 20, "generator": seeded(8), "steps": steps}
        return float(evaluate_by_shots(learner, timed, WAVES, **settings).mean[0])

    return error


def test_the_learned_time_is_the_best_for_five_steps_and_not_for_many(flow_by_time):
    learned = float(shipped("flow")[1]["log_tau"].exp())
    assert learned == pytest.approx(0.175, abs=0.005)
    five = {tau: flow_by_time(tau, 5) for tau in (0.1, 0.15, learned, 0.2, 0.25, 0.4)}
    assert five[learned] < 1.05 * min(five.values())
    assert five[0.4] > 3 * five[learned]
    assert flow_by_time(0.4, 20) < 0.9 * flow_by_time(learned, 20)


def error_on(theta: dict, family, learner=LEARNER, steps: int = 5) -> float:
    settings = {"k_shot": 10, "n_tasks": 300, "n_query": 50, "generator": seeded(100)}
    return float(evaluate_by_step(learner, theta, family, steps=steps, **settings).mean[steps])


def test_pools_of_two_differ_in_difficulty_and_overfit_against_a_theta_that_never_saw_them():
    def trained(family):
        return Training(lambda: LEARNER, family, outer_steps=400, beta=0.02).theta(seed=1)

    endless, pools = trained(WAVES), [Pool(WAVES, 2, seed=s) for s in range(3)]
    control = [error_on(endless, pool) for pool in pools]
    assert max(control) > 3 * min(control)  # one theta, three pools: so far apart before anybody overfits
    new = error_on(endless, WAVES)
    for pool, by_endless in zip(pools, control, strict=True):
        theta = trained(pool)
        assert error_on(theta, pool) < 0.6 * by_endless
        assert error_on(theta, WAVES) > 1.5 * new


@pytest.mark.parametrize(
    "family", [Sinusoids(phase=(torch.pi, 2 * torch.pi)), LinearFunctions(noise=0.0)], ids=["upside down", "lines"]
)
def test_it_is_the_steps_that_mend_what_a_reader_of_examples_does_not_know(family):
    reader, theta = shipped("set_network")
    step_on = maml(mlp(SIZES), nn.functional.mse_loss, alpha=0.01, steps=20)
    both = reader._replace(adapt=lambda t, S, **_: step_on.adapt(reader.adapt(t, S), S), adapt_path=None)
    settings = {"shots": (5, 20), "n_tasks": 150, "n_query": 40}
    alone, mended = (
        evaluate_by_shots(learner, theta, family, generator=seeded(100), **settings).median
        for learner in (reader, both)
    )
    assert alone[1] > 0.6 * alone[0]  # more points hardly help the reader
    assert mended[1] < 0.4 * mended[0]
    assert mended[1] < 0.25 * alone[1]


def test_a_start_belongs_to_its_rule():
    """From MAML's theta, made for plain steps, Adam does worse than SGD, each at the best of a grid."""
    theta = shipped("maml")[1]
    grids = {maml: (0.002, 0.005, 0.01, 0.02), joint_adam: (0.005, 0.01, 0.02, 0.03, 0.05)}
    best = {
        make: min(error_on(theta, WAVES, make(mlp(SIZES), nn.functional.mse_loss, alpha=alpha)) for alpha in grid)
        for make, grid in grids.items()
    }
    assert best[joint_adam] > 2 * best[maml]
