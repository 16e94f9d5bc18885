"""Predictions under a hand: by mouse and by keys, on a page without a kernel."""

import json
from html import escape

import pytest
from front import opened
from playwright.sync_api import expect

from mapping_lib.page import front as front_end
from mapping_lib.page.plots import COLOUR_OF
from mapping_lib.page.prediction import predict

ROOM = '<div style="height: 2000px"></div>'
METHODS = ["MAML", "joint training", "from scratch"]


@pytest.fixture
def page(browser):
    with opened(browser) as page:
        yield page


def show(page, guess, value, room: str = "") -> None:
    """A question and its answer, with something between them."""
    page.set_content(page_of(guess, guess.against(value), room=room))


def page_of(*views, room: str = "") -> str:
    held = [escape(json.dumps(view.specification, ensure_ascii=False)) for view in views]
    places = f"{room}\n".join(f"<div data-prediction='{spec}'></div>" for spec in held)
    mount = (
        'for (const place of document.querySelectorAll("[data-prediction]"))'
        " mount(place, JSON.parse(place.dataset.prediction));"
    )
    script = f"{front_end.module_of_predictions()}\n{mount}"
    return front_end.html("Predictions", front_end.style_of_predictions(), places, script, "light")


def which(page, value: str = "MAML", room: str = "") -> None:
    show(page, predict("Which falls fastest?", METHODS), value, room)


def said(page, role: str):
    return page.locator(f"[data-role={role}] .said")


def button(page, name: str):
    return page.get_by_role("radio", name=name)


def test_the_answer_is_hidden_until_the_reader_has_made_a_guess(page):
    which(page)
    assert "MAML" not in page.locator("[data-role=answer]").inner_text()
    button(page, "joint training").click()
    expect(said(page, "answer")).to_have_text("≠You said joint training. It was MAML.")
    expect(said(page, "ask")).to_have_text("You said joint training.")
    expect(button(page, "joint training")).to_be_checked()


