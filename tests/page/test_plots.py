"""What the pictures show is what they were given: read back from the artists."""

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from mapping_lib.chapters.applications import figures as gains
from mapping_lib.evaluation import summarise
from mapping_lib.page import plots
from mapping_lib.study import Row
from mapping_lib.study.gains import Gain


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


def test_dots_stand_on_their_intervals_in_the_colour_of_their_method(ax):
    plots.plot_dots(ax, {"MAML, 10 steps": (2.0, 1.5, 3.0), "other": (-1.0, -2.0, 0.0)}, "error", digits=1)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["MAML, 10 steps", "other"]
    assert [text.get_text() for text in ax.texts] == ["2.0", "−1.0"]
    intervals, dots = ax.lines[::2], ax.lines[1::2]
    assert [tuple(line.get_xdata()) for line in intervals] == [(1.5, 3.0), (-2.0, 0.0)]
    assert [float(dot.get_xdata()[0]) for dot in dots] == [2.0, -1.0]
    assert dots[0].get_color() == plots.COLOUR_OF["MAML"]
    assert ax.get_xlim()[0] <= -2.0
    assert ax.get_ylim()[1] < 0 < ax.get_ylim()[0]  # the first row stands on top


@pytest.mark.parametrize(("zero", "left"), [(True, 0.0), (False, 4.0)])
def test_an_axis_of_dots_begins_at_zero_or_just_below_the_lowest(ax, zero, left):
    plots.plot_dots(ax, {"a": (5.0, 4.0, 6.0), "b": (8.0, 7.0, 9.0)}, "error", zero=zero)
    assert left - 0.5 < ax.get_xlim()[0] <= left


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
    values = ax.images[0].get_array()
    assert np.allclose(np.diag(values), [1.0, 0.0, -0.5])
    assert list(ax.get_xticks()) == [0.5, 2.0]


# Error by number of examples --------------------------------------------------------------------------

SHOTS = [0, 2, 3, 10]
BY_SHOTS = summarise(torch.tensor([[4.0, 3.0, 2.0, 1.0], [7.0, 4.5, 2.6, 1.3], [4.0, 1.5, 1.4, 0.7]]))


def by_shots(ax, *, label: str = "MAML", **changed):
    return plots.plot_error_by_shots(ax, SHOTS, BY_SHOTS._replace(**changed), label)


def spans(band) -> list[tuple[float, float]]:
    """From where to where each piece of a band goes along x."""
    return [(piece.vertices[:, 0].min(), piece.vertices[:, 0].max()) for piece in band.get_paths()]


def test_the_line_by_shots_is_the_mean_and_the_band_its_interval(ax):
    assert by_shots(ax) is ax
    (line,), (band,) = ax.lines, ax.collections
    assert np.allclose(line.get_xydata(), np.column_stack([SHOTS, [5.0, 3.0, 2.0, 1.0]]))
    corners = {(round(x, 5), round(y, 5)) for x, y in band.get_paths()[0].vertices}
    for bound in (BY_SHOTS.low, BY_SHOTS.high):
        assert {(x, round(y, 5)) for x, y in zip(SHOTS, bound.tolist(), strict=True)} <= corners
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("examples K", "mean squared error")


@pytest.mark.parametrize(
    ("label", "method", "dash"),
    [
        ("MAML", "MAML", "-"),
        ("joint training", "joint training", "-"),
        ("MAML, 10 steps", "MAML", "--"),
        ("in-context, wrong d, once", "in-context", "--"),
    ],
)
def test_the_line_by_shots_has_the_colour_of_its_method_and_a_remark_dashes_it(ax, label, method, dash):
    by_shots(ax, label=label)
    (line,), (band,) = ax.lines, ax.collections
    assert (line.get_color(), line.get_linestyle(), line.get_label()) == (plots.COLOUR_OF[method], dash, label)
    assert to_hex(band.get_facecolor()[0]) == plots.COLOUR_OF[method].lower()


def test_two_methods_without_a_colour_of_their_own_are_told_apart(ax):
    by_shots(ax, label="this")
    by_shots(ax, label="that")
    this, that = ax.lines
    assert this.get_color() != that.get_color()
    assert [to_hex(band.get_facecolor()[0]) for band in ax.collections] == [
        line.get_color().lower() for line in ax.lines
    ]


