"""The few-shot explorer: what it shows is what the learners say of the same images, the reader's drawings included."""

import asyncio
import base64
import io
import itertools
import re

import numpy as np
import pytest
import torch
from PIL import Image

from mapping_lib.chapters.few_shot_images import explorer as few_shot
from mapping_lib.chapters.few_shot_images import explorer_compute as frames
from mapping_lib.chapters.few_shot_images.explorer_canvas import FewShotCanvas, row_height
from mapping_lib.chapters.few_shot_images.explorer_compute import ASK, FIXED, State, compute, score
from mapping_lib.chapters.few_shot_images.explorer_drawing import EXAMPLES, as_drawing, image_of
from mapping_lib.chapters.few_shot_images.methods import METHODS, ready
from mapping_lib.task import Batch
from mapping_lib.worlds.letters import FACES, Glyphs, glyph
from mapping_lib.worlds.pictures import jittered

NOTHING = ((),) * (ASK + 1)
CORNER = as_drawing([[(0.2, 0.2), (0.2, 0.8), (0.8, 0.8)]])
SQUARE = as_drawing([[(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8), (0.2, 0.2)]])
FREE = [name for name in METHODS if name not in FIXED]


@pytest.fixture
def panel() -> few_shot.FewShotPanel:
    return few_shot.explorer()


def ways_of(name: str) -> int:
    """A number of ways that a method can do."""
    return 5 if name in FIXED else 4


def drawings(*drawn, asked=()) -> tuple:
    """These characters in the first places, and one to be recognised."""
    return (*drawn, *((),) * (ASK - len(drawn)), asked)


def draws(panel, *strokes) -> None:
    """What the browser sends when strokes have ended."""
    panel.pad.set_state({"strokes": [[list(point) for point in stroke] for stroke in strokes]})


# A drawing becomes an image -------------------------------------------------------------------------------


def test_an_upright_line_is_twenty_pixels_long_and_stands_in_the_middle():
    image = image_of(as_drawing([[(0.3, 0.1), (0.3, 0.5)]]))[0]
    rows, columns = image.nonzero().unbind(1)
    assert [int(edge) for edge in (rows.min(), rows.max(), columns.min(), columns.max())] == [4, 23, 13, 14]
    assert (image[6:22, 13:15] > 0.9).all()  # its round ends are lighter


def test_a_square_has_an_edge_as_wide_as_the_pen():
    """20 x 20 pixels with an edge of 2.4: two full pixels, four tenths of the third, and nothing behind it."""
    image = image_of(SQUARE)[0]
    middle = image[13]
    assert middle[4:7].tolist() == pytest.approx([1, 1, 0.4], abs=0.13)
    assert middle[21:24].tolist() == pytest.approx([0.4, 1, 1], abs=0.13)
    assert image[:, 13] == pytest.approx(middle, abs=0.05)
    assert (image[8:20, 8:20] == 0).all()
    assert (image[:4] == 0).all()
    assert (image[24:] == 0).all()


def test_up_is_up_and_left_is_left():
    image = image_of(CORNER)[0]
    assert (image[6:22, 4:6] > 0.9).all()
    assert (image[22:24, 6:22] > 0.9).all()
    assert (image[4:20, 8:] == 0).all()


def test_a_dot_becomes_a_disc():
    image = image_of((((0.9, 0.1),),))[0]
    assert float(image.sum()) == pytest.approx(np.pi * 10**2, rel=0.04)
    assert image[14, 14] == 1
    assert image[4, 4] == 0


@pytest.mark.parametrize("drawing", [EXAMPLES[0][1], EXAMPLES[1][3]])
def test_where_and_how_large_it_is_drawn_makes_no_difference(drawing):
    small = tuple(tuple((0.7 + 0.25 * x, 0.25 * y) for x, y in stroke) for stroke in drawing)
    assert float((image_of(small) - image_of(drawing)).abs().max()) < 0.15


def test_no_stroke_and_strokes_without_a_point_are_nothing():
    assert image_of(as_drawing([])) is None
    assert image_of(as_drawing([[], []])) is None


def test_drawings_have_as_much_ink_as_printed_letters():
    letters = Glyphs("held out", jitter=0.0).sample(20, 1, 0, generator=torch.Generator().manual_seed(0)).support.x
    ours = [float(image_of(drawing).sum()) for example in EXAMPLES for drawing in example if drawing]
    assert 0.7 < np.mean(ours) / float(letters.sum((2, 3, 4)).mean()) < 1.3


