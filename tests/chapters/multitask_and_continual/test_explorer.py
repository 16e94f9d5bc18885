"""The explorer of forgetting: its numbers are those of the library, and it says what a reader should see."""

import numpy as np
import pytest
import torch
from oracles import seeded

from mapping_lib.chapters.multitask_and_continual import explorer as forgetting
from mapping_lib.chapters.multitask_and_continual.explorer_canvas import ForgettingCanvas
from mapping_lib.chapters.multitask_and_continual.explorer_compute import (
    GRID,
    LABELS,
    N_POINTS,
    N_TASKS,
    SEED,
    State,
    compute,
    draw,
)
from mapping_lib.chapters.multitask_and_continual.methods import errors, sequence_model, train_in_sequence
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.networks import functional, mlp
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Batch

mse = torch.nn.functional.mse_loss


def of(**values):
    return compute(State(**values))


def judges(sequence: int) -> Batch:
    """All waves of a sequence on the explorer's grid, as queries ``(1, task, example, 1)``."""
    waves = draw(sequence).description
    return Batch(GRID.expand(1, N_TASKS, -1, 1), Sinusoids.truth(waves, GRID))


@pytest.mark.parametrize("method", [m for m in LABELS if m != "MAML"])
def test_the_matrix_is_that_of_the_library(method: str):
    heads, kept = (N_TASKS if "heads" in method else 1), {"joint": N_POINTS}.get(method, 4 * ("rehearsal" in method))
    model = sequence_model(mlp((1, 40, 40, heads)), mse, heads=heads)
    starts = functional(mlp((1, 40, 40, heads))).init(generator=seeded(SEED))
    starts = {name: p[None] for name, p in starts.items()}
    path = train_in_sequence(model, starts, draw(2).support, steps=15, lr=0.01, kept=kept)
    matrix = torch.cat([errors(model, params, judges(2), mse) for params in path]).numpy()
    frame = of(method=method, now=4, steps=15, alpha=0.01, memory=4, sequence=2)
    assert frame.matrix == pytest.approx(matrix, rel=1e-3)  # fifteen steps of Adam: 1e-6 without AVX


@pytest.mark.parametrize("memory", [0, 1, 10])
def test_maml_is_the_shipped_theta_adapted_to_each_task_by_itself(memory: int):
    learner, theta = shipped("maml")
    frame = of(method="MAML", now=3, steps=5, alpha=0.01, memory=memory, sequence=1)
    support, query = draw(1).support, judges(1)
    for task in range(N_TASKS):
        first = Batch(*(part[0, task, : memory if task < 3 else 0] for part in support))
        phi = learner.adapt(theta, first, steps=5)
        assert frame.matrix[2, task] == pytest.approx(
            float(mse(learner.predict(phi, GRID), query.y[0, task])), rel=1e-3
        )


def test_moving_now_shows_another_row_of_the_same_matrix():
    frames = [of(now=now, steps=10) for now in range(1, 5)]
    for now, frame in enumerate(frames, 1):
        assert np.array_equal(frame.matrix[:now], frames[3].matrix[:now])
        assert np.isnan(frame.matrix[now:]).all()


def test_what_is_drawn_has_the_error_that_is_shown():
    for method in LABELS:
        frame = of(method=method, now=3, steps=10)
        shown = np.square(frame.fits - frame.truths).mean(-1)
        assert shown == pytest.approx([frame.matrix[2, 2], frame.matrix[2, 0]], rel=1e-4)


@pytest.mark.parametrize(
    ("method", "counts"),
    [
        ("sequential", (20, 0)),
        ("rehearsal", (20, 3)),
        ("rehearsal, heads", (20, 3)),
        ("joint", (20, 20)),
        ("MAML", (3, 3)),
    ],
)
def test_the_points_are_those_that_the_method_has(method: str, counts: tuple):
    frame = of(method=method, now=2, memory=3, steps=5)
    assert tuple(map(len, frame.points)) == counts
    old = draw(0).support
    wanted = torch.cat(old, -1)[0, 0, : counts[1]].numpy()
    assert np.array_equal(frame.points[1], wanted)


def test_words_say_what_happened():
    alone, heads, maml = (
        forgetting.PRESETS[name] for name in ("one after the other", "heads, rehearse 10", "MAML, 10 each")
    )
    assert "<b>Forgotten</b>" in of(**alone).words
    assert "It is kept." in of(**heads).words
    assert "learned again, from its 10 points" in of(**maml).words
    assert "Nothing was forgotten in time" in of(**forgetting.PRESETS["joint, one head"]).words
    assert "There is no old task yet" in of(now=1).words


def test_maml_does_not_forget_and_with_nothing_kept_does_not_know():
    ten, none = (of(**forgetting.PRESETS[name]) for name in ("MAML, 10 each", "MAML, nothing kept"))
    assert (ten.matrix[:, 0] == ten.matrix[0, 0]).all()
    assert ten.matrix[3].max() < 0.5
    assert none.matrix[3].min() > ten.matrix[3].max()


def test_divergence_is_said():
    frame = of(method="MAML", now=2, steps=100, alpha=10**-1.5, memory=1, sequence=0)
    matrix = frame.matrix.copy()
    matrix[1, 0] = np.inf
    canvas = ForgettingCanvas()
    canvas.draw(frame._replace(matrix=matrix))
    assert canvas._numbers[1][0].text == "diverged"
    assert canvas._scores[1].text == "error diverged"
