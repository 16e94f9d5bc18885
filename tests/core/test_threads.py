"""All functions are pure: any number of threads may use one learner, and every frame is the one that its state has.

In JupyterLab a slider's callback runs in a thread beside a running cell.
"""

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import pytest
import torch
from learners_table import LEARNERS, theta_of
from oracles import same, seeded
from stability import forget
from torch import nn
from worker import meta_loss

from mapping_lib.networks import functional, mlp
from mapping_lib.page.explorer import explorers
from mapping_lib.task import each

THREADS = 4
TANH = mlp((1, 6, 1), nn.Tanh)


def in_threads(calls: Iterable[Callable[[], Any]]) -> list[Any]:
    """The results of all calls, made by several threads that change places as often as Python lets them."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_gives_every_thread_what_it_gives_one(name: str):
    entry = LEARNERS[name]
    learner, sets = entry.learner(), [entry.tasks(seed=seed) for seed in range(6)]
    theta = theta_of(learner)

    def answers(tasks) -> tuple:
        task = next(each(tasks))
        phi = learner.adapt(theta, entry.evidence(task.support), description=task.description)
        return phi, learner.predict(phi, task.query.x).detach(), learner.meta_grad(theta, tasks)

    calls = [partial(answers, tasks) for tasks in sets]
    assert same(in_threads(calls * 3), [call() for call in calls] * 3)


@pytest.mark.parametrize(
    "network", [TANH, nn.LSTM(1, 3), nn.MultiheadAttention(4, 2)], ids=["mlp", "LSTM", "attention"]
)
def test_init_draws_from_its_generator_whatever_other_threads_draw(network: nn.Module):
    init = functional(network).init
    alone = init(generator=seeded(7))
    calls = [lambda: init(generator=seeded(7)), lambda: torch.rand(100), lambda: torch.manual_seed(0)] * 40
    assert all(same(theta, alone) for theta in in_threads(calls)[::3])


def test_init_neither_reads_nor_writes_the_global_random_state():
    state = torch.get_rng_state()
    functional(TANH).init(generator=seeded(0))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("explorer", explorers(), ids=lambda explorer: explorer.name)
def test_explorers_compute_in_threads_what_they_compute_alone(explorer):
    states = [explorer.State(**values) for values in list(explorer.presets.values())[:THREADS]]
    forget()
    frames = in_threads([partial(explorer.compute, state) for state in states])
    forget()
    assert same(frames, [explorer.compute(state) for state in states])


# Worker processes ---------------------------------------------------------------------------------------


def test_a_worker_process_makes_a_learner_anew():
    jobs = [(6, 2, seed) for seed in range(3)]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        losses = list(pool.map(meta_loss, *zip(*jobs, strict=True)))
    assert losses == pytest.approx([meta_loss(*job) for job in jobs], rel=1e-6)
