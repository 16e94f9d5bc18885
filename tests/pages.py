"""A notebook as its tests read it, and whether its links lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
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
    return not anchor or path.suffix != ".ipynb" or anchor in anchors(nbformat.read(path, as_version=4))


def anchors(nb: NotebookNode) -> set[str]:
    """Return the anchors of a notebook's headings, as JupyterLab makes them, and those set by hand."""
    text = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    headings = re.findall(r"^#+ +(.*?) *#*$", text, re.MULTILINE)
    return {re.sub(r"[*`]", "", heading).replace(" ", "-") for heading in headings} | set(
        re.findall(r"(?:id|name)=[\"']([^\"']+)", text)
    )
