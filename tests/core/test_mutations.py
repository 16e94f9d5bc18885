"""Do the tests notice the classic faults of meta-learning code? Each is put into a copy of the library.

The faults: the gradient detached (MAML silently becomes first-order), the parameters detached (nothing is
learned through phi), the loss of the last task only, and phi written back into theta (all tasks step one
shared model). One subprocess runs the chosen tests on every copy, since importing torch is what takes time.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from house import LIBRARY, ROOT

RUN_BY_MUTANTS = [
    *(ROOT / "tests" / f"{name}.py" for name in ("oracles", "clinic", "learners_table")),
    *(Path(__file__).with_name(f"test_{name}.py") for name in ("gradient_learners", "every_learner")),
]

CONFTEST = """
from pathlib import Path
import mapping_lib, torch
assert Path(mapping_lib.__file__).parent.parent == Path(__file__).parent.parent, mapping_lib.__file__
torch.set_num_threads(1)
"""

DRIVER = """
import sys
from pathlib import Path
import pytest
for line in sys.stdin.read().splitlines():
    folder, chosen = line.split("|")
    sys.path.insert(0, folder)
    tests = str(Path(folder, "tests"))
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:nbval", "-c", str(Path(tests, "pytest.ini"))]
    pytest.main([tests, *options, "-k", chosen, "--junitxml", str(Path(folder, "report.xml"))])
    sys.path[:] = [path for path in sys.path if not path.startswith(folder)]
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(folder):
            del sys.modules[name]
"""


class Fault(NamedTuple):
    """A text in a file of the library, what is put in its place, and the tests (`pytest -k`) that must notice."""

    file: str
    text: str
    instead: str
    chosen: str


EXACT = "multiplies_by_one_minus_alpha_hessian"
GENERAL, FAST = f"{EXACT} and general", f"{EXACT} and fast"
FAULTS = {
    "gradient detached": Fault("inner_loop.py", "if first_order:", "if True:", GENERAL),
    "gradient detached, fast path": Fault("batched_mlp.py", "if not first_order:", "if False:", FAST),
    "parameters detached": Fault(
        "inner_loop.py",
        "params = inner_step(params, gradient, alpha)",
        "params = inner_step({name: p.detach() for name, p in params.items()}, gradient, alpha)",
        GENERAL,
    ),
    "parameters detached, fast path": Fault(
        "batched_mlp.py", "v = [u - h for u, h in zip(v, product, strict=True)]", "v = [-h for h in product]", FAST
    ),
    "last task only": Fault(
        "learners/many_tasks.py",
        "{name: d.mean(0) for name, d in direction.items()}",
        "{name: d[-1] for name, d in direction.items()}",
        GENERAL,
    ),
    "last task only, fast path": Fault(
        "batched_mlp.py",
        "phi, trace = params, []",
        "support, query = (Batch(*(part[-1:] for part in b)) for b in (support, query)); phi, trace = params, []",
        FAST,
    ),
    "adapt writes phi into theta": Fault(
        "inner_loop.py",
        "p - step_size(alpha, name) * gradient[name]",
        "p.sub_(step_size(alpha, name) * gradient[name])",
        "theta_is_unchanged and general and not reptile",
    ),
    "every task starts where the last one ended": Fault(
        "learners/many_tasks.py",
        "        direction, value = over_tasks(per_task, one_each(theta, len(tasks.query.x)), tasks.support, "
        "tasks.query)\n",
        "        starts = [theta]\n"
        "        for x, y in zip(*tasks.support, strict=True):\n"
        "            starts.append(theta | adapt(starts[-1], Batch(x, y)))\n"
        "        start_of_each = {name: torch.stack([start[name] for start in starts[:-1]]) for name in theta}\n"
        "        direction, value = over_tasks(per_task, start_of_each, tasks.support, tasks.query)\n",
        f"({EXACT} or order_of_the_tasks) and general and not reptile and not joint",
    ),
    "inner steps write phi into theta, fast path": Fault(
        "batched_mlp.py",
        "torch.addcmul(p, a, g, value=-1) for p, a, g in",
        "p.copy_(torch.addcmul(p, a, g, value=-1)[-1] if g.dim() > p.dim() else p - a * g) for p, a, g in",
        "theta_is_unchanged and fast and not adam",
    ),
}
NONE = "no fault"
ALL_CHOSEN = " or ".join(f"({chosen})" for chosen in sorted({fault.chosen for fault in FAULTS.values()}))


def copy_library(folder: Path) -> None:
    """Put the library and the tests that the mutants run into ``folder``."""
    shutil.copytree(LIBRARY, folder / "mapping_lib", ignore=shutil.ignore_patterns("__pycache__", "*.npz"))
    (folder / "tests").mkdir()
    for path in RUN_BY_MUTANTS:
        shutil.copy(path, folder / "tests")
    (folder / "tests" / "conftest.py").write_text(CONFTEST)
    (folder / "tests" / "pytest.ini").write_text("[pytest]\n")


def can_be_put_in(fault: Fault) -> bool:
    """Whether the library holds the fault's text, exactly once."""
    return (LIBRARY / fault.file).read_text(encoding="utf-8").count(fault.text) == 1


def put_in(fault: Fault, library: Path) -> None:
    path = library / fault.file
    path.write_text(path.read_text(encoding="utf-8").replace(fault.text, fault.instead), encoding="utf-8")


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> dict[str, ElementTree.Element]:
    """What pytest reports of every copy of the library, by the name of its fault."""
    faults = {name: fault for name, fault in FAULTS.items() if can_be_put_in(fault)}
    folders = {name: tmp_path_factory.mktemp(f"mutant{i}_") for i, name in enumerate([NONE, *faults])}
    for name, folder in folders.items():
        copy_library(folder)
        if name in faults:
            put_in(faults[name], folder / "mapping_lib")
    chosen = {name: faults[name].chosen if name in faults else ALL_CHOSEN for name in folders}
    todo = "\n".join(f"{folders[name]}|{chosen[name]}" for name in folders)
    done = subprocess.run([sys.executable, "-c", DRIVER], input=todo, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: ElementTree.parse(folder / "report.xml").getroot()[0] for name, folder in folders.items()}


def counts(report: ElementTree.Element) -> dict[str, int]:
    return {kind: int(report.get(kind)) for kind in ("tests", "failures", "errors", "skipped")}


def test_without_a_fault_the_chosen_tests_pass(reports):
    outcome = counts(reports[NONE])
    assert outcome["tests"] > 0
    assert outcome == {"tests": outcome["tests"], "failures": 0, "errors": 0, "skipped": 0}


@pytest.mark.parametrize("name", FAULTS)
def test_every_chosen_test_notices(reports, name: str):
    """And notices by comparing numbers: a copy that merely crashes proves nothing."""
    assert can_be_put_in(FAULTS[name]), f"{FAULTS[name].file} has changed: find the text of this fault anew"
    outcome = counts(reports[name])
    assert outcome["tests"] > 0
    assert outcome == {"tests": outcome["tests"], "failures": outcome["tests"], "errors": 0, "skipped": 0}
    messages = [failure.get("message") for failure in reports[name].iter("failure")]
    assert [message for message in messages if not message.startswith(("AssertionError", "assert "))] == []
