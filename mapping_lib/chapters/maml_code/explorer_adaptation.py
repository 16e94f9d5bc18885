"""Explorer: what α, the number of inner steps and the support do to one task's adaptation."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from mapping_lib import batched_mlp
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import ALPHA_PREFIX
from mapping_lib.page.explorer import Explorer, Panel
from mapping_lib.page.fields import choice, numbers, slider, step_size
from mapping_lib.page.marks import axes, drag, line, points
from mapping_lib.page.program import Program, Stage
from mapping_lib.study.sinusoids import LEARNERS, points_and_noise, shipped
from mapping_lib.task import Batch, Params

from .explorer_own import explorer_of

PAPER_ALPHA, MAX_STEPS, MAX_SHOTS = 0.01, 20, 20
GRID = torch.linspace(-5, 5, 161, dtype=torch.float32)
ALPHAS = 10 ** torch.linspace(-4, 0, 25, dtype=torch.float32)
"""Where on its track it is tried whether α is too large."""

ROUNDS = 15
"""Power iterations for the largest curvature."""

NAMES = {name: training.label for name, training in LEARNERS.items()}
DRAWN_X, NOISE = points_and_noise()


@dataclass(frozen=True)
class State:
    """What the controls and the hand say. The support lies ``lift`` above the wave at ``x``, and noise on top."""

    alpha: float = step_size(PAPER_ALPHA, "α", "inner step size", PAPER_ALPHA, track="track")
    steps: int = slider(
        5, 0, MAX_STEPS, "m", "inner steps", large=True, play="take the steps", marks={1: "1, the paper"}
    )
    x: tuple[float, ...] = numbers(DRAWN_X[:10].tolist(), -5, 5, most=MAX_SHOTS, label="examples K", beside=("lift",))
    lift: tuple[float, ...] = numbers([0.0] * 10, -12, 12, most=MAX_SHOTS, fresh=0.0)
    amplitude: float = slider(3.0, 0.1, 5.0, "amplitude", step=0.05)
    phase: float = slider(1.0, 0.0, 3.14, "phase", step=0.02)
    noise: float = slider(0.0, 0.0, 1.0, "noise", step=0.02)
    learner: str = choice("maml", NAMES, "θ from")
    rival: str = choice("joint", NAMES | {"none": "nobody"}, "beside")


# The program ----------------------------------------------------------------------------------------------


def begin(
    theta: list, own_rates: list, nobody, alpha, learner, rival, amplitude, phase, noise, x, lift
) -> dict[str, Any]:
    """The task, and two learners' parameters and step sizes, each tensor with a leading dimension of two."""
    description = torch.stack([amplitude, phase])
    pair = torch.minimum(torch.stack([learner, rival]), nobody - 1).long()
    y = Sinusoids.truth(description, x[:, None])[:, 0] + lift + noise * NOISE[: x.shape[0]]
    return {
        "truth": Sinusoids.truth(description, GRID[:, None])[:, 0],
        "y": y,
        "params": [p[pair] for p in theta],
        "rates": [alpha * rate[pair] for rate in own_rates],
        "two": (rival != nobody).float(),
    }


def chosen(stacked: list, learner) -> list[Tensor]:
    """The tensors of one learner."""
    return [tensor.index_select(0, learner.long().view(1))[0] for tensor in stacked]


def support_of(x: Tensor, y: Tensor, n: int) -> Batch:
    """The support for each of ``n`` learners."""
    return Batch(*(part[None, :, None].expand(n, -1, 1) for part in (x, y)))


def look_and_step(params: list, rates: list, x, y) -> dict[str, Any]:
    """What both draw now, and one inner step."""
    support, k = support_of(x, y, 2), x.shape[0]
    y_hat = batched_mlp.forward(list(params), torch.cat([x, GRID])[None, :, None].expand(2, -1, 1))[-1][..., 0]
    return {
        "fit": y_hat[:, k:],
        "support_error": (y_hat[:, :k] - y).square().mean(1),
        "last": params,
        "params": batched_mlp.adapt.__wrapped__(list(params), rates, support, 1),
    }


def judge(fits, support_errors, truth, y) -> dict[str, Tensor]:
    """The errors of all steps, and whether the support error ever grew to ten times what it began with."""
    query_errors = (fits - truth).square().mean(-1)
    bound = 10 * torch.maximum(support_errors[0], y.square().mean())
    gone = ~(support_errors <= bound)
    before, after = query_errors[0], query_errors[-1]
    return {
        "before": fits[0, 0],
        "after": fits[-1, 0],
        "path": fits[:, 0],
        "rival_after": fits[-1, 1],
        "query": query_errors[:, 0],
        "support": support_errors[:, 0],
        "rival_query": query_errors[:, 1],
        "error_before": before[0],
        "error": after[0],
        "rival_before": before[1],
        "rival_error": after[1],
        "gone": gone[:, 0].any(),
        "gone_at": gone[:, 0].float().argmax(),
        "rival_gone": gone[:, 1].any(),
        "rival_gone_at": gone[:, 1].float().argmax(),
        "falls": (support_errors[1:, 0] <= support_errors[:-1, 0]).all(),
    }


