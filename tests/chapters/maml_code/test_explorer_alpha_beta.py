"""The panel of α, β and m: wave, map and training are the library's, and answer together."""

import json
import random
from base64 import b64encode
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from front import any_state, chromium, moves, opened, settle, show

from mapping_lib.chapters.maml_code import study_map
from mapping_lib.chapters.maml_code.explorer import EXPLORER, GRID, State
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import maml
from mapping_lib.networks import mlp
from mapping_lib.page.sentence import plain
from mapping_lib.task import Batch

CHAOS = 0.3
"""A thousand outer steps amplify the last digit; on one processor the errors come out again to three digits."""


def words(state: State) -> str:
    return plain(EXPLORER.words(state, EXPLORER.compute(state)))


def begun() -> tuple:
    """MAML on the paper's network, and the theta that the panel begins with."""
    learner = maml(mlp((1, 40, 40, 1)), torch.nn.functional.mse_loss, alpha=0.03, steps=1)
    names = learner.init(generator=torch.Generator().manual_seed(0))
    return learner, dict(zip(names, study_map.read_begun().theta, strict=True))


def test_the_wave_is_that_of_the_learner_with_the_theta_begun():
    state = State(alpha=0.03, steps=4, x=(-3.0, 0.5, 2.0), lift=(0.0, 1.0, -0.5))
    frame, (learner, theta) = EXPLORER.compute(state), begun()
    x, description = torch.tensor(state.x)[:, None], torch.tensor([state.amplitude, state.phase])
    support = Batch(x, Sinusoids.truth(description, x) + torch.tensor(state.lift)[:, None])
    for m in range(5):
        phi = learner.adapt(theta, support, steps=m)
        assert np.allclose(frame["path"][m], learner.predict(phi, GRID[:, None])[:, 0].detach(), atol=1e-4)


def test_the_map_is_what_training_comes_to():
    """Two cells, trained anew as the page trains."""
    cells = [(6, 6), (7, 5)]  # of α and of β, far from where anything diverges
    alpha, beta = (torch.tensor([study_map.SIDE[cell[i]] for cell in cells]) for i in range(2))
    theta = study_map.trained(alpha, beta, seed=0)
    with np.load(study_map.FILE) as file:
        stored = file["errors"][0].reshape(13, 13, -1)
    again = study_map.errors_of(theta, alpha)
    for cell, errors in zip(cells, again.numpy(), strict=True):
        assert errors == pytest.approx(stored[cell], rel=CHAOS)


def test_errors_of_settings_are_those_of_the_learner():
    learner, theta = begun()
    tasks = study_map.spread_tasks()
    errors = study_map.errors_of([p[None] for p in theta.values()], torch.tensor([0.03]), tasks)[0]
    for m in (0, 1, 4):
        each = []
        for i in range(len(tasks.support.x)):
            phi = learner.adapt(theta, Batch(tasks.support.x[i], tasks.support.y[i]), steps=m)
            each.append((learner.predict(phi, tasks.query.x[i]) - tasks.query.y[i]).square().mean())
        assert float(errors[m]) == pytest.approx(float(torch.stack(each).mean()), rel=1e-3)


def test_the_run_begun_is_that_of_the_page_and_lies_in_its_cell():
    run = study_map.read_begun()
    assert run.state == study_map.BEGUN | {"seed": 0}
    tasks = study_map.spread_tasks()
    errors = study_map.errors_of([p[None] for p in run.theta], torch.tensor([run.state["alpha"]]), tasks)[0]
    assert run.errors[-1] == pytest.approx(errors.numpy(), rel=1e-4)
    cell = study_map.read_errors()[5, 6, 4]  # α = 0.01, β = 0.002
    assert run.errors[-1][5] == pytest.approx(cell, rel=0.5)


def test_what_is_stored_is_what_the_settings_say():
    with np.load(study_map.FILE) as file:
        assert json.loads(str(file["settings"])) == study_map.SETTINGS
        assert file["errors"].shape == (len(study_map.SEEDS), 169, 11)


def test_the_map_has_a_valley_and_two_ways_to_fail():
    errors, kinds = study_map.read_errors(), study_map.kinds()
    assert errors[5, 6, 5] < 0.6 < errors[5, 6, 0]  # β too small: too little is learned
    assert errors[5, 0, 5] > 2  # α too small: the steps change next to nothing
    assert (kinds[5, 10, :6] == study_map.ADAPTATION_DIVERGES).all()  # α too large
    assert (kinds[:, 6, -1] == study_map.TRAINING_DIVERGED).all()  # β too large
    assert (kinds[1] == study_map.ADAPTATION_DIVERGES).sum() < (kinds[5] == study_map.ADAPTATION_DIVERGES).sum()


def test_the_words_say_what_has_become_of_it():
    assert "is below 2/λ_max" in words(State())
    assert "The steps diverge" in words(State(alpha=0.1, steps=10))
    assert "meta-trained with α = 0.01 (the square)" in words(State(alpha=0.02))
    assert "From joint training's θ" in words(State(rival="joint"))


# In the page ----------------------------------------------------------------------------------------------


