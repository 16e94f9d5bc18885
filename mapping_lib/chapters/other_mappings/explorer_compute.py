"""What the explorer of description and data computes: three mappings, on one task and on a hundred."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mapping_lib import batched_mlp
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.page.canvas import coloured, number
from mapping_lib.page.plots import COLOUR_OF
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Batch, Task

ALPHA, MAML_STEPS, MAX_SHOTS, MAX_STEPS = 0.01, 10, 20, 20
N_TASKS, SEED = 100, 2024
FAMILY = Sinusoids()
SPREAD = tuple((high - low) / math.sqrt(12) for low, high in (FAMILY.amplitude, FAMILY.phase))
"""The standard deviations of amplitude and phase over the family: 1.41 and 0.91."""

SHOTS = (0, 1, 2, 3, 4, 5, 6, 10, 20)
"""The numbers of examples for which all tasks are fitted, beside the one that the reader sets."""

GONE = 1e3
"""A task whose error is not below this has diverged: none has a variance above 12.5."""

GRID = torch.linspace(-5, 5, 161, dtype=torch.float32)[:, None]
WRITERS = {"hypernetwork_tuned": "for a step after it", "hypernetwork": "to be used alone"}
"""What the h that steps follow was meta-trained for. One trained alone writes weights too steep for steps."""

NAMES = ("hypernetwork", "hypernetwork + steps", "MAML")
COLOURS = {name: COLOUR_OF[name] for name in NAMES}


@dataclass(frozen=True)
class State:
    """The values of the controls. ``blur`` is the noise of the description, as a share of `SPREAD`.

    ``noise`` is that of the data, ``steps`` is how many inner steps follow h(d), and ``writer`` is one of
    `WRITERS`.
    """

    blur: float = 0.3
    k_shot: int = 5
    steps: int = 5
    noise: float = 0.0
    writer: str = "hypernetwork_tuned"
    task: int = 7


class Typical(NamedTuple):
    """A mapping on a hundred tasks: the median of its query errors, and on how many tasks it diverged."""

    error: float
    diverged: int


class Frame(NamedTuple):
    """What is drawn. Of one task: the wave that is told, the support, and three fits with their errors.

    ``descriptions`` has two rows, d as it is and d as it is told. Of a hundred tasks: what is `Typical` for each
    mapping and each number of examples in ``shots``, and who wins.
    """

    state: State
    truth: np.ndarray
    told: np.ndarray
    support: np.ndarray
    descriptions: np.ndarray
    curves: dict[str, np.ndarray]
    errors: dict[str, float]
    shots: tuple[int, ...]
    typical: dict[str, list[Typical]]
    winners: tuple[str, ...]
    words: str

    @property
    def here(self) -> dict[str, Typical]:
        """What is typical for each mapping with as many examples as the reader has set."""
        return {name: by_shots[self.shots.index(self.state.k_shot)] for name, by_shots in self.typical.items()}


def compute(state: State) -> Frame:
    """Fit one task, and a hundred, from a description with noise, from both, and from data.

    >>> frame = compute(State(k_shot=3))
    >>> frame.support.shape, list(frame.curves), len(frame.winners) == len(frame.shots)
    ((3, 2), ['hypernetwork', 'hypernetwork + steps', 'MAML'], True)
    """
    task = draw(1, state.task, state.noise)
    description = task.description + state.blur * _mistakes(1, state.task)
    support = _first(task.support, state.k_shot)
    fits = {name: _predict(_adapt(name, state, support, description), GRID[None])[0, :, 0] for name in NAMES}
    truth = Sinusoids.truth(task.description, GRID)[0, :, 0]
    shots = tuple(sorted({*SHOTS, state.k_shot}))
    typical = {name: [_typical(name, state, k) for k in shots] for name in NAMES}
    winners = tuple(min(NAMES, key=lambda name: typical[name][i].error) for i in range(len(shots)))
    frame = Frame(
        state,
        truth.numpy(),
        Sinusoids.truth(description, GRID)[0, :, 0].numpy(),
        torch.cat(support, -1)[0].numpy(),
        torch.cat([task.description, description]).numpy(),
        {name: fit.numpy() for name, fit in fits.items()},
        {name: float((fit - truth).square().mean().nan_to_num(math.inf, math.inf)) for name, fit in fits.items()},
        shots,
        typical,
        winners,
        "",
    )
    return frame._replace(words=f"{_winner_in_words(frame)}<br>{_runs_in_words(shots, winners)}")


@lru_cache(maxsize=64)
def draw(n_tasks: int, seed: int, noise: float) -> Task:
    """Tasks with 20 support examples and 25 of the query: the same ones whatever the noise of the support's y."""
    generator = torch.Generator().manual_seed(seed)
    tasks = FAMILY.sample(n_tasks, MAX_SHOTS, 25, generator=generator)
    y = tasks.support.y + noise * torch.randn(tasks.support.y.shape, generator=generator, dtype=torch.float32)
    return tasks._replace(support=Batch(tasks.support.x, y))


