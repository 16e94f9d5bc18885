"""What a panel does besides computing: undo, copy, keys, fingers, themes, widths, words that move nothing."""

import ast
import math

import pytest
from front import of, opened, settle, show, stroke

from mapping_lib.chapters.maml_code.explorer_adaptation import EXPLORER, State
from mapping_lib.page.explorer import explorers

ALL = {explorer.name: explorer for explorer in explorers()}
PANEL = of("adaptation")


@pytest.fixture
def page(browser):
    with opened(browser) as page:
        show(page, EXPLORER)
        yield page


def state(page) -> dict:
    return page.evaluate(f"() => {PANEL}.state")


def put(page, name: str, step: int) -> None:
    page.locator(f"[data-name={name}]").evaluate(
        "(slider, step) => { slider.value = step; slider.dispatchEvent(new Event('input')); }", step
    )
    settle(page)


def told(page) -> tuple[dict, str]:
    """The state and its words. (Names in the picture stay where they stood if that is as good.)"""
    return state(page), page.locator(".said").inner_text()


def test_undo_takes_back_gesture_by_gesture_and_reset_all(page):
    start = told(page)
    assert not page.locator("button[data-label=undo]").is_enabled()
    put(page, "steps", 7)
    put(page, "steps", 9)  # one gesture with the last
    put(page, "alpha", 120)
    page.click("button[data-label=undo]")
    assert state(page)["steps"] == 9
    assert state(page)["alpha"] == State.alpha
    page.click("button[data-label=undo]")
    settle(page)
    assert state(page)["steps"] == State.steps
    assert told(page) == start
    put(page, "steps", 3)
    page.click("button[data-label=reset]")
    settle(page)
    assert told(page) == start


def test_the_copied_line_opens_the_same_state(page):
    put(page, "alpha", 120)
    page.locator("[data-name=learner]").evaluate(
        "(select) => { select.value = 1; select.dispatchEvent(new Event('change')); }"
    )
    page.click("button[data-label='one shot']")
    put(page, "steps", 4)
    page.click("button[data-label=copy]")
    line = page.locator("input.line").input_value()
    call = ast.parse(line, mode="eval").body
    assert call.func.id == "explorer"
    opened_there = State(**{keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords})
    now = state(page)
    assert {name: tuple(v) if isinstance(v, list) else v for name, v in now.items()} == vars(opened_there)


def test_keys_choose_move_add_and_remove_points(page):
    canvas = page.locator("canvas")
    canvas.focus()
    n, before = len(state(page)["x"]), state(page)
    canvas.press("PageDown")
    canvas.press("ArrowRight")
    canvas.press("Shift+ArrowUp")
    after = state(page)
    assert after["x"][0] == pytest.approx(before["x"][0] + 0.1, abs=0.011)
    assert after["lift"][0] - before["lift"][0] > 0.5
    canvas.press("Enter")
    assert len(state(page)["x"]) == n + 1
    canvas.press("Delete")
    assert len(state(page)["x"]) == n


@pytest.mark.parametrize("touch", [False, True])
def test_a_press_adds_a_point_a_drag_moves_it_and_out_of_the_picture_it_goes(browser, touch):
    with opened(browser, has_touch=touch) as page:
        show(page, EXPLORER)
        box = page.locator("canvas").bounding_box()
        at = (box["x"] + 0.4 * box["width"], box["y"] + 0.25 * box["height"])
        n = len(state(page)["x"])
        if touch:
            page.touchscreen.tap(*at)
        else:
            stroke(page, at, (at[0] + 30, at[1] + 10))
        settle(page)
        assert len(state(page)["x"]) == n + 1
        handle = page.evaluate(f"() => (({{ x, y }}) => [x, y])({PANEL}.picture.handles.at(-1))")
        wanted = [at[0] - box["x"] + (0 if touch else 30), at[1] - box["y"] + (0 if touch else 10)]
        assert math.dist(handle, wanted) < 3, "it is not where the hand is"
        if not touch:
            there = (box["x"] + handle[0], box["y"] + handle[1])
            stroke(page, there, (there[0], box["y"] - 60))
            settle(page)
            assert len(state(page)["x"]) == n


def test_the_picture_does_not_move_while_words_change(page):
    places, words = set(), set()
    for step in range(0, 200, 12):
        put(page, "alpha", step)
        places.add(str(page.locator("canvas").bounding_box()))
        words.add(page.locator(".said").inner_text())
    assert len(places) == 1
    assert len(words) > 10


def test_play_walks_from_theta_to_phi_and_ends_where_it_was(browser):
    for motion in ("no-preference", "reduce"):
        with opened(browser, reduced_motion=motion) as page:
            show(page, EXPLORER)
            page.evaluate(
                f"""() => {{ window.walked = []; const panel = {PANEL}, draw = panel.draw.bind(panel);
                panel.draw = (...a) => {{ window.walked.push(panel.state.steps); draw(...a); }}; }}"""
            )
            page.locator("button.main").click()
            page.wait_for_function(f"() => {PANEL}.state.steps === 5 && !{PANEL}.playing", timeout=30_000)
            settle(page)
            walked = page.evaluate("() => window.walked")
            assert list(dict.fromkeys(walked)) == [0, 1, 2, 3, 4, 5]
            assert (len(walked) > 20) == (motion == "no-preference"), "frames between the steps"


def test_words_are_heard_and_the_picture_has_an_alt_text(page):
    assert page.locator(".said").get_attribute("aria-live") == "polite"
    alt = page.locator("canvas").get_attribute("aria-label")
    assert EXPLORER.title in alt
    assert page.locator(".said").inner_text() in alt
    for control in page.locator("[data-name]").all():
        assert control.get_attribute("aria-label")


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_wider_than_its_page_and_both_themes_are_drawn(browser, name):
    """From 700 pixels to a projector; every canvas is as sharp as the screen."""
    papers = {}
    with opened(browser) as page:
        screen = page.context.new_cdp_session(page)
        for width, theme, density in ((700, "light", 1), (1024, "dark", 2), (1920, "light", 1.5)):
            size = {"width": width, "height": 800, "deviceScaleFactor": density, "mobile": False}
            screen.send("Emulation.setDeviceMetricsOverride", size)
            page.emulate_media(color_scheme=theme)
            show(page, ALL[name])
            assert page.evaluate("() => [innerWidth, devicePixelRatio]") == [width, density]
            sheet = page.locator(".sheet")
            assert sheet.evaluate("(s) => s.scrollWidth <= s.clientWidth")
            assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
            canvas = page.locator("canvas").first
            assert canvas.evaluate(f"(c) => Math.abs(c.width - {density} * c.getBoundingClientRect().width) < 1")
            papers[theme] = sheet.evaluate("(s) => getComputedStyle(s).backgroundColor")
            ink = "(c) => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            drawn = canvas.evaluate(
                f"{ink} let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; }}"
            )
            assert drawn > 1000
    assert papers["light"] != papers["dark"]


def test_the_echo_of_a_hand_begins_no_run_and_a_change_from_outside_does(page):
    show(page, ALL["meta-training"])
    panel = of("meta-training")
    running = page.evaluate(f"() => {{ {panel}.take({{...{panel}.state}}); return {panel}.source.running; }}")
    assert not running
    page.evaluate(f"() => {panel}.take({{ beta: 0.01 }})")
    assert page.evaluate(f"() => {panel}.source.running")
