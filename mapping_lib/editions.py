"""Two editions of the notebooks for a class: one for students, one for the teacher.

    python -m mapping_lib.editions                     # writes student/ and teacher/ beside notebooks/
    python -m mapping_lib.editions student             # one of them
    python -m mapping_lib.editions student --to DIR    # elsewhere; the folder must be new or empty

The student's has no teacher's notes, no solutions and no outputs: predictions are made before results are seen. The
teacher's has the notes open and the exercises solved. Run it from the project's root.
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from mapping_lib.recording import serialised

SOLUTION = re.compile(r"<details>\s*<summary>Solution</summary>(.*?)</details>\s*", re.DOTALL)
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
FOLDED, OPEN = "<details><summary>For the teacher</summary>", "<details open><summary>For the teacher</summary>"


def student(nb: NotebookNode) -> NotebookNode:
    """The notebook without teacher's notes, solutions and outputs; exercises are open.

    >>> from nbformat.v4 import new_markdown_cell, new_notebook
    >>> note = new_markdown_cell("Ask them.", metadata={"tags": ["teacher"]})
    >>> answer = new_markdown_cell("<details><summary>Solution</summary>42</details>")
    >>> student(new_notebook(cells=[note, answer, new_markdown_cell("Hello.")])).cells[0].source
    'Hello.'
    """
    nb = _copy(nb)
    cells = [cell for cell in nb.cells if "teacher" not in _tags(cell)]
    for cell in cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = SOLUTION.sub("", cell.source).strip()
    nb.cells = [cell for cell in cells if cell.source]
    return nb


def teacher(nb: NotebookNode) -> NotebookNode:
    """The notebook with the teacher's notes open and the exercises solved; all other outputs stay.

    >>> from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
    >>> stub = new_code_cell("def f():\\n    return ...\\n\\n\\n_ = check(f)", metadata={"tags": ["exercise"]})
    >>> answer = "<details><summary>Solution</summary>\\n\\n```python\\ndef f():\\n    return 42\\n```\\n</details>"
    >>> print(teacher(new_notebook(cells=[stub, new_markdown_cell(answer)])).cells[0].source)
    def f():
        return 42
    <BLANKLINE>
    <BLANKLINE>
    _ = check(f)
    """
    nb = _copy(nb)
    solutions = iter(CODE.search(found)[1] for cell in nb.cells for found in SOLUTION.findall(cell.source))
    for cell in nb.cells:
        if "teacher" in _tags(cell):
            cell.source = cell.source.replace(FOLDED, OPEN)
        if "exercise" in _tags(cell):
            cell.source, cell.outputs, cell.execution_count = solved(cell.source, next(solutions)), [], None
    return nb


def solved(stub: str, solution: str) -> str:
    """The stub's imports and check with the ``solution`` in place of what it defines.

    >>> stub = "import torch\\n\\n\\ndef f(x):\\n    return ...\\n\\n\\n_ = check(f)"
    >>> print(solved(stub, "def f(x):\\n    return x"))
    import torch
    <BLANKLINE>
    <BLANKLINE>
    def f(x):
        return x
    <BLANKLINE>
    <BLANKLINE>
    _ = check(f)
    """
    before, _, rest = stub.partition("def ")
    check = rest[rest.index("\n_ = ") :].strip()
    return f"{before}{solution.strip()}\n\n\n{check}"


EDITIONS: dict[str, Callable[[NotebookNode], NotebookNode]] = {"student": student, "teacher": teacher}


def write(edition: str, notebooks: Path, to: Path) -> list[Path]:
    """Write one edition of all ``notebooks`` into the folder ``to``, and say which files were written.

    Raises FileExistsError where the folder holds something already: it may be a student's work.
    """
    if to.exists() and any(to.iterdir()):
        raise FileExistsError(f"to is {str(to)!r}, which is not empty; allowed: a new or an empty folder")
    to.mkdir(parents=True, exist_ok=True)
    written = []
    for path in sorted(notebooks.glob("*.ipynb")):
        nb = EDITIONS[edition](nbformat.read(path, nbformat.NO_CONVERT))
        written.append(to / path.name)
        written[-1].write_text(serialised(nb), encoding="utf-8", newline="\n")
    return written


def _copy(nb: NotebookNode) -> NotebookNode:
    return nbformat.reads(nbformat.writes(nb), nbformat.NO_CONVERT)


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def main() -> None:
    """Write the editions named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m mapping_lib.editions", description=__doc__.splitlines()[0])
    parser.add_argument("editions", nargs="*", metavar="edition", help=f"{' or '.join(EDITIONS)}; default: both")
    parser.add_argument("--to", type=Path, help="the folder for one edition; default: a folder of its name")
    options = parser.parse_args()
    editions, notebooks = options.editions or list(EDITIONS), Path("notebooks")
    if unknown := [name for name in editions if name not in EDITIONS]:
        parser.error(f"edition is {unknown[0]!r}; allowed: {', '.join(EDITIONS)}")
    if options.to and len(editions) > 1:
        parser.error("--to holds one edition: name it")
    if not any(notebooks.glob("*.ipynb")):
        parser.error("no notebook in notebooks/: run this from the project's root")
    try:
        for edition in editions:
            to = options.to or Path(edition)
            print(f"{to}: {len(write(edition, notebooks, to))} notebooks")
    except FileExistsError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
