"""A notebook as its tests read it, and whether its links lead somewhere."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import nbformat
from house import ROOT
from nbformat import NotebookNode

LINK = re.compile(r"\]\(\s*<?([^)\s>]+)|<(?:img|a)\s[^>]*?(?:src|href)=[\"']([^\"']+)")
NO_LINK = re.compile(r"```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$", re.DOTALL)


class Notebook(NamedTuple):
    """A notebook, and where it lies."""

    path: Path
    nb: NotebookNode

    def code(self) -> list[tuple[int, NotebookNode]]:
        """Return the code cells, each with its number among all cells, from 1."""
        return [(number, cell) for number, cell in enumerate(self.nb.cells, 1) if cell.cell_type == "code"]

    def data(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield what each output holds, by MIME type, with its cell's number."""
        for number, cell in self.code():
            yield from ((number, dict(output.get("data", {}))) for output in cell.outputs)


def load(path: Path) -> Notebook:
    return Notebook(path, nbformat.read(path, nbformat.NO_CONVERT))


def links_resolve(notebook: Notebook) -> Iterator[str]:
    """Pictures, files and headings that the Markdown points at are there."""
    for number, cell in enumerate(notebook.nb.cells, 1):
        if cell.cell_type == "markdown":
            for target in links(cell.source):
                if not resolves(target, notebook, cell):
                    yield f"cell {number} points at {target!r}, which is not there"


def links(markdown: str) -> list[str]:
    """Return the targets of links and pictures that do not lead to the web."""
    found = [first or second for first, second in LINK.findall(NO_LINK.sub("", markdown))]
    return [target for target in found if not re.match(r"https?:|mailto:", target)]


def resolves(target: str, notebook: Notebook, cell: NotebookNode) -> bool:
    if target.startswith("attachment:"):
        return target.removeprefix("attachment:") in cell.get("attachments", {})
    name, _, anchor = target.partition("#")
    path = notebook.path.parent / name if name else notebook.path
    if not path.resolve().is_relative_to(notebook.path.parent.parent.resolve()) or not path.exists():
        return False
    return not anchor or path.suffix != ".ipynb" or anchor in anchors(path.read_text(encoding="utf-8"))


@cache
def anchors(notebook: str) -> set[str]:
    """Return the anchors of a notebook's headings, as JupyterLab makes them, and those set by hand.

    It is given as the text of its file, which many links point into.
    """
    nb = nbformat.reads(notebook, as_version=4)
    text = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    headings = re.findall(r"^#+ +(.*?) *#*$", text, re.MULTILINE)
    return {re.sub(r"[*`]", "", heading).replace(" ", "-") for heading in headings} | set(
        re.findall(r"(?:id|name)=[\"']([^\"']+)", text)
    )


def is_split_off(path: Path) -> bool:
    """Whether a notebook is a page split off from a chapter: its title says that it goes deeper."""
    title = load(path).nb.cells[0].source.partition("\n")[0]
    return ", deeper:" in title


_NUMBERED = sorted(ROOT.glob("notebooks/0[1-4]*.ipynb"))
SPLIT_OFF = [path for path in _NUMBERED if is_split_off(path)]
CHAPTERS = [path for path in _NUMBERED if path not in SPLIT_OFF]


def pages_of(chapter: Path) -> list[Path]:
    """The pages split off from a chapter: 02b is of 02, 03a of 03, 04a2 of 04a.

    >>> pages_of(ROOT / "notebooks/04_applications.ipynb")
    []
    """
    numbers = [path.stem.split("_")[0] for path in CHAPTERS]
    of = {path: max((n for n in numbers if path.name.startswith(n)), key=len) for path in SPLIT_OFF}
    return [path for path, number in of.items() if number == chapter.stem.split("_")[0]]
