"""The explorers of adaptation and of meta-training: what they compute is what the library's learners compute."""

from base64 import b64encode
from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from front import chromium, opened

from mapping_lib.chapters.maml_code import explorer as alpha_beta
from mapping_lib.chapters.maml_code import explorer_adaptation as adaptation
from mapping_lib.chapters.maml_code import explorer_meta_training as meta_training
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.inner_loop import adapt, support_objective
from mapping_lib.page.program import call
from mapping_lib.study.sinusoids import LEARNERS, shipped
from mapping_lib.task import Batch, Task

ADAPTATION, TRAINING, MAP = adaptation.EXPLORER, meta_training.EXPLORER, alpha_beta.EXPLORER


def support_of(state: adaptation.State) -> Batch:
    x, description = torch.tensor(state.x)[:, None], torch.tensor([state.amplitude, state.phase])
    lift = torch.tensor(state.lift)[:, None]
    return Batch(x, Sinusoids.truth(description, x) + lift)


@pytest.mark.parametrize("name", ["maml", "anil", "meta_sgd", "joint"])
def test_the_path_is_that_of_the_learner_itself(name):
    state = adaptation.State(learner=name, steps=4, alpha=0.01, x=(-3.0, 0.5, 2.0), lift=(0.0, 1.0, -0.5))
    frame = ADAPTATION.compute(state)
    learner, theta = shipped(name)
    for m in range(5):
        phi = learner.adapt(theta, support_of(state), steps=m)
        assert np.allclose(frame["path"][m], learner.predict(phi, adaptation.GRID[:, None])[:, 0].detach(), atol=1e-4)


def test_alpha_is_that_of_the_general_inner_loop():
    state = adaptation.State(learner="maml", steps=3, alpha=0.03)
    learner, theta = shipped("maml")
    objective = support_objective(learner.predict, torch.nn.functional.mse_loss, support_of(state))
    phi = adapt(theta, objective, alpha=0.03, steps=3)
    after = learner.predict(phi, adaptation.GRID[:, None])[:, 0].detach()
    assert np.allclose(ADAPTATION.compute(state)["after"], after, atol=1e-4)


def test_errors_are_those_of_the_curves():
    frame = ADAPTATION.compute(adaptation.State(steps=3))
    assert np.allclose(frame["query"], np.square(frame["path"] - frame["truth"]).mean(1), rtol=1e-4)
    assert float(frame["error"]) == pytest.approx(float(frame["query"][-1]))
    assert float(frame["rival_error"]) == pytest.approx(
        np.square(frame["rival_after"] - frame["truth"]).mean(), rel=1e-4
    )


def test_the_limit_is_two_over_the_largest_eigenvalue():
    state = adaptation.State(steps=2)
    support, (learner, theta) = support_of(state), shipped("maml")
    sizes = [p.numel() for p in theta.values()]

    def loss(flat):
        params = {n: part.view_as(theta[n]) for n, part in zip(theta, flat.split(sizes), strict=True)}
        return (learner.predict(params, support.x) - support.y).square().mean()

    for phi, name in ((theta, "limit"), (learner.adapt(theta, support, steps=2), "limit_after")):
        flat = torch.cat([p.flatten() for p in phi.values()])
        largest = float(torch.linalg.eigvalsh(torch.func.hessian(loss)(flat).double())[-1])
        assert float(ADAPTATION.compute(state)[name]) == pytest.approx(2 / largest, rel=0.08)


def test_words_say_that_it_diverges_exactly_where_the_error_on_its_points_explodes():
    for alpha in (0.001, 0.01, 0.1, 1.0):
        state = adaptation.State(alpha=alpha, steps=10)
        frame = ADAPTATION.compute(state)
        bound = 10 * max(frame["support"][0], np.square(frame["y"]).mean())
        gone = ~(frame["support"] <= bound)
        assert ("diverges**" in ADAPTATION.words(state, frame)) == gone.any()
        if gone.any():
            assert f"after {gone.argmax()} step" in ADAPTATION.words(state, frame)


def test_the_track_is_what_the_errors_say_at_each_alpha():
    track = ADAPTATION.compute_later(adaptation.State(steps=3))["track"]
    for i in (3, 12, 20):
        state = adaptation.State(steps=3, alpha=float(adaptation.ALPHAS[i]))
        frame = ADAPTATION.compute(state)
        ratio = np.log10(frame["error"] / frame["error_before"])
        assert track[i] == pytest.approx(np.clip(ratio, -1, 1) if np.isfinite(ratio) else 1.0, abs=1e-3)


# Meta-training --------------------------------------------------------------------------------------------


