"""A wrong answer to an exercise of chapter 3b is told what is wrong."""

import torch
from answers import wrong_answers

from mapping_lib.chapters.other_mappings import exercises


def first_hidden_layer(phi, order):
    return phi | {n: phi[n][order] for n in ("0.weight", "0.bias")} | {"2.weight": phi["2.weight"][:, order]}


def rows_only(phi, order):
    return phi | {name: phi[name][order] for name in ("2.weight", "2.bias")}


def in_place(phi, order):
    phi["2.bias"].copy_(phi["2.bias"][order])
    return dict(phi)


def never_empty(x, y, sigma):
    return (x * y).sum() / ((x * x).sum() + sigma**2) if len(x) else torch.tensor(1.0)


test_a_wrong_answer_is_told_what_is_wrong = wrong_answers(
    (exercises.check_exchanged, first_hidden_layer, "the second layer's units are not in the new order"),
    (exercises.check_exchanged, rows_only, "it draws another function"),
    (exercises.check_exchanged, lambda phi, order: phi["2.weight"][order], "should have the names of phi"),
    (exercises.check_exchanged, in_place, "phi itself was changed"),
    (exercises.check_strategy, lambda x, y, sigma: (x * y).sum() / (x * x).sum(), "that is least squares"),
    (exercises.check_strategy, lambda x, y, sigma: (x * y).sum() / ((x * x).sum() + sigma), "with 3 examples"),
    (exercises.check_strategy, never_empty, "without an example the answer should be 0"),
    (exercises.check_stop, lambda support, query: bool((support * query).sum() > 0), "still falls"),
    (exercises.check_stop, lambda support, query: False, "would rise"),
)
