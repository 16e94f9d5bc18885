"""What ends a student's largest kernel when all that the student runs holds too much memory: a service of the hub.

A limit of a process says nothing of the others; where systemd does not run, nobody else adds them up. The hub starts it
by its path, as root: ``python -P -s watch.py GROUP BYTES``. It counts each process's share of the pages that it uses,
and files in memory, as in /dev/shm, also those that are open and have no name; a file that is mapped counts twice.
"""

import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

EVERY = 1.0
"""Seconds from one look to the next."""


class Held(NamedTuple):
    """Memory that an account holds: what holds it, how many bytes, and what ends that; a server ends last."""

    what: str
    size: int
    end: Callable[[], object] = lambda: None
    server: bool = False


def too_much(held: Iterable[Held], allowed: int) -> list[Held]:
    """What must end, the largest first, for the rest to stay within ``allowed`` bytes.

    >>> kernels = [Held("small", 2), Held("large", 5), Held("server", 9, server=True)]
    >>> [one.what for one in too_much(kernels, 11)]
    ['large']
    """
    held = sorted(held, key=lambda one: (one.server, -one.size))
    rest, ended = sum(one.size for one in held), []
    for one in held:
        if rest > allowed:
            ended.append(one)
            rest -= one.size
    return ended


def in_memory() -> list[str]:
    """The folders that lie in memory and that everybody may write to.

    >>> "/home" in in_memory()
    False
    """
    places = {part.mountpoint for part in psutil.disk_partitions(all=True) if part.fstype == "tmpfs"}
    return sorted(place for place in places if Path(place).is_dir() and Path(place).stat().st_mode & stat.S_IWOTH)


def files(folders: Iterable[str], user: int) -> Iterator[Held]:
    """A user's files in ``folders``, however deep."""
    for path in (Path(place, name) for folder in folders for place, _, names in os.walk(folder) for name in names):
        with suppress(OSError):  # gone by now
            if (at := path.lstat()).st_uid == user and stat.S_ISREG(at.st_mode):
                yield Held(str(path), 512 * at.st_blocks, path.unlink)


def unnamed(process: int, folders: Iterable[str] = ()) -> int:
    """Bytes of files in memory without a name, once in ``folders`` or never anywhere, that a process has open."""
    sizes, places = {}, ("/memfd:", *(f"{folder}/" for folder in folders))
    for link in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):  # closed by now
            if os.readlink(link).startswith(places) and not (at := link.stat()).st_nlink:
                sizes[at.st_ino] = 512 * at.st_blocks
    return sum(sizes.values())


def of(process: psutil.Process, folders: Iterable[str]) -> Held | None:
    """What a process holds, and nothing if it has ended."""
    try:
        command, share = process.cmdline(), process.memory_full_info().pss
        held = share + unnamed(process.pid, folders)
    except (psutil.Error, OSError):
        return None
    words = " ".join(command)
    return Held(f"process {process.pid}, {words[:60]}", held, process.kill, "jupyterhub.singleuser" in words)


def look(users: Mapping[int, str], folders: Sequence[str], allowed: int) -> Iterator[tuple[str, int, Held]]:
    """What must end now: whose it is, how much that account holds in all, and what it is.

    Shares of pages take long to ask: only of those whose pages together, shared or not, may be too many.
    """
    processes: dict[int, list[psutil.Process]] = {user: [] for user in users}
    for process in psutil.process_iter(["uids", "memory_info"]):
        if process.info["uids"] and process.info["memory_info"]:
            processes.get(process.info["uids"].real, []).append(process)
    hidden = psutil.virtual_memory().shared > allowed  # only then may files without a name be too large
    for user, theirs in processes.items():
        held = list(files(folders, user))
        most = sum(one.size for one in held) + sum(process.info["memory_info"].rss for process in theirs)
        if most > allowed or hidden:
            held += filter(None, (of(process, folders) for process in theirs))
            total = sum(one.size for one in held)
            yield from ((users[user], total, one) for one in too_much(held, allowed))


def main() -> None:
    """Look every second, for good; a line on stderr says what was ended."""
    import grp  # Unix alone
    import pwd

    group, allowed, folders = sys.argv[1], int(sys.argv[2]), in_memory()
    while True:
        members = grp.getgrnam(group).gr_mem
        users = {account.pw_uid: account.pw_name for account in pwd.getpwall() if account.pw_name in members}
        for name, total, one in look(users, folders, allowed):
            print(f"{name} holds {total / 1e9:.2f} GB, allowed {allowed / 1e9:.2f}: {one.what} ends", file=sys.stderr)
            with suppress(psutil.Error, OSError):  # it has ended by itself
                one.end()
        time.sleep(EVERY)


if __name__ == "__main__":
    main()
