"""Chapter 5d: plain methods against methods that were trained to learn, case by case, from the stored tables.

A case is one application with one number of examples. Its methods fall into kinds (`KINDS`): five plain ones, and one
that was trained to adapt. Some methods are told more than the others (`TOLD`); they take part in no contest. Chapter 4
asks something else of the same methods, and so has another split of them: what they make of other tasks (`group_of`).
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import torch

from mapping_lib.checks import check_choice
from mapping_lib.study import OWN, Row, read_about, read_table
from mapping_lib.study.gains import ERRORS, Gain, error_removed

LEARNED, TOLD = "trained to learn", "told more"
KINDS: Mapping[str, tuple[str, ...]] = {
    "nearest neighbour": (
        "pixel 1-NN",
        "nearest neighbour",
        "nearest centroid",
        "joint features",
        "joint, heads, features",
    ),
    "the task alone": ("from scratch", "own fit", "naive Bayes", "random"),
    "statistics of other tasks": ("population", "mixed effects", "naive Bayes, learned prior", "idf weights"),
    "joint, then fine-tuned": ("joint training", "joint", "sequential", "rehearsal", "EWC", "pretrained"),
    "settings, searched or not": ("default", "four trials", "random search", "TPE", "successive halving"),
    LEARNED: (
        *("MAML", "ANIL", "online MAML", "Meta-SGD", "Meta-SGD + TPE"),
        *("prototypical", "prototypical network", "embedding and raw", "learned weights", "learned prior"),
    ),
    TOLD: ("hypernetwork", "oracle", "Bayes"),
}
"""The methods of each kind, by the name in the tables, without what a table adds to it after a comma."""

ALONE, TOGETHER = "alone", "put together"
_ALONE = (*KINDS["the task alone"], "pixel 1-NN", "nearest neighbour", "nearest centroid", "default")

PLAIN = tuple(kind for kind in KINDS if kind not in (LEARNED, TOLD))
VERDICTS = ("plain is ahead", "no difference shown", "meta is ahead")
GROUPS = {"1 example": 1, "2 or 3 examples": 3, "4 to 6 examples": 6, "10 or more": 10**6}
"""Numbers of examples, of each class where there are classes: each group up to this number."""

BUDGET = "a budget instead"
RUN = "search seed"
"""The unit of cases whose table has several runs of each method."""
_MORE_EVIDENCE = re.compile(r"\d+ trajectories")


class Source(NamedTuple):
    """How cases are read from a table: the name of the application, its scores, its examples, the settings left out.

    ``unit`` says what each score is of, where the table itself names no unit that scores share.
    """

    application: str
    measure: str
    examples: int | None = None
    without: tuple[str, ...] = ()
    unit: str = OWN


ADAPTED_BEFORE = ("all tasks", "all tasks, 3 steps")
SOURCES = {
    "few_shot_images": Source("images", "accuracy"),
    "chicks": Source("chicks", "error", unit="chick"),
    "countries": Source("countries", "error", unit="country"),
    "customers": Source("customers", "accuracy", unit="customer"),
    "sensors": Source("sensors", "error", unit="sensor"),
    "language_names": Source("language", "accuracy"),
    "navigation": Source("walks", "return", 20, without=("0 updates",), unit="goal"),
    "continual_pairs": Source("pair of digits", "error", 5, without=ADAPTED_BEFORE),
    "continual_relabelled": Source("labels dealt anew", "error", 1, without=ADAPTED_BEFORE),
    "automl_sines": Source("settings, waves", "error"),
    "automl_digits": Source("settings, digits", "error"),
}
"""The tables and, where no setting says it, how many examples (walks of each update, images of each label)."""


class Case(NamedTuple):
    """One application with one number of examples (None: what was given is a budget), and each method's scores.

    ``unit`` names what its intervals are over: `Row.units` says which of them a score is of.
    """

    application: str
    setting: str
    measure: str
    examples: int | None
    rows: tuple[Row, ...]
    unit: str = OWN

    @property
    def label(self) -> str:
        """The name of a case in tables and pictures."""
        return f"{self.application}, {self.setting}" if self.setting else self.application

    @property
    def group(self) -> str:
        """Which of `GROUPS` the number of examples falls into, or `BUDGET`."""
        if self.examples is None:
            return BUDGET
        return next(name for name, up_to in GROUPS.items() if self.examples <= up_to)

    def among(self, kinds: Collection[str]) -> list[Row]:
        """The rows whose method is of one of these kinds."""
        return [row for row in self.rows if kind_of(row.method) in kinds]

    def best(self, kinds: Collection[str]) -> Row:
        """The best row of these kinds, on average. Raises ValueError where the case has none."""
        return best(self.among(kinds), self.measure)

    def gain(self, method: Row | None = None, baseline: Row | None = None) -> Gain:
        """The share of the baseline's error that a method removes; as given, the best of each side."""
        method, baseline = method or self.best((LEARNED,)), baseline or self.best(PLAIN)
        return error_removed(method, baseline, self.measure)


