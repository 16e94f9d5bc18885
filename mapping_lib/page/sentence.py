"""Words as data: numbers, templates and sentences, as `front/sentence.js` reads them, too.

A sentence is a tuple of groups, templates by their conditions; of each group the first that holds is said. A condition
is the name of a value, "not " and a name, or "" for always. A template has places, ``{error:.2f}``, and marks,
``**bold**`` and ``[in a colour|MAML]``.
"""

import math
import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Sentence = Sequence[Mapping[str, str]]
PLACE = re.compile(r"\{(\w+)(?::([^}]*))?\}")
MARK = re.compile(r"\*\*(.+?)\*\*|\[([^\]|]+)\|[^\]]+\]")


def number(value: float, digits: int = 3) -> str:
    """A number with few digits, a whole one as it is; a dash for what is not one.

    >>> number(0.012345), number(1000.0), number(-12345.5), number(math.inf)
    ('0.0123', '1000', '−1.23e+04', '–')
    """
    if not math.isfinite(value):
        return "–"
    if value == int(value) and abs(value) < 1e6:
        return f"{value:.0f}".replace("-0", "0").replace("-", "−")
    exact = Decimal(value)
    power = exact.adjusted() if value else 0
    rounded = exact.quantize(Decimal(1).scaleb(power - digits + 1), ROUND_HALF_UP)
    if rounded.adjusted() > power and value:  # 9.996 has become 10.0
        power += 1
        rounded = exact.quantize(Decimal(1).scaleb(power - digits + 1), ROUND_HALF_UP)
    plain = -4 <= power < digits
    written = f"{rounded if plain else rounded.scaleb(-power):f}"
    short = re.sub(r"\.?0+$", "", written) if "." in written else written
    return (short if plain else f"{short}e{power:+03d}").replace("-", "−")


def formatted(value: Any, how: str = "") -> str:
    """A value as the format of its place says: "" as it is, ".2f", ".0%", ".3g", or a noun to be counted.

    >>> formatted(0.125, ".2f"), formatted(0.5, ".0%"), formatted(1, "step"), formatted(3, "step"), formatted("a")
    ('0.13', '50 %', '1 step', '3 steps', 'a')
    """
    if isinstance(value, str):
        return value
    if not how:
        return number(value)
    if not (numeric := re.fullmatch(r"\.(\d+)([fg%])", how)):
        return f"{number(value)} {how}{'' if value == 1 else 's'}"
    digits, kind = int(numeric[1]), numeric[2]
    if kind == "g":
        return number(value, digits)
    if not math.isfinite(value):
        return "–"
    exact = Decimal(100 * value if kind == "%" else value)
    fixed = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{fixed if fixed else abs(fixed):f}".replace("-", "−") + (" %" if kind == "%" else "")


def filled(template: str, values: Mapping[str, Any]) -> str:
    """Fill the places of a template.

    >>> filled("error {error:.2f} after {steps:step}", {"error": 0.5, "steps": 1})
    'error 0.50 after 1 step'
    """
    return PLACE.sub(lambda place: formatted(values[place[1]], place[2] or ""), template)


def holds(condition: str, values: Mapping[str, Any]) -> bool:
    """Whether a condition holds: a name, "not " and a name, or "" for always."""
    name = condition.removeprefix("not ")
    return not condition or bool(values.get(name)) != (name != condition)


def said(sentence: Sentence, values: Mapping[str, Any]) -> str:
    """The words for a set of values, with their marks: see the module.

    >>> said([{"big": "**Too big.**", "": "Fine."}, {"": "x = {x}"}], {"big": 0, "x": 2.0})
    'Fine. x = 2'
    """
    parts = (next((words for condition, words in group.items() if holds(condition, values)), "") for group in sentence)
    return " ".join(filter(None, (filled(part, values) for part in parts)))


def plain(words: str) -> str:
    """Words without their marks.

    >>> plain("**Yes**, [MAML|maml] wins")
    'Yes, MAML wins'
    """
    return MARK.sub(lambda mark: mark[1] or mark[2], words)
