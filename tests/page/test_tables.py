"""A table says what it was given, in HTML and in plain text."""

import math
from xml.etree import ElementTree

import pytest

from mapping_lib.page.tables import table

HEAD = ["method", "error (g)", "tasks"]
ROWS = [["MAML <1>", (19.24, 1.5), 12], ["own fit", -24.0, 1200], ["none", None, 3]]


def cells(kind: str, html: str) -> list[tuple[str, str]]:
    """The words of every cell of one kind, and the side at which they stand."""
    return [(cell.text, cell.get("style")) for cell in ElementTree.fromstring(html).iter(kind)]


def test_html_holds_words_numbers_and_half_widths():
    html = table(HEAD, ROWS, caption="Chicks & more", digits=1)._repr_html_()
    words = [word for word, _ in cells("td", html)]
    assert words == ["MAML <1>", "19.2 ± 1.5", "12", "own fit", "−24.0", "1,200", "none", "–", "3"]
    assert [word for word, _ in cells("th", html)] == HEAD
    assert ElementTree.fromstring(html).find("caption").text == "Chicks & more"


def test_numbers_stand_at_the_right_and_words_at_the_left():
    html = table(HEAD, ROWS)._repr_html_()
    sides = [side.removeprefix("text-align: ") for _, side in cells("td", html)]
    assert sides[:3] == sides[3:6] == ["left", "right", "right"]


def test_plain_text_is_aligned():
    lines = repr(table(HEAD, ROWS, digits=0)).splitlines()
    assert lines == [
        "method    error (g)  tasks",
        "MAML <1>     19 ± 2     12",
        "own fit         −24  1,200",
        "none              –      3",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(float("nan"), "–"), (float("inf"), "∞"), (True, "1"), (2.5, "2.50"), (-0.001, "0.00"), (-math.inf, "−∞")],
)
def test_what_is_no_finite_number_has_a_sign(value, shown):
    assert table(["a"], [[value]]).rows == [[shown]]


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"row 2 has 1 cells: \['b'\]; allowed: 2"):
        table(["a", "b"], [["a", 1], ["b"]])


def test_fewer_than_no_digits_are_refused():
    with pytest.raises(ValueError, match="digits is -1"):
        table(["a"], [[1.0]], digits=-1)


def test_a_table_without_rows_has_its_head():
    assert repr(table(["a", "b"], [])) == "a  b"
