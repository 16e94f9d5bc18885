"""The explorer of chapter 4g: its answers are the learners' own, its medians what is stored, its words what is seen."""

import json
import math

import numpy as np
import pytest
import torch
from front import chromium, opened, settle, show
from torch import nn

from mapping_lib.chapters.what_came_after.explorer import EXPLORER, State
from mapping_lib.chapters.what_came_after.explorer_program import ALIKE, GRID, NAMES, ROWS, STEPPING, TRAINED
from mapping_lib.chapters.what_came_after.explorer_stages import TRANSFORMER, leave_one_out, ready
from mapping_lib.chapters.what_came_after.methods_test_time import leave_one_out_loss, test_time
from mapping_lib.chapters.what_came_after.study_fewer_numbers import TUNED
from mapping_lib.chapters.what_came_after.study_test_time import ALPHA
from mapping_lib.chapters.what_came_after.study_typical import (
    AWAY,
    FILE,
    GONE,
    METHODS,
    SETTINGS,
    SHOTS,
    drawn,
    measured,
    read_typical,
)
from mapping_lib.inner_loop import mean_squared_error
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Batch

POINTS = {"x": (-4.0, -1.5, 2.0), "lift": (0.0, 0.5, 0.0)}
STATES = [{}, POINTS | {"away": 0.25, "steps": 3, "phase": 0.2}, {"x": (1.0,), "lift": (0.0,), "steps": 2}]


def support_of(state: State) -> Batch:
    """The points of a state, by the wave's formula."""
    x = np.array(state.x)
    y = state.amplitude * np.sin(x - state.phase - math.pi * state.away) + np.array(state.lift)
    return Batch(*(torch.tensor(part, dtype=torch.float32)[:, None] for part in (x, y)))


def by_contract(name: str, state: State) -> np.ndarray:
    """One method's answer, by nothing but its learner's own adapt and predict."""
    made, theta = ready(name)
    learner, steps = getattr(made, "learner", made), None
    if name == "test-time steps":
        learner, steps = test_time(TRANSFORMER.module, nn.functional.mse_loss, alpha=ALPHA), state.steps
    elif name in TUNED or name == "MAML":
        steps = TUNED[name].after if name in TUNED else 10
    return learner.predict(learner.adapt(theta, support_of(state), steps=steps), GRID[:, None])[:, 0].detach().numpy()


@pytest.mark.parametrize("values", STATES)
@pytest.mark.parametrize("name", NAMES)
def test_each_answer_is_that_of_its_learner(name: str, values: dict):
    state = State(**values | {"first": name, "second": "MAML" if name != "MAML" else "in-context"})
    frame = EXPLORER.compute(state)
    truth = state.amplitude * np.sin(GRID.numpy() - state.phase - math.pi * state.away)
    assert frame["truth"] == pytest.approx(truth, abs=1e-5)
    assert frame["y"] == pytest.approx(support_of(state).y[:, 0].numpy(), abs=1e-5)
    if name == NAMES[STEPPING]:
        later = EXPLORER.compute_later(state)
        answer, error = later["mended"], later["mended_error"]
    else:
        answer, error = frame["first_answer.0"], frame["first_error"]
    assert answer == pytest.approx(by_contract(name, state), abs=1e-4)
    assert error == pytest.approx(((answer - truth) ** 2).mean(), rel=1e-4)
    assert frame["first_now"] == (name != NAMES[STEPPING])


@pytest.mark.parametrize("name", ["prior-fitted", "neural process"])
def test_a_band_is_one_deviation_to_both_sides(name: str):
    state = State(first=name)
    frame, (made, theta) = EXPLORER.compute(state), ready(name)
    said = made.density(made.learner.adapt(theta, support_of(state)), GRID[:, None])
    assert frame["first_answer.2"] - frame["first_answer.0"] == pytest.approx(said.deviation[:, 0].numpy(), abs=1e-4)
    assert frame["first_answer.0"] - frame["first_answer.1"] == pytest.approx(said.deviation[:, 0].numpy(), abs=1e-4)


@pytest.mark.parametrize("k", [1, 2, 6])
def test_the_traced_questions_are_those_of_test_time_training(k: int):
    g = torch.Generator().manual_seed(k)
    support = Batch(*torch.randn(2, k, 1, generator=g, dtype=torch.float32))
    theta = shipped("in_context")[1]
    here = torch.func.grad(leave_one_out(support))(theta)
    there = torch.func.grad(leave_one_out_loss(TRANSFORMER.predict, nn.functional.mse_loss, support))(theta)
    assert all(torch.allclose(here[name], there[name], rtol=1e-3, atol=1e-5) for name in theta)


# Many waves -----------------------------------------------------------------------------------------------


