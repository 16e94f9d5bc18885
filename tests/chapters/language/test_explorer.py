"""The explorer of languages: what it shows is what the learners answer, and it says when a text cannot be read."""

import numpy as np
import pytest
import torch

from mapping_lib.chapters.language.explorer import EXPLORER, State, asked, compute, draw
from mapping_lib.chapters.language.family import PARTS, counts, features, languages, pulls, runs, unreadable
from mapping_lib.chapters.language.study import CHOSEN, METHODS, SHARPNESS
from mapping_lib.page.sentence import plain
from mapping_lib.study import read_table
from mapping_lib.task import Batch


def drawn_of(state: State):
    return draw(state.part, state.n_way, state.k_shot, state.draw, state.examples)


def words(**values) -> str:
    state = State(**values)
    return plain(EXPLORER.words(state, compute(state)))


def logits(method: str, state: State, names: list[str]) -> torch.Tensor:
    """What the learner of the table answers after the names that are shown, by nothing but its contract."""
    chosen, k = METHODS[method], {1: 1, 2: 2, 5: 5}[state.k_shot]
    learner, theta = chosen.make(CHOSEN.get(method, {}).get(k))

    def read(names: list[str]) -> torch.Tensor:
        return chosen.read((counts if chosen.reading == "counts" else features)(names))

    support = [name for names in drawn_of(state).support for name in names]
    y = torch.arange(state.n_way).repeat_interleave(state.k_shot)
    with torch.no_grad():
        phi = learner.adapt(theta, Batch(read(support), y))
        return learner.predict(phi, read(names))[:, : state.n_way]


@pytest.mark.parametrize("values", [{}, {"k_shot": 5, "n_way": 3, "draw": 8}, {"part": "train", "name": "Reykjavík"}])
@pytest.mark.parametrize("method", METHODS)
def test_probabilities_are_those_of_the_learner_in_the_table(method: str, values: dict):
    state = State(**values)
    frame, row = compute(state), list(METHODS).index(method)
    scores = logits(method, state, [asked(state, drawn_of(state))[0]]) * SHARPNESS.get(method, 1.0)
    assert frame["probabilities"][row] == pytest.approx(scores[0].softmax(-1).numpy(), abs=1e-4)
    ends = np.array([frame[f"end_{i}"][row] for i in range(6)])
    assert np.diff(ends)[: state.n_way] == pytest.approx(frame["probabilities"][row], abs=1e-6)
    assert ends[state.n_way :] == pytest.approx(1.0)


@pytest.mark.parametrize("method", METHODS)
def test_accuracy_is_counted_over_twenty_other_names_of_each_language(method: str):
    state = State(k_shot=2, n_way=4, draw=11, method=method)
    frame = compute(state)
    answered = logits(method, state, [n for names in drawn_of(state).others for n in names]).argmax(-1).tolist()
    right = [answer == i // 20 for i, answer in enumerate(answered)]
    assert len(right) == frame["n_others"] == 80
    assert frame["here"] == pytest.approx(np.mean(right), abs=0.013)  # one tie may fall the other way
    assert frame["there"] == read_table("language_names")[method, "2-shot"].mean


@pytest.mark.parametrize("name", ["Suomi", "Banana"])  # the second has n-grams that occur more than once
def test_what_the_ngrams_add_up_to_is_the_difference_of_the_two_distances(name: str):
    state = State(k_shot=3, name=name)
    drawn, frame = drawn_of(state), compute(state)
    centres = torch.stack([features(names).mean(0) for names in drawn.support])
    distances = (features([name]) - centres).square().sum(-1)
    first, second = distances.argsort()[:2].tolist()
    each, rest = pulls(name, centres, first, second)
    assert sum(pull for *_, pull in each) + rest == pytest.approx(float(distances[second] - distances[first]), abs=1e-5)
    assert (frame["first"], frame["second"]) == (drawn.languages[first].name, drawn.languages[second].name)
    for begin, run, _ in each:
        assert f" {name.lower()} "[begin + 1 :].startswith(run)
    assert [run for _, run, _ in each] == [run for _, run in runs(name)]
    sizes = np.abs(frame["pulls"][3:])
    assert sizes[0] == 1
    assert (np.diff(sizes) <= 0).all()


def test_an_ngram_that_one_language_has_pulls_towards_it_and_so_do_its_letters():
    each, _ = pulls("ab", features(["aaaa", "bbbb"]), 0, 1)
    total = {run: pull for _, run, pull in each}
    assert total["a"] > 0 > total["b"]
    assert total["a"] == pytest.approx(-total["b"], abs=1e-5)
    frame = compute(State())
    assert "".join(frame["letters"]) == frame["asked_name"]
    loudest = int(frame["letter_pull"].argmax())
    assert frame["letter_colours"][loudest] == frame["first_colour"]
    assert any(frame["letters"][loudest].lower() in run for run in frame["runs"])


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
    for number in range(1, 13):
        state = State(asked=number, n_way=4)
        name, label = asked(state, drawn_of(state))
        language, frame = drawn_of(state).languages[label], compute(state)
        assert name in language.names
        assert frame["titles"][label] == f"✓ {language.name}"
        verdict = "which is right" if frame["answer"] == language.name else f"but it is {language.name}"
        assert verdict in plain(EXPLORER.words(state, frame))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("42!", "“42!” cannot be read: it has no letter"),
        ("Россия", "has the letter и; write it in Latin letters"),
        ("日本", "write it in Latin letters"),
        ("😀 1", "it has no letter"),
        ("<b>1</b>!", "You typed it"),
        ("Oslo", "You typed it, so nobody here knows the truth"),
        ("  \t ", "which is right"),
    ],
)
def test_a_text_that_cannot_be_read_is_answered_in_words(typed: str, said: str):
    assert said in words(name=typed)
    frame = compute(State(name=typed))
    assert bool(frame["probabilities"].any()) != bool(frame["problem"])
    assert bool(frame["runs"]) != bool(frame["problem"])


def test_a_typed_name_is_read_up_to_a_length_and_without_more_blanks():
    frame = compute(State(name="  New \n  York " + "y" * 100))
    assert frame["asked_name"] == ("New York " + "y" * 100)[:40]
    assert np.allclose(*(compute(State(name=name))["probabilities"] for name in ("oslo", "OSLO")))


def test_a_letter_that_is_longer_in_lower_case_has_its_tiles():
    frame = compute(State(name="İzmir", part="train"))
    assert len(frame["letters"]) == len(frame["letter_pull"]) == len("İzmir".lower())


def test_every_name_of_the_data_can_be_read():
    assert not [n for part in PARTS for language in languages(part) for n in language.names if unreadable(n)]


def test_it_says_when_a_method_has_met_the_languages_before():
    met = "It met these languages"
    assert met in words(part="train", method="MAML")
    assert met not in words(part="train", method="naive Bayes")
    assert met not in words(method="MAML")


def test_a_name_that_shares_nothing_with_the_examples_has_no_pull():
    frame = compute(State(n_way=2, draw=1, name="q"))
    assert frame["runs"] == []
    assert not frame["pulls"].any()
    assert not frame["letter_pull"].any()
    assert "No letter of it pulls" in words(n_way=2, draw=1, name="q")
