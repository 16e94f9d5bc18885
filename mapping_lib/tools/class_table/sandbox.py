"""Where students' code runs: as nobody, without a network, other processes or the class's files in sight.

This takes Linux, and either root or user namespaces with subordinate users (`/etc/subuid`, newuidmap).
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mapping_lib

APART = ["--net", "--pid", "--ipc", "--mount", "--mount-proc", "--fork", "--kill-child"]
WAYS = [["unshare", *APART], ["unshare", "--map-root-user", "--map-auto", *APART]]
UNSAFE: list[str] = []
"""The way without a sandbox: only the limits of time, memory and files hold."""

RUN = "from mapping_lib.tools.class_table.worker import main; main()"
STARTING = 60
"""Seconds that a worker may take to import the suite."""


def way(folder: Path) -> list[str]:
    """The command that sets a worker apart, here and for this ``folder``; raises OSError where none does."""
    why = "it takes Linux"
    for found in WAYS if sys.platform == "linux" else []:
        verdicts, why = run(found, folder, [], 1)
        if verdicts == ["ready"]:
            return found
    raise OSError(f"nothing here keeps students' code apart ({why}); allowed: root or user namespaces, or --unsafe")


def run(way: list[str], folder: Path, exercises: list[dict[str, Any]], seconds: int) -> tuple[list, str]:
    """What a worker says: "ready" and a verdict for each of the exercises, fewer if it ended; and why it did."""
    library = Path(mapping_lib.__file__).parent.parent
    kept = sorted({str(library), *_as_written_and_real(sys.prefix), *_as_written_and_real(sys.base_prefix)})
    with TemporaryDirectory(prefix="class-") as empty, TemporaryDirectory(prefix="class-") as stash:
        hidden = sorted({str(folder.resolve()), *filter(None, map(_closed, kept))}) if way else []
        job = {"exercises": exercises, "seconds": seconds, "kept": kept, "hidden": hidden, "stash": stash}
        names = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(library), "HOME": empty}
        names |= {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", "CUDA_VISIBLE_DEVICES": ""}
        command = [*way, sys.executable, "-P", "-c", RUN]
        return _talk(command, json.dumps(job), STARTING + 4 * seconds * len(exercises), cwd=empty, env=names)


def _talk(command: list[str], job: str, seconds: float, **how: Any) -> tuple[list, str]:
    how |= {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True}
    try:
        process = subprocess.Popen(command, text=True, encoding="utf-8", errors="replace", **how)
    except OSError as error:
        return [], str(error)
    try:
        out, errors = process.communicate(job, timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, errors = process.communicate()
    return [json.loads(line) for line in out.splitlines()], (errors.strip().splitlines() or ["it ended"])[-1]


def _as_written_and_real(path: str) -> set[str]:
    return {str(Path(path).absolute()), str(Path(path).resolve())}


def _closed(path: str) -> str | None:
    """The uppermost folder on the way to ``path`` that other users may not enter."""
    return next((str(p) for p in reversed(Path(path).parents) if not p.stat().st_mode & 0o001), None)
