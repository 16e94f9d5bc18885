"""Tables as HTML: legible without a kernel, numbers aligned, units in the head."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

Cell = str | float | tuple[float, float] | None
"""A word, a number, a number with the half width of its interval, or nothing (a dash)."""


class Table:
    """What `table` gives: a notebook shows it as HTML, a console as lines of text."""

    def __init__(self, head: Sequence[str], rows: Sequence[Sequence[str]], aligned: Sequence[str], caption: str):
        self.head, self.rows, self.aligned, self.caption = head, rows, aligned, caption

    def _repr_html_(self) -> str:
        head = "".join(self._cell("th", *pair) for pair in zip(self.head, self.aligned, strict=True))
        rows = "".join(
            "<tr>" + "".join(self._cell("td", *pair) for pair in zip(row, self.aligned, strict=True)) + "</tr>\n"
            for row in self.rows
        )
        caption = f"<caption>{escape(self.caption)}</caption>\n" if self.caption else ""
        return f"<table>\n{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>"

    @staticmethod
    def _cell(kind: str, text: str, side: str) -> str:
        return f'<{kind} style="text-align: {side}">{escape(text)}</{kind}>'

    def __repr__(self) -> str:
        lines = [self.head, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        sides = {"left": str.ljust, "right": str.rjust}
        text = [
            "  ".join(sides[side](cell, width) for cell, side, width in zip(line, self.aligned, widths, strict=True))
            for line in lines
        ]
        return "\n".join(line.rstrip() for line in ([self.caption] if self.caption else []) + text)


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], *, caption: str = "", digits: int = 2) -> Table:
    """A table of words and numbers, each number with ``digits`` decimals (whole numbers with none).

    ``head`` names the columns, with units. A cell is a word, a number, None (a dash), or (value, half width), shown
    as value ± half. Columns that hold a number stand at the right. Raises ValueError for a row that is not as long as
    the head, and for fewer than no ``digits``.

    >>> table(["method", "error (g)"], [["MAML", (19.24, 1.5)], ["own fit", 24]], digits=1)
    method    error (g)
    MAML     19.2 ± 1.5
    own fit          24
    """
    if digits < 0:
        raise ValueError(f"digits is {digits}; allowed: 0, 1, 2 ...")
    for number, row in enumerate(rows, 1):
        if len(row) != len(head):
            raise ValueError(f"row {number} has {len(row)} cells: {row}; allowed: {len(head)}, as many as the head")
    words = [[_shown(cell, digits) for cell in row] for row in rows]
    columns = zip(*rows, strict=True) if rows else [[] for _ in head]
    aligned = ["left" if all(isinstance(cell, str) for cell in column) else "right" for column in columns]
    return Table([str(name) for name in head], words, aligned, caption)


def _shown(cell: Any, digits: int) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, tuple):
        value, half = cell
        return f"{_shown(float(value), digits)} ± {_shown(float(half), digits)}"
    if isinstance(cell, int):
        return f"{cell:,}".replace("-", "−")
    value = float(cell)
    if not math.isfinite(value):
        return "–" if math.isnan(value) else "∞" if value > 0 else "−∞"
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")  # + 0.0: no number is minus nothing
