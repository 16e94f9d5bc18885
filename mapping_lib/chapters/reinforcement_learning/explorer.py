"""Explorer: a goal that the policy is not told. What twenty tries and one update make of it.

Computed in the kernel: a frame walks five times a hundred steps, twenty tries through a network of 10,600 weights, and
takes four policy gradients. As a traced program in the page a walk took 19 ms and a gradient 37 (8 in PyTorch): a
quarter of a second a frame, in which nothing moves. And the luck is PyTorch's, for any seed: a page cannot draw it.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from mapping_lib.networks import functional
from mapping_lib.page.explorer import Explorer, Frame
from mapping_lib.page.fields import choice, slider
from mapping_lib.page.marks import Mark, axes, band, drag, line, points, rule, text
from mapping_lib.worlds.goals import Rollouts

from .figures import COLOUR_OF, PAPER
from .methods_fast import acting, updated, updates
from .study import FAMILY, UPDATES, policy_of, theta_of, written

POLICIES = ("MAML", "pretrained", "random", "hypernetwork")
MAX_TRIES, FAR, EDGE = 20, 0.8, 0.95
HOVERS, STANDS, WIDE, BEYOND = 0.15, 0.12, 0.4, 1.3
"""Distances for words: about the goal, about the start, all over; and how many times the goal's distance is too far."""

STEPS = range(UPDATES + 1)
ALPHAS = {0.01: "0.01", 0.1: "0.1, as in training", 0.5: "0.5", 2.0: "2"}


@dataclass(frozen=True)
class State:
    """The goal, which a hand drags; tries for each update, the first α (later ones are half of it), luck, method."""

    x: float = slider(0.35, -FAR, FAR, "goal, x", step=0.01, hidden=True)
    y: float = slider(-0.2, -FAR, FAR, "goal, y", step=0.01, hidden=True)
    trajectories: int = slider(
        *(20, 2, MAX_TRIES, "tries", "for each update"), large=True, marks={2: "2", 10: "10", 20: "20, as in training"}
    )
    alpha: float = slider(0.1, 0.01, 2.0, "α", "then half of it", step=0.05, log=True, large=True, marks=ALPHAS)
    method: str = choice("MAML", POLICIES, "method")
    luck: int = slider(1, 1, 100, "luck")


# What is computed -----------------------------------------------------------------------------------------


def compute(state: State) -> Frame:
    """Try, update, try again: each update learns from the tries that are shown before it.

    >>> frame = compute(State(trajectories=3))
    >>> frame["there_x0"].shape[0] + frame["others_x0"].shape[0], frame["returns"].shape
    (3, (4,))
    """
    goal, (tries, other) = np.array([state.x, state.y]), walks(state)
    means = means_of(tries)
    better, longer = bool(other > means[1] + 1), another_length(means) > 1
    arrived = [int(rollouts.arrived.sum()) for rollouts in tries]
    finite = means[np.isfinite(means)]
    best, low = int(np.nanargmax(means)), min(*PAPER, *finite)
    frame = {
        "goal_x": goal[:1],
        "goal_y": goal[1:],
        "returns": np.where(np.isfinite(means), means, low),
        "limits": np.array([1.25 * low, -0.35 * low]),
        "told": float(state.method == "hypernetwork"),
        "gone": float(len(finite) < len(means)),
        "gone_at": float(np.isfinite(means).argmin()),
        "best": float(best),
        "best_does": doing(tries[best], goal),
        "best_return": means[best],
        "best_arrived": float(arrived[best]),
        "before": means[0],
        "first": means[1],
        "last": means[-1],
        "helps": float(best > 0),
        "last_worse": float(means[-1] < means[best] - 0.5),
        "other": other,
        "too_long": float(better and not longer),
        "too_short": float(better and longer),
        "astray": float(np.isfinite(other) and not better and means[1] < means[0]),
        "outside": float(np.abs(goal).max() > FAMILY.half + 1e-9),
    }
    for step, rollouts in enumerate(tries):
        frame |= drawn(step, rollouts)
        frame |= {f"does_{step}": doing(rollouts, goal), f"arrived_{step}": float(arrived[step])}
        frame[f"says_{step}"] = f"{means[step]:.1f}".replace("-", "−") if np.isfinite(means[step]) else "no number"
        frame[f"role_{step}"] = "after" if arrived[step] >= state.trajectories / 2 else "rival"
    return frame


