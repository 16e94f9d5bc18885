"""Letters of five alphabets in the typefaces that come with matplotlib: episodes of characters never seen before.

A class is a letter, an example of it is that letter in one typeface ("face"), slightly bent ("jitter"). Nothing is
downloaded, and no picture is stored: the letters are drawn from the fonts inside the matplotlib package, and kept in
memory. Outlines differ a little between releases of matplotlib; never rely on exact pixels.
`mapping_lib/worlds/data/README.md` says which letters there are, and why.

An image is ``(1, 28, 28)``, float32 from 0 (paper) to 1 (ink). The longest side of the ink is 20 pixels, as in MNIST,
and it stands in the middle: `pictures.standardised` does the same for a reader's drawing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from threading import Lock

import matplotlib
import numpy as np
import torch
from matplotlib.ft2font import FT2Font, LoadFlags
from torch import Generator, Tensor

from mapping_lib.checks import check_choice, check_count, check_generator, check_number
from mapping_lib.task import Batch, Task
from mapping_lib.worlds.pictures import INK, SIDE, centred, jittered

FILE = Path(__file__).with_name("data") / "glyphs.json"
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"

PARTS = {"train": ("Latin", "Cyrillic"), "validation": ("Greek",), "held out": ("Armenian", "Georgian")}
"""The alphabets of each part. Settings are chosen on "validation"; "held out" is for the last measurement alone."""

FACES: tuple[str, ...] = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmr10", "cmb10", "cmss10", "cmti10", "cmmi10", "cmtt10"),
)
"""The files of the faces. Every letter is in the first twelve; the others have some of the training letters.

Matplotlib before 3.11 lacks cmti10. It then has no letter, and what is drawn of it elsewhere is of another face there.
"""


@dataclass(frozen=True)
class Glyphs:
    """Tell ``n_way`` letters apart, drawn anew for every task and labelled 0 ... n_way - 1 in the order drawn.

    ``part`` is "train", "validation" or "held out", which have no alphabet in common. ``jitter`` is how much each image
    is turned, sheared, stretched and moved (`pictures.jittered`); 0 leaves it as it was drawn. ``faces`` are those to
    draw from. In every task the faces are dealt anew to two sides, the support's and the query's: *no face is in
    both*, not even for different letters. Without ``relabel`` the letters of a task keep their order; with all of
    them in every task, a label then always means the same letter. ``characters`` are the letters by number.

    Raises ValueError for an unknown part or face, less than two faces, a negative jitter, n_way out of range.

    >>> family = Glyphs("held out", n_way=5)
    >>> task = family.sample(25, 1, 3, generator=torch.Generator().manual_seed(0))
    >>> task.support.x.shape, task.support.y.shape, task.query.x.shape, task.description.shape
    (torch.Size([25, 5, 1, 28, 28]), torch.Size([25, 5]), torch.Size([25, 15, 1, 28, 28]), torch.Size([25, 5]))
    >>> len(family.characters), family.characters[:5]
    (102, 'ԱԲԳԴԵ')
    """

    part: str = "train"
    n_way: int = 5
    jitter: float = 1.0
    faces: tuple[str, ...] = FACES
    relabel: bool = True

    def __post_init__(self) -> None:
        check_choice("part", self.part, PARTS)
        check_number("jitter", self.jitter, at_least=0)
        for face in self.faces:
            check_choice("faces", face, FACES)
        if len(set(self.faces)) < max(2, len(self.faces)):
            raise ValueError(f"faces is {self.faces!r}; allowed: at least two different ones")
        if check_count("n_way", self.n_way, at_least=1) > len(self.characters):
            raise ValueError(f"n_way is {self.n_way}; allowed: at most {len(self.characters)}, the number of letters")

    @property
    def characters(self) -> str:
        """The letters of this part; a letter's place is its number."""
        return "".join(alphabets()[name] for name in PARTS[self.part])

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw tasks; ``k_shot`` and ``n_query`` count the examples *of each letter*, each in a face of its own.

        Shapes: x ``(n_tasks, n_way * k_shot, 1, 28, 28)``; y ``(n_tasks, n_way * k_shot)``, int64, label after label;
        the query likewise with ``n_query``. description ``(n_tasks, n_way)`` holds the number of the letter that each
        label means. Raises ValueError for more examples than a side has faces (6 where all faces are drawn from).
        """
        check_count("n_tasks", n_tasks, at_least=1)
        check_generator(generator)
        lots = torch.rand((n_tasks, len(self.characters)), generator=generator, dtype=torch.float32)
        dealt = lots.argsort(-1)[:, : self.n_way]
        dealt = dealt if self.relabel else dealt.sort(-1).values
        sides = self._sides(n_tasks, generator)
        support = self._draw("k_shot", k_shot, dealt, sides, generator)
        query = self._draw("n_query", n_query, dealt, ~sides, generator)
        return Task(support, query, dealt.float())

    @cached_property
    def _drawn(self) -> tuple[Tensor, Tensor]:
        """Every letter in every face ``(letter, face, 28, 28)``, and whether that face has it ``(letter, face)``."""
        images, there = _rendered(self.part)
        columns = [FACES.index(face) for face in self.faces]
        return images[:, columns], there[:, columns]

    def _sides(self, n_tasks: int, generator: Generator) -> Tensor:
        """Which faces are the support's, ``(task, face)``: half of those that have every letter, half of the rest."""
        complete = self._drawn[1].all(0)
        sides = torch.zeros(n_tasks, len(complete), dtype=torch.bool)
        for group in (complete.nonzero()[:, 0], (~complete).nonzero()[:, 0]):
            lots = torch.rand((n_tasks, len(group)), generator=generator, dtype=torch.float32)
            sides[:, group] = lots.argsort(-1).argsort(-1) < len(group) // 2
        return sides

    def _draw(self, name: str, n: int, dealt: Tensor, sides: Tensor, generator: Generator) -> Batch:
        """``n`` images of each letter of ``dealt (task, way)``, in different faces of the side."""
        images, there = self._drawn
        possible = there[dealt] & sides[:, None]
        most = int(there.all(0).sum()) // 2
        if check_count(name, n, at_least=0) > most:
            raise ValueError(f"{name} is {n}; allowed: at most {most}, the faces of one side that have every letter")
        lots = torch.rand(possible.shape, generator=generator, dtype=torch.float32)
        chosen = torch.where(possible, lots, 2.0).topk(n, largest=False).indices
        x = images[dealt[..., None], chosen].flatten(1, 2)  # (task, way * n, 28, 28)
        y = torch.arange(self.n_way)[:, None].expand(len(dealt), self.n_way, n).flatten(1)
        return Batch(jittered(x.flatten(0, 1), self.jitter, generator=generator).view(*x.shape[:2], 1, SIDE, SIDE), y)


