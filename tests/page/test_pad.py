"""The control to draw on, in a browser: strokes are lists of points, seen at once and heard of as they grow."""

import pytest
from front import opened

from mapping_lib.page import front

FIELD = {"kind": "pad", "label": "your own", "hint": "", "places": ["A", "B", "?"], "shares": "shares", "large": True}
EXAMPLE = [[[[0.1, 0.1], [0.9, 0.9]]], [], [[[0.5, 0.1], [0.5, 0.9]]]]


@pytest.fixture
def page(browser):
    """Three squares, whose drawings are `window.drawings`, as a panel keeps them."""
    with opened(browser, has_touch=True) as page:
        page.evaluate(
            """async ([style, field, example]) => {
                document.head.innerHTML = `<style>${style}</style>`;
                document.body.innerHTML = "<div class=explorer><div class=sheet></div></div>";
                const { control } = await import("/controls.js");
                window.drawings = example;
                window.heard = 0;
                const made = control("drawings", field, (value) => { window.heard += 1; show(value); });
                window.show = (value, frame) => { window.drawings = value; made.show(value, frame); };
                document.querySelector(".sheet").append(made.element);
                show(example, { shares: { data: [0.25, NaN, NaN] } });
            }""",
            [front.style(), FIELD, EXAMPLE],
        )
        yield page


def drawings(page) -> list:
    return page.evaluate("() => window.drawings")


def stroke(page, square: int, *points: tuple[float, float]) -> None:
    box = page.query_selector_all(".pad svg")[square].bounding_box()
    (x, y), *rest = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(x, y)
    page.mouse.down()
    for x, y in rest:
        page.mouse.move(x, y)
    page.mouse.up()


def test_a_stroke_is_where_the_mouse_went_and_is_heard_of_while_it_grows(page):
    stroke(page, 1, (0.2, 0.2), (0.2, 0.8), (0.8, 0.8))
    (drawn,) = drawings(page)[1]
    for (x, y), (left, top) in zip(drawn, [(0.2, 0.2), (0.2, 0.8), (0.8, 0.8)], strict=True):
        assert x == pytest.approx(left, abs=0.02)
        assert y == pytest.approx(top, abs=0.02)
    assert page.evaluate("() => window.heard") == 3
    assert drawings(page)[::2] == EXAMPLE[::2]
    path = page.query_selector_all(".pad path")[1].get_attribute("d")
    assert path.count("M") == 1
    assert path.count("L") == 3


def test_a_stroke_goes_on_outside_of_the_square_and_stays_inside_in_numbers(page):
    stroke(page, 1, (0.5, 0.5), (0.5, 3.0), (-2.0, 0.5))
    (drawn,) = drawings(page)[1]
    assert all(0 <= value <= 1 for point in drawn for value in point)
    assert drawn[1][1] == 1
    assert drawn[2][0] == 0


def test_the_first_stroke_puts_an_example_away_and_further_ones_are_added(page):
    stroke(page, 0, (0.2, 0.2), (0.8, 0.2))
    stroke(page, 0, (0.2, 0.8), (0.8, 0.8))
    assert [len(points) for points in drawings(page)[0]] == [2, 2]
    assert drawings(page)[0][0][0] != [0.1, 0.1]
    page.evaluate("() => show(drawings.with(0, drawings[0].slice(0, 1)))")  # what undo does
    stroke(page, 0, (0.5, 0.2), (0.5, 0.8))
    assert len(drawings(page)[0]) == 2
    page.evaluate("([example]) => show(example)", [EXAMPLE])
    stroke(page, 0, (0.5, 0.2), (0.5, 0.8))
    assert len(drawings(page)[0]) == 1


def test_a_finger_makes_a_dot_and_does_not_scroll(page):
    box = page.query_selector_all(".pad svg")[1].bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert [[len(stroke) for stroke in drawing] for drawing in drawings(page)] == [[2], [1], [2]]
    assert page.evaluate("() => getComputedStyle(document.querySelector('.pad svg')).touchAction") == "none"


def test_drawings_are_wiped_by_a_button_and_by_a_key(page):
    assert [button.is_visible() for button in page.query_selector_all(".wipe")] == [True, False, True]
    page.query_selector_all(".wipe")[0].click()
    assert drawings(page) == [[], [], EXAMPLE[2]]
    page.query_selector_all(".pad")[2].focus()
    page.keyboard.press("Delete")
    assert drawings(page) == [[], [], []]
    assert "empty" in page.query_selector_all(".pad")[2].get_attribute("aria-label")


def test_shares_stand_below_and_what_is_none_is_left_out(page):
    assert [output.inner_text() for output in page.query_selector_all(".pad output")][:2] == ["25 %", ""]
    widths = page.evaluate("() => [...document.querySelectorAll('.share i')].map((bar) => bar.style.width)")
    assert widths == ["25%", "0px", "0px"]
