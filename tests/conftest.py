"""What every test shares: one thread, a Jupyter of its own, no browser test without a browser, pictures compared."""

import gc
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Generator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import kernels
import lab
import nbval.kernel
import pytest
from nbval.plugin import IPyNbCell
from pictures import drawn_again

from mapping_lib.tools.recording import other_copy

SLOW = ("notebooks", "tests/page", "tests/tools")
"""Folders whose tests start kernels or browsers."""


def pytest_configure(config: pytest.Config) -> None:
    """Stop where the notebooks would import other code than is tested here.

    Give all computation one thread, and the kernels folders that hold none of this machine's settings. PyTorch is
    imported where tests run: the process that deals them out to workers would start them two seconds later.
    """
    deals_out = bool(config.getoption("numprocesses", 0)) and not hasattr(config, "workerinput")
    if not hasattr(config, "workerinput") and (copy := other_copy(config.rootpath)):  # asked once, not by each worker
        raise pytest.UsageError(copy)
    config.pluginmanager.register(HeldPictures())
    config.pluginmanager.register(WithoutExtras())
    folder = tempfile.mkdtemp(prefix="mapping-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    names = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR")
    os.environ |= {name: str(Path(folder, name.lower())) for name in names}
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in ("PYTHONWARNINGS", "MPLBACKEND"):
        os.environ.pop(name, None)
    if deals_out:
        return
    import_module("torch").set_num_threads(1)
    if sys.platform == "linux":  # elsewhere what was imported may not outlive a fork
        nbval.kernel.KernelManager = kernels.Manager
    import_module("matplotlib.font_manager")  # builds the font cache here; a kernel would say so in its first cell


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the collector of garbage what lives as long as the run: PyTorch and all tests, a million objects."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what takes long first, file by file, so that at the end no worker waits for another's last file.

    First what starts kernels and browsers, a few tests of seconds each; last the examples in the library's docstrings.
    """
    slow = {item.path for item in items if item.get_closest_marker("browser")}
    sizes, root = Counter(item.path for item in items), config.rootpath

    def place(item: pytest.Item) -> tuple[bool, bool, int]:
        path = item.path
        quick = path not in slow and not any(path.is_relative_to(root / folder) for folder in SLOW)
        return quick, path.is_relative_to(root / "mapping_lib"), -sizes[path]

    items.sort(key=place)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin every test at the same random state, whichever tests this worker ran before.

    Skip a test marked `browser` where there is no browser, but fail it where one was promised."""
    import_module("torch").default_generator.manual_seed(1)  # with 0, the one weight of nn.Linear(1, 1) is nearly 0
    random.seed(1)
    if item.get_closest_marker("browser") and not lab.CHROMIUM:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail("REQUIRE_BROWSER is set, and there is no chromium on the PATH", pytrace=False)
        pytest.skip("needs Chromium, which is not installed (Debian: apt-get install chromium)")


class HeldPictures:
    """Holds the pictures of a notebook's cell against those stored: nbval itself compares words alone.

    A plugin, as the hooks of this file alone are not asked about notebooks, which lie in another folder.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        yield
        if isinstance(item, IPyNbCell) and not drawn_again(item.cell, item.test_outputs):
            pytest.fail(f"the pictures are not those stored; this drew them:\n{item.cell.source}", pytrace=False)


class WithoutExtras:
    """Leaves out the examples in modules that import what only an extra installs, where it is not installed."""

    def pytest_ignore_collect(self, collection_path: Path, config: pytest.Config) -> bool | None:
        extra = config.rootpath / "mapping_lib" / "tools" / "site"
        return True if collection_path == extra and not find_spec("sphinx") else None
