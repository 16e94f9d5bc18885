"""What the few-shot explorer draws: an episode as a matrix, support by query, and the reader's own characters."""

from functools import lru_cache

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from mapping_lib.page.canvas import Canvas, palette
from mapping_lib.page.plots import COLOURS

from .explorer_compute import ASK, LETTERS, MAX_WAY, N_ASKED, Frame

RIGHT, WRONG, OTHER, LINE = COLOURS["after"], COLOURS["rival"], "#777777", "#C8C8C8"
WIDTH, HEIGHT = 1060, 530

LEFT, TOP, TALLEST = 12, 92, 60
MATRIX, CELL = 318, 35
"""The matrix: where it begins, the most height of a row, the left edge of its columns, and their width."""

SIGNS = "✓ right   ✗ wrong"

OWN, ROWS, PITCH, SIDE = 700, 168, 66, 56
ASKED, BARS, LONGEST = (764, 30, 112), 806, 190
"""The reader's characters: where they begin, a row each; where the asked one stands, with its side; the bars."""


class FewShotCanvas(Canvas):
    """Left: a row a class, with its support, and a column a query. Right: the same for what a reader draws."""

    size = (WIDTH / 100, HEIGHT / 100)
    palette = palette(RIGHT, WRONG, OTHER, COLOURS["support"], COLOURS["query"])

    def build(self, figure: Figure) -> None:
        """The words that stay, and places for those that change."""
        self._say(MATRIX - 8, TOP - 12, "support", bold=True, colour=COLOURS["support"], align="right")
        self._say(MATRIX - 8, 47, "query", bold=True, colour=COLOURS["query"], align="right")
        # words stay and numbers change: a number is put together from its digits, new words are drawn anew
        self._numbers = {}
        for name, x, words in (("episode", 92, "episode"), ("ways", 182, "ways"), ("shots", 256, "K =")):
            self._say(x - 8, 14, words, align="right", bold=True)
            self._numbers[name] = self._say(x, 14, bold=True)
        self._judged = self._say(LEFT, 38)
        self._words = self._say(38, 38)
        self._accuracy = self._say(174, 38, bold=True)
        for x, legend in ((LEFT, "number and shade: confidence in %"), (312, "frame: the true class"), (498, SIGNS)):
            self._say(x, HEIGHT - 12, legend, size=11, colour="#555555")
        middles = [MATRIX + CELL * (i + 0.5) for i in range(N_ASKED)]
        self._signs = [self._say(x, TOP - 14, size=13, bold=True, align="center") for x in middles]
        self._cells = [[self._say(x, 0, size=9.5, align="center") for x in middles] for _ in range(MAX_WAY)]
        self._say(OWN, 14, "your own characters", bold=True)
        self._say(OWN, ASKED[1] + 50, "query", bold=True, colour=COLOURS["query"])
        self._say(OWN, ROWS - 12, "support", bold=True, colour=COLOURS["support"])
        self._letters, self._shares = [], []
        for i, letter in enumerate(LETTERS):
            y = ROWS + PITCH * i + SIDE // 2
            self._letters.append(self._say(OWN + 12, y, letter, size=13, align="center"))
            self._shares.append(self._say(BARS, y, size=12))

    def _say(self, x: float, y: float, text: str = "", **style):
        """A label at ``x`` and ``y`` from the upper left corner."""
        return self.label(**{"size": 12} | style, text=text, at=(x, HEIGHT - y))

    def update(self, frame: Frame) -> None:
        """Give the labels the words of one frame; `paint` puts the images under them."""
        self._frame = frame
        self._name_episode(frame)
        self._name_cells(frame)
        for i in range(ASK):
            share = None if frame.answer is None or i not in frame.classes else frame.answer[frame.classes.index(i)]
            best = share is not None and share == frame.answer.max()
            self._letters[i].bold = self._shares[i].bold = best
            self._shares[i].text = "" if share is None else f"{share:.0%}"
            self._shares[i].at = (BARS + LONGEST * (share or 0) + 8, self._shares[i].at[1])

    def _name_episode(self, frame: Frame) -> None:
        state, scores = frame.state, frame.scores
        for name, number in (("episode", state.episode), ("ways", state.way), ("shots", state.k_shot)):
            self._numbers[name].text = str(number)
        self._judged.text = str(len(scores)) if scores else ""
        self._words.text = "episodes, right:" if scores else ""
        self._accuracy.text = f"{np.mean(scores):.0%}" if scores else ""

    def _name_cells(self, frame: Frame) -> None:
        height, answered = row_height(frame.state.way), frame.shares is not None
        for i, sign in enumerate(self._signs):
            sign.text = "" if not answered else "✓" if frame.right[i] else "✗"
            sign.colour = RIGHT if answered and frame.right[i] else WRONG
        for row, labels in enumerate(self._cells):
            for i, label in enumerate(labels):
                share = frame.shares[i, row] if answered and row < frame.state.way else 0.0
                label.text = f"{100 * share:.0f}" if share >= 0.05 else ""
                label.bold = answered and row < frame.state.way and row == int(frame.shares[i].argmax())
                label.colour = "white" if share > 0.85 and frame.right[i] else "black"
                label.at = (label.at[0], HEIGHT - TOP - height * (row + 0.5))

    def paint(self, pixels: np.ndarray) -> None:
        """The images, the cells of the matrix and the bars."""
        self._paint_episode(pixels, self._frame)
        self._paint_own(pixels, self._frame)

    def _paint_episode(self, pixels: np.ndarray, frame: Frame) -> None:
        height, (way, k_shot) = row_height(frame.state.way), frame.support.shape[:2]
        put(pixels, mosaic(frame.support), MATRIX - 4 - height * k_shot, TOP, (height * k_shot, height * way))
        put(pixels, mosaic(frame.query[None]), MATRIX, 30, (CELL * N_ASKED, CELL))
        cells = np.empty((way, height, N_ASKED, CELL, 3), np.uint8)
        cells[:] = self._shades(frame)[:, None, :, None]
        cells[:, -1] = cells[:, :, :, -1] = _rgb(LINE)
        pixels[TOP : TOP + way * height, MATRIX : MATRIX + N_ASKED * CELL, :3] = cells.reshape(way * height, -1, 3)
        for i, row in enumerate(frame.truth.tolist()):
            edge(pixels, MATRIX + CELL * i, TOP + height * row, CELL - 1, height - 1, "black", 2)

    @staticmethod
    def _shades(frame: Frame) -> np.ndarray:
        """The colour of each cell ``(way, query, 3)``: as far from white as the confidence says."""
        if frame.shares is None:
            return np.full((frame.state.way, N_ASKED, 3), 255, np.float32)
        colours = np.broadcast_to(_rgb(OTHER), (frame.state.way, N_ASKED, 3)).copy()
        for i, row in enumerate(frame.shares.argmax(1)):
            colours[row, i] = _rgb(RIGHT if frame.right[i] else WRONG)
        return 255 - frame.shares.T[..., None] * (255 - colours)

    def _paint_own(self, pixels: np.ndarray, frame: Frame) -> None:
        fill(pixels, OWN - 20, 0, 1, HEIGHT, LINE)
        boxes = [(OWN + 34, ROWS + PITCH * i, SIDE) for i in range(ASK)] + [ASKED]
        for place, (x, y, side) in enumerate(boxes):
            if frame.drawn[place] is not None:
                put(pixels, frame.drawn[place], x, y, (side, side))
            here = place == frame.state.place
            edge(pixels, x - 2, y - 2, side + 4, side + 4, RIGHT if here else LINE, 3 if here else 1)
        for share, place in zip(() if frame.answer is None else frame.answer, frame.classes, strict=False):
            colour = RIGHT if share == frame.answer.max() else OTHER
            fill(pixels, BARS, ROWS + PITCH * place + 14, max(2, round(LONGEST * float(share))), SIDE - 28, colour)


