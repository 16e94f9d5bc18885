"""What a reader draws: strokes, the image that a network sees of them, and drawings to begin with."""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from mapping_lib.worlds.pictures import INK, standardised

Stroke = tuple[tuple[float, float], ...]
"""The points (x, y) of one stroke, 0 ... 1 from the upper left corner."""

Drawing = tuple[Stroke, ...]
"""The strokes of one character; without any, nothing is drawn yet."""

PEN = 2.4
"""The width of a stroke in the image, in pixels: like the stem of a letter in a face of normal weight."""

FINE = 8
"""A drawing is painted this many times as large as its image, and then made smaller."""


def as_drawing(strokes: Iterable[Iterable[Iterable[float]]]) -> Drawing:
    """Lists of points, as they come from the browser, made comparable; strokes without a point are left out."""
    drawing = (tuple((float(x), float(y)) for x, y in stroke) for stroke in strokes)
    return tuple(stroke for stroke in drawing if stroke)


@lru_cache(maxsize=64)
def image_of(drawing: Drawing) -> Tensor | None:
    """A drawing as an image like the glyphs ``(1, 28, 28)``: centred, 20 pixels long; None where nothing is drawn.

    The strokes are stretched before the pen is put to them: a small drawing has no thicker lines than a large one.

    >>> image = image_of((((0.4, 0.2), (0.4, 0.6)),))
    >>> image.shape, image[0, :, 14].nonzero()[:, 0].aminmax()
    (torch.Size([1, 28, 28]), torch.return_types.aminmax(
    min=tensor(4),
    max=tensor(23)))
    """
    if not drawing:
        return None
    across, down = zip(*(point for stroke in drawing for point in stroke), strict=True)
    left, top = min(across), min(down)
    extent = max(max(across) - left, max(down) - top)
    scale = FINE * (INK - PEN) / extent if extent else 0.0
    margin = FINE * PEN
    side = round(FINE * INK + 2 * margin)
    picture = Image.new("L", (side, side))
    pen = ImageDraw.Draw(picture)
    for stroke in drawing:
        _draw(pen, [(margin + scale * (x - left), margin + scale * (y - top)) for x, y in stroke])
    return standardised(torch.from_numpy(np.array(picture)).float() / 255)


def _draw(pen: ImageDraw.ImageDraw, points: list[tuple[float, float]]) -> None:
    """One stroke with round ends and corners."""
    pen.line(points, fill=255, width=round(FINE * PEN))
    radius = FINE * PEN / 2
    for x, y in points:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)


def _strokes(*strokes: str) -> Drawing:
    """Strokes from words such as "20,30 50,60": points in percent."""
    return as_drawing([[float(n) / 100 for n in point.split(",")] for point in s.split()] for s in strokes)


EXAMPLES: tuple[tuple[Drawing, ...], ...] = (
    (
        _strokes("50,14 51,84", "18,42 19,85 50,84 83,84", "83,40 83,88"),  # mountain
        _strokes("14,35 87,33", "50,10 49,92", "48,36 34,60 12,78", "51,36 66,59 90,77"),  # tree
        _strokes("20,22 22,82", "20,22 80,21 78,83", "22,80 79,80"),  # mouth
        _strokes("50,14 46,40 34,64 14,88", "48,36 60,62 88,87"),  # person
        (),
        _strokes("20,38 50,37 82,32", "53,15 51,50 50,88", "50,38 40,55 18,70", "53,38 62,52 84,72"),
    ),
    (
        _strokes("50,15 15,82 87,80 50,15"),
        _strokes("62,12 30,50 68,46 34,90"),
        _strokes("50,46 38,40 34,27 42,15 56,13 66,22 65,36 50,46 49,88", "49,72 68,70", "49,87 64,86"),
        _strokes("82,36 66,18 38,16 18,34 15,60 30,82 56,86 76,74 79,55 66,42 48,42 40,54 46,64 56,62"),
        _strokes("15,20 84,82", "84,18 17,84", "14,50 88,50"),
        _strokes("80,28 60,15 34,20 18,40 18,64 36,84 60,82 74,68 72,52 58,44 44,52 50,64"),
    ),
)
"""Five characters and one to be recognised: four Chinese ones (mountain, tree, mouth, person), five invented ones."""
