"""How chapter 4c's open settings were chosen: on validation languages, for each number of shots by itself."""

from collections.abc import Iterator

import torch

from .study import METHODS, SHOTS, accuracy


def validate(method: str, k_shot: int, n: int = 300, at_once: int = 20) -> dict:
    """The accuracy on validation episodes of every choice that a method has."""

    def mean(choice: object) -> float:
        generator = torch.Generator().manual_seed(50)
        parts = [accuracy(method, choice, "validation", k_shot, at_once, generator) for _ in range(n // at_once)]
        return float(torch.cat(parts).mean())

    return {choice: mean(choice) for choice in METHODS[method].choices}


def best(validated: dict) -> object:
    """The choice with the highest accuracy; of equals the first.

    >>> best({"a": 0.5, "b": 0.7, "c": 0.7})
    'b'
    """
    return max(validated, key=validated.get)


def tune() -> Iterator[str]:
    """Yield every choice with its accuracy, and the best, for each method that has a choice."""
    for method in (name for name, method in METHODS.items() if len(method.choices) > 1):
        for k_shot in SHOTS:
            validated = validate(method, k_shot)
            yield from (f"{method}, K = {k_shot}: {choice}: {score:.3f}" for choice, score in validated.items())
            yield f"{method}, K = {k_shot}: best {best(validated)}"
