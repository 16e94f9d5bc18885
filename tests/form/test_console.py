"""What the suite prints can be printed on every console: in cp1252, GBK and ASCII, and without docstrings."""

import ast
import codecs
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from house import ROOT

from mapping_lib.console import PLAIN, SPELLED, printable
from mapping_lib.doctor import FAULTS, Diagnosis, Finding

ENCODINGS = ["ascii", "cp1252", "gbk", "utf-8"]
COMMANDS = {
    "tools.recording": [],
    "tools.editions": ["student"],
    "tools.site": ["out"],
    "tools.class_hub": ["accounts", "run"],
    "tools.class_table": ["--details"],
    "study": ["--train", "--tune", "sinusoids"],
    "page": ["NAME", "adaptation"],
    "chapters.few_shot_images.study_omniglot": ["--episodes"],
}
"""Every command of the library, with a word that its help must have."""

ILL = Diagnosis(
    "exact", (Finding("it runs", "θ ↦ φ"), Finding("it adds", "∇L", ("the gradient is added",)), Finding("?", "", None))
)


EVERY_HELP = """
import io, json, runpy, sys
from contextlib import redirect_stdout

said = {}
for name in sys.argv[1:]:
    sys.argv = [name, "--help"]
    console = io.TextIOWrapper(io.BytesIO(), sys.stdout.encoding, sys.stdout.errors)
    try:
        with redirect_stdout(console):
            if name.endswith(".py"):
                runpy.run_path(name, run_name="__main__")
            else:
                runpy.run_module(name, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        console.flush()
        said[name] = [end.code, console.buffer.getvalue().decode(console.encoding)]
print(json.dumps(said))
"""
"""One process for all: each would import PyTorch."""

EVERY_CHECK = """
import importlib, inspect, pathlib, mapping_lib
folder = pathlib.Path(mapping_lib.__file__).parent
for path in folder.rglob("exercises.py"):
    name = ".".join(path.relative_to(folder.parent).with_suffix("").parts)
    for name, check in inspect.getmembers(importlib.import_module(name)):
        if name.startswith("check_"):
            check(lambda *a: ...)
            check(lambda *a: 1)
"""


def python(*arguments: str, encoding: str = "utf-8") -> subprocess.CompletedProcess:
    """Run Python in the root on a console of this encoding; its output as bytes."""
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, check=False)


# Words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("✓ θ ↦ φ", "utf-8", "✓ θ ↦ φ"),
        ("✓ φ = θ − α∇L", "ascii", "+ phi = theta - alphagrad L"),
        ("✓ φ = θ − α∇L", "gbk", "+ φ = θ - αgrad L"),  # GBK has Greek letters
        ("Σ |Δ|² ± 1 – π…", "cp1252", "Sigma |Delta|² ± 1 – pi…"),  # and cp1252 has these
        ("内循环 é", "ascii", r"\u5185\u5faa\u73af e"),
        ("ϕ ϑ ά x⁻¹ \ud800", "ascii", r"phi theta alpha x-1 \ud800"),
    ],
)
def test_what_an_encoding_cannot_carry_is_spelled(text: str, encoding: str, expected: str):
    assert printable(text, encoding) == expected
    assert text.encode(encoding, PLAIN).decode(encoding) == expected


def test_what_letters_are_spelled_with_every_console_has():
    assert "".join(SPELLED.values()).isascii()


def test_decoding_is_none_of_its_business():
    with pytest.raises(UnicodeDecodeError):
        codecs.decode(b"\xff", "ascii", PLAIN)


# Reports ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["cp1252", "gbk"])
def test_a_diagnosis_can_be_printed_by_a_plain_script(encoding: str):
    code = f"from mapping_lib.doctor import Diagnosis, Finding; print({ILL!a})"
    done = python("-c", code, encoding=encoding)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert done.stdout.decode(encoding).splitlines() == printable(str(ILL), encoding).splitlines()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_fault_keeps_its_sentence(encoding: str):
    for way in FAULTS.values():
        assert "\\" not in printable(way, encoding)


