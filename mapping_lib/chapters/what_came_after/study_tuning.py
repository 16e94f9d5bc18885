"""How the settings of chapter 4g were chosen: each part's own trials, one after the other."""

from collections.abc import Iterator

from . import study_fewer_letters, study_fewer_tuning, study_test_time

PARTS = study_fewer_tuning, study_fewer_letters, study_test_time


def tune() -> Iterator[str]:
    """Every choice with its error on validation tasks, a line each; the first comes after a training of some seconds.

    >>> [part.__name__.rpartition(".")[2] for part in PARTS]
    ['study_fewer_tuning', 'study_fewer_letters', 'study_test_time']
    """
    for part in PARTS:
        yield from part.tune()
