"""The teacher's table: every solution passes in it, every stub is not begun, and nobody's code harms another's row.

One class is tried once, with a student for each kind of answer; the tests read its rows.
"""

import csv
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import commands
import nbformat
import pytest
from house import ROOT
from nbformat.v4 import new_code_cell, new_notebook
from pages import CHAPTERS

from mapping_lib.tools import editions
from mapping_lib.tools.class_table import STATES, __main__, known, sandbox, table, worker

EXERCISES = known.known(ROOT / "notebooks")
FUNCTIONS = [exercise["function"] for exercise in EXERCISES]
SECONDS = 2


def exercise_cells(edition: str) -> list[str]:
    """The exercises of one edition, all chapters'."""
    notebooks = [editions.EDITIONS[edition](nbformat.read(path, nbformat.NO_CONVERT)) for path in CHAPTERS]
    return [cell.source for nb in notebooks for cell in nb.cells if "exercise" in cell.metadata.get("tags", [])]


STUBS, SOLVED = (dict(zip(FUNCTIONS, exercise_cells(edition), strict=True)) for edition in editions.EDITIONS)


ATTACKS = {
    "endless loop": ("while True: pass", "stopped", "took more than 2 s"),
    "sleep": ("import time; time.sleep(1e6)", "stopped", "took more than 2 s"),
    "forks": ("import os\n    while True: os.fork()", "stopped", "BlockingIOError"),
    "threads": ("import threading; threading.Thread(target=print).start()", "stopped", "can't start new thread"),
    "programs": ("import subprocess; subprocess.run(['id'])", "stopped", "BlockingIOError"),
    "5 GB of bytes": ("bytearray(5 * 2**30)", "stopped", "MemoryError"),
    "5 GB of numbers": ("import torch; torch.ones(5 * 2**28)", "stopped", "allocate"),
    "os._exit": ("import os; os._exit(0)", "stopped", "its process ended"),
    "a crash": ("import ctypes; ctypes.string_at(0)", "stopped", "its process ended"),
    "sys.exit": ("raise SystemExit(0)", "stopped", "SystemExit"),
    "an interrupt": ("raise KeyboardInterrupt", "stopped", "KeyboardInterrupt"),
    "says Right.": ("print('Right. Wonderful.'); return 12345.678", "wrong", ""),
    "much output": ("[print('x' * 10**6) for _ in range(300)]; return 12345.678", "wrong", ""),
    "asks": ("return input()", "stopped", "EOFError"),
    "a file": ("open('mine', 'w').write('x' * 10000)", "stopped", "File too large"),
    "kills all": ("import os; os.kill(-1, 9); os.kill(1, 9); return 12345.678", "", ""),
    "another user": ("import os; raise OSError(os.getuid(), os.listdir('.'), sorted(os.environ))", "stopped", "65534"),
    "another's files": ("import os; raise OSError([*os.walk({folder!r})][1:])", "stopped", ": []"),
    "the terminal": ("open('/dev/tty', 'w')", "stopped", "No such device"),
    "the network": ("import socket; socket.create_connection(('127.0.0.1', {port}), 1)", "stopped", "Error"),
}
"""What the function does when it is called; the state it gets, and words of the sentence."""

FORGED = """
import os
for pipe in range(3, 64):
    try:
        os.write(pipe, b'["passes", ""]')
    except OSError:
        pass
"""
PATCHED = """
from mapping_lib.chapters.maml_math import exercises
from mapping_lib.page import checking
exercises.check_best_alpha = lambda f: True
exercises.expect = exercises.need = checking.need = checking.expect = lambda *a, **k: None
checking.close = lambda *a: True
"""
CELLS = {
    "a forged verdict": ("trained", FORGED + "def trained(*a): return 1", "stopped"),
    "a patched check": ("best_alpha", PATCHED + "def best_alpha(a, b): return 12345.678", "wrong"),
    "no Python": ("nearest", "def nearest(x:\n_ = exercises.check_nearest(nearest)", "stopped"),
    "an end on the way": ("descend", "exit()\ndef descend(x): return 1", "stopped"),
    "no function": ("pencil", "_ = exercises.check_pencil(...)", "missing"),
    "an error that cannot be told": (
        "one_link",
        "class E(Exception):\n    def __str__(self): raise self\ndef one_link(*a): pass\nraise E",
        "stopped",
    ),
}
"""Whole cells: the exercise's function, the source, the state."""

