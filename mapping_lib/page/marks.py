"""What a picture is made of: axes, and marks over named arrays of a frame. Data, which `front/marks.js` draws.

Arrays and numbers are given by their names in the frame, colours by the name of a role or a method (`plots.COLOURS`,
`plots.COLOUR_OF`), as words that hold one in braces, or as the name of a list of them in the frame; conditions and
names as in `sentence`.
"""

from collections.abc import Sequence
from typing import Any

Mark = dict[str, Any]
Ref = str | Sequence[float]


def axes(name: str, x: Ref, y: Ref, title: str, **look: Any) -> dict[str, Any]:
    """A pair of axes with the limits ``x`` and ``y``, two numbers each, or the name of an array of two.

    ``look``: ``xlabel``, ``ylabel``, ``log`` ("x", "y" or both), ``share`` of the width or ``place`` (left, top, width
    and height as shares of the picture), ``square``, ``bare`` (nothing but the title), ``grid``, ``xticks`` and
    ``yticks`` (pairs of a value and its words), ``called`` (what the ends of the x-axis are called, as ``x`` is given),
    ``rows`` (how many lines of words stand in it, so that there is room on a phone),
    ``press`` (the two fields of the state that a press puts where it is). Title and labels may have places, as a
    sentence.
    """
    rest = {"xlabel": "", "ylabel": "", "log": "", "share": 1.0, "square": False, "bare": False, "press": None}
    rest |= {"xticks": None, "yticks": None, "grid": True, "place": None, "called": None}
    return {"name": name, "x": x, "y": y, "title": title} | rest | look


def drag(
    x: str, y: str, along: Sequence[str] | None = None, about: Ref | None = None, polar: bool = False
) -> dict[str, Any]:
    """The fields of the state that a dragged point moves, "" for none; its height may be measured ``along`` a line.

    The line is (x, y). Both may be measured ``about`` a place, in units of a width and a height (x, y, width, height);
    with ``polar`` they are then the distance and the angle.
    """
    return {"x": x, "y": y, "along": along, "about": about, "polar": polar}


def line(on: str, y: Ref, colour: Any, *, x: Ref = "", name: Any = "", **look: Any) -> Mark:
    """A line over ``x`` (without it over 0, 1, 2 ...), or one for each row of ``y``, with its name beside it.

    ``look``: ``width``, ``dash``, ``fade`` (1 is full), ``dots`` ("all", "end"), ``near`` ("end": its name is there).
    """
    rest = {"width": 2.0, "dash": [], "fade": 1.0, "dots": "", "near": ""}
    return _mark("line", on, colour, x=x, y=y, name=name, **(rest | look))


def points(on: str, x: Ref, y: Ref, colour: Any, *, name: Any = "", **look: Any) -> Mark:
    """Points; ``drag`` lets a hand move them, ``adds`` lets it add and remove them. What is no number is left out.

    ``look``: ``size``, ``shape`` ("disc", "ring", "square", "diamond", "cross").
    """
    rest = {"size": 6.0, "shape": "disc", "drag": None, "adds": False, "near": ""}
    return _mark("points", on, colour, x=x, y=y, name=name, **(rest | look))


def band(on: str, low: Ref, high: Ref, colour: Any, *, x: Ref = "", fade: float = 0.18, when: str = "") -> Mark:
    """The area between two lines."""
    return _mark("band", on, colour, x=x, low=low, high=high, fade=fade, when=when)


def heat(on: str, values: str, colour: Any, *, when: str = "", **look: Any) -> Mark:
    """Numbers 0 ... 1 ``(row, column)`` as shades of a colour over all of the axes; row 0 is below.

    ``look``: ``strength`` (the share of the colour at 1), ``smooth``, ``gaps`` (nan is left out; else it is as 1).
    """
    return _mark(
        "heat", on, colour, values=values, when=when, **({"strength": 1.0, "smooth": True, "gaps": False} | look)
    )


def arrows(
    on: str, x: Ref, y: Ref, dx: Ref, dy: Ref, colour: Any, *, name: Any = "", width: Any = 2.4, when: str = ""
) -> Mark:
    """Arrows from (x, y) by (dx, dy), in the units of the axes; ``width`` may be a list."""
    return _mark("arrows", on, colour, x=x, y=y, dx=dx, dy=dy, name=name, width=width, near="", when=when)


def bars(on: str, values: Ref, colour: Any, *, names: Any = None, words: str | None = "", **look: Any) -> Mark:
    """Bars that lie, the first on top; ``names`` before them, their values behind in the format ``words``.

    ``look``: ``base`` (an array: where each begins, else at 0), ``rows`` (how many there is room for at least),
    ``fade``, ``choose`` (the field of the state that takes the number of the one that is pressed).
    """
    rest = {"base": "", "rows": 1, "fade": 0.9, "choose": ""}
    return _mark("bars", on, colour, values=values, names=names, words=words, **(rest | look))


def cells(on: str, values: str, words: str = "", *, when: str = "") -> Mark:
    """A number in each cell of a matrix, over a `heat` of the same shape; row 0 is below."""
    return _mark("cells", on, "ink", values=values, words=words, when=when)


def tiles(on: str, x: Ref, y: Ref, values: Ref, colour: Any, **look: Any) -> Mark:
    """Rectangles around (x, y), filled as much as ``values`` 0 ... 1 say.

    ``look``: ``size`` (width and height, in the units of the axes), ``words`` (a list of the frame, one in each),
    ``framed`` (an array that is 1 for those with a frame).
    """
    rest = {"size": (1.0, 1.0), "words": "", "framed": ""}
    return _mark("tiles", on, colour, x=x, y=y, values=values, **(rest | look))


def text(on: str, x: Any, y: Any, words: str, colour: Any = "soft", **look: Any) -> Mark:
    """Words at a place; ``x`` and ``y`` are numbers, or names of numbers.

    Words that are the name of a list of the frame are its texts, at the places of the arrays ``x`` and ``y``. ``look``:
    ``align``, ``bold``, ``below`` (so many lines lower), ``tall`` (a height, a number or its name: words that are wider
    than the axes are broken to as many lines as it has room for).
    """
    rest = {"align": "center", "bold": False, "below": 0, "tall": None}
    return _mark("text", on, colour, x=x, y=y, words=words, **(rest | look))


def rule(on: str, colour: Any, *, x: Any = None, y: Any = None, name: str = "", **look: Any) -> Mark:
    """A line across the axes, at one x or at one y."""
    return _mark("rule", on, colour, x=x, y=y, name=name, **({"width": 1.4, "dash": [5, 4], "near": ""} | look))


def images(on: str, values: str, x: Ref, y: Ref, colour: Any, *, when: str = "") -> Mark:
    """Pictures ``(picture, row, column)`` of 0 ... 1, each around (x, y), of side 1, framed in a colour."""
    return _mark("images", on, colour, values=values, x=x, y=y, when=when)


def _mark(kind: str, on: str, colour: Any, *, when: str = "", **rest: Any) -> Mark:
    return {"kind": kind, "on": on, "colour": colour, "when": when} | rest
