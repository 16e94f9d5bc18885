"""The hub for a class: its list, what an update leaves alone, and a real hub with three students, as root."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import commands
import pytest
from house import ROOT

from mapping_lib.tools.class_hub import __main__ as hub_command
from mapping_lib.tools.class_hub import accounts, class_list, config, start

# The list ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the class has 0 accounts; allowed: 1 to 100"),
        ("ada\nada", "line 2: the account 'ada' is given twice"),
        ("Ada", "line 1: the account is 'Ada'"),
        ("ada;rm", "line 1: the account is 'ada;rm'"),
        ("-ada", "line 1: the account is '-ada'"),
        ("ada,pupil", "line 1: the role is 'pupil'; allowed: student, teacher"),
        ("\n".join(f"s{n}" for n in range(101)), "the class has 101 accounts"),
    ],
    ids=str,
)
def test_a_list_that_cannot_be_used_is_named(text: str, words: str, tmp_path: Path):
    path = tmp_path / "class.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"class\.csv") as error:
        class_list.read(path)
    assert words in str(error.value)


def test_an_account_of_the_machine_is_nobody_s():
    with pytest.raises(ValueError, match="the account is 'daemon', which this machine has already"):
        accounts.check({"daemon": "student"})


# The edition ------------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    source, mine = tmp_path / "edition", tmp_path / "mine"
    source.mkdir()
    for name in ("01.ipynb", "02.ipynb"):
        (source / name).write_text("first")
    assert start.bring(source, mine) == ["01.ipynb", "02.ipynb"]
    assert start.bring(source, mine) == []
    return source, mine


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != start.GIVEN}


def test_an_update_changes_what_the_student_left_and_nothing_else(folders):
    source, mine = folders
    (mine / "02.ipynb").write_text("my work")
    (mine / "own.ipynb").write_text("mine")
    for name in ("01.ipynb", "02.ipynb", "own.ipynb"):
        (source / name).write_text("second")
    start.bring(source, mine)
    assert texts(mine) == {
        **{"01.ipynb": "second", "02.ipynb": "my work", "02.new.ipynb": "second"},
        **{"own.ipynb": "mine", "own.new.ipynb": "second"},
    }
    assert start.bring(source, mine) == []


def test_a_version_beside_is_kept_once_it_was_written_in(folders):
    source, mine = folders
    for version in ("second", "third"):
        (mine / "01.ipynb").write_text("my work")
        (source / "01.ipynb").write_text(version)
        start.bring(source, mine)
        (mine / "01.new.ipynb").write_text("more work") if version == "second" else None
    kept = texts(mine)
    assert (kept["01.ipynb"], kept["01.new.ipynb"]) == ("my work", "more work")
    assert "third" in kept.values()


def test_a_version_beside_that_was_thrown_away_stays_away(folders):
    source, mine = folders
    (mine / "01.ipynb").write_text("my work")
    (source / "01.ipynb").write_text("second")
    assert start.bring(source, mine) == ["01.new.ipynb"]
    (mine / "01.new.ipynb").unlink()
    assert start.bring(source, mine) == []


def test_a_folder_in_a_file_s_place_is_left_alone(folders):
    source, mine = folders
    (mine / "01.ipynb").unlink()
    (mine / "01.ipynb").mkdir()
    assert start.bring(source, mine) == ["01.new.ipynb"]


def test_a_deleted_file_comes_again_and_a_spoilt_note_loses_nothing(folders):
    source, mine = folders
    (mine / "01.ipynb").unlink()
    (mine / "02.ipynb").write_text("my work")
    (mine / start.GIVEN).write_text("[not json")
    start.bring(source, mine)
    assert texts(mine) == {"01.ipynb": "first", "02.ipynb": "my work", "02.new.ipynb": "first"}


def test_settings_where_systemd_runs_leave_memory_to_it():
    assert config.settings({"ada": "student"}, {}, Path("/x"), systemd=True)["Spawner"]["mem_limit"] == config.MEMORY
    assert config.command(Path("/x"), "student", systemd=True)[6] == "0"


def test_the_command_names_what_is_missing(tmp_path: Path):
    run = partial(commands.run, hub_command.main, cwd=tmp_path)
    (tmp_path / "class.csv").write_text("ada")
    assert "no_list.csv" in run("accounts", "no_list.csv").stderr
    if not os.geteuid():
        assert "student is 'student', no folder; allowed: an edition" in run("run", "class.csv").stderr


# A real hub -------------------------------------------------------------------------------------------

NAMES = {f"hub-test-{name}": role for name, role in [("ada", "student"), ("bob", "student"), ("emmy", "teacher")]}
PORT = 18300


def reason() -> str:
    """Why there can be no hub here, or nothing."""
    if missing := [name for name in ("jupyterhub", "jupyterhub_idle_culler", "jupyterlab") if not find_spec(name)]:
        return f"{missing[0]} is not installed"
    if missing := [name for name in ("configurable-http-proxy", "useradd", "chpasswd") if not shutil.which(name)]:
        return f"{missing[0]} is not installed"
    if os.geteuid():
        return "only root makes accounts"
    try:
        hub_command.check_open(Path(sys.executable), Path(sys.prefix), ROOT)
    except PermissionError as error:
        return str(error)
    return ""


class Hub:
    """A hub on ports of its own, and sessions of those who use it."""

    def __init__(self, folder: Path, passwords: dict[str, str]):
        self.folder, self.passwords, self.address = folder, passwords, f"http://127.0.0.1:{PORT}"

    def start(self) -> None:
        ports = ["bind_url=" + self.address, f"hub_port={PORT + 1}"]
        rest = [f"--JupyterHub.{one}" for one in ports] + [
            f"--ConfigurableHTTPProxy.api_url=http://127.0.0.1:{PORT + 2}"
        ]
        command = [sys.executable, "-m", "mapping_lib.tools.class_hub", "run", "class.csv", "--state", "state", *rest]
        with (self.folder / "log").open("a") as log:
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            self.process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        self.wait(lambda: self.new().get(f"{self.address}/hub/login", timeout=5).status_code == 200)

    def wait(self, true, seconds: float = 120):
        import requests

        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if value := true():
                    return value
            except requests.ConnectionError:
                pass
            time.sleep(0.5)
        raise AssertionError((self.folder / "log").read_text()[-3000:])

    @staticmethod
    def new():
        import requests

        return requests.Session()

    def login(self, name: str, password: str | None = None):
        session = self.new()
        session.get(f"{self.address}/hub/login")
        token = session.cookies.get("_xsrf", path="/hub/")
        form = {"username": name, "password": password or self.passwords[name], "_xsrf": token}
        session.answer = session.post(f"{self.address}/hub/login", data=form, allow_redirects=False)
        return session

    def enter(self, name: str):
        """The session of somebody whose server runs."""
        session = self.login(name)
        self.wait(lambda: session.get(f"{self.address}/hub/spawn").url.startswith(f"{self.address}/user/{name}/lab"))
        return session

    def ask(self, session, name: str, method: str, path: str, **more):
        token = session.cookies.get("_xsrf", path=f"/user/{name}/")
        return session.request(method, f"{self.address}/user/{name}/api/{path}", headers={"X-XSRFToken": token}, **more)

    def run(self, session, name: str, kernel: str, code: str) -> str:
        """What a kernel prints, or the name of the error that it ends with."""
        import websocket

        cookie = "; ".join(f"{c.name}={c.value}" for c in session.cookies if c.path in ("/", f"/user/{name}/"))
        url = f"{self.address.replace('http', 'ws')}/user/{name}/api/kernels/{kernel}/channels"
        socket, number, text = websocket.create_connection(url, cookie=cookie, timeout=60), uuid.uuid4().hex, ""
        header = {"msg_id": number, "username": "", "session": number, "msg_type": "execute_request", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "channel": "shell", "content": content}
        socket.send(json.dumps(message))
        while True:
            got = json.loads(socket.recv())
            if got["parent_header"].get("msg_id") == number:
                text += got["content"].get("text", "") + got["content"].get("ename", "") * (got["msg_type"] == "error")
                if got["content"].get("execution_state") == "idle":
                    socket.close()
                    return text.strip()


@pytest.fixture(scope="module")
def hub():
    if why := reason():
        pytest.skip(why)
    folder = Path(tempfile.mkdtemp(prefix="class-hub-"))
    folder.chmod(0o711)
    hub = None
    try:
        for edition in ("student", "teacher"):
            (folder / edition).mkdir(mode=0o755)
            (folder / edition / config.FIRST).write_text(
                '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
            )
        (folder / "class.csv").write_text("\n".join(f"{name},{role}" for name, role in NAMES.items()))
        hub = Hub(folder, accounts.make(NAMES))
        hub.start()
        yield hub
    finally:
        if hub and hasattr(hub, "process"):
            hub.process.terminate()
            hub.process.wait(timeout=30)
        for name in NAMES.keys() & set(accounts.ours()):
            for number in subprocess.run(
                ["ps", "-u", name, "-o", "pid="], capture_output=True, text=True
            ).stdout.split():
                os.kill(int(number), signal.SIGKILL)
            time.sleep(0.3)
            subprocess.run(["userdel", "--remove", name], check=False, capture_output=True)
        shutil.rmtree(folder)


def test_a_class_works_each_alone_within_limits_and_a_killed_hub_loses_nothing(hub: Hub):
    ada, bob, emmy = NAMES
    assert hub.login(ada, "wrong").answer.status_code == 403
    assert hub.login("root", "x").answer.status_code == 403
    assert hub.new().get(f"{hub.address}/hub/signup").status_code == 404
    sessions = {name: hub.enter(name) for name in NAMES}
    for name in NAMES:
        assert {entry["name"] for entry in hub.ask(sessions[name], name, "GET", "contents").json()["content"]} == {
            config.FIRST
        }
    assert sessions[ada].get(f"{hub.address}/user/{bob}/api/contents").status_code == 403

    kernel = hub.ask(sessions[ada], ada, "POST", "kernels", json={"name": "python3"}).json()["id"]
    ask = partial(hub.run, sessions[ada], ada, kernel)
    assert ask("import os; print(os.environ['OMP_NUM_THREADS'], os.getuid() > 0)") == "1 True"
    assert ask("b = bytearray(5 * 1000**3)") == "MemoryError"
    for closed in (f"/home/{bob}", hub.folder / "teacher", hub.folder / "state"):
        assert ask(f"os.listdir({str(closed)!r})") == "PermissionError"
    assert ask("import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))") == "ValueError"

    ask("x = 42")
    hub.process.send_signal(signal.SIGKILL)
    hub.process.wait()
    assert ask("print(x)") == "42"
    saved = {"type": "file", "format": "text", "content": "saved"}
    assert hub.ask(sessions[ada], ada, "PUT", "contents/mine.txt", json=saved).status_code == 201
    (hub.folder / "class.csv").write_text(f"{ada}\n{emmy},teacher")
    hub.start()
    assert hub.login(bob).answer.status_code == 403  # taken off the list
    again = hub.enter(ada)
    assert hub.run(again, ada, kernel, "print(x)") == "42"
    assert Path(f"/home/{ada}/student/mine.txt").read_text() == "saved"
