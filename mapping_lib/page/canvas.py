"""What all explorers draw on: a canvas that redraws fast.

Drawing is fast because the figure is made once: axes, limits and labels are a stored background, the
moving artists are drawn on top of a copy of it (blitting), words that change are put together from stored
pixels, and the picture becomes a PNG with a palette.
"""

import io
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from PIL import Image

from mapping_lib.page.plots import COLOURS, suite_style

DPI = 100
ALARM = "#B00020"


def palette(*colours: str) -> Image.Image:
    """Colours in at least 18 shades each, from full to white: a palette for small, fast PNGs. 14 at most."""
    full = [to_rgb(colour) for colour in (*colours, ALARM, "black")]
    # no shade so near to white that Pillow could take it for white
    shares = [0.0, *np.linspace(0.08, 1, min(23, 256 // len(full) - 1))]
    shades = [[1 - share * (1 - c) for c in rgb] for rgb in full for share in shares]
    image = Image.new("P", (1, 1))
    image.putpalette([round(255 * c) for shade in shades for c in shade])
    return image


PALETTE = palette(*COLOURS.values())


@dataclass
class Label:
    """Words or a number that change or move: drawn from stored pixels, ten times as fast as a matplotlib text.

    ``at`` is in pixels of the canvas, from its lower left corner; ``halo`` puts white around the letters.
    """

    size: float = 12
    bold: bool = False
    colour: str = "black"
    align: str = "left"
    halo: bool = False
    text: str = ""
    at: tuple[float, float] = (0.0, 0.0)

    def paint(self, pixels: np.ndarray) -> None:
        """Put the text into ``pixels (height, width, colour)``, moved inside if it would stick out."""
        if not self.text or not np.isfinite(self.at).all():
            return
        halo, ink = _stamp(self.text, self.size, self.bold, self.halo)
        rows, columns = ink.shape
        left = round(self.at[0] - {"left": 0, "center": columns / 2, "right": columns}[self.align])
        left = min(max(left, 0), pixels.shape[1] - columns)
        top = min(max(round(len(pixels) - self.at[1] - rows / 2), 0), len(pixels) - rows)
        patch = pixels[top : top + rows, left : left + columns, :3]
        for mask, colour in ((halo, "white"), (ink, self.colour)):
            if mask is not None:
                patch[:] = patch + mask[..., None] * (255 * np.array(to_rgb(colour), np.float32) - patch)


@lru_cache(maxsize=512)
def _stamp(text: str, size: float, bold: bool, halo: bool) -> tuple[np.ndarray | None, np.ndarray]:
    """How much of each pixel a text covers, with its halo and without: 0 ... 1, rows from top to bottom.

    Numbers are put together from their digits, so that a new number needs nothing new.
    """
    if len(text) > 1 and not any(c.isalpha() and c != "e" for c in text):
        parts = [_stamp(c, size, bold, halo)[1] for c in text]
        return None, np.hstack(parts)
    weight, masks = "bold" if bold else "normal", []
    with suite_style():
        figure = Figure(figsize=(5, 0.26), dpi=DPI, facecolor="black", layout="none")
        agg = FigureCanvasAgg(figure)
        words = figure.text(0.02, 0.5, text, size=size, weight=weight, color="white", va="center_baseline")
        box = words.get_window_extent()
        sides = slice(math.floor(box.x0) - 2 * halo, math.ceil(box.x1) + 2 * halo)
        for width in (3.0, 0.0) if halo else (0.0,):
            words.set_path_effects([withStroke(linewidth=width, foreground="white")] if width else [])
            agg.draw()
            masks.append(np.asarray(agg.buffer_rgba())[:, sides, 0].astype(np.float32) / 255)
    return (0.75 * masks[0] if halo else None), masks[-1]


class Canvas:
    """A figure that is built once; subclasses add artists in ``build`` and move them in ``update``."""

    size = (10.6, 4.6)
    """Inches; times `DPI` gives pixels."""

    palette = PALETTE
    """The colours of the PNG; a canvas that draws with others than those of all roles makes its own."""

    def __init__(self) -> None:
        self.moving: list[Artist] = []
        self.labels: list[Label] = []
        self._backgrounds: dict[str, Any] = {}
        with suite_style(axes_titlesize=14):
            self.figure = Figure(figsize=self.size, dpi=DPI, layout="none")
            self._agg = FigureCanvasAgg(self.figure)
            self.build(self.figure)
        for artist in self.moving:
            artist.set_animated(True)
        self.redraw_axes()

    def build(self, figure: Figure) -> None:
        """Make axes and artists; those that change go into ``self.moving`` through `keep`."""
        raise NotImplementedError

    def update(self, frame: Any) -> None:
        """Give the moving artists the data of one frame."""
        raise NotImplementedError

    def redraw_axes(self, name: str = "") -> None:
        """Draw what does not move, under a name: the second time it is only fetched.

        In ``update``, call it when axes, limits or labels have changed; once it is done after `build`.
        """
        if name not in self._backgrounds:
            with suite_style():
                self._agg.draw()
            self._backgrounds[name] = self._agg.copy_from_bbox(self.figure.bbox)
        self._background = self._backgrounds[name]

    def keep(self, artist: Artist) -> Artist:
        """Note an artist as one that changes from frame to frame."""
        self.moving.append(artist)
        return artist

    def line(self, ax: Axes, *form: str, **style: Any) -> Line2D:
        """A line, or points, that will move: without data as yet, ``form`` and ``style`` as in ``ax.plot``."""
        return self.keep(ax.plot([], [], *form, **style)[0])

    def truth(self, ax: Axes, label: str = "truth") -> Line2D:
        """The `line` of a true function: dark and dashed."""
        return self.line(ax, color=COLOURS["truth"], lw=1.8, ls=(0, (4, 2)), label=label)

    def collect(self, ax: Axes, collection: Collection) -> Collection:
        """Put a collection that will move on ``ax``."""
        ax.add_collection(collection, autolim=False)
        return self.keep(collection)

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """New axes, placed in pixels of the canvas from its lower left corner."""
        across, up = self.figure.bbox.size
        return self.figure.add_axes((left / across, bottom / up, width / across, height / up))

    def label(self, **style: Any) -> Label:
        """A new `Label`, drawn above all artists."""
        self.labels.append(Label(**style))
        return self.labels[-1]

    def paint(self, pixels: np.ndarray) -> None:
        """Change pixels ``(height, width, colour)`` after the axes are drawn and before the moving artists."""

    def draw(self, frame: Any) -> None:
        """Draw one frame into the canvas's own memory, in the suite's style (see `suite_style`)."""
        with suite_style():
            self._draw(frame)

    def _draw(self, frame: Any) -> None:
        self.update(frame)
        self._agg.restore_region(self._background)
        pixels = np.asarray(self._agg.buffer_rgba())
        self.paint(pixels)
        for artist in self.moving:
            if artist.get_visible():
                artist.axes.draw_artist(artist) if artist.axes else self.figure.draw_artist(artist)
        for label in self.labels:
            label.paint(pixels)

    def png(self) -> bytes:
        """What the canvas shows now, as PNG. With a palette it is four times faster than with all colours."""
        width, height = self._agg.get_width_height()
        picture = Image.frombuffer("RGBA", (width, height), self._agg.buffer_rgba(), "raw", "RGBA", 0, 1)
        buffer = io.BytesIO()
        indexed = picture.convert("RGB").quantize(palette=self.palette, dither=Image.Dither.NONE)
        indexed.save(buffer, format="png", compress_level=1)
        return buffer.getvalue()

    def pixels(self) -> np.ndarray:
        """What the canvas shows now, as an array ``(height, width, 3)`` of bytes."""
        return np.asarray(self._agg.buffer_rgba())[..., :3]


def number(value: float) -> str:
    """Three digits: 0.0123, 1.23, 123, 1.2e+04; a dash for what is not a number."""
    return f"{value:.3g}".replace("-", "−") if np.isfinite(value) else "–"


def count(n: int, noun: str) -> str:
    """A number of things, such as "1 step" and "2 steps"."""
    return f"{n} {noun}{'s' * (n != 1)}"


def coloured(name: str, colour: str) -> str:
    """A name in the words of a panel, in its colour."""
    return f"<span style='color:{colour}'>{name}</span>"


def finite(values: np.ndarray, far: float = 1e3) -> np.ndarray:
    """Values that can be drawn: those beyond ``far`` are cut off there, and what is no number stands there, too."""
    return np.clip(np.nan_to_num(values, nan=far), -far, far)


def put(pixels: np.ndarray, picture: np.ndarray, left: int, bottom: int) -> None:
    """Put a picture ``(height, width, colour)`` into ``pixels``; its place is counted from the lower left corner."""
    height, width = picture.shape[:2]
    top = len(pixels) - bottom - height
    pixels[top : top + height, left : left + width, :3] = picture


def apart(ends: list[tuple[int, float]], width: int = 300, factor: float = 1.27) -> list[float]:
    """Heights for names beside the curves' ends on a log axis: raised above earlier names that they would overlap.

    >>> apart([(1000, 1.0), (1000, 1.1), (1000, 5.0), (100, 1.0)])
    [1.0, 1.27, 5.0, 1.0]
    """
    placed: list[tuple[int, float]] = []
    for at, height in ends:
        for other_at, other in sorted(placed, key=lambda place: place[1]):
            if abs(at - other_at) < width and other / factor < height < other * factor:
                height = other * factor
        placed.append((at, height))
    return [height for _, height in placed]
