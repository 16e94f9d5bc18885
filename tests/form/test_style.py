"""The form of the whole: lint, pins, the folders a visitor sees, nothing large, nothing unsafe."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from house import ROOT

TOP = {"README.md", "requirements.txt", "pyproject.toml", "LICENSE", "notebooks", "mapping_lib", "tests", "figures"}
MODULES = sorted((ROOT / "mapping_lib").rglob("*.py"))
FORBIDDEN_IMPORTS = {"pickle", "cloudpickle", "dill", "joblib", "urllib", "requests", "socket", "http", "ftplib"}
FORBIDDEN_CALLS = re.compile(r"torch\.load\(|torch\.hub|allow_pickle\s*=\s*True")
PICKLES = {".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib"}


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """The files that git knows, relative to the root."""
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"not a git checkout, or no git here: {error}")
    return done.stdout.rstrip("\0").split("\0")


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff(command: list[str]):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def requirements() -> list[str]:
    """Return the lines of requirements.txt that ask for something."""
    lines = (line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    return [line for line in lines if line]


def test_requirements_are_exact():
    loose = [line for line in requirements() if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line)]
    assert loose == ["."], "-e . leaves a link that a Python of another encoding cannot read (see the README)"


def test_requirements_can_be_read_in_every_encoding():
    assert (ROOT / "requirements.txt").read_text(encoding="utf-8").isascii()


def test_requirements_are_complete():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    checks = {"jupyterlab", "ipykernel", "pytest", "nbval", "nbclient", "nbconvert", "playwright", "ruff", "oxlint"}
    needed = {re.match(r"[\w.-]+", line)[0] for line in project["dependencies"]} | checks
    assert needed <= {line.split("==")[0] for line in requirements()}


def test_the_build_backend_is_pinned():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    assert all("==" in line for line in build["requires"])


def test_the_top_folder_holds_what_it_should(tracked: list[str]):
    visible = {name.split("/")[0] for name in tracked if not name.startswith(".")}
    assert visible == TOP


def test_no_tracked_file_is_large(tracked: list[str]):
    sizes = {name: (ROOT / name).stat().st_size for name in tracked if (ROOT / name).exists()}
    assert {name: size for name, size in sizes.items() if size > 2_000_000} == {}


def test_no_pickles(tracked: list[str]):
    assert [name for name in tracked if Path(name).suffix in PICKLES] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_neither_unpickles_nor_calls_out(path: Path):
    source = path.read_text(encoding="utf-8")
    assert imported(source) & FORBIDDEN_IMPORTS == set()
    assert FORBIDDEN_CALLS.findall(source) == []


def imported(source: str) -> set[str]:
    """Return the top-level names of the packages that ``source`` imports, anywhere in it.

    >>> sorted(imported("import torch.nn; from urllib.request import urlopen"))
    ['torch', 'urllib']
    """
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.split(".")[0] for name in names}


def test_an_unsafe_module_would_be_found():
    assert imported("def f():\n    from pickle import loads\n    import urllib.request as u") == {"pickle", "urllib"}
    assert FORBIDDEN_CALLS.findall("theta = torch.load('theta.pt')\nnp.load(f, allow_pickle = True)") != []
