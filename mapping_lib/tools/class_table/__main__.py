"""Which exercises pass in each student's copy: a table for the teacher.

    python -m mapping_lib.tools.class_table FOLDER                # FOLDER holds a folder a student, with notebooks
    python -m mapping_lib.tools.class_table FOLDER --details      # and the sentence of each that does not pass
    python -m mapping_lib.tools.class_table FOLDER --csv FILE     # and a file for a spreadsheet

An exercise runs from its imports alone: its cell, and what this cell names of the imports, functions and values that
the suite's own notebook defines above it. Run it from the project's root.
"""

import os
import sys
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mapping_lib.console import command, printable
from mapping_lib.tools.class_table import sandbox, table
from mapping_lib.tools.class_table.known import answer, cells, known
from mapping_lib.tools.recording import NotebookError


def row(way: list[str], folder: Path, exercises: list[dict[str, Any]], seconds: int) -> table.Row:
    """What became of every exercise in one student's folder."""
    found, broken = cells(folder)
    own = [exercise | {"source": answer(exercise, found)} for exercise in exercises]
    verdicts, why = sandbox.run(way, folder.parent, own, seconds)
    verdicts = verdicts[1:] + [["stopped", f"the worker ended: {why}"]] * (len(own) - len(verdicts[1:]))
    return table.Row(folder.name, verdicts, broken)


def rows(way: list[str], folder: Path, exercises: list[dict[str, Any]], seconds: int) -> list[table.Row]:
    """A row for each student's folder in ``folder``, several at a time."""
    students = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda student: row(way, student, exercises, seconds), students))


def _parser() -> ArgumentParser:
    parser = command("mapping_lib.tools.class_table", "Which exercises pass in each student's copy: a table.")
    parser.add_argument("folder", type=Path, help="it holds a folder a student, each with notebooks")
    parser.add_argument("--details", action="store_true", help="also the sentence for each that does not pass")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table for a spreadsheet, too")
    parser.add_argument("--seconds", type=int, default=5, help="of the processor, for an exercise; default: 5")
    unsafe = "without a sandbox: students' code can read, change and send what you can"
    parser.add_argument("--unsafe", action="store_true", help=unsafe)
    return parser


def main() -> None:
    """Print the table of the folder named on the command line."""
    parser = _parser()
    options, notebooks = parser.parse_args(), Path("notebooks")
    if sys.platform != "linux":
        parser.error(f"the system is {sys.platform!r}; allowed: linux, also in a virtual machine or in WSL")
    if not options.folder.is_dir():
        parser.error(f"folder is {str(options.folder)!r}; allowed: a folder that holds a folder a student")
    if options.seconds < 1:
        parser.error(f"seconds is {options.seconds}; allowed: 1 or more")
    if not any(notebooks.glob("*.ipynb")):
        parser.error("no notebook in notebooks/: run this from the project's root")
    try:
        way = sandbox.UNSAFE if options.unsafe else sandbox.way(options.folder)
        exercises = known(notebooks)
        found = rows(way, options.folder, exercises, options.seconds)
        if not found:
            parser.error(
                f"folder is {str(options.folder)!r}, without a folder in it; allowed: one with a folder a student"
            )
        if options.csv:
            table.write_csv(options.csv, exercises, found)
    except (NotebookError, OSError) as error:
        parser.error(str(error))
    for line in [*table.lines(exercises, found), *(table.details(exercises, found) if options.details else [])]:
        print(printable("".join(letter if letter.isprintable() else "?" for letter in line)))  # no control letters


if __name__ == "__main__":
    main()
