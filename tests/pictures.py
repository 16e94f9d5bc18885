"""The pictures that a notebook's cells put out: read, and held against those that are stored."""

import base64
from io import BytesIO

import matplotlib.image
import numpy as np
from nbformat import NotebookNode


def pictures(outputs: list[NotebookNode]) -> list[np.ndarray]:
    """Return the pixels of all pictures among the outputs of a cell."""
    stored = [output.get("data", {}).get("image/png") for output in outputs]
    return [matplotlib.image.imread(BytesIO(base64.b64decode(png))) for png in stored if png]


def alike(was: np.ndarray, now: np.ndarray) -> bool:
    """Another processor may move a line by a hair: 2 % of the range of colours, in the mean, are allowed."""
    return was.shape == now.shape and bool(np.abs(was - now).mean() < 0.02)


def drawn_again(cell: NotebookNode, outputs: list[NotebookNode]) -> bool:
    """Whether a run of the cell put out the pictures that are stored; of timings, as many of the same size."""
    was, now = pictures(cell.outputs), pictures(outputs)
    same = len(was) == len(now) and all(a.shape == b.shape for a, b in zip(was, now, strict=True))
    timings = "nbval-ignore-output" in cell.metadata.get("tags", [])  # a busy machine has others
    return same and (timings or all(map(alike, was, now)))
