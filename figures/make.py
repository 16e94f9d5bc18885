"""Draw the picture that the README shows: ``python figures/make.py [folder]``. It takes a Chromium."""

import io
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from PIL import Image

from mapping_lib.chapters.maml_code.explorer import EXPLORER
from mapping_lib.console import plain_streams
from mapping_lib.tools.pictures import tab

WIDTH, COLOURS = 1000, 128
TASK = {"amplitude": 4.0, "phase": 2.2}
MOVES = [{"steps": m} for m in range(9)] + [{"steps": 8, "alpha": a} for a in (0.005, 0.002, 0.001, 0.02, 0.04, 0.1)]
FIRST_MS, EACH_MS, LAST_MS = 1500, 500, 4000
MOVE = """(changes) => {
    const { panel } = document.querySelector(".explorer");
    panel.change({ ...panel.start, ...changes }, "");
}"""
RESTS = """() => {
    const { panel } = document.querySelector(".explorer");
    return panel.frame && !panel.computing && !panel.again && panel.rested;
}"""


def explorers() -> list[Image.Image]:
    """The explorer of chapter 3 as a reader has it: m grows, then α falls, and grows until it is too large."""
    with tempfile.TemporaryDirectory() as folder, tab(viewport={"width": WIDTH, "height": 800}) as opened:
        page = Path(folder) / "explorer.html"
        page.write_text(EXPLORER.page("light"), encoding="utf-8")
        opened.goto(page.as_uri())
        return [_after(opened, TASK | move) for move in MOVES]


def _after(page: Any, move: dict[str, float]) -> Image.Image:
    """The panel after a move, slow part and all."""
    page.evaluate(MOVE, move)
    page.wait_for_function(RESTS)
    return Image.open(io.BytesIO(page.locator(".sheet").screenshot())).convert("RGB")


FIGURES = {"explorers.gif": explorers}


def save(frames: list[Image.Image], path: Path) -> None:
    """Write an animation with one palette for all frames; the first and the last stay longer."""
    high = max(frame.height for frame in frames)
    sheets = [Image.new("RGB", (frames[0].width, high), "white") for _ in frames]
    for sheet, frame in zip(sheets, frames, strict=True):
        sheet.paste(frame)
    palette = _beside(sheets[:: len(sheets) // 3]).quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
    indexed = [sheet.quantize(palette=palette, dither=Image.Dither.NONE) for sheet in sheets]
    times = [FIRST_MS, *[EACH_MS] * (len(frames) - 2), LAST_MS]
    indexed[0].save(path, save_all=True, append_images=indexed[1:], duration=times, loop=0, optimize=True)


def _beside(sheets: list[Image.Image]) -> Image.Image:
    """Some frames in one picture, so that a palette has the colours of all."""
    whole = Image.new("RGB", (sheets[0].width * len(sheets), sheets[0].height))
    for i, sheet in enumerate(sheets):
        whole.paste(sheet, (i * sheet.width, 0))
    return whole


def main(folder: Path) -> None:
    """Write every figure into ``folder``."""
    for name, draw in FIGURES.items():
        save(draw(), folder / name)
        print(folder / name)


if __name__ == "__main__":
    plain_streams()
    parser = ArgumentParser(description="Draw the picture that the README shows.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent, help="where to; default: here")
    main(parser.parse_args().folder)
