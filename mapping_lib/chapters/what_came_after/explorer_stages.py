"""What the explorer of chapter 4g computes with each method, as stages that are traced for the page.

Only the two methods that a reader compares are asked: each stage runs as often as ``asks_...`` says. A method's answer
is three rows over the grid: its mean, and the mean less and more one deviation, where it tells one.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.inner_loop import inner_step, mean_squared_error
from mapping_lib.networks import functional
from mapping_lib.set_networks import ContextTransformer
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Batch, Params

from . import study_fewer_numbers as fewer
from . import study_neural_process as processes
from . import study_prior_fitted as priors
from .methods_fewer_numbers import NEW
from .study_contestants import SHARED
from .study_test_time import ALPHA

MAML_STEPS = SHARED["MAML"].steps
FEW = {"few": "context parameters", "lora": "LoRA, rank 1"}
"""Those that adapt fewer numbers, by what is written before theirs in the program."""

TRANSFORMER = functional(ContextTransformer(width=48, heads=4, layers=4))
"""Chapter 3b's, as its recipe has it."""

POINT = Batch(torch.ones(1, 1, dtype=torch.float32), torch.ones(1, 1, dtype=torch.float32))


@cache
def ready(name: str) -> tuple[Any, Params]:
    """A method's learner, or what has one with a ``density``, and its shipped theta.

    It has answered once: a network is looked at when it is first called, which tracing could not do.
    """
    made, theta = _shipped(name)
    learner = getattr(made, "learner", made)
    learner.predict(learner.adapt(theta, POINT), POINT.x)
    return made, theta


def _shipped(name: str) -> tuple[Any, Params]:
    if name == "prior-fitted":
        return priors.shipped("waves")
    if name == "neural process":
        return processes.ready("mean")
    if name in FEW.values():
        return fewer.ready(name)
    return shipped({"in-context": "in_context", "test-time steps": "in_context", "MAML": "maml"}[name])


# One wave -------------------------------------------------------------------------------------------------


def begin(away, amplitude, phase, x, lift, steps, grid) -> dict[str, Any]:
    """The task of the one wave, and where its lowest point is."""
    turned = phase + math.pi * away
    wave = Sinusoids.truth(torch.stack([amplitude, turned]), torch.cat([x, grid])[:, None])[:, 0]
    y = wave[: x.shape[0]] + lift
    low = turned - math.pi / 2
    return {
        "support": Batch(x[:, None], y[:, None]),
        "y": y,
        "truth": wave[x.shape[0] :],
        "low_x": low.view(1),
        "low_y": -amplitude.view(1),
        "about": torch.stack([low - phase, *torch.tensor([0.0, 1.0, -1.0], dtype=torch.float32)]),
        "k": torch.ones_like(x).sum(),
    }


def in_context(thetas: dict, support: Batch, grid) -> dict[str, Tensor]:
    """Chapter 3b's transformer reads the support, and answers."""
    return {"by_in_context": _alone(_answer("in-context", thetas["in-context"], support, grid))}


def prior_fitted(thetas: dict, support: Batch, grid) -> dict[str, Tensor]:
    """The transformer that was fitted to imagined waves, with its deviation."""
    return {"by_prior": _told("prior-fitted", thetas, support, grid)}


def process(thetas: dict, support: Batch, grid) -> dict[str, Tensor]:
    """The conditional neural process, with its deviation."""
    return {"by_process": _told("neural process", thetas, support, grid)}


def step_few(thetas: dict, few: Params, support: Batch) -> dict[str, Params]:
    """One inner step of the context parameters."""
    return {"few": _step("few", thetas, few, support)}


def step_lora(thetas: dict, lora: Params, support: Batch) -> dict[str, Params]:
    """One inner step of the numbers of LoRA."""
    return {"lora": _step("lora", thetas, lora, support)}


def _step(key: str, thetas: dict, new: Params, support: Batch) -> Params:
    """As `methods_fewer_numbers.few_numbers` takes it, begun where the new numbers stand."""
    learner, theta = ready(FEW[key])[0], thetas[FEW[key]]
    gradient = torch.func.grad(lambda new: mean_squared_error(learner.predict(theta | new, support.x), support.y))(new)
    return inner_step(new, gradient, fewer.TUNED[FEW[key]].alpha)


