"""Every example in a docstring runs, and everything public says what it is."""

import importlib
import inspect
import re
from types import ModuleType

import pytest
from house import FLOORS, HOUSE, MODULES, kind, room

TESTED = [name for name in MODULES if kind(name) != "explorer"]
"""All but what is tried by moving it."""

SCIENCE = FLOORS.keys() | {"doctor", "worlds", "study"}
LEARNING = [name for name in HOUSE if room(name) in SCIENCE or kind(name) in ("family", "methods", "study")]
WITHOUT_EXAMPLES = {
    "mapping_lib.study.__main__",  # measures for minutes
    "mapping_lib.doctor.patient",  # the doctor's tools: `diagnose` shows them at work
    "mapping_lib.doctor.checks",
    "mapping_lib.doctor.slopes",
}


def public(module: ModuleType) -> dict[str, object]:
    """The public functions and classes that a module defines, and the public methods of its classes."""
    names = {}
    for name, value in vars(module).items():
        is_own = getattr(value, "__module__", None) == module.__name__
        value = inspect.unwrap(value) if callable(value) else value  # what a cache stands around
        if not name.startswith("_") and is_own and (inspect.isfunction(value) or inspect.isclass(value)):
            names[name] = value
            if inspect.isclass(value):
                methods = {n: m for n, m in vars(value).items() if inspect.isfunction(m) or isinstance(m, staticmethod)}
                names |= {f"{name}.{n}": m for n, m in methods.items() if not n.startswith("_")}
    return names


def has_words(value: object) -> bool:
    """Whether something has a docstring of its own: not none, nor the one that NamedTuple writes."""
    doc = (value.__doc__ or "").strip()
    return bool(doc) and not re.match(r"^\w+\(.*\)$", doc)


def test_pytest_runs_every_example(pytestconfig: pytest.Config):
    """Each is a test of its own, which pytest collects from the library; here no one runs it a second time."""
    assert "--doctest-modules" in pytestconfig.getini("addopts")
    assert "mapping_lib" in pytestconfig.getini("testpaths")


@pytest.mark.parametrize("name", TESTED)
def test_everything_public_has_a_docstring(name: str):
    module = importlib.import_module(name)
    assert has_words(module), f"{name} has no docstring"
    assert [item for item, value in public(module).items() if not has_words(value)] == []


@pytest.mark.parametrize("name", [name for name in LEARNING if name not in WITHOUT_EXAMPLES])
def test_every_module_that_offers_functions_shows_one_at_work(name: str):
    offered = public(importlib.import_module(name))
    functions = [item for item, value in offered.items() if inspect.isfunction(value)]
    assert not functions or any(">>>" in (value.__doc__ or "") for value in offered.values())


def test_a_missing_docstring_would_be_found():
    assert not has_words(lambda: None)
    assert not has_words(type("Batch", (), {"__doc__": "Batch(x, y)"}))
    assert has_words(public)
