"""The applications of chapter 4. How each theta was made, and the table of what each method gains.

One file an application. Its `RECIPES` train the theta that are shipped; its `TABLES`
say how every number of its chapter is measured. The numbers lie in the `tables/` of its wing, with the settings
and seeds that made them. One command makes them again:

    python -m mapping_lib.study                      # every table, with the shipped theta
    python -m mapping_lib.study few_shot_images      # those of one application
    python -m mapping_lib.study --train language     # its theta first, then its tables
"""

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_choice, check_count
from mapping_lib.study.theta import load_theta
from mapping_lib.task import Params

LIBRARY = Path(__file__).parent.parent

APPLICATIONS: dict[str, str] = {
    "few_shot_images": "mapping_lib.chapters.few_shot_images.study",
    "personalisation": "mapping_lib.chapters.personalisation.study",
    "language": "mapping_lib.chapters.language.study",
    "reinforcement_learning": "mapping_lib.chapters.reinforcement_learning.study",
    "multitask_and_continual": "mapping_lib.chapters.multitask_and_continual.study",
    "automl": "mapping_lib.chapters.automl.study",
}
"""The modules whose recipes and tables these are, in the order of their chapters 4a to 4f."""


class Recipe(NamedTuple):
    """How one shipped theta is made: ``train() -> theta`` with the seed that the ``settings`` name.

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

    def again(self, method: str, setting: str) -> tuple["Row", Tolerance]:
        """Measure the first scores of a cell anew; with it comes how near to the stored ones they must be."""
        tolerance = self.rough.get(method, self.tolerance)
        return measure(self, method, setting, n=tolerance.sample or self.at_once), tolerance

    def described(self) -> dict:
        """Everything that the numbers hang on, as plain values."""
        fixed = {**self.fixed, "n": self.n, "at_once": self.at_once, "seed": self.seed}
        return {"measure": self.measure, "methods": [*self.methods], "settings": dict(self.settings), "fixed": fixed}


class Row(NamedTuple):
    """The scores of one method in one setting; ``low`` and ``high`` bound the mean by its 95 % interval.

    >>> row = Row.of("maml", "1-shot", torch.tensor([1.0, 2.0, 3.0]))
    >>> round(row.mean, 2), round(row.low, 2), round(row.high, 2), round(row.median, 2)
    (2.0, 0.87, 3.13, 2.0)
    """

    method: str
    setting: str
    scores: Tensor

    @classmethod
    def of(cls, method: str, setting: str, scores: Tensor) -> "Row":
        """A row of these scores, kept to five digits."""
        return cls(method, setting, torch.tensor([float(f"{s:.5g}") for s in scores.tolist()], dtype=torch.float32))

    @property
    def mean(self) -> float:
        """The mean over episodes or individuals."""
        return float(self.scores.double().mean())

    @property
    def median(self) -> float:
        """The median over episodes or individuals."""
        return float(self.scores.double().quantile(0.5))

    @property
    def half(self) -> float:
        """Half the width of the 95 % interval of the mean: 1.96 standard errors."""
        return float(1.96 * self.scores.double().std() / len(self.scores) ** 0.5)

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.mean + self.half


def measure(table: Table, method: str, setting: str, *, n: int | None = None) -> Row:
    """Measure one cell of a table anew; with a smaller ``n`` its first scores alone.

    >>> table = Table("a lot", ("draw",), {"once": {}}, lambda method, setting, n, g: torch.rand(n, generator=g), n=60)
    >>> torch.equal(measure(table, "draw", "once").scores[:20], measure(table, "draw", "once", n=20).scores)
    True
    """
    check_choice("method", method, table.methods)
    check_choice("setting", setting, table.settings)
    n = check_count("n", table.n if n is None else n, at_least=1)
    generator = torch.Generator().manual_seed(table.seed)
    parts = [table.score(method, setting, table.at_once, generator) for _ in range(-(-n // table.at_once))]
    return Row.of(method, setting, torch.cat(parts)[:n])


def save_table(folder: Path, name: str, table: Table, rows: list[Row]) -> Path:
    """Write a table to ``folder``; return the path of the .json file.

    ``<name>.json`` has what the numbers hang on, and each row's mean with its interval; ``<name>.npz`` the scores.
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
    np.savez_compressed(path.with_suffix(".npz"), scores=torch.stack([row.scores for row in rows]).numpy())
    return path


def read_table(name: str) -> dict[tuple[str, str], Row]:
    """Read a stored table: its rows by ``(method, setting)``.

    Raises FileNotFoundError, with the command that makes it, for a table that is not there.
    """
    keys = [(method, setting) for method, setting, *_ in _stored(name)["method, setting, mean, low, high"]]
    with np.load(_found("tables", name), allow_pickle=False) as file:
        scores = torch.from_numpy(file["scores"])
    return {key: Row(*key, row) for key, row in zip(keys, scores, strict=True)}


def read_about(name: str) -> dict:
    """Read what the numbers of a stored table hang on: the measure, methods, settings, episodes and seed."""
    return _stored(name)["about"]


def tables() -> dict[str, Table]:
    """All tables, by name, in the order of the chapters."""
    return {name: table for part in APPLICATIONS for name, table in _module(part).TABLES.items()}


def recipes() -> dict[str, Recipe]:
    """The recipes of all shipped theta, by the name of their file."""
    return {name: recipe for part in APPLICATIONS for name, recipe in _module(part).RECIPES.items()}


def stored(folder: str) -> dict[str, Path]:
    """The .npz files in all of the library's folders of this name, "tables" or "weights": their paths, by name."""
    return {path.stem: path for path in sorted(LIBRARY.rglob(f"{folder}/*.npz"), key=lambda path: path.stem)}


def folder_of(part: str) -> Path:
    """The folder of an application; its tables and weights lie in it."""
    return Path(_module(part).__file__).parent


def theta_path(name: str) -> Path:
    """Where a shipped theta lies."""
    return _found("weights", name)


def shipped_theta(name: str) -> Params:
    """Read the shipped theta of an application's recipe."""
    return load_theta(theta_path(name))


def _module(part: str):
    return import_module(APPLICATIONS[check_choice("application", part, APPLICATIONS)])


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