@pytest.mark.parametrize("mean", [float("inf"), 3.0], ids=["infinite mean", "infinite interval alone"])
@pytest.mark.parametrize(("where", "pieces"), [(0, [(2, 10)]), (3, [(0, 3)]), (1, [(0, 0), (3, 10)])])
def test_the_band_by_shots_has_a_gap_where_the_interval_is_infinite(ax, mean: float, where: int, pieces):
    means, low, high = BY_SHOTS.mean.clone(), BY_SHOTS.low.clone(), BY_SHOTS.high.clone()
    means[where], low[where], high[where] = mean, -torch.inf, torch.inf
    by_shots(ax, mean=means, low=low, high=high)
    (band,) = ax.collections
    assert [piece for piece in spans(band) if piece[0] < piece[1]] == [p for p in pieces if p[0] < p[1]]
    assert np.isfinite(np.concatenate([piece.vertices for piece in band.get_paths()])).all()
    assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()


def test_an_interval_that_goes_below_zero_still_stands_on_a_log_axis(ax):
    by_shots(ax, low=torch.tensor([-2.0, 2.0, 1.0, 0.5]))
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert 0 < heights.min() < 1e-6
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize("shots", [[0, 1], [0, 1, 2, 3], [1, 2, 5, 10], [0, 20], [0, 10, 30], [0, 10, 50]], ids=str)
def test_the_ticks_by_shots_are_whole_numbers_of_examples(ax, shots: list[int]):
    errors = summarise(torch.rand(5, len(shots), generator=torch.Generator().manual_seed(0)))
    plots.plot_error_by_shots(ax, shots, errors, "MAML")
    ticks = ax.get_xticks()
    assert len(ticks) >= 2
    assert all(float(tick).is_integer() for tick in ticks)
    assert f"{ticks[1] - ticks[0]:.0e}"[0] in "125"  # apart by 1, 2, 5, 10, 20 ...


# A log axis with plain numbers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "labels"),
    [
        ((0.09, 11), ["0.1", "0.2", "0.5", "1", "2", "5", "10"]),
        ((0.9, 5.5), ["1", "2", "5"]),
        ((0.004, 0.06), ["0.005", "0.01", "0.02", "0.05"]),
        ((90, 550), ["100", "200", "500"]),
    ],
)
def test_a_log_axis_has_plain_numbers_at_one_two_and_five(ax, limits, labels: list[str]):
    assert plots.log_scale(ax) is ax
    ax.set_ylim(limits)
    ax.figure.draw_without_rendering()
    ticks = [tick for tick in ax.yaxis.get_major_ticks() if limits[0] <= tick.get_loc() <= limits[1]]
    assert [tick.label1.get_text() for tick in ticks] == labels
    assert {tick.label1.get_text() for tick in ax.yaxis.get_minor_ticks()} <= {""}
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")


# The map of mappings ----------------------------------------------------------------------------------

COLUMNS = ["slow", "in between", "fast", "at once"]
ROWS = {
    "all": {"slow": "a", "in between": "b", "fast": "c", "at once": "d"},
    "a gap": {"slow": "e", "fast": "f"},
    "alone": {"at once": "g"},
    "in any order": {"fast": "i", "in between": "h"},
}


@pytest.fixture
def table(ax):
    assert plots.plot_map(ax, COLUMNS, ROWS) is ax
    return ax


def cells(ax) -> list[tuple[int, int]]:
    """Row and column of each box; it must fit into its cell."""
    places = []
    for box in ax.patches:
        assert isinstance(box, FancyBboxPatch)
        (left, low), (right, high) = box.get_path().get_extents().get_points()
        row, column = round((low + high) / 2), int((left + right) / 2)
        assert column < left < right < column + 1
        assert row - 0.5 < low < high < row + 0.5
        places.append((row, column))
    return places


def test_the_map_has_a_box_for_each_text_in_its_row_and_column(table):
    expected = {(y, COLUMNS.index(name)): text for y, boxes in enumerate(ROWS.values()) for name, text in boxes.items()}
    assert sorted(cells(table)) == sorted(expected)
    texts = {text.get_text(): text for text in table.texts if text.get_text()}
    assert set(texts) == {*expected.values(), *ROWS}
    for (y, x), text in expected.items():
        assert texts[text].get_position() == (x + 0.5, y)
        assert (texts[text].get_ha(), texts[text].get_va()) == ("center", "center")


