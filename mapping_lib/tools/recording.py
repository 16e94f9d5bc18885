"""Execute the notebooks and store what they print, for readers without a kernel.

    python -m mapping_lib.tools.recording                              # all notebooks, in order
    python -m mapping_lib.tools.recording notebooks/03_maml_code.ipynb
    python -m mapping_lib.tools.recording --check                      # execute nothing, report what is amiss

Run it from the project's root. Recording twice changes no byte, except in cells tagged `nbval-ignore-output`.
Cells tagged `skip-execution` keep what they hold; cells tagged `raises-exception` may fail.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from mapping_lib.console import command
from mapping_lib.tools import pictures

FEW, MANY = 5, 22
"""Lines of a slide after which a picture goes to the next, and that a text may fill: some 30 fit, code may follow."""

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {  # what JupyterLab writes; the version, which it writes too, is that of the Python that recorded
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}
PYTHON = sys.version.split()[0]
"""Where a notebook names another, JupyterLab writes this one on opening it, and asks to save on closing."""


class RecordingError(RuntimeError):
    """A cell failed: the message names the notebook, the cell and the exception."""


class NotebookError(ValueError):
    """A file is no notebook that can be worked on: the message names it and says why."""


def read(path: Path) -> NotebookNode:
    """Read the notebook at ``path``; raises NotebookError for what is not there, not JSON or not of format 4."""
    try:
        nb = nbformat.read(path, nbformat.NO_CONVERT)
        nbformat.validate(nb, version=4)
    except OSError as error:
        raise NotebookError(f"{path}: {error.strerror}") from None
    except Exception as error:  # the reader of notebooks has a dozen kinds
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotebookError(f"{path} is no notebook of format 4: {why[:160]}; mend it, or take it away") from None
    return nb


def record(path: Path, out: Path | None = None, *, timeout: int = 120) -> None:
    """Execute the notebook at ``path``, then write it to ``out`` (default: in place) if no cell failed.

    Explorers get a picture for readers without a kernel; where one cannot be taken, a line is printed.
    """
    nb = read(path)
    nb.metadata.language_info = nbformat.from_dict({"version": PYTHON})
    with TemporaryDirectory() as pages:
        asyncio.run(execute(nb, path, timeout=timeout, pages=pages))
        try:
            missing = pictures.illustrate(nb, read(path), Path(pages))
        except Exception as error:  # the page's own, or one of the many that a browser has
            raise RecordingError(f"{path}, a picture of an explorer: {type(error).__name__}: {error}") from None
    if missing:
        print(f"{path}: no Chromium here, {missing} of its explorers could get no new picture")
    (out or path).write_text(serialised(tidy(nb)), encoding="utf-8", newline="\n")


async def execute(nb: NotebookNode, path: Path, *, timeout: int, pages: str) -> None:
    """Run the cells of ``nb``, in place, in a fresh kernel of this very Python, in the folder of ``path``.

    ``timeout`` is in seconds, for each cell. The kernel has this process's environ, and one thread: a sum taken in
    another order has other last digits. Explorers leave their pages in the folder ``pages``.
    """
    kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    options = {"timeout": timeout, "record_timing": False, "extra_arguments": ["--log-level=ERROR"]}
    own = {"OMP_NUM_THREADS": "1", pictures.PAGES: pages}
    client = NotebookClient(nb, km=kernel, resources={"metadata": {"path": str(path.parent)}}, **options)
    async with client.async_setup_kernel(cleanup_kc=True, env=os.environ | own):
        for index, cell in enumerate(nb.cells):
            try:
                await client.async_execute_cell(cell, index)
            except Exception as error:  # the cell's own (it has a name and a value), a timeout, a dead kernel
                name, value = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", error)
                raise RecordingError(f"{path}, cell {index + 1}: {name}: {value}") from None


def tidy(nb: NotebookNode) -> NotebookNode:
    """Leave in ``nb``, in place, what a reader sees and what every recording repeats."""
    nb.metadata.pop("widgets", None)
    language = METADATA["language_info"] | {"version": nb.metadata.get("language_info", {}).get("version", PYTHON)}
    nb.metadata.update(nbformat.from_dict(METADATA | {"language_info": language}))
    before, filled = None, 0
    for cell in nb.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = merge_streams([output for output in map(tidy_output, cell.outputs) if output])
        kind = slide_type(cell, before, filled)
        cell.metadata.slideshow = nbformat.from_dict({"slide_type": kind})
        if kind not in ("notes", "skip"):
            filled = lines(cell) + (filled if kind in ("-", "fragment") else 0)
        if kind != "notes":  # a note may stand between a question and its answer
            before = cell
    return nb


def slide_type(cell: NotebookNode, before: NotebookNode | None = None, filled: int = 0) -> str:
    """The place of a cell when the notebook is shown as slides (`jupyter nbconvert --to slides`).

    A section begins a slide. Below it begin another: a prediction, an exercise, a picture after more than a few lines,
    and a text that would fill the slide, unless it speaks of the picture just above. A prediction that is made by hand
    stays with the heading before it. What comes out after a prediction, and an exercise's code, wait for a key: what
    was asked is on the wall before what came out. Teacher's notes are the speaker's; solutions, imports and cells that
    show nothing but a setting are left out. ``before`` is the cell before, teacher's notes not counted; ``filled`` says
    how many lines the slide has already.

    >>> ask = nbformat.v4.new_markdown_cell("**Predict.** What will happen?")
    >>> slide_type(ask), slide_type(nbformat.v4.new_code_cell("answer()"), ask)
    ('subslide', 'fragment')
    >>> shown = nbformat.v4.new_output("execute_result", {"text/plain": "[prediction: How many?]"})
    >>> ask = nbformat.v4.new_code_cell("guess", outputs=[shown])
    >>> slide_type(ask), slide_type(nbformat.v4.new_code_cell("guess.against(3)"), ask)
    ('subslide', 'fragment')
    """
    source, tags = cell.source, cell.metadata.get("tags", [])
    if "teacher" in tags:
        return "notes"
    if asks_by_hand(cell):
        return "-" if before is not None and before.source.startswith("#") else "subslide"
    defines = re.search(r"(?m)^(def|class) ", source)
    sets_up = re.match(r"import |from \w+ import |plots\.use_style", source) and not defines
    if "<summary>Solution</summary>" in source or sets_up:
        return "-" if cell.get("outputs") else "skip"
    if cell.cell_type == "markdown":
        if source.startswith(("# ", "## ")):
            return "slide"
        asks = re.match(r"###|\*\*\d", source) or "**Predict" in source.split("\n\n")[-1]
        full = filled + lines(cell) > MANY and not (before and shows_picture(before))
        return "subslide" if asks or full else "-"
    asked = before is not None and ("**Predict" in before.source or asks_by_hand(before))
    if shows_picture(cell):
        return "subslide" if asked or filled > FEW else "-"
    return "fragment" if asked or "exercise" in tags else "-"


def asks_by_hand(cell: NotebookNode) -> bool:
    """Whether a cell asks for a prediction: what it shows tells, whatever name it calls `predict` by."""
    return any(map(pictures.is_question, cell.get("outputs", [])))


def shows_picture(cell: NotebookNode) -> bool:
    """Whether a picture is among the outputs of a cell."""
    return any(map(has_picture, cell.get("outputs", [])))


def has_picture(output: NotebookNode) -> bool:
    """Whether an output holds a picture: a figure, or an explorer's."""
    return "image/png" in output.get("data", {}) or bool(pictures.image(output))


