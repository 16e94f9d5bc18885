"""The recording command: what it writes, what it refuses, and that recording once more changes nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import commands
import nbconvert
import nbformat
import numpy as np
import pytest
from house import ROOT
from ipykernel.ipkernel import IPythonKernel
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pictures import alike, drawn_again

from mapping_lib.tools import recording

# --- The notebooks themselves: another recording gives the same again ---


def test_recording_again_changes_nothing(tmp_path: Path):
    """All notebooks are run again by nbval, with their pictures (`conftest`); the command itself is asked of one."""
    path = ROOT / "notebooks/04_applications.ipynb"
    recording.record(path, tmp_path / path.name)
    old, new = (nbformat.read(p, nbformat.NO_CONVERT) for p in (path, tmp_path / path.name))
    assert all(
        drawn_again(a, b.get("outputs", [])) for a, b in zip(old.cells, new.cells, strict=True) if "outputs" in a
    )
    assert without_pixels(new) == without_pixels(old)


def without_pixels(nb: NotebookNode) -> NotebookNode:
    """Return ``nb`` without what may differ: pixels, and the version of the Python that recorded it."""
    nb.metadata.language_info.pop("version")
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = "a picture"
    return nb


def test_pictures_that_differ_are_told_apart():
    white, line = np.ones((300, 400, 4)), np.ones((300, 400, 4))
    line[100:110] = 0.0
    assert alike(white, white)
    assert not alike(white, line)
    assert not alike(white, white[1:])


GREY = "from PIL import Image\nImage.new('L', (400, 300), {shade})"


def test_a_cell_that_draws_another_picture_fails(tmp_path: Path):
    path, other = write(tmp_path, GREY.format(shade=80)), tmp_path / "other.ipynb"
    recording.record(path)
    other.write_text(path.read_text().replace("80)", "160)"))
    printed = commands.nbval(path, other)
    assert ".F" in printed, printed  # the first passes, the other fails
    assert "1 failed, 1 passed" in printed
    assert "the pictures are not those stored" in printed


# --- The command, on small notebooks ---

PANEL = """\
import base64, io
import ipywidgets
from matplotlib.figure import Figure