def sharpen(theta: list, own_rates: list, alpha, learner, last: list) -> dict[str, Any]:
    """Begin to look for the largest curvature, at the learner's theta and at its phi."""
    ends = [torch.stack([p, phi[0]]) for p, phi in zip(chosen(theta, learner), last, strict=True)]
    return {"ends": ends, "moved": START, "own": [alpha * rate for rate in chosen(own_rates, learner)]}


def sharpen_on(ends: list, own: list, moved: list, x, y) -> dict[str, Any]:
    """One power iteration with step size times Hessian, from both ends at once."""
    size = sum(v.flatten(1).square().sum(1) for v in moved).sqrt()
    unit = [v / size.view(-1, *[1] * (v.dim() - 1)) for v in moved]
    _, hidden, deltas = batched_mlp.loss_gradient(list(ends), support_of(x, y, 2))
    product = batched_mlp.hessian_product(list(ends), hidden, deltas, [a * u for a, u in zip(own, unit, strict=True)])
    curvature = sum((p * u).flatten(1).sum(1) for p, u in zip(product, unit, strict=True))
    return {"moved": product, "sharpness": curvature}


def limits(sharpness, alpha, gone, error_before, error) -> dict[str, Tensor]:
    """The α above which a step leaps too far (on a bowl: ends farther off than it began), at theta and at phi."""
    limit = 2 * alpha / sharpness.clamp_min(1e-9)
    above = (alpha > limit).float()
    return {
        "limit": limit[0],
        "limit_after": limit[1],
        "times": alpha / limit[0],
        "flatter": above[0] * (1 - above[1]) * (~gone).float() * (error < error_before).float(),
        "above": above[0] * (~gone).float(),
        "above_and_gone": above[0] * gone.float(),
    }


def try_alphas(theta: list, own_rates: list, nobody, learner, amplitude, phase, noise, x, lift) -> dict[str, Any]:
    """The learner once for each of `ALPHAS`."""
    n = len(ALPHAS)
    task = begin(theta, own_rates, nobody, ALPHAS[0], learner, learner, amplitude, phase, noise, x, lift)
    rates = [ALPHAS.view(-1, *[1] * rate.dim()) * rate for rate in chosen(own_rates, learner)]
    return {
        "many": [p.expand(n, *p.shape) for p in chosen(theta, learner)],
        "rates": rates,
        "y": task["y"],
        "truth": task["truth"],
    }


def step_many(many: list, rates: list, x, y) -> dict[str, Any]:
    """One inner step of each."""
    return {"many": batched_mlp.adapt.__wrapped__(list(many), rates, support_of(x, y, len(ALPHAS)), 1)}


def colour_track(many: list, theta: list, learner, truth) -> dict[str, Tensor]:
    """Whether each α made the error smaller (to -1) or larger (to 1): the logarithm of the ratio."""
    return {"track": how_much_worse(list(many), [p[None] for p in chosen(theta, learner)], truth)}


def how_much_worse(many: list, first: list, truth) -> Tensor:
    """The logarithm, -1 ... 1, of the errors of many parameters over that of the first ones."""

    def error(params: list) -> Tensor:
        drawn = batched_mlp.forward(params, GRID[None, :, None].expand(len(params[0]), -1, 1))[-1][..., 0]
        return (drawn - truth).square().mean(1)

    ratio = (error(many) / error(first)).log() / math.log(10)
    return torch.where(ratio.isfinite(), ratio.clamp(-1, 1), 1.0)


def constants() -> dict[str, Any]:
    """All learners' theta, stacked, and how each weighs α for each of its parameters."""
    stacked = (zip(*(part(name) for name in NAMES), strict=True) for part in (weights_of, _rates))
    theta, rates = ([torch.stack(parts) for parts in lists] for lists in stacked)
    return {"theta": theta, "own_rates": rates, "nobody": float(len(NAMES)), "rounds": float(ROUNDS), "grid": GRID}


@cache
def weights_of(name: str) -> list[Tensor]:
    """The parameters of a shipped theta, in the order of the network."""
    return [p for key, p in shipped(name)[1].items() if not key.startswith(ALPHA_PREFIX)]


def _rates(name: str) -> list[Tensor]:
    """Meta-SGD's learned step sizes as multiples of the paper's α; ANIL moves the last layer alone."""
    if name == "meta_sgd":
        return [p / PAPER_ALPHA for key, p in shipped(name)[1].items() if key.startswith(ALPHA_PREFIX)]
    ones = [torch.ones_like(p) for p in weights_of(name)]
    return [0 * one for one in ones[:-2]] + ones[-2:] if name == "anil" else ones


def _start() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, *p.shape, generator=generator, dtype=torch.float32) for p in weights_of("maml")]