def lines(cell: NotebookNode) -> int:
    r"""About how many lines a cell takes on a slide; a picture counts as 15, what is folded as nothing.

    >>> lines(nbformat.v4.new_markdown_cell("One.\n\n<details>Two.\n\nThree.</details>"))
    2
    """
    outputs = cell.get("outputs", [])
    printed = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    texts = [re.sub(r"(?s)<details.*?</details>", "", cell.source), *printed]
    return sum(1 + len(line) // 80 for text in texts for line in text.splitlines()) + 15 * shows_picture(cell)


def tidy_output(output: NotebookNode) -> NotebookNode | None:
    """Drop the widget view, noise in the metadata, and tracebacks, which hold this machine's paths.

    >>> tidy_output(nbformat.v4.new_output("display_data", {WIDGET_VIEW: {}, "text/plain": "a panel"})).data
    {'text/plain': 'a panel'}
    """
    if output.output_type == "error":
        output.traceback = [f"{output.ename}: {output.evalue}"]
    if "data" in output:
        output.data.pop(WIDGET_VIEW, None)
        output.metadata = nbformat.from_dict({k: v for k, v in output.metadata.items() if k in output.data})
    return output if output.get("data", True) else None


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    r"""Join neighbouring outputs of one stream, and keep what a terminal shows after a carriage return.

    >>> parts = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in ("10 %\r", "20 %\n")]
    >>> [output.text for output in merge_streams(parts)]
    ['20 %\n']
    """
    merged: list[NotebookNode] = []
    for output in outputs:
        if output.output_type == "stream":
            before = merged.pop().text if merged and merged[-1].get("name") == output.name else ""
            output.text = re.sub(r"(?m)^.*\r(?=[^\n])", "", before + output.text)
        merged.append(output)
    return merged


def serialised(nb: NotebookNode) -> str:
    """Return the text of ``nb`` as JupyterLab writes it: indented by one, all alphabets as they are."""
    return nbformat.writes(nb, nbformat.NO_CONVERT).rstrip("\n") + "\n"


def faults(path: Path) -> list[str]:
    """List what is not properly recorded in the notebook at ``path``; execute nothing."""
    nb, text = read(path), path.read_text(encoding="utf-8")
    reports = [
        f"{path}, cell {index + 1}: {fault}" for index, cell in enumerate(nb.cells) for fault in cell_faults(cell)
    ]
    if "widgets" in nb.metadata:
        reports.append(f"{path}: metadata.widgets")
    if serialised(tidy(nb)) != text:
        reports.append(f"{path}: not as the recording command writes it")
    return reports


def cell_faults(cell: NotebookNode) -> Iterator[str]:
    """Say what is not properly recorded in one cell."""
    tags, outputs = cell.metadata.get("tags", []), cell.get("outputs", [])
    if cell.source.strip() and cell.get("execution_count", 0) is None and "skip-execution" not in tags:
        yield "not executed"
    if "raises-exception" not in tags and any(output.output_type == "error" for output in outputs):
        yield "a stored error"
    if any(WIDGET_VIEW in output.get("data", {}) for output in outputs):
        yield "a widget view"
    if any(pictures.is_explorer(output) and not has_picture(output) for output in outputs):
        yield "an explorer without a picture"


def other_copy(root: Path) -> str:
    """Say how the ``mapping_lib`` that kernels of ``root/notebooks`` import differs from ``root/mapping_lib``.

    An empty string: it is that folder itself, as after ``pip install -e .``, or an installed copy of the same files.
    """
    code = "import mapping_lib, os, sys; sys.stdout.buffer.write(os.fsencode(mapping_lib.__path__[0]))"
    asked = subprocess.run([sys.executable, "-c", code], cwd=root / "notebooks", capture_output=True, check=False)
    here, there = root / "mapping_lib", Path(os.fsdecode(asked.stdout))
    if asked.returncode:
        return "The notebooks find no mapping_lib: run pip install ."
    if here.samefile(there):
        return ""
    ours, theirs = contents(here), contents(there)
    differing = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if not differing:
        return ""
    return (
        f"The notebooks import a copy, {there}, that differs from mapping_lib here in {differing[0]}: run"
        " pip install . again, or pip install -e . once, and they import this folder itself."
    )


def contents(folder: Path) -> dict[str, bytes]:
    """All files in a folder, by their names there, but for what Python compiled."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def main() -> None:
    """Record the notebooks named on the command line, or check them."""
    parser = command("mapping_lib.tools.recording", "Execute the notebooks and store what they print.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: notebooks/*.ipynb")
    parser.add_argument("--check", action="store_true", help="execute nothing, report what is not recorded properly")
    options = parser.parse_args()
    paths = options.notebooks or sorted(Path("notebooks").glob("*.ipynb"))
    if not paths:
        parser.error("no notebook in notebooks/: run this from the project's root")
    try:
        if options.check:
            sys.exit("\n".join(fault for path in paths for fault in faults(path)) or 0)
        if Path("mapping_lib").is_dir() and (copy := other_copy(Path())):
            parser.error(copy)
        for path in paths:
            record(path)
            print(f"recorded {path}", flush=True)
    except NotebookError as error:
        parser.error(str(error))
    except RecordingError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
