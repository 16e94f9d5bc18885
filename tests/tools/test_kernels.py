"""Kernels that are forked (`kernels`): what a notebook finds in them is what it finds in a kernel that was started."""

import ast
import os
import signal
import sys
import time
from pathlib import Path

import kernels
import pytest
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpecManager

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="here all kernels are started")

FOUND = """
import os, signal, sys, threading
import matplotlib
told = {name: value for name, value in os.environ.items() if name not in ("JPY_PARENT_PID", "JPY_SESSION_NAME")}
loaded = [name for name in sys.modules if name.split(".")[0] in ("mapping_lib", "kernels", "lab", "pytest")]
signals = [str(signal.getsignal(number)) for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGPIPE)]
repr({"path": sys.path, "cwd": os.getcwd(), "flags": str(sys.flags), "environ": told, "loaded": loaded, "names": dir(),
    "backend": matplotlib.get_backend(), "signals": signals, "session": os.getsid(0) == os.getpid(),
    "threads": sorted(thread.name.partition("-")[0] for thread in threading.enumerate())})
"""


def asked(manager: KernelManager, code: str, cwd: Path) -> str:
    """What a line gives in a fresh kernel, which then is shut down."""
    manager.start_kernel(cwd=str(cwd))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        reply = client.execute(code, reply=True, user_expressions={"last": "_"}, timeout=60)["content"]
        assert reply["status"] == "ok", reply
        return ast.literal_eval(reply["user_expressions"]["last"]["data"]["text/plain"])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        assert not manager.is_alive()


@pytest.fixture
def specs() -> KernelSpecManager:
    return KernelSpecManager(kernel_dirs=[])


def test_a_forked_kernel_is_as_one_that_was_started(specs: KernelSpecManager, tmp_path: Path):
    forked, started = (
        ast.literal_eval(asked(make(kernel_name="python3", kernel_spec_manager=specs), FOUND, tmp_path))
        for make in (kernels.Manager, KernelManager)
    )
    assert forked == started
    assert (forked["cwd"], forked["loaded"]) == (str(tmp_path.resolve()), [])


def test_it_has_imported_before_what_takes_long(specs: KernelSpecManager, tmp_path: Path):
    line = "import sys\n'torch' in sys.modules"
    assert asked(kernels.Manager(kernel_name="python3", kernel_spec_manager=specs), line, tmp_path)
    assert not asked(KernelManager(kernel_name="python3", kernel_spec_manager=specs), line, tmp_path)


def test_a_kernel_that_dies_is_seen_to_be_dead(specs: KernelSpecManager, tmp_path: Path):
    manager = kernels.Manager(kernel_name="python3", kernel_spec_manager=specs)
    manager.start_kernel(cwd=str(tmp_path))
    assert manager.is_alive()
    os.kill(manager.provisioner.pid, signal.SIGKILL)
    for _ in range(100):
        if not manager.is_alive():
            break
        time.sleep(0.05)
    assert not manager.is_alive()
    manager.shutdown_kernel(now=True)
