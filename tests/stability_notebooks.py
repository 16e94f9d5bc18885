"""Does rounding decide a number that a notebook prints? ``python tests/stability_notebooks.py [--noise N] [path ...]``

Every kernel starts with theta and tasks moved by a relative 1e-6, as `stability` moves them; nbval then compares what
is printed with what is stored. A cell that fails is decided by rounding, or prints a digit too many. All notebooks
take about ten minutes on one core.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
START = """
import importlib, pkgutil, sys
import mapping_lib

sys.path.insert(0, {tests!r})
for module in pkgutil.walk_packages(mapping_lib.__path__, "mapping_lib."):  # what is loaded later would not be moved
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
import stability

_nudging = stability.all_nudged({noise})  # kept: what is forgotten is put back
_nudging.__enter__()
"""
"""What a kernel runs before its first cell."""


def main() -> int:
    """Run nbval over the notebooks, moved by this noise; 1 if a cell prints anything else than is stored."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--noise", type=int, default=1, help="the seed of the noise")
    parser.add_argument("paths", nargs="*", default=[str(TESTS.parent / "notebooks")], help="all without any")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        startup = Path(folder, "profile_default", "startup")
        startup.mkdir(parents=True)
        (startup / "nudge.py").write_text(START.format(tests=str(TESTS), noise=told.noise), encoding="utf-8")
        os.environ |= {"IPYTHONDIR": folder, "OMP_NUM_THREADS": "1"}
        options = [
            "--nbval",
            "--nbval-current-env",
            "--nbval-cell-timeout=600",
            f"--nbval-sanitize-with={TESTS / 'nbval.cfg'}",
            "-q",
            "-o",
            "addopts=",
            "-p",
            "no:xdist",
        ]
        return int(pytest.main([*options, *told.paths]))


if __name__ == "__main__":
    sys.exit(main())
