"""Kernels for nbval that need not import PyTorch: forks of one process for each worker, which has imported it.

A notebook's kernel is what it would be otherwise, in its environment, its folder and its ``sys.path``, but that three
seconds of imports lie behind it (`test_kernels` asks both). Nothing of this library is imported before.

``python tests/kernels.py`` is that process: it reads orders, a line of JSON each, and answers with process ids.
"""

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from subprocess import PIPE
from typing import Any

from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import LocalProvisioner

BEFORE = ("ipykernel.kernelapp", "torch._dynamo", "matplotlib.pyplot")
"""What is imported before the fork: of PyTorch also what it imports itself when an optimiser first takes a step."""


@cache
def forking() -> subprocess.Popen:
    """The process that forks; it ends, and with it all its kernels, when this one does."""
    process = subprocess.Popen([sys.executable, __file__], stdin=PIPE, stdout=PIPE, text=True)
    atexit.register(process.communicate)
    return process


class Fork:
    """A kernel's process, with what Jupyter asks of a `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        """None while it lives."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0
        return None

    wait = poll

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


class Provisioner(LocalProvisioner):
    """Forks the kernel where Jupyter would start a Python."""

    async def launch_kernel(self, cmd: list[str], cwd: str, **kwargs: Any) -> dict[str, Any]:
        order = {"arguments": cmd[cmd.index("ipykernel_launcher") + 1 :], "cwd": cwd, "environ": kwargs["env"]}
        print(json.dumps(order), file=forking().stdin, flush=True)
        self.process = Fork(int(forking().stdout.readline()))
        self.pid = self.pgid = self.process.pid
        self.cwd = cwd
        return self.connection_info


class Manager(KernelManager):
    """What nbval makes for each notebook."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.provisioner = Provisioner(parent=self, kernel_spec=self.kernel_spec)


# The process that forks -----------------------------------------------------------------------------------


def serve() -> None:
    """Import what takes long; then fork for every line."""
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # as a kernel does: matplotlib reads it now
    for name in BEFORE:
        import_module(name)
    gc.freeze()  # what is not looked through is not copied
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that ended
    for line in iter(sys.stdin.readline, ""):
        if not (pid := os.fork()):
            return become_kernel(**json.loads(line))
        print(pid, flush=True)


def become_kernel(arguments: list[str], cwd: str, environ: dict[str, str]) -> None:
    """What ``python -m ipykernel_launcher`` does, in a session of its own as Jupyter wants it."""
    from ipykernel import kernelapp

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.chdir(cwd)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    os.environ.clear()
    os.environ.update(environ, JPY_PARENT_PID=str(os.getppid()))
    kernelapp.launch_new_instance([*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"])


if __name__ == "__main__":
    del sys.path[0]  # this folder, which kernels do not have
    serve()
