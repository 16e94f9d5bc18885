"""The class list: a file of lines ``account,role``, where the role is student or teacher."""

import re
from pathlib import Path

ROLES = ("student", "teacher")
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
MOST = 100
"""Above this a class needs more than one machine: Zero to JupyterHub."""


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