def _mistakes(n_tasks: int, seed: int) -> Tensor:
    """By how much each description is wrong where blur is 1; with less blur it is wrong in the same direction."""
    generator = torch.Generator().manual_seed(seed + 1)
    mistakes = torch.randn(n_tasks, 2, generator=generator, dtype=torch.float32)
    return torch.tensor(SPREAD, dtype=torch.float32) * mistakes


def _first(support: Batch, k_shot: int) -> Batch:
    return Batch(support.x[:, :k_shot], support.y[:, :k_shot])


@lru_cache(maxsize=20_000)
def _all_tasks(name: str, state: State) -> Typical:
    tasks = draw(N_TASKS, SEED, state.noise)
    descriptions = tasks.description + state.blur * _mistakes(N_TASKS, SEED)
    y_hat = _predict(_adapt(name, state, _first(tasks.support, state.k_shot), descriptions), tasks.query.x)
    errors = (y_hat - tasks.query.y).square().mean((1, 2)).nan_to_num(nan=math.inf)
    middle = errors.sort().values[N_TASKS // 2 - 1 : N_TASKS // 2 + 1].mean()
    return Typical(float(middle), int((errors >= GONE).sum()))


def _typical(name: str, state: State, k_shot: int) -> Typical:
    """A mapping on all tasks, asked for by what it depends on only, so that nothing is computed twice."""
    if name == "hypernetwork":
        return _all_tasks(name, State(blur=state.blur, k_shot=0))
    if name == "MAML":
        return _all_tasks(name, State(noise=state.noise, k_shot=k_shot))
    return _all_tasks(name, replace(state, k_shot=k_shot, task=0))


_shipped = cache(shipped)


@torch.no_grad()
def _adapt(name: str, state: State, support: Batch, descriptions: Tensor) -> list[Tensor]:
    """The weights phi of all tasks, each tensor with a leading task dimension."""
    if name == "MAML":
        phi, steps = [p.expand(len(support.x), *p.shape) for p in _shipped("maml")[1].values()], MAML_STEPS
    else:
        phi = _write("hypernetwork" if name == "hypernetwork" else state.writer, descriptions)
        steps = state.steps if name == "hypernetwork + steps" else 0
    return batched_mlp.adapt(phi, [torch.tensor(ALPHA, dtype=torch.float32)] * len(phi), support, steps)


def _write(writer: str, descriptions: Tensor) -> list[Tensor]:
    """h(d) for all tasks, before any step."""
    learner, theta = _shipped(writer)
    nothing = Batch(*[torch.zeros(0, 1, dtype=torch.float32)] * 2)
    write = torch.func.vmap(lambda d: learner.adapt(theta, nothing, description=d, steps=0))
    return list(write(descriptions).values())


@torch.no_grad()
def _predict(phi: list[Tensor], x: Tensor) -> Tensor:
    return batched_mlp.forward(phi, x)[-1]


# Words ----------------------------------------------------------------------------------------------------


def _winner_in_words(frame: Frame) -> str:
    first, second = sorted(NAMES, key=lambda name: frame.here[name].error)[:2]
    best, next_best = frame.here[first].error, frame.here[second].error
    words = f"<b>With K = {frame.state.k_shot}, {_coloured(first)} wins</b>: error {number(best)} on a typical task; "
    words += f"{second} {number(next_best)}, {number(next_best / best)} times as much."
    gone = [f"{name} on {here.diverged}" for name, here in frame.here.items() if here.diverged]
    return words + (f" <b>Diverged, of {N_TASKS} tasks: {', '.join(gone)}.</b>" if gone else "")


def _runs_in_words(shots: Sequence[int], winners: Sequence[str]) -> str:
    """Who wins for which K, where the best one changes."""
    places = groupby(range(len(shots)), key=lambda i: winners[i])
    runs = [(name, [shots[i] for i in run]) for name, run in places]
    if len(runs) == 1:
        return f"{_coloured(winners[0])} wins with any number of examples."
    ranges = []
    for i, (name, ks) in enumerate(runs):
        if i == len(runs) - 1:
            about = "about " if ks[0] - runs[i - 1][1][-1] > 1 else ""  # between the two, no K was tried
            where = f"from {about}K = {ks[0]} on"
        else:
            where = f"K = {ks[0]}" if len(ks) == 1 else f"K = {ks[0]} to {ks[-1]}"
        ranges.append(f"{where}: {_coloured(name)}")
    return f"Who wins? {'; '.join(ranges)}."


def _coloured(name: str) -> str:
    return coloured(name, COLOURS[name])
