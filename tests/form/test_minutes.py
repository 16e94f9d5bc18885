"""The minutes that chapters and README state are those of reading at 200 words a minute, and of a run."""

import re
from pathlib import Path

import nbformat
import pytest
from house import ROOT
from pages import CHAPTERS

WORDS_A_MINUTE, RUN, STEP = 200, 1, 5
"""Running all cells takes up to a minute; what is stated is a multiple of five."""

STATED = re.compile(r"\*\*Time:\*\* about (\d+) minutes at 200 words a minute, code and outputs too")


def words(path: Path) -> int:
    """How many words a reader meets: text (but for teacher's notes), code, and what cells print."""
    nb = nbformat.read(path, nbformat.NO_CONVERT)
    read = [cell for cell in nb.cells if "teacher" not in cell.metadata.get("tags", [])]
    printed = (output.get("text", "") for cell in read for output in cell.get("outputs", []))
    return sum(len(text.split()) for text in (*(cell.source for cell in read), *printed))


def stated(path: Path) -> int:
    nb = nbformat.read(path, nbformat.NO_CONVERT)
    return int(next(found for cell in nb.cells if (found := STATED.search(cell.source)))[1])


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_states_the_minutes_that_it_takes(path: Path):
    measured = words(path) / WORDS_A_MINUTE + RUN
    assert abs(stated(path) - measured) <= STEP * 0.8, f"{measured:.0f} minutes, as measured now"


def test_the_readme_states_the_same():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[[^]]+\]\(notebooks/(\w+\.ipynb)\).*\| (\d+) \|$", readme, re.MULTILINE)
    assert {name: int(minutes) for name, minutes in rows} == {path.name: stated(path) for path in CHAPTERS}


def test_words_are_counted():
    path = CHAPTERS[0]
    with_notes = sum(len(cell.source.split()) for cell in nbformat.read(path, nbformat.NO_CONVERT).cells)
    assert 3000 < words(path) < 15_000
    assert with_notes > 2000
