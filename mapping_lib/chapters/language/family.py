"""Names of countries, languages, scripts and currencies in 142 languages: which language is this name from?

`data/README.md` says where the names come from. A network cannot read a name; it reads how often each
*n-gram* occurs in it: each run of one, two or three letters.
"""

import lzma
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_choice, check_count
from mapping_lib.families.episodes import Episodes
from mapping_lib.task import Task

FILE = Path(__file__).with_name("data") / "language_names.txt.xz"

PARTS = ("train", "validation", "held out")
"""Every language is in one part, and so are its relatives (`Language.relatives`)."""

LONGEST = 3
"""The longest n-gram."""

WIDTH = 1024
"""How many numbers describe a name: n-grams share places (they are *hashed*), as there are 30,000 different ones."""

READINGS = ("unit", "counts")
"""What a family gives as x: see `features` and `counts`."""


class Language(NamedTuple):
    """A language, its part, and names of its own: no other language has them in its list.

    ``things`` says what each name is of: "T:DE" a territory, "L:de" a language, "S:Latn" a script, "C:EUR" a
    currency. ``relatives`` are the codes of the languages that share more than a tenth of its names, or share them
    with one that does, and so on.
    """

    code: str
    name: str
    part: str
    relatives: tuple[str, ...]
    names: tuple[str, ...]
    things: tuple[str, ...]


def runs(name: str) -> list[tuple[int, str]]:
    """All runs of 1 to 3 letters of a name in lower case, with a blank before and after, and where each begins.

    >>> runs("Öl")[:3]
    [(0, 'ö'), (1, 'l'), (-1, ' ö')]
    """
    text = f" {name.lower()} "
    found = [(i - 1, text[i : i + n]) for n in range(1, LONGEST + 1) for i in range(len(text) - n + 1)]
    return [(begin, run) for begin, run in found if run.strip()]


def ngrams(name: str) -> list[str]:
    """The `runs` without their places; none is of blanks alone.

    >>> ngrams("Öl")
    ['ö', 'l', ' ö', 'öl', 'l ', ' öl', 'öl ']
    """
    return [run for _, run in runs(name)]


@lru_cache(maxsize=100_000)
def place(ngram: str) -> int:
    """Where an n-gram is counted, 0 ... 1023: the rest of its CRC-32, the same on every machine.

    >>> place("öl"), place(" is")
    (326, 922)
    """
    return zlib.crc32(ngram.encode()) % WIDTH


def counts(names: Iterable[str]) -> Tensor:
    """How often the n-grams of each place occur in each name: ``(name, 1024)``, float32.

    >>> counts(["Öl", "Island"]).sum(-1)
    tensor([ 7., 19.])
    """
    at = [[place(ngram) for ngram in ngrams(name)] for name in names]
    rows = np.repeat(np.arange(len(at)), np.array([len(row) for row in at], np.int64))
    columns = np.fromiter((column for row in at for column in row), np.int64, len(rows))
    flat = np.bincount(rows * WIDTH + columns, minlength=len(at) * WIDTH)
    return torch.from_numpy(flat.astype(np.float32)).view(len(at), WIDTH)


def features(names: Iterable[str]) -> Tensor:
    """The square roots of `counts`, divided by their length: ``(name, 1024)``, float32. No name gives zeros.

    The square root keeps a frequent n-gram from drowning the others; at unit length, the inner product of two names
    is the overlap of their n-gram frequencies (the Bhattacharyya coefficient), 1 for equal ones.

    >>> x = features(["Island", "Irland", "Norge"])
    >>> [f"{v:.2f}" for v in x @ x[0]]
    ['1.00', '0.71', '0.06']
    """
    return torch.nn.functional.normalize(counts(names).sqrt(), dim=-1)


def pulls(name: str, centres: Tensor, first: int, second: int) -> tuple[list[tuple[int, str, float]], float]:
    """What each run of letters adds to |x - c_second|² - |x - c_first|², with where it begins, and what none adds.

    ``centres`` are mean features, ``(language, 1024)``. The difference is Σ_g 2 x_g (c_first - c_second)_g +
    |c_second|² - |c_first|²; runs that are counted in one place share alike.

    >>> each, rest = pulls("ab", features(["aaaa", "bbbb"]), 0, 1)
    >>> [(begin, run, round(pull, 2)) for begin, run, pull in each[:2]]
    [(0, 'a', 0.42), (1, 'b', -0.42)]
    """
    found = runs(name)
    places = [place(run) for _, run in found]
    at_place = 2 * features([name])[0] * (centres[first] - centres[second])
    each = [(i, run, float(at_place[at]) / places.count(at)) for (i, run), at in zip(found, places, strict=True)]
    return each, float(centres[second].square().sum() - centres[first].square().sum())


