"""The editions for a class: what a student's copy lacks, what the teacher's has, and that nothing is overwritten."""

from functools import partial
from pathlib import Path

import commands
import nbformat
import pytest
from answers import exercises_of
from house import ROOT
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pages import CHAPTERS, links_resolve, load

from mapping_lib.tools import editions
from mapping_lib.tools.pictures import image, is_question

NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))


def edition(name: str, path: Path):
    return editions.EDITIONS[name](nbformat.read(path, nbformat.NO_CONVERT))


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Path]:
    """Both editions, in folders that lie beside ``notebooks/`` as the command would put them."""
    root = tmp_path_factory.mktemp("root")
    for beside in ("figures", "mapping_lib", "tests", "README.md", "notebooks"):
        (root / beside).symlink_to(ROOT / beside)
    for name in editions.EDITIONS:
        editions.write(editions.made(name, ROOT / "notebooks"), root / name)
    return {name: root / name for name in editions.EDITIONS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_student_sees_no_note_no_solution_and_no_output(path: Path):
    nb, whole = edition("student", path), nbformat.read(path, nbformat.NO_CONVERT)
    text = "\n".join(cell.source for cell in nb.cells)
    assert "For the teacher" not in text
    assert "<summary>Solution</summary>" not in text
    assert not [cell for cell in nb.cells if cell.get("execution_count")]
    outputs = [output for cell in nb.cells for output in cell.get("outputs", [])]
    stored = [output for cell in whole.cells for output in cell.get("outputs", [])]
    kept = [output.data for output in stored if image(output) or is_question(output)]
    assert [output.data for output in outputs] == kept
    stubs = [cell.source for cell in whole.cells if "exercise" in cell.metadata.get("tags", [])]
    assert [cell.source for cell in nb.cells if "exercise" in cell.metadata.get("tags", [])] == stubs
    code = [cell.source for cell in whole.cells if cell.cell_type == "code"]
    assert [cell.source for cell in nb.cells if cell.cell_type == "code"] == code


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_has_notes_for_the_teacher_and_they_are_open_in_the_teacher_s_copy(path: Path):
    nb = edition("teacher", path)
    notes = [cell for cell in nb.cells if "teacher" in cell.metadata.get("tags", [])]
    assert len(notes) >= 3
    for note in notes:
        assert note.source.startswith("<details open><summary>For the teacher</summary>\n\n")
        assert note.source.rstrip().endswith("</details>")


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_exercises_are_solved_for_the_teacher(path: Path, capsys):
    solved = [c.source for c in edition("teacher", path).cells if "exercise" in c.metadata.get("tags", [])]
    exercises = exercises_of(nbformat.read(path, nbformat.NO_CONVERT))  # a student's stubs are those, as tested above
    for exercise, teacher in zip(exercises, solved, strict=True):
        exec(teacher, exercise.names)
        assert capsys.readouterr().out.startswith("Right. ")
        assert exercise.passes()
        capsys.readouterr()


@pytest.mark.parametrize("name", editions.EDITIONS)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_of_an_edition_resolve(written, name: str, path: Path):
    assert list(links_resolve(load(written[name] / path.name))) == []


def test_what_a_student_has_made_is_not_overwritten(tmp_path: Path):
    mine = tmp_path / "01_mapping_view.ipynb"
    mine.write_text("my work")
    with pytest.raises(FileExistsError, match="not empty; allowed: a new or an empty folder"):
        editions.write({"01_mapping_view.ipynb": "theirs"}, tmp_path)
    assert mine.read_text() == "my work"


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path):
    with pytest.raises(UnicodeEncodeError):
        editions.write({"a.ipynb": "good", "b.ipynb": "\ud800"}, tmp_path / "class")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "class").mkdir()  # an empty one may be there
    editions.write({"a.ipynb": "good"}, tmp_path / "class")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["class", "class/a.ipynb"]


run = partial(commands.run, editions.main, cwd=ROOT)


def test_the_command_writes_one_edition(tmp_path: Path):
    done = run("student", "--to", str(tmp_path / "class"))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "class").iterdir()} == {path.name for path in NOTEBOOKS}
    again = run("student", "--to", str(tmp_path / "class"))
    assert again.returncode == 2
    assert "not empty" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "words"), [(["pupil"], "allowed: student, teacher"), (["--to", "somewhere"], "one edition")], ids=str
)
def test_the_command_refuses_what_it_does_not_know(arguments, words: str):
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr


STUB = "def f():\n    return ...\n\n\n_ = check(f)"
ANSWER = "<details><summary>Solution</summary>\n\n```python\ndef f():\n    return 42\n```\n</details>"


def notebook(*cells: NotebookNode) -> str:
    return nbformat.writes(new_notebook(cells=list(cells)))


def exercise(source: str = STUB) -> NotebookNode:
    return new_code_cell(source, metadata={"tags": ["exercise"]})


UNUSABLE = {
    "empty": ("", "mine.ipynb is no notebook of format 4"),
    "not JSON": ("<html>", "mine.ipynb is no notebook of format 4"),
    "a list": ("[]", "mine.ipynb is no notebook of format 4"),
    "format 3": ('{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}', "no notebook of format 4"),
    "another encoding": ('{"Größe": 1}'.encode("latin-1"), "no notebook of format 4"),
    "no solution": (notebook(exercise()), "mine.ipynb, cell 1, an exercise, has no folded solution"),
    "no solution, and another has": (
        notebook(exercise(), exercise(), new_markdown_cell(ANSWER)),
        "mine.ipynb, cell 1, an exercise, has no folded solution",
    ),
    "no code": (
        notebook(exercise(), new_markdown_cell(ANSWER.replace("python", ""))),
        "mine.ipynb, cell 1, an exercise, has no folded solution",
    ),
    "no check": (notebook(exercise("def f(): ..."), new_markdown_cell(ANSWER)), "it has no check"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_notebook_that_cannot_be_used_is_named_and_nothing_is_written(case: str, tmp_path: Path):
    content, words = UNUSABLE[case]
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01.ipynb").write_text(notebook(exercise(), new_markdown_cell(ANSWER)))
    mine = tmp_path / "notebooks" / "mine.ipynb"
    mine.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = run(cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notebooks"]


def test_an_exercise_of_one_s_own_is_solved_by_the_solution_below_it(tmp_path: Path):
    own = exercise(STUB.replace("f()", "g()"))
    cells = [own, new_markdown_cell(ANSWER.replace("f()", "g()")), exercise(), new_markdown_cell(ANSWER)]
    nb = editions.teacher(new_notebook(cells=cells))
    assert [cell.source.splitlines()[0] for cell in nb.cells[::2]] == ["def g():", "def f():"]


@pytest.mark.parametrize("to", ["a file", "a file/below"])
def test_a_target_that_is_a_file_is_refused(to: str, tmp_path: Path):
    (tmp_path / "a file").write_text("my work")
    done = run("student", "--to", str(tmp_path / to))
    assert done.returncode == 2
    assert "a file" in done.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == ["my work"]


def test_both_editions_or_none_where_one_folder_is_taken(tmp_path: Path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01.ipynb").write_text(notebook(exercise(), new_markdown_cell(ANSWER)))
    (tmp_path / "teacher").write_text("my work")
    done = run(cwd=tmp_path)
    assert done.returncode == 2
    assert "to is 'teacher', which is a file; allowed: a new or an empty folder" in done.stderr
    assert not (tmp_path / "student").exists()


def test_the_command_wants_the_project_s_root(tmp_path: Path):
    assert "project's root" in run(cwd=tmp_path).stderr