@cache
def alphabets() -> dict[str, str]:
    """The letters of each alphabet, in the order of their code points; no two of all look alike.

    >>> {name: len(letters) for name, letters in alphabets().items()}
    {'Latin': 250, 'Greek': 40, 'Cyrillic': 82, 'Armenian': 60, 'Georgian': 42}
    """
    return json.loads(FILE.read_text(encoding="utf-8"))


def glyph(character: str, face: str = "DejaVuSans") -> Tensor:
    """Draw one character in one face: ``(1, 28, 28)``.

    Raises ValueError for an unknown face, and for a character that the face does not have or that leaves no ink.

    >>> image = glyph("Ж", "DejaVuSerif-Bold")
    >>> image.shape, bool(image.max() > 0.9), bool(image[0, 0, 0] == 0)
    (torch.Size([1, 28, 28]), True, True)
    """
    if not isinstance(character, str) or len(character) != 1:
        raise ValueError(f"character is {character!r}; allowed: one character")
    if ord(character) not in code_points(check_choice("face", face, FACES)):
        raise ValueError(f"character is {character!r}, which {face} does not have; allowed: another character or face")
    ink = _ink(character, face, 64.0)  # large, to see how long its longest side is
    if ink.size == 0:
        raise ValueError(f"character is {character!r}, which leaves no ink; allowed: a character that can be seen")
    return centred(torch.from_numpy(_ink(character, face, 64.0 * INK / max(ink.shape))[:INK, :INK]).float() / 255)


def distances(letters: Sequence[str]) -> Tensor:
    """How far apart any two letters look, ``(letter, letter)``: the distance of their images over their mean length.

    The mean over the twelve faces that all letters have. `worlds/data/README.md` uses it to leave letters out.

    >>> far = distances("AΑB")  # Latin A, Greek Alpha, B
    >>> bool(far[0, 1] < 0.01), bool(far[0, 2] > 0.5)
    (True, True)
    """
    rows = [torch.stack([glyph(letter, face).flatten() for letter in letters]) for face in FACES[:12]]
    return torch.stack([torch.cdist(x, x) / x.norm(dim=-1).mean() for x in rows]).mean(0)


@cache
def code_points(face: str) -> frozenset[int]:
    """The code points that a face has; of Computer Modern, whose other places hold other signs, A-Z and a-z.

    It has none where this matplotlib does not bring the face.

    >>> ord("Ж") in code_points("DejaVuSans"), ord("Ж") in code_points("cmr10")
    (True, False)
    """
    if not (FONTS / f"{face}.ttf").exists():
        return frozenset()
    with _PEN:
        points = frozenset(_font(face).get_charmap())
    plain = (range(ord("A"), ord("Z") + 1), range(ord("a"), ord("z") + 1))
    return points & {p for part in plain for p in part} if face.startswith("cm") else points


@cache
def _rendered(part: str) -> tuple[Tensor, Tensor]:
    letters = "".join(alphabets()[name] for name in PARTS[part])
    there = torch.tensor([[ord(letter) in code_points(face) for face in FACES] for letter in letters])
    images = torch.zeros(*there.shape, SIDE, SIDE, dtype=torch.float32)
    for row, column in there.nonzero().tolist():
        images[row, column] = glyph(letters[row], FACES[column])[0]
    return images, there


@cache
def _font(face: str) -> FT2Font:
    return FT2Font(str(FONTS / f"{face}.ttf"))  # matplotlib before 3.11 reads no Path


_PEN = Lock()
"""A font keeps the letter that it draws: one thread at a time."""


def _ink(character: str, face: str, size: float) -> np.ndarray:
    """A character at a size in points, cut out along its ink: uint8, 0 paper to 255 ink."""
    with _PEN:
        font = _font(face)
        font.set_size(size, 72)
        font.set_text(character, 0, flags=LoadFlags.NO_HINTING)
        font.draw_glyphs_to_bitmap(antialiased=True)
        bitmap = np.array(font.get_image())
    rows, columns = (np.flatnonzero(bitmap.any(axis)) for axis in (1, 0))
    return bitmap[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if rows.size else bitmap[:0]
