"""The few-shot explorer: what it shows is what the learners say of the same images, the reader's drawings included."""

import numpy as np
import pytest
import torch

from mapping_lib.chapters.few_shot_images import explorer as few_shot
from mapping_lib.chapters.few_shot_images.explorer import ASK, EXPLORER, INVENTED, State, compute
from mapping_lib.chapters.few_shot_images.methods import METHODS, can, ready
from mapping_lib.page.sentence import plain
from mapping_lib.task import Batch
from mapping_lib.worlds.letters import FACES, Glyphs, glyph
from mapping_lib.worlds.pictures import drawn, jittered

CORNER = (((0.2, 0.2), (0.2, 0.8), (0.8, 0.8)),)
SQUARE = (((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8), (0.2, 0.2)),)
FIXED = ("MAML", "ANIL")


def ways_of(name: str) -> int:
    """A number of ways that a method can do."""
    return 5 if name in FIXED else 4


def drawings(*drawn, asked=()) -> tuple:
    """These characters in the first places, and one to be recognised."""
    return (*drawn, *((),) * (ASK - len(drawn)), asked)


def words(**values) -> str:
    state = State(**({"episode": 1, "method": "pixel 1-NN"} | values))
    return plain(EXPLORER.words(state, compute(state)))


# The episode ----------------------------------------------------------------------------------------------


def test_rows_are_letters_never_trained_on_and_no_face_is_on_both_sides():
    support, query = few_shot.episode(3, 0.0, 4, 5)
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
    pixels = {"method": "pixel 1-NN", "episode": 1}
    few, many = (compute(State(way=n, k_shot=k, **pixels))["support"] for n, k in ((3, 1), (9, 4)))
    assert np.array_equal(few, many[: 3 * 4 : 4])
    straight, bent, more = (compute(State(jitter=jitter, **pixels))["support"] for jitter in (0.0, 0.25, 2.0))
    assert 0 < np.abs(bent - straight).mean() < np.abs(more - straight).mean()
    own = torch.Generator().manual_seed(2)
    largest = [few_shot.episode(2, jitter, 20, 5)[0].x[:, 0] for jitter in (0.0, 1.5)]
    assert torch.equal(largest[1], jittered(largest[0], 1.5, generator=own))


@pytest.mark.parametrize("way", [2, 7, 20])
def test_the_shown_queries_are_of_the_framed_classes(way: int):
    frame = compute(State(way=way, method="pixel 1-NN", episode=1))
    _, query = few_shot.episode(1, 1.0, way, 1)
    framed = frame["true_cells"].reshape(way, 10)
    assert framed.sum(0).tolist() == [1] * 10
    for image, label in zip(frame["query"], framed.argmax(0), strict=True):
        rows = (query.x[:, 0] == torch.from_numpy(image)).all((1, 2)).nonzero()[:, 0]
        assert query.y[rows].tolist() == [label]


@pytest.mark.parametrize("k_shot", [1, 5])
@pytest.mark.parametrize("name", METHODS)
def test_confidences_are_the_learners_own_on_the_images_shown(name: str, k_shot: int):
    way = ways_of(name)
    frame = compute(State(way=way, k_shot=k_shot, method=name, jitter=0.5, episode=1))
    learner, theta = ready(name, way, k_shot)
    support = Batch(torch.from_numpy(frame["support"])[:, None], torch.arange(way).repeat_interleave(k_shot))
    logits = learner.predict(learner.adapt(theta, support), torch.from_numpy(frame["query"])[:, None]).detach()
    assert frame["shares"].reshape(way, 10) == pytest.approx(logits.softmax(-1).T.numpy(), abs=1e-5)
    right = logits.argmax(-1).numpy() == frame["true_cells"].reshape(way, 10).argmax(0)
    assert frame["signs"] == ["✓" if good else "✗" for good in right]
    assert frame["right"] == right.sum()
    answers = [frame["cell_colours"][10 * row + i] for i, row in enumerate(logits.argmax(-1).tolist())]
    assert answers == ["right" if good else "wrong" for good in right]


def test_the_pixel_neighbour_is_the_nearest_image():
    frame = compute(State(method="pixel 1-NN", way=6, k_shot=2, episode=1))
    support = frame["support"].reshape(6, 2, 28, 28)
    distance = ((frame["query"][:, None, None] - support[None]) ** 2).sum((-1, -2)).min(-1)
    expected = np.exp(-np.sqrt(distance))
    assert pytest.approx(expected / expected.sum(1, keepdims=True), rel=1e-3) == frame["shares"].reshape(6, 10).T


