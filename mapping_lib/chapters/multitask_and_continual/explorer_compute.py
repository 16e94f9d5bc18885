"""What the explorer of forgetting computes: four waves, one after the other, and one network."""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mapping_lib import batched_mlp
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.networks import functional, mlp
from mapping_lib.page.canvas import number
from mapping_lib.params import as_params, flat
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Batch, Task

from .family import WaveSequences, of_task
from .methods_fast import train_phase

N_TASKS, N_POINTS, MAX_STEPS, MAX_MEMORY = 4, 20, 100, 20
SEED = 10
GRID = torch.linspace(-5, 5, 81, dtype=torch.float32)[:, None]
LABELS = {
    "sequential": "one after the other",
    "rehearsal": "with rehearsal",
    "joint": "joint, on all so far",
    "sequential, heads": "a head each",
    "rehearsal, heads": "a head each, rehearsal",
    "MAML": "MAML's θ, adapted anew",
}
"""The methods, by what the panel calls them.

A joint network keeps all points of every task. With heads, the network is told which task it is asked about."""

NETWORKS = {heads: functional(mlp((1, 40, 40, heads))) for heads in (1, N_TASKS)}
GONE = 1e3
"""An error that is not below this is called diverged."""


@dataclass(frozen=True)
class State:
    """The values of the controls: ``now`` is the task that was learned last, from 1.

    ``memory`` is how many examples of an old task are kept: rehearsed, or (MAML) adapted to when the task is asked for.
    """

    method: str = "rehearsal, heads"
    now: int = 3
    steps: int = 80
    alpha: float = 10**-1.75
    memory: int = 5
    sequence: int = 0

    @property
    def heads(self) -> int:
        """How many heads the network has."""
        return N_TASKS if "heads" in self.method else 1

    @property
    def rehearsed(self) -> int:
        """How many points of every old task are trained on along with the current one's."""
        if self.method == "joint":
            return N_POINTS
        return self.memory if "rehearsal" in self.method else 0


class Frame(NamedTuple):
    """What is drawn: the current and the first task with their fits, and the forgetting matrix.

    ``truths`` and ``fits`` are ``(2, 81)``: the current task, and task 1. ``points`` are what the method sees of each,
    ``(2 * (example, 2))``. ``matrix (4, 4)``: after learning task i, the error on task j; nan where i is yet to come.
    """

    state: State
    truths: np.ndarray
    fits: np.ndarray
    points: tuple[np.ndarray, np.ndarray]
    matrix: np.ndarray
    words: str


def compute(state: State) -> Frame:
    """Learn the first ``now`` waves of a sequence, and judge on all four.

    >>> frame = compute(State(now=2, steps=5))
    >>> frame.fits.shape, frame.matrix.shape, int(np.isnan(frame.matrix).sum())
    ((2, 81), (4, 4), 8)
    """
    tasks, now = draw(state.sequence), state.now - 1
    judged = [now, 0]
    truths = Sinusoids.truth(tasks.description, GRID)[0, :, :, 0]
    curves = torch.stack([_curves(state, after) for after in range(state.now)])
    matrix = np.full((N_TASKS, N_TASKS), np.nan)
    matrix[: state.now] = (curves - truths).square().mean(-1).nan_to_num(nan=torch.inf).numpy()
    seen = [_points_seen(state, now, task) for task in judged]
    points = tuple(
        torch.cat(of_task(tasks.support, task, n), -1)[0].numpy() for task, n in zip(judged, seen, strict=True)
    )
    frame = Frame(state, truths[judged].numpy(), curves[now, judged].numpy(), points, matrix, "")
    return frame._replace(words=_words(frame))


@lru_cache(maxsize=64)
def draw(sequence: int) -> Task:
    """One sequence of four waves, 20 points of each; another number, another sequence."""
    return WaveSequences(N_TASKS).sample(1, N_POINTS, 0, generator=torch.Generator().manual_seed(SEED + sequence))


