"""The explorer of description or data: its numbers are the learners' own, and it says what a reader should see."""

import re

import numpy as np
import pytest
import torch

from mapping_lib.chapters.other_mappings import explorer as description_or_data
from mapping_lib.chapters.other_mappings import explorer_compute as shares
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Batch


def share(**values) -> shares.Frame:
    return description_or_data.compute(description_or_data.State(**values))


def by_contract(
    name: str, state: description_or_data.State, support: Batch, description: torch.Tensor, x: torch.Tensor
):
    """One task's answers, by nothing but the learners' own adapt and predict."""
    recipe = {"MAML": "maml", "hypernetwork": "hypernetwork"}.get(name, state.writer)
    learner, theta = shipped(recipe)
    steps = {"MAML": 10, "hypernetwork": 0}.get(name, state.steps)
    return learner.predict(learner.adapt(theta, support, description=description, steps=steps), x).detach()


@pytest.mark.parametrize("name", shares.NAMES)
@pytest.mark.parametrize("values", [{}, {"k_shot": 0}, {"blur": 0.1, "steps": 2, "noise": 0.4, "task": 3}])
def test_each_curve_of_the_one_task_is_that_of_the_learner(name: str, values: dict):
    frame = share(**values)
    support = Batch(*(torch.from_numpy(frame.support[:, i : i + 1]) for i in (0, 1)))
    description = torch.from_numpy(frame.descriptions[1])
    curve = by_contract(name, frame.state, support, description, shares.GRID)[:, 0].numpy()
    amplitude, phase = frame.descriptions[0]
    truth = amplitude * np.sin(shares.GRID[:, 0].numpy() - phase)
    assert frame.curves[name] == pytest.approx(curve, abs=1e-3)
    assert frame.truth == pytest.approx(truth, abs=1e-5)
    assert frame.errors[name] == pytest.approx(((curve - truth) ** 2).mean(), rel=2e-3, abs=1e-5)


@pytest.mark.parametrize("name", shares.NAMES)
def test_the_typical_error_is_the_median_over_the_learners_own_errors(name: str):
    frame = share(k_shot=3, blur=0.25, noise=0.2, steps=2)
    tasks = shares.draw(shares.N_TASKS, shares.SEED, 0.2)
    clear = shares.draw(shares.N_TASKS, shares.SEED, 0.0)
    wrong = torch.randn(shares.N_TASKS, 2, generator=torch.Generator().manual_seed(shares.SEED + 1))
    described = clear.description + 0.25 * wrong * torch.tensor([4.9 / 12**0.5, torch.pi / 12**0.5])
    errors = []
    for i in range(shares.N_TASKS):
        support = Batch(tasks.support.x[i, :3], tasks.support.y[i, :3])
        y_hat = by_contract(name, frame.state, support, described[i], tasks.query.x[i])
        errors.append(float((y_hat - tasks.query.y[i]).square().mean()))
    assert frame.here[name].error == pytest.approx(np.median(errors), rel=2e-3)
    assert frame.here[name].diverged == sum(not error < shares.GONE for error in errors)


def test_a_task_whose_error_is_no_number_any_more_has_diverged():
    frame = share(writer="hypernetwork", k_shot=3, steps=20)
    tasks = shares.draw(shares.N_TASKS, shares.SEED, 0.0)
    wrong = torch.randn(shares.N_TASKS, 2, generator=torch.Generator().manual_seed(shares.SEED + 1))
    errors = []
    for i in range(shares.N_TASKS):
        support, described = Batch(*(part[i, :3] for part in tasks.support)), tasks.description[i]
        described = described + 0.3 * wrong[i] * torch.tensor(shares.SPREAD)
        y_hat = by_contract("hypernetwork + steps", frame.state, support, described, tasks.query.x[i])
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
