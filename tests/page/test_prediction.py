"""Predictions by hand: what they refuse, and what a recorded notebook keeps of them."""

import json
import sys
from types import SimpleNamespace

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook

from mapping_lib.chapters.applications.explorer import explorer
from mapping_lib.page import front
from mapping_lib.page.displayed import VIEW
from mapping_lib.page.prediction import Answer, Prediction, predict
from mapping_lib.tools import recording

METHODS = ["MAML", "joint training", "from scratch"]


def which() -> Prediction:
    return predict("Which of the three falls fastest?", METHODS)


def how_many(**more) -> Prediction:
    return predict("How many steps?", **({"between": (1, 100), "unit": "steps", "whole": True} | more))


def shown(view: Prediction | Answer) -> tuple[dict, dict]:
    return view._repr_mimebundle_()


# What is refused ------------------------------------------------------------------------------------------

REFUSED = [
    (["", ["a", "b"]], {}, "question is ''; allowed: a text"),
    ([3, ["a", "b"]], {}, "question is 3; allowed: a text"),
    (["Which?"], {}, "options is None and between None; allowed: one of the two"),
    (["Which?", ["a", "b"]], {"between": (0, 1)}, r"allowed: one of the two"),
    (["Which?", []], {}, r"options is \[\]; allowed: two or more different texts"),
    (["Which?", ["a"]], {}, r"options is \['a'\]; allowed: two or more different texts"),
    (["Which?", ["a", "b", "a"]], {}, r"options is \['a', 'b', 'a'\]; allowed: two or more different texts"),
    (["Which?", ["a", 2]], {}, r"options\[1\] is 2; allowed: a text"),
    (["Which?", "ab"], {}, "options is 'ab'; allowed: a list of two or more different texts"),
    (["How many?"], {"between": (5, 1)}, r"between is \(5.0, 1.0\); allowed: a pair with low not above high"),
    (["How many?"], {"between": (1, 1)}, r"between is \(1, 1\); allowed: two numbers, the first below the second"),
    (["How many?"], {"between": (0, float("inf"))}, r"between\[1\] is inf; allowed: a finite number"),
    (["How many?"], {"between": (0, "9")}, r"between\[1\] is '9'; allowed: a finite number"),
    (["How many?"], {"between": 9}, r"between is 9; allowed: a pair \(low, high\)"),
    (["How many?"], {"between": (0, 9), "log": True}, r"between is \(0, 9\); allowed: two numbers, above 0"),
    (["How many?"], {"between": (0, 9.5), "whole": True}, r"between is \(0, 9.5\); allowed: two numbers, whole"),
    (["How many?"], {"between": (0, 9), "unit": 3}, "unit is 3; allowed: a text"),
]


@pytest.mark.parametrize(("given", "more", "message"), REFUSED)
def test_what_cannot_be_asked_is_refused_by_name(given, more, message):
    with pytest.raises((TypeError, ValueError), match=message):
        predict(*given, **more)


@pytest.mark.parametrize(
    ("ask", "value", "message"),
    [
        (which, "maml", "value is 'maml'; allowed: 'MAML', 'joint training', 'from scratch'"),
        (which, None, "value is None; allowed: 'MAML'"),
        (how_many, "MAML", "value is 'MAML'; allowed: a finite number"),
        (how_many, float("nan"), "value is nan; allowed: a finite number"),
        (how_many, None, "value is None; allowed: a finite number"),
    ],
)
def test_what_cannot_have_happened_is_refused(ask, value, message):
    with pytest.raises((TypeError, ValueError), match=message):
        ask().against(value)


# What it says ---------------------------------------------------------------------------------------------


def test_readers_without_a_kernel_read_the_question_with_its_options_and_what_happened():
    asked, _ = shown(predict("Is α < β?", ["yes & always", "no"]))
    assert asked["text/plain"] == "[prediction: Is α < β?]"
    assert "<b>Is α &lt; β?</b>" in asked["text/html"]
    assert "<li>yes &amp; always</li><li>no</li>" in asked["text/html"]
    assert "Press <b>Shift+Enter</b> here, and say what you expect." in asked["text/html"]
    assert "<li>from 1 to 100 steps</li>" in shown(how_many())[0]["text/html"]
    answered, _ = shown(which().against("MAML"))
    assert answered["text/plain"] == "It was MAML. Run both cells, and your own guess stands beside it."
    assert "<p>It was <b>MAML</b>.</p>" in answered["text/html"]


