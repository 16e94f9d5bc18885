"""How the suite's numbers are made, stored and read: theta, and tables of what each method gains.

Each wing that has numbers says in its `study` how they come about: `RECIPES` make its theta, most of them by a
`training`; `TABLES` measure. What several chapters share is in `sinusoids`. What is stored is found by folder: no wing
is imported to read its tables. One command makes everything again:

    python -m mapping_lib.study                      # every table, with the shipped theta
    python -m mapping_lib.study language             # those of one wing
    python -m mapping_lib.study language --train     # its theta first, then its tables
    python -m mapping_lib.study sinusoids --train --only maml      # the theta whose names have this word
    python -m mapping_lib.study language --tune      # print how its settings were chosen
    python -m mapping_lib.study language --intervals # keep its tables' scores, make their units and intervals anew
"""

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_choice, check_count
from mapping_lib.study.rows import Row
from mapping_lib.study.theta import load_theta
from mapping_lib.task import Params

LIBRARY = Path(__file__).parent.parent

SHARED = "sinusoids"
"""The part that no single wing owns: it lies in this folder."""

OWN = "episode"
"""The unit of a table that names none: every score is of a task drawn anew, and a unit of its own."""


class Recipe(NamedTuple):
    """How one shipped theta is made: ``train() -> theta``, and the plain ``settings`` that it hangs on, the seed too.

    >>> Recipe(lambda: {"w": torch.zeros(1)}, {"outer_steps": 0, "seed": 0}).train()
    {'w': tensor([0.])}
    """

    train: Callable[[], Params]
    settings: dict


class Tolerance(NamedTuple):
    """How near to the stored scores those must come that are measured again, on any processor.

    ``of`` says what must be ``within``: "each score" the mean distance of the scores; "most scores" their median
    distance, where rounding sends a few episodes another way; "the mean" the distance of the two means, where it
    decides every single score. ``sample`` is how many scores are measured again (default: `Table.at_once`). Where the
    number comes from is said beside it: about five times the most that was seen when theta and data were moved by a
    relative 1e-6 (``python tests/stability.py``), or on processors without AVX.

    >>> stored, again = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.5, 2.0])
    >>> [round(Tolerance(0.1, of).moved(again, stored), 2) for of in ("each score", "most scores", "the mean")]
    [0.5, 0.5, 0.17]
    """

    within: float
    of: str = "each score"
    sample: int | None = None

    def moved(self, again: Tensor, stored: Tensor) -> float:
        """How far the scores ``again`` have come from the ``stored`` ones."""
        away = again.double() - stored.double()
        measures = {"each score": away.abs().mean(), "most scores": away.abs().median(), "the mean": away.mean().abs()}
        return float(measures[check_choice("of", self.of, measures)])


class Table(NamedTuple):
    """What is measured, how, and with which settings.

    ``score(method, setting, n, generator) -> (n,)`` gives the score of ``n`` episodes, one number each; two methods
    with generators of the same seed meet the same episodes. ``settings`` name the columns and what is fixed in each
    (plain values, stored with the numbers), ``fixed`` what is the same in all of them. ``n`` episodes are drawn
    ``at_once`` at a time; where the data has fewer individuals, ``n`` is all of them and ``at_once`` too.
    ``tolerance`` says how far the scores may move on another processor, ``rough`` it of methods that move farther.

    ``unit`` names what another draw would draw anew, and so what intervals are over. Where several scores share one,
    ``units(setting, n, generator)`` draws the same episodes as ``score`` and says which units each is of: ``(n,)``, or
    ``(n, r)`` (`intervals.half_width`).
    """

    measure: str
    methods: tuple[str, ...]
    settings: Mapping[str, dict]
    score: Callable[[str, str, int, Generator], Tensor]
    fixed: dict = {}  # noqa: RUF012 (a NamedTuple's default is never changed)
    n: int = 600
    at_once: int = 20
    seed: int = 0
    tolerance: Tolerance = Tolerance(1e-3)
    rough: Mapping[str, Tolerance] = {}
    unit: str = OWN
    units: Callable[[str, int, Generator], Tensor] | None = None

    def again(self, method: str, setting: str) -> tuple[Row, Tolerance]:
        """Measure the first scores of a cell anew; with it comes how near to the stored ones they must be."""
        tolerance = self.rough.get(method, self.tolerance)
        return measure(self, method, setting, n=tolerance.sample or self.at_once), tolerance

    def described(self) -> dict:
        """Everything that the numbers hang on, as plain values."""
        fixed = {**self.fixed, "n": self.n, "at_once": self.at_once, "seed": self.seed}
        unit = {} if self.unit == OWN else {"unit": self.unit}
        about = {"measure": self.measure, "methods": [*self.methods], "settings": dict(self.settings), "fixed": fixed}
        return about | unit


