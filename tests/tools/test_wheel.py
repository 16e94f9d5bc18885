"""The library as a wheel carries it: an installed copy has every file, and does its work from any folder.

The copy is what `pip install .` made of this folder. It is tried in processes that see no other, in an empty folder
that is closed to writing.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import ROOT

from mapping_lib.tools.recording import contents

FOR_OTHERS = {"README.md", "LICENSE.unicode", "gemm.wat"}
"""Files that people read; all else that is not Python is read by the library, or by what `USED_BY` names."""

USED_BY = {"tools/site/look": "Sphinx", "tools/class_hub/pages": "JupyterHub"}
COMMANDS = ["editions", "recording", "class_table .", "site out"]
"""Those of `mapping_lib.tools` that work on the project's notebooks."""


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("elsewhere")
    folder.chmod(0o555)
    yield folder
    assert not list(folder.iterdir()), "nothing is left behind"


def alone(empty: Path, *arguments: str) -> subprocess.CompletedProcess:
    """What Python gives where the project's folder is not on its path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-P", *arguments]
    return subprocess.run(
        command, cwd=empty, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )


@pytest.fixture(scope="module")
def installed(empty: Path) -> Path:
    """The folder of the installed copy."""
    code = "import mapping_lib, os, sys; sys.stdout.buffer.write(os.fsencode(mapping_lib.__path__[0]))"
    asked = alone(empty, "-c", code)
    if asked.returncode:
        pytest.skip("no mapping_lib is installed: run pip install .")
    if (ROOT / "mapping_lib").samefile(asked.stdout):
        pytest.skip("what is installed is a link to this folder (pip install -e .), no copy")
    return Path(asked.stdout)


@pytest.fixture(scope="module")
def met(empty: Path, installed: Path) -> dict:
    """What `installed.py` tells of a process that imports, reads and makes all that the copy has."""
    done = alone(empty, str(ROOT / "tests" / "installed.py"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_file_is_in_it_byte_for_byte(installed: Path):
    ours, theirs = contents(ROOT / "mapping_lib"), contents(installed)
    assert sorted(ours.keys() - theirs.keys()) == []
    assert [name for name in ours if ours[name] != theirs[name]] == [], "an old copy: run pip install . again"


def test_every_module_is_imported(met: dict):
    assert {name.rpartition(".")[0] for name in met["lacking"]} <= {"mapping_lib.tools.site"}


def test_every_file_of_data_weights_tables_programs_and_front_end_is_read(met: dict):
    files = {name for name in contents(ROOT / "mapping_lib") if Path(name).name not in FOR_OTHERS}
    unread = files - set(met["opened"])
    assert [name for name in sorted(unread) if not name.endswith(".py") and not name.startswith(tuple(USED_BY))] == []


def test_every_explorer_is_made_and_the_doctor_runs(met: dict):
    assert len(met["pages"]) > 12
    assert min(met["pages"].values()) > 10_000
    assert "✗" not in met["diagnosis"]
    assert met["diagnosis"].count("✓") > 5


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_for_the_project_says_that_it_is_elsewhere(empty: Path, installed: Path, command: str):
    tool, *arguments = command.split()
    done = alone(empty, "-m", f"mapping_lib.tools.{tool}", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "run this from the project's root" in done.stderr or "is not installed" in done.stderr
