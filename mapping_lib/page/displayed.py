"""How a widget of a page is displayed, and what of it readers without a kernel see."""

from typing import Any


class Displayed:
    """Put before a widget's class: displays its view and, for readers without a kernel, its ``repr``.

    The same with ipywidgets 7, which displays by ``_ipython_display_`` and leaves out what a class adds to the view,
    and with ipywidgets 8, which asks for all of it here.
    """

    _ipython_display_ = None  # IPython then asks `_repr_mimebundle_`

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {"text/plain": repr(self), "application/vnd.jupyter.widget-view+json": view}
