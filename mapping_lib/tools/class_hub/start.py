"""What runs as the student before each server: limits that hold, then the edition, then the server itself.

The hub starts it by its path, with nothing but the standard library:
``python -P -s start.py SOURCE FOLDER BYTES PROCESSES COMMAND...``
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

GIVEN = ".given.json"
"""The file beside a student's notebooks that says what was given: digests by name."""


def digest(data: bytes) -> str:
    """A name for the content of a file.

    >>> digest(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def place(name: str, new: str, given: dict[str, str], mine: Callable[[str], str]) -> str:
    """Where a new file goes: itself, where it is new or as it was given; else beside it; "" where it is already.

    All contents are digests: ``new``, what was ``given`` by name, and what ``mine`` finds in the student's folder. What
    was deleted comes again, as with nbgitpuller, but for a version beside, which comes once.

    >>> place("a.txt", "2", {"a.txt": "1"}, {"a.txt": "1"}.get), place("a.txt", "2", {"a.txt": "1"}, {"a.txt": "x"}.get)
    ('a.txt', 'a.new.txt')
    """
    path = Path(name)
    for at in (name, f"{path.stem}.new{path.suffix}", f"{path.stem}.{new[:6]}{path.suffix}"):
        have = mine(at) or ""
        if have == new or (not have and at != name and given.get(at) == new):
            given[at] = new
            return ""
        if not have or have == given.get(at):
            return at
    return ""


def bring(source: Path, folder: Path) -> list[str]:
    """Bring the edition in ``source`` into a student's ``folder``, and name what was written; no work is changed.

    Raises OSError where a file cannot be read or written; each is written whole or not at all.
    """

    def mine(name: str) -> str:
        path = folder / name
        return digest(path.read_bytes()) if path.is_file() else "no file" if path.exists() else ""

    folder.mkdir(exist_ok=True)
    try:
        given = dict(json.loads((folder / GIVEN).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # none yet, or spoilt: then all that is there is the student's
        given = {}
    written = []
    for path in sorted(path for path in source.iterdir() if path.is_file()):
        data = path.read_bytes()
        if at := place(path.name, digest(data), given, mine):
            _replace(folder / at, data)
            given[at] = digest(data)
            written.append(at)
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
    os.nice(5)
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
