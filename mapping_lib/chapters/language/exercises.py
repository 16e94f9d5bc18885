"""The exercises of chapter 4c."""

import itertools
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.page.checking import answered, check, expect, need, number


@check("put a blank on both sides, make it lower case, and count text[i : i + 2] for every i but the last.")
def check_bigrams(bigrams: Callable[[str], dict]) -> str:
    """Chapter 4c, exercise 1: ``bigrams(name)``, how often each run of two letters occurs, blanks outside included."""
    for name in ("Anna", "Öl", "Banana", "New York", "Annaaan"):
        text = f" {name.lower()} "
        wanted = _runs(text)
        found = answered(bigrams(name))
        need(isinstance(found, dict), "the result should be a dict (or a Counter) from two letters to a number.")
        need(all(isinstance(key, str) and len(key) == 2 for key in found), "every key should be two letters long.")
        got = {key: n for key, n in ((key, number(n, "a count")) for key, n in found.items()) if n}  # 0 is not there
        need(not any(key != key.lower() for key in got), f"with {name!r} there is a capital letter among the keys.")
        mistakes = {
            "the blanks are missing.": text[1:-1],
            "the blank at the end is missing.": text[:-1],
            "the blank at the beginning is missing.": text[1:],
            "a blank inside a name is a letter, too.": text.replace(" ", "").join("  "),
        }
        for sentence, other in mistakes.items():
            need(got == wanted or got != _runs(other), sentence)
        once = got == dict.fromkeys(wanted, 1) and got != wanted
        need(not once, f"with {name!r} every run is counted once, however often it occurs.")
        need(got == wanted, f"with {name!r} you give {dict(found)}, not {wanted}.")
    return "Letters have become numbers, and the ends of a word are letters, too."


@check("take log((counts + a) / sum(counts + a)) for each feature, times how often it occurs, and add up.")
def check_log_score(log_score: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """Chapter 4c, exercise 2: ``log_score(counts, a, x)``, naive Bayes' score of one class for one name."""
    for case in (([3.0, 0.0], [1.0, 1.0], [1.0, 2.0]), ([0.0, 0.0, 5.0], [0.5, 1.0, 0.25], [0.0, 1.0, 3.0])):
        counts, a, x = (torch.tensor(values, dtype=torch.float64) for values in case)
        log_p = ((counts + a) / (counts + a).sum()).log()
        got = number(log_score(*(torch.tensor(values) for values in case)))
        need(got == got and abs(got) != float("inf"), "a feature that was never seen makes it infinite: add a first.")
        mistakes = {
            "every occurrence counts, not every feature once.": log_p[x > 0].sum(),
            "that is the probability of one order of the letters; asked for is its logarithm.": (x * log_p).sum().exp(),
            "the shares should add up to 1: divide by the sum of counts *and* a.": x
            @ ((counts + a) / counts.sum()).log(),
            "nothing is divided: the shares of a class add up to 1.": x @ (counts + a).log(),
            "the sign: a likely name has the higher score.": -(x @ log_p),
            "the logarithm comes first, feature by feature, and then the sum.": (x @ log_p.exp()).log(),
            "a is one pseudo-count for each feature, not 1 for all.": x @ ((counts + 1) / (counts + 1).sum()).log(),
        }
        counts_a_x = ", ".join(f"{name} = {values}" for name, values in zip(("counts", "a", "x"), case, strict=True))
        expect(got, float(x @ log_p), f"for {counts_a_x}", {s: float(v) for s, v in mistakes.items()})
    return "The prior is what the class has before its first name."


def _runs(text: str) -> dict[str, int]:
    return dict(Counter(first + second for first, second in itertools.pairwise(text)))
