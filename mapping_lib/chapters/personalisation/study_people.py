"""Who can be chosen as somebody new, and all that was learned without them: what a page has to carry, as tensors."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mapping_lib.learners.gradient import ALPHA_PREFIX

from . import methods_curves as curves
from . import methods_customers as customers
from .methods_individual import MAX_SHOTS

KINDS = {"chicks": 0, "countries": 1, "sensors": 2, "customers": 3}
PARTS = {"chicks": (5, 6, 7, 4), "countries": (0, 1), "sensors": (0,)}
"""The parts whose individuals can be chosen: a theta of MAML for each, in two orders, is what the page has to carry."""

ROWS = [(data, part) for data, parts in PARTS.items() for part in parts]
N_WHO, PLACES, QUESTIONS, SLOTS = 20, 52, 12, MAX_SHOTS + 2
"""Individuals of each kind; places of the longest curve, questions to a customer; slots for observations, two more than
are used: whoever traces a program with seven observations must not see all slots taken."""

ENDS = {"chicks": (0.0, 21.0), "countries": (1960.0, 2011.0), "sensors": (-20.0, 100.0), "customers": (1.0, 12.0)}
"""What the first and the last place of each kind are called."""


def whom() -> dict[str, tuple[str, int]]:
    """The individuals that can be chosen, by name: kind and number.

    >>> whom()["chick 6"], len(whom())
    (('chicks', 5), 79)
    """
    found = {}
    for data in KINDS:
        if data == "customers":
            judged = np.arange(customers.N_CUSTOMERS)
        else:
            study = curves.study(data)
            here = torch.isin(study.part, torch.tensor(PARTS[data], dtype=torch.int64))
            judged = (study.judged & here).nonzero()[:, 0].numpy()
        places = np.linspace(0, len(judged) - 1, min(N_WHO, len(judged))).round().astype(int)
        found |= {called(data, int(i)): (data, int(i)) for i in judged[places]}
    return found


def called(data: str, i: int) -> str:
    """The name of an individual.

    >>> called("sensors", 4), called("customers", 0)
    ('thermometer 5', 'customer 1')
    """
    if data in ("sensors", "customers"):
        return f"{'thermometer' if data == 'sensors' else 'customer'} {i + 1}"
    return curves.study(data).curves.names[i]


WHOM = whom()


def places_of(data: str, i: int) -> dict[str, Any]:
    """One individual's places, padded with its last one, and what is known there."""
    if data == "customers":
        there = opened = customers.everyone()[0].choices[i] >= 0
        values = torch.zeros(QUESTIONS, dtype=torch.float32)
        x = torch.linspace(-1, 1, QUESTIONS, dtype=torch.float32)
    else:
        study = curves.study(data)
        values, there, x = study.curves.values[i], study.curves.values[i].isfinite(), curves.Growth(study.curves).x
        opened = there if study.allowed is None else there & study.allowed
    n = len(x)
    last = torch.arange(PLACES).clamp(max=n - 1)
    known = there.nonzero()[:, 0]
    nearest = known[(torch.arange(n)[:, None] - known).abs().argmin(-1)]
    inside = torch.arange(PLACES) < n
    return {
        "highest": values.nan_to_num().max(),
        "x": x[last],
        "truth": values.nan_to_num()[last],
        "open_": opened[last] & inside,
        "there": there[last] & inside,
        "valid": inside,
        "fill": (nearest if data == "customers" else torch.arange(n))[last],
        "truth_fill": nearest[last],
    }


def numbers_of(data: str, i: int, place: int) -> dict[str, Any]:
    """Where an individual's theta are, and the units of its curve."""
    part, row = 0, 0
    center, scale = 0.0, 1.0
    if data == "customers":
        part = int(customers.everyone()[1][i])
    else:
        own = int(curves.study(data).part[i])
        row = ROWS.index((data, own))
        center, scale = (float(t[own]) for t in curves.units(data))
    member = place if data == "customers" else 0
    return {"kind": KINDS[data], "row": row, "part": part, "member": member, "center": center, "scale": scale}


def row_of(data: str, part: int) -> dict[str, Any]:
    """What is learned of everybody but one part: for the population, an own fit, MAML in two orders, mixed effects."""
    theta = curves.theta_of("mixed effects", data, "all")
    orders = ("spread", "spread" if data == "sensors" else "first")
    penalties = [curves.tuned_penalties(data, order)[part] for order in orders]
    ridges = torch.stack([torch.cat([p, p[-1:], p[-1:]]).rsqrt() for p in penalties])
    mamls = [{n: p[part] for n, p in curves.theta_of("MAML", data, order).items()} for order in orders]
    population = curves.population(data)[part]
    return {
        "mean": theta["mean"][part],
        "factor": theta["factor"][part],
        "noise": theta["log_noise"][part],
        "own": torch.cat([torch.zeros_like(ridges[..., :1]), ridges], -1),
        "population": population[torch.arange(PLACES).clamp(max=len(population) - 1)],
        "mamls": mamls,
    }


@cache
def constants() -> dict[str, Any]:
    """Individuals, and what was learned without them."""
    buyers = [i for data, i in WHOM.values() if data == "customers"]
    place = {("customers", i): n for n, i in enumerate(buyers)}
    everyone = [places_of(*who) | numbers_of(*who, place.get(who, 0)) for who in WHOM.values()]
    rows = [row_of(*row) for row in ROWS]
    mamls = [theta for row in rows for theta in row.pop("mamls")]
    names = [name for name in mamls[0] if name not in ("center", "scale") and not name.startswith(ALPHA_PREFIX)]
    choices, widths = customers.everyone()[0], customers.tuned_widths()
    return {
        "people": stacked(everyone),
        "rows": stacked(rows),
        "mamls": [torch.stack([theta[name] for theta in mamls]) for name in names],
        "rates": torch.stack([theta[ALPHA_PREFIX + names[0]].flatten()[0] for theta in mamls]),
        "buyers": {"offers": choices.offers[buyers], "chosen": choices.choices[buyers].float()},
        "parts": {
            "theta": {name: dict(customers.theta_of(name)) for name in ("population", "MAML", "mixed effects")},
            "widths": torch.cat([widths, widths[:, -1:], widths[:, -1:]], 1),
        },
        "inner_steps": torch.tensor(float(curves.INNER_STEPS), dtype=torch.float32),
    }


def stacked(parts: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Dictionaries of numbers with the same names as one of tensors.

    >>> stacked([{"part": 1}, {"part": 3}])
    {'part': tensor([1., 3.])}
    """
    return {name: torch.stack([torch.as_tensor(part[name]).float() for part in parts]) for name in parts[0]}


class Carried(Mapping):
    """`constants`, made when they are first asked for: to tune the own fits takes seconds."""

    def __getitem__(self, name: str) -> Any:
        return constants()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(constants())

    def __len__(self) -> int:
        return len(constants())
