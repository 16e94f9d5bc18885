"""A wrong answer to an exercise of chapter 4c is told what is wrong."""

from collections import Counter

from answers import wrong_answers

from mapping_lib.chapters.language import exercises


def without_blanks(name):
    return Counter(name.lower()[i : i + 2] for i in range(len(name) - 1))


def with_capitals(name):
    text = f" {name} "
    return Counter(text[i : i + 2] for i in range(len(text) - 1))


def each_once(name):
    text = f" {name.lower()} "
    return {text[i : i + 2]: 1 for i in range(len(text) - 1)}


def without_prior(counts, a, x):
    return (x * (counts / counts.sum()).log()).sum()


def every_feature_once(counts, a, x):
    p = (counts + a) / (counts + a).sum()
    return p.log()[x > 0].sum()


def not_divided(counts, a, x):
    return (x * (counts + a).log()).sum()


test_a_wrong_answer_is_told_what_is_wrong = wrong_answers(
    (exercises.check_bigrams, without_blanks, "the blanks are missing"),
    (exercises.check_bigrams, with_capitals, "there is a capital letter"),
    (exercises.check_bigrams, each_once, "with 'Banana' you give"),
    (exercises.check_bigrams, lambda name: list(name), "should be a dict"),
    (exercises.check_bigrams, lambda name: Counter(name), "two letters long"),
    (exercises.check_bigrams, lambda name: None, "is a `return` missing?"),
    (exercises.check_log_score, without_prior, "add a first"),
    (exercises.check_log_score, every_feature_once, "every occurrence counts"),
    (exercises.check_log_score, not_divided, "for counts = [3.0, 0.0]"),
    (exercises.check_log_score, lambda counts, a, x: x * a, "should be one number"),
    (exercises.check_log_score, lambda counts, a, x: counts["n"], "your code stopped with"),
)