def _points_seen(state: State, now: int, task: int) -> int:
    """How many examples of a task the parameters in use have seen in the latest phase."""
    if state.method == "MAML":
        return state.memory
    return N_POINTS if task == now else state.rehearsed


def _curves(state: State, after: int) -> Tensor:
    """What the network draws for each of the four tasks after those up to ``after`` were learned: ``(task, grid)``."""
    if state.method != "MAML":
        vector = _learned(state.heads, state.sequence, after, state.steps, state.alpha, state.rehearsed)
        drawn = _predict(vector, state.heads)
        return drawn.T if state.heads > 1 else drawn.T.expand(N_TASKS, -1)
    # theta is the same after every task; a task yet to come has no examples to adapt to
    shots = [state.memory if task <= after else 0 for task in range(N_TASKS)]
    each = [_adapted(state.sequence, i, state.steps if k else 0, state.alpha, k) for i, k in enumerate(shots)]
    return torch.cat([_predict(vector, 1).T for vector in each])


@lru_cache(maxsize=4000)
def _learned(heads: int, sequence: int, after: int, steps: int, alpha: float, rehearsed: int) -> Tensor:
    """All parameters as one vector, after the tasks up to ``after`` were learned one after the other."""
    if after < 0:
        return flat(NETWORKS[heads].init(generator=torch.Generator().manual_seed(SEED)))
    before = _learned(heads, sequence, after - 1, steps, alpha, rehearsed)
    tasks = Batch(*(part[0] for part in draw(sequence).support))
    settings = {"heads": heads, "rehearsed": rehearsed, "steps": steps, "lr": alpha}
    return train_phase(NETWORKS[heads], before, tasks, after, **settings)


@lru_cache(maxsize=4000)
def _adapted(sequence: int, task: int, steps: int, alpha: float, k_shot: int) -> Tensor:
    """MAML's shipped theta after inner steps on the first examples of one task."""
    theta, support = list(_shipped("maml")[1].values()), of_task(draw(sequence).support, task, k_shot)
    alphas = [torch.tensor(alpha, dtype=torch.float32)] * len(theta)
    return torch.cat([p.flatten() for p in batched_mlp.adapt(theta, alphas, support, steps)])


_shipped = cache(shipped)


@torch.inference_mode()
def _predict(vector: Tensor, heads: int) -> Tensor:
    """The network's outputs on the grid: ``(grid, head)``."""
    return NETWORKS[heads].predict(as_params(vector, NETWORKS[heads].shapes), GRID)


# Words ----------------------------------------------------------------------------------------------------


def _words(frame: Frame) -> str:
    state, now = frame.state, frame.state.now - 1
    words = f"<b>After task {state.now} of {N_TASKS}</b>: error {error_in_words(frame.matrix[now, now])} on it"
    if not now:
        return f"{words}. There is no old task yet: move <i>now at task</i> to the right."
    then, first, flat_line = frame.matrix[0, 0], frame.matrix[now, 0], float(np.square(frame.truths[1]).mean())
    words += (
        f". Task 1 had error {error_in_words(then)} when it was learned; now it has <b>{error_in_words(first)}</b>. "
    )
    if state.method == "MAML":
        again = f"each task is learned again, from its {state.memory} points." if state.memory else "no point is kept."
        return f"{words}θ never moved; {again}"
    if state.method == "joint":
        return f"{words}Nothing was forgotten in time: one curve cannot be several waves."
    if first >= flat_line:
        words += f"<b>Forgotten</b>: a flat line has {number(flat_line)}."
    else:
        words += "<b>Part of it is lost.</b>" if first > max(1.2 * then, 0.2 * flat_line) else "It is kept."
    return words + (" One curve cannot be several waves." if state.heads == 1 and state.rehearsed else "")


def error_in_words(error: float) -> str:
    """An error as a number of few digits, or as diverged."""
    return number(error) if error < GONE else "diverged"
