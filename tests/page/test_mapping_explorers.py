"""The explorers of other mappings: their numbers are the learners' own, and they say what a reader should see."""

import dataclasses
import io
import itertools
import re

import numpy as np
import pytest
import torch
from explorer_checks import controls_matter
from PIL import Image

from mapping_lib.chapters.mapping_view import explorer as five_mappings
from mapping_lib.chapters.mapping_view.explorer_canvas import PICTURE, picture_of
from mapping_lib.chapters.mapping_view.explorer_compute import GRID, MAPPINGS, WEIGHTS, Frame
from mapping_lib.chapters.other_mappings import explorer as description_or_data
from mapping_lib.chapters.other_mappings import explorer_compute as shares
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Batch

# Five mappings --------------------------------------------------------------------------------------------


def fives(**values) -> Frame:
    return five_mappings.compute(five_mappings.State(**values))


@pytest.mark.parametrize("k_shot", [0, 1, 7])
@pytest.mark.parametrize("name", MAPPINGS)
def test_each_curve_and_error_is_that_of_the_learner_with_its_shipped_theta(name: str, k_shot: int):
    frame = fives(mapping=name, k_shot=k_shot, amplitude=2.5, phase=0.7, noise=0.3)
    learner, theta = shipped(name)
    support = Batch(*(torch.from_numpy(frame.support[:, i : i + 1]) for i in (0, 1)))
    steps = {"maml": 5}.get(name)
    phi = learner.adapt(theta, support, description=torch.tensor([2.5, 0.7]), steps=steps)
    curve = learner.predict(phi, GRID)[:, 0].detach().numpy()
    assert frame.chosen.curve == pytest.approx(curve, abs=1e-4)
    truth = 2.5 * np.sin(GRID[:, 0].numpy() - 0.7)
    assert frame.truth == pytest.approx(truth, abs=1e-6)
    assert frame.chosen.error == pytest.approx(((curve - truth) ** 2).mean(), rel=1e-3)
    if name == "in_context":
        assert frame.chosen.change is None
    else:
        prefix = "base." if name == "hypernetwork" else ""
        change = [(phi[key] - theta[prefix + key]).detach().flatten().numpy() for key in WEIGHTS]
        assert frame.chosen.change == pytest.approx(np.concatenate(change), abs=1e-5)


def test_the_support_is_the_wave_with_noise_and_more_examples_leave_the_earlier_ones_in_place():
    few, many, noisy = (fives(**values).support for values in ({"k_shot": 3}, {"k_shot": 9}, {"noise": 0.5}))
    assert np.array_equal(few, many[:3])
    wave = Sinusoids.truth(torch.tensor([3.0, 1.0]), torch.from_numpy(many[:, :1])).numpy()
    assert many[:, 1:] == pytest.approx(wave)
    assert np.array_equal(noisy[:9, 0], many[:, 0])
    assert 0.1 < np.abs(noisy[:9, 1] - many[:, 1]).mean() < 1


def test_all_five_meet_the_same_task_whichever_the_reader_looks_at():
    frames = [fives(mapping=name) for name in MAPPINGS]
    assert all(frame.outcomes is frames[0].outcomes for frame in frames)
    assert [frame.words.split(",")[0] for frame in frames] == [
        f"<b style='color:{m.colour}'>{m.label}" for m in MAPPINGS.values()
    ]


def test_with_no_example_only_the_description_says_anything():
    outcomes = fives(k_shot=0).outcomes
    assert np.abs(outcomes["maml"].change).max() == 0
    assert np.array_equal(outcomes["flow"].curve, outcomes["flow"].start)
    assert outcomes["hypernetwork"].error < 0.01
    assert all(outcomes[name].error > 0.5 for name in MAPPINGS if name != "hypernetwork")
    assert "no example, so nothing moves and φ = θ" in fives(k_shot=0).words