START = _start()
SHOWN = ("truth", "y", "before", "after", "path", "rival_after", "query", "support", "rival_query", "two")
SAID = "error_before error rival_before rival_error gone gone_at rival_gone rival_gone_at falls"
LIMITS = ("limit", "limit_after", "times", "flatter", "above", "above_and_gone")
DYNAMIC = {"x": ("K",), "lift": ("K",)}
PROGRAM = Program(
    (
        Stage(begin),
        Stage(look_and_step, times="steps", extra=1, collect={"fits": "fit", "support_errors": "support_error"}),
        Stage(judge),
        Stage(sharpen),
        Stage(sharpen_on, times="rounds"),
        Stage(limits),
    ),
    (*SHOWN, *SAID.split(), *LIMITS),
    constants(),
    DYNAMIC,
)
TRACK = Program(
    (Stage(try_alphas), Stage(step_many, times="steps"), Stage(colour_track)), ("track",), constants(), DYNAMIC
)

# What is drawn and said -----------------------------------------------------------------------------------

ERRORS = {"ylabel": "", "xlabel": "inner step", "log": "y", "share": 1.0}
EXPLORER = Explorer(
    "adaptation",
    State,
    "Ten points of a wave. A few gradient steps. Is it enough?",
    "Drag the orange points; click to add one, drag it out to remove it. Then make α larger, until it breaks.",
    axes=(
        axes("task", (-5, 5), (-6.5, 6.5), "one task: from θ to φ", share=1.75),
        axes("errors", (-0.4, MAX_STEPS + 0.4), (1e-3, 1e3), "error on new points, by inner step", **ERRORS),
    ),
    marks=(
        line("task", "truth", "truth", x="grid", name="truth", dash=[6, 5], width=1.8),
        line("task", "path", "{learner}", x="grid", width=1.0, fade=0.3),
        line("task", "before", "{learner}", x="grid", name="before: θ", dash=[2, 4], width=1.7),
        line("task", "rival_after", "{rival}", x="grid", name="{rival}", width=2.4, when="two"),
        line("task", "after", "{learner}", x="grid", name="{learner}, after {steps:step}", width=3.6),
        points("task", "x", "y", "support", drag=drag("x", "lift", ("grid", "truth")), adds=True, size=7),
        line("errors", "rival_query", "{rival}", name="{rival}", width=2.4, dots="end", near="end", when="two"),
        line("errors", "support", "{learner}", name="on its points", width=1.4, dash=[2, 4]),
        line("errors", "query", "{learner}", name="{learner}", width=3, dots="end", near="end"),
    ),
    sentence=(
        {
            "gone": "[{learner}|{learner}] **diverges**: after {gone_at:step}, ten times its first error on its own points.",
            "": "[{learner}|{learner}]: error {error_before:.2f} on new points, **{error:.3f}** after {steps:step}.",
        },
        {
            "not two": "",
            "rival_gone": "[{rival}|{rival}] diverges after {rival_gone_at:step}.",
            "": "[{rival}|{rival}]: {rival_before:.2f}, then **{rival_error:.3f}**.",
        },
        {
            "above_and_gone": "At θ a step leaps too far if α is above 2/λ_max = {limit:.2g}; this is {times:.2g} times that.",
            "gone": "Not at once: at θ itself α is below 2/λ_max = {limit:.2g}.",
            "flatter": "At θ α is above 2/λ_max = {limit:.2g}, and still it works: at φ the loss is flatter, {limit_after:.2g}.",
            "above": "At θ α is above 2/λ_max = {limit:.2g}: along the steepest direction a step leaps too far.",
            "falls": "Every step goes down; at θ α is below 2/λ_max = {limit:.2g}.",
            "": "At θ α is below 2/λ_max = {limit:.2g}.",
        },
    ),
    presets={
        "the paper": {"rival": "none", "steps": 1},
        "α too small": {"alpha": 1e-4, "steps": 20},
        "α too large": {"alpha": 0.1, "steps": 10},
        "one shot": {"x": (1.36,), "lift": (0.0,), "steps": 1},
        "past its one step": {"learner": "meta_sgd", "rival": "maml", "steps": 20},
    },
    program=PROGRAM,
    later=TRACK,
    actions=(("new points", "x_length", "scatter"),),
    more="more: K, amplitude, phase, noise, whose θ",
    height=0.28,
)


def explorer(theta: Params | None = None, *, learner: Any = None, family: Any = None, **state: Any) -> Panel:
    """Open the panel: the last line of a notebook cell. ``state`` says where it begins, `State` what that can be.

    A ``theta`` of the reader's own, for the paper's network, stands among the others as "your θ". With a ``learner``
    (a `MetaLearner`, or what makes one from an α) or a ``family`` of their own, the panel shows that, from the kernel.
    """
    if theta is None and learner is None and family is None:
        return EXPLORER.open(**state)
    return explorer_of(EXPLORER, theta, learner, family).open(**state)
