"""What each fault of the clinic does to training: for ten programs what they print, and what their theta are worth.

Everything is stored in one file, which the explorer reads (`data/README.md`):

    python -m mapping_lib.study clinic --train
"""

from functools import cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mapping_lib.study.theta import load_theta, save_numbers
from mapping_lib.task import Params

from .methods import ALPHA, BETA, CASES, DRAWN, JUDGED, OUTER_STEPS, SEEDS, STEPS, begin, judge, stream

FILE = Path(__file__).with_name("data") / "clinic_training.npz"

BLOCK = 25
"""Every so many outer steps theta is judged; what was printed meanwhile is averaged."""

SETTINGS = {"programs": [*CASES], "alpha": ALPHA, "beta": BETA, "outer steps": OUTER_STEPS, "seeds": [*SEEDS]}
SETTINGS |= {"block": BLOCK, "drawn": DRAWN, "judged": JUDGED | {"steps": STEPS, "seed": 100}}
"""All that the stored numbers hang on."""


class History(NamedTuple):
    """``theta`` leads with ``program``, and is that of the first seed after the last outer step.

    ``printed (program, seed, block)`` are mean meta-losses, ``errors (program, seed, block + 1, step)`` mean errors on
    600 new tasks after 0 ... 5 inner steps, before training and after each block. Programs stand as in `CASES`.
    """

    theta: Params
    printed: Tensor
    errors: Tensor


def trained(name: str, seed: int, blocks: int = OUTER_STEPS // BLOCK) -> tuple[Params, Tensor, Tensor]:
    """Train one program: its theta, what it printed by block, and its errors before training and after each block."""
    theta = dict(begin(seed)[0].named_parameters())
    run, printed, errors = stream(CASES[name].recipe, seed), [], [judge(theta).mean]
    for _ in range(blocks):
        some, thetas = zip(*islice(run, BLOCK), strict=True)
        theta = thetas[-1]
        printed.append(sum(some) / BLOCK)
        errors.append(judge(theta).mean)
    theta = {key: p.detach().clone() for key, p in theta.items()}
    return theta, torch.tensor(printed, dtype=torch.float32), torch.stack(errors)


def save_training() -> Path:
    """Train all programs with all seeds and write what came of it; 3 minutes on one core."""
    thetas, printed, errors = zip(*(trained(name, seed) for name in CASES for seed in SEEDS), strict=True)
    shape = len(CASES), len(SEEDS)
    numbers = {key: torch.stack([theta[key] for theta in thetas[:: len(SEEDS)]]) for key in thetas[0]}
    numbers["printed"] = torch.stack(printed).unflatten(0, shape)
    numbers["errors"] = torch.stack(errors).unflatten(0, shape)
    return save_numbers(FILE, numbers, SETTINGS)


@cache
def history() -> History:
    """Read the stored training.

    >>> history().errors.shape, history().theta["2.weight"].shape
    (torch.Size([10, 3, 41, 6]), torch.Size([10, 40, 40]))
    """
    stored = load_theta(FILE)
    printed, errors = stored.pop("printed"), stored.pop("errors")
    return History(stored, printed, errors)


RECIPES: dict = {}
TABLES: dict = {}
OTHERS = {"clinic_training": save_training}
