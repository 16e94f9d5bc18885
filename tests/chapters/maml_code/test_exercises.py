"""A wrong answer to an exercise of chapter 3 is told what is wrong."""

import nbformat
import torch
from answers import CHAPTERS, exercises_of, wrong_answers

from mapping_lib.chapters.maml_code import exercises


def ascend(theta, alpha, steps):
    return theta + steps * alpha * (theta - 3)


def one_big_step(theta, alpha, steps):
    return theta - steps * alpha * (theta - 3)


def no_return(*arguments):
    pass


def fails(*arguments):
    raise KeyError("0.weight")


test_a_wrong_answer_is_told_what_is_wrong = wrong_answers(
    (exercises.check_descend, ascend, "Not yet: descend(0.0, 0.5, 1) is"),
    (exercises.check_descend, one_big_step, "Not yet: descend(1.0, 0.1, 5) is"),
    (exercises.check_descend, no_return, "is a `return` missing?"),
    (exercises.check_descend, fails, "your code stopped with KeyError"),
    (exercises.check_reptile, lambda theta, phis: phis.mean(0) - theta, "moves theta away from phi"),
    (exercises.check_reptile, lambda theta, phis: theta - phis.sum(0), "expected [0.5, -1.0]"),
    (exercises.check_reptile, lambda theta, phis: theta - phis, "should have the shape of theta"),
    (exercises.check_first_order, lambda theta, tasks: torch.tensor(1.0), "were the parameters detached?"),
)


def test_the_full_gradient_is_not_first_order(capsys):
    (chapter,) = [path for path in CHAPTERS if path.stem.startswith("03_")]
    exercise = next(e for e in exercises_of(nbformat.read(chapter, 4)) if "first_order" in e.stub)
    exec(exercise.solution.replace(".detach()", ""), exercise.names)
    assert not exercise.passes()
    assert "still a different gradient" in capsys.readouterr().out
