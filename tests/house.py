"""The library as a house: its modules, the floors and rooms that they stand in, what each imports."""

import ast
from collections.abc import Set
from functools import cache
from pathlib import Path

import mapping_lib

ROOT = Path(__file__).parent.parent
LIBRARY = Path(mapping_lib.__file__).parent


def module_name(path: Path) -> str:
    """The dotted name of a file: ``mapping_lib/learners/__init__.py`` is ``mapping_lib.learners``."""
    parts = path.relative_to(LIBRARY.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FLOORS = {
    "task": 0,
    "checks": 0,
    "data_checks": 0,
    "params": 0,
    "console": 0,
    "over_tasks": 0,
    "modules": 1,
    "twice": 1,
    "networks": 1,
    "set_networks": 1,
    "inner_loop": 1,
    "flow": 1,
    "curvature": 1,
    "batched_mlp": 1,
    "families": 2,
    "learners": 3,
    "meta_training": 4,
    "evaluation": 4,
}
"""The floor of every file or folder of the core, by the first name after ``mapping_lib``."""

AROUND = {
    "doctor": set(),
    "worlds": set(),
    "study": {"worlds"},
    "page": {"doctor", "worlds", "study"},
    "chapters": {"doctor", "worlds", "study", "page"},
    "tools": {"page"},
}
"""The rooms around the core, and the other rooms that each may import."""

MODULES = {module_name(path): path for path in sorted(LIBRARY.rglob("*.py"))}
HOUSE = [name for name in MODULES if name != "mapping_lib"]


def room(module: str) -> str:
    """The room of a module: ``families`` for ``mapping_lib.families.sinusoid``."""
    return module.split(".")[1]


def imports(source: str, module: str, *, is_package: bool = False) -> set[str]:
    """The dotted names that ``source`` imports, anywhere in it; ``from a import b`` gives ``a.b``."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            here = module.split(".")[: None if is_package else -1]
            base = here[: len(here) - node.level + 1] if node.level else []
            start = ".".join([*base, node.module] if node.module else base)
            names |= {f"{start}.{alias.name}" for alias in node.names}
    return names


@cache
def imports_of(module: str) -> frozenset[str]:
    """The dotted names that a module of the library imports; read once, though many tests ask."""
    path = MODULES[module]
    return frozenset(imports(path.read_text(encoding="utf-8"), module, is_package=path.name == "__init__.py"))


def inside(names: Set[str]) -> set[str]:
    """The modules of mapping_lib among dotted names, of which the last part may be a function or class."""
    return {n if n in MODULES else n.rpartition(".")[0] for n in names if n.split(".")[0] == "mapping_lib"}


def wing(module: str) -> str:
    """The wing of a module of `chapters`, ``language`` for ``mapping_lib.chapters.language.family``; "" for others."""
    parts = module.split(".")
    return parts[2] if parts[1:2] == ["chapters"] and len(parts) > 2 else ""


def kind(module: str) -> str:
    """What a file of a wing is: ``explorer`` for ``mapping_lib.chapters.maml_code.explorer_own``; "" elsewhere."""
    return module.split(".")[3].partition("_")[0] if wing(module) and module.count(".") > 2 else ""
