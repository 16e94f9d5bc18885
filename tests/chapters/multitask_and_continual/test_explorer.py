"""The explorer of forgetting: its numbers are those of the library, and it says what a reader should see."""

import math

import numpy as np
import pytest
import torch
from oracles import seeded

from mapping_lib.chapters.multitask_and_continual.explorer import EXPLORER, GRID, N_POINTS, N_TASKS, SEED, State
from mapping_lib.chapters.multitask_and_continual.family import WaveSequences
from mapping_lib.chapters.multitask_and_continual.methods import errors, sequence_model, train_in_sequence
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.networks import functional, mlp
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Batch

mse = torch.nn.functional.mse_loss


def tasks_of(state: State) -> tuple[Batch, Batch]:
    """All points of the four waves, and the explorer's grid as their queries: ``(1, task, example, 1)``."""
    drawn = WaveSequences(N_TASKS).sample(1, N_POINTS, 0, generator=seeded(SEED + state.sequence))
    waves = drawn.description.clone()
    waves[0, 0] = torch.tensor([state.amplitude, state.phase])
    x, grid = drawn.support.x, GRID[:, None].expand(1, N_TASKS, -1, 1)
    return Batch(x, Sinusoids.truth(waves, x)), Batch(grid, Sinusoids.truth(waves, grid))


def matrix_of(frame: dict) -> np.ndarray:
    """The forgetting matrix with the first task on top."""
    return frame["matrix"][::-1]


@pytest.mark.parametrize("method", ["one", "heads"])
@pytest.mark.parametrize("memory", [0, 4, N_POINTS])
def test_the_matrix_is_that_of_the_library(method: str, memory: int):
    state = State(method=method, steps=15, alpha=0.01, memory=memory, sequence=2)
    heads = N_TASKS if method == "heads" else 1
    theta = functional(mlp((1, 40, 40, N_TASKS))).init(generator=seeded(SEED))
    starts = {name: (p[:heads] if name.startswith("4.") else p)[None] for name, p in theta.items()}
    model, (support, query) = sequence_model(mlp((1, 40, 40, heads)), mse, heads=heads), tasks_of(state)
    path = train_in_sequence(model, starts, support, steps=15, lr=0.01, kept=memory)
    matrix = torch.cat([errors(model, params, query, mse) for params in path]).numpy()
    assert matrix_of(EXPLORER.compute(state)) == pytest.approx(matrix, rel=1e-3)


@pytest.mark.parametrize("memory", [0, 1, 10])
def test_maml_is_the_shipped_theta_adapted_to_each_task_by_itself(memory: int):
    state = State(method="MAML", now=3, steps=5, alpha=0.01, memory=memory, sequence=1)
    (learner, theta), (support, query) = shipped("maml"), tasks_of(state)
    matrix = matrix_of(EXPLORER.compute(state))
    for task in range(N_TASKS):
        first = Batch(*(part[0, task, : memory if task < 3 else 0] for part in support))
        y_hat = learner.predict(learner.adapt(theta, first, steps=5), GRID[:, None])
        assert matrix[2, task] == pytest.approx(float(mse(y_hat, query.y[0, task])), rel=1e-3)


def test_moving_now_shows_another_row_of_the_same_matrix():
    frames = [EXPLORER.compute(State(now=now, steps=10)) for now in range(1, 5)]
    for now, frame in enumerate(frames, 1):
        assert np.array_equal(matrix_of(frame)[:now], matrix_of(frames[3])[:now])
        assert np.isnan(matrix_of(frame)[now:]).all()
        assert frame["row_y"].min() == pytest.approx(N_TASKS - now + 0.03)


@pytest.mark.parametrize("method", ["one", "heads", "MAML"])
def test_what_is_drawn_has_the_error_that_is_shown(method: str):
    frame = EXPLORER.compute(State(method=method, now=3, steps=10, memory=2, alpha=0.01))
    for task in range(N_TASKS):
        drawn = np.square(frame[f"fits.{task}"] - frame[f"waves.{task}"]).mean()
        assert drawn == pytest.approx(frame[f"error_{task + 1}"], rel=1e-4)
        assert drawn == pytest.approx(matrix_of(frame)[2, task], rel=1e-4)