def row_height(way: int) -> int:
    """The height of a row of the matrix in pixels, so that all rows find room."""
    return min(TALLEST, (HEIGHT - TOP - 22) // way)


@lru_cache(maxsize=64)
def _rgb(colour: str) -> np.ndarray:
    return 255 * np.array(to_rgb(colour), np.float32)


def mosaic(images: np.ndarray) -> np.ndarray:
    """Images ``(row, column, height, width)`` side by side, as one."""
    rows, columns, height, width = images.shape
    return images.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)


def put(pixels: np.ndarray, image: np.ndarray, x: int, y: int, size: tuple[int, int]) -> None:
    """An image (0 paper, 1 ink), stretched to ``size`` (width, height); its upper left corner is at ``x`` and ``y``."""
    smooth = Image.Resampling.NEAREST if size[1] % image.shape[0] == 0 else Image.Resampling.BILINEAR
    large = Image.fromarray((255 - 255 * image).astype(np.uint8)).resize(size, smooth)
    pixels[y : y + size[1], x : x + size[0], :3] = np.asarray(large)[..., None]


def fill(pixels: np.ndarray, x: int, y: int, width: int, height: int, colour: str) -> None:
    """A rectangle of one colour."""
    pixels[y : y + height, x : x + width, :3] = _rgb(colour)


def edge(pixels: np.ndarray, x: int, y: int, width: int, height: int, colour: str, thick: int) -> None:
    """The edge of a rectangle, drawn inside of it."""
    box = pixels[y : y + height, x : x + width, :3]
    inner = box[thick:-thick, thick:-thick].copy()
    box[:] = _rgb(colour)
    box[thick:-thick, thick:-thick] = inner
