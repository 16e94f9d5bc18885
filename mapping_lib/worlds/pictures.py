"""Small pictures of characters: the form they are brought into, and the way they are bent.

An image is ``(1, 28, 28)``, float32 from 0 (paper) to 1 (ink); the longest side of its ink is 20 pixels.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Generator, Tensor

from mapping_lib.checks import check_tensor

SIDE, INK = 28, 20
"""The side of an image, and the longest side of the ink in it, in pixels."""

PEN = 2.4
"""The width of a stroke of a drawing in its image, in pixels: like the stem of a letter in a face of normal weight."""

FINE = 8
"""A drawing is painted this many times as large as its image, and then made smaller."""


def standardised(picture: Tensor) -> Tensor:
    """Bring a picture ``(height, width)`` of ink (0 paper to 1 ink) into the form of a glyph, ``(1, 28, 28)``.

    What is not paper (at least a tenth of the darkest ink) is cut out, brought to 20 pixels on its longest side, and
    put in the middle. Raises ValueError for another shape, and for a picture without ink.

    >>> picture = torch.zeros(200, 300)
    >>> picture[20:120, 40:60] = 1.0
    >>> [round(float(row), 3) for row in standardised(picture)[0].sum(1)[[3, 4, 23, 24]]]
    [0.0, 4.0, 4.0, 0.0]
    """
    if check_tensor("picture", picture).ndim != 2:
        raise ValueError(f"picture has shape {tuple(picture.shape)}; allowed: (height, width)")
    if picture.numel() == 0 or not bool(picture.max() > 0):
        raise ValueError("picture has no ink; allowed: at least one pixel above 0")
    rows, columns = (picture > 0.1 * picture.max()).nonzero().unbind(-1)
    ink = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].float()
    size = [max(1, round(INK * side / max(ink.shape))) for side in ink.shape]
    resize = torch.nn.functional.interpolate
    return centred(resize(ink[None, None], size, mode="bilinear", antialias=True)[0, 0].clamp(0, 1))


def jittered(images: Tensor, amount: float, *, generator: Generator) -> Tensor:
    """Turn, shear, stretch and move every image ``(example, 28, 28)`` by an affine map of its own.

    Each of the six numbers of the map is uniform. With an ``amount`` of 1: an angle up to 15 degrees, a shear up to
    0.15, the logarithm of the size along each axis up to 0.15, a move along each axis up to 1.5 pixels; other amounts
    multiply these. Pixels in between are interpolated bilinearly, and what leaves the image is lost.

    >>> dot = torch.zeros(1, 28, 28)
    >>> dot[0, 13:15, 13:15] = 1.0
    >>> torch.allclose(jittered(dot, 0.0, generator=torch.Generator()), dot)
    True
    """
    if amount == 0 or len(check_tensor("images", images)) == 0:
        return images
    limits = [torch.pi / 12, 0.15, 0.15, 0.15, 3 / SIDE, 3 / SIDE]  # the image spans -1 to 1
    share = 2 * torch.rand(len(images), 6, generator=generator, dtype=torch.float32) - 1
    angle, shear, *sizes, right, down = (amount * torch.tensor(limits, dtype=torch.float32) * share).unbind(-1)
    width, height = (size.exp() for size in sizes)
    cos, sin = angle.cos(), angle.sin()
    rows = [width * cos, height * (shear * cos - sin), right, width * sin, height * (shear * sin + cos), down]
    maps = torch.stack(rows, -1).view(-1, 2, 3)
    grid = torch.nn.functional.affine_grid(maps, [len(images), 1, SIDE, SIDE], align_corners=False)
    return torch.nn.functional.grid_sample(images[:, None], grid, align_corners=False)[:, 0]


def centred(ink: Tensor) -> Tensor:
    """Put ink ``(height, width)``, at most 28 pixels each way, in the middle of an image ``(1, 28, 28)``.

    >>> centred(torch.ones(2, 2))[0].nonzero().tolist()
    [[13, 13], [13, 14], [14, 13], [14, 14]]
    """
    image = torch.zeros(1, SIDE, SIDE, dtype=torch.float32)
    top, left = ((SIDE - side) // 2 for side in check_tensor("ink", ink).shape)
    image[0, top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return image


def drawn(strokes: Sequence[Sequence[Sequence[float]]]) -> Tensor:
    """A drawing as an image like a glyph's, ``(1, 28, 28)``; ``strokes`` are lists of points (x, y), y down.

    The strokes are stretched before the pen is put to them: a small drawing has no thicker lines than a large one.
    Raises ValueError where there is no point.

    >>> image = drawn([[(0.4, 0.2), (0.4, 0.6)]])
    >>> image.shape, [int(end) for end in image[0, :, 14].nonzero()[:, 0].aminmax()]
    (torch.Size([1, 28, 28]), [4, 23])
    """
    points = [point for stroke in strokes for point in stroke]
    if not points:
        raise ValueError("strokes hold no point; allowed: at least one")
    across, down = zip(*points, strict=True)
    left, top = min(across), min(down)
    extent = max(max(across) - left, max(down) - top)
    scale, margin = (FINE * (INK - PEN) / extent if extent else 0.0), FINE * PEN
    side = round(FINE * INK + 2 * margin)
    picture = Image.new("L", (side, side))
    for stroke in strokes:
        _paint(ImageDraw.Draw(picture), [(margin + scale * (x - left), margin + scale * (y - top)) for x, y in stroke])
    return standardised(torch.from_numpy(np.array(picture)).float() / 255)


def _paint(pen: ImageDraw.ImageDraw, points: list[tuple[float, float]]) -> None:
    """One stroke with round ends and corners."""
    pen.line(points, fill=255, width=round(FINE * PEN))
    radius = FINE * PEN / 2
    for x, y in points:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