@torch.no_grad()
def walks(state: State) -> tuple[list[Rollouts], float]:
    """The tries after 0 ... 3 updates, and the return after another first step: `another_length` of this one.

    The return is nan where there is no update.
    """
    generator = torch.Generator().manual_seed(state.luck)
    goal, theta = torch.tensor([[state.x, state.y]], dtype=torch.float32), theta_of(state.method)
    luck = [FAMILY.toward(goal, state.trajectories, 0, generator=generator).support for _ in STEPS]
    if state.method == "hypernetwork":  # no update: four times the same
        return [FAMILY.rollouts(acting(written(theta, goal[0])), luck[0])] * len(luck), np.nan
    model = _model(state.method)
    tries = [walked for _, walked in updates(model, FAMILY, theta, luck, alpha=(state.alpha, state.alpha / 2))]
    phi = updated(model, theta, tries[0], another_length(means_of(tries)) * state.alpha)
    return tries, float(FAMILY.rollouts(acting(phi), luck[1]).returns.mean())


def means_of(tries: list[Rollouts]) -> np.ndarray:
    """The mean return after 0 ... 3 updates."""
    return np.array([float(rollouts.returns.mean()) for rollouts in tries])


def another_length(means: np.ndarray) -> float:
    """Twice as long where every update gains, else half as long.

    >>> another_length(np.array([-40.0, -20.0, -10.0, -5.0])), another_length(np.array([-40.0, -60.0, -10.0, -5.0]))
    (2.0, 0.5)
    """
    return 2.0 if means.argmax() == UPDATES and means[1] > means[0] else 0.5


_model = cache(lambda method: functional(policy_of(method)[0]))


def drawn(step: int, rollouts: Rollouts) -> Frame:
    """The ways of those that arrived and of the others, ``(try, time)``, and where each ended."""
    positions, there = rollouts.positions[0].nan_to_num(99.0).numpy(), rollouts.arrived[0].numpy()
    groups = {"there": positions[there], "others": positions[~there]}
    ways = {f"{who}_{'xy'[i]}{step}": way[..., i] for who, way in groups.items() for i in (0, 1)}
    return ways | {f"{name[:-1]}_end{step}": way[:, -1] for name, way in ways.items()}


def doing(rollouts: Rollouts, goal: np.ndarray) -> str:
    """What a policy does, in a few words, from where its tries are in the second half of the time.

    >>> still = lambda seen: torch.cat([torch.zeros_like(seen), torch.full_like(seen, -30.0)], -1)
    >>> luck = FAMILY.toward(torch.tensor([[0.4, 0.0]]), 5, 0, generator=torch.Generator().manual_seed(0)).support
    >>> doing(FAMILY.rollouts(still, luck), np.array([0.4, 0.0]))
    'stays about the start'
    """
    late = rollouts.positions[0, :, 50:].numpy()
    away, share = np.linalg.norm(late - goal, axis=-1).mean(), float(rollouts.arrived.float().mean())
    middle, far = late.mean((0, 1)), float(np.linalg.norm(goal))
    if not np.isfinite(away):
        return "goes nowhere"
    if share >= 0.9:
        return "arrives"
    if away < HOVERS:
        return "hovers about the goal"
    if np.linalg.norm(late - middle, axis=-1).mean() > WIDE:
        return "wanders far"
    if np.linalg.norm(middle) < STANDS and np.linalg.norm(late, axis=-1).mean() < STANDS:
        return "stays about the start"
    if not far or np.linalg.norm(middle) < STANDS:
        return "wanders about the start"
    along = float(middle @ goal) / far
    if along < 0:
        return "goes the wrong way"
    across = float(np.linalg.norm(middle - along * goal / far))
    if across > along:
        return "passes to one side"
    return "overshoots" if along > BEYOND * far else "comes near, misses" if along > far / 2 else "falls short"


# What is drawn and said -----------------------------------------------------------------------------------


