"""What a reader meets in each chapter, as a table: words, cells, what is folded, how wide what is printed gets.

python tests/reading.py                                  # chapters 1 to 4f, with the pages split off from them
python tests/reading.py notebooks/01_mapping_view.ipynb
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

from nbformat import NotebookNode
from pages import CHAPTERS, load, pages_of

OWN_NAME = "[explorer: "
SCREEN = 40
"""Lines of text that a screen of 1280×800 shows in JupyterLab."""

FOLDED = re.compile(r"<details.*?</details>", re.DOTALL)
NOT_READ = [  # (what, what a reader sees of it)
    (re.compile(r"\$\$.*?\$\$", re.DOTALL), " x "),
    (re.compile(r"\$[^$\n]*\$"), "x"),
    (re.compile(r"\]\(\s*[^)]*\)"), "]"),
    (re.compile(r"<[^>]+>"), " "),
]


class Reading(NamedTuple):
    """What a reader meets in one notebook: counts of words, cells, screens, characters and lines of code."""

    before: int  # words before the first thing that moves, code and outputs too
    screens: float  # the same, in screens
    words: int  # all Markdown but teacher's notes
    main_words: int  # before the exercises, folded parts left out
    main_cells: int
    widest: int  # characters of the widest printed line
    open_lines: int  # lines of code that are not folded
    folded_lines: int
    median_lines: float  # of the cells that are not folded
    widest_code: int


def words(markdown: str) -> int:
    """How many words one reads: a formula is one, an address none.

    >>> words("The loss $L(x) = 2$ is [here](there.html).")
    5
    """
    for pattern, read in NOT_READ:
        markdown = pattern.sub(read, markdown)
    return sum(bool(re.search(r"\w", token)) for token in markdown.split())


def read(path: Path) -> Reading:
    """Count what a reader meets in the notebook at ``path``."""
    cells = load(path).nb.cells
    begins = next((i for i, cell in enumerate(cells) if re.search(r"(?m)^#+ Exercises$", cell.source)), len(cells))
    text = [cell for cell in cells if is_text(cell)]
    main = [cell for cell in cells[:begins] if is_text(cell)]
    moves = next((i for i, cell in enumerate(cells) if is_explorer(cell)), len(cells))
    met = [part for cell in cells[:moves] for part in (*(() if is_folded(cell) else (cell.source,)), *printed(cell))]
    code = [cell for cell in cells if cell.cell_type == "code"]
    seen = [cell for cell in code if not is_folded(cell)]
    lines = [len(cell.source.splitlines()) for cell in seen]
    return Reading(
        before=sum(map(words, met)),
        screens=sum(1 + len(line) // 110 for part in met for line in part.splitlines()) / SCREEN,
        words=sum(words(cell.source) for cell in text),
        main_words=sum(words(FOLDED.sub("", cell.source)) for cell in main),
        main_cells=begins,
        widest=max((len(line) for cell in code for part in printed(cell) for line in part.splitlines()), default=0),
        open_lines=sum(lines),
        folded_lines=sum(len(cell.source.splitlines()) for cell in code if is_folded(cell)),
        median_lines=median(lines or [0]),
        widest_code=max((len(line) for cell in seen for line in cell.source.splitlines()), default=0),
    )


def is_text(cell: NotebookNode) -> bool:
    """Markdown that a reader reads: teacher's notes are the teacher's."""
    return cell.cell_type == "markdown" and "teacher" not in cell.metadata.get("tags", [])


def is_folded(cell: NotebookNode) -> bool:
    return cell.metadata.get("jupyter", {}).get("source_hidden", False)


def is_explorer(cell: NotebookNode) -> bool:
    return any(is_own(output.get("data", {})) for output in cell.get("outputs", []))


def printed(cell: NotebookNode) -> Iterator[str]:
    """Yield what a cell prints: streams, and the plain text of outputs that have nothing better."""
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if not any(mime in data for mime in ("text/html", "image/png")):
            yield output.get("text", "") or data.get("text/plain", "")


def is_own(data: Mapping[str, str]) -> bool:
    return data.get("text/plain", "").startswith(OWN_NAME)


def rows(paths: list[Path]) -> Iterator[str]:
    """One line a notebook, below a head."""
    yield f"{'notebook':34}" + "".join(f"{name:>13}" for name in Reading._fields)
    for path in paths:
        yield f"{path.stem:34}" + "".join(f"{value:>13.4g}" for value in read(path))


if __name__ == "__main__":
    named = [Path(name) for name in sys.argv[1:]]
    paths = named or [path for chapter in CHAPTERS for path in (chapter, *pages_of(chapter))]
    print("\n".join(rows(paths)))
    if not named:
        print(f"words of all: {sum(read(path).words for path in paths):,}")
