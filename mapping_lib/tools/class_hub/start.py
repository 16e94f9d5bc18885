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


def digest(data: bytes) -> str:
    """A name for the content of a file.

    >>> digest(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def plan(given: dict[str, str], mine: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """Where each new file goes, by name: itself, where it is new or what was given is unchanged; else beside it.

    All arguments are digests by name: what was given last, what the student has, what there is now. What the student
    has deleted comes again, as nbgitpuller has it; what is there already is left out.

    >>> plan({"a": "1", "b": "1"}, {"a": "1", "b": "mine"}, {"a": "2", "b": "2", "c": "2"})
    {'a': 'a', 'b': 'b.new', 'c': 'c'}
    """
    places = {}
    for name, content in new.items():
        if mine.get(name) == content or (name in mine and given.get(name) == content):
            continue
        stem, dot, suffix = name.rpartition(".")
        beside = f"{stem}.new.{suffix}" if dot else f"{name}.new"
        unchanged = name not in mine or mine[name] == given.get(name)
        places[name] = name if unchanged else beside
    return places


def bring(source: Path, folder: Path) -> list[str]:
    """Bring the edition in ``source`` into a student's ``folder``: nothing that the student wrote is changed.

    Gives the names of the files written. A version beside a changed file is ``name.new.ipynb``; it replaces only a
    version beside it that was given before, never one that was changed: then a number is added.
    """
    folder.mkdir(exist_ok=True)
    note = folder / GIVEN
    try:
        given = dict(json.loads(note.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # none yet, or the student's own: then all that is there is the student's
        given = {}
    contents = {path.name: path.read_bytes() for path in sorted(source.iterdir()) if path.is_file()}
    new = {name: digest(data) for name, data in contents.items()}
    mine = {path.name: digest(path.read_bytes()) for path in folder.iterdir() if path.is_file()}
    written = []
    for name, place in plan(given, mine, new).items():
        if place != name and mine.get(place) not in (None, given.get(place), new[name]):
            stem, _, suffix = place.rpartition(".")
            place = f"{stem}-{new[name][:6]}.{suffix}"
        _replace(folder / place, contents[name])
        given[place] = new[name]
        written.append(place)
    given |= new
    _replace(note, json.dumps(given, indent=1).encode())
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
