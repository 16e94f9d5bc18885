"""Programs in the page: what the interpreter makes of the library's functions in Chromium, held to PyTorch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from programs import A_STEP, ADAPTATION, GRID, agree, in_page, interpreter, meta_training, support, weights
from torch import Tensor
from torch.func import grad

from mapping_lib import batched_mlp
from mapping_lib.chapters.few_shot_images.methods import ready
from mapping_lib.chapters.multitask_and_continual.methods_fast import adam_step, shares
from mapping_lib.chapters.personalisation.methods_curves import INNER_STEPS, METHODS, PRIOR, forecast, theta_of
from mapping_lib.curvature import hessian_vector_product, largest_eigenvalue
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.networks import functional, mlp
from mapping_lib.page.program import Program, Stage, run
from mapping_lib.params import flat
from mapping_lib.study.sinusoids import noisy_points, shipped
from mapping_lib.task import Batch, Task
from mapping_lib.worlds.held_out import judged
from mapping_lib.worlds.landscapes import Landscape, bowls, direction, meta_loss, sines
from mapping_lib.worlds.letters import Glyphs

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Iterator[Any]:
    with interpreter(tmp_path_factory.mktemp("chromium")) as page:
        yield page


# Adaptation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wasm", [True, False], ids=["wasm", "js"])
def test_adaptation_of_two_learners(page, wasm: bool):
    assert page.evaluate("(wasm) => chooseKernel(wasm)", wasm) == ("WebAssembly" if wasm else "JavaScript")
    cases = [support(k, k) | {"alpha": 0.01, "steps": steps} for k in (1, 2, 7, 20) for steps in (0, 1, 5, 20)]
    agree(page, ADAPTATION, cases, example=cases[10], allowed=lambda case: A_STEP * (case["steps"] + 1))
    page.evaluate("chooseKernel()")


def test_divergence_is_the_same_to_the_step(page):
    case = support(10) | {"alpha": 1.0, "steps": 20}
    frame = in_page(page, ADAPTATION, [case], support(7) | {"alpha": 0.01, "steps": 2})[0]["fits"]
    wanted = run(ADAPTATION, case)["fits"].numpy()
    assert not np.isfinite(wanted).all()
    assert (np.isnan(frame) == np.isnan(wanted)).all()
    assert (np.isposinf(frame) == np.isposinf(wanted)).all()


# Sharpness ----------------------------------------------------------------------------------------------------


def sharpness(params: list[Tensor], x: Tensor, y: Tensor, alpha: Tensor, start: list[Tensor]) -> dict[str, Tensor]:
    """The largest eigenvalue of alpha times the Hessian."""
    _, hidden, deltas = batched_mlp.loss_gradient(params, Batch(x[None], y[None]))

    def product(v):
        return dict(enumerate(batched_mlp.hessian_product(params, hidden, deltas, [alpha * u for u in v.values()])))

    return {"sharpness": largest_eigenvalue(product, dict(enumerate(start)), iterations=15)}


def test_sharpness(page):
    one = [p[None] for p in weights("maml")]
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(p.shape, generator=generator) for p in one]
    program = Program((Stage(sharpness),), ("sharpness",), {"params": one, "start": start}, ADAPTATION.dynamic)
    agree(page, program, [support(k, k) | {"alpha": alpha} for k in (7, 1, 20) for alpha in (0.01, 0.5)])


# Meta-training --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [{"steps": 0}, {"steps": 1}, {"steps": 3}, {"steps": 3, "first_order": True}, {"steps": 2, "alpha_too": True}],
    ids=str,
)
def test_meta_training(page, settings: dict[str, Any]):
    program, state = meta_training(**settings)
    generator = torch.Generator().manual_seed(0)
    cases = []
    for step in range(20):
        tasks = Sinusoids().sample(7 if step == 0 else 25, 10, 10, generator=generator)
        cases.append(state | {"support": tasks.support, "query": tasks.query})
        environment = dict(cases[-1])
        after = program.stages[0].function(**environment)
        state = state | {name: value for name, value in after.items() if name in state}
    agree(page, program, cases)


# Other mappings ---------------------------------------------------------------------------------------------------


def mapping(name: str) -> Program:
    """A learner's fit, from the support and the description of a wave."""
    learner, theta = shipped(name)

    def fit(theta, support: Batch, description: Tensor) -> dict[str, Tensor]:
        return {"fit": learner.predict(learner.adapt(theta, support, description=description), GRID)[:, 0]}

    sizes = {"support.x": ("K",), "support.y": ("K",)}
    return Program((Stage(fit),), ("fit",), {"theta": theta}, sizes)