def test_where_it_can_be_carried_a_report_is_as_it_was():
    assert str(ILL).splitlines() == [
        "claims: exact",
        f"✓ {'it runs':30s} θ ↦ φ",
        f"✗ {'it adds':30s} ∇L",
        f"– {'?':30s} ",
        f"→ the gradient is added: {FAULTS['the gradient is added']}",
    ]


@pytest.mark.parametrize("encoding", ["cp1252", "gbk"])
def test_a_check_of_an_exercise_can_be_printed(encoding: str):
    done = python("-c", EVERY_CHECK, encoding=encoding)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert done.stdout.count(b"Not begun") > 20
    assert b"\\u" not in done.stdout


# Commands ---------------------------------------------------------------------------------------------


def test_every_command_is_here():
    mains = [
        path for path in (ROOT / "mapping_lib").rglob("*.py") if '__name__ == "__main__"' in path.read_text("utf-8")
    ]
    names = {path.relative_to(ROOT / "mapping_lib").with_suffix("").as_posix().replace("/", ".") for path in mains}
    started_by_the_hub = {
        "tools.class_hub.start",
        "tools.class_hub.watch",
    }  # by its path, with what else it needs: nobody types it
    assert {name.removesuffix(".__main__") for name in names} - started_by_the_hub == COMMANDS.keys()


@pytest.fixture(scope="module")
def helps() -> dict[str, list]:
    """How every command ends and what it says, without docstrings on a console that has ASCII alone."""
    names = [f"mapping_lib.{name}" for name in COMMANDS]
    done = python("-OO", "-c", EVERY_HELP, *names, "figures/make.py", encoding="ascii")
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_how_it_is_called_without_docstrings_on_any_console(name: str, helps):
    code, said = helps[f"mapping_lib.{name}"]
    assert code == 0
    usage = " ".join(said.split())
    assert usage.startswith(f"usage: python -m mapping_lib.{name} [-h]")
    assert all(word in usage for word in COMMANDS[name])
    assert ". " in usage.partition("[-h]")[2], "what it does is not said"


@pytest.mark.parametrize("name", ["study", "tools.editions"])
def test_a_command_names_what_it_allows(name: str):
    done = python("-m", f"mapping_lib.{name}", "内循环", encoding="cp1252")
    assert done.returncode == 2
    assert rb"is '\u5185\u5faa\u73af'; allowed: " in done.stderr


def test_a_command_may_name_a_file_that_its_console_cannot(tmp_path: Path):
    environment = os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mapping_lib.tools.editions", "student", "--to", str(tmp_path / "学生")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert rb"\u5b66\u751f: " in done.stdout


def test_the_picture_s_command_says_how_it_is_called(helps):
    code, said = helps["figures/make.py"]
    assert code == 0
    assert "[folder]" in said


# Without docstrings and asserts -----------------------------------------------------------------------


def test_nothing_hangs_on_an_assert_or_a_docstring():
    sources = {path: path.read_text("utf-8") for path in (ROOT / "mapping_lib").rglob("*.py")}
    trees = {path: ast.walk(ast.parse(source)) for path, source in sources.items()}
    places = [
        f"{path.name}:{node.lineno}"
        for path, nodes in trees.items()
        for node in nodes
        if isinstance(node, ast.Assert)
        or (isinstance(node, ast.Name) and node.id == "__doc__")
        or (isinstance(node, ast.Attribute) and node.attr == "__doc__")
    ]
    assert places == []


def test_a_learner_is_trained_and_examined_without_docstrings():
    code = (
        "import torch; from mapping_lib.doctor import diagnose; from mapping_lib.families.sinusoid import Sinusoids;"
        "from mapping_lib.learners.gradient import maml; from mapping_lib.networks import mlp;"
        "print(diagnose(maml(mlp((1, 8, 1)), torch.nn.functional.mse_loss), Sinusoids()))"
    )
    done = python("-OO", "-c", code, encoding="gbk")
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("gbk").splitlines()[-1] == "→ no fault found"  # GBK has the arrow
