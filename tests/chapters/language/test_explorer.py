"""The explorer of languages: what it shows is what the learners answer, and it says when a text cannot be read."""

import numpy as np
import pytest
import torch
from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font

from mapping_lib.chapters.language import explorer
from mapping_lib.chapters.language.explorer_canvas import LanguagesCanvas, printable, shortened
from mapping_lib.chapters.language.explorer_compute import (
    SHARPNESS,
    Frame,
    State,
    centroids,
    characters,
    contributions,
    draw,
    unreadable,
)
from mapping_lib.chapters.language.family import PARTS, counts, features, languages
from mapping_lib.chapters.language.study import CHOSEN, METHODS
from mapping_lib.study import read_table
from mapping_lib.task import Batch


def asked(**values) -> Frame:
    return explorer.compute(State(**values))


def logits(method: str, frame: Frame, names: list[str]) -> torch.Tensor:
    """What the learner of the table answers after the names that are shown, by nothing but its contract."""
    chosen = METHODS[method]
    learner, theta = chosen.make(CHOSEN.get(method, {}).get(frame.there_shots))

    def read(names: list[str]) -> torch.Tensor:
        return chosen.read((counts if chosen.reading == "counts" else features)(names))

    support = [name for names in frame.support for name in names]
    y = torch.arange(len(frame.support)).repeat_interleave(frame.state.k_shot)
    with torch.no_grad():
        phi = learner.adapt(theta, Batch(read(support), y))
        return learner.predict(phi, read(names))[:, : len(frame.support)]


@pytest.mark.parametrize("values", [{}, {"k_shot": 5, "n_way": 3, "draw": 8}, {"part": "train", "name": "Reykjavík"}])
@pytest.mark.parametrize("method", METHODS)
def test_probabilities_are_those_of_the_learner_in_the_table(method: str, values: dict):
    frame = asked(**values)
    scores = logits(method, frame, [frame.asked.name]) * SHARPNESS.get(method, 1.0)
    assert frame.probabilities[method] == pytest.approx(scores[0].softmax(-1).numpy(), abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_accuracy_is_counted_over_twenty_other_names_of_each_language(method: str):
    frame = asked(k_shot=2, n_way=4, draw=11)
    others = draw("held out", 4, 2, 11, 0).others
    answered = logits(method, frame, [name for names in others for name in names]).argmax(-1).tolist()
    right = [answer == i // 20 for i, answer in enumerate(answered)]
    assert len(right) == 80
    assert frame.here[method] == pytest.approx(np.mean(right), abs=0.013)  # one tie may fall the other way
    assert frame.there[method] == read_table("language_names")[method, "2-shot"].mean


@pytest.mark.parametrize("name", ["Suomi", "Banana"])  # the second has n-grams that occur more than once
def test_what_the_ngrams_add_up_to_is_the_difference_of_the_two_distances(name: str):
    frame = asked(k_shot=3, name=name)
    centres = centroids(draw("held out", 5, 3, 3, 0), frame.state)
    distances = (features([name]) - centres).square().sum(-1)
    assert sum(pull for _, pull in frame.spoke) == pytest.approx(
        float(distances[frame.second] - distances[frame.first]), abs=1e-5
    )
    assert distances.argsort()[:2].tolist() == [frame.first, frame.second]
    sizes = [abs(pull) for _, pull in frame.spoke]
    assert sizes == sorted(sizes, reverse=True)


def test_an_ngram_that_one_language_has_pulls_towards_it():
    centres = features(["aaaa", "bbbb"])
    pulls = dict(contributions("ab", centres, 0, 1))
    assert pulls["a"] > 0 > pulls["b"]
    assert pulls["a"] == pytest.approx(-pulls["b"], abs=1e-5)


def test_names_that_are_shown_are_not_asked_and_more_leave_the_earlier_ones_in_place():
    few, many = (draw("held out", 5, k, 3, 0) for k in (2, 20))
    assert all(a == b[:2] for a, b in zip(few.support, many.support, strict=True))
    assert few.others == many.others
    for support, others, language in zip(many.support, many.others, many.languages, strict=True):
        assert (len(set(support)), len(set(others))) == (20, 20)
        assert not set(support) & set(others)
        assert {*support, *others} <= set(language.names)
    assert {language.code for language in many.languages} <= {la.code for la in languages("held out")}


def test_the_asked_name_is_of_the_language_that_is_called_the_truth():
    for number in range(12):
        frame = asked(asked=number, n_way=4)
        assert frame.asked.name in frame.languages[frame.asked.label].names
        assert frame.asked.name not in frame.support[frame.asked.label]
    assert "Nothing is typed" in frame.words


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("42!", "42! cannot be read: it has no letter"),
        ("  \t ", "Nothing is typed"),
        ("Россия", "has the letter и; write it in Latin letters"),
        ("日本", "write it in Latin letters"),
        ("😀 1", "it has no letter"),
        ("<b>1</b>!", "You typed it"),
        ("<1>", "&lt;1&gt; cannot be read"),
        ("Oslo", "You typed it, so nobody here knows the truth"),
    ],
)
def test_a_text_that_cannot_be_read_is_answered_in_words(typed: str, words: str):
    frame = asked(name=typed)
    assert words in frame.words
    assert bool(frame.probabilities) != bool(frame.asked.problem)
    assert "<1>" not in frame.words
    LanguagesCanvas().draw(frame)


def test_a_typed_name_is_read_up_to_a_length_and_without_more_blanks():
    frame = asked(name="  New \n  York " + "y" * 100)
    assert frame.asked.name == ("New York " + "y" * 100)[:40]
    assert np.allclose(asked(name="oslo").probabilities["naive Bayes"], asked(name="OSLO").probabilities["naive Bayes"])


def test_every_name_of_the_data_can_be_read():
    assert not [n for part in PARTS for language in languages(part) for n in language.names if unreadable(n)]


def test_it_says_when_a_method_has_met_the_languages_before():
    met = "has met these languages"
    assert met in asked(part="train", method="MAML").words
    assert met not in asked(part="train", method="naive Bayes").words
    assert met not in asked(method="MAML").words


def test_names_are_shortened_to_the_room_there_is():
    assert shortened(("Oslo",), room=10) == "Oslo"
    assert shortened(("A" * 30, "B"), room=10) == "A" * 9 + "…"
    assert shortened(("Oslo", "Bergen", "Stavanger"), room=12) == "Oslo, Bergen, …"


def test_every_character_of_the_data_can_be_drawn_and_others_become_question_marks():
    font = FT2Font(findfont("DejaVu Sans"))
    assert not [c for c in characters() if ord(c) not in font.get_charmap()]
    assert printable("Ɗuniya 日\t!") == "Ɗuniya ??!"


def test_a_name_that_shares_nothing_with_the_examples_has_no_pull_and_is_drawn():
    frame = asked(n_way=2, draw=57, name="x", asked=1)
    assert not any(pull for _, pull in frame.spoke if pull > 0.5)
    LanguagesCanvas().draw(frame._replace(spoke=[("x", 0.0)]))
