"""The exercises of chapter 1: wrong answers are told what is wrong, right ones may be written in any way."""

import functools
from bisect import bisect_right

import numpy as np
import torch
from answers import judged

from mapping_lib.chapters.mapping_view import exercises


class Trained:
    def __init__(self, learn, predict):
        self.learn, self.predict = learn, predict

    def __call__(self, D):
        return functools.partial(self.predict, self.learn(D))


def when_first_asked(learn, predict):
    def with_data(D):
        theta = functools.cache(lambda: learn(D))
        return lambda x: torch.tensor(predict(theta(), x))

    return with_data


def exchanged(learn, predict):
    def with_data(D):
        theta = learn(D)
        return lambda x: predict(x, theta)

    return with_data


def one_theta_for_all(learn, predict):
    known = {}

    def with_data(D):
        known["theta"] = learn(D)
        return lambda x: predict(known["theta"], x)

    return with_data


def first_theta_for_all(learn, predict):
    known = []

    def with_data(D):
        if not known:
            known.append(learn(D))
        return lambda x: predict(known[0], x)

    return with_data


test_trained = judged(
    exercises.check_trained,
    wrong={
        "with data, the result should be a function of x": lambda learn, predict: learn,
        "learns again": lambda learn, predict: lambda D: lambda x: predict(learn(D), x),
        "should be a function of D": lambda learn, predict: learn([1.0]),
        "you give 5, not 52": lambda learn, predict: lambda D: lambda x: x,
        "predict takes theta first": exchanged,
        "has become that of the second": one_theta_for_all,
        "is the first again": first_theta_for_all,
        "your code stopped with TypeError": lambda learn, predict: lambda D, x: predict(learn(D), x),
    },
    right={
        "partial": lambda learn, predict: lambda D: functools.partial(predict, learn(D)),
        "a class": Trained,
        "learned when first asked, in torch": when_first_asked,
    },
)


def the_one_below(S_x, S_y, x):
    return S_y[max(bisect_right(S_x, x) - 1, 0)]


def between_the_two(S_x, S_y, x):
    return float(np.interp(x, *zip(*sorted(zip(S_x, S_y, strict=True)), strict=True)))


def walks_on_while_nearer(S_x, S_y, x):
    i = 0
    while i + 1 < len(S_x) and abs(S_x[i + 1] - x) < abs(S_x[i] - x):
        i += 1
    return S_y[i]


def by_loop(S_x, S_y, x):
    best = 0
    for i in range(1, len(S_x)):
        best = i if (S_x[i] - x) ** 2 < (S_x[best] - x) ** 2 else best
    return S_y[best]


test_nearest = judged(
    exercises.check_nearest,
    wrong={
        "that is the nearest x": lambda S_x, S_y, x: min(S_x, key=lambda a: abs(a - x)),
        "that is the leftmost example's": lambda S_x, S_y, x: S_y[0],
        "that is the place": lambda S_x, S_y, x: int(np.argmin(np.abs(np.array(S_x) - x))),
        "a distance has no sign": lambda S_x, S_y, x: S_y[np.argmin(np.array(S_x) - x)],
        "that is the y nearest to x": lambda S_x, S_y, x: min(S_y, key=lambda y: abs(y - x)),
        "x = 1.3 you give -1, not 3": the_one_below,
        "x = 1.3 you give 1.133, not 3": between_the_two,
        "with S_x = [2.0, -3.0, 5.0, 0.5] (in any order)": walks_on_while_nearer,
        "one number": lambda S_x, S_y, x: (S_x[0], S_y[0]),
    },
    right={
        "NumPy": lambda S_x, S_y, x: np.asarray(S_y)[np.abs(np.asarray(S_x) - x).argmin()],
        "torch, float32": lambda S_x, S_y, x: torch.tensor(S_y)[
            (torch.tensor(S_x) - x).abs().topk(1, largest=False)[1]
        ],
        "sorted by distance": lambda S_x, S_y, x: sorted(zip(S_x, S_y, strict=True), key=lambda p: abs(p[0] - x))[0][1],
        "a loop over squares": by_loop,
    },
)