# The episode ----------------------------------------------------------------------------------------------


def test_rows_are_letters_never_trained_on_and_no_face_is_on_both_sides():
    support, query = frames.episode(3, 0.0, 4, 5)
    family = Glyphs("held out", n_way=20, jitter=0.0)
    letters = family.sample(1, 5, 5, generator=torch.Generator().manual_seed(3)).description[0, :4].long().tolist()
    faces = {}
    for name, batch in (("support", support), ("query", query)):
        for image, label in zip(batch.x, batch.y.tolist(), strict=True):
            letter = family.characters[letters[label]]
            same = [face for face in FACES[:12] if torch.equal(image, glyph(letter, face))]
            assert same, (name, letter)
            faces.setdefault(name, set()).update(same[:1])
    assert not faces["support"] & faces["query"]


def test_more_ways_and_shots_add_and_more_jitter_bends_the_same_images():
    few, many = compute(State(way=3, k_shot=1)), compute(State(way=9, k_shot=4))
    assert np.array_equal(few.support, many.support[:3, :1])
    straight, bent, more = (compute(State(jitter=jitter)).support for jitter in (0.0, 0.25, 2.0))
    assert 0 < np.abs(bent - straight).mean() < np.abs(more - straight).mean()


def test_every_episode_bends_its_images_in_its_own_way():
    for number in (1, 2):
        straight, bent = (frames.episode(number, jitter, 20, 5)[0].x[:, 0] for jitter in (0.0, 1.5))
        own = torch.Generator().manual_seed(number)
        assert torch.equal(bent, jittered(straight, 1.5, generator=own))


@pytest.mark.parametrize("way", [2, 7, 20])
def test_the_shown_queries_are_of_the_classes_and_match_their_labels(way: int):
    frame = compute(State(way=way, method="pixel 1-NN", episode=1))
    _, query = frames.episode(1, 1.0, way, 1)
    assert frame.query.shape == (10, 28, 28)
    for image, label in zip(frame.query, frame.truth, strict=True):
        rows = (query.x[:, 0] == torch.from_numpy(image)).all((1, 2)).nonzero()[:, 0]
        assert query.y[rows].tolist() == [label]
    assert len(set(frame.truth.tolist())) > min(way, 6) / 2


@pytest.mark.parametrize("k_shot", [1, 5])
@pytest.mark.parametrize("name", METHODS)
def test_confidences_are_the_learners_own_on_the_images_shown(name: str, k_shot: int):
    way = ways_of(name)
    frame = compute(State(way=way, k_shot=k_shot, method=name, jitter=0.5, episode=4))
    learner, theta = ready(name, way, k_shot)
    support = Batch(torch.from_numpy(frame.support.reshape(-1, 1, 28, 28)), torch.arange(way).repeat_interleave(k_shot))
    logits = learner.predict(learner.adapt(theta, support), torch.from_numpy(frame.query)[:, None])
    assert frame.shares == pytest.approx(logits.softmax(-1).detach().numpy(), abs=1e-5)
    assert frame.right.tolist() == (logits.argmax(-1).numpy() == frame.truth).tolist()
    assert f"{frame.right.sum()} of 10 right" in frame.words