def measure(table: Table, method: str, setting: str, *, n: int | None = None) -> Row:
    """Measure one cell of a table anew; with a smaller ``n`` its first scores alone.

    >>> table = Table("a lot", ("draw",), {"once": {}}, lambda method, setting, n, g: torch.rand(n, generator=g), n=60)
    >>> torch.equal(measure(table, "draw", "once").scores[:20], measure(table, "draw", "once", n=20).scores)
    True
    """
    check_choice("method", method, table.methods)
    check_choice("setting", setting, table.settings)
    n = check_count("n", table.n if n is None else n, at_least=1)
    scores = _at_once(table, n, lambda some, generator: table.score(method, setting, some, generator))
    return Row.of(method, setting, scores, units_of(table, setting, n))


def units_of(table: Table, setting: str, n: int) -> Tensor | None:
    """The units of the first ``n`` episodes of a setting, int32; None where each is its own."""
    if table.units is None:
        return None
    return _at_once(table, n, lambda some, generator: table.units(setting, some, generator)).to(torch.int32)


def _at_once(table: Table, n: int, draw: Callable[[int, Generator], Tensor]) -> Tensor:
    generator = torch.Generator().manual_seed(table.seed)
    return torch.cat([draw(table.at_once, generator) for _ in range(-(-n // table.at_once))])[:n]


UNITS = "units of "
"""What is written before the name of a setting, for the array of its units."""


def save_table(folder: Path, name: str, table: Table, rows: list[Row]) -> Path:
    """Write a table to ``folder``; return the path of the .json file.

    ``<name>.json`` has what the numbers hang on, and each row's mean with its interval; ``<name>.npz`` the scores,
    and by setting the units of those that share some.
    """
    means = [
        [row.method, row.setting, *(float(f"{value:.5g}") for value in (row.mean, row.low, row.high))] for row in rows
    ]
    lines = ",\n".join(json.dumps(line, ensure_ascii=False) for line in means)
    about = json.dumps(table.described(), ensure_ascii=False)
    path = folder / f"{name}.json"
    path.write_text(
        '{"about": ' + about + ',\n"method, setting, mean, low, high": [\n' + lines + "\n]}\n", encoding="utf-8"
    )
    arrays = {"scores": torch.stack([row.scores for row in rows]).numpy()}
    arrays |= {UNITS + row.setting: row.units.numpy() for row in rows if row.units is not None}
    np.savez_compressed(path.with_suffix(".npz"), **arrays)
    return path


def read_table(name: str) -> dict[tuple[str, str], Row]:
    """Read a stored table: its rows by ``(method, setting)``.

    Raises FileNotFoundError, with the command that makes it, for a table that is not there.
    """
    keys = [(method, setting) for method, setting, *_ in _stored(name)["method, setting, mean, low, high"]]
    with np.load(_found("tables", name), allow_pickle=False) as file:
        scores = torch.from_numpy(file["scores"])
        units = {key.removeprefix(UNITS): torch.from_numpy(file[key]) for key in file.files if key.startswith(UNITS)}
    return {key: Row(*key, row, units.get(key[1])) for key, row in zip(keys, scores, strict=True)}


def read_about(name: str) -> dict:
    """Read what the numbers of a stored table hang on: the measure, methods, settings, episodes, seed and unit."""
    return _stored(name)["about"]


def parts() -> dict[str, str]:
    """Whatever has a study, `SHARED` and the wings, by name: the name of its module."""
    wings = sorted(path.parent.name for path in LIBRARY.glob("chapters/*/study.py"))
    return {SHARED: f"mapping_lib.study.{SHARED}"} | {wing: f"mapping_lib.chapters.{wing}.study" for wing in wings}


def module_of(part: str) -> ModuleType:
    """The module that says how the numbers of a part come about."""
    modules = parts()
    return import_module(modules[check_choice("part", part, modules)])


def tables() -> dict[str, Table]:
    """All tables, by name."""
    return {name: table for part in parts() for name, table in module_of(part).TABLES.items()}


def recipes() -> dict[str, Recipe]:
    """The recipes of all shipped theta, by the name of their file."""
    return {name: recipe for part in parts() for name, recipe in module_of(part).RECIPES.items()}


def stored(folder: str) -> dict[str, Path]:
    """The .npz files in all of the library's folders of this name, "tables" or "weights": their paths, by name."""
    return {path.stem: path for path in sorted(LIBRARY.rglob(f"{folder}/*.npz"), key=lambda path: path.stem)}


def theta_path(name: str) -> Path:
    """Where a shipped theta lies."""
    return _found("weights", name)


def shipped_theta(name: str) -> Params:
    """Read the shipped theta of an application's recipe."""
    return load_theta(theta_path(name))


def widened_theta(name: str) -> Params:
    """Read a shipped theta that was rounded to 16 bits, as tensors of 32 bits again."""
    return {part: p.float() for part, p in shipped_theta(name).items()}


def _stored(name: str) -> dict:
    return json.loads(_found("tables", name).with_suffix(".json").read_text(encoding="utf-8"))


def _found(folder: str, name: str) -> Path:
    paths = stored(folder)
    if name not in paths:
        raise FileNotFoundError(
            f"name is {name!r}, and nothing of this name is stored; allowed: {', '.join(paths)}."
            " Tables and trained theta are made by: python -m mapping_lib.study"
        )
    return paths[name]
