"""What the explorer of the map carries: each application at each K, against both opponents, in three units."""

import math
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mapping_lib.study import Row, plain
from mapping_lib.study.gains import ERRORS, Gain, error_removed
from mapping_lib.study.intervals import half_width
from mapping_lib.study.plain import ALONE, LEARNED, TOGETHER, Case, group_of


class Application(NamedTuple):
    """Which of `plain.cases` stand for it, by K; what is then shown of a task, and what its intervals are over.

    ``unit`` is its own unit of error, ``times`` so many of which are one of the table's.
    """

    cases: dict[int, str]
    shows: str
    units: str
    unit: str = "percentage points"
    times: float = 100.0


def _people(name: str, most: int, *unit: Any) -> Application:
    cases = {k: f"{name}, spread, {k}" for k in range(1, most + 1)}
    return Application(cases, "{k_shown:observation}, drawn by lot", name, *unit)


def _images(n_way: int) -> Application:
    cases = {k: f"images, {n_way}-way {k}-shot" for k in (1, 5)}
    return Application(cases, "{k_shown:image} of each letter", "letters")


LANGUAGE = {k: f"language, {k}-shot" for k in (1, 2, 5, 10, 20)}
UPDATES = {1: "walks, 1 update", 2: "walks, 2 updates", 3: "walks, 3 updates"}
APPLICATIONS = {
    "images, 5 letters": _images(5),
    "images, 20 letters": _images(20),
    "chicks": _people("chicks", 5, "g²", 1.0),
    "countries": _people("countries", 5, "(births per woman)²", 1.0),
    "customers": _people("customers", 6),
    "sensors": _people("sensors", 5, "°C²", 1.0),
    "language": Application(LANGUAGE, "{k_shown:name} of each language", "languages"),
    "walks": Application(UPDATES, "{k_shown:update}", "goals", "points of return", 1.0),
    "new pair, 3 steps": Application({5: "pair of digits, 3 steps"}, "ten images", "episodes"),
    "new pair, 50 steps": Application({5: "pair of digits, 50 steps"}, "ten images", "episodes"),
    "new labels, 3 steps": Application({1: "labels dealt anew, 3 steps"}, "ten images", "episodes"),
    "new labels, 50 steps": Application({1: "labels dealt anew, 50 steps"}, "ten images", "episodes"),
    "settings, waves": Application({1: "settings, waves"}, "three searches", "searches", "of squared error", 1.0),
    "settings, digits": Application({1: "settings, digits"}, "three searches", "searches"),
}
KS = (1, 2, 3, 4, 5, 6, 10, 20)
AGAINST = {"alone": ALONE, "together": TOGETHER}
GROUPS = (LEARNED, TOGETHER, ALONE)
UNITS = ("share", "own", "tasks")


@cache
def cases() -> list[tuple[str, int, Case]]:
    """Application, K and case, one after the other."""
    by_label = {case.label: case for case in plain.cases()}
    return [(name, k, by_label[label]) for name, about in APPLICATIONS.items() for k, label in about.cases.items()]


def nearest(application: str, k: int) -> int:
    """Which K of an application, by its place in `cases`, is nearest in ratio; in doubt the smaller."""
    own = [(max(k / of, of / k), place) for place, (name, of, _) in enumerate(cases()) if name == application]
    return min(own)[1]


def methods(application: str) -> list[str]:
    """Those of an application, group by group, but for those that are told more: in a group as its table has them."""
    rows = next(case for name, _, case in cases() if name == application).rows
    return [row.method for group in GROUPS for row in rows if group_of(row.method) == group]


def best_of(case: Case, group: str) -> Row:
    """The best method of a group, on average."""
    return plain.best([row for row in case.rows if group_of(row.method) == group], case.measure)


def gains(application: str, case: Case, method: Row, other: Row) -> list[Gain]:
    """What a method gains over another, in each of `UNITS`."""
    share = error_removed(method, other, case.measure)
    less = ERRORS[case.measure](other.scores.double()) - ERRORS[case.measure](method.scores.double())
    own, better = (around(values, method) for values in (APPLICATIONS[application].times * less, (less.sign() + 1) / 2))
    if better.mean in (0, 1):  # all, or none: the rule of three (Hanley & Lippman-Hand 1983)
        beyond = 3 / method.n_units
        better = Gain(better.mean, 1 - beyond, 1.0) if better.mean else Gain(0.0, 0.0, beyond)
    return [share, own, Gain(better.mean, max(better.low, 0.0), min(better.high, 1.0))]


