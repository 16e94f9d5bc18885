"""A wrong answer to an exercise of chapter 4 is told what is wrong."""

import math

from answers import wrong_answers

from mapping_lib.chapters.applications import exercises


def two_samples(a, b):
    mean, half = (a - b).mean(), 1.96 * ((a.var() + b.var()) / len(a)) ** 0.5
    return mean - half, mean + half


test_a_wrong_answer_is_told_what_is_wrong = wrong_answers(
    (exercises.check_interval, two_samples, "two independent samples"),
    (exercises.check_interval, lambda a, b: (2.0, 1.0), "they are exchanged"),
    (exercises.check_interval, lambda a, b: ((b - a).mean() - 1, (b - a).mean() + 1), "is not the mean of a - b"),
    (exercises.check_interval, lambda a, b: ((a - b).mean() - 1, (a - b).mean() + 1), "its half width is 1.000"),
    (exercises.check_units_needed, lambda sd, gain: (1.96 * sd / gain) ** 2, "Round up"),
    (exercises.check_units_needed, lambda sd, gain: math.ceil(1.96 * sd / gain), "is 20, not 385"),
)
