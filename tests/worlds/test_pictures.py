"""A reader's drawing becomes an image of the form that the glyphs have."""

import numpy as np
import pytest
import torch

from mapping_lib.chapters.few_shot_images.explorer import CHINESE, INVENTED
from mapping_lib.worlds.letters import Glyphs
from mapping_lib.worlds.pictures import drawn

CORNER = [[(0.2, 0.2), (0.2, 0.8), (0.8, 0.8)]]
SQUARE = [[(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8), (0.2, 0.2)]]


def test_an_upright_line_is_twenty_pixels_long_and_stands_in_the_middle():
    image = drawn([[(0.3, 0.1), (0.3, 0.5)]])[0]
    rows, columns = image.nonzero().unbind(1)
    assert [int(edge) for edge in (rows.min(), rows.max(), columns.min(), columns.max())] == [4, 23, 13, 14]
    assert (image[6:22, 13:15] > 0.9).all()  # its round ends are lighter


def test_a_square_has_an_edge_as_wide_as_the_pen():
    """20 x 20 pixels with an edge of 2.4: two full pixels, four tenths of the third, and nothing behind it."""
    image = drawn(SQUARE)[0]
    middle = image[13]
    assert middle[4:7].tolist() == pytest.approx([1, 1, 0.4], abs=0.13)
    assert middle[21:24].tolist() == pytest.approx([0.4, 1, 1], abs=0.13)
    assert image[:, 13] == pytest.approx(middle, abs=0.05)
    assert (image[8:20, 8:20] == 0).all()
    assert (image[:4] == 0).all()
    assert (image[24:] == 0).all()


def test_up_is_up_and_left_is_left():
    image = drawn(CORNER)[0]
    assert (image[6:22, 4:6] > 0.9).all()
    assert (image[22:24, 6:22] > 0.9).all()
    assert (image[4:20, 8:] == 0).all()


def test_a_dot_becomes_a_disc():
    image = drawn([[(0.9, 0.1)]])[0]
    assert float(image.sum()) == pytest.approx(np.pi * 10**2, rel=0.04)
    assert image[14, 14] == 1
    assert image[4, 4] == 0


@pytest.mark.parametrize("drawing", [CHINESE[1], INVENTED[3]])
def test_where_and_how_large_it_is_drawn_makes_no_difference(drawing):
    small = [[(0.7 + 0.25 * x, 0.25 * y) for x, y in stroke] for stroke in drawing]
    assert float((drawn(small) - drawn(drawing)).abs().max()) < 0.15


@pytest.mark.parametrize("strokes", [[], [[], []]])
def test_without_a_point_there_is_no_image(strokes):
    with pytest.raises(ValueError, match="no point"):
        drawn(strokes)


def test_drawings_have_as_much_ink_as_printed_letters():
    letters = Glyphs("held out", jitter=0.0).sample(20, 1, 0, generator=torch.Generator().manual_seed(0)).support.x
    ours = [float(drawn(drawing).sum()) for drawing in CHINESE + INVENTED if drawing]
    assert 0.7 < np.mean(ours) / float(letters.sum((2, 3, 4)).mean()) < 1.3