def around(values: Tensor, row: Row) -> Gain:
    """A mean with the interval that the units of a row allow."""
    mean, half = float(values.mean()), half_width(values, row.units)
    return Gain(mean, mean - half, mean + half)


def nice(value: float) -> float:
    """The next of 1, 2, 5, 10 ... that is not smaller.

    >>> [nice(value) for value in (0.013, 2, 340)]
    [0.02, 2.0, 500.0]
    """
    power = 10.0 ** math.floor(math.log10(value))
    return float(f"{next(power * m for m in (1, 2, 5, 10) if power * m >= value * 0.999):.3g}")


# As arrays ------------------------------------------------------------------------------------------------

METHODS = sorted({row.method for _, _, case in cases() for row in case.rows})
SLOTS = max(len(methods(name)) for name in APPLICATIONS)
ROWS = len(APPLICATIONS)
"""How many lines a list of methods has room for; groups have a title each."""


@cache
def carried() -> dict[str, Tensor]:
    """The constants of the explorer's program. A method's slot is its place in `methods`; what is not there is nan.

    ``table`` has, by case, opponent, unit and slot, a gain with its interval, in units of ``scale`` (a factor, and what
    means "no gain"); ``leads`` and ``rivals`` the slots of the best learner and of the opponent.
    """
    pairs = [_pair(name, case, against) for name, _, case in cases() for against in AGAINST]
    layouts = [_layout(name) for name in APPLICATIONS]
    return {
        "table": torch.cat([table for table, *_ in pairs]),
        "scale": torch.cat([scale for _, scale, *_ in pairs]),
        "leads": _numbers(lead for *_, lead, _ in pairs),
        "rivals": _numbers(rival for *_, rival in pairs),
        "at_k": _numbers([nearest(name, k) for k in KS] for name in APPLICATIONS),
        "about": _numbers([k, case.rows[0].n_units] for _, k, case in cases()),
        "ids": _numbers(_filled([METHODS.index(m) for m in methods(name)]) for name in APPLICATIONS),
        "rows": torch.stack([rows for rows, _, _ in layouts]),
        "heads": torch.stack([heads for _, heads, _ in layouts]),
        "method_rows": torch.stack([by_method for _, _, by_method in layouts]),
    }


def _pair(application: str, case: Case, against: str) -> tuple[Tensor, Tensor, int, int]:
    """The table ``(unit, slot, 3)`` and scale ``(unit, 2)`` of one case and opponent, the two slots."""
    names, by_name = methods(application), {row.method: row for row in case.rows}
    other = best_of(case, AGAINST[against])
    found = [gains(application, case, by_name[name], other) for name in names]
    lead, together = (best_of(case, group).method for group in (LEARNED, TOGETHER))
    most = max(abs(end) for name in (lead, together) for end in found[names.index(name)][1])
    scale = _numbers([[1, 0], [nice(1.5 * most), 0], [0.5, 0.5]])
    table = torch.full((len(UNITS), SLOTS, 3), float("nan"), dtype=torch.float32)
    table[:, : len(names)] = (_numbers(found).transpose(0, 1) - scale[:, None, 1:]) / scale[:, None, :1]
    return table, scale, names.index(lead), names.index(other.method)


def _layout(application: str) -> tuple[Tensor, Tensor, Tensor]:
    """From the top: the heights of the slots, of the groups' titles, and of all methods."""
    names = methods(application)
    pitch = min(1.5, ROWS / (len(names) + len(GROUPS)))
    heights, titles, row = {}, [], ROWS - pitch / 2
    for group in GROUPS:
        titles.append(row)
        for name in (name for name in names if group_of(name) == group):
            heights[name] = row = row - pitch
        row -= pitch
    by_method = [heights.get(name, float("nan")) for name in METHODS]
    return _numbers(_filled([heights[name] for name in names])), _numbers(titles), _numbers(by_method)


def _filled(numbers: list[float]) -> list[float]:
    return numbers + [float("nan")] * (SLOTS - len(numbers))


def _numbers(values: Any) -> Tensor:
    return torch.tensor(list(values), dtype=torch.float32)
