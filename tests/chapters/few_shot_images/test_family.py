"""A small folder made like Omniglot, and the same as zip files: read alike, by hand alike, and every fault named."""

import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import seeded
from PIL import Image

from mapping_lib.chapters.few_shot_images.family_omniglot import PARTS, Omniglot, load

ALPHABETS = {"images_background": ("Balinese", "Greek"), "images_evaluation": ("Tibetan",)}
CHARACTERS, HANDS = 3, 6


def drawing(alphabet: str, character: int, hand: int) -> np.ndarray:
    """White paper of 105 x 105 with a black block of its own."""
    pixels = np.full((105, 105), 255, np.uint8)
    top = 8 * sorted(("Balinese", "Greek", "Tibetan")).index(alphabet) + 25 * character
    pixels[top : top + 20, 5 + 12 * hand : 20 + 12 * hand] = 0
    return pixels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As distributed: folders of PNG files of one bit a pixel."""
    for part, names in ALPHABETS.items():
        for a, alphabet in enumerate(names):
            for c in range(CHARACTERS):
                path = tmp_path / "omniglot" / part / alphabet / f"character{c + 1:02d}"
                path.mkdir(parents=True)
                for h in range(HANDS):
                    image = Image.fromarray(drawing(alphabet, c, h)).convert("1")
                    image.save(path / f"{100 * a + c:04d}_{h + 1:02d}.png")
    return tmp_path / "omniglot"


@pytest.fixture
def zipped(folder: Path, tmp_path: Path) -> Path:
    """As distributed: two archives, and the shadows that a Mac adds."""
    target = tmp_path / "archives"
    target.mkdir()
    for part in PARTS:
        with zipfile.ZipFile(target / f"{part}.zip", "w") as file:
            for path in folder.glob(f"{part}/*/*/*.png"):
                file.write(path, path.relative_to(folder).as_posix())
                file.writestr(f"__MACOSX/{path.relative_to(folder).as_posix()}", b"a shadow")
    return target


def test_images_are_read_as_ink_averaged_down(folder: Path):
    images = load(folder)
    assert list(images) == [f"{a}/character{c:02d}" for a in ("Balinese", "Greek") for c in (1, 2, 3)]
    got = images["Greek/character02"][4]
    assert (got.shape, got.dtype) == ((1, 28, 28), torch.float32)
    fine = drawing("Greek", 1, 4).repeat(28, 0).repeat(28, 1).reshape(28, 105, 28, 105)
    assert np.abs(1 - fine.mean((1, 3)) / 255 - got[0].numpy()).max() < 1e-5


def test_zip_files_give_the_same(folder: Path, zipped: Path):
    for part in PARTS:
        plain, packed = load(folder, part), load(zipped, part)
        assert list(plain) == list(packed)
        assert all(torch.equal(plain[name], packed[name]) for name in plain)


def test_the_parts_share_no_alphabet(folder: Path):
    names = [{name.split("/")[0] for name in Omniglot(folder, part).names} for part in ("images_background",)]
    names.append({name.split("/")[0] for name in Omniglot(folder, "images_evaluation", n_way=3).names})
    assert names == [{"Balinese", "Greek"}, {"Tibetan"}]


def test_episodes_are_balanced_disjoint_and_of_the_class_described(folder: Path):
    family = Omniglot(folder, n_way=4)
    images = load(folder)
    tasks = family.sample(40, 2, 3, generator=seeded(0))
    for sx, sy, qx, qy, dealt in zip(*tasks.support, *tasks.query, tasks.description.long(), strict=True):
        assert sy.bincount(minlength=4).tolist() == [2] * 4
        assert qy.bincount(minlength=4).tolist() == [3] * 4
        seen = {image.numpy().tobytes() for image in sx}
        assert len(seen | {image.numpy().tobytes() for image in qx}) == 20
        for image, label in zip(torch.cat([sx, qx]), torch.cat([sy, qy]), strict=True):
            of_class = images[family.names[dealt[label]]]
            assert any(torch.equal(image, other) for other in of_class)


def test_turned_characters_are_characters_of_their_own(folder: Path):
    family = Omniglot(folder, n_way=24, rotations=True)
    assert len(family.names) == 24
    images = load(folder)
    task = family.sample(1, 1, 0, generator=seeded(1))
    for image, dealt in zip(task.support.x[0], task.description[0].long(), strict=True):
        name, _, angle = family.names[dealt].partition(" ")
        turned = torch.rot90(images[name], int(angle or 0) // 90, (-2, -1))
        assert any(torch.equal(image, other) for other in turned)


def spoiled(folder: Path) -> Path:
    """A copy in which one image is none."""
    copy = folder.parent / "spoiled"
    shutil.copytree(folder, copy)
    (copy / "images_background" / "Greek" / "character03" / "0102_05.png").write_bytes(b"no picture")
    return copy


def cut_short(folder: Path) -> Path:
    """A copy in which one image ends in its middle."""
    path = spoiled(folder) / "images_background" / "Greek" / "character03" / "0102_05.png"
    path.write_bytes((folder / "images_background" / "Greek" / "character03" / "0102_05.png").read_bytes()[:60])
    return folder.parent / "spoiled"


def other_folder(folder: Path) -> Path:
    other = folder.parent / "holidays"
    other.mkdir()
    (other / "beach.png").touch()
    return other


def hollow(folder: Path) -> Path:
    hollow = folder.parent / "hollow"
    (hollow / "images_background" / "Greek").mkdir(parents=True)
    return hollow


def no_zip(folder: Path) -> Path:
    other = other_folder(folder)
    (other / "images_background.zip").write_bytes(b"no archive")
    return other


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: Omniglot(f / "nowhere"), "nowhere', which is no folder; allowed: one that holds images_background"),
        (lambda f: Omniglot(other_folder(f)), "which holds beach.png; allowed: a folder that holds images_background"),
        (lambda f: Omniglot(hollow(f)), "whose images_background holds no image; allowed: images in alphabet/"),
        (lambda f: Omniglot(no_zip(f)), "images_background.zip, which is damaged"),
        (lambda f: Omniglot(spoiled(f)), "character03/0102_05.png' cannot be read"),
        (lambda f: Omniglot(cut_short(f)), "character03/0102_05.png' cannot be read"),
        (lambda f: Omniglot(f, "images"), "part is 'images'; allowed: 'images_background', 'images_evaluation'"),
        (lambda f: Omniglot(f, n_way=7), "n_way is 7; allowed: at most 6, the number of classes"),
        (
            lambda f: Omniglot(f).sample(1, 5, 2, generator=seeded(0)),
            "k_shot + n_query is 7; allowed: at most 6, the examples of the rarest class",
        ),
    ],
)
def test_what_is_wrong_is_named(folder: Path, call, message: str):
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
        call(folder)
