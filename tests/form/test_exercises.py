"""Every stub of a chapter fails its check and says how to go on; every solution given there passes it."""

import nbformat
import pytest
from answers import CHAPTERS, Exercise, exercises_of

FOUND = [
    pytest.param(exercise, id=f"{path.stem.partition('_')[0]}-{i}")
    for path in CHAPTERS
    for i, exercise in enumerate(exercises_of(nbformat.read(path, nbformat.NO_CONVERT)), 1)
]


@pytest.mark.parametrize("exercise", FOUND)
def test_the_stub_gets_a_hint_and_the_solution_passes(exercise: Exercise, capsys):
    exec(exercise.stub, exercise.names)
    assert capsys.readouterr().out.startswith("Not begun: the function still returns `...`.\nHint: ")
    exec(exercise.solution, exercise.names)
    assert exercise.passes()
    assert capsys.readouterr().out.startswith("Right. ")
