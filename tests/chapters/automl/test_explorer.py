"""The explorer of alpha and beta: its numbers are the library's own, its words say what a cell is."""

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss

from mapping_lib.chapters.automl.explorer import EXPLORER, GRID, State, compute, draw
from mapping_lib.chapters.automl.study_grid import (
    SIDE,
    SIZES,
    best_cell,
    cell_of,
    curvature,
    nearest,
    read_grid,
    worst_cell,
)
from mapping_lib.curvature import largest_curvature
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import maml
from mapping_lib.networks import mlp
from mapping_lib.page.sentence import plain
from mapping_lib.page.shades import longest_run
from mapping_lib.task import Batch


def words(**values) -> str:
    state = State(**values)
    return plain(EXPLORER.words(state, compute(state)))


def at(cell: tuple[int, int]) -> dict:
    return {"alpha": SIDE[cell[0]], "beta": SIDE[cell[1]]}


@pytest.mark.parametrize("values", [{}, {"alpha": SIDE[4], "beta": SIDE[5], "trained": 1, "k_shot": 3, "task": 9}])
def test_the_fits_are_those_of_the_learner_with_the_stored_theta(values: dict):
    state = State(**values)
    frame, cell = compute(state), cell_of(nearest(state.alpha), nearest(state.beta))
    learner = maml(mlp(SIZES), mse_loss, alpha=SIDE[cell // 13], steps=5)
    theta = {name: p[cell] for name, p in read_grid(state.trained).theta.items()}
    support = Batch(*(torch.from_numpy(frame[name])[:, None] for name in "xy"))
    assert len(support.x) == state.k_shot
    for step in range(6):
        fit = learner.predict(learner.adapt(theta, support, steps=step), GRID)[:, 0].detach().numpy()
        assert frame["fits"][step] == pytest.approx(fit, abs=1e-3)
    for name, fit in (("task_before", frame["before"]), ("task_error", frame["after"])):
        assert frame[name] == pytest.approx(((fit - frame["truth"]) ** 2).mean(), rel=5e-3, abs=1e-4)
    wave = Sinusoids.truth(draw(state.task).description[0], GRID)[:, 0].numpy()
    assert frame["truth"] == pytest.approx(wave, abs=1e-6)


@pytest.mark.parametrize(("trained", "judged"), [(1, 1), (5, 5), (5, 2)])
def test_each_cell_is_drawn_as_what_it_is_and_best_and_worst_are_so(trained: int, judged: int):
    frame, grid = compute(State(trained=trained, judged=judged)), read_grid(trained)
    means = grid.errors[:, :, judged].mean(0).view(13, 13).numpy()
    for a, b in ((0, 0), (6, 6), (4, 8), (12, 12), best_cell(trained, judged)):
        kind = "untrained" if not grid.alive[:, cell_of(a, b)].all() else "thrown" if means[a, b] > 10 else "fine"
        drawn = [name for name in ("fine", "thrown", "untrained") if np.isfinite(frame[name][a, b])]
        assert drawn == [kind]
    fine = np.isfinite(frame["fine"])
    assert means[best_cell(trained, judged)] == means[fine].min() == frame["lowest"]
    worst = means[worst_cell(trained, judged)]
    assert not (means > worst).any()
    assert not np.isnan(means).any()
    assert frame["worst_alpha"] == SIDE[worst_cell(trained, judged)[0]]
    assert ("1 of" in frame["worst_name"]) == bool((means == worst).sum() > 1)
    deep = frame["fine"][fine]
    assert np.array_equal(np.argsort(-deep, kind="stable"), np.argsort(means[fine].clip(0.3, 5), kind="stable"))


def test_the_buttons_go_to_the_best_and_the_worst_cell_of_the_map_that_they_show():
    for label, cell in (("best cell", best_cell(5, 5)), ("worst cell", worst_cell(5, 5))):
        state = State(**EXPLORER.presets[label])
        assert (state.trained, state.judged) == (5, 5)
        assert (nearest(state.alpha), nearest(state.beta)) == cell


def test_the_cell_shows_its_own_training_and_error_by_step():
    frame, grid = compute(State(**at((4, 8)))), read_grid(5)
    assert np.array_equal(frame["curve"], grid.curves[cell_of(4, 8)].numpy())
    assert frame["by_step"] == pytest.approx(grid.errors[:, cell_of(4, 8)].mean(0).numpy())


@pytest.mark.parametrize("step", [0, 2])
def test_the_curvature_is_about_that_of_the_library(step: int):
    support = draw(3).support
    learner = maml(mlp(SIZES), mse_loss, alpha=SIDE[6], steps=step)
    theta = {name: p[cell_of(6, 6)] for name, p in read_grid(5).theta.items()}
    phi = learner.adapt(theta, Batch(support.x[0], support.y[0]))
    objective = lambda params: mse_loss(learner.predict(params, support.x[0]), support.y[0])  # noqa: E731
    exact = largest_curvature(objective, phi, generator=torch.Generator().manual_seed(0), iterations=200)
    params = [p if step == 0 else p[None] for p in phi.values()]
    assert curvature(params, support) == pytest.approx(float(exact), rel=0.08)


@pytest.mark.parametrize(
    ("button", "said"),
    [
        ("α too small", "Next to nothing is learned in 5 steps"),
        ("β too small", "Next to nothing is learned in 5 steps"),
        ("α too large", "Adaptation diverges"),
        ("β too large", "Meta-training diverged"),
        ("best cell", "The best cell"),
        ("worst cell", "mean error without bound"),
        ("one step", "after 1 step"),
    ],
)
def test_words_say_what_has_become_of_a_cell(button: str, said: str):
    assert said in words(**EXPLORER.presets[button])


@pytest.mark.parametrize(
    ("cell", "said"),
    [((9, 5), "α is too large"), ((1, 6), "α is too small"), ((6, 1), "β is too small"), ((5, 10), "β is too large")],
)
def test_what_is_to_blame_is_what_would_mend_most_alone(cell: tuple[int, int], said: str):
    frame = compute(State(**at(cell), trained=1, judged=1))
    assert said in words(**at(cell), trained=1, judged=1)
    means = read_grid(1).errors[:, :, 1].mean(0).view(13, 13)
    lines = {"α": means[:, cell[1]], "β": means[cell[0]]}
    assert frame["better_error"] == pytest.approx(float(min(line.min() for line in lines.values())), rel=1e-5)
    assert SIDE[int(lines[said[0]].argmin())] == frame["better"]


def test_whether_alpha_is_above_the_stable_limit_is_said_as_it_is():
    for values in ({}, EXPLORER.presets["α too large"], {"alpha": SIDE[7], "trained": 1}):
        state = State(**values)
        frame = compute(state)
        assert frame["above"] == (SIDE[nearest(state.alpha)] > frame["limit"])
        assert ("α is below" in words(**values)) == (not frame["above"])


def test_words_on_the_map_stand_in_the_longest_run():
    frame = compute(State())
    assert frame["untrained_room"]
    row = nearest(frame["untrained_alpha"])
    assert np.isfinite(frame["untrained"][row]).all()
    assert longest_run(np.zeros((2, 3), bool)) == (0, 0.0, 0)