def test_the_pixel_neighbour_is_the_nearest_image():
    frame = compute(State(method="pixel 1-NN", way=6, k_shot=2))
    distance = ((frame.query[:, None, None] - frame.support[None]) ** 2).sum((-1, -2)).min(-1)
    assert frame.shares.argmax(1).tolist() == distance.argmin(1).tolist()
    expected = np.exp(-np.sqrt(distance))
    assert frame.shares == pytest.approx(expected / expected.sum(1, keepdims=True), rel=1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_the_accuracy_is_taken_over_all_queries_of_other_episodes_too(name: str):
    way = ways_of(name)
    scores = []
    for number in (1, 2):
        support, query = frames.episode(number, 1.0, way, 3)
        learner, theta = ready(name, way, 3)
        y_hat = learner.predict(learner.adapt(theta, support), query.x)
        scores.append(float((y_hat.argmax(-1) == query.y).float().mean()))
    assert len(query.y) == 5 * way
    assert [score((name, way, 3, 1.0), number) for number in (1, 2)] == pytest.approx(scores)


def test_words_give_the_mean_with_its_interval():
    frame = compute(State())._replace(scores=(0.5, 0.7, 0.9))
    assert "Over 3 episodes of this setting: <b>70%</b> ± 23%." in frame.words
    assert "Guessing: 20%." in frame.words
    assert "Over" not in frame._replace(scores=()).words


@pytest.mark.parametrize("name", FIXED)
def test_a_method_of_fixed_ways_says_so(name: str):
    frame = compute(State(method=name, way=7, drawings=drawings(CORNER, SQUARE, asked=SQUARE)))
    assert frame.shares is None
    assert frame.answer is None
    assert f"{name} was meta-trained for 5 or 20 classes" in frame.words
    assert "you ask for 7" in frame.words
    assert "5 or 20 classes, and 2 are drawn: draw 5, or choose another method." in frame.words


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("way", [2, 5, 20])
def test_it_knows_which_ways_a_method_has_a_theta_for(name: str, way: int):
    if frames.can(name, way):
        ready(name, way)
    else:
        with pytest.raises(ValueError, match="n_way"):
            ready(name, way)


# The reader's characters ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_the_answer_is_the_learners_own_on_the_drawn_images(name: str):
    state = State(method=name, drawings=EXAMPLES[1])
    frame = compute(state)
    learner, theta = ready(name, 5)
    support = Batch(torch.stack([image_of(d) for d in EXAMPLES[1][:ASK]]), torch.arange(5))
    logits = learner.predict(learner.adapt(theta, support), image_of(EXAMPLES[1][ASK])[None])
    assert frame.answer == pytest.approx(logits.softmax(-1)[0].detach().numpy(), abs=1e-5)


@pytest.mark.parametrize("name", FREE)
@pytest.mark.parametrize(("asked", "letter"), [(CORNER, "A"), (SQUARE, "D")])
def test_places_left_empty_are_no_classes(name: str, asked, letter: str):
    frame = compute(State(method=name, drawings=(CORNER, (), (), SQUARE, (), asked)))
    assert frame.classes == (0, 3)
    assert frame.answer.shape == (2,)
    assert f"looks most like <b>{letter}</b>: {frame.answer.max():.0%} sure" in frame.words


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        (NOTHING, "Nothing is drawn yet"),
        (drawings(asked=SQUARE), "Nothing is drawn yet"),
        (drawings(CORNER), "Only A is drawn"),
        (drawings(CORNER, asked=SQUARE), "Only A is drawn"),
        (drawings(CORNER, SQUARE), "A and B are drawn: press <b>ask</b>"),
        (drawings(CORNER, SQUARE, EXAMPLES[0][1]), "A, B and C are drawn"),
    ],
)
def test_what_is_missing_is_said(drawn, words: str):
    frame = compute(State(method="pixel 1-NN", drawings=drawn))
    assert frame.answer is None
    assert words in frame.words


# The panel ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pixel 1-NN", "MAML", "prototypical"])
def test_every_button_changes_the_picture(panel, monkeypatch, method: str):
    monkeypatch.setattr(few_shot, "JUDGED", 2)
    panel.set(way=3, method=method)
    for label, button in panel.buttons.items():
        old = panel.picture.value
        button.click()
        assert panel.picture.value != old, label


def test_new_episodes_begin_again_after_the_last(panel):
    panel.set(episode=few_shot.MAX_EPISODE)
    panel.buttons["new episode"].click()
    assert panel.state.episode == panel.controls["episode"].value == 1


def test_two_characters_and_a_query_drawn_with_the_mouse_are_told_apart(panel):
    panel.set(method="pixel 1-NN")
    panel.buttons["clear all"].click()
    draws(panel, *CORNER)
    panel.buttons["next character"].click()
    assert panel.pad.strokes == []
    draws(panel, *SQUARE)
    panel.buttons["ask"].click()
    draws(panel, *CORNER)
    assert panel.state.drawings == drawings(CORNER, SQUARE, asked=CORNER)
    assert "looks most like <b>A</b>" in panel.words.value
    draws(panel, *CORNER, ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8)))  # a further stroke
    assert "looks most like <b>B</b>" in panel.words.value


def test_a_drawing_leaves_the_rest_of_the_picture_as_it_is(panel):
    before = panel.canvas.pixels()[:, :670].copy()
    panel.buttons["clear all"].click()
    draws(panel, *SQUARE)
    assert np.array_equal(panel.canvas.pixels()[:, :670], before)


