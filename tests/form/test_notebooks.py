"""Guards for what nbval does not look at: cells that were not executed, pictures, the form of a chapter.

A guard takes a `Notebook` and yields the faults it finds. The second half of the file proves, on small
notebooks with one fault each, that the guards bite.
"""

import base64
import re
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from itertools import groupby
from pathlib import Path
from statistics import median

import matplotlib.image
import nbformat
import numpy as np
import pytest
from house import ROOT
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pages import Notebook, links_resolve, load
from PIL import Image

from mapping_lib.tools import recording

NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:home|root|tmp|usr|work|opt|Users)/|\b[A-Z]:\\Users\\")
EMBEDDED = re.compile(r'(?<=;base64,)[^"]*')
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def recorded(notebook: Notebook) -> Iterator[str]:
    """Executed, no error, no widget view, as the recording command writes it."""
    yield from recording.faults(notebook.path)


def valid(notebook: Notebook) -> Iterator[str]:
    """The format JupyterLab writes, with an id for each cell."""
    nbformat.validate(notebook.nb)
    if (notebook.nb.nbformat, notebook.nb.nbformat_minor) < (4, 5):
        yield "older than nbformat 4.5"


def executed_in_order(notebook: Notebook) -> Iterator[str]:
    """Execution counts run 1, 2, 3 ..."""
    counts = [cell.execution_count for _, cell in notebook.code() if "skip-execution" not in tags(cell)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}"


def honest_tags(notebook: Notebook) -> Iterator[str]:
    """A skipped cell is skipped by nbclient and by nbval; a cell that may fail does."""
    for number, cell in notebook.code():
        if ("skip-execution" in tags(cell)) != ("nbval-skip" in tags(cell)):
            yield f"cell {number} has one of the tags skip-execution and nbval-skip: it needs both or none"
        fails = any(output.output_type == "error" for output in cell.outputs)
        if "raises-exception" in tags(cell) and not fails:
            yield f"cell {number} is tagged raises-exception and raises none"
        if "NBVAL_" in cell.source:
            yield f"cell {number} has an NBVAL comment: use a tag"


def quiet(notebook: Notebook) -> Iterator[str]:
    """No warnings: nothing on stderr."""
    for number, cell in notebook.code():
        if any(output.get("name") == "stderr" for output in cell.outputs):
            yield f"cell {number} wrote to stderr"


def real_pictures(notebook: Notebook) -> Iterator[str]:
    """Every stored picture can be decoded, is wide enough to read, and holds more than one colour."""
    for number, data in notebook.data():
        for picture in stored_pictures(data):
            try:
                pixels = np.asarray(Image.open(BytesIO(base64.b64decode(picture))).convert("RGB"))
            except Exception as error:
                yield f"cell {number} has a picture that is none: {error}"
            else:
                if pixels.shape[1] < 300 or (pixels == pixels[0, 0]).all():
                    yield f"cell {number} has an empty or a tiny picture, {pixels.shape}"


def stored_pictures(data: dict[str, str]) -> list[str]:
    """Return the figure and the picture of an explorer that one output holds."""
    figure = [data["image/png"]] if "image/png" in data else []
    return figure + EMBEDDED.findall(data.get("text/html", ""))


def words_beside_pictures(notebook: Notebook) -> Iterator[str]:
    """Every picture comes with a text."""
    for number, data in notebook.data():
        if "image/png" in data and not data.get("text/plain", "").strip():
            yield f"cell {number} has a picture without text/plain"


def nothing_of_this_machine(notebook: Notebook) -> Iterator[str]:
    """No address of an object and no absolute path, in sources or outputs."""
    for number, cell in enumerate(notebook.nb.cells, 1):
        for text in [cell.source, *printed(cell)]:
            for place in [*ADDRESS.finditer(text), *MACHINE_PATH.finditer(text)]:
                yield f"cell {number} holds {text[place.start() : place.end() + 30]!r}"