@pytest.mark.parametrize(
    ("name", "steps"),
    [(name, 1) for name in ("maml", "anil", "meta_sgd", "hypernetwork", "hypernetwork_tuned", "set_network")]
    + [("rule", 5), ("flow", 5), ("in_context", 4)],
)
def test_mappings(page, name: str, steps: int):
    cases = [
        {"support": noisy_points(torch.tensor(wave), k, 0.2, k), "description": wave}
        for k in (7, 1, 5, 20)
        for wave in ([3.0, 1.0], [0.5, 2.8])
    ]
    agree(page, mapping(name), cases, allowed=A_STEP * steps)


# Images -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "steps"), [("prototypical", 1), ("joint features", 1), ("ANIL", 20)])
def test_few_shot_images(page, method: str, steps: int):
    learner, theta = ready(method, 5)

    def answer(theta, images: Tensor, labels: Tensor, asked: Tensor) -> dict[str, Tensor]:
        logits = learner.predict(learner.adapt(theta, Batch(images, labels.long())), asked)
        return {"logits": logits, "p": logits.softmax(-1)}

    sizes = {"images": ("N",), "labels": ("N",), "asked": ("Q",)}
    program = Program((Stage(answer),), ("logits", "p"), {"theta": theta}, sizes)
    cases = []
    for seed, (k_shot, n_query) in enumerate([(1, 1), (1, 6), (5, 2), (3, 3)]):
        generator = torch.Generator().manual_seed(seed)
        (images, labels), (asked, _), _ = Glyphs("held out").sample(1, k_shot, n_query, generator=generator)
        cases.append({"images": images[0], "labels": labels[0], "asked": asked[0]})
    example = {"images": torch.rand(7, 1, 28, 28), "labels": torch.arange(7) % 5, "asked": torch.rand(11, 1, 28, 28)}
    agree(page, program, cases, example=example, allowed=A_STEP * steps)


# Others -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "rehearsed"), [(0, 0), (2, 5)])
def test_forgetting(page, now: int, rehearsed: int):
    model = functional(mlp((1, 40, 40, 5)))
    pick = torch.eye(5)[: now + 1]  # the tasks up to now, each with its head

    def step(vector: Tensor, tasks: Batch) -> dict[str, Tensor]:
        weights = shares(pick, torch.tensor(float(rehearsed)), 20).flatten(0, 1)
        x, y = (part[: now + 1].flatten(0, 1) for part in tasks)
        # not from moments of 0: the first step would be the sign of a gradient, which rounding can turn round
        begun = (vector, torch.zeros_like(vector), torch.full_like(vector, 0.01), torch.ones(()))
        return {"vector": adam_step(begun, model.shapes, x, y, weights, 0.01)[0]}

    generator = torch.Generator().manual_seed(0)
    start = flat(model.init(generator=generator))
    cases = [{"vector": start, "tasks": Batch(*torch.rand(2, 5, 20, 1, generator=generator))} for _ in "ab"]
    agree(page, Program((Stage(step),), ("vector",)), cases)


@pytest.mark.parametrize("method", METHODS)
def test_personalisation(page, method: str):
    cases = [judged("chicks", "first", 3, generator=torch.Generator().manual_seed(0))]
    cases += [cases[0]._replace(support=Batch(cases[0].support.x, 1.1 * cases[0].support.y))]
    forecast(method, "chicks", "first", cases[0])

    def answer(task: Task) -> dict[str, Tensor]:
        return {"forecast": forecast(method, "chicks", "first", task)}

    agree(
        page, Program((Stage(answer),), ("forecast",)), [{"task": task} for task in cases], allowed=INNER_STEPS * A_STEP
    )