@pytest.mark.parametrize(
    ("value", "more", "was"),
    [
        (24, {}, "24 steps"),
        (1, {}, "1 step"),
        (torch.tensor(0.1), {"unit": "", "whole": False}, "0.1"),
        (0.123456789, {"unit": "s", "whole": False}, "0.123 s"),
        (1, {"unit": "s", "whole": False}, "1 s"),
        (240, {}, "240 steps"),  # beyond the slider: its scale says so
        (-12.5, {"unit": "%", "whole": False}, "−12.5 %"),
    ],
)
def test_numbers_are_said_in_few_digits_with_their_unit(value, more, was):
    assert how_many(**more).against(value).specification["was"] == was


def test_the_guess_outlives_the_answer_and_a_question_asked_again_has_none():
    guess = which()
    guess.said = "MAML"
    answers = [guess.against(method) for method in ("MAML", "from scratch")]
    assert {answer._ask for answer in answers} == {guess.model_id}
    assert guess.said == "MAML"
    assert which().said is None


# What is kept ---------------------------------------------------------------------------------------------


def test_question_and_answer_carry_one_name_which_depends_on_what_is_asked():
    guess = which()
    ask, answer = guess.specification, guess.against("MAML").specification
    assert (ask["role"], answer["role"], answer["value"]) == ("ask", "answer", "MAML")
    assert ask["name"] == answer["name"] == which().specification["name"]
    others = [predict("Which?", METHODS), predict("Which of the three falls fastest?", METHODS[:2]), how_many()]
    assert ask["name"] not in {other.specification["name"] for other in others}
    assert how_many().specification["name"] != how_many(between=(1, 99)).specification["name"]


ASK = (
    "from mapping_lib.page.prediction import predict\n\nguess = predict('How many?', between=(1, 9), unit='<b>')\nguess"
)


def test_a_recording_keeps_the_specification_and_is_whole(tmp_path):
    path = tmp_path / "a.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(ASK), new_code_cell("guess.against(1 / 3)")]), path)
    recording.record(path)
    once = path.read_bytes()
    recording.record(path)
    assert path.read_bytes() == once
    assert recording.faults(path) == []
    asked, answered = (cell.outputs[0] for cell in nbformat.read(path, nbformat.NO_CONVERT).cells)
    assert sorted(asked.data) == ["text/html", "text/plain"]
    made = predict("How many?", between=(1, 9), unit="<b>")
    assert asked.metadata["text/html"]["prediction"] == made.specification
    assert answered.metadata["text/html"]["prediction"] == made.against(0.333333).specification
    assert answered.data["text/plain"].startswith("It was 0.333 <b>. ")


def test_predictions_change_nothing_of_explorers():
    """Pictures of explorers are named by their front end."""
    own = front.module_of_predictions()
    assert "prediction_js" in own
    assert "prediction_js" not in front.module()
    assert ".prediction" not in front.style()
    for word in ("eval(", "new Function", "fetch(", "innerHTML", "import("):
        assert word not in own.replace("innerHTML = SQUARE;", ""), word
    assert len(own) + len(front.style_of_predictions()) + len(json.dumps(which().specification)) < 42_000


# On Colab -------------------------------------------------------------------------------------------------


def test_colab_is_told_what_can_show_the_view(monkeypatch: pytest.MonkeyPatch):
    """Colab's own hook tells it of `display`, not of a cell's last line; anywidget's metadata does."""
    colab = SimpleNamespace(enable_custom_widget_manager=lambda: None, _widgets=SimpleNamespace(_installed_url="u"))
    monkeypatch.setitem(sys.modules, "google.colab.output", colab)
    for view in (which(), which().against("MAML"), explorer()):
        assert shown(view)[1][VIEW]["colab"]["custom_widget_manager"] == {"url": "u"}
        assert "text/html" in shown(view)[1], "and what readers without a kernel need"
