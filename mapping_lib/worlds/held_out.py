"""Who is held out when, of chicks, countries and thermometers: the individuals that every method meets alike."""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from mapping_lib.checks import check_choice
from mapping_lib.task import Task
from mapping_lib.worlds.curves import Curves, Growth, load
from mapping_lib.worlds.individuals import folds
from mapping_lib.worlds.sensors import ON_THE_DESK, Sensors

MAX_SHOTS = 6
FOLDS = {"chicks": 10, "countries": 5}
REPEAT = {"chicks": 10, "countries": 5, "sensors": 1}
"""How many supports are drawn by lot for each individual; the first observations are drawn once."""

N_TRAINING, N_JUDGED, SENSORS = 100, 600, Sensors()


class Study(NamedTuple):
    """Individuals, the part that each is held out in (-1: never, it only trains), and who is judged."""

    curves: Curves
    part: Tensor
    judged: Tensor
    allowed: Tensor | None

    @property
    def n_parts(self) -> int:
        """How many times everything is learned anew."""
        return int(self.part.max()) + 1


@cache
def study(data: str) -> Study:
    """The individuals of "chicks", "countries" or "sensors".

    One chick died after two observations; whoever has no observation left after `MAX_SHOTS` is not judged.

    >>> [(data, int(study(data).judged.sum()), study(data).n_parts) for data in ("chicks", "countries", "sensors")]
    [('chicks', 49, 10), ('countries', 188, 5), ('sensors', 600, 1)]
    """
    if check_choice("data", data, REPEAT) == "sensors":
        curves = SENSORS.measured(N_TRAINING + N_JUDGED, generator=torch.Generator().manual_seed(0))
        part = (torch.arange(N_TRAINING + N_JUDGED) >= N_TRAINING).long() - 1
        return Study(curves, part, part >= 0, ON_THE_DESK)
    curves = load(data)
    return Study(curves, folds(len(curves.names), FOLDS[data]), curves.values.isfinite().sum(-1) > MAX_SHOTS, None)


def training(data: str, part: int, order: str) -> Growth:
    """The individuals on whom everything that judges ``part`` is learned, standardised by themselves."""
    group = study(data)
    curves = group.curves.of(group.part != part)
    return Growth(curves, order, allowed=group.allowed).scaled_by(curves)


def judged(data: str, order: str, k_shot: int, *, generator: torch.Generator) -> Task:
    """All judged individuals, in the units of the data, repeated as `REPEAT` says; description is their number."""
    group = study(data)
    numbers = group.judged.nonzero()[:, 0]
    family = Growth(group.curves.of(numbers), order, allowed=group.allowed)
    task = family.everyone(k_shot, repeat=REPEAT[data] if order == "spread" else 1, generator=generator)
    return task._replace(description=numbers[task.description.long()].float())


@cache
def units(data: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each part's training values, ``(part,)`` each."""
    families = [training(data, f, "spread") for f in range(study(data).n_parts)]
    both = [(f.center, f.scale) for f in families]
    return torch.tensor(both, dtype=torch.float32).unbind(-1)


def errors_of(forecast: Tensor, task: Task, data: str) -> Tensor:
    """The mean squared error of every individual, over its later observations and its supports: ``(individual,)``.

    ``forecast (task, example, 1)`` answers ``task``, which is as from `judged`.

    >>> task = judged("chicks", "first", 3, generator=torch.Generator().manual_seed(0))
    >>> errors_of(torch.zeros_like(task.query.y), task, "chicks").shape
    torch.Size([49])
    """
    missed = (forecast - task.query.y).square()[..., 0].nanmean(-1)
    return missed.view(-1, int(study(data).judged.sum())).mean(0)
