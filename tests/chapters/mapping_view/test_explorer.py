"""The explorer of five mappings: its numbers are the learners' own, and it says what a reader should see."""

import itertools

import numpy as np
import pytest
import torch

from mapping_lib.chapters.mapping_view import explorer as five_mappings
from mapping_lib.chapters.mapping_view.explorer_canvas import PICTURE, picture_of
from mapping_lib.chapters.mapping_view.explorer_compute import GRID, MAPPINGS, WEIGHTS, Frame
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Batch


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
    ("values", "words"),
    [
        ({"amplitude": 8.0}, "amplitude 8.0 (seen: 0.1 to 5)."),
        ({"phase": -0.5}, ": phase −0.5 (seen: 0 to 3.1)."),
        ({"amplitude": 5.1, "phase": 3.2}, "amplitude 5.1 (seen: 0.1 to 5) and phase 3.2 (seen: 0 to 3.1)."),
    ],
)
def test_a_task_outside_of_what_meta_training_saw_is_said(values: dict, words: str):
    assert "Outside of what meta-training saw" in fives(**values).words
    assert fives(**values).words.endswith(words)


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
