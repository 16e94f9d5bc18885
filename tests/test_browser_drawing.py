"""Drawing with the mouse in a real JupyterLab: the few-shot explorer of chapter 4a."""

import pytest
import test_browser
from test_browser import ROOT, panel, press, source, wait_for_new_picture

CHAPTER = "04a_few_shot_images.ipynb"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (ROOT / "notebooks" / CHAPTER).exists(), reason=f"there is no notebooks/{CHAPTER} yet"),
]
chapter, pictures = test_browser.chapter, test_browser.pictures
chapter_4a = pytest.mark.parametrize("chapter", [CHAPTER], indirect=True)


def draw(page, explorer, *corners: tuple[float, float]) -> None:
    """One stroke with the mouse, from corner to corner: shares of the pad, from its upper left."""
    box = explorer.locator("canvas").bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()


@chapter_4a
def test_characters_drawn_with_the_mouse_are_told_apart(chapter, pictures):
    explorer = panel(chapter, "few-shot")
    press(chapter, explorer, "reset")
    press(chapter, explorer, "clear all")
    explorer.get_by_text("Nothing is drawn yet").wait_for()
    draw(chapter, explorer, (0.2, 0.1), (0.2, 0.9), (0.8, 0.9))
    explorer.get_by_text("Only A is drawn").wait_for()
    press(chapter, explorer, "next character")
    explorer.get_by_text("draw B", exact=True).wait_for()
    draw(chapter, explorer, (0.1, 0.2), (0.9, 0.2), (0.5, 0.9), (0.1, 0.2))
    explorer.get_by_text("A and B are drawn").wait_for()
    press(chapter, explorer, "ask")
    explorer.get_by_text("draw the query", exact=True).wait_for()
    draw(chapter, explorer, (0.4, 0.2), (0.35, 0.7), (0.7, 0.75))  # smaller, elsewhere, askew
    explorer.get_by_text("looks most like A").wait_for()
    explorer.screenshot(path=pictures / "few-shot_drawn_A.png")
    press(chapter, explorer, "clear")
    explorer.get_by_text("A and B are drawn").wait_for()
    draw(chapter, explorer, (0.2, 0.3), (0.9, 0.25))
    explorer.get_by_text("looks most like").wait_for()
    old = source(explorer)
    draw(chapter, explorer, (0.8, 0.25), (0.55, 0.8), (0.2, 0.3))  # a second stroke
    wait_for_new_picture(chapter, explorer, old)
    explorer.get_by_text("looks most like B").wait_for()
    explorer.screenshot(path=pictures / "few-shot_drawn_B.png")


INK = """pad => {
    const pixels = pad.getContext('2d').getImageData(0, 0, pad.width, pad.height).data;
    return pixels.filter((value, i) => i % 4 === 3 && value > 0).length;
}"""


@chapter_4a
def test_a_stroke_leaves_ink_at_once_and_may_end_outside_of_the_pad(chapter):
    explorer = panel(chapter, "few-shot")
    press(chapter, explorer, "clear all")
    explorer.get_by_text("Nothing is drawn yet").wait_for()
    pad = explorer.locator("canvas")
    box = pad.bounding_box()
    assert pad.evaluate(INK) == 0
    chapter.mouse.move(box["x"] + 50, box["y"] + 50)
    chapter.mouse.down()
    chapter.mouse.move(box["x"] + 150, box["y"] + 150, steps=4)
    assert pad.evaluate(INK) > 100, "no ink before the stroke has ended"
    chapter.mouse.move(box["x"] + 150, box["y"] - 60, steps=4)
    chapter.mouse.up()
    explorer.get_by_text("Only A is drawn").wait_for()
    chapter.mouse.move(box["x"] + 50, box["y"] + 150)  # the button is up: nothing is drawn
    press(chapter, explorer, "clear")
    explorer.get_by_text("Nothing is drawn yet").wait_for()
    assert pad.evaluate(INK) == 0
