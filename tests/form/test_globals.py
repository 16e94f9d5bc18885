"""Nothing in the library reads or writes what a whole process shares, unless its docstring says so.

Shared are: the random state, the default dtype and device, the number of threads, matplotlib's settings. They are
looked for in the syntax trees, and by running: under other defaults the same numbers come out.
"""

import ast
import importlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass

import pytest
from house import HOUSE, LIBRARY, MODULES, ROOT

RANDOM = {"rand", "randn", "randint", "randperm", "normal", "multinomial", "bernoulli", "poisson", "rand_like"}
RANDOM |= {"randn_like", "randint_like", "dropout", "uniform_", "normal_", "bernoulli_", "exponential_", "random_"}
MAKERS = {
    "rand",
    "randn",
    "zeros",
    "ones",
    "empty",
    "eye",
    "linspace",
    "logspace",
    "full",
    "normal",
    "tensor",
    "arange",
}
"""Makers of tensors whose dtype is the default one, unless it is named."""

WAIVED = "exercises"
"""The files not held to it: a check asks in torch's default dtype, in which the reader's own tensors are."""

WORDS = {
    "random state": {"manual_seed", "seed", "fork_rng", "set_rng_state", "get_rng_state", "initial_seed"},
    "thread": {"set_num_threads", "get_num_threads", "set_num_interop_threads"},
    "default dtype": {"set_default_dtype", "get_default_dtype", "set_default_device", "get_default_device"},
    "rcParams": {"rcParams", "rc_context", "rcdefaults", "rc_file", "rc", "use"},
    "environ": {"environ", "getenv", "putenv", "chdir"},
    "stdout": {"stdout"},
    "register": {"register_error"},
}
"""What a docstring must say, where one of these names is used."""


def uses(source: str) -> Iterator[tuple[int, str]]:
    """The line and the kind of each use of shared state that no docstring around it names."""
    tree = ast.parse(source)
    yield from _uses(tree, ast.get_docstring(tree) or "")


def _uses(node: ast.AST, docstrings: str) -> Iterator[tuple[int, str]]:
    for child in ast.iter_child_nodes(node):
        words = docstrings
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            words = docstrings + (ast.get_docstring(child) or "")
        if (kind := _kind(child)) and kind not in words:
            yield child.lineno, kind
        yield from _uses(child, words)


def _kind(node: ast.AST) -> str:
    """What kind of shared state a node itself touches; empty for none."""
    if isinstance(node, ast.Attribute):
        owner = ast.unparse(node.value).rpartition(".")[2]
        if owner == "np" and node.attr == "random":
            return "random state"
        if node.attr == "manual_seed" and owner != "torch":  # of a generator of its own
            return ""
        return next((word for word, names in WORDS.items() if node.attr in names and _is_shared(word, owner)), "")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        named = {keyword.arg for keyword in node.keywords}
        named |= {"generator", "dtype"} if None in named else set()  # **settings
        of_torch = ast.unparse(node.func.value) == "torch"
        if node.func.attr in RANDOM and "generator" not in named and (of_torch or node.func.attr.endswith("_")):
            return "random state"
        if of_torch and node.func.attr in MAKERS and not named & {"dtype", "out"} and _may_be_floating(node):
            return "default dtype"
    return ""


def _is_shared(word: str, owner: str) -> bool:
    owners = {
        "stdout": {"sys"},
        "random state": {"torch", "random", "cuda"},
        "rcParams": {"mpl", "matplotlib", "plt", "style"},
    }
    return owner in owners.get(word, {owner})


def _may_be_floating(call: ast.Call) -> bool:
    """Whether what is made may be of the default dtype: it is not, if it is made from whole numbers or truth values."""
    if call.func.attr == "arange":
        return any(isinstance(node, ast.Constant) and isinstance(node.value, float) for node in ast.walk(call))
    return call.func.attr not in ("tensor", "full") or not _is_whole(call.args[-1])


