"""A real hub with accounts of its own, as root, and those who use it: for a test and a benchmark."""

import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import requests
from house import ROOT
from readers import Reader, wait

from mapping_lib.tools.class_hub import accounts
from mapping_lib.tools.class_hub.__main__ import check_installed
from mapping_lib.tools.class_hub.watch import in_memory

BIND = (
    'mount --bind "$1" "$2" && mount -t tmpfs -o mode=755,size=1m none "$3" && mkdir -p "$1" && mount --bind "$2" "$1"'
)
CHECK = "import sys, pathlib; from mapping_lib.tools.class_hub.__main__ import check_open; "
CHECK += "check_open(*map(pathlib.Path, sys.argv[1:]))"


def open_python(stash: Path) -> list[str]:
    """What a command begins with that students' Python shall be open to: nothing, where it is open to all.

    Elsewhere the closed folder that it lies in, as /root, is covered for this command by an empty one with that Python.
    """
    base = Path(sys.base_prefix).resolve()
    closed = [part for part in base.parents if not part.stat().st_mode & 0o001]
    if not closed:
        return []
    stash.mkdir(exist_ok=True)
    words = [str(base), str(stash), str(closed[-1])]
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", f'{BIND} && shift 3 && exec "$@"', "sh", *words]


def reason() -> str:
    """Why there can be no hub here, or nothing."""
    try:
        check_installed()
    except FileNotFoundError as error:
        return str(error)
    if missing := [name for name in ("useradd", "setpriv") if not shutil.which(name)]:
        return f"{missing[0]} is not installed"
    if os.geteuid():
        return "only root makes accounts"
    with tempfile.TemporaryDirectory() as stash:
        paths = [sys.executable, sys.prefix, str(ROOT)]
        command = [*open_python(Path(stash)), sys.executable, "-c", CHECK, *paths]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return (done.stderr.splitlines() or ["it ended"])[-1] if done.returncode else ""


def free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Hub:
    """A hub on ports of its own, for accounts of its own."""

    def __init__(self, folder: Path, roles: Mapping[str, str], arguments: Sequence[str] = ()):
        self.folder, self.roles, self.arguments = folder, dict(roles), arguments
        self.port, *self.others = free_ports(3)
        self.address, self.process, self.opened = f"http://127.0.0.1:{self.port}", None, ExitStack()

    def start(self) -> None:
        listed = "\n".join(f"{name},{role}" for name, role in self.roles.items())
        (self.folder / "class.csv").write_text(listed)
        hub, proxy = self.others
        rest = [f"--JupyterHub.bind_url={self.address}", f"--JupyterHub.hub_port={hub}"]
        rest += [f"--ConfigurableHTTPProxy.api_url=http://127.0.0.1:{proxy}", *self.arguments]
        with_us = ["setpriv", "--pdeathsig", "TERM"]  # ends with these tests, also with such as are killed
        command = [*with_us, *open_python(self.folder / "python"), sys.executable, "-m", "mapping_lib.tools.class_hub"]
        with (self.folder / "log").open("a") as log:
            how = {"env": os.environ | {"PYTHONPATH": str(ROOT)}, "stdout": log, "stderr": log}
            command += ["run", "class.csv", "--state", "state", *rest]
            self.process = subprocess.Popen(command, cwd=self.folder, **how)
        wait(self.answers, 60, self.log)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log()[-5000:]
        return requests.get(f"{self.address}/hub/login", timeout=5).status_code == 200

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def reader(self, name: str, password: str) -> Reader:
        return Reader(self.address, self.opened, name, password)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.opened.close()
        if self.process:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=30)
            self.kill()
        with suppress(OSError):  # the proxy of one that was killed
            end(int((self.folder / "state" / "proxy.pid").read_text()))


class Classroom:
    """A hub and its readers, each entered when first asked for."""

    def __init__(self, hub: Hub, passwords: Mapping[str, str]):
        self.hub, self.passwords, self.inside = hub, passwords, {}

    def reader(self, name: str) -> Reader:
        return self.hub.reader(name, self.passwords[name])

    def __getitem__(self, name: str) -> Reader:
        if name not in self.inside:
            self.inside[name] = self.reader(name)
            self.inside[name].enter()
        return self.inside[name]


@contextmanager
def classroom(
    roles: Mapping[str, str], arguments: Sequence[str], editions: Callable[[Path], None]
) -> Iterator[Classroom]:
    """A hub that runs, with accounts that are gone afterwards, they and all that was theirs."""
    before = {group.gr_name for group in grp.getgrall()}
    folder = Path(tempfile.mkdtemp(prefix="class-hub-"))
    folder.chmod(0o711)
    hub = Hub(folder, roles, arguments)
    try:
        editions(folder)
        passwords = dict(accounts.make(roles))
        hub.start()
        yield Classroom(hub, passwords)
    finally:
        with ExitStack() as last:  # each step, also where one before it fails
            last.callback(shutil.rmtree, folder)
            last.callback(forget, {accounts.GROUP, accounts.TEACHERS} - before)
            last.callback(lambda: remove(roles.keys() & set(accounts.ours())))
            last.callback(hub.stop)


def forget(groups: Set[str]) -> None:
    """Remove groups that nobody is in: another run may have members there."""
    for group in grp.getgrall():
        if group.gr_name in groups and not group.gr_mem:
            subprocess.run(["groupdel", group.gr_name], check=False)


def remove(names: Set[str]) -> None:
    """End all that accounts run, and remove them with all their files."""
    users = {pwd.getpwnam(name).pw_uid for name in names}
    wait(lambda: not list(map(end, processes(users))), 20)
    for path in [path for place in {*in_memory(), tempfile.gettempdir(), "/tmp"} for path in Path(place).iterdir()]:
        with suppress(OSError):
            if path.lstat().st_uid in users:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in names:
        subprocess.run(["userdel", "--remove", name], check=False, capture_output=True)


def processes(users: Set[int]) -> list[int]:
    """The processes of users."""
    every = psutil.process_iter(["uids"])
    return [one.pid for one in every if one.info["uids"] and one.info["uids"].real in users]


def end(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What calls give that run at the same time."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [one.result() for one in [pool.submit(call) for call in calls]]