class Panel(ipywidgets.VBox):
    def _repr_mimebundle_(self, **kwargs):
        png = io.BytesIO()
        Figure().savefig(png)
        picture = {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": "a panel"}
        return super()._repr_mimebundle_(**kwargs) | picture

Panel([ipywidgets.IntSlider()])"""


def write(folder: Path, *sources: str, tags: tuple[str, ...] = ()) -> Path:
    """Write a notebook of code cells as a person leaves it; the last one has the ``tags``."""
    nb = new_notebook(cells=[new_markdown_cell("# Θ"), *map(new_code_cell, sources)])
    nb.cells[-1].metadata.tags = list(tags)
    nbformat.write(nb, folder / "a.ipynb")
    return folder / "a.ipynb"


def outputs(path: Path) -> list[NotebookNode]:
    """Return what the last cell put out, and the picture cell's."""
    return nbformat.read(path, nbformat.NO_CONVERT).cells[-1].outputs


run = partial(commands.run, recording.main)


def test_a_panel_keeps_its_picture_and_loses_its_view(tmp_path: Path):
    path = write(tmp_path, PANEL)
    recording.record(path)
    (output,) = outputs(path)
    assert sorted(output.data) == ["image/png", "text/plain"]
    assert output.data["text/plain"] == "a panel"
    nb = nbformat.read(path, nbformat.NO_CONVERT)
    assert "widgets" not in nb.metadata
    assert nb.metadata.language_info == IPythonKernel.language_info


def test_recording_twice_gives_the_same_bytes(tmp_path: Path):
    path = write(tmp_path, PANEL, "print('θ', end='')\nprint(' φ')\n{1: 2}")
    recording.record(path)
    once = path.read_bytes()
    recording.record(path)
    assert path.read_bytes() == once
    assert "θ φ".encode() in once
    assert once.endswith(b"}\n")
    assert recording.faults(path) == []


def test_split_streams_are_merged(tmp_path: Path):
    path = write(tmp_path, "import time\nfor i in range(4):\n    print(i, flush=True)\n    time.sleep(0.3)")
    recording.record(path)
    assert [output.text for output in outputs(path)] == ["0\n1\n2\n3\n"]


def test_streams_on_both_sides_of_a_picture_stay_apart():
    texts = [new_output("stream", name="stdout", text=text) for text in "abc"]
    picture = new_output("display_data", {"image/png": "", "text/plain": "p"})
    merged = recording.merge_streams([texts[0], picture, texts[1], texts[2]])
    assert [output.get("text") for output in merged] == ["a", None, "bc"]


def test_a_teacher_s_note_between_a_question_and_its_answer_changes_no_slide():
    ask, answer = new_markdown_cell("**Predict.** What will happen?"), new_code_cell("answer()")
    note = new_markdown_cell("Ask them.", metadata={"tags": ["teacher"]})
    marks = [
        cell.metadata.slideshow.slide_type for cell in recording.tidy(new_notebook(cells=[ask, note, answer])).cells
    ]
    assert marks == ["subslide", "notes", "fragment"]


def slides(*cells: NotebookNode) -> list[str]:
    """The slide marks of these cells; one cell may be given twice."""
    own = [
        nbformat.from_dict({**cell, "id": f"cell-{i}", "metadata": dict(cell.metadata)}) for i, cell in enumerate(cells)
    ]
    return [cell.metadata.slideshow.slide_type for cell in recording.tidy(new_notebook(cells=own)).cells]


PICTURE = [new_output("display_data", {"image/png": "", "text/plain": "a picture"})]


def test_a_slide_that_is_full_goes_on_below_and_a_reading_stays_with_its_picture():
    text = "\n\n".join(["A paragraph."] * 6)  # 11 lines
    section, more = new_markdown_cell("## One\n\n" + text), new_markdown_cell(text)
    draw, reading = new_code_cell("draw()", outputs=PICTURE), new_markdown_cell("*How to read it.*\n\n" + text)
    assert slides(section, new_markdown_cell("Short."), new_code_cell("print()")) == ["slide", "-", "-"]
    assert slides(section, more, draw, reading, more) == ["slide", "subslide", "subslide", "-", "subslide"]
    assert slides(new_markdown_cell("## Explorer"), draw) == ["slide", "-"]
    assert slides(new_markdown_cell("## One\n\n**Predict.** What?"), draw) == ["slide", "subslide"]
    explorer = {"text/plain": "[explorer: a]", "text/html": '<img alt="a" src="data:">\n<p>Press.</p>'}
    touch = new_code_cell("explorer()", outputs=[new_output("display_data", explorer)])
    assert slides(new_markdown_cell("## One\n\n**Predict.** What?"), touch) == ["slide", "subslide"]


def test_a_prediction_by_hand_stays_with_its_heading_and_what_comes_out_waits_for_a_key():
    shown = new_output("execute_result", {"text/plain": "[prediction: Which?]"})
    imported = "from mapping_lib.page import prediction\n\n"
    ask = new_code_cell(imported + 'guess = prediction.predict("Which?", ["this", "that"])\nguess', outputs=[shown])
    answer, draw = new_code_cell('guess.against("this")'), new_code_cell("draw()", outputs=PICTURE)
    assert slides(new_markdown_cell("## One\n\nText."), ask, draw, answer) == ["slide", "-", "subslide", "-"]
    assert slides(new_markdown_cell("### One"), ask, answer) == ["subslide", "-", "fragment"]
    note = new_markdown_cell("Ask them.", metadata={"tags": ["teacher"]})
    assert slides(new_markdown_cell("Text."), ask, note, answer) == ["-", "subslide", "notes", "fragment"]
    assert slides(ask, ask) == ["subslide", "subslide"]
    assert slides(new_code_cell("y = predict(phi, x)"), answer) == ["-", "-"], "a learner's"


def test_what_a_cell_defines_is_shown_and_what_it_only_imports_is_not():
    assert slides(new_code_cell("from torch import nn\n\nplots.use_style()")) == ["skip"]
    assert slides(new_code_cell("from torch import nn\n\n\nclass Mine(nn.Module): ...")) == ["-"]


def test_each_exercise_is_a_slide_and_its_code_waits_for_a_key():
    stub = new_code_cell("_ = check(f)", metadata={"tags": ["exercise"]})
    first, second = new_markdown_cell("## Exercises\n\n**1.** Do."), new_markdown_cell("**2.** Do more.")
    assert slides(first, stub, second, stub) == ["slide", "fragment", "subslide", "fragment"]


def test_a_progress_bar_keeps_its_last_state(tmp_path: Path):
    path = write(
        tmp_path,
        "import time\nfor i in range(4):\n    print(i, end='\\r', flush=True)\n    time.sleep(0.2)\nprint('done')",
    )
    recording.record(path)
    assert [output.text for output in outputs(path)] == ["done\n"]


def test_cells_run_in_the_notebooks_folder_on_one_thread(tmp_path: Path):
    path = write(tmp_path, "import os\nos.path.exists('a.ipynb'), os.environ['OMP_NUM_THREADS']")
    recording.record(path)
    assert outputs(path)[0].data["text/plain"] == "(True, '1')"


def test_a_failing_cell_is_named_and_the_file_stays(tmp_path: Path):
    path = write(tmp_path, "1", "raise ValueError('no such task')", "3")
    before = path.read_bytes()
    with pytest.raises(recording.RecordingError, match=r"a\.ipynb, cell 3: ValueError: no such task"):
        recording.record(path)
    assert path.read_bytes() == before


def test_a_slow_cell_is_stopped(tmp_path: Path):
    path = write(tmp_path, "import time\ntime.sleep(60)")
    with pytest.raises(recording.RecordingError, match=r"cell 2: CellTimeoutError"):
        recording.record(path, timeout=1)


def test_a_kernel_that_dies_is_reported(tmp_path: Path):
    path = write(tmp_path, "import os\nos._exit(1)")
    with pytest.raises(recording.RecordingError, match=r"cell 2: DeadKernelError"):
        recording.record(path)


def test_a_cell_may_be_meant_to_fail(tmp_path: Path):
    path = write(tmp_path, "1 / 0", tags=("raises-exception",))
    recording.record(path)
    assert outputs(path)[0].traceback == ["ZeroDivisionError: division by zero"]
    assert recording.faults(path) == []


def test_a_skipped_cell_is_not_executed(tmp_path: Path):
    path = write(tmp_path, "1", "1 / 0", tags=("skip-execution",))
    recording.record(path)
    assert outputs(path) == []
    assert recording.faults(path) == []


def test_warnings_are_seen(tmp_path: Path):
    path = write(tmp_path, "import warnings\nwarnings.warn('mind the gap', stacklevel=1)")
    recording.record(path)
    assert outputs(path)[0].name == "stderr"


def test_the_command_records_all_notebooks(tmp_path: Path):
    (tmp_path / "notebooks").mkdir()
    write(tmp_path / "notebooks", "6 * 7")
    assert "not executed" in run("--check", cwd=tmp_path).stderr
    command = [sys.executable, "-m", "mapping_lib.tools.recording"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "recorded notebooks/a.ipynb\n", "")
    assert run("--check", cwd=tmp_path).returncode == 0


def test_the_command_stops_at_a_failure(tmp_path: Path):
    done = run(str(write(tmp_path, "1 / 0")), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("a.ipynb, cell 2: ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize("arguments", [[], ["--check"]], ids=str)
@pytest.mark.parametrize("content", ["", "{}", "[1]", None], ids=str)
def test_a_file_that_is_no_notebook_is_named(content: str | None, arguments: list[str], tmp_path: Path):
    if content is not None:
        (tmp_path / "a.ipynb").write_text(content)
    done = run("a.ipynb", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "a.ipynb" in done.stderr


def test_a_notebook_says_what_a_kernel_says_of_its_language(tmp_path: Path):
    path = write(tmp_path, "6 * 7")
    recording.record(path)
    script, about = nbconvert.ScriptExporter().from_filename(str(path))
    assert about["output_extension"] == ".py"
    assert "6 * 7" in script
    kernel = IPythonKernel.language_info
    assert recording.METADATA["language_info"] | {"version": recording.PYTHON} == kernel


def test_a_notebook_recorded_by_another_python_is_no_fault(tmp_path: Path):
    path = write(tmp_path, "6 * 7")
    recording.record(path)
    nb = nbformat.read(path, nbformat.NO_CONVERT)
    nb.metadata.language_info.version = "3.99.1"
    path.write_text(recording.serialised(nb))
    assert recording.faults(path) == []
    recording.record(path)
    assert nbformat.read(path, nbformat.NO_CONVERT).metadata.language_info.version == recording.PYTHON


def copied(folder: Path) -> Path:
    """A project whose notebooks import an installed copy of its library."""
    for place in ("project/mapping_lib", "installed/mapping_lib"):
        (folder / place / "data").mkdir(parents=True)
        (folder / place / "__init__.py").write_text("")
        (folder / place / "data" / "some.npz").write_bytes(b"\0")
    (folder / "project" / "notebooks").mkdir()
    return folder / "project"


def test_an_installed_copy_must_be_what_lies_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    project, installed = copied(tmp_path), tmp_path / "installed"
    monkeypatch.setenv("PYTHONPATH", str(installed))
    assert recording.other_copy(project) == ""
    (installed / "mapping_lib" / "data" / "some.npz").write_bytes(b"\1")
    assert "differs from mapping_lib here in data/some.npz: run pip install . again" in recording.other_copy(project)
    (installed / "mapping_lib" / "data" / "some.npz").unlink()
    assert "in data/some.npz" in recording.other_copy(project)
    (project / "mapping_lib" / "data" / "some.npz").unlink()
    (project / "mapping_lib" / "new.py").write_text("")
    assert "in new.py" in recording.other_copy(project)
    monkeypatch.setenv("PYTHONPATH", str(project))
    assert recording.other_copy(project) == ""


def test_the_command_records_nothing_with_a_copy_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "notebooks").mkdir()
    path = write(tmp_path / "notebooks", "6 * 7")
    before = path.read_bytes()
    shutil.copytree(ROOT / "mapping_lib", tmp_path / "mapping_lib", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "mapping_lib" / "task.py").write_text("")
    done = run(cwd=tmp_path)
    assert done.returncode == 2
    assert "differs from mapping_lib here in task.py" in done.stderr
    assert path.read_bytes() == before


def test_tests_stop_where_notebooks_import_other_code(tmp_path: Path):
    project = copied(tmp_path)
    (project / "mapping_lib" / "__init__.py").write_text("new = 1")
    shutil.copytree(ROOT / "mapping_lib" / "tools", project / "mapping_lib" / "tools")
    (project / "tests").mkdir()
    of_tests = (f"tests/{name}.py" for name in ("conftest", "kernels", "lab", "pictures"))
    for needed in ("mapping_lib/console.py", "pyproject.toml", *of_tests):
        shutil.copy(ROOT / needed, project / needed)
    (project / "tests" / "test_one.py").write_text("def test_one(): ...")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("ERROR: The notebooks import a copy")
    assert "passed" not in done.stdout


def test_the_command_says_that_there_is_nothing_to_record(tmp_path: Path):
    assert "project's root" in run(cwd=tmp_path).stderr
    assert run("--check", cwd=tmp_path).returncode == 2


def spoil_count(nb: NotebookNode) -> None:
    nb.cells[1].execution_count = None


def spoil_error(nb: NotebookNode) -> None:
    nb.cells[1].outputs = [new_output("error", ename="E", evalue="v", traceback=["E: v"])]


def spoil_view(nb: NotebookNode) -> None:
    nb.cells[1].outputs = [new_output("display_data", {recording.WIDGET_VIEW: {}, "text/plain": "a panel"})]


def spoil_picture(nb: NotebookNode) -> None:
    data = {"text/plain": "[explorer: a]", "text/html": "<p>Press Shift+Enter here.</p>"}
    nb.cells[1].outputs = [new_output("display_data", data)]


def spoil_widgets(nb: NotebookNode) -> None:
    nb.metadata.widgets = {}


def spoil_times(nb: NotebookNode) -> None:
    nb.cells[1].metadata.execution = {"iopub.status.busy": "2024-01-01"}


FAULTS = [
    (spoil_count, "cell 2: not executed"),
    (spoil_error, "cell 2: a stored error"),
    (spoil_view, "cell 2: a widget view"),
    (spoil_picture, "cell 2: an explorer without a picture"),
    (spoil_widgets, "metadata.widgets"),
    (spoil_times, "not as the recording command writes it"),
]


@pytest.mark.parametrize(("spoil", "fault"), FAULTS)
def test_check_finds_the_fault(tmp_path: Path, spoil: Callable, fault: str):
    nb = recording.tidy(new_notebook(cells=[new_markdown_cell("# A"), new_code_cell("1", execution_count=1)]))
    path = tmp_path / "a.ipynb"
    path.write_text(recording.serialised(nb), encoding="utf-8")
    assert recording.faults(path) == []
    spoil(nb)
    path.write_text(recording.serialised(nb), encoding="utf-8")
    assert fault in " ".join(recording.faults(path))
