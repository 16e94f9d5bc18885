"""A prediction that the reader commits to by hand, and what happened beside it.

`predict` asks, in a cell of its own; `Prediction.against`, in a later cell, answers. Both are drawn by
`front/prediction.js`, in JupyterLab or on any page. What is recorded carries its specification in the metadata of its
HTML, under "prediction", so that a site can ask without a kernel.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import anywidget
import traitlets

from mapping_lib.checks import check_choice, check_number, check_range
from mapping_lib.console import printable
from mapping_lib.page import front
from mapping_lib.page.displayed import Displayed, replace_those_of_this_cell
from mapping_lib.page.plots import COLOUR_OF
from mapping_lib.page.sentence import number

STEPS = 200
"""How many places a slider has, unless it runs over whole numbers."""

PRESS = "Press <b>Shift+Enter</b> here, and {}."


def predict(
    question: str,
    options: Sequence[str] | None = None,
    *,
    between: tuple[float, float] | None = None,
    unit: str = "",
    whole: bool = False,
    log: bool = False,
) -> "Prediction":
    """Ask for a prediction: one of two or more ``options``, or a number ``between`` two.

    Numbers have a ``unit`` (a plural, or a sign), may be ``whole``, and lie on a slider by their ratios with ``log``.

    >>> guess = predict("Which falls fastest?", ["MAML", "joint training", "from scratch"])
    >>> guess
    [prediction: Which falls fastest?]
    >>> guess.against("MAML")
    It was MAML. Run both cells, and your own guess stands beside it.
    >>> predict("How many steps?", between=(1, 100), unit="steps", whole=True).against(12.0).specification["was"]
    '12 steps'
    """
    _check_text("question", question)
    if unit:
        _check_text("unit", unit)
    if (options is None) == (between is None):
        raise ValueError(f"options is {options!r} and between {between!r}; allowed: one of the two")
    asked = {"question": question, "options": None, "scale": None, "unit": unit}
    asked |= {"scale": _scale(between, whole, log)} if options is None else {"options": _checked(options)}
    name = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]
    colours = {method: COLOUR_OF[method] for method in ["MAML", *(options or [])] if method in COLOUR_OF}
    return Prediction({"name": name, "role": "ask", "colours": colours} | asked)


class _View(Displayed, anywidget.AnyWidget):
    """One of the two: what it is made of, and what readers without a kernel get of it."""

    _esm = front.module_of_predictions()
    _css = front.style_of_predictions()
    _spec = traitlets.Unicode().tag(sync=True)

    def __init__(self, specification: Mapping[str, Any], **traits: Any) -> None:
        super().__init__(_spec=json.dumps(specification, ensure_ascii=False), **traits)
        replace_those_of_this_cell(self)

    @property
    def specification(self) -> dict[str, Any]:
        """What `mount` of the front end is given; a question and its answer find each other by its ``name``."""
        return json.loads(self._spec)

    def _besides(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"text/html": self._html()}, {"text/html": {"prediction": self.specification}}


class Prediction(_View):
    """A question in a cell. ``said`` is the reader's guess: a text of the options, a number, or None so far."""

    said = traitlets.Any(None, allow_none=True).tag(sync=True)
    answered = traitlets.Bool(False).tag(sync=True)

    def against(self, value: str | float) -> "Answer":
        """What happened, beside the guess: as the last line of a cell, run again as often as one likes."""
        asked = self.specification
        if asked["options"]:
            check_choice("value", value, asked["options"])
            was = str(value)
        else:
            value = float(f"{check_number('value', value):.6g}")  # further digits are a machine's own
            was = _with_unit(value, asked["unit"])
        return Answer(asked | {"role": "answer", "value": value, "was": was}, _ask=self.model_id)

    def _html(self) -> str:
        asked = self.specification
        offered = asked["options"] or [_ends(asked["scale"], asked["unit"])]
        items = "".join(f"<li>{escape(option)}</li>" for option in offered)
        press = PRESS.format("say what you expect")
        return f"<p><b>{escape(asked['question'])}</b></p>\n<ul>{items}</ul>\n<p>{press}</p>"

    def __repr__(self) -> str:
        return printable(f"[prediction: {self.specification['question']}]")


class Answer(_View):
    """What happened, in a later cell than the question; it follows the guess, however late that comes."""

    _ask = traitlets.Unicode().tag(sync=True)

    def _html(self) -> str:
        press = PRESS.format("see your guess beside it")
        return f"<p>It was <b>{escape(self.specification['was'])}</b>.</p>\n<p>{press}</p>"

    def __repr__(self) -> str:
        return printable(f"It was {self.specification['was']}. Run both cells, and your own guess stands beside it.")


def _checked(options: Sequence[str]) -> list[str]:
    """Two or more texts, each once."""
    allowed = "two or more different texts"
    if isinstance(options, str) or not isinstance(options, Sequence):
        raise TypeError(f"options is {options!r}; allowed: a list of {allowed}")
    for i, option in enumerate(options):
        _check_text(f"options[{i}]", option)
    if len(set(options)) < max(2, len(options)):
        raise ValueError(f"options is {list(options)!r}; allowed: {allowed}")
    return list(options)


def _check_text(name: str, value: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise (ValueError if isinstance(value, str) else TypeError)(f"{name} is {value!r}; allowed: a text")


def _scale(between: tuple[float, float], whole: bool, log: bool) -> dict[str, Any]:
    """The two ends of a slider and its step, which is one of the exponent where it goes by ratios."""
    low, high = check_range("between", between)
    if low == high or (log and low <= 0) or (whole and not (low.is_integer() and high.is_integer())):
        more = (", above 0" if log else "") + (", whole" if whole else "")
        raise ValueError(f"between is {tuple(between)!r}; allowed: two numbers{more}, the first below the second")
    width = math.log10(high / low) if log else high - low
    steps = min(STEPS, round(width)) if whole and not log else STEPS
    return {"low": low, "high": high, "step": width / steps, "steps": steps, "log": log, "whole": whole}


def _ends(scale: Mapping[str, Any], unit: str) -> str:
    return f"from {number(scale['low'])} to {_with_unit(scale['high'], unit)}"


def _with_unit(value: float, unit: str) -> str:
    """A number in few digits with its unit, which loses its plural for a single one.

    >>> _with_unit(1, "steps"), _with_unit(0.25, "steps"), _with_unit(1, "s"), _with_unit(3, "")
    ('1 step', '0.25 steps', '1 s', '3')
    """
    single = value == 1 and len(unit) > 2 and unit.endswith("s")
    return f"{number(value)} {unit[:-1] if single else unit}".strip()
