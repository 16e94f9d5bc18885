"""How the settings of chapter 4g were chosen: each part's own trials, one after the other."""

from collections.abc import Iterator

from . import study_fewer_letters, study_fewer_tuning, study_test_time


def tune() -> Iterator[str]:
    """Every choice with its error on validation tasks, a line each."""
    for part in (study_fewer_tuning, study_fewer_letters, study_test_time):
        yield from part.tune()
