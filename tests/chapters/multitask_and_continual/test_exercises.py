"""The exercises of chapter 4e: wrong answers are told what is wrong, right ones may be written in any way."""

import numpy as np
import torch
from answers import judged

from mapping_lib.chapters.multitask_and_continual import exercises


def by_loops(matrix):
    rows = matrix.tolist()
    n = len(rows)
    return sum(rows[n - 1][j] - rows[j][j] for j in range(n - 1)) / (n - 1)


def since_the_best(matrix):
    """The error at the end less the lowest one ever had."""
    return (matrix[-1] - matrix.min(0).values)[:-1].mean()


test_forgetting = judged(
    exercises.check_forgetting,
    wrong={
        "leave it out of the mean": lambda R: (R[-1] - R.diagonal()).mean(),
        "take off what it was when they were new": lambda R: R[-1, :-1].mean(),
        "the sign": lambda R: (R.diagonal() - R[-1])[:-1].mean(),
        "the end is the last row": lambda R: (R[:, -1] - R.diagonal())[:-1].mean(),
        "that is a sum": lambda R: (R[-1] - R.diagonal()).sum(),
        "compared with the first row": lambda R: (R[-1] - R[0])[:-1].mean(),
        "from one task to the next alone": lambda R: (R.diagonal(-1) - R.diagonal()[:-1]).mean(),
        "do not take its size": lambda R: (R[-1] - R.diagonal())[:-1].mean().abs(),
        "0 is not the least": lambda R: (R[-1] - R.diagonal())[:-1].mean().clamp(min=0),
        "with six tasks you": lambda R: (R[-1] - R.diagonal())[:-1].clamp(min=0).mean(),
        "with six tasks you give": since_the_best,
        "for a small matrix you give 0.6, not 0.5": lambda R: (R[-1] - R.diagonal()).max(),
        "one number, and yours has the shape (2,)": lambda R: (R[-1] - R.diagonal())[:-1],
    },
    right={
        "loops": by_loops,
        "NumPy": lambda R: np.mean(R.numpy()[-1, :-1] - np.diag(R.numpy())[:-1]),
        "two means, float32": lambda R: R.float()[-1, :-1].mean() - R.float().diag()[:-1].mean(),
        "all of them, since the last adds 0": lambda R: (R[-1] - R.diagonal()).sum() / (len(R) - 1),
    },
)


def weighted(weights, c):
    return (weights * c).sum() / weights.sum()


def by_newton(h, c, alpha, m):
    """The objective is a parabola: one Newton step lands on its minimum."""

    def objective(theta):
        phi = theta
        for _ in range(m):
            phi = phi - alpha * h * (phi - c)
        return (0.5 * h * (phi - c) ** 2).mean()

    start = torch.zeros((), dtype=h.dtype)
    slope = torch.func.grad(objective)
    return -slope(start) / torch.func.grad(slope)(start)


def term_by_term(h, c, alpha, m):
    above = below = 0.0
    for a, b in zip(h.tolist(), c.tolist(), strict=True):
        weight = a * (1 - alpha * a) ** (2 * m)
        above, below = above + weight * b, below + weight
    return [above / below]


test_meta_minimum = judged(
    exercises.check_meta_minimum,
    wrong={
        "the minimum of multi-task learning": lambda h, c, alpha, m: weighted(h, c),
        "the distance is counted once": lambda h, c, alpha, m: weighted(h * (1 - alpha * h) ** m, c),
        "the curvature is missing": lambda h, c, alpha, m: weighted((1 - alpha * h) ** (2 * m), c),
        "that is one step, whatever m is": lambda h, c, alpha, m: weighted(h * (1 - alpha * h) ** 2 if m else h, c),
        "that is the middle between the tasks": lambda h, c, alpha, m: c.mean(),
        "divided by their sum": lambda h, c, alpha, m: (h * (1 - alpha * h) ** (2 * m) * c).sum(),
        "with alpha = 0.15 and m = 1 you give": lambda h, c, alpha, m: weighted(h * (1 - 2 * alpha * h * m), c),
        "and m = 1 you give": lambda h, c, alpha, m: weighted(h**2 * (1 - alpha * h) ** (2 * m), c),
        "and m = 3 you give": lambda h, c, alpha, m: weighted(h * (1 - alpha * h) ** (m + 1 if m else 0), c),
        "one number": lambda h, c, alpha, m: c,
    },
    right={
        "Newton's step": by_newton,
        "loops, a list": term_by_term,
        "NumPy": lambda h, c, alpha, m: np.average(c, weights=np.asarray(h) * (1 - alpha * np.asarray(h)) ** (2 * m)),
        "float32": lambda h, c, alpha, m: weighted((h * (1 - alpha * h).pow(m).square()).float(), c.float()),
    },
)


def by_rank(y, k):
    """The first of every label, the second of every label, and so on."""
    labels, seen, places = len(set(y.tolist())), {}, []
    for place, label in enumerate(y.tolist()):
        seen[label] = seen.get(label, 0) + 1
        if seen[label] <= k // labels:
            places.append(place)
    return places


def by_numpy(y, k):
    labels = np.unique(y.numpy())
    drawn = np.random.default_rng(0)
    return np.concatenate([drawn.permutation(np.flatnonzero(y.numpy() == a))[: k // len(labels)] for a in labels])


def in_a_column(y, k):
    labels = y.unique()
    return torch.cat([(y == label).nonzero()[-(k // len(labels)) :] for label in labels])


def mask(y, k):
    return torch.isin(torch.arange(len(y)), in_a_column(y, k))


def for_labels_from_zero(y, k):
    n = int(y.max()) + 1
    return torch.cat([(y == label).nonzero()[: k // n, 0] for label in range(n)])


def in_halves(y, k):
    return torch.cat([places.repeat(2)[: len(places)] for places in in_a_column(y, k).split(k // len(y.unique()))])


test_keep = judged(
    exercises.check_keep,
    wrong={
        "of the labels [0, 1, 2] you keep [6, 0, 0]": lambda y, k: range(k),
        "of the labels [0, 1] you keep": lambda y, k: torch.arange(0, len(y), len(y) // k)[:k],
        "of the labels [0, 1, 2] you keep [0, 0, 6]": lambda y, k: y.argsort(descending=True)[:k],
        "an example is kept twice": lambda y, k: in_a_column(y, k).flatten()[[0] * k],
        "a place is outside": lambda y, k: torch.arange(1, k + 1) * len(y),
        "asked for 6 examples, you keep 18": lambda y, k: (y[:, None] == y.unique()).nonzero()[: 3 * k, 0],
        "that is a mask": mask,
        "asked for 9 examples, you keep 3": for_labels_from_zero,
        "asked for 6 examples, you keep 3": lambda y, k: y.unique(),
        "places in y should be whole numbers": lambda y, k: torch.linspace(0, len(y) - 1, k),
        "and yours has the shape ()": lambda y, k: k,
    },
    right={
        "by rank, a list": by_rank,
        "drawn by NumPy": by_numpy,
        "the last ones, in a column": in_a_column,
        "a list of tensors": lambda y, k: list(in_a_column(y, k)[:, 0]),
        "floats": lambda y, k: in_a_column(y, k)[:, 0].float(),
    },
)