def draw_few(thetas: dict, few: Params, grid) -> dict[str, Tensor]:
    """What the context parameters make of the network."""
    return {"by_few": _alone(_drawn(FEW["few"], thetas[FEW["few"]] | few, grid))}


def draw_lora(thetas: dict, lora: Params, grid) -> dict[str, Tensor]:
    """What LoRA makes of the network."""
    return {"by_lora": _alone(_drawn(FEW["lora"], thetas[FEW["lora"]] | lora, grid))}


def step_maml(looked: Params, support: Batch) -> dict[str, Params]:
    """One inner step of MAML, begun where it stands."""
    return {"looked": ready("MAML")[0].adapt(looked, support, steps=1)}


def draw_maml(looked: Params, grid) -> dict[str, Tensor]:
    """What MAML's network draws after its steps."""
    return {"by_maml": _alone(_drawn("MAML", looked, grid))}


def unadapted() -> dict[str, Params]:
    """The numbers that a task has for itself, before any step: zeros, or LoRA's own."""
    phis = {key: ready(name)[0].adapt(ready(name)[1], POINT, steps=0) for key, name in FEW.items()}
    return {key: {name: p for name, p in phi.items() if name.startswith(NEW)} for key, phi in phis.items()}


def _answer(name: str, theta: Params, support: Batch, grid: Tensor) -> Tensor:
    learner = ready(name)[0]
    return learner.predict(learner.adapt(theta, support), grid[:, None])[:, 0]


def _drawn(name: str, phi: Params, grid: Tensor) -> Tensor:
    return ready(name)[0].predict(phi, grid[:, None])[:, 0]


def _told(name: str, thetas: dict, support: Batch, grid: Tensor) -> Tensor:
    made = ready(name)[0]
    said = made.density(made.learner.adapt(thetas[name], support), grid[:, None])
    mean, deviation = said.mean[:, 0], said.deviation[:, 0]
    return torch.stack([mean, mean - deviation, mean + deviation])


def _alone(curve: Tensor) -> Tensor:
    return torch.stack([curve, curve, curve])


# Steps at test time ---------------------------------------------------------------------------------------


def practise(tuned: Params, support: Batch) -> dict[str, Params]:
    """One step down the mean loss of the leave-one-out questions: `methods_test_time`, for any K that is traced."""
    gradient = torch.func.grad(leave_one_out(support))(tuned)
    return {"tuned": {name: p - ALPHA * gradient[name] for name, p in tuned.items()}}


def leave_one_out(support: Batch) -> Callable[[Params], Tensor]:
    """As `methods_test_time.leave_one_out_loss`; the others of each example are picked by sums of symbolic sizes."""
    k = support.x.shape[0]
    left_out, other = torch.arange(k, dtype=torch.int64)[:, None], torch.arange(k - 1, dtype=torch.int64)[None]
    rest = (other + (other >= left_out)).view(-1)
    x, y = (part.index_select(0, rest).view(k, k - 1, 1) for part in support)

    def objective(theta: Params) -> Tensor:
        with _FlatLayers():
            y_hat = TRANSFORMER.predict(theta, x, y, support.x[:, None])
        return (y_hat[:, 0] - support.y).square().mean()

    return objective


class _FlatLayers(TorchFunctionMode):
    """Linear layers see all tokens in one row: with three dimensions of symbolic size, PyTorch would fix them."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is linear and args[0].ndim > 2:
            x, weight, bias = args
            return torch.addmm(bias, x.reshape(-1, x.shape[-1]), weight.t()).view(*x.shape[:-1], weight.shape[0])
        return func(*args, **(kwargs or {}))


def mended(tuned: Params, support: Batch, grid, truth) -> dict[str, Tensor]:
    """What the transformer answers after its steps, and how far off that is."""
    curve = _answer("in-context", tuned, support, grid)
    return {"mended": curve, "mended_error": (curve - truth).square().mean()}
