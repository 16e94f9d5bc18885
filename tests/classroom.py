"""A real hub with accounts of its own, as root, and those who use it: for a test and a benchmark."""

import grp
import json
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import requests
import websocket
from house import ROOT

from mapping_lib.tools.class_hub import accounts
from mapping_lib.tools.class_hub.watch import SHARED

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
    if missing := [name for name in ("jupyterhub", "jupyterhub_idle_culler", "jupyterlab") if not find_spec(name)]:
        return f"{missing[0]} is not installed"
    if missing := [name for name in ("configurable-http-proxy", "useradd", "setpriv") if not shutil.which(name)]:
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


def wait(true: Callable[[], object], seconds: float = 60, what: Callable[[], str] = lambda: "") -> object:
    """What ``true`` gives once it is true; a server that does not answer yet is not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(requests.ConnectionError):
            if value := true():
                return value
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what()}")


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
        command = [*open_python(self.folder / "python"), sys.executable, "-m", "mapping_lib.tools.class_hub"]
        with (self.folder / "log").open("a") as log:
            how = {"env": os.environ | {"PYTHONPATH": str(ROOT)}, "stdout": log, "stderr": log}
            command += ["run", "class.csv", "--state", "state", *rest]
            self.process = subprocess.Popen(command, cwd=self.folder, **how)
        wait(self.answers, 60, self.log)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log()
        return requests.get(f"{self.address}/hub/login", timeout=5).status_code == 200

    def log(self) -> str:
        return (self.folder / "log").read_text()[-5000:]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.opened.close()
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=30)


class Reader:
    """A session of somebody who logs in with a password."""

    def __init__(self, hub: Hub, name: str, password: str):
        self.hub, self.name, self.password, self.session = hub, name, password, requests.Session()
        self.at = f"{hub.address}/user/{name}"
        hub.opened.callback(self.session.close)

    def login(self) -> int:
        """What the hub answers: 302 goes on, 403 is a refusal."""
        page = f"{self.hub.address}/hub/login"
        self.session.get(page)
        form = {"username": self.name, "password": self.password}
        form["_xsrf"] = self.session.cookies.get("_xsrf", path="/hub/")
        return self.session.post(page, data=form, allow_redirects=False).status_code

    def enter(self, seconds: float = 120) -> list[int]:
        """Log in and wait as a browser does, until JupyterLab is there; what the hub answered on the way."""
        assert self.login() == 302
        answers = []

        def there() -> bool:
            got = self.session.get(f"{self.hub.address}/hub/spawn")
            answers.append(got.status_code)
            if got.status_code == 429:
                time.sleep(4)
            return got.url.startswith(f"{self.at}/lab")

        wait(there, seconds, self.hub.log)
        return answers

    def ask(self, method: str, path: str, **more) -> requests.Response:
        """What this reader's server answers."""
        token = self.session.cookies.get("_xsrf", path=f"/user/{self.name}/")
        return self.session.request(method, f"{self.at}/api/{path}", headers={"X-XSRFToken": token}, **more)

    def files(self) -> dict[str, str | None]:
        """The files of this reader's folder, with the text of each."""
        names = [entry["name"] for entry in self.ask("GET", "contents").json()["content"]]
        return {name: self.ask("GET", f"contents/{name}", params={"type": "file"}).json()["content"] for name in names}

    def save(self, name: str, text: str) -> int:
        return self.ask("PUT", f"contents/{name}", json={"type": "file", "format": "text", "content": text}).status_code

    def stop(self) -> None:
        """Stop this reader's server, as the button in JupyterLab does."""
        token = self.session.cookies.get("_xsrf", path="/hub/")
        server = f"{self.hub.address}/hub/api/users/{self.name}/server"
        answer = self.session.delete(server, headers={"X-XSRFToken": token})
        assert answer.status_code in (202, 204), answer.text

    def kernel(self, number: str | None = None) -> "Kernel":
        """A new kernel, or one that is there."""
        return Kernel(self, number or self.ask("POST", "kernels", json={"name": "python3"}).json()["id"])


class Kernel:
    """A kernel and a connection to it, as a page has one that shows its notebook."""

    def __init__(self, reader: Reader, number: str):
        self.reader, self.number = reader, number
        mine = ("/", f"/user/{reader.name}/")
        cookie = "; ".join(f"{c.name}={c.value}" for c in reader.session.cookies if c.path in mine)
        url = f"{reader.at.replace('http', 'ws', 1)}/api/kernels/{number}/channels"
        self.socket = websocket.create_connection(url, cookie=cookie, timeout=60)
        reader.hub.opened.callback(self.close)

    def close(self) -> None:
        self.socket.shutdown()

    def begin(self, code: str) -> str:
        """Ask for some code to be run, and give the question's number."""
        number = uuid.uuid4().hex
        header = {"msg_id": number, "username": "", "session": number, "msg_type": "execute_request", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "channel": "shell", "content": content}
        self.socket.send(json.dumps(message))
        return number

    def end(self, number: str, seconds: float = 60) -> str:
        """What a question printed, or the name of the error that it ended with."""
        text = ""
        self.socket.settimeout(seconds)
        while True:
            got = message(self.socket.recv())
            if got["parent_header"].get("msg_id") == number:
                text += got["content"].get("text", "") + got["content"].get("ename", "") * (got["msg_type"] == "error")
                if got["content"].get("execution_state") == "idle":
                    return text.strip()

    def run(self, code: str, seconds: float = 60) -> str:
        return self.end(self.begin(code), seconds)

    def again(self) -> "Kernel":
        """Another connection to the same kernel."""
        return Kernel(self.reader, self.number)


def message(frame: str | bytes) -> dict:
    """A message of a kernel; one with buffers begins with where its parts begin."""
    if isinstance(frame, bytes):
        begin, end = struct.unpack("!2I", frame[4:12])
        frame = frame[begin:end]
    return json.loads(frame)


class Classroom:
    """A hub and its readers, each entered when first asked for."""

    def __init__(self, hub: Hub, passwords: Mapping[str, str]):
        self.hub, self.passwords, self.inside = hub, passwords, {}

    def reader(self, name: str) -> Reader:
        return Reader(self.hub, name, self.passwords[name])

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
        passwords = accounts.make(roles)
        hub.start()
        yield Classroom(hub, passwords)
    finally:
        hub.stop()
        remove(roles.keys() & set(accounts.ours()))
        for group in {accounts.GROUP, accounts.TEACHERS} - before:
            subprocess.run(["groupdel", group], check=False)
        shutil.rmtree(folder)


def remove(names: Set[str]) -> None:
    """End all that accounts run, and remove them with all their files."""
    users = {pwd.getpwnam(name).pw_uid for name in names}
    wait(lambda: not list(map(end, processes(users))), 20)
    for path in [path for place in (SHARED, tempfile.gettempdir(), "/tmp") for path in Path(place).iterdir()]:
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
