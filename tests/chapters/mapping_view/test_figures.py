"""What the pictures of chapter 1 show is what they were given, each way of learning in its own colour."""

import matplotlib
import pytest
import torch
from matplotlib.figure import Figure

from mapping_lib.chapters.mapping_view import figures
from mapping_lib.evaluation import summarise
from mapping_lib.page import plots
from mapping_lib.task import Batch

X = torch.linspace(-5, 5, 11)[:, None]


@pytest.fixture
def ax():
    with matplotlib.rc_context(plots.STYLE):
        yield Figure().add_subplot()


def test_curves_stand_behind_the_points_that_they_meet(ax):
    curves = torch.stack([X[:, 0], -X[:, 0]])
    figures.plot_curves(ax, X, curves, Batch(torch.zeros(1, 1), torch.zeros(1, 1)))
    *drawn, points = ax.lines
    assert [line.get_ydata().tolist() for line in drawn] == curves.tolist()
    assert points.get_zorder() > max(line.get_zorder() for line in drawn)


def test_functions_without_a_method_have_the_colour_of_none(ax):
    figures.plot_functions(ax, X, {f"θ number {i}": X + i for i in range(4)})
    assert not {line.get_color() for line in ax.lines} & set(plots.COLOUR_OF.values())
    assert len({line.get_linestyle() for line in ax.lines}) == 4


@pytest.mark.parametrize("method", ["MAML", "from scratch"])
def test_before_and_after_have_the_colour_of_the_method(ax, method):
    figures.plot_adapted(ax, X, (0 * X, X), method)
    before, after = ax.lines
    assert before.get_color() == after.get_color() == plots.COLOUR_OF[method]
    assert (before.get_linestyle(), after.get_linestyle()) == (":", "-")
    assert after.get_ydata().tolist() == X[:, 0].tolist()


def test_name_and_type_stand_above_in_the_colour_of_the_curve(ax):
    figures.plot_one_of_five(ax, X, X, "in-context", "(S, x) ↦ y")
    assert ax.get_title() == "in-context\n(S, x) ↦ y"
    assert ax.title.get_color() == ax.lines[0].get_color() == plots.COLOUR_OF["in-context"]


def test_names_stand_at_the_ends_of_their_lines_and_not_on_each_other(ax):
    ends = {"MAML": 0.08, "gradient flow": 0.081, "in-context": 0.01, "hypernetwork": 0.001}
    by_shots = {name: summarise(torch.tensor([[1.0, end], [1.2, end]])) for name, end in ends.items()}
    figures.plot_by_shots(ax, (0, 20), by_shots)
    heights = {text.get_text(): text.get_position()[1] for text in ax.texts}
    assert heights["in-context"] == pytest.approx(0.01)
    assert heights["gradient flow"] > 1.5 * heights["MAML"]
    assert {text.get_text(): text.get_color() for text in ax.texts} == {n: plots.COLOUR_OF[n] for n in ends}


def test_a_ring_marks_a_first_dot_that_no_line_joins(ax):
    lost = summarise(torch.tensor([[1.0, torch.inf], [1.2, torch.inf]]))
    figures.plot_by_shots(ax, (0, 20), {"MAML": lost, "in-context": summarise(torch.ones(2, 2))})
    (ring,) = (line for line in ax.lines if line.get_markerfacecolor() == "none")
    assert list(ring.get_xdata()) == [0]
    assert ring.get_markeredgecolor() == plots.COLOUR_OF["MAML"]


def test_outside_shows_the_median_and_the_middle_half_and_lets_nothing_fall_off_the_page(ax):
    errors = {"MAML": torch.arange(1.0, 6.0), "in-context": torch.full((5,), 20.0)}
    figures.plot_outside(ax, errors, flat=4.5)
    flat, bar, dot, *_ = ax.lines
    assert list(flat.get_xdata()) == [4.5, 4.5]
    assert list(bar.get_xdata()) == [2.0, 4.0]
    assert list(dot.get_xdata()) == [3.0]
    assert [text.get_text() for text in ax.texts] == ["3", "20"]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(errors)
