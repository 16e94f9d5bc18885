"""Chapters in a real JupyterLab in a real Chromium: run them, move every slider, press every button.

The chapters in `WHOLE` are run from the first cell to the last, in the edition for students. Of the others the
explorers' cells alone are run, on a fresh kernel: a class that wants only the explorer need not wait for what stands
before it. That all their other cells run is what nbval and `test_recording` see to.
"""

import os
import re
from pathlib import Path

import house
import lab
import nbformat
import pytest
from house import ROOT
from nbformat import NotebookNode

from mapping_lib.chapters.automl.explorer_canvas import MAP
from mapping_lib.tools import editions

pytestmark = pytest.mark.browser


WHOLE = ("01_mapping_view.ipynb", "03_maml_code.ipynb")
"""The chapters that are run from the first cell to the last, as students get them."""


def titles_in(cell: NotebookNode) -> list[str]:
    """The titles of the explorers that a recorded cell shows."""
    words = (output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", []))
    return [found[1] for word in words if (found := re.fullmatch(r"\[explorer: (.+)\]", word))]


def explorers_of(path: Path) -> tuple[str, ...]:
    """The titles of a chapter's explorers, as its recorded cells name them."""
    return tuple(title for cell in nbformat.read(path, nbformat.NO_CONVERT).cells for title in titles_in(cell))


def without_other_code(path: Path) -> NotebookNode:
    """A chapter whose only code is that of its explorers."""
    nb = nbformat.read(path, nbformat.NO_CONVERT)
    nb.cells = [cell for cell in nb.cells if cell.cell_type != "code" or titles_in(cell)]
    return nb


CHAPTERS = {path.name: titles for path in sorted(ROOT.glob("notebooks/*.ipynb")) if (titles := explorers_of(path))}
"""The explorers of each chapter, by the titles of their panels."""

EXPLORERS = [(chapter, title) for chapter, titles in CHAPTERS.items() for title in titles]
each_explorer = pytest.mark.parametrize(
    ("chapter", "title"), EXPLORERS, indirect=["chapter"], ids=[title for _, title in EXPLORERS]
)
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, indirect=True)
chapter_3 = pytest.mark.parametrize("chapter", ["03_maml_code.ipynb"], indirect=True)
chapter_4a = pytest.mark.parametrize("chapter", ["04a_few_shot_images.ipynb"], indirect=True)


@pytest.fixture(scope="module")
def chapter(request, tmp_path_factory):
    """A chapter, its cells run, in a page as wide as a laptop's."""
    folder, private = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("private")
    path = ROOT / "notebooks" / request.param
    nb = editions.student(nbformat.read(path, 4)) if path.name in WHOLE else without_other_code(path)
    nbformat.write(nb, folder / path.name)
    with lab.jupyterlab(folder, private) as address, lab.browser(private) as page:
        lab.open_notebook(page, address, request.param)
        lab.run_all(page)
        yield page


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Where screenshots go: the folder named by SCREENSHOTS, or a temporary one."""
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def panel(page, title: str):
    """The explorer's panel, scrolled into view."""
    found = page.locator(f".explorer-{title}")
    found.scroll_into_view_if_needed()
    return found


def source(explorer) -> str:
    """The address of the picture shown now: ipywidgets makes a new one for every picture."""
    return explorer.locator("img").get_attribute("src")


def wait_for_new_picture(page, explorer, old: str) -> None:
    page.wait_for_function(
        "([img, old]) => img.src !== old && img.complete && img.naturalWidth > 0",
        arg=[explorer.locator("img").element_handle(), old],
        timeout=15_000,
    )


def clean(name: str) -> str:
    """A button's name as part of a file's name."""
    return re.sub(r"\W+", "_", name).strip("_")


def press(page, explorer, name: str) -> None:
    explorer.get_by_role("button", name=name, exact=True).click()


def test_every_explorer_is_opened_in_a_chapter():
    assert len(house.EXPLORERS) == len(EXPLORERS)


@each_chapter
def test_its_cells_run_without_an_error(chapter):
    assert chapter.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
    prompts = chapter.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
    assert prompts
    assert not [p for p in prompts if p.strip() in ("[ ]:", "[*]:")]


