"""The exercises of the suite's notebooks, and the cells in a student's folder that answer them."""

import ast
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from mapping_lib.tools.class_table.worker import needs
from mapping_lib.tools.recording import NotebookError, read

IMPORT = re.compile(r"^from (mapping_lib\S*) import .*\bexercises$", re.MULTILINE)
CALL = re.compile(r"exercises\.(check_\w+)\((\w+)\)")
LARGEST = 50_000_000
"""Bytes of a notebook that is read."""


def known(notebooks: Path) -> list[dict[str, Any]]:
    """Every exercise of the suite's own ``notebooks``: its place, check and function, and what is defined above it.

    Raises NotebookError for a file that is no notebook.
    """
    return [exercise for path in sorted(notebooks.glob("*.ipynb")) for exercise in _exercises(read(path), path.stem)]


def _exercises(nb: NotebookNode, stem: str) -> list[dict[str, Any]]:
    above, found, code = [], [], [cell for cell in nb.cells if cell.cell_type == "code"]
    module = IMPORT.search("\n".join(cell.source for cell in code))
    for cell in code:
        if "exercise" not in _tags(cell):
            with suppress(SyntaxError):  # a cell with commands of Jupyter
                above += definitions(cell.source)
        elif module and (call := CALL.search(cell.source)):
            place = {"chapter": stem.partition("_")[0], "module": f"{module[1]}.exercises", "stub": cell.source}
            found.append(place | {"check": call[1], "function": call[2], "above": list(above)})
    return found


def definitions(source: str) -> list[list]:
    """The statements of a cell that only give names, each with those names and with the names that it needs.

    >>> definitions("import torch\\nprint(torch)\\nhalf = torch.ones(1) / 2")
    [[['torch'], [], 'import torch'], [['half'], ['torch'], 'half = torch.ones(1) / 2']]
    """
    lines = [(_given(statement), ast.unparse(statement)) for statement in ast.parse(source).body]
    return [[given, sorted(needs(line)), line] for given, line in lines if given]


def _given(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return [(alias.asname or alias.name).partition(".")[0] for alias in names]
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
    return []


def cells(folder: Path) -> tuple[list[NotebookNode], list[str]]:
    """The code cells of all notebooks in a student's ``folder``, and a sentence for each file that cannot be read."""
    found, broken = [], []
    for path in sorted(folder.rglob("*.ipynb")):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):  # Jupyter's own copies
            try:
                found += [cell for cell in _student_s(path).cells if cell.cell_type == "code"]
            except NotebookError as error:
                broken.append(str(error).replace(str(folder), folder.name))
    return found, broken


def _student_s(path: Path) -> NotebookNode:
    """The notebook at ``path``; raises NotebookError, also for what would lead elsewhere or never end."""
    if path.is_symlink() or not path.is_file():
        raise NotebookError(f"{path} is a link or no file; allowed: a notebook itself")
    if path.stat().st_size > LARGEST:
        raise NotebookError(f"{path} has {path.stat().st_size} bytes; allowed: at most {LARGEST}")
    return read(path)


def answer(exercise: dict[str, Any], among: list[NotebookNode]) -> str | None:
    """The source of the last cell that calls an exercise's check, or else has its tag and defines its function.

    A cell that is still as it was given counts where there is no other: an untouched copy of a notebook, such as a new
    version laid beside it, hides no work.

    >>> from nbformat.v4 import new_code_cell
    >>> cells = [new_code_cell(f"{line}exercises.check_f(f)") for line in ("f = abs; ", "", "_ = ")]
    >>> answer({"check": "check_f", "function": "f", "stub": "_ = exercises.check_f(f)"}, cells[::2])
    'f = abs; exercises.check_f(f)'
    """
    check, function = re.compile(rf"\b{exercise['check']}\("), re.compile(rf"^def {exercise['function']}\(", re.M)
    called = [cell.source for cell in among if check.search(cell.source)]
    tagged = [cell.source for cell in among if "exercise" in _tags(cell) and function.search(cell.source)]
    worked_on = [source for source in called if source != exercise["stub"]]
    return (worked_on or called or tagged or [None])[-1]


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])
