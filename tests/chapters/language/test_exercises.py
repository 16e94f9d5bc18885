"""The exercises of chapter 4c: wrong answers are told what is wrong, right ones may be written in any way."""

import itertools
import re
from collections import Counter, defaultdict

import numpy as np
import torch
from answers import judged

from mapping_lib.chapters.language import exercises


def runs(text, n=2):
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))


def each_once(name):
    return dict.fromkeys(runs(f" {name.lower()} "), 1)


def never_overlapping(name):
    text = f" {name.lower()} "
    return {run: text.count(run) for run in runs(text)}


def by_pairs(name):
    found = defaultdict(float)
    for pair in itertools.pairwise([" ", *name.lower(), " "]):
        found["".join(pair)] += 1.0
    return found


def by_a_pattern(name):
    return dict(Counter(re.findall("(?=(..))", " " + name.casefold() + " ")))


def by_numpy(name):
    text = f" {name.lower()} "
    keys, numbers = np.unique([text[i : i + 2] for i in range(len(text) - 1)], return_counts=True)
    return dict(zip(keys, numbers, strict=True))


def with_zeros(name):
    text = f" {name.lower()} "
    return {a + b: sum(text.startswith(a + b, i) for i in range(len(text))) for a in set(text) for b in set(text)}


test_bigrams = judged(
    exercises.check_bigrams,
    wrong={
        "the blanks are missing": lambda name: runs(name.lower()),
        "the blank at the end is missing": lambda name: runs(f" {name.lower()}"),
        "the blank at the beginning is missing": lambda name: runs(f"{name.lower()} "),
        "there is a capital letter": lambda name: runs(f" {name} "),
        "counted once": each_once,
        "should be a dict": lambda name: list(runs(f" {name.lower()} ")),
        "two letters long": lambda name: Counter(name),
        "every key should be two": lambda name: runs(f" {name.lower()} ", 3),
        "every key": lambda name: Counter(itertools.pairwise(f" {name.lower()} ")),
        "is a `return` missing?": lambda name: None,
        "a blank inside a name": lambda name: runs(f" {name.lower().replace(' ', '')} "),
        "with 'Annaaan' you give": never_overlapping,
        "with 'Anna' you give": lambda name: runs(f"_{name.lower()}_"),
        "a count should be one number": lambda name: {run: [i, i] for i, run in enumerate(runs(name.lower()))},
    },
    right={
        "a defaultdict of floats": by_pairs,
        "a pattern": by_a_pattern,
        "NumPy": by_numpy,
        "zeros for the rest": with_zeros,
        "a Counter": lambda name: runs(f" {name.lower()} "),
    },
)


def shares(counts, a):
    return (counts + a) / (counts + a).sum()


def log_sum_last(counts, a, x):
    return x @ (counts + a).log() - x.sum() * (counts.sum() + a.sum()).log()


def by_loops(counts, a, x):
    total = float(counts.sum() + a.sum())
    return sum(float(v) * np.log(float(n + p) / total) for n, p, v in zip(counts, a, x, strict=True))


test_log_score = judged(
    exercises.check_log_score,
    wrong={
        "add a first": lambda counts, a, x: (x * (counts / counts.sum()).log()).sum(),
        "every occurrence counts": lambda counts, a, x: shares(counts, a).log()[x > 0].sum(),
        "nothing is divided": lambda counts, a, x: (x * (counts + a).log()).sum(),
        "divide by the sum of counts *and* a": lambda counts, a, x: x @ ((counts + a) / counts.sum()).log(),
        "asked for is its logarithm": lambda counts, a, x: (shares(counts, a) ** x).prod(),
        "the sign": lambda counts, a, x: -(x * shares(counts, a).log()).sum(),
        "the logarithm comes first": lambda counts, a, x: (x * shares(counts, a)).sum().log(),
        "not 1 for all": lambda counts, a, x: (x * shares(counts, torch.ones_like(a)).log()).sum(),
        "for counts = [3.0, 0.0], a = [1.0, 1.0], x = [1.0, 2.0] you give": lambda counts, a, x: (
            x @ shares(counts, a).log2()
        ),
        "you give -0.6694, not": lambda counts, a, x: counts @ shares(counts, a).log(),
        "should be one number": lambda counts, a, x: x * shares(counts, a).log(),
        "your code stopped with": lambda counts, a, x: counts["n"],
    },
    right={
        "loops, NumPy": by_loops,
        "the sum's logarithm at the end": log_sum_last,
        "float64": lambda counts, a, x: torch.special.xlogy(x.double(), shares(counts.double(), a.double())).sum(),
        "the logarithm of a product": lambda counts, a, x: (shares(counts, a) ** x).prod().log().reshape(1, 1),
        "float32 of NumPy": lambda counts, a, x: np.float32(x @ shares(counts, a).log()),
    },
)
