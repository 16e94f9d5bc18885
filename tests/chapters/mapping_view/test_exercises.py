"""A wrong answer to an exercise of chapter 1 is told what is wrong."""

from answers import wrong_answers

from mapping_lib.chapters.mapping_view import exercises

test_a_wrong_answer_is_told_what_is_wrong = wrong_answers(
    (exercises.check_trained, lambda learn, predict: learn, "should be a function of x"),
    (exercises.check_trained, lambda learn, predict: lambda D: lambda x: predict(learn(D), x), "learns again"),
    (exercises.check_trained, lambda learn, predict: learn([1.0]), "should be a function of D"),
    (exercises.check_trained, lambda learn, predict: lambda D: lambda x: x, "not predict(learn(D), 5)"),
    (exercises.check_nearest, lambda S_x, S_y, x: min(S_x, key=lambda a: abs(a - x)), "that is the nearest x"),
    (exercises.check_nearest, lambda S_x, S_y, x: S_y[0], "at x = 0.0 you answer 7.0"),
)
