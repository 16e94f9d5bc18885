"""What a check reads and compares: numbers of every kind, and no other thing; and it never raises."""

import numpy as np
import pytest
import torch

from mapping_lib.page.checking import check, close, expect, number, numbers, truth, whole

ONE = {
    "int": 3,
    "float": 3.0,
    "float32": torch.tensor(3.0, dtype=torch.float32),
    "of shape (1, 1)": torch.full((1, 1), 3),
    "with a gradient": torch.tensor(3.0, requires_grad=True),
    "NumPy": np.float16(3),
    "an array": np.array([3]),
    "a list": [3],
    "an iterator": iter([3]),
}
PAIR = {
    "a tuple": (1, 2.5),
    "float32": torch.tensor([1, 2.5], dtype=torch.float32),
    "an array, backwards": np.array([2.5, 1.0])[::-1],
    "tensors in a list": [torch.tensor(1.0, requires_grad=True), torch.tensor(2.5, dtype=torch.float64)],
    "NumPy in a tuple": (np.float32(1), np.int64(5) / 2),
    "an iterator": (value for value in (1, 2.5)),
}
NO_NUMBER = {"a word": "3", "a dict": {1: 3}, "complex": 3j, "ragged": [[1, 2], 3], "a function": len, "a set": {3}}


@check("the hint.")
def verdict(read) -> str:
    """Judge by what is read."""
    return f"It is {read()}."


def said(read, capsys: pytest.CaptureFixture) -> str:
    passed = verdict(read)
    printed = capsys.readouterr().out
    assert printed.startswith("Right. ") == passed
    assert passed or printed.endswith("Hint: the hint.\n")
    return printed


def test_what_is_said_fits_a_page_and_breaks_no_word(capsys: pytest.CaptureFixture):
    long = "a word, " * 30 + "x" * 100
    printed = said(lambda: long, capsys)
    assert max(len(line) for line in printed.splitlines() if "x" * 100 not in line) <= 88
    assert printed.split() == f"Right. It is {long}.".split()


@pytest.mark.parametrize("value", ONE.values(), ids=ONE)
def test_one_number_may_be_kept_in_any_way(value):
    assert number(value) == 3.0


@pytest.mark.parametrize("value", PAIR.values(), ids=PAIR)
def test_numbers_may_be_kept_in_any_way(value):
    read = numbers(value, (2,), "a pair")
    assert read.dtype == torch.float64
    assert read.tolist() == [1.0, 2.5]


def test_what_is_read_is_a_copy():
    given = torch.ones(2, dtype=torch.float64)
    numbers(given, (2,), "a pair").zero_()
    assert given.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("value", [True, np.True_, torch.tensor(True), torch.tensor([[True]]), 1, [1.0]])
def test_a_truth_may_be_kept_in_any_way(value):
    assert truth(value) is True


@pytest.mark.parametrize("value", NO_NUMBER.values(), ids=NO_NUMBER)
def test_what_is_no_number_is_called_by_its_type(value, capsys: pytest.CaptureFixture):
    for read in (number, truth, lambda value: numbers(value, (2,), "a pair")):
        words = said(lambda read=read: read(value), capsys)
        assert words.startswith("Not yet: ")
        assert f"yours is of type {type(value).__name__}." in " ".join(words.split())


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda: number([1, 2]), "the result should be one number, and yours has the shape (2,)."),
        (lambda: numbers([1, 2, 3], (2,), "a pair"), "a pair should be numbers of shape (2,), and yours has the shape"),
        (lambda: numbers([], (2,), "a pair"), "yours has the shape (0,)."),
        (lambda: truth(0.5), "True or False, and yours is 0.5."),
        (lambda: truth([True, False]), "one True or False, and yours has the shape (2,)."),
        (lambda: whole(torch.tensor([0.5]), "places"), "places should be whole numbers."),
        (lambda: number(None), "is a `return` missing?"),
        (lambda: expect(2.0, 3.0, "for x"), "Not yet: for x you give 2, not 3."),
        (lambda: expect(2.0, 3.0, "for x", {"halved.": 1.5, "one less.": 2.0}), "Not yet: one less.\n"),
        (lambda: expect(2.0, 3.0, "for x", {"two.": 2, "one less.": 2.0}), "for x you give 2, not 3."),
        (lambda: expect(float("nan"), 3.0, "for x", {"nothing.": float("nan")}), "for x you give nan, not 3."),
        (lambda: expect(*torch.eye(2), "for x"), "for x you give [1, 0], not [0, 1]."),
        (lambda: 1 / 0, "your code stopped with ZeroDivisionError: division by zero"),
        (lambda: number(...), "Not begun: the function still returns `...`."),
        (lambda: numbers((..., ...), (2,), "a pair"), "Not begun: "),
    ],
)
def test_what_is_not_right_is_said(read, words: str, capsys: pytest.CaptureFixture):
    assert words in said(read, capsys)


def test_what_float32_rounds_is_right(capsys: pytest.CaptureFixture):
    value = float(torch.tensor(0.42, dtype=torch.float32))
    assert value != 0.42
    assert close(value, 0.42)
    assert not close(0.4201, 0.42)
    assert not close(float("inf"), 0.42)
    expect(value, 0.42, "for x", {"rounded.": value})
    assert said(lambda: number(value), capsys).startswith("Right. ")
