"""A diff shows what was removed before what came in its place, with a sign and a colour, as text and as HTML."""

from mapping_lib.page.diffs import SHADES, diff


def before(x):
    y = x + 1
    return y < 2


def after(x):
    z = x - 1
    y = z
    return y < 2


def test_bodies_of_functions_are_compared():
    assert repr(diff(before, after)).splitlines() == ["- y = x + 1", "+ z = x - 1", "+ y = z", "  return y < 2"]


def test_html_has_signs_colours_and_no_markup_of_the_program():
    html = diff(before, after)._repr_html_()
    assert f'<span style="background-color: {SHADES["-"]}">− y = x + 1 ' in html
    assert html.count(SHADES["+"]) == 2
    assert "return y &lt; 2" in html


def test_equal_programs_have_no_colour():
    assert "background" not in diff("a", "a")._repr_html_()
    assert repr(diff("", "")) == ""
