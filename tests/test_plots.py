"""What the pictures show is what they were given: read back from the artists."""

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from mapping_lib import plots
from mapping_lib.evaluation import summarise


@pytest.fixture
def ax():
    with matplotlib.rc_context(plots.STYLE):
        yield Figure().add_subplot()


def errors(*means: float):
    """Two tasks around each mean, before and after one step."""
    return {f"row {i}": summarise(torch.tensor([[9.0, m - 0.5], [9.0, m + 0.5]])) for i, m in enumerate(means)}


def test_means_stand_in_the_order_given_with_their_numbers(ax):
    plots.plot_means(ax, errors(2.0, 1.0), step=1)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["row 0", "row 1"]
    assert [text.get_text() for text in ax.texts] == ["2.00", "1.00"]
    top, bottom = ax.get_ylim()[1], ax.get_ylim()[0]
    assert top < 0 < bottom  # the first row stands on top


def test_a_mean_that_is_infinite_is_said_and_not_drawn_as_a_number(ax):
    plots.plot_means(ax, errors(2.0, float("inf")), step=1)
    assert [text.get_text() for text in ax.texts] == ["2.00", "diverged"]
    assert np.isfinite(ax.get_xlim()).all()


def test_a_band_spans_all_values_and_leaves_a_gap_where_one_is_none(ax):
    values = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, float("nan")]])
    plots.plot_band(ax, [0.1, 0.2], values, "here", color="black")
    assert ax.lines[0].get_ydata()[0] == 2.5  # the middle of four, not the lower of the middle two
    assert np.isnan(ax.lines[0].get_ydata()[1])
    corners = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (corners.min(), corners.max()) == (1.0, 4.0)


def test_a_plane_is_white_where_it_is_lowest(ax):
    values = torch.tensor([[0.0, 1.0], [4.0, 9.0]])  # row, column
    plots.plot_plane(ax, values, ((0.0, 2.0), (0.0, 2.0)), torch.tensor([[0.5, 0.5], [1.5, 1.5]]))
    image = ax.images[0]
    shades = image.cmap(image.norm(image.get_array()))[..., 0]
    assert image.origin == "lower"
    assert shades[0, 0] == 1.0 == shades.max()
    assert shades[1, 1] == shades.min()
    assert [text.get_text() for text in ax.texts] == ["1", "2"]


def test_field_arrows_have_one_length_and_their_direction(ax):
    points = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]])
    plots.plot_field(ax, points, torch.tensor([[[3.0, 4.0], [0.0, -1e-3]]]))
    arrows = np.column_stack([ax.collections[0].U, ax.collections[0].V])
    assert np.allclose(arrows, [[0.6, 0.8], [0.0, -1.0]])


def test_blocks_are_named_in_their_middle_and_zero_is_in_the_middle_of_the_colours(ax):
    matrix = torch.diag(torch.tensor([4.0, 0.0, -1.0]))
    plots.plot_blocks(ax, matrix, ["first", "second"], [2, 3])
    shown = ax.images[0].get_array()
    assert np.allclose(np.diag(shown), [1.0, 0.0, -0.5])
    assert list(ax.get_xticks()) == [0.5, 2.0]