def map_of(step: int) -> list[Mark]:
    """The marks of one map."""
    on, half = f"map_{step}", FAMILY.half
    ways = [
        line(on, f"{who}_y{step}", role, x=f"{who}_x{step}", width=1.1, fade=0.5)
        for who, role in (("others", "rival"), ("there", "after"))
    ]
    ends = [
        points(on, f"{who}_x_end{step}", f"{who}_y_end{step}", role, size=3)
        for who, role in (("others", "rival"), ("there", "after"))
    ]
    start = points(on, [0.0], [0.0], "ink", size=4, shape="square", name="start" if step == 0 else "")
    goal = points(on, "goal_x", "goal_y", "query", size=8, shape="cross", drag=drag("x", "y"))
    words = text(on, 0.0, -EDGE - 0.09, f"{{does_{step}}}", f"{{role_{step}}}", bold=True)
    square = band(on, [-half, -half], [half, half], "before", x=[-half, half], fade=0.14)
    named = [text(on, -half, half + 0.07, "goals in training", align="left")] if step == 0 else []
    return [square, *named, *ways, *ends, start, goal, words]


ROLES, SAYS = ([f"{{{word}_{i}}}" for i in STEPS] for word in ("role", "says"))
TITLES = ("before any update", "after 1 update", "after 2 updates", "after 3 updates")
MAP = {"square": True, "bare": True, "press": ("x", "y")}
RETURNS = {"place": (0, 0.735, 1, 0.265), "bare": True}
EXPLORER = Explorer(
    "navigation",
    State,
    "Nobody tells it where the goal is. Twenty tries, then one update: does it get there?",
    "Drag the green cross. Each update learns from the tries on the map to its left.",
    axes=(
        *(axes(f"map_{i}", (-EDGE, EDGE), (-EDGE, EDGE), TITLES[i], place=(i / 4, 0, 0.25, 0.7), **MAP) for i in STEPS),
        axes("returns", (-0.5, 3.5), "limits", "mean return (0 is best)", **RETURNS),
    ),
    marks=(
        *(mark for i in STEPS for mark in map_of(i)),
        rule("returns", "grid", y=0.0, dash=[]),
        line("returns", PAPER, "truth", name="MAML in the paper, a mean over goals", width=1.5, dash=[5, 4]),
        line("returns", "returns", "{method}", width=2.4),
        points("returns", [*STEPS], "returns", ROLES, size=6, name=SAYS),
    ),
    sentence=(
        {
            "told": "The [hypernetwork|hypernetwork] is told the goal and writes a policy without a try: it "
            "{best_does}, return **{before:.1f}**. It has no update: four times the same.",
            "gone": "[{method}|{method}]: update {gone_at} with α = {alpha} is so long that its weights are **no "
            "numbers any more**. Best is a return of **{best_return:.1f}**, after {best:update}.",
            "helps": "[{method}|{method}] is best after **{best:update}**: it {best_does}, {best_arrived} of "
            "{trajectories} tries arrive, return **{best_return:.1f}** against {before:.1f} before.",
            "": "**No update helps** [{method}|{method}]: the best return, **{before:.1f}**, is that before any; "
            "after 1 update it {does_1} ({first:.1f}).",
        },
        {
            "told": "",
            "too_long": "**The first step is too long**: with half of α it would come to {other:.1f} instead of {first:.1f}.",
            "too_short": "**The first step is short**: with twice α it would come to {other:.1f} instead of {first:.1f}.",
            "astray": "**The first step leads astray**, {before:.1f} to {first:.1f}, and so would half of it ({other:.1f}).",
            "last_worse": "The updates after that lose again: the last map has {last:.1f}.",
            "": "Nobody tells it the goal: each update makes likelier what brought more than expected.",
        },
        {"outside": "**This goal lies outside of the square** of the goals in training.", "": ""},
    ),
    presets={
        "near": {"x": 0.1, "y": -0.05},
        "in a corner": {"x": 0.5, "y": 0.5},
        "outside": {"x": 0.8, "y": 0.0},
        "two tries": {"trajectories": 2},
        "step too long": {"alpha": 0.316228},
        "step too short": {"alpha": 0.0199526},
        "pretrained": {"method": "pretrained"},
        "pretrained, long step": {"method": "pretrained", "alpha": 0.501187},
        "told": {"method": "hypernetwork"},
    },
    kernel=compute,
    height=0.42,
    more="more: method, luck",
    actions=(("new luck", "luck", "next"),),
    colours=COLOUR_OF,
)
explorer = EXPLORER.open
