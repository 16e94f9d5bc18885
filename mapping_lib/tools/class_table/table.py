"""What came out, as a table for a terminal, a file for a spreadsheet, and sentences."""

import csv
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from mapping_lib.console import PLAIN
from mapping_lib.tools.class_table import STATES


class Row(NamedTuple):
    """A student: the name, a state and a sentence for each exercise, and what is wrong with the files."""

    name: str
    verdicts: list[list[str]]
    broken: list[str]


def lines(exercises: list[dict[str, Any]], rows: list[Row]) -> Iterator[str]:
    """The table: a line a student, a sign an exercise, the chapters apart; below it, how many pass, read downwards.

    >>> one = {"chapter": "02", "check": "check_pencil"}
    >>> print(*lines([one], [Row("ana", [["passes", "Right."]], [])]), sep="\\n")
              02
    ana       ✓   1/1
    passing   1
    ✓ passes, ✗ wrong, – not begun, ! stopped, ? missing
    """
    width = max(len("passing"), *(len(row.name) for row in rows)) + 3
    chapters = [exercise["chapter"] for exercise in exercises]
    heads = " ".join(chapter.ljust(len(list(group))) for chapter, group in groupby(chapters))
    yield f"{'':{width}}{heads}"
    for row in rows:
        signs = _grouped(chapters, [STATES[state] for state, _ in row.verdicts])
        yield f"{row.name:{width}}{signs}  {_passing(row.verdicts)}/{len(chapters)}"
        yield from (f"   {sentence}" for sentence in row.broken)
    totals = [str(_passing(column)) for column in zip(*(row.verdicts for row in rows), strict=True)]
    for digits in zip(*(total.rjust(max(map(len, totals))) for total in totals), strict=True):
        yield f"{'passing':{width}}{_grouped(chapters, digits)}".rstrip()
    yield ", ".join(f"{sign} {state}" for state, sign in STATES.items())


def details(exercises: list[dict[str, Any]], rows: list[Row]) -> Iterator[str]:
    """A line for each exercise that does not pass and was begun: the student, the exercise, the sentence."""
    for row in rows:
        for exercise, (state, sentence) in zip(exercises, row.verdicts, strict=True):
            if state not in ("passes", "not begun"):
                yield f"{row.name}, {_name(exercise)}: {STATES[state]} {' '.join(sentence.split())}"


def write_csv(path: Path, exercises: list[dict[str, Any]], rows: list[Row]) -> None:
    """Write a line a student, the state of each exercise and what is wrong with files; raises OSError."""
    # utf-8-sig: spreadsheets see the letters
    with path.open("w", encoding="utf-8-sig", errors=PLAIN, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["student", *map(_name, exercises), "passing", "files"])
        for row in rows:
            states = [state for state, _ in row.verdicts]
            writer.writerow([_text(row.name), *states, _passing(row.verdicts), _text("; ".join(row.broken))])


def _text(words: str) -> str:
    """What a spreadsheet does not take for a formula."""
    return f"'{words}" if words.startswith(("=", "+", "-", "@")) else words


def _name(exercise: dict[str, Any]) -> str:
    return f"{exercise['chapter']} {exercise['function']}"


def _passing(verdicts: Iterable[list[str]]) -> int:
    return sum(state == "passes" for state, _ in verdicts)


def _grouped(chapters: list[str], signs: Iterable[str]) -> str:
    """Signs with a space between chapters, each chapter as wide as its name."""
    groups = groupby(zip(chapters, signs, strict=True), key=lambda pair: pair[0])
    return " ".join("".join(sign for _, sign in group).ljust(len(chapter)) for chapter, group in groups)
