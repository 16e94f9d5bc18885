"""A reader's own Omniglot: 1,623 handwritten characters of 50 alphabets, each written by 20 hands.

Omniglot (Lake, Salakhutdinov & Tenenbaum 2015) does not come with this suite, and nothing here downloads it. Put
``images_background`` (30 alphabets, to train on) and ``images_evaluation`` (20, held out) into one folder, as they are
distributed: as folders ``alphabet/character01/0001_01.png``, or as ``images_background.zip`` and
``images_evaluation.zip``, which need not be unpacked. Then

    from .family_omniglot import Omniglot
    family = Omniglot("my/omniglot", "images_evaluation", n_way=5)

An image has the form of `mapping_lib.worlds.letters`: ``(1, 28, 28)``, float32, 1 is ink.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Generator, Tensor

from mapping_lib.checks import check_choice, check_count
from mapping_lib.families.episodes import Episodes
from mapping_lib.task import Task
from mapping_lib.worlds.pictures import SIDE

PARTS = ("images_background", "images_evaluation")
"""The two parts of Omniglot as distributed. They have no alphabet in common."""


@dataclass(frozen=True)
class Omniglot:
    """Tell ``n_way`` handwritten characters apart, drawn anew for every task.

    ``folder`` is where ``part`` lies, as a folder or as a zip file of that name. With ``rotations`` each character
    turned by 90, 180 and 270 degrees is a character of its own: four times as many classes to train on (Santoro et
    al. 2016). Characters of different alphabets may meet in a task. ``relabel`` is that of `episodes.Episodes`.
    ``names`` are the classes by number.

    Raises FileNotFoundError where there is no such folder or part; ValueError for a part that holds no
    ``alphabet/character/image.png``, for an image that cannot be read (it is named), and for n_way out of range.
    """

    folder: str | Path
    part: str = "images_background"
    n_way: int = 5
    rotations: bool = False
    relabel: bool = True

    def __post_init__(self) -> None:
        check_choice("part", self.part, PARTS)
        load(self.folder, self.part)
        if check_count("n_way", self.n_way, at_least=1) > len(self.names):
            raise ValueError(f"n_way is {self.n_way}; allowed: at most {len(self.names)}, the number of classes")

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, as ``alphabet/character``; turned ones with the angle behind."""
        plain = tuple(load(self.folder, self.part))
        angles = ("", " 90", " 180", " 270") if self.rotations else ("",)
        return tuple(name + angle for angle in angles for name in plain)

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw tasks; ``k_shot`` and ``n_query`` count the examples *of each character*, each by another hand.

        Shapes as for `mapping_lib.worlds.letters.Glyphs`. Raises ValueError where a character has fewer images than
        k_shot + n_query.
        """
        return self._episodes.sample(n_tasks, k_shot, n_query, generator=generator)

    @cached_property
    def _episodes(self) -> Episodes:
        of_class = list(load(self.folder, self.part).values())
        x, sizes = torch.cat(of_class), torch.tensor([len(images) for images in of_class])
        classes = torch.arange(len(sizes)).repeat_interleave(sizes)
        turns = range(4 if self.rotations else 1)
        x = torch.cat([torch.rot90(x, turn, (-2, -1)) for turn in turns])
        return Episodes(x, torch.cat([classes + turn * len(sizes) for turn in turns]), self.n_way, self.relabel)


@lru_cache(maxsize=4)
def load(folder: str | Path, part: str = "images_background") -> dict[str, Tensor]:
    """Read one part: every character's images ``(hand, 1, 28, 28)`` under ``alphabet/character``, in order.

    The images, black on white in 105 x 105 pixels, are averaged down to 28 x 28, and ink is 1. Errors as for
    `Omniglot`.

    >>> load("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: folder is 'nowhere', which is no folder; allowed: one that holds images_background
    """
    check_choice("part", part, PARTS)
    images: dict[str, list[Tensor]] = {}
    for name, content in _files(Path(folder), part):
        images.setdefault("/".join(PurePosixPath(name).parts[-3:-1]), []).append(_image(name, content))
    if not images:
        raise ValueError(
            f"folder is {str(folder)!r}, whose {part} holds no image;"
            " allowed: images in alphabet/character/*.png, as Omniglot is distributed"
        )
    return {name: torch.stack(images[name]) for name in sorted(images)}


def _files(folder: Path, part: str) -> Iterator[tuple[str, bytes]]:
    """The name and the content of every ``alphabet/character/image.png`` of a part, in order."""
    if not folder.is_dir():
        raise FileNotFoundError(f"folder is {str(folder)!r}, which is no folder; allowed: one that holds {part}")
    if (folder / part).is_dir():
        for path in sorted((folder / part).glob("*/*/*.png")):
            yield str(path), path.read_bytes()
    elif (folder / f"{part}.zip").is_file():
        yield from _zipped(folder / f"{part}.zip")
    else:
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
        raise FileNotFoundError(
            f"folder is {str(folder)!r}, which holds {there};"
            f" allowed: a folder that holds {part} or {part}.zip, as Omniglot is distributed"
        )


def _zipped(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as file:
            for name in sorted(file.namelist()):
                parts = PurePosixPath(name).parts
                # archives made on a Mac carry a shadow of every file under __MACOSX
                if len(parts) >= 3 and parts[0] != "__MACOSX" and name.endswith(".png"):
                    yield name, file.read(name)
    except zipfile.BadZipFile as problem:
        raise ValueError(f"folder holds {path.name}, which is damaged ({problem}); allowed: a zip file") from problem


def _image(name: str, content: bytes) -> Tensor:
    """One picture as ``(1, 28, 28)`` of ink."""
    try:
        with Image.open(BytesIO(content), formats=("PNG",)) as picture:
            paper = torch.from_numpy(np.array(picture.convert("L"), dtype=np.float32)) / 255
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as problem:
        raise ValueError(f"image {name!r} cannot be read ({problem}); allowed: a PNG file") from problem
    down, across = (_areas(length) for length in paper.shape)
    return (1 - down.T @ paper @ across)[None]


@cache
def _areas(length: int) -> Tensor:
    """Which share of each of 28 equal cells each of ``length`` pixels fills, ``(length, 28)``."""
    return torch.eye(length, dtype=torch.float32).repeat_interleave(SIDE, 1).view(length, SIDE, length).mean(-1)