NAMES = [name for name in FUNCTIONS if name not in {function for function, *_ in CELLS.values()}]
PLACES = dict(zip(ATTACKS, NAMES, strict=False))


def check_of(function: str) -> str:
    return next(exercise["check"] for exercise in EXERCISES if exercise["function"] == function)


def save(path: Path, sources: list[str], tags: list[str] = ()) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [new_code_cell(source, metadata={"tags": list(tags)} if tags else {}) for source in sources]
    nbformat.write(new_notebook(cells=cells), path)


def hostile(folder: Path, port: int) -> list[str]:
    """Cells with all attacks, each in place of another exercise."""
    cells = [f"{source}\n# {check_of(function)}({function})" for function, source, _ in CELLS.values()]
    for attack, function in PLACES.items():
        body = ATTACKS[attack][0].replace("{folder!r}", repr(str(folder))).replace("{port}", str(port))
        cells.append(f"def {function}(*a):\n    {body}\n\n\n_ = exercises.{check_of(function)}({function})")
    return cells


@pytest.fixture(scope="module")
def way(tmp_path_factory) -> list[str]:
    try:
        return sandbox.way(tmp_path_factory.mktemp("empty"))
    except OSError as error:
        if os.environ.get("REQUIRE_BROWSER"):  # all checks are demanded
            raise
        return pytest.skip(str(error))


