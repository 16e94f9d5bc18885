"""Fewer numbers to adapt: how many numbers a task may change, and what is lost by it, on the waves.

Every part of the paper's network is meta-trained alike: `OUTER_STEPS` outer steps of 25 waves, three seeds, its step
size chosen by `study_fewer_tuning` among the same trials. The hypernetworks write from (amplitude, phase).

    python -m mapping_lib.study what_came_after --train --only after_    # 4 minutes on one quiet core
"""

from functools import lru_cache, partial
from typing import NamedTuple

from torch import nn

from mapping_lib.checks import check_choice
from mapping_lib.learners import MetaLearner
from mapping_lib.networks import functional, mlp
from mapping_lib.study import Recipe, Tolerance, widened_theta
from mapping_lib.study.sinusoids import SEEDS, SIZES, shipped
from mapping_lib.study.training import TOLD, Training, rounded
from mapping_lib.task import Params

from .methods_fewer_numbers import few_numbers, written_numbers
from .methods_fewer_parts import Choice, context, low_rank, only
from .study_contestants import Contestant, table_of, waves

OUTER_STEPS = 2000
"""A tenth of chapter 3's, whose network and seeds these are."""

PARTS: dict[str, Choice] = {
    "context parameters": context(4),
    "head only": only("head"),
    "biases only": only("biases"),
    "LoRA, rank 1": low_rank(1),
    "LoRA, rank 2": low_rank(2),
    "all weights": only("all"),
}
"""What a task may change, from few numbers to all."""

WRITES = "hypernetwork writes LoRA"


class Tuned(NamedTuple):
    """What was chosen on validation waves: the step size, the steps in training, and the steps afterwards."""

    alpha: float
    steps: int
    after: int


TUNED = {
    "context parameters": Tuned(0.3, 2, 10),
    "head only": Tuned(0.03, 2, 5),
    "biases only": Tuned(0.3, 2, 10),
    "LoRA, rank 1": Tuned(0.03, 2, 10),
    "LoRA, rank 2": Tuned(0.03, 2, 10),
    "all weights": Tuned(0.03, 2, 10),
}
"""Rank 2 takes what rank 1 was given; all others had the same ten trials each."""


def training(part: str, alpha: float, steps: int, outer_steps: int = OUTER_STEPS) -> Training:
    """Training of one part on the waves; what is not said is chapter 3's."""
    make = partial(few_numbers, mlp(SIZES), nn.functional.mse_loss, part=PARTS[check_choice("part", part, PARTS)])
    inner = {"alpha": alpha, "steps": steps}
    return Training(make, waves(), outer_steps, inner=inner, keep=rounded, label=part, type="(θ, S) ↦ a few numbers")


def count(part: str) -> int:
    """How many numbers are new for a task.

    >>> {part: count(part) for part in ("context parameters", "head only", "LoRA, rank 1")}
    {'context parameters': 4, 'head only': 41, 'LoRA, rank 1': 162}
    """
    return PARTS[check_choice("part", part, PARTS)](functional(mlp(SIZES))).count


def _writes() -> MetaLearner:
    writer = mlp((2, 64, 32, count("LoRA, rank 1")))
    return written_numbers(mlp(SIZES), nn.functional.mse_loss, part=low_rank(1), writer=writer)


TRAINING: dict[str, Training] = {part: training(part, tuned.alpha, tuned.steps) for part, tuned in TUNED.items()} | {
    WRITES: Training(
        _writes,
        waves(),
        OUTER_STEPS,
        **{"beta": 0.002, "k_shot": 0, "n_query": 20, "keep": rounded, "label": WRITES, "type": "d ↦ a few numbers"},
    )
}
"""What is trained. The hypernetwork is trained as 3b's, which writes all weights, half as long."""

SEEDS_OF = dict.fromkeys(TRAINING, SEEDS) | dict.fromkeys(("head only", WRITES), SEEDS[:1])
"""The seeds of each: where no verdict hangs on it, there is one."""


def file_of(name: str, seed: int = 0) -> str:
    """The name of the file that holds a theta.

    >>> file_of("LoRA, rank 1", 2)
    'after_lora_rank_1_2'
    """
    return f"after_{name.lower().replace(',', '').replace(' ', '_')}_{seed}"


RECIPES: dict[str, Recipe] = {
    file_of(name, seed): training.recipe("label", "type", *TOLD, seed=seed, stored="16 bits")
    for name, training in TRAINING.items()
    for seed in SEEDS_OF[name]
}


@lru_cache(maxsize=32)
def ready(name: str, seed: int = 0) -> tuple[MetaLearner, Params]:
    """One of `TRAINING` as it is measured: its learner, and its shipped theta in 32 bits again.

    >>> learner, theta = ready("context parameters")
    >>> {p.dtype for p in theta.values()}
    {torch.float32}
    """
    learner = TRAINING[check_choice("name", name, TRAINING)].learner()
    return learner, widened_theta(file_of(name, seed))


def _contestant(part: str) -> Contestant:
    maps = "(θ, S) ↦ φ" if part == "all weights" else "(θ, S) ↦ a few numbers"
    return Contestant(partial(ready, part), maps, f"{count(part):,}", "tasks", TUNED[part].after, SEEDS_OF[part])


CONTESTANTS: dict[str, Contestant] = {part: _contestant(part) for part in TUNED} | {
    WRITES: Contestant(partial(ready, WRITES), "d ↦ a few numbers", str(count("LoRA, rank 1")), "tasks, and d"),
    "hypernetwork": Contestant(
        lambda seed: shipped("hypernetwork"), "d ↦ φ", f"{count('all weights'):,}", "tasks, and d"
    ),
}

WHERE_STEPS_DIVERGE = Tolerance(1e-3, "most scores")
"""Where ten steps nearly diverge, rounding decides a few errors."""

_ROWS = table_of(CONTESTANTS)
TABLES = {"after_fewer_numbers": _ROWS._replace(rough=dict.fromkeys(_ROWS.methods, WHERE_STEPS_DIVERGE))}