def _is_whole(node: ast.AST) -> bool:
    match node:
        case ast.Constant():
            return isinstance(node.value, int)
        case ast.List() | ast.Tuple():
            return bool(node.elts) and all(map(_is_whole, node.elts))
        case ast.ListComp():
            return _is_whole(node.elt)
        case ast.UnaryOp():
            return _is_whole(node.operand)
        case ast.BinOp():
            return not isinstance(node.op, ast.Div) and _is_whole(node.left) and _is_whole(node.right)
        case ast.Call():
            return ast.unparse(node.func) in ("len", "int", "ord", "bool")
    return isinstance(node, ast.Compare)


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith(WAIVED)])
def test_shared_state_is_touched_only_where_a_docstring_says_so(name: str):
    assert [*uses(MODULES[name].read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("torch.manual_seed(3)", "random state"),
        ("torch.random.fork_rng()", "random state"),
        ("torch.rand(3)", "random state"),
        ("x.normal_()", "random state"),
        ("np.random.rand(3)", "random state"),
        ("torch.rand(3, generator=g)", "default dtype"),
        ("torch.zeros(3)", "default dtype"),
        ("torch.tensor([0.5, 1])", "default dtype"),
        ("torch.tensor([1 / 2])", "default dtype"),
        ("torch.arange(0.0, 3)", "default dtype"),
        ("torch.set_default_device('meta')", "default dtype"),
        ("torch.set_num_threads(1)", "thread"),
        ("mpl.rcParams['font.size'] = 3", "rcParams"),
        ("plt.style.use('classic')", "rcParams"),
        ("os.environ['A'] = 'b'", "environ"),
        ("sys.stdout.reconfigure()", "stdout"),
    ],
)
def test_a_use_is_found_and_a_docstring_allows_it(source: str, kind: str):
    assert kind in {use for _, use in uses(source)}
    assert [*uses(f'def f():\n    """It says {kind}."""\n    {source}')] == []
    assert [*uses(f'def g():\n    """It says {kind}."""\n\ndef f():\n    {source}')] != []


@pytest.mark.parametrize(
    "source",
    [
        "torch.Generator().manual_seed(3)",
        "torch.rand(3, generator=g, dtype=torch.float32)",
        "torch.randn(3, **drawn)",
        "torch.tensor([len(a) for a in b])",
        "torch.tensor([[0, 1], [-1, 0]])",
        "torch.full((3,), 2)",
        "torch.arange(3)",
        "options.use",
        "module.reset_parameters()",
    ],
)
def test_what_is_no_use_is_none(source: str):
    assert [*uses(source)] == []


# By running -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs() -> dict[str, dict]:
    """What `under_defaults` says in a process of each default dtype."""
    script = str(ROOT / "tests/under_defaults.py")
    environment = os.environ | {"PYTHONPATH": str(LIBRARY.parent), "OMP_NUM_THREADS": "1"}
    asked = {
        dtype: subprocess.Popen([sys.executable, script, dtype], env=environment, stdout=subprocess.PIPE)
        for dtype in ("float32", "float64")
    }
    return {dtype: json.loads(process.communicate()[0]) for dtype, process in asked.items()}


def test_explorers_and_families_give_the_same_under_another_default_dtype(runs):
    under = [run["given"] for run in runs.values()]
    assert sum(name.startswith("explorer") for name in under[0]) == 15
    assert [name for name, digest in under[0].items() if under[1][name] != digest] == []


def test_every_family_was_asked(runs):
    """Every class of the library that draws tasks, but one: it reads a reader's own files."""
    classes = [(name, value) for name in HOUSE for value in vars(importlib.import_module(name)).values()]
    own = {value for name, value in classes if inspect.isclass(value) and value.__module__ == name}
    families = {c.__name__ for c in own if hasattr(c, "sample") and is_dataclass(c)}
    assert {name for name in families if f"family {name}" not in runs["float32"]["given"]} == {"Omniglot"}


def test_explorers_and_families_leave_no_shared_state_behind(runs):
    for run in runs.values():
        assert set(run["changed"]) <= {"torch's random state"}  # which `mlp` draws its first parameters from
