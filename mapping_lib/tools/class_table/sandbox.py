"""Where students' code runs: as nobody, without a network, other processes or the class's files in sight.

This takes Linux, and either root or user namespaces with subordinate users (`/etc/subuid`, newuidmap).
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import mapping_lib

APART = ["--net", "--pid", "--ipc", "--mount", "--propagation=private", "--mount-proc", "--fork", "--kill-child"]
WAYS = [["unshare", *APART], ["unshare", "--map-root-user", "--map-auto", *APART]]
UNSAFE: list[str] = []
"""The way without a sandbox: only the limits of time, memory and files hold."""

RUN = "from mapping_lib.tools.class_table.worker import main; main()"
STARTING = 60
"""Seconds that a worker may take to import the suite."""


def way(folder: Path) -> list[str]:
    """The command that sets a worker apart, here and for this ``folder``; raises OSError where none does."""
    why = "no way is known"
    for found in WAYS:
        verdicts, why = run(found, folder, [], 1)
        if verdicts == ["ready"]:
            return found
    raise OSError(f"nothing here keeps students' code apart ({why}); allowed: root or user namespaces, or --unsafe")


def run(way: list[str], folder: Path, exercises: list[dict[str, Any]], seconds: int) -> tuple[list, str]:
    """What a worker says: "ready" and a verdict for each of the exercises, fewer if it ended; and why it did.

    Of this process's ``os.environ`` it gets nothing but where programs lie.
    """
    library = Path(mapping_lib.__file__).parent.parent
    places = (library, Path(sys.prefix), Path(sys.base_prefix))
    kept = sorted({str(real(place)) for place in places for real in (Path.absolute, Path.resolve)})
    closed = sorted(set(filter(None, map(_closed, kept))))
    names = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(library), "PYTHONUTF8": "1"}
    names |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with _temporary() as empty, _temporary() as stash:
        apart = {"kept": kept, "closed": closed, "folder": str(folder.resolve()), "stash": stash} if way else {}
        job = json.dumps({"exercises": exercises, "seconds": seconds, "apart": apart})
        how = {"cwd": empty, "env": names | {"HOME": empty}, "timeout": STARTING + 4 * seconds * len(exercises)}
        command = [*way, sys.executable, "-P", "-c", RUN]
        try:
            done = subprocess.run(command, input=job, capture_output=True, encoding="utf-8", check=False, **how)
        except (OSError, subprocess.TimeoutExpired) as error:
            return [], str(error)
    return [json.loads(line) for line in done.stdout.splitlines()], (done.stderr.splitlines() or ["it ended"])[-1]


def _temporary() -> TemporaryDirectory:
    """A folder for a while, where others can reach it: a closed one would be covered, and it with it."""
    places = [place for place in (gettempdir(), "/tmp", "/var/tmp") if not _closed(f"{place}/class")]
    return TemporaryDirectory(prefix="class-", dir=next(iter(places), None))


def _closed(path: str) -> str | None:
    """The uppermost folder on the way to ``path`` that other users may not enter."""
    return next((str(p) for p in reversed(Path(path).parents) if not p.stat().st_mode & 0o001), None)