def test_the_stored_medians_were_made_by_the_settings_that_the_code_has():
    with np.load(FILE, allow_pickle=False) as file:
        assert json.loads(str(file["settings"])) == json.loads(json.dumps(SETTINGS))
        assert set(file.files) == {*METHODS, "settings"}
    assert set(METHODS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_median_comes_out_again(name: str):
    stored = read_typical()[name][..., AWAY.index(0.75), SHOTS.index(1)]
    assert measured(name, 0.75, 1).numpy() == pytest.approx(stored.numpy(), rel=2e-2)


def test_a_median_is_that_of_the_errors_of_single_waves():
    learner, theta = shipped("in_context")
    tasks, errors = drawn(1.0, 5, 9), []
    for i in range(9):
        phi = learner.adapt(theta, Batch(tasks.support.x[i], tasks.support.y[i]))
        errors.append(float(mean_squared_error(learner.predict(phi, tasks.query.x[i]), tasks.query.y[i])))
    assert float(measured("in-context", 1.0, 5, 9)) == pytest.approx(sorted(errors)[4], rel=1e-4)


@pytest.mark.parametrize(("away", "steps", "x"), [(0.0, 0, (1.0,) * 4), (0.5, 4, (1.0,) * 9), (1.0, 10, (1.0,) * 20)])
def test_the_lines_are_the_medians_of_this_away_and_these_steps(away: float, steps: int, x: tuple):
    frame = EXPLORER.compute(State(away=away, steps=steps, x=x, lift=(0.0,) * len(x), second="MAML", first=NAMES[1]))
    stored, place = read_typical(), AWAY.index(away)
    assert frame["first_line"] == pytest.approx(stored[NAMES[1]][steps, place].numpy())
    assert frame["first_inside"] == pytest.approx(stored[NAMES[1]][steps, 0].numpy())
    assert frame["second_line"] == pytest.approx(stored["MAML"][place].numpy())
    assert frame["tried_k"] == min(SHOTS, key=lambda k: abs(k - len(x)))
    assert frame["first_here"] == pytest.approx(frame["first_line"][SHOTS.index(frame["tried_k"])])


def test_every_method_has_its_own_rows():
    starts = np.cumsum([0] + [11 if name == NAMES[STEPPING] else 1 for name in NAMES])
    assert starts[:-1].tolist() == ROWS


# Words ----------------------------------------------------------------------------------------------------


def words(**values) -> str:
    state = State(**values)
    return EXPLORER.words(state, EXPLORER.compute(state) | EXPLORER.compute_later(state))


def test_words_say_who_errs_less_and_by_how_much():
    said, stored = words(), read_typical()
    before, after = (float(stored[NAMES[1]][m, -1, SHOTS.index(5)]) for m in (0, State().steps))
    assert before / after > 2
    assert f"[test-time steps|test-time steps] errs **{before / after:.2g} times less**" in said
    assert "choose another one" in words(first="MAML", second="MAML")


def test_an_answer_is_called_a_wave_of_the_family_where_its_nearest_wave_is_one():
    assert "**nearest to a wave of the family**" in words()
    frame = EXPLORER.compute(State())
    x = GRID.numpy()
    waves = np.stack([np.sin(x), np.cos(x)], 1)
    of_cosine = np.linalg.lstsq(waves, np.stack([frame["truth"], frame["first_answer.0"]], 1), rcond=None)[0][1]
    assert of_cosine[0] > 0.1 >= of_cosine[1]  # - amplitude · sin(phase), of the truth and of the answer
    assert "family" not in words(first="MAML")
    assert "nearest to a wave" not in words(away=0.0)


def test_words_say_what_steps_at_test_do_and_that_k_is_beyond_training():
    assert "none is taken yet" in words(steps=0)
    assert "Each of 10 [test-time steps|test-time steps] asks for every point from the others" in words()
    many = {"x": (1.0,) * (TRAINED + 2), "lift": (0.0,) * (TRAINED + 2)}
    assert "**K = 12 is beyond training**" in words(**many)
    assert "beyond" not in words()
    assert "beyond" not in words(first="MAML", second="prior-fitted", **many)


@pytest.mark.parametrize("k", [2, 5, 20])
def test_words_say_whether_steps_at_test_mend_or_spoil_by_what_was_measured(k: int):
    before, after = (float(read_typical()[NAMES[STEPPING]][m, 0, SHOTS.index(k)]) for m in (0, 10))
    said = words(away=0.0, x=(1.0,) * k, lift=(0.0,) * k, first="MAML")
    assert ("**spoil** here" in said) == (after > ALIKE * before)
    assert ("change little here" in said) == (before / ALIKE < after < ALIKE * before)
    assert f"with 10 steps the median goes from {before:.2g} to **{after:.2g}**" in said


def test_a_method_that_diverges_is_said_to():
    state = State(first="LoRA, rank 1", amplitude=5.0, phase=1.6, x=(4.9, 4.8), lift=(12.0, -12.0))
    frame = EXPLORER.compute(state)
    assert bool(frame["first_gone"]) == (not frame["first_error"] < GONE)
    assert ("**diverges**" in EXPLORER.words(state, frame)) == bool(frame["first_gone"])


@pytest.mark.parametrize("name", EXPLORER.presets)
def test_a_preset_is_a_state_and_says_something(name: str):
    assert words(**EXPLORER.presets[name])


def test_what_is_dragged_stays_under_the_hand_outside_the_family_too():
    with chromium() as browser, opened(browser) as page:
        show(page, EXPLORER, x=(-4.0, 3.0), lift=(0.0, 0.0), away=0.5, first="MAML", second="neural process")
        box = page.query_selector("canvas").bounding_box()
        handles = "() => panel.picture.handles.map(({ x, y }) => [x, y])"
        for i in range(3):
            x, y = page.evaluate(handles)[i]
            page.mouse.move(box["x"] + x, box["y"] + y)
            page.mouse.down()
            page.mouse.move(box["x"] + x + 18, box["y"] + y - 12)
            page.mouse.up()
            settle(page)
            assert page.evaluate(handles)[i] == pytest.approx([x + 18, y - 12], abs=3)
