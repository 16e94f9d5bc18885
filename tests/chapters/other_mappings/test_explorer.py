"""The explorer of description or data: its numbers are the learners' own, and it says what a reader should see."""

import math

import numpy as np
import pytest
import torch
from front import chromium, opened, settle, show

from mapping_lib.chapters.other_mappings.explorer import (
    EXPLORER,
    GONE,
    GRID,
    N_TASKS,
    NAMES,
    SHOTS,
    SPREAD,
    State,
    constants,
)
from mapping_lib.chapters.other_mappings.methods_fast import median, power_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Batch

COARSE = GRID[::8, None]
VALUES = [{}, {"x": (), "lift": ()}, {"blur": 0.1, "steps": 2, "noise": 0.4}, {"writer": "hypernetwork", "blur": 1.0}]


def by_contract(name: str, state: State, support: Batch, description: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """One task's answers, by nothing but the learners' own adapt and predict."""
    learner, theta = shipped({"MAML": "maml", "hypernetwork": "hypernetwork"}.get(name, state.writer))
    steps = {"MAML": 10, "hypernetwork": 0}.get(name, state.steps)
    return learner.predict(learner.adapt(theta, support, description=description, steps=steps), x).detach()


@pytest.mark.parametrize("values", VALUES)
def test_each_curve_of_the_one_wave_is_that_of_its_learner(values: dict):
    state = State(**values)
    frame = EXPLORER.compute(state)
    support = Batch(torch.tensor(state.x)[:, None], torch.from_numpy(frame["y"])[:, None])
    told = torch.tensor([-frame["told_y"][0], frame["told_x"][0] + math.pi / 2])  # from its lowest point
    truth = state.amplitude * np.sin(GRID.numpy() - state.phase)
    assert frame["truth"] == pytest.approx(truth, abs=1e-5)
    for i, name in enumerate(NAMES):
        curve = by_contract(name, state, support, told, GRID[:, None])[:, 0].numpy()
        assert frame[f"ends.{i}"] == pytest.approx(curve, abs=2e-3)
    assert frame["stepped"] == pytest.approx(((frame["ends.1"] - truth) ** 2).mean(), rel=1e-3)
    assert frame["path"][0] == pytest.approx(
        by_contract(NAMES[1], State(steps=0, writer=state.writer), support, told, GRID[:, None])[:, 0].numpy(), abs=2e-3
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_typical_error_is_the_median_over_the_learners_own_errors(name: str):
    state = State(blur=0.25, noise=0.2, steps=2, x=(1.0,) * 3, lift=(0.0,) * 3)
    typical = EXPLORER.compute_later(state)[f"typical.{NAMES.index(name)}"]
    errors = errors_of(name, state, 3)
    assert typical[SHOTS.index(3)] == pytest.approx(np.median(errors), rel=2e-3)


def errors_of(name: str, state: State, k: int) -> list[float]:
    """The errors on all waves with k points, task by task."""
    given, errors = constants(), []
    for i in range(N_TASKS):
        d, x = given["waves"][i], given["all_x"][i, :k, None]
        support = Batch(x, Sinusoids.truth(d, x) + state.noise * given["all_noise"][i, :k, None])
        y_hat = by_contract(name, state, support, d + state.blur * given["wrong"][i], COARSE)
        errors.append(float((y_hat - Sinusoids.truth(d, COARSE)).square().mean()))
    return errors


def test_steps_after_an_h_trained_alone_diverge_on_as_many_waves_as_is_said():
    state = State(writer="hypernetwork", x=(1.36,), lift=(0.0,), steps=20)
    frame = EXPLORER.compute(state) | EXPLORER.compute_later(state)
    lost = sum(not error < GONE for error in errors_of(NAMES[1], state, 1))
    assert frame["lost"] == lost > 0
    assert f"Steps after h diverge on {lost} of them." in EXPLORER.words(state, frame)
    assert EXPLORER.compute_later(State(x=(1.36,), lift=(0.0,)))["lost"] == 0


def test_the_reason_given_for_divergence_holds_of_the_hessian():
    state = State(writer="hypernetwork", x=(4.9,), lift=(0.0,), amplitude=5.0, steps=20)
    frame = EXPLORER.compute(state)
    assert frame["gone"]
    assert frame["steep"]
    learner, theta = shipped("hypernetwork")
    told = torch.tensor([-frame["told_y"][0], frame["told_x"][0] + math.pi / 2])
    support = Batch(torch.tensor(state.x)[:, None], torch.from_numpy(frame["y"])[:, None])
    phi = learner.adapt(theta, support, description=told, steps=0)
    flat = torch.cat([p.flatten() for p in phi.values()])

    def loss(vector: torch.Tensor) -> torch.Tensor:
        parts = vector.split([p.numel() for p in phi.values()])
        params = {name: part.view(p.shape) for (name, p), part in zip(phi.items(), parts, strict=True)}
        return (learner.predict(params, support.x) - support.y).square().mean()

    largest = torch.linalg.eigvalsh(torch.func.hessian(loss)(flat)).abs().max()
    assert frame["limit"] == pytest.approx(float(2 / largest), rel=0.05)


def test_the_power_method_finds_the_largest_curvature_of_a_line():
    x, y = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 1.0]])
    phi = [torch.tensor([[[0.3]]]), torch.tensor([[0.1]])]
    direction = [torch.ones_like(p) for p in phi]
    for _ in range(20):
        direction, curvature = power_step(phi, direction, x, y)
    hessian = 2 * torch.tensor([[2.5, 1.5], [1.5, 1.0]])  # of the mean of (w x + b - y)^2
    assert float(curvature) == pytest.approx(float(torch.linalg.eigvalsh(hessian)[-1]), rel=1e-5)