def test_the_keyboard_goes_through_the_options_and_says_one(page):
    which(page)
    page.keyboard.press("Tab")
    expect(button(page, "MAML")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(button(page, "from scratch")).to_be_focused()
    assert page.get_by_role("radio", checked=True).count() == 0, "going there says nothing yet"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(said(page, "answer")).to_have_text("✓You said MAML. It was MAML.")
    group = page.get_by_role("radiogroup", name="Which falls fastest?")
    assert group.locator("[tabindex='0']").all_inner_texts() == ["MAML"]


def test_a_guess_may_be_changed_until_the_answer_was_in_sight(page):
    which(page, room=ROOM)
    for method in METHODS:
        button(page, method).click()
        expect(said(page, "ask")).to_have_text(f"You said {method}. You may still change it.")
        expect(said(page, "answer")).to_contain_text(f"You said {method}. It was MAML.")
    said(page, "answer").scroll_into_view_if_needed()
    expect(said(page, "ask")).to_have_text("You said from scratch.")
    button(page, "MAML").click(force=True)
    expect(said(page, "ask")).to_have_text("You said from scratch.")
    expect(button(page, "MAML")).to_be_disabled()


def test_who_does_not_guess_may_look_and_may_guess_late(page):
    which(page)
    page.get_by_role("button", name="show me").click()
    expect(said(page, "answer")).to_have_text("No guess this time. It was MAML.")
    button(page, "from scratch").click()
    expect(said(page, "answer")).to_have_text("≠You said from scratch. It was MAML.")


STEPS = {"between": (1, 100), "unit": "steps", "whole": True}
DISTANCES = [
    (STEPS, 24, "36", "≠You said 37 steps. It was 24 steps. 13 steps too many."),
    (STEPS, 38, "36", "≈You said 37 steps. It was 38 steps. 1 step too few."),
    (STEPS, 37, "36", "✓You said 37 steps. It was 37 steps. Exactly."),
    ({"between": (0, 1), "unit": "s"}, 0.25, "180", "≠You said 0.9 s. It was 0.25 s. 0.65 s too high."),
    ({"between": (0, 100), "unit": "%"}, 60, "20", "≠You said 10 %. It was 60 %. 50 percentage points too low."),
    ({"between": (0.001, 1), "log": True}, 0.04, "200", "≠You said 1. It was 0.04. Too high by a factor of 25."),
]


@pytest.mark.parametrize(("asked", "value", "step", "words"), DISTANCES, ids=range(len(DISTANCES)))
def test_a_number_counts_when_the_reader_commits_and_its_distance_is_said(page, asked, value, step, words):
    show(page, predict("How much?", **asked), value)
    page.get_by_role("slider", name="How much?").fill(step)
    assert "It was" not in said(page, "answer").inner_text()
    page.get_by_role("button", name="commit").click()
    expect(said(page, "answer")).to_have_text(words)
    expect(page.get_by_role("slider")).to_be_disabled()


def test_a_slider_goes_by_keys_and_reaches_both_ends(page):
    show(page, predict("How many?", between=(1, 1000), unit="tasks", whole=True), 3)
    slider = page.get_by_role("slider")
    for key, words in (("Home", "1 task"), ("ArrowRight", "6 tasks"), ("End", "1000 tasks")):
        slider.press(key)
        assert slider.get_attribute("aria-valuetext") == page.locator("output").inner_text() == words
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(said(page, "ask")).to_have_text("You said 1000 tasks.")


PLACES = [(24, "it was 24", 23 / 99), (240, "it was 240 →", 1.0), (-3, "← it was −3", 0.0)]


def test_each_step_of_a_slider_says_another_number(page):
    for asked in ({"log": True, "whole": True}, {"whole": True}, {"log": True}, {}):
        show(page, predict("How many?", between=(1, 100), **asked), 3)
        told = page.get_by_role("slider").evaluate(
            """(slider) => Array.from({ length: Number(slider.max) + 1 }, (_, step) => {
                slider.value = step;
                slider.dispatchEvent(new Event("input", { bubbles: true }));
                return Number(document.querySelector("output").innerText);
            })"""
        )
        assert told == sorted(set(told))
        assert (told[0], told[-1]) == (1, 100)
        assert len(told) > 60


@pytest.mark.parametrize(("value", "words", "share"), PLACES)
def test_both_stand_on_one_line_and_what_lies_beyond_it_at_its_end(page, value, words, share):
    show(page, predict("How many?", between=(1, 100), whole=True), value)
    page.get_by_role("slider").fill("99")
    page.get_by_role("button", name="commit").click()
    assert page.locator(".scale span").all_inner_texts() == ["you said 100", words]
    line = page.locator(".scale").bounding_box()
    for mark, at in (("guess", 1.0), ("happened", share)):
        box = page.locator(f".{mark} i").bounding_box()
        assert box["x"] + box["width"] / 2 == pytest.approx(line["x"] + at * line["width"], abs=1)
        box = page.locator(f".{mark} span").bounding_box()
        assert line["x"] - 1 <= box["x"] <= box["x"] + box["width"] <= line["x"] + line["width"] + 1


def test_a_method_has_its_colour_and_buttons_stay_where_they_are(page):
    which(page, room=ROOM)
    colour = button(page, "joint training").locator("i").evaluate("(dot) => getComputedStyle(dot).backgroundColor")
    assert colour == "rgb({}, {}, {})".format(*bytes.fromhex(COLOUR_OF["joint training"][1:]))
    before = [button(page, method).bounding_box() for method in METHODS]
    button(page, "MAML").click()
    assert [button(page, method).bounding_box() for method in METHODS] == before


def test_two_predictions_on_a_page_know_nothing_of_each_other(page):
    first, second = predict("Which?", METHODS), predict("Which, after a step?", METHODS)
    page.set_content(page_of(first, second, first.against("MAML"), second.against("MAML")))
    button(page, "MAML").first.click()
    expect(said(page, "answer").first).to_contain_text("You said MAML.")
    assert "It was" not in said(page, "answer").last.inner_text()
