"""What the checks of a reader's answers share.

A check never raises: it prints "Right." with what was shown, or what is missing with a hint. An exercise that is not
begun yet (it returns ``...``) gets its hint, so that Run All reaches the end. Numbers are given in torch's default
dtype, which is read, since the reader's own tensors are in it.
"""

from collections.abc import Callable
from functools import wraps

from mapping_lib.console import printable


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
                print(printable(f"Right. {judge(answer)}"))
                return True
            except _NotBegun:
                print(printable(f"Not begun: the function still returns `...`.\nHint: {hint}"))
            except _NotYet as problem:
                print(printable(f"Not yet: {problem}\nHint: {hint}"))
            except Exception as problem:  # the reader's own code failed: say so, and go on
                print(printable(f"Not yet: your code stopped with {type(problem).__name__}: {problem}\nHint: {hint}"))
            return False

        return run

    return decorate


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