def test_the_hypernetwork_sees_neither_points_nor_noise_and_the_others_do():
    here, there = (fives(noise=noise, points=points).outcomes for noise, points in ((0.0, 0), (1.0, 7)))
    same = {name for name in MAPPINGS if np.array_equal(here[name].curve, there[name].curve)}
    assert same == {"hypernetwork"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"amplitude": 8.0}, "amplitude 8.0 (seen: 0.1 to 5)."),
        ({"phase": -0.5}, ": phase −0.5 (seen: 0 to 3.1)."),
        ({"amplitude": 5.1, "phase": 3.2}, "amplitude 5.1 (seen: 0.1 to 5) and phase 3.2 (seen: 0 to 3.1)."),
    ],
)
def test_a_task_outside_of_what_meta_training_saw_is_said(values: dict, said: str):
    words = fives(**values).words
    assert "Outside of what meta-training saw" in words
    assert words.endswith(said)


@pytest.mark.parametrize("values", [{}, {"amplitude": 5.0}, {"amplitude": 0.1}, {"phase": 0.0}, {"phase": 3.1}])
def test_the_ends_of_what_was_seen_are_inside(values: dict):
    assert "Outside" not in fives(**values).words


def test_a_whole_turn_is_another_number_but_the_same_wave():
    outcomes = fives(**five_mappings.PRESETS["a whole turn"]).outcomes
    assert outcomes["hypernetwork"].error > 10
    assert max(outcomes[name].error for name in MAPPINGS if name != "hypernetwork") < 0.2
    assert "Worse than the flat line y = 0: hypernetwork" in fives(phase=6.2).words


def test_upside_down_the_transformer_is_sure_and_wrong_and_gradients_still_come_nearer():
    """What chapter 1 says of this preset; with these points, and with others."""
    for points in range(5):
        outcomes = fives(phase=4.6, points=points).outcomes
        assert outcomes["in_context"].error > 2 * max(outcomes[name].error for name in ("maml", "rule", "flow"))
        assert "Worse than the flat line y = 0:" in fives(phase=4.6, points=points).words


def test_divergence_is_said_in_words_and_has_no_dot():
    frame = fives(**five_mappings.PRESETS["unlucky points"])
    assert np.isinf(frame.chosen.error)
    assert "Diverged" in frame.words
    canvas = five_mappings.FiveMappingsCanvas()
    canvas.draw(frame)
    dot, _, value, _ = canvas._dots["maml"]
    assert np.isnan(dot.get_xdata()).all()
    assert value.text == "diverged"
    gone = frame.chosen._replace(change=np.full_like(frame.chosen.change, np.nan))
    canvas.draw(frame._replace(outcomes=frame.outcomes | {"maml": gone}))
    assert "no number" in canvas._moved.text


@pytest.mark.parametrize(
    ("module", "button", "after"),
    [
        (five_mappings, "new points", five_mappings.State(points=1)),
        (description_or_data, "new task", description_or_data.State(task=8)),
    ],
    ids=["five mappings", "description or data"],
)
def test_every_control_changes_the_picture_and_reset_brings_it_back(module, button: str, after):
    panel = module.explorer()
    first = panel.picture.value
    controls_matter(panel)
    panel.buttons[button].click()
    assert panel.state == after
    assert panel.picture.value != first


def test_the_picture_of_weights_has_each_in_its_place():
    """A weight up is orange, one down is blue, the rest stays white; names come from the network itself."""
    places = {"0.weight": (-16, 20), "2.weight": (80, 80), "4.weight": (80, -6), "4.bias": (-10, -10)}
    for (name, (row, column)), sign in itertools.product(places.items(), (-1, 1)):
        change = torch.cat([torch.full(s, float(sign * (n == name))).flatten() for n, s in WEIGHTS.items()]).numpy()
        picture = picture_of(change, bound=1.0).astype(int)
        assert picture.shape == (PICTURE, PICTURE, 3)
        red, _, blue = picture[row, column]
        assert (red > 200 and blue < 20) if sign > 0 else (red < 20 and blue > 150), name
        others = {key: place for key, place in places.items() if key != name}
        assert all((picture[place] == 255).all() for place in others.values())


def test_one_weight_is_one_cell_in_its_row_and_column():
    change = np.zeros(1761)
    change[80 + 40 * 3 + 30] = 1.0  # 2.weight[3, 30], after 0.weight and 0.bias
    rows, columns = np.nonzero((picture_of(change, 1.0) != 255).any(-1) & (picture_of(change, 1.0)[..., 2] < 20))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (13, 16, 121, 124)


