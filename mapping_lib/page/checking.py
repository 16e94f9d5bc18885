"""What the checks of a reader's answers share.

A check never raises: it prints "Right." with what was shown, or what is missing with a hint. An exercise that is not
begun yet (it returns ``...``) gets its hint, so that Run All reaches the end. Numbers are given in torch's default
dtype, which is read, since the reader's own tensors are in it.

What counts is the value and not how it is kept: `number`, `numbers` and `truth` read Python's, NumPy's and torch's of
any dtype, and `expect` leaves room for the rounding of float32.
"""

import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import wraps

import numpy as np
import torch
from torch import Tensor

from mapping_lib.console import printable

WIDTH = 88
"""Characters of a printed line."""


class _NotYet(Exception):
    """What a check raises inside, with the sentence that the reader gets."""


class _NotBegun(Exception):
    """The exercise still returns ``...``."""


def check(hint: str):
    """Turn a function that raises `_NotYet` into one that prints, adding ``hint`` when it is not right."""

    def decorate(judge: Callable[[Callable], str]) -> Callable[[Callable], bool]:
        @wraps(judge)
        def run(answer: Callable) -> bool:
            try:
                _say(f"Right. {judge(answer)}")
                return True
            except _NotBegun:
                _say(f"Not begun: the function still returns `...`.\nHint: {hint}")
            except _NotYet as problem:
                _say(f"Not yet: {problem}\nHint: {hint}")
            except Exception as problem:  # the reader's own code failed: say so, and go on
                _say(f"Not yet: your code stopped with {type(problem).__name__}: {problem}\nHint: {hint}")
            return False

        return run

    return decorate


def _say(text: str) -> None:
    """Print it in lines that fit a page."""
    for line in text.splitlines():
        print(printable("\n".join(textwrap.wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False) or [""])))


def need(condition: bool, otherwise: str) -> None:
    """Stop the check with the sentence ``otherwise``, unless the condition holds."""
    if not condition:
        raise _NotYet(otherwise)


def answered(value: object) -> object:
    """Give the reader's value back, unless it is still ``...`` or nothing at all."""
    if value is ...:
        raise _NotBegun
    need(value is not None, "the function returns nothing: is a `return` missing?")
    return value


# What a reader may return -----------------------------------------------------------------------------


def number(value: object, what: str = "the result") -> float:
    """Read one number, also from a tensor or an array with dimensions of size 1; infinite and nan are numbers, too."""
    return float(_read(value, f"{what} should be one number", (1,)))


def numbers(value: object, shape: tuple[int, ...], what: str) -> Tensor:
    """Read numbers of this shape as float64: a tensor, an array, or lists of either. ``what`` names them in words."""
    return _read(value, f"{what} should be numbers of shape {shape}", shape)


def truth(value: object) -> bool:
    """Read one True or False, also NumPy's and torch's."""
    found = _read(value, "the result should be one True or False", (1,))
    need(float(found) in (0, 1), f"the result should be True or False, and yours is {_shown(found)}.")
    return bool(found)


def whole(value: Tensor, what: str) -> Tensor:
    """The numbers as integers, if that is what they are."""
    need(bool((value == value.round()).all()), f"{what} should be whole numbers.")
    return value.long()


def _read(value: object, should: str, shape: tuple[int, ...]) -> Tensor:
    found = _tensor(value)
    need(found is not None, f"{should}, and yours is of type {type(value).__name__}.")
    if shape == (1,) and found.numel() == 1:
        return found.reshape(1)
    need(found.shape == shape, f"{should}, and yours has the shape {tuple(found.shape)}.")
    return found


def _tensor(value: object) -> Tensor | None:
    """In float64, a copy of the value; None where it is not made of numbers."""
    value = list(value) if isinstance(answered(value), Iterator) else value
    if isinstance(value, Tensor):
        return None if value.is_complex() else value.detach().cpu().double().clone()
    if isinstance(value, list | tuple):
        parts = [_tensor(part) for part in value]
        alike = all(part is not None and part.shape == parts[0].shape for part in parts)
        return torch.stack(parts) if parts and alike else torch.zeros(0, dtype=torch.float64) if alike else None
    try:
        return None if isinstance(value, str | bytes) else torch.from_numpy(np.array(value, dtype=np.float64))
    except (TypeError, ValueError):
        return None


# Is it the right one? ---------------------------------------------------------------------------------


def close(got: float | Tensor, wanted: float | Tensor) -> bool:
    """Equal up to what float32 leaves of a short calculation: 1e-4 of the value and 1e-5 (nan is equal to nothing)."""
    got, wanted = (torch.as_tensor(value, dtype=torch.float64).detach() for value in (got, wanted))
    return bool(((got - wanted).abs() <= 1e-4 * wanted.abs() + 1e-5).all())


def expect(
    got: float | Tensor, wanted: float | Tensor, given: str, mistakes: Mapping[str, float | Tensor] | None = None
) -> None:
    """Refuse what is not ``wanted``: with the sentence of the mistake that gives this value, or with both values.

    ``mistakes`` maps a sentence to the value that the reader then has. Where two fit, nobody knows which it was.
    """
    if close(got, wanted):
        return
    fitting = [sentence for sentence, wrong in (mistakes or {}).items() if close(got, wrong)]
    need(len(fitting) != 1, "".join(fitting))
    need(False, f"{given} you give {_shown(got)}, not {_shown(wanted)}.")


def _shown(value: float | Tensor) -> str:
    flat = torch.as_tensor(value).flatten().tolist()
    words = ", ".join(f"{x:.4g}" for x in flat)
    return words if len(flat) == 1 else f"[{words}]"