def kind_of(method: str) -> str:
    """The kind of a method: that of its whole name, or of its name up to the first comma.

    >>> kind_of("naive Bayes"), kind_of("naive Bayes, learned prior"), kind_of("MAML, 40 trajectories")
    ('the task alone', 'statistics of other tasks', 'trained to learn')
    """
    kinds = {name: kind for kind, names in KINDS.items() for name in names}
    name = method if method in kinds else method.partition(",")[0]
    check_choice("method", name, kinds)
    return kinds[name]


def group_of(method: str) -> str:
    """What a method makes of other tasks, chapter 4's split: `ALONE` (nothing but a number or two chosen on them),
    `TOGETHER` (learned from them all at once), `LEARNED` (trained to adapt) or `TOLD` (more evidence than the others).

    >>> group_of("pixel 1-NN"), group_of("joint features"), group_of("ANIL"), group_of("MAML, 40 trajectories")
    ('alone', 'put together', 'trained to learn', 'told more')
    """
    kind = kind_of(method)
    if kind == TOLD or _MORE_EVIDENCE.search(method):
        return TOLD
    if kind == LEARNED:
        return LEARNED
    return ALONE if method in _ALONE else TOGETHER


def best(rows: Iterable[Row], measure: str) -> Row:
    """The row with the smallest mean error (`mapping_lib.study.gains.ERRORS`).

    Raises ValueError for no rows.

    >>> best([Row("a", "1-shot", torch.tensor([0.2])), Row("b", "1-shot", torch.tensor([0.9]))], "accuracy").method
    'b'
    """
    rows = list(rows)
    if not rows:
        raise ValueError("rows is empty; allowed: at least one")
    return min(rows, key=lambda row: float(ERRORS[measure](row.scores.double()).mean()))


def verdict(gain: Gain) -> str:
    """What an interval says: one of `VERDICTS`.

    >>> verdict(Gain(0.2, 0.1, 0.3)), verdict(Gain(0.2, -0.1, 0.5)), verdict(Gain(-0.2, -0.3, -0.1))
    ('meta is ahead', 'no difference shown', 'plain is ahead')
    """
    return VERDICTS[1 + (gain.low > 0) - (gain.high < 0)]


def cases() -> list[Case]:
    """Every case of the suite's tables, in the order of the chapters.

    Rows that were given more than the others (", 40 trajectories") make a case of their own.
    """
    return [case for name, source in SOURCES.items() for case in _cases_of(name, source)]


def pooled(runs: Iterable[Row]) -> Row:
    """The scores of several runs of one method (searches, trainings) as one row: each run is a unit.

    Its mean is that of the runs. Its interval says how far the mean of as many other runs may lie, and so is wide
    where they are few. One run alone is given back as it is, with its own units. Raises ValueError for no rows, or
    rows of several methods.

    >>> row = pooled(Row("TPE", f"seed {seed}", torch.full((9,), float(seed))) for seed in (1, 3))
    >>> row.setting, row.mean, row.n_units, round(row.half, 1)
    ('seed 1 + seed 3', 2.0, 2, 12.7)
    """
    runs = list(runs)
    methods = {row.method for row in runs}
    if len(methods) != 1:
        raise ValueError(f"runs are of {sorted(methods)}; allowed: one method, in at least one run")
    if len(runs) == 1:
        return runs[0]
    scores, lengths = torch.cat([row.scores for row in runs]), torch.tensor([len(row.scores) for row in runs])
    units = torch.arange(len(runs), dtype=torch.int32).repeat_interleave(lengths)
    return Row(methods.pop(), " + ".join(row.setting for row in runs), scores, units)


def halves(case: Case) -> tuple[Case, Case]:
    """The same case on every other episode, and on the rest. (Units that episodes share are in both.)"""
    parts = (slice(0, None, 2), slice(1, None, 2))
    rows = [tuple(row.part(part) for row in case.rows) for part in parts]
    return case._replace(rows=rows[0]), case._replace(rows=rows[1])


def _cases_of(name: str, source: Source) -> list[Case]:
    cases = []
    table, about_table = read_table(name), read_about(name)
    settings, unit = about_table["settings"], about_table.get("unit", source.unit)
    kept = {setting: about for setting, about in settings.items() if setting not in source.without}
    if all(set(about) == {"seed"} for about in kept.values()):
        methods = dict.fromkeys(method for method, _ in table)
        rows = tuple(pooled([row for row in table.values() if row.method == method]) for method in methods)
        return [Case(source.application, "", source.measure, None, rows, RUN)]
    for setting, about in kept.items():
        rows = [row for (_, of), row in table.items() if of == setting]
        for more, some in _by_evidence(rows).items():
            examples = int(more.split()[0]) if more else about.get("k_shot", source.examples)
            label = ", ".join(filter(None, (setting.removeprefix("new task, "), more)))
            cases.append(Case(source.application, label, source.measure, examples, tuple(some), unit))
    return cases


def _by_evidence(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows with as many trajectories as the table says, under "", and those that say how many."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        more = _MORE_EVIDENCE.search(row.method)
        groups.setdefault(more.group() if more else "", []).append(row)
    return groups