@pytest.mark.parametrize(("method", "memory", "counts"), [("one", 0, (0, 20, 0)), ("heads", 3, (3, 20, 0)),
    ("one", 20, (20, 20, 0)), ("MAML", 3, (3, 3, 0))])  # fmt: skip
def test_the_points_are_those_that_the_method_has(method: str, memory: int, counts: tuple):
    state = State(method=method, now=2, memory=memory, steps=5, alpha=0.01)
    frame, (support, _) = EXPLORER.compute(state), tasks_of(state)
    for task, n in enumerate(counts):
        assert np.isfinite(frame[f"ys.{task}"]).sum() == n
        assert frame[f"ys.{task}"][:n] == pytest.approx(support.y[0, task, :n, 0].numpy(), abs=1e-5)
        assert frame[f"xs.{task}"] == pytest.approx(support.x[0, task, :, 0].numpy())


def test_the_first_wave_is_dragged_by_its_lowest_point():
    state = State(amplitude=2.0, phase=1.0, steps=0)
    frame = EXPLORER.compute(state)
    assert frame["low_y"] == pytest.approx(frame["waves.0"].min(), abs=0.01)
    assert frame["low_x"][0] == pytest.approx(float(GRID[frame["waves.0"].argmin()]), abs=0.07)
    handle = next(mark["drag"] for mark in EXPLORER.marks if mark.get("drag"))
    x, y, width, height = handle["about"]
    back = (frame["low_x"][0] - x) / width, (frame["low_y"][0] - y) / height
    assert back == pytest.approx((state.phase, state.amplitude), abs=1e-6)


def words(**values) -> str:
    state = State(**values)
    return EXPLORER.words(state, EXPLORER.compute(state))


def test_words_say_what_happened_and_why():
    said = {name: words(**values) for name, values in EXPLORER.presets.items()}
    assert "**Forgotten**" in said["one after the other"]
    assert "the one curve went to wave 4" in said["one after the other"]
    assert "One curve cannot be 4 waves" in said["joint, one head"]
    assert "**Forgotten**" in said["a head each"]
    assert "layers below are shared, and they moved" in said["a head each"]
    assert "It is kept. It has its own head, and 15 points of it hold" in said["heads, rehearse 15"]
    assert "learned again, from its 10 points" in said["MAML, 10 each"]
    assert "no point is kept" in said["MAML, nothing kept"]
    assert "No task is old yet" in words(now=1)
    assert "It never was learned" in words(steps=0)
    too_long = {"alpha": 0.0316228, "steps": 100, "amplitude": 1.7, "phase": 0.6, "sequence": 7}
    assert "**diverged** on 1 task: steps of α = 0.032" in words(method="MAML", now=1, memory=5, **too_long)


def test_a_wave_like_the_last_one_is_not_lost_though_nothing_of_it_was_kept():
    last = WaveSequences(N_TASKS).sample(1, N_POINTS, 0, generator=seeded(SEED)).description[0, 3].tolist()
    assert "wave 4 is much like it" in words(amplitude=last[0], phase=last[1])


def test_the_compromise_is_what_the_best_single_curve_misses():
    frame = EXPLORER.compute(State(memory=20, now=3, steps=0))
    waves = np.stack([frame[f"waves.{i}"] for i in range(3)])
    assert frame["compromise"] == pytest.approx(np.square(waves.mean(0) - waves[0]).mean(), rel=1e-4)
    assert frame["apart"] == pytest.approx(np.square(waves[2] - waves[0]).mean(), rel=1e-4)


def test_shades_are_logarithmic_from_a_fiftieth_to_twenty():
    frame = EXPLORER.compute(State(steps=10))
    wanted = np.clip([[math.log10(v / 0.02) / 3 for v in row] for row in frame["matrix"]], 0, 1)
    assert frame["shades"] == pytest.approx(wanted, abs=1e-5)
