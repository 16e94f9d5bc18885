"""Unix accounts of a class: made by ``useradd``, each with a home that nobody else reads."""

import grp
import pwd
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

GROUP, TEACHERS = "mapping-class", "mapping-teachers"
"""The groups of all accounts made here, and of those who may read the teacher's edition."""

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that look like others."""


def password(letters: int = 12) -> str:
    """A new password that can be read from paper.

    >>> len(password())
    12
    """
    return "".join(secrets.choice(LETTERS) for _ in range(letters))


def check(roles: Mapping[str, str]) -> None:
    """Raise ValueError for an account that this machine has, and that was not made here.

    >>> check({"root": "student"})
    Traceback (most recent call last):
    ValueError: the account is 'root', which this machine has already; allowed: another name
    """
    existing = {entry.pw_name for entry in pwd.getpwall()}
    if taken := sorted((roles.keys() & existing) - set(ours())):
        raise ValueError(f"the account is {taken[0]!r}, which this machine has already; allowed: another name")


def make(roles: Mapping[str, str]) -> dict[str, str]:
    """Make the accounts that a class lacks, and give their passwords; those that exist keep theirs.

    Who is a teacher is as ``roles`` says, also of accounts that exist. Raises ValueError for an account that was not
    made here, PermissionError for who is not root.
    """
    check(roles)
    for group in (GROUP, TEACHERS):
        _run("groupadd", "--force", group)
    made = {name: password() for name in sorted(roles.keys() - set(ours()))}
    for name in made:
        _run("useradd", "--create-home", "--key", "HOME_MODE=0700", "--groups", GROUP, "--shell", "/bin/bash", name)
    _run("chpasswd", text="".join(f"{name}:{word}\n" for name, word in made.items()))
    _run("gpasswd", "--members", ",".join(name for name, role in roles.items() if role == "teacher"), TEACHERS)
    return made


def close(folder: Path) -> None:
    """Let nobody but teachers read what lies in ``folder``."""
    _run("chgrp", "-R", TEACHERS, str(folder))
    _run("chmod", "-R", "u=rwX,g=rX,o=", str(folder))


def ours() -> list[str]:
    """The accounts of this machine that were made here."""
    return next((group.gr_mem for group in grp.getgrall() if group.gr_name == GROUP), [])


def _run(*command: str, text: str = "") -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PermissionError(f"{command[0]} says: {done.stderr.strip()}")
