"""Every stub of a chapter fails its check and says how to go on; every solution given there passes it."""

import re

import nbformat
import pytest
from answers import Exercise, exercises_of
from house import ROOT
from pages import CHAPTERS

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


def test_every_check_is_held_by_a_table_of_answers():
    def found(pattern: str, folder: str, name: str) -> set[tuple[str, str]]:
        paths = sorted((ROOT / folder / "chapters").glob(f"*/{name}"))
        return {(path.parent.name, check) for path in paths for check in re.findall(pattern, path.read_text("utf-8"))}

    checks = found(r"(?m)^def (check_\w+)", "mapping_lib", "exercises.py")
    tables = found(r"judged\(\s*exercises\.(check_\w+)", "tests", "test_exercises.py")
    assert len(checks) > 30
    assert checks == tables
