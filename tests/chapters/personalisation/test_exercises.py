"""Wrong answers to the exercises of chapter 4b are told what is wrong."""

import torch
from answers import wrong_answers

from mapping_lib.chapters.personalisation import exercises


def by_rows(person, n_parts):
    return torch.arange(len(person)) % n_parts


def lopsided(person, n_parts):
    _, number = person.unique(return_inverse=True)
    return number.clamp(max=n_parts - 1)


def own_mean(y, mu, tau, sigma):
    return float(y.mean())


def wrong_weight(y, mu, tau, sigma):
    weight = len(y) * tau / (len(y) * tau + sigma)
    return mu + weight * float(y.mean() - mu)


def never_empty(y, mu, tau, sigma):
    weight = len(y) * tau**2 / (len(y) * tau**2 + sigma**2)
    return mu + weight * float(y.mean() - mu)


test_a_wrong_answer_is_told_what_is_wrong = wrong_answers(
    (exercises.check_shrunk, own_mean, "it forgets everybody else"),
    (exercises.check_shrunk, lambda y, mu, tau, sigma: mu, "it forgets the person"),
    (exercises.check_shrunk, wrong_weight, "with 3 observations you give"),
    (exercises.check_shrunk, never_empty, "without an observation the answer should be mu = 5"),
    (exercises.check_shrunk, lambda y, mu, tau, sigma: None, "is a `return` missing?"),
    (exercises.check_components, lambda y: float(y.var()), "return two numbers"),
    (exercises.check_components, lambda y: (y.mean(1).var(), y.var(1).mean()), "the noise is still in it"),
    (exercises.check_components, lambda y: (1.0, y.var()), "sigma² is 4, and you find"),
    (exercises.check_components, lambda y: (7.0, y.var(1).mean()), "tau² is 1, and you find 7.00"),
    (exercises.check_split, by_rows, "is in the parts"),
    (exercises.check_split, lambda person, n: torch.zeros_like(person), "some part has nobody in it"),
    (exercises.check_split, lopsided, "very different numbers"),
    (exercises.check_split, lambda person, n: torch.zeros(3), "one part for each row"),
    (exercises.check_split, lambda person, n: person, "are numbered 0"),
    (exercises.check_split, lambda person, n: 1 / 0, "your code stopped with ZeroDivisionError"),
)
