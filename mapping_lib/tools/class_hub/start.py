"""What runs as the student before each server: limits that hold, then the edition, then the server itself.

The hub starts it by its path, with nothing but the standard library:
``python -P -s start.py SOURCE FOLDER BYTES PROCESSES COMMAND...``
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from uuid import uuid4

GIVEN = ".given.json"
"""The file beside a student's notebooks that says what was given: digests by name."""


def digest(path: Path) -> str:
    """A name for what a file holds; "" where there is none.

    >>> digest(Path("no_file"))
    ''
    """
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def bring(source: Path, folder: Path) -> list[str]:
    """Bring the edition in ``source`` into a student's ``folder``, and name what was written; no work is changed.

    A file that is as it was given is replaced, and one that is not there comes (again). Beside one that was changed the
    new version is laid, once, as ``NAME.new-DIGEST``. Raises OSError where a file cannot be read or written; each is
    written whole or not at all.
    """
    folder.mkdir(exist_ok=True)
    try:
        given = dict(json.loads((folder / GIVEN).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # none yet, or spoilt: then all that is there is the student's
        given = {}
    written = []
    for path in sorted(path for path in source.iterdir() if path.is_file()):
        name, new = path.name, digest(path)
        if (folder / name).exists() and digest(folder / name) not in (new, given.get(name)):
            name = f"{path.stem}.new-{new[:6]}{path.suffix}"
            if name in given or (folder / name).exists():
                continue
        if digest(folder / name) != new:
            _replace(folder / name, path.read_bytes())
            written.append(name)
        given[name] = new
    _replace(folder / GIVEN, json.dumps(given, indent=1).encode())
    return written


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    part.write_bytes(data)
    part.replace(path)


def limit(size: int, processes: int) -> None:
    """Limit this process and all that it starts, for good: the memory of each, how many there are, and their priority.

    A ``size`` of 0 leaves memory to who started this, as systemd does.
    """
    import resource

    os.umask(0o077)
    os.nice(5)  # a kernel of Linux that shares processors by session (autogroup) heeds it within one session alone
    Path("/proc/self/oom_score_adj").write_text("500")  # should the machine's memory end, the hub's does not
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    if size:
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def main() -> None:
    """Limit, bring, and become the command."""
    source, folder, size, processes, *command = sys.argv[1:]
    limit(int(size), int(processes))
    try:
        bring(Path(source), Path(folder).expanduser())
    except OSError as error:  # a full disk: who has work there still comes to it
        print(f"the edition was not brought: {error}", file=sys.stderr)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
