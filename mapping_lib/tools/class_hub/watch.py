"""What ends a student's largest kernel when all that the student runs holds too much memory: a service of the hub.

A limit of a process says nothing of the others; where systemd does not run, nobody else adds them up. The hub starts it
by its path, as root: ``python -P -s watch.py GROUP BYTES``. It counts each process's share of the pages that it uses,
and files in memory, as in /dev/shm, also those that are open and have no name; a file that is mapped counts twice. It
is against accidents: segments of System V that nobody has attached, and what is mounted in a namespace of one's own,
are not counted.
"""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
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


def files(folders: Sequence[str], users: Iterable[int]) -> dict[int, list[Held]]:
    """The files of users in ``folders``, by user; `find` goes deeper than a path is long."""
    found: dict[int, list[Held]] = {user: [] for user in users}
    command = ["find", *folders, "-xdev", "-type", "f", "-printf", r"%U %b %D %i %p\0"]
    listed = (
        subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False) if folders else None
    )
    for entry in listed.stdout.split(b"\0")[:-1] if listed else []:
        *numbers, path = entry.split(b" ", 4)
        user, blocks, device, inode = map(int, numbers)
        if blocks and user in found:
            found[user].append(Held(os.fsdecode(path), 512 * blocks, partial(empty, path, (user, device, inode))))
    return found


def empty(path: bytes, file: tuple[int, int, int]) -> None:
    """Empty the file at ``path`` if it is still this one, by user, device and number: root is led to no other's."""
    handle = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        at = os.fstat(handle)
        if (at.st_uid, at.st_dev, at.st_ino) == file and stat.S_ISREG(at.st_mode):
            os.truncate(f"/proc/self/fd/{handle}", 0)
    finally:
        os.close(handle)


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
    named, hidden = files(folders, users), psutil.virtual_memory().shared  # files without a name are in it, too
    for user, theirs in processes.items():
        held = named[user]
        most = sum(one.size for one in held) + sum(process.info["memory_info"].rss for process in theirs)
        if most + hidden > allowed:
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
            much = f"{name} holds {total / 1e9:.2f} GB, allowed {allowed / 1e9:.2f}"
            print(f"{much}: {one.what!a} ends", file=sys.stderr)  # as ASCII: a file's name may hold a new line
            with suppress(psutil.Error, OSError):  # it has ended by itself
                one.end()
        time.sleep(EVERY)


if __name__ == "__main__":
    main()
