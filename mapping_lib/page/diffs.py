"""What has changed between two programs, line by line, in colour and with a sign."""

import inspect
from collections.abc import Callable
from difflib import SequenceMatcher
from html import escape
from textwrap import dedent

SHADES = {"+": "rgba(0, 158, 115, 0.22)", "-": "rgba(213, 94, 0, 0.22)"}
"""Green and vermilion, transparent: what was written on light or on dark can be read on both."""


class Diff:
    """What `diff` gives: a notebook shows it in colour, a console as lines that begin with +, - or nothing."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def _repr_html_(self) -> str:
        width = max(map(len, self.lines), default=0)
        shown = "".join(_coloured(line.ljust(width)) for line in self.lines)
        return f'<pre style="font-family: monospace; line-height: 1.45">{shown}</pre>'

    def __repr__(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)


def _coloured(line: str) -> str:
    shade = SHADES.get(line[0])
    sign = line[0].replace("-", "−")
    style = f' style="background-color: {shade}"' if shade else ""
    return f"<span{style}>{sign}{escape(line[1:])}</span>\n"


def diff(before: str | Callable, after: str | Callable) -> Diff:
    """From one program to another: each a text, or a function, of which the body is compared.

    >>> diff("a = 1\\nb = 2", "a = 1\\nb = 3")
      a = 1
    - b = 2
    + b = 3
    """
    old, new = _lines(before), _lines(after)
    lines = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            lines += [f"  {line}" for line in old[a:b]]
        else:
            lines += [f"- {line}" for line in old[a:b]] + [f"+ {line}" for line in new[c:d]]
    return Diff(lines)


def _lines(program: str | Callable) -> list[str]:
    if isinstance(program, str):
        return program.splitlines()
    _, _, body = inspect.getsource(program).partition(":\n")
    return dedent(body).rstrip().splitlines()
