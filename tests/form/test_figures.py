"""The pictures of the README and of the chapters are those that the library draws today."""

import re
import runpy
from pathlib import Path

import nbformat
import numpy as np
import pytest
from front import needs_chromium
from house import ROOT
from PIL import Image, ImageSequence

FIGURES = ROOT / "figures"
MAKER = runpy.run_path(str(FIGURES / "make.py"))


def test_every_picture_has_a_maker_and_a_place_where_it_is_used():
    stored = {path.name for path in FIGURES.iterdir() if path.suffix not in (".py", "")}
    cells = (cell.source for path in ROOT.glob("notebooks/*.ipynb") for cell in nbformat.read(path, 4).cells)
    used = set(re.findall(r"figures/([\w.-]+)", "\n".join([(ROOT / "README.md").read_text(encoding="utf-8"), *cells])))
    assert stored == set(MAKER["FIGURES"]) == used - {"make.py"}


def frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        return [np.asarray(frame.convert("L"), dtype=float) for frame in ImageSequence.Iterator(image)]


@pytest.mark.parametrize("name", MAKER["FIGURES"])
def test_a_stored_picture_is_current(name: str, tmp_path: Path):
    """Numbers and letters differ a little from machine to machine: a few pixels may move, axes and words may not."""
    needs_chromium()
    MAKER["save"](MAKER["FIGURES"][name](), tmp_path / name)
    stored, drawn = frames(FIGURES / name), frames(tmp_path / name)
    assert len(stored) == len(drawn) > 10
    for old, new in zip(stored, drawn, strict=True):
        assert old.shape == new.shape
        assert (np.abs(old - new) > 60).mean() < 0.02
    assert len({frame.tobytes() for frame in stored}) == len(stored), "two frames are the same: it stands still"


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=lambda path: path.stem)
def test_a_cell_that_draws_says_in_its_metadata_what_there_is_to_see(path: Path):
    """Under "alt", for readers of the site who do not see it."""
    for i, cell in enumerate(nbformat.read(path, 4).cells):
        draws = any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
        alt = cell.metadata.get("alt", "")
        assert draws == bool(alt), f"cell {i}"
        assert not draws or (60 < len(alt) < 400 and "\n" not in alt and not alt.startswith("This ")), f"cell {i}"
