"""A wrong answer to an exercise of chapter 2 is told what is wrong."""

import torch
from answers import wrong_answers

from mapping_lib.chapters.maml_math import exercises


def first_order_formula(theta, h, c, alpha, m):
    return (1 - alpha * h) ** m * h * (theta - c)


def hessian_times_v(loss, phi, v, alpha):
    return torch.func.grad(lambda p: torch.func.grad(loss)(p) @ v)(phi)


test_a_wrong_answer_is_told_what_is_wrong = wrong_answers(
    (exercises.check_pencil, first_order_formula, "that is FOMAML's"),
    (exercises.check_pencil, lambda theta, h, c, alpha, m: theta, "pencil(1.0, 1.0, 3.0, 0.25, 1) is 1.0000"),
    (exercises.check_one_link, hessian_times_v, "that is H v"),
    (exercises.check_one_link, lambda loss, phi, v, alpha: v, "this is not (I - alpha H) v"),
    (exercises.check_one_link, lambda loss, phi, v, alpha: 0.0, "a vector as long as v"),
    (exercises.check_best_alpha, lambda low, high: 1 / high, "is possible"),
    (exercises.check_best_alpha, lambda low, high: 2 / low, "does not shrink every direction"),
)
