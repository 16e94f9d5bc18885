"""A chapter begins with the hand, its main line is short, and what it prints fits: the limits of `reading`."""

import re
from pathlib import Path

import pytest
from house import ROOT
from pages import CHAPTERS, SPLIT_OFF, load
from reading import FOLDED, is_folded, read, words

MOST_WORDS = {"1 to 4f": 40_000, "3d": 1_800, "4g": 8_000}
"""Of these chapters with the pages split off from them, teacher's notes left out."""

ALL = CHAPTERS + SPLIT_OFF
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
each_page = pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)


@each_chapter
def test_a_main_line_takes_a_quarter_of_an_hour(path: Path):
    reading = read(path)
    assert reading.main_words <= 1800
    assert reading.main_cells <= 60


@each_chapter
def test_something_moves_before_sixty_words(path: Path):
    assert read(path).before <= 60
    assert read(path).screens <= 0.5


@pytest.mark.parametrize("chapters", MOST_WORDS)
def test_all_chapters_together_are_no_thick_book(chapters: str):
    ours = [path for path in ALL if (path.stem[1:3] if path.stem[1:3] in MOST_WORDS else "1 to 4f") == chapters]
    assert sum(read(path).words for path in ours) <= MOST_WORDS[chapters]


@each_page
def test_what_is_printed_fits(path: Path):
    assert read(path).widest <= 88


@each_page
def test_code_that_is_open_is_short_and_narrow(path: Path):
    reading = read(path)
    assert reading.median_lines <= 8
    assert reading.widest_code <= 88


def is_plumbing(source: str) -> bool:
    """Whether a cell does little but import, set a style, or draw.

    >>> is_plumbing("import torch"), is_plumbing("figure, ax = plt.subplots()"), is_plumbing("print(6 * 7)")
    (True, True, False)
    """
    lines = [line for line in source.splitlines() if line.strip()]
    set_up = [line for line in lines if re.match(r"import |from \w\S* import |plots\.use_style", line)]
    defines = re.search(r"(?m)^(def|class) ", source)
    return not defines and (len(set_up) > len(lines) / 2 or bool(re.match(r".*plt\.(subplots|figure)\(", source)))


@each_page
def test_plumbing_is_folded(path: Path):
    cells = load(path).code()
    exercise = {number for number, cell in cells if "exercise" in cell.metadata.get("tags", [])}
    open_ones = [number for number, cell in cells if is_plumbing(cell.source) and not is_folded(cell)]
    assert sorted(set(open_ones) - exercise) == []


@each_page
def test_no_link_leads_into_a_folded_part(path: Path):
    """JupyterLab opens none by itself."""
    folded = [part for cell in load(path).nb.cells for part in FOLDED.findall(cell.source)]
    assert not [part[:60] for part in folded if re.search(r"(?m)^#+ |\bid=", part)]


# --- What is counted ---


@pytest.mark.parametrize(
    ("markdown", "count"),
    [
        ("The loss $L(x) = 2$ is [here](there.html).", 5),
        ("| a | b |\n|---|---|\n| 1 | 2 |", 4),
        ("$$x = y\\quad\\text{or not}$$", 1),
        ('<a id="here"></a>', 0),
        ("**Two** words", 2),
    ],
)
def test_words_are_what_one_reads(markdown: str, count: int):
    assert words(markdown) == count


def test_a_notebook_is_counted_by_hand(tmp_path: Path):
    from nbformat import write
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    shown = new_output("display_data", {"text/plain": "[explorer: e]", "text/html": "<img>"})
    said = new_output("stream", name="stdout", text="x" * 90)
    cells = [
        new_markdown_cell("# Three plain words"),
        new_code_cell("explorer()", outputs=[shown], metadata={"jupyter": {"source_hidden": True}}),
        new_markdown_cell("Five words, <details>and these three</details> here too."),
        new_markdown_cell("Not for readers.", metadata={"tags": ["teacher"]}),
        new_code_cell("print(1)\nprint(2)", outputs=[said]),
        new_markdown_cell("## Exercises"),
    ]
    write(new_notebook(cells=cells), tmp_path / "a.ipynb")
    reading = read(tmp_path / "a.ipynb")
    assert (reading.before, reading.main_words, reading.main_cells, reading.words) == (3, 7, 5, 11)
    assert (reading.widest, reading.open_lines, reading.folded_lines, reading.median_lines) == (90, 2, 1, 2)


def test_chapters_and_pages_are_found():
    assert ROOT / "notebooks/01_mapping_view.ipynb" in CHAPTERS
    assert not set(CHAPTERS) & set(SPLIT_OFF)
