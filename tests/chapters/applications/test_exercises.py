"""The exercises of chapter 4: wrong answers are told what is wrong, right ones may be written in any way."""

import math

import numpy as np
import torch
from answers import judged

from mapping_lib.chapters.applications import exercises


def two_samples(a, b):
    mean, half = (a - b).mean(), 1.96 * ((a.var() + b.var()) / len(a)) ** 0.5
    return mean - half, mean + half


def around(a, b, half):
    mean = (a - b).mean()
    return mean - half, mean + half


def by_numpy(a, b):
    d = np.asarray(a) - np.asarray(b)
    return d.mean() + np.array([-1, 1]) * 1.96 * d.std() / np.sqrt(d.size)


def stacked(a, b):
    d = a - b
    return torch.stack([d.mean() - 2 * d.std() / len(d) ** 0.5, d.mean() + 2 * d.std() / len(d) ** 0.5])


def in_float32(a, b):
    d = (a - b).float()
    half = 1.96 * (d.var() / len(d)).sqrt()
    return [d.mean() - half, d.mean() + half]


def by_covariance(a, b):
    variance = a.var() + b.var() - 2 * torch.cov(torch.stack([a, b]))[0, 1]
    return around(a, b, 1.96 * float(variance / len(a)) ** 0.5)


def by_loops(a, b):
    d = [float(x) - float(y) for x, y in zip(a, b, strict=True)]
    mean = sum(d) / len(d)
    half = 1.96 * math.sqrt(sum((x - mean) ** 2 for x in d) / (len(d) - 1) / len(d))
    return (mean + sign * half for sign in (-1, 1))


test_interval = judged(
    exercises.check_interval,
    wrong={
        "two independent samples": two_samples,
        "they are exchanged": lambda a, b: (2.0, 1.0),
        "its middle is the mean of b - a": lambda a, b: around(b, a, (b - a).std() / len(a) ** 0.5),
        "its middle is not the mean of a - b": lambda a, b: (-1.0, 2.0),
        "its half width is 1.000": lambda a, b: around(a, b, 1),
        "divide by the root of n": lambda a, b: around(a, b, 1.96 * (a - b).std()),
        "that is one standard error": lambda a, b: around(a, b, (a - b).std() / len(a) ** 0.5),
        "its half width is 0.05": lambda a, b: around(a, b, 1.96 * (a - b).std() / len(a)),
        "its half width is 0.3": lambda a, b: around(a, b, 1.645 * (a - b).std() / len(a) ** 0.5),
        "and yours has the shape ()": lambda a, b: 1.96 * (a - b).std() / len(a) ** 0.5,
        "is a `return` missing?": lambda a, b: None,
    },
    right={
        "NumPy, divided by n": by_numpy,
        "a stacked tensor, 2 for 1.96": stacked,
        "float32": in_float32,
        "by the covariance": by_covariance,
        "loops": by_loops,
    },
)


def by_counting(sd, gain):
    n = 1
    while 1.96 * sd / n**0.5 > gain:
        n += 1
    return n


test_units_needed = judged(
    exercises.check_units_needed,
    wrong={
        "you give 384.2: a unit cannot be cut. Round up": lambda sd, gain: (1.96 * sd / gain) ** 2,
        "you give 384, and 384.2 are needed": lambda sd, gain: int((1.96 * sd / gain) ** 2),
        "rounded down, zero is still inside": lambda sd, gain: round((1.96 * sd / gain) ** 2),
        "the ratio has to be squared": lambda sd, gain: math.ceil(1.96 * sd / gain),
        "that is for two independent samples": lambda sd, gain: math.ceil(2 * (1.96 * sd / gain) ** 2),
        "it is upside down": lambda sd, gain: math.ceil((1.96 * gain / sd) ** 2),
        "that is where one standard error leaves zero out": lambda sd, gain: math.ceil((sd / gain) ** 2),
        "2 is near to 1.96": lambda sd, gain: math.ceil((2 * sd / gain) ** 2),
        "you give 386, not 385": lambda sd, gain: math.ceil((1.96 * sd / gain) ** 2) + 1,
        "you give 600, not 385": lambda sd, gain: 600,
        "you give 10, not 385": lambda sd, gain: round(sd / gain),
        "of type str": lambda sd, gain: "385",
    },
    right={
        "a float": lambda sd, gain: float(math.ceil((1.96 * sd / gain) ** 2)),
        "NumPy": lambda sd, gain: np.ceil(np.square(1.96 * sd / gain)).astype(int),
        "torch, float32": lambda sd, gain: (torch.tensor(1.96 * sd / gain) ** 2).ceil(),
        "int, and one more": lambda sd, gain: int((1.96 * sd / gain) ** 2) + 1,
        "counting": by_counting,
    },
)