def printed(cell: NotebookNode) -> Iterator[str]:
    """Yield every text that a cell put out."""
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        yield output.get("evalue", "")
        yield "\n".join(output.get("traceback", []))
        texts = [str(text) for mime, text in output.get("data", {}).items() if not mime.startswith("image/")]
        yield from (EMBEDDED.sub("", text) for text in texts)


def short_cells(notebook: Notebook) -> Iterator[str]:
    """Code cells are not empty, have 25 lines at most, and 8 in the median."""
    lengths = {number: len(cell.source.strip().splitlines()) for number, cell in notebook.code()}
    yield from (f"cell {number} has {n} lines" for number, n in lengths.items() if not 0 < n <= 25)
    if lengths and median(lengths.values()) > 8:
        yield f"the median code cell has {median(lengths.values())} lines"


def words_between(notebook: Notebook) -> Iterator[str]:
    """At most two code cells follow each other."""
    runs = groupby(enumerate(notebook.nb.cells, 1), lambda pair: pair[1].cell_type == "code")
    for is_code, run in runs:
        numbers = [number for number, _ in run]
        if is_code and len(numbers) > 2:
            yield f"cells {numbers[0]} to {numbers[-1]} are code with no word between"


def small(notebook: Notebook) -> Iterator[str]:
    """Under 1.5 MB."""
    if notebook.path.stat().st_size > 1_500_000:
        yield f"{notebook.path.stat().st_size} bytes"


GUARDS = [
    recorded,
    valid,
    executed_in_order,
    honest_tags,
    quiet,
    real_pictures,
    words_beside_pictures,
    nothing_of_this_machine,
    short_cells,
    words_between,
    small,
    links_resolve,
]


def test_pictures_are_held_in_a_run_of_notebooks(request: pytest.FixtureRequest):
    """Hooks of tests/conftest.py itself are never asked about notebooks, those of a plugin are."""
    plugins = request.config.pluginmanager.get_plugins()
    assert any(type(plugin).__name__ == "HeldPictures" for plugin in plugins)


def test_there_are_notebooks():
    assert NOTEBOOKS, "notebooks/ holds no notebook"


stored = cache(load)
"""A stored notebook, read once for all guards."""


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path: Path, guard: Callable):
    assert list(guard(stored(path))) == []


# --- The guards bite: a good notebook, and one fault at a time ---