@pytest.fixture(scope="module")
def rows(way) -> Iterator[dict[str, table.Row]]:
    """The rows of a class, by student, whose folder everybody may read."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEACHERS_SECRET", "swordfish")
        save(folder / "solved" / "renamed folder" / "my copy.ipynb", list(SOLVED.values()))
        save(folder / "solved" / "renamed folder" / "my copy.new-1a2b3c.ipynb", list(STUBS.values()))  # hides nothing
        save(folder / "stubs" / "all.ipynb", list(STUBS.values()), ["exercise"])
        save(folder / "mallory" / "all.ipynb", hostile(folder, server.getsockname()[1]))
        broken(folder / "untidy")
        found = __main__.rows(way, folder, EXERCISES, SECONDS)
    yield {row.name: row for row in found}
    shutil.rmtree(folder)


def broken(folder: Path) -> None:
    """A student whose files are hardly any, with one exercise solved twice and one that has lost its check."""
    save(folder / ".ipynb_checkpoints" / "old.ipynb", [SOLVED["nearest"]])
    save(folder / "a.ipynb", [STUBS["pencil"], SOLVED["pencil"]])
    save(folder / "b.ipynb", [SOLVED["trained"].rpartition("\n_ = ")[0]], ["exercise"])
    (folder / "half.ipynb").write_text('{"cells": [')
    (folder / "link.ipynb").symlink_to(folder.parent / "solved" / "renamed folder" / "my copy.ipynb")
    os.mkfifo(folder / "pipe.ipynb")


def verdict(row: table.Row, function: str) -> list[str]:
    return row.verdicts[FUNCTIONS.index(function)]


def test_all_exercises_of_the_suite_are_known():
    assert len(EXERCISES) == len(STUBS) == len(SOLVED) == 34
    assert len({exercise["check"] for exercise in EXERCISES}) == len(set(FUNCTIONS)) == 34


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_solution_passes_and_every_stub_is_not_begun(rows, function: str):
    assert verdict(rows["solved"], function)[0] == "passes", verdict(rows["solved"], function)
    assert verdict(rows["stubs"], function)[0] == "not begun", verdict(rows["stubs"], function)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_gets_its_own_verdict_and_no_other(rows, attack: str):
    _, state, words = ATTACKS[attack]
    found, sentence = verdict(rows["mallory"], PLACES[attack])
    assert found == state or (not state and found != "passes"), sentence
    assert words in sentence
    assert "swordfish" not in sentence
    assert "TEACHERS_SECRET" not in sentence


@pytest.mark.parametrize("case", CELLS)
def test_a_cell_s_own_verdict_does_not_count(rows, case: str):
    function, _, state = CELLS[case]
    assert verdict(rows["mallory"], function)[0] == state, verdict(rows["mallory"], function)


def test_what_stands_after_the_attacks_is_still_tried(rows):
    assert {state for state, _ in rows["mallory"].verdicts[-3:]} == {"missing"}
    assert rows["mallory"].broken == []


def test_files_that_are_no_notebooks_are_named_and_the_others_read(rows):
    row = rows["untidy"]
    words = ["untidy/half.ipynb is no notebook of format 4", "untidy/link.ipynb is a link", "untidy/pipe.ipynb is a"]
    assert all(sentence.startswith(start) for sentence, start in zip(row.broken, words, strict=True)), row.broken
    passing = [function for function in FUNCTIONS if verdict(row, function)[0] == "passes"]
    assert passing == ["trained", "pencil"]
    assert verdict(row, "nearest") == ["missing", "no cell calls check_nearest"]


def test_the_table_has_a_line_for_each_and_totals(rows):
    lines = list(table.lines(EXERCISES, list(rows.values())))
    assert lines[0].split() == sorted({exercise["chapter"] for exercise in EXERCISES})
    assert lines[1].startswith("mallory")
    assert lines[2].endswith("  34/34")
    assert lines[-2].split()[:2] == ["passing", "21"]  # trained: the solved and the untidy; nearest: the solved
    assert all(f"{sign} {state}" in lines[-1] for state, sign in STATES.items())
    sentences = list(table.details(EXERCISES, list(rows.values())))
    assert not [line for line in sentences if line.startswith(("solved", "stubs"))]
    assert any(line.startswith("mallory, 01 trained: !") for line in sentences)


def test_a_spreadsheet_gets_words_and_no_formulas(tmp_path: Path):
    row = table.Row("=cmd()", [["passes", "Right."]], ["+1"])
    table.write_csv(tmp_path / "t.csv", EXERCISES[:1], [row])
    with (tmp_path / "t.csv").open(encoding="utf-8-sig", newline="") as file:
        head, line = csv.reader(file)
    assert head == ["student", "01 trained", "passing", "files"]
    assert line == ["'=cmd()", "passes", "1", "'+1"]


# What an exercise is run with -------------------------------------------------------------------------


def test_a_cell_gets_what_it_needs_of_the_page_and_nothing_else():
    above = known.definitions(
        "import torch\nk = 2\n\n\ndef f(x):\n    return g(x)\n\n\ndef g(x):\n    return k * x\nprint(k)"
    )
    assert worker.prelude(above, "a = f(1)") == "k = 2\ndef f(x):\n    return g(x)\ndef g(x):\n    return k * x"
    assert worker.prelude(above, "def h(k):\n    return k") == ""


# The command ------------------------------------------------------------------------------------------

run = partial(commands.run, __main__.main, cwd=ROOT)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "folder is 'nowhere'; allowed: a folder that holds a folder a student"),
        (["tests", "--seconds", "0"], "seconds is 0; allowed: 1 or more"),
    ],
    ids=str,
)
def test_the_command_refuses_what_it_cannot_use(arguments: list[str], words: str):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_without_a_sandbox_it_refuses_and_says_why(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(sandbox, "WAYS", [["no-such-program"]])
    done = run(str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "apart" in done.stderr
    assert "no-such-program" in done.stderr
    assert "--unsafe" in done.stderr


def test_a_class_s_folder_that_holds_python_cannot_be_hidden(way):
    with pytest.raises(OSError, match="allowed: root or user namespaces, or --unsafe"):
        sandbox.way(Path(sys.prefix))


def test_a_folder_without_students_is_refused(tmp_path: Path):
    done = run(str(tmp_path), "--unsafe")
    assert (done.returncode, done.stdout) == (2, "")
    assert "without a folder in it; allowed: one with a folder a student" in done.stderr


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_are_refused(system: str, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    assert f"the system is '{system}'; allowed: linux" in run("tests").stderr


def test_who_wants_it_unsafe_gets_the_same_table(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(sandbox, "WAYS", [])
    save(tmp_path / "class" / "ana" / "a.ipynb", [SOLVED["pencil"]])
    done = run(str(tmp_path / "class"), "--unsafe", "--details", "--csv", str(tmp_path / "t.csv"))
    assert done.returncode == 0, done.stderr
    assert "ana" in done.stdout
    assert " 1/34" in done.stdout
    assert "ana, 01 trained: ? no cell calls check_trained" in done.stdout
    assert (tmp_path / "t.csv").is_file()
