"""How a widget of a page is displayed, and what of it readers without a kernel see."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mapping_lib.page import front

PRESS = "<p>Press <b>Shift+Enter</b> here in JupyterLab, and this explorer comes alive.</p>"
"""What readers without a kernel read below the picture, which `mapping_lib.tools.recording` puts before it."""

VIEW = "application/vnd.jupyter.widget-view+json"
"""The kind of output that a host gives to its manager of widgets."""

PAGES = "MAPPING_PAGES"
"""The variable of the environment that names a folder: explorers leave their pages there, for pictures of them."""

COMPUTED = ("first", "constants")
"""Of a specification, what holds no rules but numbers: their last digits differ from machine to machine."""


class Displayed:
    """Put before a widget's class: displays its view and, for readers without a kernel, its ``repr``.

    The same with ipywidgets 7, which displays by ``_ipython_display_`` and leaves out what a class adds to the view,
    and with ipywidgets 8, which asks for all of it here. With the view comes its metadata: anywidget tells Colab there
    what can show it.
    """

    _ipython_display_ = None  # IPython then asks `_repr_mimebundle_`

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        besides, about = self._besides()
        return {"text/plain": repr(self), VIEW: view} | besides, self._metadata() | about

    def _besides(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a class puts beside the view, and its metadata."""
        return {}, {}

    def _metadata(self) -> dict[str, Any]:
        """That of anywidget's view; none of a widget that ipywidgets brings, which every host knows."""
        theirs = getattr(super(), "_repr_mimebundle_", dict)()
        return theirs[1] if isinstance(theirs, tuple) else {}


def pictured(explorer: Any, state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A line of HTML for readers of a panel without a kernel, and its metadata: the name of their picture.

    Where the environ names a folder, by `PAGES`, the panel's page is left there.
    """
    name = picture_name(explorer.specification(**state)[0])
    if folder := os.environ.get(PAGES):
        Path(folder, f"{name}.html").write_text(explorer.page("light", **state), encoding="utf-8")
    return {"text/html": PRESS}, {"text/html": {"picture": name}}


def picture_name(specification: Mapping[str, Any]) -> str:
    """A hash of what a picture depends on: rules, programs and state of an explorer, and the front end.

    >>> a, b = ({"state": {"steps": steps}, "constants": []} for steps in (1, 2))
    >>> picture_name(a) == picture_name(a | {"constants": [1.0]}), picture_name(a) == picture_name(b)
    (True, False)
    """
    rules = {key: value for key, value in specification.items() if key not in COMPUTED}
    return hashlib.sha256(json.dumps([rules, front.module(), front.style()]).encode()).hexdigest()[:16]


_SHOWN: dict[str, tuple[str, list[Any]]] = {}


def replace_those_of_this_cell(widget: Any) -> None:
    """Close what an earlier run of the cell that runs now has shown."""
    try:
        from IPython import get_ipython

        parent = get_ipython().get_parent()
        cell, run_of_cell = parent["metadata"]["cellId"], parent["header"]["msg_id"]
    except (ImportError, AttributeError, KeyError, TypeError):  # no notebook
        return
    run_before, shown = _SHOWN.get(cell, ("", []))
    if run_before != run_of_cell:
        for old in shown:
            old.close()
        shown = []
    _SHOWN[cell] = run_of_cell, [*shown, widget]
