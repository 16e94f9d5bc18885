"""A command of the library, called in this process: what it ends with, and what it prints."""

import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch


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