def test_the_map_names_its_fields_left_of_the_rows_and_its_columns_on_top(table):
    names = {text.get_text(): text for text in table.texts}
    for y, field in enumerate(ROWS):
        assert names[field].get_position()[1] == y
        assert (names[field].get_position()[0] <= 0, names[field].get_ha()) == (True, "right")
    assert [label.get_text() for label in table.get_xticklabels()] == COLUMNS
    assert list(table.get_xticks()) == [0.5, 1.5, 2.5, 3.5]
    assert (table.xaxis.get_ticks_position(), list(table.get_yticks())) == ("top", [])
    assert table.get_xlim() == (0, 4)
    assert table.get_ylim() == (3.5, -0.5)  # the first field stands on top


def test_boxes_of_the_last_column_of_the_map_are_pale(table):
    lightness = {}
    for (_, column), box in zip(cells(table), table.patches, strict=True):
        lightness.setdefault(column == len(COLUMNS) - 1, set()).add(sum(box.get_facecolor()[:3]))
    assert len(lightness[True]) == len(lightness[False]) == 1
    assert min(lightness[True]) > max(lightness[False])


def test_arrows_of_the_map_go_from_each_box_to_the_next_of_its_row(table):
    arrows = sorted((text.xyann[1], text.xyann[0], text.xy[0]) for text in table.texts if hasattr(text, "xyann"))
    spans = [(y, int(start), int(end)) for y, start, end in arrows]
    assert spans == [(0, 0, 1), (0, 1, 2), (0, 2, 3), (1, 0, 2), (3, 1, 2)]
    edges = {}
    for cell, box in zip(cells(table), table.patches, strict=True):
        edges[cell] = box.get_path().get_extents().get_points()[:, 0]
    for (y, start, end), (_, a, b) in zip(arrows, spans, strict=True):
        assert start == pytest.approx(edges[y, a][1], abs=0.03)  # from where one box ends to where the next begins
        assert end == pytest.approx(edges[y, b][0], abs=0.03)
    drawn = [text for text in table.texts if hasattr(text, "xyann")]
    assert all(text.xy[1] == text.xyann[1] and text.arrow_patch is not None for text in drawn)


def test_gains_stand_in_the_order_given_in_the_colour_of_their_sign(ax):
    given = {"more": Gain(0.5, 0.4, 0.6), "less": Gain(-0.2, -0.3, -0.1), "who knows": Gain(0.01, -0.1, 0.1)}
    gains.plot_gains(ax, given)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(given)
    assert [text.get_text() for text in ax.texts] == ["50 %", "−20 %", "1 %"]
    colours = [to_hex(bar.get_facecolor()).upper() for bar in ax.patches]
    assert colours == [plots.COLOURS[role].upper() for role in ("after", "rival", "before")]
    assert [bar.get_width() for bar in ax.patches] == [0.5, -0.2, 0.01]


def test_a_gain_beyond_the_left_edge_is_an_arrow_there_with_its_number(ax):
    gains.plot_gains(ax, {"lost": Gain(-3.0, -4.0, -2.0), "nothing": Gain(-0.001, -0.1, 0.1)})
    assert [text.get_text() for text in ax.texts] == ["−300 %", "0 %"]
    arrow = next(line for line in ax.lines if line.get_marker() == "<")
    assert list(arrow.get_xdata()) == [ax.get_xlim()[0]]


def test_rows_are_drawn_with_their_means_and_intervals(ax):
    scores = [Row.of("a", setting, torch.tensor(values)) for setting, values in (("1", [1.0, 3.0]), ("2", [5.0, 5.0]))]
    gains.plot_rows(ax, {"a": scores}, ["one", "two"])
    (line, _, (bars,)) = ax.containers[0]
    assert list(line.get_ydata()) == [2.0, 5.0]
    ends = [segment[:, 1] for segment in bars.get_segments()]
    assert [float(low + high) / 2 for low, high in ends] == [2.0, 5.0]
    assert float(ends[0][1] - ends[0][0]) == pytest.approx(2 * scores[0].half)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a"]


def test_a_gain_by_examples_keeps_its_numbers(ax):
    gains.plot_gain_by_examples(ax, [1, 5], [Gain(0.5, 0.4, 0.6), Gain(0.1, 0.0, 0.2)], "one", "black")
    line, _ = ax.lines
    assert (list(line.get_xdata()), list(line.get_ydata()), line.get_label()) == ([1, 5], [0.5, 0.1], "one")
    corners = ax.collections[0].get_paths()[0].vertices
    assert (corners[:, 1].min(), corners[:, 1].max()) == (0.0, 0.6)