@each_explorer
def test_every_slider_changes_the_picture_and_its_own_number(chapter, pictures, title):
    explorer = panel(chapter, title)
    sliders = explorer.get_by_role("slider")
    assert sliders.count() >= 4
    for i in range(sliders.count()):
        old, before = source(explorer), explorer.screenshot()
        readout = explorer.locator(".widget-readout").nth(i)
        number = readout.inner_text()
        sliders.nth(i).focus()
        chapter.keyboard.press("ArrowRight")
        if readout.inner_text() == number:  # it stood at its right end
            chapter.keyboard.press("ArrowLeft")
        wait_for_new_picture(chapter, explorer, old)
        assert readout.inner_text() != number
        assert explorer.screenshot() != before
    explorer.screenshot(path=pictures / f"{title}_sliders.png")


@each_explorer
def test_every_choice_changes_the_picture(chapter, title):
    explorer = panel(chapter, title)
    for i in range(explorer.locator("select").count()):
        old, select = source(explorer), explorer.locator("select").nth(i)
        select.select_option(index=select.evaluate("s => (s.selectedIndex + 1) % s.options.length"))
        wait_for_new_picture(chapter, explorer, old)


@each_explorer
def test_every_button_works(chapter, pictures, title):
    explorer = panel(chapter, title)
    names = [name.strip() for name in explorer.locator("button").all_inner_texts()]
    assert len(names) == len(set(names)) >= 5
    for name in names:
        old = source(explorer)
        press(chapter, explorer, name)
        if name != "Stop":
            wait_for_new_picture(chapter, explorer, old)
        chapter.wait_for_timeout(300)
        if name == "Stop":
            stopped = source(explorer)
            chapter.wait_for_timeout(400)
            assert source(explorer) == stopped, "it went on after Stop"
        explorer.screenshot(path=pictures / f"{title}_{clean(name)}.png")


@chapter_3
def test_divergence_is_said_in_words(chapter):
    explorer = panel(chapter, "adaptation")
    press(chapter, explorer, "diverges")
    explorer.get_by_text("2/λ_max").first.wait_for(timeout=10_000)


@chapter_3
def test_moving_beta_trains_again_and_keeps_the_earlier_curve_and_stop_stops(chapter, pictures):
    explorer = panel(chapter, "meta-training")
    press(chapter, explorer, "Reset")
    explorer.get_by_text("outer step 0 of").wait_for()
    explorer.get_by_role("slider").nth(0).focus()
    chapter.keyboard.press("ArrowRight")
    words = explorer.locator(".widget-html-content").last
    chapter.wait_for_timeout(1200)
    press(chapter, explorer, "Stop")
    chapter.wait_for_timeout(300)
    stopped = words.inner_text()
    chapter.wait_for_timeout(500)
    assert words.inner_text() == stopped, "training went on after Stop"
    assert "outer step 0 of" not in stopped
    assert "outer step 1000 of" not in stopped, "it had finished before Stop: the test shows nothing"
    press(chapter, explorer, "Start")
    explorer.get_by_text("outer step 1000 of").wait_for(timeout=30_000)
    explorer.screenshot(path=pictures / "meta-training_finished.png")


@pytest.mark.parametrize("chapter", ["04f_automl.ipynb"], indirect=True)
def test_a_click_on_the_map_of_settings_goes_to_its_cell(chapter, pictures):
    explorer = panel(chapter, "alpha-beta")
    press(chapter, explorer, "reset")
    chapter.wait_for_timeout(500)
    old, picture = source(explorer), explorer.locator("img")
    box = picture.bounding_box()
    left, bottom, width, height = MAP
    x, y = left + width * 2.5 / 13, 520 - bottom - height * 1.5 / 13  # the third beta, the second alpha
    picture.click(position={"x": x * box["width"] / 1060, "y": y * box["height"] / 520})
    wait_for_new_picture(chapter, explorer, old)
    explorer.get_by_text("α = 0.000215, β = 0.000464:").wait_for(timeout=10_000)
    explorer.screenshot(path=pictures / "alpha-beta_clicked.png")


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


@each_explorer
def test_it_fits_a_projector(chapter, pictures, title):
    chapter.set_viewport_size({"width": 1024, "height": 768})
    try:
        explorer = panel(chapter, title)
        box, picture = explorer.bounding_box(), explorer.locator("img").bounding_box()
        assert picture["x"] + picture["width"] <= 1024
        assert box["x"] >= 0
        chapter.screenshot(path=pictures / f"{title}_projector.png")
    finally:
        chapter.set_viewport_size({"width": 1280, "height": 800})
