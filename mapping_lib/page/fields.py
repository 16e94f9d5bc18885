"""The fields of an explorer's State: each carries its control, from which panel, tests and keyboard derive.

@dataclass(frozen=True)
class State:
    alpha: float = slider(0.01, 1e-4, 1.0, "α", "inner step size", step=0.05, log=True, large=True)
    learner: str = choice("maml", {"maml": "MAML", "joint": "joint training"}, "θ from")
"""

from collections.abc import Iterable, Mapping
from dataclasses import field, fields
from typing import Any

import traitlets


def slider(
    default: float,
    low: float,
    high: float,
    label: str,
    hint: str = "",
    *,
    step: float = 1,
    log: bool = False,
    marks: Mapping[float, str] | None = None,
    **look: Any,
) -> Any:
    """A number from ``low`` to ``high``; with ``log``, ``step`` is in decades.

    ``marks`` are values with words below the track. ``look``: ``large`` (a row of its own, or "half" of one), ``play``
    (the words of a button that walks there), ``track`` (an array of the frame, -1 ... 1, that colours the track),
    ``format``, ``says`` (words of the frame that stand at its end instead of the number).
    """
    numbers = {"low": low, "high": high, "step": step, "log": log, "marks": list((marks or {}).items())}
    return _field(default, "slider", label, hint, **numbers, **look)


def step_size(default: float, label: str, hint: str, paper: float, **look: Any) -> Any:
    """The large slider of α or β, 0.0001 ... 1, with a mark at each power of ten and at the ``paper``'s value."""
    marks = {10.0**n: f"{10.0**n:g}" for n in range(-4, 1)} | {paper: f"{paper:g}, the paper"}
    return slider(default, 1e-4, 1.0, label, hint, step=0.02, log=True, large=True, marks=marks, **look)


def choice(default: Any, options: Mapping[Any, str] | Iterable[str], label: str, *, large: bool = False) -> Any:
    """One of several values; a mapping says in which words each is offered. A ``large`` one shows all of them."""
    pairs = options.items() if isinstance(options, Mapping) else ((option, option) for option in options)
    return _field(default, "choice", label, options=[list(pair) for pair in pairs], large=large)


def box(default: str, label: str, hint: str, *, large: bool | str = False) -> Any:
    """Words that the reader types; ``large`` as for a slider."""
    return _field(default, "box", label, hint, large=large)


def pad(default: Iterable[Any], places: Iterable[str], label: str, hint: str = "", *, shares: str = "") -> Any:
    """Drawings, one for each of ``places`` (their names): strokes of points (x, y), 0 ... 1 from the upper left corner.

    ``shares`` is an array of the frame, a number 0 ... 1 for each place, drawn below it; nan is left out.
    """
    return _field(tuple(default), "pad", label, hint, places=list(places), shares=shares, large=True)


def numbers(
    default: Iterable[float],
    low: float,
    high: float,
    step: float = 0.01,
    *,
    least: int = 1,
    most: int = 20,
    fresh: float | None = None,
    label: str = "",
    beside: tuple[str, ...] = (),
    **look: Any,
) -> Any:
    """A list of numbers that a hand moves on the picture: ``least`` to ``most`` of them.

    With a ``label`` there is a slider for how many, which moves the lists ``beside`` it, too. A new one is ``fresh``,
    or anywhere. ``look`` is that of the slider: ``hint``, ``large``.
    """
    rest = {"low": low, "high": high, "step": step, "least": least, "most": most, "fresh": fresh}
    return _field(tuple(default), "numbers", label, beside=list(beside), look=look, **rest)


def hidden(default: Any) -> Any:
    """A whole number without a control, such as the seed of what a button draws."""
    return _field(default, "slider", "", low=0, high=9999, step=1, log=False, marks=[], hidden=True)


def _field(default: Any, kind: str, label: str, hint: str = "", **rest: Any) -> Any:
    return field(default=default, metadata={"kind": kind, "label": label, "hint": hint} | rest)


def controls(State: type) -> dict[str, dict[str, Any]]:
    """What the front end is told of every field; the slider of a list's length stands beside it.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class State:
    ...     steps: int = slider(5, 0, 20, "m")
    >>> controls(State)["steps"]["high"]
    20
    """
    told = {}
    for part in fields(State):
        told[part.name] = dict(part.metadata) | ({"kind": "hidden"} if part.metadata.get("hidden") else {})
        if part.metadata["kind"] == "numbers" and part.metadata["label"]:
            length = {"kind": "slider", "hint": "", "step": 1, "log": False, "marks": []}
            ends = {"low": part.metadata["least"], "high": part.metadata["most"], "label": part.metadata["label"]}
            told[f"{part.name}_length"] = length | ends | {"counts": [part.name, *part.metadata["beside"]]}
            told[f"{part.name}_length"] |= part.metadata["look"]
    return told


def values_of(state: Any) -> dict[str, Any]:
    """What templates are told of a state: its values, of choices the labels."""
    return {
        part.name: dict(part.metadata["options"])[value] if part.metadata["kind"] == "choice" else value
        for part in fields(state)
        for value in [getattr(state, part.name)]
    }


def trait(part: Any) -> traitlets.TraitType:
    """The trait of a field, which says no to what its control could not give."""
    about, default = part.metadata, part.default
    if about["kind"] == "choice":
        return traitlets.Enum([value for value, _ in about["options"]], default).tag(sync=True)
    if about["kind"] == "box":
        return traitlets.Unicode(default).tag(sync=True)
    if about["kind"] == "pad":
        point = traitlets.List(traitlets.Float(min=0, max=1), minlen=2, maxlen=2)
        drawing = traitlets.List(traitlets.List(point, minlen=1))
        return traitlets.List(drawing, list(default), len(default), len(default)).tag(sync=True)
    if about["kind"] == "numbers":
        each = traitlets.Float(min=about["low"], max=about["high"])
        return traitlets.List(each, list(default), about["least"], about["most"]).tag(sync=True)
    kind = traitlets.Int if isinstance(default, int) else traitlets.Float
    return kind(default, min=about["low"], max=about["high"]).tag(sync=True)
