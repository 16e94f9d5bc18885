"""Notebooks as the site shows them: places for explorers and predictions, pictures in files of their own."""

import base64
import hashlib
import io
import json
import re
from collections.abc import Callable
from html import escape

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output
from PIL import Image

from mapping_lib.tools import editions
from mapping_lib.tools.pictures import image, is_explorer

IN_JUPYTERLAB = re.compile(r" ?\(\*Shift\+Enter\*, twice, makes it live\.\)")
EXERCISES = re.compile(r"^## Exercises$(\n+An unfinished stub (?:only )?prints a hint\.)?", re.MULTILINE)
ON_PAPER = """## Exercises

Write them on paper, or in a Python of your own: a hint and a solution unfold below each. Where the suite is
[installed](install.md), it checks what you wrote."""

FOR_A_KERNEL = re.compile(r" ?<!-- with a kernel -->.*?<!-- -->", re.DOTALL)
"""What is said to readers of a notebook alone stands between two comments, which JupyterLab does not show."""

PRESS = re.compile(r"\n?<p>Press <b>Shift\+Enter</b>.*?</p>", re.DOTALL)
SOURCE = re.compile(r'src="data:image/webp;base64,([^"]+)"')


class Pictures(dict):
    """The pictures of all pages: bytes by the name of the file, which is a hash of them; and places of explorers."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, str] = {}

    def add(self, data: bytes) -> str:
        """Keep a picture; return its address as pages name it."""
        name = f"{hashlib.sha256(data).hexdigest()[:16]}.webp"
        self[name] = data
        return f"_static/pictures/{name}"


def for_site(nb: NotebookNode, live: Callable[[str], bool], pictures: Pictures) -> NotebookNode:
    """The reader's edition of a notebook, for Sphinx; ``live`` says which explorers the page itself computes.

    >>> from nbformat.v4 import new_markdown_cell, new_notebook
    >>> title = new_markdown_cell("Move it. (*Shift+Enter*, twice, makes it live.)")
    >>> for_site(new_notebook(cells=[title]), bool, Pictures()).cells[0].source
    'Move it.'
    """
    nb = editions.reader(nb)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.metadata["tags"] = _tags(cell)
            outputs = [_html(output, live, pictures, cell.metadata.get("alt", "")) for output in cell.outputs]
            cell.outputs = [output for output in outputs if output]
            if "exercise" in cell.metadata["tags"]:
                cell.outputs = [_hint(output) for output in cell.outputs]
        else:
            cell.source = FOR_A_KERNEL.sub("", IN_JUPYTERLAB.sub("", cell.source))
            cell.source = EXERCISES.sub(ON_PAPER, cell.source)
    return nb


def with_pages_below(nb: NotebookNode, names: list[str]) -> NotebookNode:
    """The notebook with the pages that deepen it as its children in the table of contents."""
    below = "\n".join(["```{toctree}", ":hidden:", "", *names, "```"])
    return NotebookNode(nb, cells=[*nb.cells, new_markdown_cell(below)] if names else nb.cells)


def _tags(cell: NotebookNode) -> list[str]:
    """The tags with what JupyterLab and we fold away, in myst-nb's words."""
    tags = list(cell.metadata.get("tags", []))
    if any(map(is_explorer, cell.outputs)):
        return [*tags, "remove-input"]
    return [*tags, "hide-input"] if cell.metadata.get("jupyter", {}).get("source_hidden") else tags


def _html(output: NotebookNode, live: Callable[[str], bool], pictures: Pictures, alt: str) -> NotebookNode | None:
    """An output as the site has it; None for a bar of progress, which tells a reader nothing."""
    data, metadata = output.get("data", {}), output.get("metadata", {})
    if is_explorer(output):
        return _output(_explorer(output, live, pictures))
    if "prediction" in metadata.get("text/html", {}):
        return _output(_prediction(metadata["text/html"]["prediction"], data["text/html"]))
    if "image/png" in data:
        return _output(_figure(data["image/png"], pictures, alt))
    if data.get("text/plain", "").startswith("[progress: "):
        return None
    if "text/html" in data:
        return _output(f'<div class="wide">{data["text/html"]}</div>')
    return output


def _output(html: str) -> NotebookNode:
    return new_output("display_data", {"text/html": html})


def _explorer(output: NotebookNode, live: Callable[[str], bool], pictures: Pictures) -> str:
    """A place for an explorer, with its picture where no script runs; the picture alone, if it needs a kernel."""
    name = output.data["text/plain"].removeprefix("[explorer: ").removesuffix("]")
    shown = image(output)
    webp = base64.b64decode(SOURCE.search(shown)[1])
    width, height = Image.open(io.BytesIO(webp)).size
    shown = SOURCE.sub(f'src="{pictures.add(webp)}" loading="lazy"', shown).strip()
    shown = shown.replace('width="100%"', f'width="{width}" height="{height}"')
    if not live(name):
        how = 'A picture: this one computes in Python. <a href="install.html">Install the suite</a>, and it moves.'
        return f'<div class="still"><p class="told">{how}</p>{shown}</div>'
    where = f'data-place="{name}" style="--shape: {width} / {height}"'
    paper = shown.replace("<img ", '<img class="printed" ')  # what is not in sight yet is not alive
    pictures.places[name] = f"<div {where}>{paper}<noscript>{shown}</noscript></div>"
    return pictures.places[name]


def _prediction(specification: dict, html: str) -> str:
    """A place for a question or its answer; without a script it reads as in a notebook."""
    held = escape(json.dumps(specification, ensure_ascii=False), quote=True)
    return f'<div data-prediction="{held}">{PRESS.sub("", html)}</div>'


def _hint(output: NotebookNode) -> NotebookNode:
    """What a stub prints that nobody has filled in: here a hint to unfold, for who works on paper or elsewhere."""
    begun, asked, hint = output.get("text", "").partition("Hint: ")
    if not (asked and begun.startswith("Not begun")):
        return output
    words = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(hint.strip(), quote=False))
    return _output(f"<details><summary>Hint</summary>\n<p>{words}</p>\n</details>")


def _figure(png: str, pictures: Pictures, alt: str) -> str:
    """A figure as WebP without loss, at most two thirds of its bytes; it is loaded when it comes near."""
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    file = io.BytesIO()
    picture.convert("RGB").save(file, "WEBP", lossless=True)
    width, height = picture.size
    size = f'width="{width}" height="{height}"'
    return f'<img class="figure" src="{pictures.add(file.getvalue())}" alt="{escape(alt)}" {size} loading="lazy">'
