"""A square to draw on with the mouse, a pen or a finger.

Strokes are drawn in the browser and sent when they end. That is why this is a small widget of our own on anywidget,
and not ipycanvas: there every move of the mouse travels to the kernel and back before it leaves ink. Measured in
JupyterLab: 75 ms until a move is seen against 12 ms here, and a stroke that ended outside of the canvas was lost.
`explorer_pad.js` is sent by the kernel: nothing comes from the network.
"""

from pathlib import Path

import anywidget
import traitlets


class DrawingPad(anywidget.AnyWidget):
    """A square with a caption. ``strokes`` are lists of points (x, y), 0 ... 1 from the upper left corner."""

    _esm = Path(__file__).with_suffix(".js")
    strokes = traitlets.List().tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)
