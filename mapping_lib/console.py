"""Words for consoles and files that cannot carry every letter, as on a Windows of cp1252 or GBK.

Importing it registers an error handler for encoders, under the name in `PLAIN`: Greek letters and the marks of
reports are then spelled, not refused.
"""

import argparse
import codecs
import sys
import unicodedata
from collections.abc import Iterable

PLAIN = "mapping_lib.plain"
"""The handler's name: ``text.encode("cp1252", PLAIN)`` never fails."""

SPELLED = dict(zip("✓✗–—−→↦←′’“”", ["+", "x", "-", "-", "-", "->", "|->", "<-", "'", "'", '"', '"'], strict=True)) | {
    **{"∇": "grad ", "∂": "d", "√": "sqrt", "∞": "inf", "∑": "sum ", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~"},
    **{"×": "x", "·": "*", "±": "+-", "∈": " in ", "…": "...", "²": "^2", "³": "^3", "⋅": "*", "‖": "||"},
}
"""Marks that have no name or form of their own in ASCII."""


def printable(text: str, encoding: str | None = None) -> str:
    """The text as an encoding can carry it; by default that of ``sys.stdout``, which is read.

    >>> printable("✓ φ = θ − α∇L", "ascii")
    '+ phi = theta - alphagrad L'
    >>> printable("✓ φ = θ − α∇L", "utf-8")
    '✓ φ = θ − α∇L'
    """
    encoding = encoding or getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, PLAIN).decode(encoding)


def command(module: str, about: str) -> argparse.ArgumentParser:
    """The parser of a command ``python -m module``; from here on this process's streams spell what they cannot carry.

    ``about`` is written out, since ``python -OO`` takes docstrings away.

    >>> command("mapping_lib.study", "Make tables again.").prog
    'python -m mapping_lib.study'
    """
    plain_streams()
    return argparse.ArgumentParser(prog=f"python -m {module}", description=about)


def refuse_unknown(parser: argparse.ArgumentParser, what: str, given: Iterable[str], allowed: Iterable[str]) -> None:
    """End the command with a sentence and the code 2, if a name is given that is not allowed."""
    if unknown := [name for name in given if name not in allowed]:
        parser.error(f"{what} is {unknown[0]!r}; allowed: {', '.join(allowed)}")


def plain_streams() -> None:
    """Let this process's ``sys.stdout`` and ``sys.stderr`` spell what they cannot carry: for commands alone."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=PLAIN)


def _spell(letter: str) -> str:
    """Without accents and raised or lowered places; by its name, if Greek; by its number, if nothing else is left."""
    parts = letter if letter in SPELLED else unicodedata.normalize("NFKD", letter)
    simple = "".join(SPELLED.get(part) or _greek(part) for part in parts).encode("ascii", "ignore").decode()
    return simple or letter.encode("ascii", "backslashreplace").decode()


def _greek(letter: str) -> str:
    name = unicodedata.name(letter, "")
    if not name.startswith("GREEK"):
        return letter
    word = name.rpartition("LETTER ")[2]
    return word.lower() if "SMALL" in name else word.capitalize()


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_spell, error.object[error.start : error.end])), error.end


codecs.register_error(PLAIN, _plain)
