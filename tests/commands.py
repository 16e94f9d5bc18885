"""Commands, what they end with and what they print: one of the library, called in this process; the check by nbval."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

from house import ROOT


def run(main: Callable[[], None], *arguments: str, cwd: Path) -> CompletedProcess:
    """What ``python -m`` its module would give in the folder ``cwd``; an exception that it does not catch is raised."""
    out, err, code = StringIO(), StringIO(), None
    with chdir(cwd), patch.object(sys, "argv", ["", *arguments]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code
    if isinstance(code, str):  # as Python does: the words on stderr, and 1
        err.write(f"{code}\n")
    return CompletedProcess(arguments, 1 if isinstance(code, str) else code or 0, out.getvalue(), err.getvalue())


def nbval(*notebooks: Path) -> str:
    """What this suite's check of ``notebooks``, each cell a test, prints."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "conftest", "--numprocesses=0"]
    command += ["-c", str(ROOT / "pyproject.toml"), f"--rootdir={ROOT}", *map(str, notebooks)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False).stdout