@cache
def load() -> tuple[Language, ...]:
    """All 142 languages, in the order of their codes, with 62 to 300 names each.

    >>> sum(len(language.names) for language in load())
    35336
    """
    blocks = re.split(r"\n(?!\t)", lzma.decompress(FILE.read_bytes()).decode().rstrip("\n"))
    return tuple(_language(*block.split("\n\t")) for block in blocks)


def _language(head: str, *pairs: str) -> Language:
    code, name, part, relatives = head.split("\t")
    things, names = zip(*(pair.split("\t") for pair in pairs), strict=True)
    return Language(code, name, part, tuple(relatives.split()), names, things)


@cache
def languages(part: str) -> tuple[Language, ...]:
    """The languages of one part, in the order of their codes: 80 "train", 22 "validation", 40 "held out".

    >>> [len(languages(part)) for part in PARTS]
    [80, 22, 40]
    """
    check_choice("part", part, PARTS)
    return tuple(language for language in load() if language.part == part)


@cache
def part_features(part: str, reading: str = "unit") -> tuple[Tensor, Tensor]:
    """All names of a part: what is read of them ``(name, 1024)``, and their languages ``(name,)``, from 0."""
    known = languages(part)
    read = {"unit": features, "counts": counts}[check_choice("reading", reading, READINGS)]
    which = torch.arange(len(known)).repeat_interleave(torch.tensor([len(language.names) for language in known]))
    return read([name for language in known for name in language.names]), which


@dataclass(frozen=True)
class Languages:
    """Tell ``n_way`` languages apart by names: which languages is drawn anew in every task.

    ``part`` is one of `PARTS`, and no language is in two. ``reading`` says what x is: "unit", the `features` of a
    name, or "counts", its n-grams counted; with generators of one seed both give the same names. Raises ValueError
    for an unknown part or reading, and for n_way out of range.

    >>> task = Languages("held out").sample(25, 1, 3, generator=torch.Generator().manual_seed(0))
    >>> task.support.x.shape, task.support.y.shape, task.query.x.shape, task.description.shape
    (torch.Size([25, 5, 1024]), torch.Size([25, 5]), torch.Size([25, 15, 1024]), torch.Size([25, 5]))
    """

    part: str = "train"
    n_way: int = 5
    reading: str = "unit"

    def __post_init__(self) -> None:
        n_languages = len(languages(self.part))
        check_choice("reading", self.reading, READINGS)
        if check_count("n_way", self.n_way, at_least=1) > n_languages:
            raise ValueError(f"n_way is {self.n_way}; allowed: at most {n_languages}, the languages of the part")

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw tasks; ``k_shot`` and ``n_query`` count the names *of each language*.

        Shapes: x ``(n_tasks, n_way * k_shot, 1024)``, float32; y ``(n_tasks, n_way * k_shot)``, int64, label after
        label; the query likewise with ``n_query``. No name is in both. description ``(n_tasks, n_way)`` says which
        of `languages` (of this part) each label means. Raises ValueError where a language has too few names.
        """
        return self._episodes.sample(n_tasks, k_shot, n_query, generator=generator)

    @cached_property
    def _episodes(self) -> Episodes:
        return Episodes(*part_features(self.part, self.reading), self.n_way)


@cache
def characters() -> frozenset[str]:
    """All characters that occur in a name of any language, as it is written and in lower case."""
    names = (name for language in load() for name in language.names)
    return frozenset(c for name in names for c in name + name.lower())


def unreadable(name: str) -> str:
    """What is wrong with a name that was typed: no letter, or letters that no name has; else nothing.

    >>> unreadable("42 !"), unreadable("Oslo")
    ('it has no letter', '')
    """
    letters = [c for c in name.lower() if c.isalpha()]
    if not letters:
        return "it has no letter"
    strange = sorted({c for c in letters if c not in characters()})
    return f"no name of the suite has the letter {strange[0]}; write it in Latin letters" if strange else ""
