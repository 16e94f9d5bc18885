"""A chapter begins with the hand: what can be moved stands before the words."""

import re
from pathlib import Path

import pytest
from pages import CHAPTERS, load

MOST_WORDS = 60


def words(markdown: str) -> int:
    return len(re.findall(r"\w+", markdown))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_first_cell_that_runs_is_the_explorer(path: Path):
    cells = load(path).nb.cells
    first = next(i for i, cell in enumerate(cells) if cell.cell_type == "code")
    assert re.search(r"\bexplorer\(\)$", cells[first].source), cells[first].source
    assert cells[first].metadata.jupyter.source_hidden, "its code is folded"
    assert first == 1, "two presses of Shift+Enter make it live"
    assert words(cells[0].source) <= MOST_WORDS, cells[0].source
