"""What readers without a kernel see of an explorer: taken when the notebook is recorded, kept, and small."""

import base64
import io
import re
from collections.abc import Iterator
from copy import deepcopy
from html import unescape
from pathlib import Path

import commands
import nbformat
import numpy as np
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from mapping_lib.page.displayed import PAGES, PRESS
from mapping_lib.page.prediction import predict
from mapping_lib.tools import editions, pictures, recording

CELL = "from mapping_lib.chapters.maml_code import explorer_adaptation\n\nexplorer_adaptation.explorer(steps=3)"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook with one explorer, recorded."""
    path = tmp_path_factory.mktemp("recorded") / "a.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(CELL)]), path)
    recording.record(path)
    return path


def panel(path_or_nb: Path | NotebookNode) -> NotebookNode:
    """The output of the one explorer."""
    nb = nbformat.read(path_or_nb, nbformat.NO_CONVERT) if isinstance(path_or_nb, Path) else path_or_nb
    (output,) = nb.cells[0].outputs
    return output


@pytest.mark.browser
def test_a_recorded_explorer_has_its_picture_in_words_too_and_the_way_to_life(recorded: Path):
    output, whole = panel(recorded), r'<img alt="(.*)" width="100%" style=".*" src="data:image/webp;base64,(.*)">\n(.*)'
    alt, webp, below = re.fullmatch(whole, output.data["text/html"]).groups()
    assert unescape(alt).startswith("Ten points of a wave. A few gradient steps. Is it enough? MAML: error ")
    assert " after 3 steps." in alt
    assert below == PRESS
    picture = Image.open(io.BytesIO(base64.b64decode(webp)))
    assert 1900 < picture.width < 2000  # sharp where a screen has two pixels for one
    assert picture.height > 0.5 * picture.width  # controls and all
    assert len(picture.convert("L").getcolors()) > 50
    assert 20_000 < len(webp) <= pictures.MOST
    assert sorted(output.data) == ["text/html", "text/plain"]
    assert recording.faults(recorded) == []


@pytest.mark.browser
def test_the_same_explorer_keeps_its_picture_byte_for_byte(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(pictures, "CHROMIUM", None)  # which is not asked
    recording.record(recorded, tmp_path / "again.ipynb")
    assert (tmp_path / "again.ipynb").read_bytes() == recorded.read_bytes()
    assert capsys.readouterr().out == ""


@pytest.mark.browser
def test_nbval_compares_all_but_the_picture(recorded: Path, tmp_path: Path):
    text, places = recorded.read_text(encoding="utf-8"), [tmp_path / name for name in ("a.ipynb", "b.ipynb", "c.ipynb")]
    others = [text, text.replace("comes alive", "sleeps"), text.replace("[explorer: ", "[a panel: ")]
    for path, other in zip(places, others, strict=True):
        path.write_text(other, encoding="utf-8")
    printed = commands.nbval(*places)
    assert ".FF" in printed, printed
    assert "2 failed, 1 passed" in printed


# --- Without a kernel or a browser: which picture an output gets ---


def notebook(name: str, image: str = "", words: str = "[explorer: a]") -> NotebookNode:
    """A notebook whose explorer names its picture, and has one, or not yet."""
    output = new_output("execute_result", {"text/plain": words, "text/html": image + PRESS}, execution_count=1)
    output.metadata = nbformat.from_dict({"text/html": {"picture": name}})
    return new_notebook(cells=[new_code_cell("explorer()", execution_count=1, outputs=[output])])


def drawn(what: str) -> str:
    return f'<img alt="{what}" src="data:image/webp;base64,{what}">\n'


@pytest.fixture
def no_chromium(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pictures, "CHROMIUM", None)


@pytest.mark.usefixtures("no_chromium")
@pytest.mark.parametrize(
    ("before", "missing", "image", "name"),
    [
        (notebook("new", drawn("same")), 0, drawn("same"), "new"),
        (notebook("old", drawn("old")), 1, drawn("old"), "old"),  # and it is taken where there is Chromium again
        (notebook("old"), 1, "", "new"),
        (new_notebook(cells=[new_code_cell("explorer()")]), 1, "", "new"),
    ],
    ids=["unchanged", "changed", "never taken", "new"],
)
def test_without_chromium_the_old_picture_stays(before, missing: int, image: str, name: str, tmp_path: Path):
    nb = notebook("new")
    assert pictures.illustrate(nb, before, tmp_path) == missing
    assert panel(nb).data["text/html"] == image + PRESS
    assert panel(nb).metadata["text/html"]["picture"] == name


def test_a_changed_explorer_gets_a_new_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pictures, "taken", lambda pages: {path.stem: drawn(path.stem) for path in pages})
    nb = notebook("new")
    assert pictures.illustrate(nb, notebook("old", drawn("old")), tmp_path) == 0
    assert panel(nb).data["text/html"] == drawn("new") + PRESS


@pytest.mark.usefixtures("no_chromium")
def test_the_command_says_in_a_line_that_there_is_no_chromium(tmp_path: Path, capsys: pytest.CaptureFixture):
    source = (
        "class Explorer:\n"
        "    def _repr_mimebundle_(self, **kwargs):\n"
        "        bundle = {'text/plain': '[explorer: a]', 'text/html': '<p>Press.</p>'}\n"
        "        return bundle, {'text/html': {'picture': 'a'}}\n"
        "Explorer()"
    )
    nbformat.write(new_notebook(cells=[new_code_cell(source)]), tmp_path / "a.ipynb")
    recording.record(tmp_path / "a.ipynb")
    assert capsys.readouterr().out.endswith("a.ipynb: no Chromium here, 1 of its explorers could get no new picture\n")
    assert "cell 1: an explorer without a picture" in recording.faults(tmp_path / "a.ipynb")[0]


def test_both_editions_keep_the_picture():
    nb = notebook("new", drawn("this"))
    nb.cells[0].outputs.append(new_output("stream", text="a result"))
    before = deepcopy(nb)
    for_students = editions.student(nb)
    assert panel(for_students).data == panel(notebook("new", drawn("this"))).data
    assert panel(for_students).execution_count is None
    nbformat.validate(for_students)
    assert editions.teacher(nb).cells[0].outputs == before.cells[0].outputs


def test_students_are_asked_and_not_told():
    ask, answer = predict("Which?", ["this", "that"]), predict("Which?", ["this", "that"]).against("that")
    bundles = [view._repr_mimebundle_() for view in (ask, answer)]
    outputs = [new_output("display_data", data, metadata=about) for data, about in bundles]
    nb = new_notebook(cells=[new_code_cell("ask"), new_code_cell("answer")])
    for cell, output in zip(nb.cells, outputs, strict=True):
        cell.outputs = [recording.tidy_output(output)]
    asked, told = editions.student(nb).cells
    assert asked.outputs[0].metadata["text/html"]["prediction"]["role"] == "ask"
    assert told.outputs == []


def test_the_kernel_and_the_recorder_mean_the_same_folder():
    assert pictures.PAGES == PAGES


# --- The picture itself ---


PANEL = "document.querySelector('.explorer').panel = { said: document.querySelector('p'), canvas: {} };"


@pytest.mark.browser
@pytest.mark.parametrize(("script", "words"), [(PANEL, "no such operator"), ("nothing();", "nothing is not defined")])
def test_a_page_that_fails_says_why(script: str, words: str, tmp_path: Path):
    page = f'<div class="explorer"><p class="wrong">no such operator</p></div><script>{script}</script>'
    (tmp_path / "a.html").write_text(page)
    with pytest.raises(pictures.PictureError, match=words):
        pictures.taken([tmp_path / "a.html"])


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_picture_has_fewer_colours_where_it_would_be_too_large():
    shades = np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 500, 3))
    noise = np.random.default_rng(0).integers(0, 256, (256, 500, 3), dtype=np.uint8)
    few = [Image.open(io.BytesIO(pictures.small(png(pixels)))) for pixels in (shades, noise)]
    assert [len(picture.getcolors()) for picture in few] == [256, 128]
    with pytest.raises(pictures.PictureError, match="allowed: 150,000"):
        pictures.small(png(np.tile(noise, (2, 2, 1)) ^ np.arange(1000, dtype=np.uint8)[:, None]))
