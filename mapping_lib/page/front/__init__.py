"""The front end of all explorers: ES modules of our own, joined into one; no dependency, no network, no `eval`."""

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
MODULES = (
    ("sentence", "colours", "pad", "controls", "axes", "names", "marks", "picture", "hands", "panel"),
    ("kernel", "loops", "tensors", "program", "training", "sources", "landing", "hosts"),
)
"""The files in the order in which they need one another: how it looks, and what it computes."""

PREDICTIONS = ("sentence", "colours", "pad", "controls", "guess", "prediction")
"""The files of predictions, which are a module of their own: the last two are no part of an explorer."""

SITE = ("guess", "prediction", "address", "tour", "site")
"""What a page of the site has besides, in one script with the explorers' files."""

WORKER = ("kernel", "loops", "tensors", "program", "sentence", "training")
"""What a worker of the page runs as well, which trains while the reader moves things: one function has all of it."""

IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./(\w+)\.js";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let) (\w+))", re.MULTILINE)


@cache
def module() -> str:
    """All files as the text of one ES module: every file is a function that gives back what it exports.

    >>> module().count("export "), "import {" in module()
    (2, False)
    """
    return "\n".join([*_files(), "export const { mount } = hosts_js;", "export default hosts_js.widget;"])


def _files() -> list[str]:
    """All files, each as the constant of its name; those that a worker runs as well come out of one function."""
    names = ", ".join(f"{name}_js" for name in WORKER)
    computing = "\n".join(["function computing(workerSource) {", *map(_wrapped, WORKER), f"return {{ {names} }};\n}}"])
    here = f"const {{ {names} }} = computing(`(${{computing}})().training_js.serve(globalThis)`);"
    return [computing, here, *(_wrapped(name) for group in MODULES for name in group if name not in WORKER)]


@cache
def script_of_site() -> str:
    """All files as one classic script, which pages on disk may load, too: it wakes what a page has places for.

    >>> "export " in script_of_site()
    False
    """
    return "\n".join(["(() => {", *_files(), *map(_wrapped, SITE), "site_js.begin();", "})();\n"])


def script_of_explorer(spec: dict, arrays: bytes) -> str:
    """The file of an explorer for the site: it calls the script of the site with all that it needs."""
    return f'explorerArrived({json.dumps(spec, ensure_ascii=False)}, "{b64encode(arrays).decode()}");\n'


@cache
def module_of_predictions() -> str:
    """The files of predictions as the text of one ES module.

    >>> module_of_predictions().count("export "), "import {" in module_of_predictions()
    (2, False)
    """
    files = map(_wrapped, PREDICTIONS)
    return "\n".join([*files, "export const { mount } = prediction_js;", "export default prediction_js.widget;"])


@cache
def style_of_predictions() -> str:
    """Their style sheet: that of explorers under their own name, and what only they have."""
    return style().replace(".explorer", ".prediction") + (FOLDER / "prediction.css").read_text(encoding="utf-8")


def _wrapped(name: str) -> str:
    source = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
    exported = ", ".join(EXPORT.findall(source))
    body = EXPORT.sub("", IMPORT.sub(_taken_from, source))
    return f"const {name}_js = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();"


def _taken_from(imported: re.Match) -> str:
    """What stands for ``import { name as other } from "./file.js"``: the file is a constant by now."""
    return f"const {imported[1].replace(' as ', ': ')} = {imported[2]}_js;\n"


@cache
def style() -> str:
    """The style sheet."""
    return (FOLDER / "style.css").read_text(encoding="utf-8")


def page(title: str, explorers: Sequence[tuple[dict, bytes]], theme: str = "") -> str:
    """A page of HTML without dependencies on which explorers live, each given by its specification and its arrays.

    ``theme`` is "light", "dark" or, for what the reader's system asks for, "".
    """
    places = "\n".join(f'<div id="{spec["name"]}"></div>' for spec, _ in explorers)
    mounts = "\n".join(
        f'mount(document.getElementById("{spec["name"]}"), {_harmless(spec)}, bytes("{b64encode(arrays).decode()}"));'
        for spec, arrays in explorers
    )
    bytes_of = "const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;"
    return html(title, style(), places, f"{module()}\n{bytes_of}\n{mounts}", theme)


def html(title: str, style: str, places: str, script: str, theme: str = "") -> str:
    """A page of HTML: its style sheet, the places in it, and the script that fills them."""
    return f"""<!doctype html>
<html lang="en" data-theme="{theme}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>html {{ color-scheme: {theme or "light dark"}; }}\n{style}</style>
{places}
<script type="module">
{script}
</script></html>
"""


def _harmless(spec: dict) -> str:
    """JSON that cannot end the script that it stands in."""
    return json.dumps(spec, ensure_ascii=False).replace("<", "\\u003c")