@pytest.mark.parametrize("name", METHODS)
def test_the_accuracy_is_taken_over_all_queries_of_each_episode(name: str):
    way = ways_of(name)
    frame = compute(State(method=name, way=way, k_shot=3, episode=2))
    for number, share in zip((1, 2), frame["scores"], strict=True):
        support, query = few_shot.episode(number, 1.0, way, 3)
        learner, theta = ready(name, way, 3)
        y_hat = learner.predict(learner.adapt(theta, support), query.x)
        assert share == pytest.approx(float((y_hat.argmax(-1) == query.y).float().mean()))
    assert frame["episodes"].tolist() == [1, 2]
    assert frame["mean"] == pytest.approx(frame["scores"].mean())
    assert frame["half"] == pytest.approx(1.96 * np.std(frame["scores"], ddof=1) / 2**0.5)


def test_of_slow_methods_the_last_episodes_are_judged():
    frame = compute(State(method="from scratch", way=2, episode=5))
    assert frame["episodes"].tolist() == frame["all_episodes"].tolist() == [3, 4, 5]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("way", [2, 5, 20])
def test_it_knows_which_ways_a_method_has_a_theta_for(name: str, way: int):
    if can(name, way):
        ready(name, way)
    else:
        with pytest.raises(ValueError, match="n_way"):
            ready(name, way)


@pytest.mark.parametrize("name", FIXED)
def test_a_method_of_fixed_ways_says_so(name: str):
    state = {"method": name, "way": 7, "drawings": drawings(CORNER, SQUARE, asked=SQUARE)}
    frame = compute(State(**state))
    assert not set(frame["signs"]) - {""}
    assert not np.isfinite(frame["own_shares"]).any()
    assert f"{name} was meta-trained for 5 or 20 letters" in words(**state)
    assert "you ask for 7" in words(**state)
    assert "needs 5, and 2 are there" in words(**state)


def test_words_tell_better_from_alike_and_from_worse():
    assert "More than pixels" in words(method="prototypical", episode=4)
    assert "Less than pixels" in words(method="from scratch", way=20, episode=3)
    assert "Pixels alone do as well" in words(method="prototypical", way=2, k_shot=5, jitter=0.0)


# The reader's characters ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_the_answer_is_the_learners_own_on_the_drawn_images(name: str):
    frame = compute(State(method=name, drawings=INVENTED, episode=1))
    learner, theta = ready(name, 5)
    support = Batch(torch.stack([drawn(d) for d in INVENTED[:ASK]]), torch.arange(5))
    logits = learner.predict(learner.adapt(theta, support), drawn(INVENTED[ASK])[None]).detach()
    assert frame["own_shares"][:ASK] == pytest.approx(logits.softmax(-1)[0].numpy(), abs=1e-5)
    assert np.isnan(frame["own_shares"][ASK])


@pytest.mark.parametrize("name", [name for name in METHODS if name not in FIXED])
@pytest.mark.parametrize(("asked", "letter"), [(CORNER, "A"), (SQUARE, "D")])
def test_places_left_empty_are_no_classes(name: str, asked, letter: str):
    state = {"method": name, "drawings": (CORNER, (), (), SQUARE, (), asked)}
    shares = compute(State(**state, episode=1))["own_shares"]
    assert np.isfinite(shares).nonzero()[0].tolist() == [0, 3]
    assert f"looks most like {letter}" in words(**state)


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        (drawings(), "Nothing is drawn"),
        (drawings(asked=SQUARE), "Nothing is drawn"),
        (drawings(CORNER), "Only A is drawn"),
        (drawings(CORNER, asked=SQUARE), "Only A is drawn"),
        (drawings(CORNER, SQUARE), "A and B are drawn: draw one of them again"),
        (drawings(CORNER, SQUARE, INVENTED[1]), "A, B and C are drawn"),
        (drawings(CORNER, CORNER, asked=CORNER), "hardly more like it: 50 %"),
        ([[[[0.2, 0.2]]], [[[0.1, 0.1], [0.9, 0.9]]], [], [], [], [[[0.5, 0.5]]]], "looks most like A"),
    ],
)
def test_what_is_drawn_and_what_is_missing_is_said(drawn, said: str):
    assert said in words(drawings=drawn)