def test_the_page_draws_what_the_library_computes():
    rng = random.Random(0)
    states = [State()] + [replace(any_state(State, rng), beta=0.003, seed=0) for _ in range(30)]
    spec, data = EXPLORER.specification()
    with chromium() as browser, opened(browser) as page:
        answers = page.evaluate(
            """async ([spec, data, states]) => {
                const { TrainingSource } = await import("/training.js");
                const { arraysOf, inputsOf } = await import("/sources.js");
                const { numbers } = await import("/tensors.js");
                const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)).buffer;
                const source = new TrainingSource(spec, arraysOf(spec.constants, bytes), inputsOf);
                const one = ([name, v]) => [name, Array.from(typeof v === "number" ? [v] : v.data, String)];
                const frame = async (state) => ({ ...source.compute(state), ...await source.later(state) });
                const kept = ([, v]) => typeof v === "number" || v?.shape;
                const all = [];
                for (const state of states) all.push(Object.entries(await frame(state)).filter(kept).map(one));
                return all;
            }""",
            [spec, b64encode(data).decode(), [asdict(state) for state in states]],
        )
    close = 0
    for state, answer in zip(states, answers, strict=True):
        there = {name: np.array(values, dtype=np.float64) for name, values in answer}
        here = EXPLORER.compute(state) | EXPLORER.compute_later(state)
        for name in ("fine", "thrown", "untrained", "shade", "reached", "errors", "outer", "truth", "before", "done"):
            assert np.allclose(np.ravel(here[name]), there[name], rtol=1e-4, atol=1e-5, equal_nan=True), (name, state)
        if float(here["gone"]):
            assert there["gone"] == 1
        elif not float(here["above"]):
            for name in ("path", "query", "after"):
                assert np.allclose(np.ravel(here[name]), there[name], rtol=1e-3, atol=1e-4), (name, state)
            close += 1
    assert close > 5


@pytest.fixture
def page():
    with chromium() as browser, opened(browser) as page:
        show(page, EXPLORER)
        yield page


def now(page, what: str):
    return page.evaluate(f"() => window.panel.{what}")


def set_beta(page, value: float) -> None:
    page.evaluate("(beta) => window.panel.change({ beta }, 'beta')", value)


def test_moving_beta_trains_and_the_curve_the_wave_and_the_square_answer(page):
    done, error = now(page, "frame.done"), now(page, "frame.error.data[0]")
    assert done == study_map.OUTER_STEPS
    set_beta(page, 0.01)
    page.wait_for_function("() => window.panel.frame.done > 0 && window.panel.frame.done < 1000")
    begun, first = now(page, "frame.done"), now(page, "frame.shade.data[0]")
    assert now(page, "frame.error.data[0]") != error
    assert now(page, "frame.from_beta.data[0]") == pytest.approx(0.01)
    assert now(page, "frame.earlier_names") == ["β = 0.003"]
    page.wait_for_function(f"() => window.panel.frame.done > {begun} + 5")
    moves(page, "alpha-beta-steps", lambda: None, "training")
    page.wait_for_function(f"() => window.panel.frame.shade.data[0] > {first}")


def test_alpha_moves_the_wave_at_once_and_leaves_theta(page):
    page.evaluate("() => window.panel.change({ alpha: 0.02 }, 'alpha')")
    page.wait_for_timeout(600)
    settle(page)
    assert not now(page, "source.running")
    assert now(page, "frame.done") == study_map.OUTER_STEPS
    assert now(page, "frame.from_alpha.data[0]") == pytest.approx(0.01)
    assert "the square" in now(page, "said.textContent")


def test_reset_comes_back_to_the_run_begun(page):
    set_beta(page, 0.1)
    page.wait_for_function("() => window.panel.source.running")
    page.get_by_role("button", name="reset").click()
    page.wait_for_timeout(500)
    settle(page)
    assert not now(page, "source.running")
    assert now(page, "frame.done") == study_map.OUTER_STEPS
    assert now(page, "frame.earlier_names") == []


def test_the_ring_on_the_map_moves_both(page):
    x, y = now(page, "picture.handles.filter((h) => h.mark.on === 'map').map((h) => [h.x, h.y])[0]")
    box = page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.down()
    page.mouse.move(box["x"] + x + 30, box["y"] + y + 25, steps=4)
    page.mouse.up()
    assert now(page, "state.beta") > 0.003
    assert now(page, "state.alpha") < 0.01
    page.wait_for_function("() => window.panel.source.running")


def test_play_takes_the_steps_one_after_the_other(page):
    page.evaluate(
        """() => { window.steps = []; const { show } = window.panel;
            window.panel.show = function (frame) { window.steps.push(this.state.steps); show.call(this, frame); }; }"""
    )
    page.get_by_role("button", name="play m").click()
    page.wait_for_function("() => !window.panel.playing && window.steps.includes(5)")
    seen = now(page, "spec") and page.evaluate("() => window.steps")
    assert [m for i, m in enumerate(seen) if i == 0 or m != seen[i - 1]] == [0, 1, 2, 3, 4, 5]
