"""The exercises of chapter 4c."""

import itertools
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.page.checking import answered, check, need


@check("put a blank on both sides, make it lower case, and count text[i : i + 2] for every i but the last.")
def check_bigrams(bigrams: Callable[[str], dict]) -> str:
    """Chapter 4c, exercise 1: ``bigrams(name)``, how often each run of two letters occurs, blanks outside included."""
    for name in ("Anna", "Öl", "Banana", "New York"):
        text = f" {name.lower()} "
        wanted = Counter(first + second for first, second in itertools.pairwise(text))
        got = answered(bigrams(name))
        need(isinstance(got, dict), "the result should be a dict (or a Counter) from two letters to a number.")
        need(all(isinstance(key, str) and len(key) == 2 for key in got), "every key should be two letters long.")
        need(dict(got) != dict(Counter(text[1:-1][i : i + 2] for i in range(len(name) - 1))), "the blanks are missing.")
        need(not any(key != key.lower() for key in got), f"with {name!r} there is a capital letter among the keys.")
        need(dict(got) == dict(wanted), f"with {name!r} you give {dict(got)}, not {dict(wanted)}.")
    return "Letters have become numbers, and the ends of a word are letters, too."


@check("take log((counts + a) / sum(counts + a)) for each feature, times how often it occurs, and add up.")
def check_log_score(log_score: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """Chapter 4c, exercise 2: ``log_score(counts, a, x)``, naive Bayes' score of one class for one name."""
    for counts, a, x in (([3.0, 0.0], [1.0, 1.0], [1.0, 2.0]), ([0.0, 0.0, 5.0], [0.5, 1.0, 0.25], [0.0, 1.0, 3.0])):
        tensors = [torch.tensor(values) for values in (counts, a, x)]
        total = sum(counts) + sum(a)
        wanted = sum(v * float(torch.tensor((n + p) / total).log()) for n, p, v in zip(counts, a, x, strict=True))
        got = answered(log_score(*tensors))
        need(isinstance(got, Tensor | float) and torch.as_tensor(got).numel() == 1, "the result should be one number.")
        got = float(got)
        need(got == got and abs(got) != float("inf"), "a feature that was never seen makes it infinite: add a first.")
        once = sum(float(torch.tensor((n + p) / total).log()) for n, p, v in zip(counts, a, x, strict=True) if v)
        need(abs(got - once) > 1e-4 or abs(once - wanted) < 1e-4, "every occurrence counts, not every feature once.")
        need(abs(got - wanted) < 1e-3, f"for counts = {counts}, a = {a}, x = {x} you give {got:.4f}, not {wanted:.4f}.")
    return "The prior is what the class has before its first name."