def test_its_colours_arrive_in_the_browser():
    panel = five_mappings.explorer()
    for name in MAPPINGS:
        panel.set(mapping=name)
        sent = np.asarray(Image.open(io.BytesIO(panel.picture.value)).convert("RGB")).astype(int)
        assert np.abs(sent - panel.canvas.pixels()).mean() < 0.6


def test_the_state_names_every_control():
    fields = {field.name for field in dataclasses.fields(five_mappings.State)}
    assert set(five_mappings.explorer().controls) == fields - {"points"}


# Description or data --------------------------------------------------------------------------------------


def share(**values) -> shares.Frame:
    return description_or_data.compute(description_or_data.State(**values))


def by_contract(name: str, state: description_or_data.State, support: Batch, told: torch.Tensor, x: torch.Tensor):
    """One task's answers, by nothing but the learners' own adapt and predict."""
    recipe = {"MAML": "maml", "hypernetwork": "hypernetwork"}.get(name, state.writer)
    learner, theta = shipped(recipe)
    steps = {"MAML": 10, "hypernetwork": 0}.get(name, state.steps)
    return learner.predict(learner.adapt(theta, support, description=told, steps=steps), x).detach()


@pytest.mark.parametrize("name", shares.NAMES)
@pytest.mark.parametrize("values", [{}, {"k_shot": 0}, {"blur": 0.1, "steps": 2, "noise": 0.4, "task": 3}])
def test_each_curve_of_the_one_task_is_that_of_the_learner(name: str, values: dict):
    frame = share(**values)
    support = Batch(*(torch.from_numpy(frame.support[:, i : i + 1]) for i in (0, 1)))
    told = torch.from_numpy(frame.descriptions[1])
    curve = by_contract(name, frame.state, support, told, GRID)[:, 0].numpy()
    amplitude, phase = frame.descriptions[0]
    truth = amplitude * np.sin(GRID[:, 0].numpy() - phase)
    assert frame.curves[name] == pytest.approx(curve, abs=1e-3)
    assert frame.truth == pytest.approx(truth, abs=1e-5)
    assert frame.errors[name] == pytest.approx(((curve - truth) ** 2).mean(), rel=2e-3, abs=1e-5)


@pytest.mark.parametrize("name", shares.NAMES)
def test_the_typical_error_is_the_median_over_the_learners_own_errors(name: str):
    frame = share(k_shot=3, blur=0.25, noise=0.2, steps=2)
    tasks = shares.draw(shares.N_TASKS, shares.SEED, 0.2)
    clear = shares.draw(shares.N_TASKS, shares.SEED, 0.0)
    wrong = torch.randn(shares.N_TASKS, 2, generator=torch.Generator().manual_seed(shares.SEED + 1))
    told = clear.description + 0.25 * wrong * torch.tensor([4.9 / 12**0.5, torch.pi / 12**0.5])
    errors = []
    for i in range(shares.N_TASKS):
        support = Batch(tasks.support.x[i, :3], tasks.support.y[i, :3])
        y_hat = by_contract(name, frame.state, support, told[i], tasks.query.x[i])
        errors.append(float((y_hat - tasks.query.y[i]).square().mean()))
    assert frame.here[name].error == pytest.approx(np.median(errors), rel=2e-3)
    assert frame.here[name].diverged == sum(not error < shares.GONE for error in errors)


def test_a_task_whose_error_is_no_number_any_more_has_diverged():
    frame = share(writer="hypernetwork", k_shot=3, steps=20)
    tasks = shares.draw(shares.N_TASKS, shares.SEED, 0.0)
    wrong = torch.randn(shares.N_TASKS, 2, generator=torch.Generator().manual_seed(shares.SEED + 1))
    errors = []
    for i in range(shares.N_TASKS):
        support, told = Batch(*(part[i, :3] for part in tasks.support)), tasks.description[i]
        told = told + 0.3 * wrong[i] * torch.tensor(shares.SPREAD)
        y_hat = by_contract("hypernetwork + steps", frame.state, support, told, tasks.query.x[i])
        errors.append(float((y_hat - tasks.query.y[i]).square().mean()))
    gone = [error for error in errors if not error < shares.GONE]
    assert np.isnan(gone).any()
    assert frame.here["hypernetwork + steps"].diverged == len(gone)


