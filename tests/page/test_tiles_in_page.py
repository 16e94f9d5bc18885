"""Tiles, lists of texts, pictures at places and bars behind one another, as the browser draws them."""

import pytest
from front import chromium, opened

from mapping_lib.page.marks import axes, bars, images, text, tiles

AXES = axes("a", (0, 4), (0, 2), "", bare=True)
PAPER, INK, BLUE = (255, 255, 255), (27, 31, 36), (0, 114, 178)


@pytest.fixture(scope="module")
def page():
    with chromium() as browser, opened(browser) as page:
        page.evaluate(
            """async () => {
                const { Picture } = await import("/picture.js");
                const { palette } = await import("/colours.js");
                document.body.innerHTML = "<canvas style='width:800px'></canvas>";
                const canvas = document.querySelector("canvas");
                const arrays = (frame) => Object.fromEntries(Object.entries(frame).map(([name, [shape, data]]) =>
                    [name, shape ? { shape, data: Float32Array.from(data) } : data]));
                window.put = (spec, frame) => {
                    window.picture = new Picture({ height: 0.5, ...spec }, canvas);
                    picture.draw(arrays(frame), {}, palette({ blue: "#0072B2" }, false));
                };
                window.at = (x, y) => {
                    const [axes] = picture.axes;
                    const [left, top] = [axes.X(x), axes.Y(y)].map((v) => Math.round(v * devicePixelRatio));
                    return [...canvas.getContext("2d").getImageData(left, top, 1, 1).data];
                };
                window.inked = (x0, y0, x1, y1) => {
                    const [axes] = picture.axes;
                    const box = [axes.X(x0), axes.Y(y1), axes.X(x1) - axes.X(x0), axes.Y(y0) - axes.Y(y1)];
                    const { data } = canvas.getContext("2d").getImageData(...box.map((v) => v * devicePixelRatio));
                    return data.filter((v, i) => i % 4 === 3 && v > 128).length;
                };
            }"""
        )
        yield page


def put(page, mark: dict, **frame) -> None:
    """Draw one mark; arrays are given as (shape, values), lists of words as they are."""
    told = {name: [*value] if isinstance(value, tuple) else [None, value] for name, value in frame.items()}
    page.evaluate("([spec, frame]) => put(spec, frame)", [{"axes": [AXES], "marks": [mark]}, told])


def colour(page, x: float, y: float) -> tuple:
    return tuple(page.evaluate(f"() => at({x}, {y})"))[:3]


def ink(page, *box: float) -> int:
    return page.evaluate(f"() => inked({', '.join(map(str, box))})")


def near(a: tuple, b: tuple) -> bool:
    return max(abs(x - y) for x, y in zip(a, b, strict=True)) <= 2


def test_a_tile_is_filled_as_much_as_its_value_says(page):
    mark = tiles("a", "x", "y", "v", "of", framed="f")
    frame = {"x": ([3], [0.5, 1.5, 2.5]), "y": ([3], [1.5, 1.5, 1.5]), "v": ([3], [0, 0.5, 1]), "f": ([3], [1, 0, 0])}
    put(page, mark, of=["blue", "blue", "nothing of the kind"], **frame)
    assert near(colour(page, 0.7, 1.7), PAPER)
    assert near(colour(page, 1.7, 1.7), tuple((p + b) / 2 for p, b in zip(PAPER, BLUE, strict=True)))
    assert near(colour(page, 2.7, 1.7), INK)
    frame = [colour(page, x / 1000, 1.5) for x in range(-10, 21)]
    assert any(near(pixel, INK) for pixel in frame), "the first has a frame"
    assert page.evaluate("() => at(3.5, 0.5)") == [0, 0, 0, 0]


@pytest.mark.parametrize(("strength", "light"), [(0.1, False), (1.0, True)])
def test_the_word_in_a_tile_can_be_read_on_its_colour(page, strength: float, light: bool):
    one = {"x": ([1], [2]), "y": ([1], [1])}
    put(page, tiles("a", "x", "y", "v", "blue", words="w", size=(4, 2)), v=([1], [strength]), w=["■"], **one)
    assert (sum(colour(page, 2, 1)) > 600) == light


def test_texts_of_a_list_stand_at_their_places_and_break_into_the_lines_that_there_is_room_for(page):
    place = {"x": ([2], [0, 2]), "y": ([2], [1.5, 0.5])}
    put(page, text("a", "x", "y", "w", "ink", align="left"), w=["HHHH", "HHHH"], **place)
    assert ink(page, 0, 1.4, 1, 1.6) > 50
    assert ink(page, 2, 0.4, 3, 0.6) > 50
    assert not ink(page, 2, 1.4, 3, 1.6)
    long = {"x": ([1], [0]), "y": ([1], [1.9]), "w": ["word " * 60 + "end"]}
    put(page, text("a", "x", "y", "w", "ink", align="left"), **long)
    assert not ink(page, 0, 0, 4, 1.8)
    put(page, text("a", "x", "y", "w", "ink", align="left", tall=1.0), **long)
    assert ink(page, 0, 1.5, 4, 1.8) > 50
    assert not ink(page, 0, 0, 4, 0.85), "no more lines than there is room for"
    put(page, text("a", "x", "y", "w", "ink", align="left", tall=0.2), **long)
    assert not ink(page, 0, 0, 4, 1.75)


def test_pictures_stand_around_their_places(page):
    put(page, images("a", "p", "x", "y", "blue"), p=([2, 1, 1], [1.0, 0.0]), x=([2], [0.5, 2.5]), y=([2], [1.5, 0.5]))
    assert near(colour(page, 0.5, 1.5), INK)
    assert page.evaluate("() => at(2.5, 0.5)")[3] == 0
    assert any(near(colour(page, 0.5, 1.9 + y / 300), BLUE) for y in range(30)), "framed"
    assert page.evaluate("() => at(1.5, 1.5)")[3] == 0


def test_bars_begin_at_their_base_and_their_rows_can_be_pressed(page):
    mark = bars("a", "end", "blue", base="begin", words=None, choose="method")
    put(page, mark, begin=([2], [0, 2]), end=([2], [1, 3]))
    assert [
        page.evaluate(f"() => at({x}, {y})")[3] > 200 for x, y in ((0.5, 1.5), (1.5, 1.5), (2.5, 0.5), (1.5, 0.5))
    ] == [
        True,
        False,
        True,
        False,
    ]
    for row, y in ((0, 1.9), (1, 0.1)):
        hit = f"() => picture.handleAt(picture.axes[0].X(3.9), picture.axes[0].Y({y}), 0, false)"
        assert page.evaluate(hit) == row
