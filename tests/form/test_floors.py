"""The house: a core whose imports point downwards, rooms around it, wings that know nothing of each other.

All is read from the syntax trees, imports in functions too.
"""

import re
import subprocess
import sys

import pytest
from house import AROUND, FLOORS, HOUSE, LIBRARY, MODULES, ROOT, imports, imports_of, inside, kind, room, wing
from pages import CHAPTERS

import mapping_lib

ONLY_FOR = {
    "ipywidgets": {"page"},
    "anywidget": {"page.explorer", "page.prediction"},
    "matplotlib": {"page", "figures", "worlds.letters"},  # letters are drawn with its fonts
}
"""Packages that only these rooms, these files of wings, or these modules may import."""

PARTS = {"family", "methods", "study", "figures", "explorer", "exercises"}
"""What the files of a wing are called; ``family_growth`` is a part of a family."""

STORES = {"data", "tables", "weights", "programs"}
"""The folders of a wing."""

NOTEBOOKS = {path.stem.partition("_")[2]: path for path in CHAPTERS}
"""The chapters, by the name of their wing. Pages split off from them, and the pages 05*, have no wing."""

CORE_LINES = 3600
"""Readable in an hour, docstrings and all."""


# The reader of imports --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b, c as d", {"a.b", "c"}),
        ("from mapping_lib.task import Batch, Task", {"mapping_lib.task.Batch", "mapping_lib.task.Task"}),
        ("from mapping_lib import plots", {"mapping_lib.plots"}),
        ("from . import plots", {"mapping_lib.learners.plots"}),
        ("from .. import plots", {"mapping_lib.plots"}),
        ("from ..plots import use_style", {"mapping_lib.plots.use_style"}),
        ("def f():\n    if True:\n        import matplotlib.pyplot as plt", {"matplotlib.pyplot"}),
        ("class A:\n    def f(self):\n        from mapping_lib.plots import COLOURS", {"mapping_lib.plots.COLOURS"}),
        ("x = 'import torch'", set()),
    ],
)
def test_every_form_of_import_is_seen(source: str, expected: set[str]):
    assert imports(source, "mapping_lib.learners.gradient") == expected


def test_a_package_imports_relative_to_itself():
    assert imports("from . import gradient", "mapping_lib.learners", is_package=True) == {
        "mapping_lib.learners.gradient"
    }


def test_there_is_a_house_to_look_at():
    assert {"mapping_lib.task", "mapping_lib.learners", "mapping_lib.learners.gradient"} <= set(HOUSE)


# The rules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", HOUSE)
def test_every_module_has_its_place(module: str):
    assert room(module) in FLOORS.keys() | AROUND.keys(), (
        f"{module} has no place: write it into tests/house.py and into the picture in mapping_lib/__init__.py"
    )


@pytest.mark.parametrize("module", [name for name in HOUSE if room(name) in FLOORS])
def test_imports_of_the_core_point_downwards(module: str):
    mine = FLOORS[room(module)]
    others = {other for other in inside(imports_of(module)) - {"mapping_lib"} if FLOORS.get(room(other), 99) > mine}
    assert others == set(), f"{module}, on floor {mine}, imports {sorted(others)} from above or around the core"


@pytest.mark.parametrize("module", [name for name in HOUSE if room(name) in AROUND])
def test_a_room_imports_the_core_and_what_it_may(module: str):
    core = {"console"} if room(module) == "tools" else FLOORS.keys()
    allowed = core | AROUND[room(module)] | {room(module)}
    assert {other for other in inside(imports_of(module)) - {"mapping_lib"} if room(other) not in allowed} == set()


@pytest.mark.parametrize("module", [name for name in HOUSE if wing(name)])
def test_no_wing_imports_another(module: str):
    assert {wing(other) for other in inside(imports_of(module))} <= {"", wing(module)}


def test_the_core_can_be_read_in_an_hour():
    core = [path for name, path in MODULES.items() if name != "mapping_lib" and room(name) in FLOORS]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in core) <= CORE_LINES


def test_every_chapter_has_a_wing_of_its_name_and_every_wing_a_chapter():
    assert {path.parent.name for path in LIBRARY.glob("chapters/*/__init__.py")} == NOTEBOOKS.keys()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_files_of_a_wing_have_the_names_that_they_have_in_all(name: str):
    entries = [path for path in (LIBRARY / "chapters" / name).iterdir() if path.name != "__pycache__"]
    assert {path.name for path in entries if path.is_dir()} <= STORES
    files = {path.stem.partition("_")[0] for path in entries if path.is_file() and path.name != "__init__.py"}
    assert files <= PARTS


def test_tests_have_the_same_rooms_and_wings():
    rooms = {path.relative_to(ROOT / "tests").as_posix() for path in ROOT.glob("tests/**/test_*.py")}
    folders = {name.rpartition("/")[0] for name in rooms}
    wings = {f"chapters/{name}" for name in NOTEBOOKS}
    assert wings <= folders <= wings | {"core", "form"} | AROUND.keys()


@pytest.mark.parametrize("package", ONLY_FOR)
@pytest.mark.parametrize("module", HOUSE)
def test_pictures_and_sliders_stay_upstairs(module: str, package: str):
    uses = package in {name.split(".")[0] for name in imports_of(module)}
    names = {room(module), kind(module), module.removeprefix("mapping_lib.")}
    assert not uses or names & ONLY_FOR[package], f"{module} imports {package}"


def test_no_imports_go_in_a_circle():
    below = {module: inside(imports_of(module)) - {module} for module in MODULES}
    while free := {module for module, needs in below.items() if not needs & below.keys()}:
        below = {module: needs for module, needs in below.items() if module not in free}
    assert below == {}


def rows(*header: str) -> list[tuple[str, str]]:
    """The first two columns of the table in the package's docstring that begins with this header."""
    lines = mapping_lib.__doc__.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[:2] == list(header))
    places = [lines[start].index(word) for word in (*header, "what lives")]
    table = lines[start + 1 : lines.index("", start)]
    return [(line[places[0] : places[1]].strip(), line[places[1] : places[2]].strip()) for line in table]


def test_the_picture_in_the_docstring_shows_these_floors_and_rooms():
    floors, floor = {}, 0
    for number, files in rows("floor", "files"):
        floor = int(number or floor)
        floors |= dict.fromkeys(re.findall(r"(\w+)(?:\.py|/)", files), floor)
    assert floors == FLOORS
    assert {name.rstrip("/"): set(re.findall(r"\w+", others)) for name, others in rows("room", "may")} == AROUND


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, mapping_lib; print(*{'torch', 'numpy', 'matplotlib', 'ipywidgets'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""


def test_learning_loads_no_pictures():
    code = (
        "import sys, mapping_lib.meta_training, mapping_lib.evaluation, mapping_lib.learners.baselines;"
        "print(*{'matplotlib', 'ipywidgets'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""