def png(width: int = 400, value: float = 0.5) -> str:
    """Return a picture of the given width, grey with one corner of another colour."""
    buffer = BytesIO()
    pixels = [[value] * width for _ in range(20)]
    pixels[0][0] = 0.0
    matplotlib.image.imsave(buffer, pixels, vmin=0, vmax=1, format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def good() -> NotebookNode:
    """Return a notebook without a fault: a print, a picture."""
    html = f'<img src="data:image/png;base64,{png()}">'
    picture = new_output("display_data", {"image/png": png(), "text/html": html, "text/plain": "a grey picture"})
    hello = new_output("stream", name="stdout", text="hello\n")
    cells = [
        new_markdown_cell("# A title\n\n[here](#A-title), [web](https://example.org/home/x), `[no](link)`"),
        new_code_cell("print('hello')", execution_count=1, outputs=[hello]),
        new_code_cell("show()", execution_count=2, outputs=[picture]),
    ]
    return recording.tidy(new_notebook(cells=cells))


def saved(nb: NotebookNode, folder: Path) -> Notebook:
    """Write ``nb`` into ``folder``/notebooks and read it back."""
    path = folder / "notebooks" / "a.ipynb"
    path.parent.mkdir()
    path.write_text(recording.serialised(nb), encoding="utf-8")
    return load(path)


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
def test_a_good_notebook_passes(tmp_path: Path, guard: Callable):
    assert list(guard(saved(good(), tmp_path))) == []


def put(nb: NotebookNode, index: int, **values: object) -> None:
    """Give the cell at ``index`` other values."""
    nb.cells[index].update(nbformat.from_dict(values))


def data(nb: NotebookNode) -> dict[str, str]:
    """Return what the picture's cell puts out."""
    return nb.cells[2].outputs[0].data


def test_a_picture_is_not_read_as_a_path(tmp_path: Path):
    nb = good()
    data(nb)["text/html"] = '<img src="data:image/png;base64,+/tmp/x">'
    assert list(nothing_of_this_machine(saved(nb, tmp_path))) == []


VIEW = {recording.WIDGET_VIEW: {"model_id": "1", "version_major": 2, "version_minor": 0}}
NO_PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n and no more").decode()
FAULTS = [
    (recorded, lambda nb: put(nb, 1, execution_count=None, outputs=[])),
    (recorded, lambda nb: put(nb, 1, outputs=[new_output("error", ename="E", evalue="v", traceback=["E: v"])])),
    (recorded, lambda nb: data(nb).update(VIEW)),
    (recorded, lambda nb: nb.metadata.update(widgets={})),
    (recorded, lambda nb: nb.cells[1].metadata.update(execution={"iopub.status.busy": "now"})),
    (recorded, lambda nb: nb.metadata.language_info.update(name="R")),
    (valid, lambda nb: nb.update(nbformat_minor=4, cells=[])),
    (executed_in_order, lambda nb: put(nb, 2, execution_count=3)),
    (executed_in_order, lambda nb: put(nb, 1, execution_count=None)),
    (honest_tags, lambda nb: put(nb, 1, metadata={"tags": ["nbval-skip"]})),
    (honest_tags, lambda nb: put(nb, 1, metadata={"tags": ["raises-exception"]})),
    (honest_tags, lambda nb: put(nb, 1, source="# NBVAL_IGNORE_OUTPUT\nprint(1)")),
    (quiet, lambda nb: nb.cells[1].outputs[0].update(name="stderr")),
    (real_pictures, lambda nb: data(nb).update({"image/png": NO_PICTURE})),
    (real_pictures, lambda nb: data(nb).update({"image/png": ""})),
    (real_pictures, lambda nb: data(nb).update({"text/html": f'<img src="data:image/png;base64,{NO_PICTURE}">'})),
    (real_pictures, lambda nb: data(nb).update({"image/png": png(width=299)})),
    (real_pictures, lambda nb: data(nb).update({"image/png": png(value=0.0)})),
    (words_beside_pictures, lambda nb: data(nb).pop("text/plain")),
    (nothing_of_this_machine, lambda nb: data(nb).update({"text/plain": "<Axes at 0x7f0123456789>"})),
    (nothing_of_this_machine, lambda nb: nb.cells[1].outputs[0].update(text="see /tmp/x\n")),
    (nothing_of_this_machine, lambda nb: put(nb, 0, source="open('/home/me/notes')")),
    (short_cells, lambda nb: put(nb, 1, source="x = 1\n" * 26)),
    (short_cells, lambda nb: put(nb, 1, source="")),
    (short_cells, lambda nb: [put(nb, index, source="x = 1\n" * 9) for index in (1, 2)]),
    (words_between, lambda nb: nb.cells.append(new_code_cell("1"))),
    (small, lambda nb: put(nb, 0, source="word " * 400_000)),
    (links_resolve, lambda nb: put(nb, 0, source="![a picture](../figures/none.png)")),
    (links_resolve, lambda nb: put(nb, 0, source="<img alt='x' src='../figures/none.png'>")),
    (links_resolve, lambda nb: put(nb, 0, source="[next](02_none.ipynb)")),
    (links_resolve, lambda nb: put(nb, 0, source="[there](#Not-a-heading)")),
    (links_resolve, lambda nb: put(nb, 0, source="![pasted](attachment:none.png)")),
]


@pytest.mark.parametrize(("guard", "spoil"), FAULTS)
def test_a_guard_finds_the_fault(tmp_path: Path, guard: Callable, spoil: Callable):
    nb = good()
    spoil(nb)
    assert list(guard(saved(nb, tmp_path)))
