"""Pictures of explorers, for readers without a kernel: taken in Chromium while a notebook is recorded.

An explorer's output names its picture in its metadata, by a hash of what the picture depends on. While the name stays,
the picture stays, byte for byte.
"""

import base64
import io
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from html import escape
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = "MAPPING_PAGES"
"""The variable that tells explorers in which folder to leave their pages; `mapping_lib.page.displayed` reads it."""

MOST = 150_000
"""Bytes that a picture may take in a notebook."""

IMAGE = re.compile(r"<img [^>]*>\n")
STYLE = "max-width: 1800px; border-radius: 0.8em"
"""As the live panel, which is as wide as its place, too."""

VIEW = {"viewport": {"width": 1000, "height": 800}, "device_scale_factor": 2, "reduced_motion": "reduce"}
RESTS = """({ panel }) => panel?.frame && !panel.computing && !panel.again && panel.rested
    || panel?.said.matches(".wrong")"""
ABOUT = """({ panel }) => ({
    alt: panel.canvas.ariaLabel, problem: panel.said.matches(".wrong") && panel.said.textContent,
})"""


class PictureError(RuntimeError):
    """An explorer's page cannot be drawn: the message names it and says why."""


def is_explorer(output: NotebookNode) -> bool:
    """Whether an output of a cell is an explorer's."""
    return output.get("data", {}).get("text/plain", "").startswith("[explorer: ")


def is_question(output: NotebookNode) -> bool:
    """Whether an output of a cell asks for a prediction, which is made by hand."""
    return output.get("data", {}).get("text/plain", "").startswith("[prediction: ")


def image(output: NotebookNode) -> str:
    """The ``<img ...>`` in the HTML of an explorer's output; "" for an explorer without, and for other outputs."""
    match = IMAGE.search(output.data.get("text/html", "")) if is_explorer(output) else None
    return match[0] if match else ""


def illustrate(nb: NotebookNode, before: NotebookNode, pages: Path) -> int:
    """Put its picture into every output of ``nb`` that names one; return how many have none, or an old one.

    What ``before``, the same notebook as it was, has under the same name is kept. The others are taken of the pages
    in the folder ``pages``; without Chromium the picture stays that stood in the same place.
    """
    kept = {_name(output): image(output) for cell in before.cells for output in _explorers(cell) if image(output)}
    cells = zip(nb.cells, before.cells, strict=True)
    pairs = [pair for both in cells for pair in zip_longest(*map(_explorers, both))]
    bare = [(output, old) for output, old in pairs if output and _name(output) and not image(output)]
    kept |= taken(pages / f"{name}.html" for name in sorted({_name(output) for output, _ in bare} - kept.keys()))
    missing = sum(_name(output) not in kept for output, _ in bare)
    for output, old in bare:
        if _name(output) not in kept and old and image(old):
            output.metadata["text/html"] = old.metadata["text/html"]  # its name, so that a new one is still due
        output.data["text/html"] = kept.get(_name(output), "") + output.data["text/html"]
    return missing


def _explorers(cell: NotebookNode) -> list[NotebookNode]:
    return [output for output in cell.get("outputs", []) if is_explorer(output)]


def _name(output: NotebookNode) -> str:
    return output.metadata.get("text/html", {}).get("picture", "")


def taken(pages: Iterable[Path]) -> dict[str, str]:
    """Pictures of explorers, each alone on a page, as ``<img ...>`` by the page's name; none without Chromium.

    Raises PictureError for a page that cannot be drawn.
    """
    pages = list(pages)
    if not pages or not CHROMIUM or not find_spec("playwright"):
        return {}
    with tab(**VIEW) as page:
        return {path.stem: _picture_of(page, path) for path in pages}


@contextmanager
def tab(**context: Any) -> Iterator[Any]:
    """A page of Chromium; ``context`` is playwright's, such as ``viewport`` and ``device_scale_factor``."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser.new_context(**context).new_page()
        finally:
            browser.close()


def _picture_of(page: Any, path: Path) -> str:
    """The ``<img ...>`` of a page, with what the panel says of itself as its alt text."""
    problems: list[str] = []
    page.once("pageerror", lambda error: problems.append(str(error)))
    page.goto(path.as_uri())
    if problems:
        raise PictureError(problems[0])
    panel = page.locator(".explorer")
    page.wait_for_function(RESTS, arg=panel.element_handle(), timeout=120_000)
    about = panel.evaluate(ABOUT)
    if about["problem"]:
        raise PictureError(about["problem"])
    webp = base64.b64encode(small(panel.screenshot())).decode()
    alt = escape(about["alt"])
    return f'<img alt="{alt}" width="100%" style="{STYLE}" src="data:image/webp;base64,{webp}">\n'


def small(png: bytes) -> bytes:
    """The same picture as WebP, with as many colours, of 256, as make its base64 at most `MOST` bytes long.

    A PNG would take 1.4 times as many bytes. Raises PictureError where 16 colours are too many.
    """
    whole = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 128, 64, 32, 16):
        file = io.BytesIO()
        whole.quantize(colours, dither=Image.Dither.NONE).convert("RGB").save(file, "WEBP", lossless=True)
        if 4 * file.tell() <= 3 * MOST:
            return file.getvalue()
    raise PictureError(f"its picture takes {4 * file.tell() // 3:,} bytes in 16 colours; allowed: {MOST:,}")
