"""The pictures of the README are those that the library draws today."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FIGURES = Path(__file__).parent.parent / "figures"
DRAWN = runpy.run_path(str(FIGURES / "make.py"))["FIGURES"]


def test_every_picture_has_a_maker():
    assert {path.name for path in FIGURES.iterdir() if path.suffix in (".png", ".gif", ".jpg")} == set(DRAWN)


@pytest.mark.parametrize("name", DRAWN)
def test_a_stored_picture_is_current(name: str):
    """Training differs a little from processor to processor: a few pixels may move, axes and words may not."""
    stored = np.asarray(Image.open(FIGURES / name).convert("L"), dtype=float)
    drawn = np.asarray(DRAWN[name]().convert("L"), dtype=float)
    assert stored.shape == drawn.shape
    assert (np.abs(stored - drawn) > 60).mean() < 0.02
