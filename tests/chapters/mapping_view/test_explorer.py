"""The explorer of five mappings: its numbers are the learners' own, and it says what a reader should see."""

import numpy as np
import pytest
import torch

from mapping_lib.chapters.mapping_view.explorer import DRAWN_X, EXPLORER, GRID, LABELS, NAMES, State
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Batch

TEN = tuple(DRAWN_X[:10].tolist())


def fives(k: int | None = None, **values) -> dict:
    points = {} if k is None else {"x": TEN[:k], "lift": (0.0,) * k}
    return EXPLORER.compute(State(**points | values))


def said(**values) -> str:
    return EXPLORER.words(State(**values), EXPLORER.compute(State(**values)))


def errors(frame: dict) -> dict[str, float]:
    return {name: float(frame[f"error_{name}"]) for name in NAMES}


@pytest.mark.parametrize("k", [0, 1, 7])
@pytest.mark.parametrize("name", NAMES)
def test_each_curve_and_error_is_that_of_the_learner_with_its_shipped_theta(name: str, k: int):
    frame = fives(k, mapping=name, amplitude=2.5, phase=0.7, noise=0.3)
    learner, theta = shipped(name)
    support = Batch(*(torch.tensor(part)[:, None] for part in (TEN[:k], frame["y"])))
    phi = learner.adapt(theta, support, description=torch.tensor([2.5, 0.7]), steps={"maml": 5}.get(name))
    curve = learner.predict(phi, GRID[:, None])[:, 0].detach().numpy()
    truth = 2.5 * np.sin(GRID.numpy() - 0.7)
    assert frame["curve"] == pytest.approx(curve, abs=1e-4)
    assert frame["curves"][NAMES.index(name)] == pytest.approx(curve, abs=1e-4)
    assert frame["truth"] == pytest.approx(truth, abs=1e-6)
    assert frame["error"] == frame[f"error_{name}"] == pytest.approx(((curve - truth) ** 2).mean(), rel=1e-3)
    if name == "in_context":
        assert not frame["weights"].any()
        return
    prefix = "base." if name == "hypernetwork" else ""
    change = (phi["2.weight"] - theta[f"{prefix}2.weight"]).detach().abs().numpy()
    assert frame["most"] == pytest.approx(change.max(), abs=1e-6)
    assert frame["weights"] ** 2 * change.max() == pytest.approx(change, abs=1e-5)


@pytest.mark.parametrize("name", ["maml", "rule", "flow"])
def test_steps_are_taken_one_by_one(name: str):
    learner, theta = shipped(name)
    support = Batch(DRAWN_X[:10, None], torch.tensor(fives()["y"])[:, None])
    for steps in (0, 2):
        phi = learner.adapt(theta, support, steps=steps)
        assert fives(mapping=name, steps=steps)["curve"] == pytest.approx(
            learner.predict(phi, GRID[:, None])[:, 0].detach().numpy(), abs=1e-4
        )
    assert fives(mapping=name, steps=0)["begun"] == pytest.approx(fives(mapping=name, steps=0)["curve"], abs=1e-5)


def test_the_support_is_the_wave_with_what_the_hand_and_noise_put_on_top():
    wave = Sinusoids.truth(torch.tensor([3.0, 1.0]), DRAWN_X[:10, None])[:, 0].numpy()
    assert fives()["y"] == pytest.approx(wave, abs=1e-6)
    assert fives(lift=tuple(range(10)))["y"] == pytest.approx(wave + np.arange(10), abs=1e-5)
    noise = fives(noise=1.0)["y"] - wave
    assert fives(noise=0.5)["y"] == pytest.approx(wave + noise / 2, abs=1e-5)
    assert 0.3 < np.abs(noise).mean() < 2


def test_with_no_example_only_the_description_says_anything():
    frame, no_points = fives(0), {"x": (), "lift": ()}
    assert errors(frame)["hypernetwork"] < 0.01
    assert all(error > 0.5 for name, error in errors(frame).items() if name != "hypernetwork")
    assert not frame["weights"].any()
    assert "no example, so nothing moves, and φ = θ" in said(**no_points)
    assert "reads 0 points" in said(mapping="in_context", **no_points)
    assert np.isfinite(frame["curves"]).all()


def test_the_hypernetwork_sees_neither_points_nor_noise_and_the_others_do():
    here, there = fives(), fives(noise=1.0, x=tuple(-x for x in TEN))
    same = [name for i, name in enumerate(NAMES) if np.array_equal(here["curves"][i], there["curves"][i])]
    assert same == ["hypernetwork"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"amplitude": 8.0}, "an amplitude above 5."),
        ({"phase": -0.5}, "such a phase."),
        ({"amplitude": 5.1, "phase": 3.2}, "such an amplitude, nor such a phase."),
    ],
)
def test_a_task_outside_of_what_meta_training_saw_is_said(values: dict, words: str):
    assert said(**values).endswith(f"**Training never saw** {words}")


@pytest.mark.parametrize("values", [{}, {"amplitude": 5.0}, {"amplitude": 0.1}, {"phase": 0.0}, {"phase": 3.1}])
def test_the_ends_of_what_was_seen_are_inside(values: dict):
    assert "never saw" not in said(**values)


def test_a_whole_turn_is_another_number_but_the_same_wave():
    found = errors(fives(**EXPLORER.presets["a whole turn"]))
    assert found.pop("hypernetwork") > 10
    assert max(found.values()) < 0.2
    assert "Worse than the flat line y = 0: 1 of 5." in said(phase=6.2)


def test_upside_down_the_transformer_is_sure_and_wrong_and_gradients_still_come_nearer():
    """What chapter 1 says of this preset; with these points, and with others."""
    for points in (TEN, tuple(-x for x in TEN), tuple(DRAWN_X[10:].tolist())):
        found = errors(fives(phase=4.6, x=points))
        assert found["in_context"] > 2 * max(found[name] for name in ("maml", "rule", "flow"))
        assert found["in_context"] > fives(phase=4.6)["zero"]


def test_at_amplitude_8_the_transformer_stops_at_what_it_saw():
    frame = fives(**EXPLORER.presets["amplitude 8"])
    assert np.abs(frame["curves"][NAMES.index("in_context")]).max() < 6
    assert np.abs(frame["curves"][NAMES.index("hypernetwork")]).max() > 7


def test_divergence_is_said_and_stands_at_the_end_of_the_axis():
    frame = fives(**EXPLORER.presets["unlucky points"])
    assert np.isinf(frame["error"])
    assert frame["errors"][0] == 1e4
    assert "**It diverges**" in said(**EXPLORER.presets["unlucky points"])


def test_the_best_is_named_and_those_worse_than_a_flat_line_are_counted():
    for values in ({}, {"phase": 4.6}, {"amplitude": 8.0}):
        frame = fives(**values)
        found = errors(frame)
        best = LABELS[NAMES.index(min(found, key=found.get))]
        assert f"Best: [{best}|{best}]" in said(**values)
        assert frame["worse"] == sum(error > frame["zero"] for error in found.values())