def test_the_pad_shows_the_drawing_of_its_place_and_showing_it_draws_nothing(panel):
    kept = panel.state.drawings
    for _ in range(7):
        panel.buttons["next character"].click()
        place = panel.state.place
        assert as_drawing(panel.pad.strokes) == kept[place]
        assert panel.pad.caption == f"draw {'ABCDE'[place]}"
    assert panel.state.drawings == kept
    panel.buttons["ask"].click()
    assert panel.pad.caption == "draw the query"
    assert as_drawing(panel.pad.strokes) == kept[ASK]


def test_a_button_computes_once(panel):
    asked = []
    whole, panel.compute = panel.compute, lambda state: asked.append(state) or whole(state)
    for label in ("another example", "next character", "clear", "reset", "new episode"):
        panel.buttons[label].click()
    assert len(asked) == 5


def test_next_character_goes_no_further_than_the_first_empty_place(panel):
    panel.buttons["clear all"].click()
    places = []
    for _ in range(2):
        panel.buttons["next character"].click()
        places.append(panel.state.place)
    draws(panel, *SQUARE)
    for _ in range(3):
        panel.buttons["next character"].click()
        places.append(panel.state.place)
    panel.buttons["ask"].click()
    panel.buttons["next character"].click()
    assert [*places, panel.state.place] == [0, 0, 1, 0, 1, 1]


def test_ask_twice_begins_a_new_query_and_clear_takes_one_drawing(panel):
    panel.buttons["ask"].click()  # it stood there
    assert panel.state.drawings == (*EXAMPLES[0][:ASK], ())
    panel.set(place=1)
    panel.buttons["clear"].click()
    assert [bool(drawing) for drawing in panel.state.drawings] == [True, False, True, True, False, False]
    assert panel.pad.strokes == []


def test_examples_come_in_turn(panel):
    seen = [panel.state.drawings]
    for _ in EXAMPLES:
        panel.buttons["another example"].click()
        seen.append(panel.state.drawings)
    assert seen == [*EXAMPLES, EXAMPLES[0]]


def test_strokes_that_are_no_points_give_a_message(panel):
    old = panel.picture.value
    panel.pad.strokes = [["no", "points"]]
    assert "could not be drawn" in panel.words.value
    assert panel.picture.value == old


def test_the_accuracy_grows_in_the_background():
    async def look() -> tuple[int, int]:
        panel = few_shot.explorer()
        opened = panel.scores[State().setting]  # complete at once: a recorded picture shows it
        assert opened == tuple(score(State().setting, number) for number in range(1, 21))
        panel.set(way=20, k_shot=5)
        early = len(panel.scores.get(panel.state.setting, ()))
        for _ in range(500):
            if not panel.running:
                break
            await asyncio.sleep(0.02)
        assert f"Over {frames.JUDGED} episodes" in panel.words.value
        return early, len(panel.scores[panel.state.setting])

    frames.score.cache_clear()
    early, late = asyncio.run(look())
    assert early < late == frames.JUDGED


def test_readers_without_a_kernel_see_the_picture(panel):
    bundle = panel._repr_mimebundle_()
    assert bundle["text/plain"] == "[explorer: few-shot]"
    with Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))) as picture:
        assert picture.size == (1060, 530)
    assert "Over 20 episodes" in panel.words.value


def test_all_rows_find_room_and_are_large_enough_to_see():
    assert [row_height(way) * way <= 530 - 92 for way in range(2, 21)] == [True] * 19
    assert row_height(20) >= 20


def test_right_and_wrong_have_a_sign_and_a_colour_of_their_own():
    canvas, frame = FewShotCanvas(), compute(State(method="pixel 1-NN", jitter=2.0))
    canvas.draw(frame)
    assert 0 < frame.right.sum() < 10
    for i, right in enumerate(frame.right):
        assert canvas._signs[i].text == ("✓" if right else "✗")
        x, y = 318 + 35 * i + 6, 92 + row_height(5) * int(frame.shares[i].argmax()) + 8
        red, _, blue = canvas.pixels()[y, x].astype(int)
        assert (blue > red) == right
    canvas.draw(compute(State(method="MAML", way=6)))
    assert not any(label.text for label in [*canvas._signs, *itertools.chain(*canvas._cells)])


def test_the_pad_needs_nothing_from_the_network():
    script = str(few_shot.explorer().pad._esm)
    assert "export default" in script
    assert not re.search(r"https?:|\bimport\b|\bfetch\b", script)
