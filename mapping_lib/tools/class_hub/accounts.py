"""Who is in the class, by a file of lines ``account,role``, and their Unix accounts, made by ``useradd``."""

import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

GROUP, TEACHERS = "mapping-class", "mapping-teachers"
"""The groups of all accounts made here, and of those who may read the teacher's edition."""

ROLES = ("student", "teacher")
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
MOST = 100
"""Above this a class needs more than one machine: Zero to JupyterHub."""

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that look like others."""


def read(path: Path) -> dict[str, str]:
    """The roles in a class, by account.

    Raises ValueError for a file that holds no class list, naming its line.
    """
    try:
        return roles(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None


def roles(text: str) -> dict[str, str]:
    """The roles by account that the ``text`` of a class list gives; a line without a role is a student.

    Raises ValueError for a name that is no account's, for one given twice, for a role that is none, for a class without
    anybody, and for one too large for a machine.

    >>> roles("ada\\nemmy, teacher\\n")
    {'ada': 'student', 'emmy': 'teacher'}
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, _, role = (part.strip() for part in line.partition(","))
        role = role or "student"
        if not name and not line.strip():
            continue
        if not NAME.fullmatch(name):
            raise ValueError(f"line {number}: the account is {name!r}; allowed: a-z first, then a-z, 0-9 and -, to 31")
        if name in found:
            raise ValueError(f"line {number}: the account {name!r} is given twice; allowed: once")
        if role not in ROLES:
            raise ValueError(f"line {number}: the role is {role!r}; allowed: {', '.join(ROLES)}")
        found[name] = role
    if not 0 < len(found) <= MOST:
        raise ValueError(f"the class has {len(found)} accounts; allowed: 1 to {MOST}")
    return found


def password(letters: int = 12) -> str:
    """A new password that can be read from paper.

    >>> len(password())
    12
    """
    return "".join(secrets.choice(LETTERS) for _ in range(letters))


def check(roles: Mapping[str, str]) -> None:
    """Raise ValueError for an account, or a group of its name, that this machine has, and that was not made here.

    >>> check({"root": "student"})
    Traceback (most recent call last):
    ValueError: the account is 'root', which this machine has already; allowed: another name
    """
    import grp  # Unix alone
    import pwd

    existing = {entry.pw_name for entry in pwd.getpwall()} | {entry.gr_name for entry in grp.getgrall()}
    if taken := sorted((roles.keys() & existing) - set(ours())):
        raise ValueError(f"the account is {taken[0]!r}, which this machine has already; allowed: another name")


def make(roles: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Make the accounts that a class lacks, each with a home that nobody else reads; yield each with its password.

    Those that exist keep theirs; who is a teacher is as ``roles`` says, of them too. Raises ValueError for an account
    that was not made here, OSError where a command fails.
    """
    check(roles)
    for group in (GROUP, TEACHERS):
        _run("groupadd", "--force", group)
    for name in sorted(roles.keys() - set(ours())):
        _run("useradd", "--create-home", "--key", "HOME_MODE=0700", "--groups", GROUP, "--shell", "/bin/bash", name)
        _run("chpasswd", text=f"{name}:{(word := password())}\n")
        yield name, word
    _run("gpasswd", "--members", ",".join(name for name, role in roles.items() if role == "teacher"), TEACHERS)


def close(folder: Path) -> None:
    """Let nobody but teachers read what lies in ``folder``."""
    _run("chgrp", "-R", TEACHERS, str(folder))
    _run("chmod", "-R", "u=rwX,g=rX,o=", str(folder))


def ours() -> list[str]:
    """The accounts of this machine that were made here."""
    import grp

    return next((group.gr_mem for group in grp.getgrall() if group.gr_name == GROUP), [])


def _run(*command: str, text: str = "") -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)} says: {done.stderr.strip()}")
