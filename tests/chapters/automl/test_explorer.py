"""The explorer of alpha and beta: its numbers are the library's own, its words say what a cell is, clicks find it."""

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss

from mapping_lib.chapters.automl import explorer as alpha_beta
from mapping_lib.chapters.automl import explorer_compute as frames
from mapping_lib.chapters.automl.explorer import PRESETS, State, compute
from mapping_lib.chapters.automl.explorer_canvas import MAP, AlphaBetaCanvas, place_in_map
from mapping_lib.chapters.automl.figures import colour_of
from mapping_lib.chapters.automl.study_grid import SIDE, SIZES, best_cell, cell_of, nearest, read_grid
from mapping_lib.curvature import largest_curvature
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import maml
from mapping_lib.networks import mlp
from mapping_lib.task import Batch


def frame_of(**values) -> frames.Frame:
    return compute(State(**values))


@pytest.mark.parametrize("values", [{}, {"alpha": SIDE[4], "beta": SIDE[5], "trained": 1, "k_shot": 3, "task": 9}])
def test_the_fits_are_those_of_the_learner_with_the_stored_theta(values: dict):
    frame = frame_of(**values)
    state, cell = frame.state, cell_of(*frame.cell)
    learner = maml(mlp(SIZES), mse_loss, alpha=SIDE[cell // 13], steps=5)
    theta = {name: p[cell] for name, p in read_grid(state.trained).theta.items()}
    support = Batch(*(torch.from_numpy(frame.support[:, i : i + 1]) for i in (0, 1)))
    assert len(support.x) == state.k_shot
    for step in range(6):
        fit = learner.predict(learner.adapt(theta, support, steps=step), frames.GRID)[:, 0].detach().numpy()
        assert frame.fits[step] == pytest.approx(fit, abs=1e-3)
        assert frame.task_errors[step] == pytest.approx(((fit - frame.truth) ** 2).mean(), rel=5e-3, abs=1e-4)
    wave = Sinusoids.truth(frames.draw(state.task).description[0], frames.GRID)[:, 0].numpy()
    assert frame.truth == pytest.approx(wave, abs=1e-6)


@pytest.mark.parametrize(("trained", "judged"), [(1, 1), (5, 5), (5, 2)])
def test_the_map_is_the_mean_of_the_stored_runs_and_its_star_the_lowest(trained: int, judged: int):
    frame, grid = frame_of(trained=trained, judged=judged), read_grid(trained)
    for a, b in ((0, 0), (6, 6), (4, 8), (12, 12), frame.best):
        cell = cell_of(a, b)
        mean = float(grid.errors[:, cell, judged].mean())
        assert frame.errors[a, b] == pytest.approx(mean, rel=1e-5)
        expected = 2 if not grid.alive[:, cell].all() else 1 if mean > 10 else 0
        assert frame.kinds[a, b] == expected
    fine = frame.errors[frame.kinds == 0]
    assert frame.errors[frame.best] == fine.min()
    assert frame.errors[best_cell(trained, judged, worst=True)] == fine.max()
    assert set(np.unique(frame.kinds)) == ({0, 1} if trained == 1 else {0, 1, 2})


def test_the_cell_shows_its_own_training_and_error_by_step():
    frame, grid = frame_of(alpha=SIDE[4], beta=SIDE[8]), read_grid(5)
    assert np.array_equal(frame.curve, grid.curves[cell_of(4, 8)].numpy())
    assert frame.by_step == pytest.approx(grid.errors[:, cell_of(4, 8)].mean(0).numpy())


def test_the_curvature_is_about_that_of_the_library():
    grid, cell = read_grid(5), cell_of(6, 6)
    support = frames.draw(3).support
    theta = {name: p[cell] for name, p in grid.theta.items()}
    predict = maml(mlp(SIZES), mse_loss).predict
    objective = lambda params: mse_loss(predict(params, support.x[0]), support.y[0])  # noqa: E731
    exact = largest_curvature(objective, theta, generator=torch.Generator().manual_seed(0), iterations=200)
    assert frames.curvature(grid, cell, support) == pytest.approx(float(exact), rel=0.08)


@pytest.mark.parametrize(
    ("button", "words"),
    [
        ("α too small", "next to nothing is learned in 5 steps"),
        ("β too small", "next to nothing is learned in 5 steps"),
        ("α too large", "diverge"),
        ("β too large", "diverged"),
        ("reset", "held-out error"),
        ("one step", "after 1 step"),
    ],
)
def test_words_say_what_has_become_of_a_cell(button: str, words: str):
    assert words in frame_of(**PRESETS[button]).words


def test_the_best_cell_is_called_good_and_every_kind_has_its_words():
    for trained, judged in ((1, 1), (5, 5)):
        a, b = best_cell(trained, judged)
        assert "a good cell" in frame_of(alpha=SIDE[a], beta=SIDE[b], trained=trained, judged=judged).words
        kinds = frame_of(trained=trained, judged=judged).kinds
        for kind, words in ((1, "adaptation diverges"), (2, "meta-training diverged")):
            for a, b in np.argwhere(kinds == kind)[::5]:
                assert words in frame_of(alpha=SIDE[a], beta=SIDE[b], trained=trained, judged=judged).words


@pytest.mark.parametrize(
    ("cell", "words"),
    [((9, 5), "α is too large"), ((1, 2), "α is too small"), ((6, 1), "β is small"), ((5, 9), "β is too large")],
)
def test_who_is_to_blame_for_a_poor_cell(cell: tuple[int, int], words: str):
    assert words in frame_of(alpha=SIDE[cell[0]], beta=SIDE[cell[1]], trained=1, judged=1).words


def test_whether_alpha_is_above_the_stable_limit_is_said_as_it_is():
    for values in ({}, PRESETS["α too large"], {"alpha": SIDE[7], "trained": 1}):
        frame = frame_of(**values)
        cell = cell_of(*frame.cell)
        support = Batch(*(part[:, : frame.state.k_shot] for part in frames.draw(frame.state.task).support))
        limit = 2 / frames.curvature(read_grid(frame.state.trained), cell, support)
        assert ("α lies above it" in frame.words) == (SIDE[frame.cell[0]] > limit)


# The panel ------------------------------------------------------------------------------------------------


def click(panel, a: int, b: int, width: float = 1060.0) -> None:
    """What the page sends for a click on the middle of a cell, with the picture ``width`` pixels wide."""
    scale = width / 1060
    x, y = MAP[0] + (b + 0.5) * MAP[2] / 13, 520 - MAP[1] - (a + 0.5) * MAP[3] / 13
    size = {"boundingRectWidth": width, "boundingRectHeight": 520 * scale}
    panel.clicked({"type": "click", "relativeX": x * scale, "relativeY": y * scale, **size})


@pytest.mark.parametrize("width", [1060.0, 640.5])
def test_a_click_on_a_cell_goes_there_and_one_beside_the_map_does_nothing(width: float):
    panel = alpha_beta.explorer()
    for a, b in ((0, 0), (12, 0), (3, 11), (12, 12)):
        click(panel, a, b, width)
        assert (panel.state.alpha, panel.state.beta) == (SIDE[a], SIDE[b])
        assert (nearest(panel.controls["alpha"].value), nearest(panel.controls["beta"].value)) == (a, b)
    state = panel.state
    panel.clicked({"relativeX": 5, "relativeY": 5, "boundingRectWidth": width, "boundingRectHeight": width})
    assert panel.state == state


def test_every_corner_of_the_map_is_a_cell_and_beyond_is_none():
    for x, y, cell in ((0.5, 0.5, (0, 0)), (363.5, 363.5, (12, 12)), (-1, 5, None), (5, -1, None), (365, 5, None)):
        assert place_in_map((MAP[0] + x) / 1060, 1 - (MAP[1] + y) / 520) == cell


def test_best_and_worst_go_where_the_map_says():
    panel = alpha_beta.explorer()
    panel.set(trained=1, judged=2)
    for button, worst in (("best cell", False), ("worst cell", True)):
        panel.buttons[button].click()
        place = (nearest(panel.state.alpha), nearest(panel.state.beta))
        assert place == best_cell(1, 2, worst=worst)
        assert (panel.state.trained, panel.state.judged) == (1, 2)


def test_new_tasks_begin_again_after_the_last():
    panel = alpha_beta.explorer()
    panel.set(task=alpha_beta.MAX_TASK)
    panel.buttons["new task"].click()
    assert panel.state.task == 0


def test_the_map_has_each_cells_colour_in_its_place():
    frame, canvas = frame_of(), AlphaBetaCanvas()
    canvas.draw(frame)
    for a, b in ((0, 0), (12, 12), (9, 1), (5, 10)):
        x, y = MAP[0] + (b + 0.3) * MAP[2] / 13, 520 - MAP[1] - (a + 0.3) * MAP[3] / 13
        colour = 255 * np.array(colour_of(frame.errors[a, b], frame.kinds[a, b]))
        assert canvas.pixels()[int(y), int(x)] == pytest.approx(colour, abs=2)