def test_the_median_is_that_of_numpy_with_ties_and_without():
    values = torch.randn(7, 50, generator=torch.Generator().manual_seed(0))
    for case in (values, values.round(), values.clamp_min(1.0)):
        assert median(case).numpy() == pytest.approx(np.median(case.numpy(), -1))


def test_what_is_told_lies_as_far_from_the_wave_as_the_noise_says_and_where_the_angle_says():
    state = State(blur=0.5, way=2.0)
    frame = EXPLORER.compute(state)
    x, y, width, height = frame["about"]
    assert (width, height) == pytest.approx([math.sqrt(2) * SPREAD[1], math.sqrt(2) * SPREAD[0]])
    across, up = (frame["told_x"][0] - x) / width, (frame["told_y"][0] - y) / height
    assert (math.hypot(across, up), math.atan2(up, across)) == pytest.approx((0.5, 2.0), abs=1e-5)
    assert (x, y) == pytest.approx((state.phase - math.pi / 2, -state.amplitude))
    assert pytest.approx(drawn_spread(), rel=0.01) == SPREAD


def drawn_spread() -> np.ndarray:
    return Sinusoids().sample(100_000, 0, 0, generator=torch.Generator().manual_seed(0)).description.std(0).numpy()


def words(**values) -> str:
    state = State(**values)
    return EXPLORER.words(state, EXPLORER.compute(state) | EXPLORER.compute_later(state))


def test_a_description_that_is_exact_wins_and_one_that_is_all_wrong_loses_to_examples():
    exact, little, half, wrong, noisy = (
        words(**EXPLORER.presets[name])
        for name in ("exact description", "a little wrong", "half wrong", "all wrong", "noisy data")
    )
    assert "[hypernetwork|hypernetwork] wins" in exact
    assert "MAML, which never listens, never passes h alone" in exact
    assert "[hypernetwork + steps|hypernetwork + steps] wins" in little
    assert "[hypernetwork + steps|hypernetwork + steps] wins" in half
    assert "from K = 3 on" in half
    assert "[MAML|MAML] wins" in wrong
    assert "[hypernetwork|hypernetwork] wins" in noisy


def test_words_say_what_the_steps_did():
    assert "mend what was told: error 1.2" in words(**EXPLORER.presets["half wrong"])
    assert "spoil what was told" in words(**EXPLORER.presets["trained alone"])
    assert "Without a point there are only words" in words(x=(), lift=())
    assert "takes no step" in words(steps=0)


def test_each_thing_that_is_dragged_stays_under_the_hand():
    with chromium() as browser, opened(browser) as page:
        show(page, EXPLORER, x=(-4.0, 3.0), lift=(0.0, 0.0))
        box = page.query_selector("canvas").bounding_box()
        handles = "() => panel.picture.handles.map(({ x, y }) => [x, y])"
        for i in range(len(page.evaluate(handles))):
            x, y = page.evaluate(handles)[i]
            page.mouse.move(box["x"] + x, box["y"] + y)
            page.mouse.down()
            page.mouse.move(box["x"] + x + 24, box["y"] + y + 15)
            page.mouse.up()
            settle(page)
            assert page.evaluate(handles)[i] == pytest.approx([x + 24, y + 15], abs=3)
