"""Letters: no alphabet in two parts, no face on two sides, no look-alikes, and the images are what they should be."""

import re

import pytest
import torch
from oracles import seeded

from mapping_lib.learners.baselines import nearest_neighbour
from mapping_lib.task import each
from mapping_lib.worlds import letters as glyphs
from mapping_lib.worlds.letters import FACES, PARTS, Glyphs, alphabets, distances, glyph
from mapping_lib.worlds.pictures import jittered, standardised


@pytest.fixture
def numbered(monkeypatch) -> None:
    """Instead of its ink every image holds one number, 100 * letter + face."""
    real = glyphs._rendered

    def rendered(part: str):
        _, there = real(part)
        numbers = 100.0 * torch.arange(there.shape[0])[:, None] + torch.arange(there.shape[1])
        return numbers[..., None, None].expand(*there.shape, 28, 28), there

    monkeypatch.setattr(glyphs, "_rendered", rendered)


def origins(tasks) -> tuple[torch.Tensor, ...]:
    """(letter, face) of every image of the support and of the query, ``(task, example, 2)``."""
    numbers = (batch.x[:, :, 0, 0, 0].long() for batch in (tasks.support, tasks.query))
    return tuple(torch.stack([n // 100, n % 100], -1) for n in numbers)


@pytest.mark.usefixtures("numbered")
@pytest.mark.parametrize("part", PARTS)
def test_no_face_is_in_both_support_and_query_of_a_task(part: str):
    family = Glyphs(part, n_way=4, jitter=0)
    tasks = family.sample(60, 3, 4, generator=seeded(0))
    shown, asked = origins(tasks)
    for i in range(60):
        assert not {*shown[i, :, 1].tolist()} & {*asked[i, :, 1].tolist()}


@pytest.mark.usefixtures("numbered")
def test_episodes_are_balanced_and_labels_mean_the_letters_that_the_description_says():
    family = Glyphs("held out", n_way=4, jitter=0)
    tasks = family.sample(60, 3, 4, generator=seeded(1))
    for (letter_and_face, y), n in zip(
        zip(origins(tasks), (tasks.support.y, tasks.query.y), strict=True), (3, 4), strict=True
    ):
        assert torch.equal(letter_and_face[..., 0], tasks.description.long().gather(1, y))
        assert (torch.nn.functional.one_hot(y).sum(1) == n).all()
        for row in letter_and_face.flatten(1).view(-1, 2).view(60, -1, 2):
            assert len({(int(a), int(b)) for a, b in row}) == 4 * n  # no image twice


@pytest.mark.usefixtures("numbered")
def test_every_letter_and_every_face_comes_up():
    tasks = Glyphs("validation", jitter=0).sample(400, 1, 1, generator=seeded(2))
    assert tasks.description.unique().tolist() == list(range(40))
    shown, asked = origins(tasks)
    for side in (shown, asked):
        counts = side[..., 1].flatten().bincount(minlength=len(FACES))
        assert counts[:12].min() > 60


def test_a_matplotlib_without_a_face_has_all_other_images(monkeypatch, tmp_path):
    images, there = glyphs._rendered("train")
    for face in {*FACES} - {"cmti10"}:
        (tmp_path / f"{face}.ttf").symlink_to(glyphs.FONTS / f"{face}.ttf")
    monkeypatch.setattr(glyphs, "FONTS", tmp_path)
    monkeypatch.setattr(glyphs, "code_points", glyphs.code_points.__wrapped__)
    fewer, still_there = glyphs._rendered.__wrapped__("train")
    is_there = torch.tensor([face != "cmti10" for face in FACES])
    assert there[:, ~is_there].any()
    assert torch.equal(still_there, there & is_there)
    assert torch.equal(fewer, images * still_there[..., None, None])


def test_parts_share_no_alphabet_and_no_letter():
    names = [name for part in PARTS.values() for name in part]
    assert sorted(names) == sorted(alphabets())
    letters = "".join(alphabets().values())
    assert len(set(letters)) == len(letters) == 474


def test_no_two_letters_look_alike_and_all_have_twelve_faces():
    letters = "".join(alphabets().values())
    far = distances(letters).fill_diagonal_(9.0)
    assert far.min() > 0.3  # 0.4 with the matplotlib that made the list
    assert not {"Α", "А", "О", "Ѕ"} & set(letters)
    assert all(glyphs._rendered(part)[1][:, :12].all() for part in PARTS)


def test_an_image_is_ink_of_twenty_pixels_in_the_middle():
    for part in PARTS:
        images, there = glyphs._rendered(part)
        ink = images[there] > 0
        assert images.dtype == torch.float32
        assert images.min() == 0
        assert images.max() <= 1
        longest = 0
        for dim in (1, 2):
            lines = ink.any(dim).float()
            first, last = lines.argmax(1), 27 - lines.flip(1).argmax(1)
            assert (first + last).sub(27).abs().max() <= 1
            longest = torch.maximum(last - first + 1, torch.as_tensor(longest))
        assert {*longest.tolist()} <= {19, 20}


def test_standardising_a_glyph_leaves_it_nearly_as_it_is_and_a_larger_one_becomes_it():
    image = glyph("Ֆ", "DejaVuSans")[0]
    assert standardised(image)[0].sub(image).abs().mean() < 0.02
    large = torch.nn.functional.pad(image.repeat_interleave(6, 0).repeat_interleave(6, 1), (50, 3, 9, 90))
    assert standardised(large)[0].sub(image).abs().mean() < 0.04


def test_jitter_is_the_affine_map_of_its_six_numbers():
    images = torch.stack([glyph(letter)[0] for letter in "RQ"])
    got = jittered(images, 1.5, generator=seeded(3))
    numbers = (2 * torch.rand(2, 6, generator=seeded(3)) - 1).double() * 1.5
    for image, out, (angle, shear, wide, high, right, down) in zip(images, got, numbers.tolist(), strict=True):
        angle, shear = angle * torch.pi / 12, shear * 0.15
        turn = torch.tensor([[angle, angle]]).double()
        cos, sin = turn.cos()[0, 0], turn.sin()[0, 0]
        rotate = torch.stack([torch.stack([cos, -sin]), torch.stack([sin, cos])])
        stretch = torch.tensor([0.15 * wide, 0.15 * high]).double().exp().diag()
        lean = torch.tensor([[1.0, shear], [0.0, 1.0]]).double()
        for row, column in ((14, 14), (9, 12), (20, 10)):
            at = torch.tensor([column + 0.5, row + 0.5]).double() - 14
            x, y = (rotate @ lean @ stretch @ at + 1.5 * torch.tensor([right, down]).double() + 13.5).tolist()
            assert float(out[row, column]) == pytest.approx(bilinear(image, x, y), abs=1e-4)


def bilinear(image: torch.Tensor, x: float, y: float) -> float:
    left, top = int(x // 1), int(y // 1)
    corners = [
        (left + i, top + j, (x - left if i else 1 - x + left) * (y - top if j else 1 - y + top))
        for i in (0, 1)
        for j in (0, 1)
    ]
    return sum(float(image[r, c]) * w for c, r, w in corners if 0 <= r < 28 and 0 <= c < 28)


def test_pixels_alone_are_as_good_as_measured_before():
    learner, right = nearest_neighbour(5), []
    for task in each(Glyphs("held out").sample(300, 1, 3, generator=seeded(0))):
        y_hat = learner.predict(learner.adapt({}, task.support), task.query.x)
        right.append((y_hat.argmax(-1) == task.query.y).float().mean())
    assert 0.48 < float(torch.stack(right).mean()) < 0.60


def test_no_two_images_of_held_out_letters_are_the_same():
    images, there = glyphs._rendered("held out")
    assert len({image.numpy().tobytes() for image in images[there]}) == int(there.sum()) == 102 * 12


def test_a_face_has_what_its_part_of_the_list_says():
    assert glyphs._rendered("held out")[1].sum(0).tolist() == [102] * 12 + [0] * 10
    assert glyphs._rendered("train")[1][:, 12:].sum(0).min() >= 51  # the letters from A to z


def test_the_same_generator_draws_the_same_tasks():
    a, b = (Glyphs().sample(2, 2, 2, generator=seeded(5)) for _ in range(2))
    assert torch.equal(a.query.x, b.query.x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Glyphs("test"), "part is 'test'; allowed: 'train', 'validation', 'held out'"),
        (lambda: Glyphs(n_way=333), "n_way is 333; allowed: at most 332, the number of letters"),
        (lambda: Glyphs(n_way=0), "n_way is 0; allowed: a whole number, 1 or more"),
        (lambda: Glyphs(jitter=-1.0), "jitter is -1.0; allowed: a finite number, 0 or more"),
        (lambda: Glyphs(faces=("Arial", "cmr10")), "faces is 'Arial'; allowed: 'DejaVuSans'"),
        (lambda: Glyphs(faces=("DejaVuSans",)), "allowed: at least two different ones"),
        (lambda: Glyphs().sample(1, 7, 1, generator=seeded(0)), "k_shot is 7; allowed: at most 6, the faces of one"),
        (lambda: Glyphs().sample(1, 1, 7, generator=seeded(0)), "n_query is 7; allowed: at most 6, the faces of one"),
        (lambda: Glyphs().sample(0, 1, 1, generator=seeded(0)), "n_tasks is 0; allowed: a whole number, 1 or more"),
        (lambda: glyph("AB"), "character is 'AB'; allowed: one character"),
        (lambda: glyph("Ж", "cmr10"), "character is 'Ж', which cmr10 does not have"),
        (lambda: glyph(" "), "character is ' ', which leaves no ink"),
        (lambda: glyph("A", "LastResortHE-Regular"), "face is 'LastResortHE-Regular'; allowed: 'DejaVuSans'"),
        (lambda: standardised(torch.zeros(9, 9)), "picture has no ink; allowed: at least one pixel above 0"),
        (lambda: standardised(torch.zeros(1, 9, 9)), "picture has shape (1, 9, 9); allowed: (height, width)"),
    ],
)
def test_wrong_arguments_are_named(call, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