def test_noise_of_the_data_moves_the_support_and_never_the_query_or_the_tasks():
    clear, noisy = (shares.draw(50, 7, noise) for noise in (0.0, 1.0))
    assert torch.equal(clear.query.y, noisy.query.y)
    assert torch.equal(clear.description, noisy.description)
    assert torch.equal(clear.support.x, noisy.support.x)
    assert float((noisy.support.y - clear.support.y).std()) == pytest.approx(1.0, abs=0.1)
    assert clear.query.y == pytest.approx(Sinusoids.truth(clear.description, clear.query.x))


def test_the_description_is_wrong_by_a_share_of_what_amplitude_and_phase_spread():
    assert pytest.approx(spread_of_the_family(), rel=0.01) == shares.SPREAD
    frames = [share(blur=blur, task=4) for blur in (0.0, 0.5, 1.0)]
    wrong = [frame.descriptions[1] - frame.descriptions[0] for frame in frames]
    assert (wrong[0] == 0).all()
    assert wrong[2] == pytest.approx(2 * wrong[1], rel=1e-4)  # always in the same direction
    assert np.array_equal(frames[0].told, frames[0].truth)


def spread_of_the_family() -> np.ndarray:
    drawn = Sinusoids().sample(100_000, 0, 0, generator=torch.Generator().manual_seed(0)).description
    return drawn.std(0).numpy()


def test_a_description_that_is_exact_wins_always_and_one_that_is_all_wrong_loses_to_examples():
    exact, wrong = (share(**description_or_data.PRESETS[name]) for name in ("exact description", "all wrong"))
    assert set(exact.winners) == {"hypernetwork"}
    assert "wins with any number of examples" in exact.words
    assert wrong.winners[-1] == "MAML" != wrong.winners[0]
    assert "from K = 2 on: <span style='color:#0072B2'>MAML" in wrong.words


def test_words_name_each_run_of_winners_where_it_begins_and_ends():
    h, both, maml = shares.NAMES
    words = shares._runs_in_words((0, 1, 2, 3, 4, 6, 10, 20), (both, h, h, h, both, maml, maml, maml))
    plain = re.sub("<[^>]*>", "", words)
    assert plain == f"Who wins? K = 0: {both}; K = 1 to 3: {h}; K = 4: {both}; from about K = 6 on: {maml}."


def test_the_winner_in_words_has_the_smallest_error_of_the_frame():
    for values in description_or_data.PRESETS.values():
        frame = share(**values)
        best = min(frame.here, key=lambda name: frame.here[name].error)
        assert f"wins</b>: error {frame.here[best].error:.3g} on a typical task" in frame.words
        assert frame.winners[frame.shots.index(frame.state.k_shot)] == best
        assert frame.words.index(best) < frame.words.index("wins")


def test_steps_after_an_h_trained_alone_diverge_and_this_is_said():
    frame = share(**description_or_data.PRESETS["trained alone"])
    assert frame.here["hypernetwork + steps"].diverged > 0
    assert "Diverged, of 100 tasks: hypernetwork + steps on" in frame.words
    assert share(k_shot=1).here["hypernetwork + steps"].diverged == 0


def test_more_examples_leave_the_earlier_ones_in_place_and_any_k_has_its_own_error():
    few, many = share(k_shot=3), share(k_shot=9)
    assert np.array_equal(few.support, many.support[:3])
    assert 9 in many.shots
    assert 9 not in few.shots  # it is added for the reader who asks for it
    shared = [many.shots.index(k) for k in few.shots]
    for name in shares.NAMES:
        assert [many.typical[name][i] for i in shared] == few.typical[name]


@pytest.mark.parametrize("module", [five_mappings, description_or_data])
def test_white_stays_white_in_the_browser(module):
    sent = np.asarray(Image.open(io.BytesIO(module.explorer().picture.value)).convert("RGB"))
    assert (sent[2, 2] == 255).all()
    assert (sent == 255).all(-1).mean() > 0.5