def test_one_posterior(page):
    theta = {n: p[0] for n, p in theta_of("mixed effects", "chicks", "all").items() if n not in ("center", "scale")}

    def posterior(theta, x: Tensor, y: Tensor, at: Tensor) -> dict[str, Tensor]:
        phi = PRIOR.adapt(theta, Batch(x, y))
        return {"mean": PRIOR.predict(phi, at), "covariance": phi["covariance"]}

    program = Program((Stage(posterior),), ("mean", "covariance"), {"theta": theta}, ADAPTATION.dynamic)
    generator = torch.Generator().manual_seed(0)
    at = torch.linspace(-1, 1, 21)[:, None]
    cases = [dict(zip("xy", 2 * torch.rand(2, k, 1, generator=generator) - 1, strict=True)) for k in (5, 1, 2, 6)]
    agree(page, program, [case | {"at": at} for case in cases])


# Landscapes ---------------------------------------------------------------------------------------------------------


def landscape_program(landscape: Landscape) -> Program:
    """F over a map and MAML's direction at one theta, for any m: d phi / d theta is carried along the inner steps."""

    def objective(points: dict[str, Tensor]) -> Tensor:
        return landscape.loss(points["theta"]).sum()

    def start(theta: Tensor, grid: Tensor) -> dict[str, Tensor]:
        n_tasks = len(landscape.minima)
        cells = grid[..., None, :].expand(*grid.shape[:-1], n_tasks, 2)
        return {"phi": theta.expand(n_tasks, 2), "slope": torch.eye(2).expand(n_tasks, 2, 2), "cells": cells}

    def inner(phi: Tensor, slope: Tensor, cells: Tensor, alpha: Tensor) -> dict[str, Tensor]:
        def moved(direction: Tensor) -> Tensor:
            return direction - alpha * hessian_vector_product(objective, {"theta": phi}, {"theta": direction})["theta"]

        slope = torch.stack([moved(column) for column in slope.unbind(-1)], -1)
        after = [p - alpha * grad(objective)({"theta": p})["theta"] for p in (phi, cells)]
        return {"phi": after[0], "slope": slope, "cells": after[1]}

    def end(phi: Tensor, slope: Tensor, cells: Tensor) -> dict[str, Tensor]:
        gradient = grad(objective)({"theta": phi})["theta"]
        direction = (slope.mT @ gradient[..., None])[..., 0].mean(0)
        return {"F": landscape.loss(cells).mean(-1), "direction": direction}

    return Program((Stage(start), Stage(inner, times="steps"), Stage(end)), ("F", "direction", "phi"))


@pytest.mark.parametrize("make", [bowls, sines])
def test_landscapes(page, make):
    landscape, grid = make(), torch.stack(torch.meshgrid(*[torch.linspace(-0.5, 3, 61)] * 2, indexing="xy"), -1)
    cases = [
        {"theta": theta, "grid": grid, "alpha": alpha, "steps": steps}
        for theta in ([0.9, 0.3], [2.0, -0.4])
        for alpha, steps in ((0.1, 2), (0.3, 0), (0.2, 1), (0.05, 20))
    ]
    program = landscape_program(landscape)
    agree(page, program, cases, allowed=lambda case: A_STEP * (case["steps"] + 1))
    for case in cases:
        frame, inner = run(program, case), {name: case[name] for name in ("alpha", "steps")}
        torch.testing.assert_close(frame["F"], meta_loss(landscape, grid, **inner), rtol=1e-5, atol=1e-5)
        theta = torch.tensor(case["theta"])
        torch.testing.assert_close(
            frame["direction"], direction(landscape, theta, "MAML", **inner), rtol=1e-4, atol=1e-5
        )
