"""Equal care, three seeds: is the lead of chapter 4a's prototypical network its episodes, or its head?

Joint training gets what the prototypical network has, an embedding of `methods.EMBEDDING` numbers that is read by
distance; the prototypical network gets what joint training then has, directions in place of places (`methods_cosine`).
All see as many images, each is trained with three seeds, and all meet the same episodes. What is kept are the right
answers *by letter*: a verdict is to hold for other letters and for another training, and 600 episodes are still those
of 102 letters.

    python -m mapping_lib.study few_shot_images --train --only seeds      # 7 minutes on one core

MAML and ANIL are not here: three seeds of each, with and without that head, would take ten times as long. Of their
order the chapter says what one training shows, and calls it no verdict.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mapping_lib.checks import check_choice
from mapping_lib.learners import MetaLearner
from mapping_lib.study.intervals import half_width
from mapping_lib.study.theta import load_settings, load_theta, save_numbers
from mapping_lib.study.training import GIVEN, Training
from mapping_lib.task import Params, Task
from mapping_lib.worlds.letters import Glyphs

from .methods import EMBEDDING, FILTERS, GLYPHS, directions, embedding
from .methods_cosine import SCALE
from .study_episodes import N_QUERY, SETTINGS, right_answers
from .study_training import TRAINING

FILE = Path(__file__).with_name("data") / "few_shot_seeds.npz"

SEEDS = (0, 1, 2)
"""Of training; fixed before any result was seen. Of seed 0 the first two theta are shipped."""

N_EPISODES, EPISODE_SEED, AT_ONCE = 600, 0, 10
"""The episodes of each setting, the same for all methods and seeds: those of the table of methods."""

N_LETTERS = len(Glyphs("held out").characters)


class Contestant(NamedTuple):
    """How one is trained, and the learner that reads its theta: ``learner(n_way=...)``."""

    training: Training
    learner: Callable[..., MetaLearner]


CONTESTANTS = {
    "joint, cosine": Contestant(TRAINING["joint_cosine"], directions),
    "prototypical": Contestant(TRAINING["prototypical"], embedding),
    "prototypical, cosine": Contestant(TRAINING["prototypical"]._replace(make=lambda: directions(20)), directions),
}
"""Joint training and episodes with one head; and the prototypical network as its paper has it."""

# Right answers, by letter -----------------------------------------------------------------------------


def episodes(setting: str, n: int) -> Iterator[tuple[Task, Tensor]]:
    """The first ``n`` episodes of a setting, ten at a time, with the letter of each query, ``(task, query)``."""
    about, generator = SETTINGS[check_choice("setting", setting, SETTINGS)], torch.Generator().manual_seed(EPISODE_SEED)
    family = GLYPHS.episodes("held out", about["n_way"], about["jitter"])
    for _ in range(n // AT_ONCE):
        tasks = family.sample(AT_ONCE, about["k_shot"], N_QUERY, generator=generator)
        yield tasks, tasks.description.long().gather(1, tasks.query.y)


def by_letter(learner: MetaLearner, theta: Params, setting: str, n: int = N_EPISODES) -> Tensor:
    """How many queries of each held-out letter were asked, and how many answered rightly, ``(2, letter)``.

    ``setting`` is a name in `SETTINGS`; the first ``n`` of its episodes are met, a multiple of ten.

    >>> learner = directions(5)
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> asked, right = by_letter(learner, theta, "5-way 1-shot", n=10)
    >>> int(asked.sum()), bool((right <= asked).all())
    (150, True)
    """
    counted = torch.zeros(2, N_LETTERS, dtype=torch.long)
    for tasks, letters in episodes(setting, n):
        is_right = right_answers(learner, theta, tasks)
        for row, ones in zip(counted, (torch.ones_like(is_right), is_right), strict=True):
            row.index_add_(0, letters.flatten(), ones.flatten().long())
    return counted


class Spread(NamedTuple):
    """A mean with the half widths of two 95 % intervals: over other ``letters``, and over other ``seeds`` of training.

    >>> Spread(0.02, 0.01, 0.03).shown, Spread(0.04, 0.01, 0.03).shown
    (False, True)
    """

    mean: float
    letters: float
    seeds: float

    @property
    def half(self) -> float:
        """The wider of the two."""
        return max(self.letters, self.seeds)

    @property
    def shown(self) -> bool:
        """Whether the mean is farther from 0 than either: it holds for other letters, and for another training."""
        return abs(self.mean) > self.half


def spread(scores: Tensor) -> Spread:
    """The mean of ``scores (seed, letter)``, each letter counted once, and how far other letters or seeds may move it.

    >>> spread(torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])).seeds
    0.0
    """
    return Spread(float(scores.mean()), half_width(scores.mean(0)), half_width(scores.mean(1)))


# What is stored ---------------------------------------------------------------------------------------


def described() -> dict:
    """All that the stored numbers hang on, as plain values."""
    return {
        "methods": {name: c.training.settings(*GIVEN) for name, c in CONTESTANTS.items()},
        "settings": dict(SETTINGS),
        "seeds": [*SEEDS],
        "episodes": {"n": N_EPISODES, "n_query": N_QUERY, "seed": EPISODE_SEED, "at_once": AT_ONCE},
        "embedding": EMBEDDING,
        "filters": [*FILTERS],
        "scale": SCALE,
    }


def save_seeds() -> Path:
    """Train every contestant with every seed, judge it in every setting, and write its right answers by letter."""
    counted = {}
    for name, contestant in CONTESTANTS.items():
        for seed in SEEDS:
            counted[name, seed] = judge(contestant.learner, contestant.training.theta(seed))
            asked, right = counted[name, seed].unbind(1)
            print(name, f"seed {seed}:", *(f"{share:.3f}" for share in right.sum(-1) / asked.sum(-1)), flush=True)
    return write(counted)


def judge(learner: Callable[..., MetaLearner], theta: Params) -> Tensor:
    """What `by_letter` counts in every setting, ``(setting, 2, letter)``."""
    theta = {name: p.float() for name, p in theta.items()}
    return torch.stack([by_letter(learner(n_way=s["n_way"]), theta, name, N_EPISODES) for name, s in SETTINGS.items()])


def write(counted: dict[tuple[str, int], Tensor]) -> Path:
    """Write what `judge` gave for each contestant and seed, with the settings that made it."""
    every = torch.stack([torch.stack([counted[name, seed] for seed in SEEDS]) for name in CONTESTANTS])
    return save_numbers(FILE, {"counted": every.short()}, described())


@cache
def read_seeds() -> dict[tuple[str, str], Tensor]:
    """Read the stored accuracies: ``(seed, letter)`` for each method and setting.

    >>> read_seeds()["joint, cosine", "5-way 1-shot"].shape
    torch.Size([3, 102])
    """
    about, counted = load_settings(FILE), load_theta(FILE)["counted"]
    asked, right = counted.unbind(3)  # of (method, seed, setting, 2, letter)
    pairs = ((i, j, m, s) for i, m in enumerate(about["methods"]) for j, s in enumerate(about["settings"]))
    return {(method, setting): (right / asked)[i, :, j] for i, j, method, setting in pairs}


def difference(method: str, rival: str, setting: str) -> Spread:
    """How much more often a method is right than its rival, with the intervals over letters and over seeds.

    >>> difference("prototypical", "prototypical", "5-way 1-shot").mean
    0.0
    """
    table = read_seeds()
    return spread(table[method, setting] - table[rival, setting])
