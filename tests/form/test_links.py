"""The suite hangs together: each chapter leads forward and back, to its readers' questions and to checked claims."""

import re
from pathlib import Path

import nbformat
import pytest
from house import ROOT
from pages import CHAPTERS, SPLIT_OFF, pages_of

FOR_REFERENCE = sorted(ROOT.glob("notebooks/05*.ipynb"), key=lambda path: path.stem.split("_")[0])
NOTEBOOKS = [*CHAPTERS, *FOR_REFERENCE]


def markdown(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, nbformat.NO_CONVERT).cells if cell.cell_type == "markdown"]


def targets(path: Path, pattern: str) -> set[str]:
    return set(re.findall(pattern, "\n".join(markdown(path))))


def test_the_order_is_that_of_the_readme():
    """A row for each chapter, which names the pages split off from it, too."""
    rows = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    linked = re.findall(r"\]\(notebooks/(\w+\.ipynb)\)", "\n".join(rows))
    in_order = [page.name for path in CHAPTERS for page in (path, *pages_of(path))]
    assert linked == in_order + [path.name for path in FOR_REFERENCE]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_last_cell_leads_back_and_forward(path: Path):
    last, i = markdown(path)[-1], NOTEBOOKS.index(path)
    back, _, forward = last.partition("**Next:**")
    if i > 0:
        assert f"({NOTEBOOKS[i - 1].name})" in back.partition("**Back:**")[2]
    if i < len(NOTEBOOKS) - 1:
        assert f"({NOTEBOOKS[i + 1].name})" in forward


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_leads_to_the_pages_split_off_and_they_lead_back(path: Path):
    for page in pages_of(path):
        assert f"({page.name}" in "\n".join(markdown(path)), f"{path.name} does not lead to {page.name}"
        assert f"({path.name})" in markdown(page)[0] + markdown(page)[1], f"{page.name} does not lead back at its top"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_leads_to_the_questions_that_arise_in_it(path: Path):
    assert len(targets(path, r"\(05_faq\.ipynb#(q\d+)\)")) >= 2


def test_every_group_of_questions_is_led_to():
    linked = set().union(*(targets(path, r"\(05_faq\.ipynb#q(\d+)\)") for path in CHAPTERS + SPLIT_OFF))
    text = "\n".join(markdown(ROOT / "notebooks/05_faq.ipynb"))
    groups = re.split(
        r"^## (Mathematics|Code|Training practice|Evaluation|Concepts|Applications|History)$", text, flags=re.M
    )
    for name, group in zip(groups[1::2], groups[2::2], strict=True):
        numbers = set(re.findall(r'<a id="q(\d+)"></a>', group))
        assert numbers & linked, f"no chapter leads to a question on {name}"


def test_claims_are_led_to_from_where_they_are_touched():
    linked = set().union(*(targets(path, r"\(05a_checked_claims\.ipynb#c(\d+)\)") for path in CHAPTERS + SPLIT_OFF))
    assert len(linked) >= 40
