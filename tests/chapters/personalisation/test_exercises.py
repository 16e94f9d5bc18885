"""The exercises of chapter 4b: wrong answers are told what is wrong, right ones may be written in any way."""

import numpy as np
import torch
from answers import judged

from mapping_lib.chapters.personalisation import exercises


def by_weight(data, prior):
    """Shrink with weights of one's own: that of the data and that of the prior, from n, tau, sigma."""

    def shrunk(y, mu, tau, sigma):
        if not len(y):
            return mu
        ours, theirs = data(len(y), tau, sigma), prior(len(y), tau, sigma)
        return (ours * y.mean() + theirs * mu) / (ours + theirs)

    return shrunk


def never_empty(y, mu, tau, sigma):
    weight = len(y) * tau**2 / (len(y) * tau**2 + sigma**2)
    return mu + weight * float(y.mean() - mu)


def by_precisions(y, mu, tau, sigma):
    return (y.sum() / sigma**2 + mu / tau**2) / (len(y) / sigma**2 + 1 / tau**2)


def one_by_one(y, mu, tau, sigma):
    variance = tau**2
    for value in y.tolist():
        gain = variance / (variance + sigma**2)
        mu, variance = mu + gain * (value - mu), (1 - gain) * variance
    return mu


def by_covariance(y, mu, tau, sigma):
    y = y.numpy()
    together = tau**2 + sigma**2 * np.eye(len(y))
    return [mu + tau**2 * np.ones(len(y)) @ np.linalg.solve(together, y - mu)]


test_shrunk = judged(
    exercises.check_shrunk,
    wrong={
        "it forgets everybody else": lambda y, mu, tau, sigma: float(y.mean()),
        "it forgets the person": lambda y, mu, tau, sigma: mu,
        "their squares weigh": by_weight(lambda n, tau, sigma: n * tau, lambda n, tau, sigma: sigma),
        "the weights are exchanged": by_weight(lambda n, tau, sigma: sigma**2, lambda n, tau, sigma: n * tau**2),
        "n observations count n times": by_weight(lambda n, tau, sigma: tau**2, lambda n, tau, sigma: sigma**2),
        "without an observation the answer should be mu = 5, and yours is nan": never_empty,
        "half way": lambda y, mu, tau, sigma: (y.mean() + mu) / 2 if len(y) else mu,
        "is a `return` missing?": lambda y, mu, tau, sigma: None,
        "with 3 observations you give": lambda y, mu, tau, sigma: (y.sum() + mu) / (len(y) + 1),
        "without an observation the answer should be mu = 5, and yours is 0": lambda y, mu, tau, sigma: (
            by_precisions(y, mu, tau, sigma) if len(y) else 0
        ),
        "one number": lambda y, mu, tau, sigma: mu + tau**2 / (tau**2 + sigma**2) * (y - mu),
    },
    right={
        "by precisions": by_precisions,
        "one observation after the other": one_by_one,
        "by the covariance, NumPy": by_covariance,
        "float32": lambda y, mu, tau, sigma: by_precisions(y.float(), mu, tau, sigma),
    },
)


def variances(y, unbiased=1):
    within = y.var(1, correction=unbiased).mean()
    return y.mean(1).var() - within / y.shape[1], within


def by_sums_of_squares(y):
    persons, n = y.shape
    means = y.mean(1, keepdim=True)
    within = (y - means).square().sum() / (persons * (n - 1))
    between = n * (means - y.mean()).square().sum() / (persons - 1)
    return torch.stack([(between - within) / n, within])


def by_pairs(y):
    """Two observations of a person share the level and nothing else."""
    covariance = np.cov(y.numpy().T)
    n = len(covariance)
    between = covariance[~np.eye(n, dtype=bool)].mean()
    return np.array([between, covariance.trace() / n - between])


def by_differences(y):
    within = (y[:, 0] - y[:, 1]).var() / 2
    return [(y.var() - within).float(), within.float()]


test_components = judged(
    exercises.check_components,
    wrong={
        "two numbers, tau² and sigma²": lambda y: float(y.var()),
        "the noise is still in it": lambda y: (y.mean(1).var(), y.var(1).mean()),
        "sigma² is 4, and you find": lambda y: (1.0, y.var()),
        "tau² is 1, and you find 7": lambda y: (7.0, y.var(1).mean()),
        "they are exchanged": lambda y: variances(y)[::-1],
        "divide by n - 1": lambda y: variances(y, unbiased=0),
        "that is a standard deviation": lambda y: [v.sqrt() for v in variances(y)],
        "tau² is 1, and you find -": lambda y: (y.mean(1).var() - variances(y)[1], variances(y)[1]),
        "tau² is 1, and you find 5": lambda y: (y.var(), variances(y)[1]),
        "sigma² is 4, and you find 1.3": lambda y: (y.mean(1).var(), variances(y)[1] / y.shape[1]),
        "yours has the shape (2, 3)": lambda y: torch.stack([y.mean(0), y.var(0)]),
    },
    right={
        "sums of squares, stacked": by_sums_of_squares,
        "covariances, NumPy": by_pairs,
        "differences, float32": by_differences,
    },
)


def by_rows(person, n_parts):
    return torch.arange(len(person)) % n_parts


def lopsided(person, n_parts):
    _, number = person.unique(return_inverse=True)
    return number.clamp(max=n_parts - 1)


def in_stretches(person, n_parts):
    _, number = person.unique(return_inverse=True)
    return number * n_parts // (number.max() + 1)


def when_first_met(person, n_parts):
    part = {}
    return [part.setdefault(p, len(part) % n_parts) for p in person.tolist()]


def by_rows_alike(person, n_parts):
    """The person with most rows first, always into the part with fewest rows."""
    names, number, rows = np.unique(person.numpy(), return_inverse=True, return_counts=True)
    part, load = np.zeros(len(names), int), np.zeros(n_parts)
    for i in np.argsort(-rows):
        part[i] = load.argmin()
        load[part[i]] += rows[i]
    return part[number]


test_split = judged(
    exercises.check_split,
    wrong={
        "is in the parts": by_rows,
        "would meet somebody it has seen": lambda person, n: torch.arange(len(person)) * n // len(person),
        "some part has nobody in it": lambda person, n: torch.zeros_like(person),
        "some part has nobody": lambda person, n: person % n,
        "very different numbers": lopsided,
        "one part for each row": lambda person, n: torch.zeros(3),
        "are numbered 0 ... 4": lambda person, n: person,
        "and yours go from 1 to 5": lambda person, n: in_stretches(person, n) + 1,
        "some part": lambda person, n: in_stretches(person, n - 1),
        "are numbered 0 ... 2": lambda person, n: in_stretches(person, 5),
        "whole numbers": lambda person, n: in_stretches(person, n) / 2,
        "your code stopped with ZeroDivisionError": lambda person, n: 1 / 0,
    },
    right={
        "stretches of persons": in_stretches,
        "as they come, a list": when_first_met,
        "as many rows in each, NumPy": by_rows_alike,
        "floats": lambda person, n: in_stretches(person, n).float(),
    },
)