def tasks_of(environment: dict, reads_all: bool) -> Task:
    support, query = environment["support"], environment["query"]
    return Task(support, Batch(support.x[:, :0], support.y[:, :0]) if reads_all else query, None)


@pytest.mark.parametrize("method", meta_training.METHODS)
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_an_outer_step_is_that_of_the_librarys_learner(method, steps):
    state = meta_training.State(method=method, steps=steps, tasks=5, beta=0.01, alpha=0.02)
    run = meta_training.RUNS.train(state, TRAINING.inputs(state))
    begun, one, two = next(run), next(run), next(run)
    learner = LEARNERS[method].learner(alpha=0.02, steps=steps)
    names = list(learner.init(generator=torch.Generator().manual_seed(0)))
    theta = {name: torch.nn.Parameter(p.clone()) for name, p in zip(names, begun["theta"], strict=True)}
    optimiser = torch.optim.SGD if method == "reptile" else torch.optim.Adam
    optimiser = optimiser(theta.values(), lr=0.01)
    for environment in (one, two):
        _, direction = learner.meta_grad(
            {name: p.detach() for name, p in theta.items()}, tasks_of(environment, method in ("reptile", "joint"))
        )
        for name, p in theta.items():
            p.grad = direction[name].clone()
        optimiser.step()
        for p, ours in zip(theta.values(), environment["theta"], strict=True):
            assert torch.allclose(p.detach(), ours, rtol=1e-3, atol=2e-5)


def test_the_page_trains_as_the_library_does():
    """Twenty outer steps, each from the page's own theta of the step before: training itself is chaotic."""
    with chromium() as browser, opened(browser) as page:
        for method, steps in (("maml", 1), ("maml", 3), ("fomaml", 2), ("anil", 1), ("joint", 1), ("reptile", 3)):
            follows(page, TRAINING, meta_training.State(method=method, steps=steps, tasks=7))
        follows(page, MAP, alpha_beta.State(alpha=0.02, beta=0.01))


def follows(page, explorer, state) -> None:
    for i, (before, after) in enumerate(pairwise(trained_in_page(page, explorer, state, 20)), start=1):
        ours = one_step(explorer, state, before, i)
        for name, value in after.items():
            assert np.abs(ours[name] - value).max() <= 1e-5 * np.abs(value).max(), (state, i, name)


def trained_in_page(page, explorer, state, n: int) -> list[dict[str, np.ndarray]]:
    """What is carried before the first outer step and after each, by leaf."""
    spec, data = explorer.specification()
    steps = page.evaluate(
        """async ([spec, data, state, n]) => {
            const { Trainer } = await import("/training.js");
            const { arraysOf, inputsOf } = await import("/sources.js");
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)).buffer;
            const inputs = inputsOf(state, spec.fields);
            const trainer = new Trainer(spec.runs, arraysOf(spec.constants, bytes), inputs, state.method);
            const { numbers } = await import("/tensors.js");
            const carried = () => Object.entries(trainer.named(/^(theta|first|second)\\./))
                .map(([name, t]) => [name, t.shape, [...numbers(t)]]);
            const path = [carried()];
            for (let i = 0; i < n; i++) { trainer.advance(0); path.push(carried()); }
            return path;
        }""",
        [spec, b64encode(data).decode(), asdict(state), n],
    )
    return [{name: np.float32(values).reshape(shape) for name, shape, values in step} for step in steps]


def one_step(explorer, state, carried: dict[str, np.ndarray], step: int) -> dict[str, np.ndarray]:
    """What the library makes of what was carried, in one outer step."""
    runs = explorer.runs
    program = runs.programs[getattr(state, runs.by) if runs.by else "maml"]
    trees = {
        kind: [torch.from_numpy(carried[f"{kind}.{i}"]) for i in range(6)] for kind in ("theta", "first", "second")
    }
    environment = {
        **explorer.inputs(state),
        "count": torch.tensor(float(step)),
        **runs.drawn(state.seed, step, getattr(state, "tasks", runs.tasks)),
        **trees,
    }
    with torch.no_grad():
        for stage in program.stages:
            call(stage, environment)
    return {f"{kind}.{i}": environment[kind][i].numpy() for kind in trees for i in range(6)}


def test_training_lowers_the_error_and_alpha_beyond_reason_is_said_to_be():
    state = meta_training.State(tasks=5, beta=0.003)
    inputs = TRAINING.inputs(state)
    *_, last = (env for i, env in zip(range(101), meta_training.RUNS.train(state, inputs), strict=False))
    first = float(TRAINING.compute(state)["now"])
    assert float(meta_training.RUNS.look(last, inputs)["now"]) < 0.9 * first
    wild = replace(state, alpha=1.0, steps=5)
    assert "too large" in TRAINING.words(wild, TRAINING.compute(wild))
