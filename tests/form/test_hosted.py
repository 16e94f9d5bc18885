"""A notebook on a host without the library tells how to install it; what versions are promised is said in one place."""

import re
import tomllib
from pathlib import Path

import pytest
from house import ROOT
from pages import load

INSTALL = "%pip install --no-deps mapping_lib-*.whl"
SHOWN = f"# Not found? Upload the suite's wheel (page 5e), then {INSTALL}"
"""Right above the import that fails, so that the error shows it."""

NOTEBOOKS = [
    path
    for path in sorted(ROOT.glob("notebooks/*.ipynb"))
    if "mapping_lib" in "".join(c.source for _, c in load(path).code())
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def lowest() -> dict[str, str]:
    """The oldest versions that the project promises, Python's too."""
    bounds = [f"Python{PROJECT['requires-python']}", *PROJECT["dependencies"]]
    return dict(line.split(">=") for line in bounds if ">=" in line)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_line_stands_above_the_first_import(path: Path):
    lines = [line for _, cell in load(path).code() for line in cell.source.splitlines()]
    first = next(i for i, line in enumerate(lines) if re.match(r"(from|import) mapping_lib\b", line))
    assert lines[first - 1] == SHOWN


def test_the_page_for_teachers_says_the_same_and_names_the_versions():
    text = "\n".join(cell.source for cell in load(ROOT / "notebooks/05e_teaching.ipynb").nb.cells)
    section = text.partition("## On a hosted notebook")[2].partition("\n## ")[0]
    assert f"\n    {INSTALL}\n" in section
    promised = section.partition("oldest versions that are promised: ")[2].partition(". ")[0]
    assert dict(re.findall(r"(\w+) (\d+\.\d+)", promised)) == lowest()


def test_what_is_pinned_is_not_older():
    pins = dict(re.findall(r"(?m)^([\w-]+)==([\d.]+)$", (ROOT / "requirements.txt").read_text(encoding="utf-8")))
    old = {name: pins[name] for name, low in lowest().items() if name in pins and version(pins[name]) < version(low)}
    assert old == {}
    assert len(lowest()) > 5
