"""Two editions of the notebooks for a class: one for students, one for the teacher.

    python -m mapping_lib.tools.editions                     # writes student/ and teacher/ beside notebooks/
    python -m mapping_lib.tools.editions student             # one of them
    python -m mapping_lib.tools.editions student --to DIR    # elsewhere; the folder must be new or empty

The student's has no teacher's notes, no solutions and no outputs, but for pictures of explorers as they open, and
questions that are answered by hand: predictions are made before results are seen. The teacher's has the notes open and
the exercises solved. Run it from the project's root.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import nbformat
from nbformat import NotebookNode

from mapping_lib.console import command, refuse_unknown
from mapping_lib.tools.pictures import image, is_question
from mapping_lib.tools.recording import PYTHON, NotebookError, read, serialised

SOLUTION = re.compile(r"<details>\s*<summary>Solution</summary>(.*?)</details>\s*", re.DOTALL)
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
FOLDED, OPEN = "<details><summary>For the teacher</summary>", "<details open><summary>For the teacher</summary>"


def student(nb: NotebookNode) -> NotebookNode:
    """The notebook without teacher's notes and solutions, and, of outputs, with what explorers and questions show.

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
            kept = [_unnumbered(output) for output in cell.outputs if image(output) or is_question(output)]
            cell.outputs, cell.execution_count = kept, None
        else:
            cell.source = SOLUTION.sub("", cell.source).strip()
    nb.cells = [cell for cell in cells if cell.source]
    return nb


def reader(nb: NotebookNode) -> NotebookNode:
    """The notebook without teacher's notes: outputs and folded solutions stay. The site shows it.

    >>> from nbformat.v4 import new_markdown_cell, new_notebook
    >>> note = new_markdown_cell("Ask them.", metadata={"tags": ["teacher"]})
    >>> [cell.source for cell in reader(new_notebook(cells=[note, new_markdown_cell("Hello.")])).cells]
    ['Hello.']
    """
    nb = _copy(nb)
    nb.cells = [cell for cell in nb.cells if "teacher" not in _tags(cell)]
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
    for index, cell in enumerate(nb.cells):
        if "teacher" in _tags(cell):
            cell.source = cell.source.replace(FOLDED, OPEN)
        if "exercise" in _tags(cell):
            try:
                cell.source = solved(cell.source, _solution(nb.cells[index + 1 :]))
            except ValueError as error:
                raise NotebookError(f"cell {index + 1}, an exercise, {error}") from None
            cell.outputs, cell.execution_count = [], None
    return nb


def _solution(after: list[NotebookNode]) -> str:
    """The code of the solution that stands before the next exercise."""
    for cell in after:
        if "exercise" in _tags(cell):
            break
        for solution in SOLUTION.findall(cell.source):
            if code := CODE.search(solution):
                return code[1]
    raise ValueError("has no folded solution in Python before the next exercise: write one, or take its tag away")


def solved(stub: str, solution: str) -> str:
    """The stub's imports and check with the ``solution`` in place of what it defines.

    Raises ValueError for a stub that defines no function, or does not check it on a line ``_ = ...``.

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
    before, defines, rest = stub.partition("def ")
    at = rest.find("\n_ = ")
    if not defines or at < 0:
        raise ValueError("has no line that begins with def, or after it none that begins with _ = : it has no check")
    check = rest[at:].strip()
    return f"{before}{solution.strip()}\n\n\n{check}"


EDITIONS: dict[str, Callable[[NotebookNode], NotebookNode]] = {"student": student, "teacher": teacher}


def made(edition: str, notebooks: Path) -> dict[str, str]:
    """One edition of all ``notebooks``: their texts, by the names of their files.

    Raises NotebookError for a file that is no notebook, and for an exercise without a solution or a check.
    """
    texts = {}
    for path in sorted(notebooks.glob("*.ipynb")):
        nb = read(path)
        try:
            texts[path.name] = serialised(EDITIONS[edition](nb))
        except NotebookError as error:
            raise NotebookError(f"{path}, {error}") from None
    return texts


def write(texts: dict[str, str], to: Path) -> None:
    """Write texts into the folder ``to``, all of them or none.

    Raises FileExistsError where ``to`` is a file, or holds something already: it may be a student's work.
    """
    check_free(to)
    to = to.resolve()
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f".{to.name}.{uuid4().hex[:8]}")  # beside it: a rename within one disk is one act
    part.mkdir()
    try:
        for name, text in texts.items():
            (part / name).write_text(text, encoding="utf-8", newline="\n")
        if to.exists():
            to.rmdir()
        part.rename(to)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_free(to: Path, name: str = "to") -> None:
    """Raise FileExistsError, by the ``name`` of the argument, unless ``to`` is a new or an empty folder."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        what = "which is not empty" if to.is_dir() else "which is a file"
        raise FileExistsError(f"{name} is {str(to)!r}, {what}; allowed: a new or an empty folder")


def _copy(nb: NotebookNode) -> NotebookNode:
    """The same notebook, as JupyterLab with this Python writes it: closing it unchanged asks nothing."""
    nb = nbformat.reads(nbformat.writes(nb), nbformat.NO_CONVERT)
    nb.metadata.get("language_info", {}).update(version=PYTHON)
    return nb


def _unnumbered(output: NotebookNode) -> NotebookNode:
    """The output of a cell that is yet to be run."""
    return NotebookNode(output, execution_count=None) if "execution_count" in output else output


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def main() -> None:
    """Write the editions named on the command line."""
    parser = command("mapping_lib.tools.editions", "Two editions of the notebooks for a class.")
    parser.add_argument("editions", nargs="*", metavar="edition", help=f"{' or '.join(EDITIONS)}; default: both")
    parser.add_argument("--to", type=Path, help="the folder for one edition; default: a folder of its name")
    options = parser.parse_args()
    editions, notebooks = options.editions or list(EDITIONS), Path("notebooks")
    refuse_unknown(parser, "edition", editions, EDITIONS)
    if options.to and len(editions) > 1:
        parser.error("--to holds one edition: name it")
    if not any(notebooks.glob("*.ipynb")):
        parser.error("no notebook in notebooks/: run this from the project's root")
    try:
        folders = {options.to or Path(edition): made(edition, notebooks) for edition in editions}
        for to in folders:  # all of them, before the first is written
            check_free(to)
        for to, texts in folders.items():
            write(texts, to)
            print(f"{to}: {len(texts)} notebooks")
    except (NotebookError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
