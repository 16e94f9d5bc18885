"""The hub for a class: its list, what an update leaves alone, and a real hub with three students, as root."""

import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import classroom
import commands
import lab
import pytest
import requests
import websocket
from readers import Kernel, wait

from mapping_lib.tools.class_hub import __main__ as hub_command
from mapping_lib.tools.class_hub import accounts, config, start, watch

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
        accounts.read(path)
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


FIRST, NEW = (f"new-{hashlib.sha256(text).hexdigest()[:6]}" for text in (b"first", b"second"))


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
        **{"01.ipynb": "second", "02.ipynb": "my work", f"02.{NEW}.ipynb": "second"},
        **{"own.ipynb": "mine", f"own.{NEW}.ipynb": "second"},
    }
    assert start.bring(source, mine) == []


def test_a_version_beside_is_kept_once_it_was_written_in(folders):
    source, mine = folders
    for version in ("second", "third"):
        (mine / "01.ipynb").write_text("my work")
        (source / "01.ipynb").write_text(version)
        start.bring(source, mine)
        (mine / f"01.{NEW}.ipynb").write_text("more work") if version == "second" else None
    kept = texts(mine)
    assert (kept["01.ipynb"], kept[f"01.{NEW}.ipynb"]) == ("my work", "more work")
    assert "third" in kept.values()


def test_a_version_beside_that_was_thrown_away_stays_away(folders):
    source, mine = folders
    (mine / "01.ipynb").write_text("my work")
    (source / "01.ipynb").write_text("second")
    assert start.bring(source, mine) == [f"01.{NEW}.ipynb"]
    (mine / f"01.{NEW}.ipynb").unlink()
    assert start.bring(source, mine) == []


def test_a_folder_in_a_file_s_place_is_left_alone(folders):
    source, mine = folders
    (mine / "01.ipynb").unlink()
    (mine / "01.ipynb").mkdir()
    assert start.bring(source, mine) == [f"01.{FIRST}.ipynb"]


def test_a_deleted_file_comes_again_and_a_spoilt_note_loses_nothing(folders):
    source, mine = folders
    (mine / "01.ipynb").unlink()
    (mine / "02.ipynb").write_text("my work")
    (mine / start.GIVEN).write_text("[not json")
    start.bring(source, mine)
    assert texts(mine) == {"01.ipynb": "first", "02.ipynb": "my work", f"02.{FIRST}.ipynb": "first"}


def test_settings_where_systemd_runs_leave_memory_to_it():
    there, elsewhere = (
        config.settings({"ada": "student"}, {"student": "/x"}, Path("/y"), systemd=s) for s in (True, False)
    )
    assert (there["Spawner"]["mem_limit"], "mem_limit" in elsewhere["Spawner"]) == (config.MEMORY, False)
    assert [len(one["JupyterHub"]["services"]) for one in (there, elsewhere)] == [1, 2]
    for settings, space in ((there, "0"), (elsewhere, str(config.SPACE))):
        settings["Spawner"]["pre_spawn_hook"](spawner := SimpleNamespace(user=SimpleNamespace(name="ada")))
        assert spawner.cmd[4:7] == ["/x", "~/student", space]


@pytest.mark.skipif(not find_spec("systemdspawner"), reason="the extra hub is not installed")
def test_every_setting_is_one_that_jupyterhub_has():
    from jupyterhub.app import JupyterHub
    from jupyterhub.auth import PAMAuthenticator
    from jupyterhub.proxy import ConfigurableHTTPProxy
    from systemdspawner import SystemdSpawner

    names = {"Authenticator": PAMAuthenticator, "Spawner": SystemdSpawner, "SystemdSpawner": SystemdSpawner}
    classes = names | {"JupyterHub": JupyterHub, "ConfigurableHTTPProxy": ConfigurableHTTPProxy}
    for name, values in config.settings({}, {}, Path("/x"), systemd=True).items():
        assert values.keys() <= set(classes[name].class_trait_names(config=True))


def test_the_command_names_what_is_missing(tmp_path: Path):
    run = partial(commands.run, hub_command.main, cwd=tmp_path)
    (tmp_path / "class.csv").write_text("ada")
    assert "no_list.csv" in run("accounts", "no_list.csv").stderr
    if not os.geteuid():
        assert "student is 'student', no folder; allowed: an edition" in run("run", "class.csv").stderr


# Memory -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernels", "ended"),
    [
        ([1, 1], []),
        ([1.5, 1.5], [1.5]),
        ([0.1, 1.9, 0.3], [1.9]),
        ([3, 3, 3], [3, 3, 3]),
        ([5, 0.5], [5]),
    ],
    ids=str,
)
def test_the_largest_end_until_the_rest_is_within_the_limit_and_a_server_last(kernels: list[float], ended: list[float]):
    held = [watch.Held("server", 0.2, server=True), *(watch.Held("kernel", size) for size in kernels)]
    assert [one.size for one in watch.too_much(held, 2.3)] == ended
    assert watch.too_much([watch.Held("server", 3, server=True)], 2)


def test_files_in_memory_count_with_a_name_and_without(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "mine").write_bytes(bytes(50_000))
    (tmp_path / "link").symlink_to("/dev/null")
    found = watch.files([str(tmp_path)], [os.getuid(), os.getuid() + 1])
    [mine] = found[os.getuid()]
    assert (Path(mine.what).name, found[os.getuid() + 1]) == ("mine", [])
    assert 50_000 <= mine.size < 200_000
    mine.end()
    assert (tmp_path / "deep" / "mine").read_bytes() == b""
    with open(tmp_path / "gone", "wb") as gone, open(os.memfd_create("no name"), "wb") as without:
        for file in (gone, without):
            file.write(bytes(100_000))
            file.flush()
        without_name = watch.unnamed(os.getpid(), [str(tmp_path)])
        (tmp_path / "gone").unlink()
        assert 100_000 <= without_name <= watch.unnamed(os.getpid(), [str(tmp_path)]) - 100_000


def test_nobody_leads_root_to_another_s_file(tmp_path: Path):
    own, other = tmp_path / "own", tmp_path / "other"
    for folder in (own, other):
        folder.mkdir()
        (folder / "file").write_text(folder.name)
    [held] = [one for one in watch.files([str(tmp_path)], [os.getuid()])[os.getuid()] if "own" in one.what]
    (own / "file").rename(tmp_path / "file")
    own.rmdir()
    own.symlink_to(other)
    held.end()
    assert [(folder / "file").read_text() for folder in (tmp_path, other)] == ["own", "other"]
    own.unlink()
    own.mkdir()
    (own / "file").symlink_to(other / "file")
    held.end()
    assert (other / "file").read_text() == "other"


def test_a_file_counts_however_deep_it_lies(tmp_path: Path):
    deep = "mkdir -p $(printf 'd%.0s/' $(seq 100)) && cd $(printf 'd%.0s/' $(seq 100))"
    subprocess.run(["sh", "-c", "; ".join([deep] * 30) + "; head -c 50000 /dev/zero >file"], cwd=tmp_path, check=True)
    assert len(watch.files([str(tmp_path)], [os.getuid()])[os.getuid()]) == 1
    subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes of others")
def test_a_look_finds_who_holds_too_much_and_ends_nothing_itself():
    user = 54321  # nobody's
    become = f"import os; os.setuid({user}); data = b'x' * 150_000_000; print(flush=True); input()"
    command = [sys.executable, "-S", "-c", become]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as large:
        large.stdout.readline()
        assert list(watch.look({user: "ada"}, [], 200_000_000)) == []
        [(name, total, one)] = watch.look({user: "ada"}, [], 100_000_000)
        assert (name, total > 150_000_000, large.poll()) == ("ada", True, None)
        one.end()
    assert large.returncode == -signal.SIGKILL


# A real hub -------------------------------------------------------------------------------------------

TERM = secrets.token_hex(2)
NAMES = ADA, BOB, CLEO, EMMY = [f"hub-{TERM}-{name}" for name in ("ada", "bob", "cleo", "emmy")]
ROLES = dict.fromkeys(NAMES, "student") | {EMMY: "teacher"}
QUICK = 30
"""Seconds after which an idle kernel ends here."""

ARGUMENTS = [f"--Spawner.args={config.kernels(QUICK)}", "--JupyterHub.concurrent_spawn_limit=2"]
OWN = "own.txt"


def editions(folder: Path, words: str = "") -> None:
    for role in accounts.ROLES:
        (folder / role).mkdir(mode=0o755, exist_ok=True)
        cells = [{"cell_type": "markdown", "id": "one", "metadata": {}, "source": f"For the {role}{words}"}]
        text = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
        (folder / role / config.FIRST).write_text(text)


@pytest.fixture(scope="module")
def room():
    if why := classroom.reason():
        pytest.fail(f"REQUIRE_BROWSER is set, and {why}") if os.environ.get("REQUIRE_BROWSER") else pytest.skip(why)
    with classroom.classroom(ROLES, ARGUMENTS, editions) as room:
        yield room


@pytest.fixture(scope="module")
def left(room) -> str:
    """A kernel that nobody is connected to, asked for early: ``QUICK`` seconds are not waited for, then."""
    kernel = room[CLEO].kernel()
    kernel.run("seen = True")
    kernel.close()
    return kernel.number


@pytest.mark.browser
def test_who_waits_sees_a_page_that_goes_on_by_itself(room, tmp_path: Path):
    assert config.settings(ROLES, {}, Path("/x"), systemd=False)["JupyterHub"]["concurrent_spawn_limit"] == 4
    readers = [room.reader(name) for name in (ADA, BOB, CLEO)]
    with lab.browser(tmp_path) as page, ThreadPoolExecutor() as pool:
        page.goto(f"{room.hub.address}/hub/login?next=%2Fhub%2Fhome")
        page.fill("#username_input", EMMY)
        page.fill("#password_input", room.passwords[EMMY])
        page.click("#login_submit")
        page.wait_for_url("**/hub/home")
        entering = [pool.submit(reader.enter) for reader in readers]
        wait(lambda: "pending spawns, throttling" in room.hub.log(), what=room.hub.log)
        page.goto(f"{room.hub.address}/hub/spawn")
        page.get_by_role("heading", name="Others are starting before you").wait_for()
        page.wait_for_url(f"{room.hub.address}/user/{EMMY}/lab**", timeout=60_000)
        page.locator(".jp-Notebook", has_text="For the teacher").wait_for(timeout=60_000)
        answers = [one.result() for one in entering]
    assert sum(429 in one for one in answers) == 1
    room.inside = {reader.name: reader for reader in readers}


@pytest.mark.usefixtures("left")
def test_nobody_else_comes_in(room):
    wrong = [room.hub.reader(name, "wrong") for name in (ADA, "root", "nobody")]
    assert classroom.at_once(*(reader.login for reader in wrong)) == [403] * 3
    assert requests.get(f"{room.hub.address}/hub/signup").status_code == 404


def test_each_sees_the_edition_of_a_role_and_nobody_else_s_files(room):
    assert "For the student" in str(room[ADA].files()[config.FIRST])
    assert "For the teacher" in str(room[EMMY].files()[config.FIRST])
    assert room[BOB].save(OWN, "mine") == 201
    assert room[ADA].session.get(f"{room.hub.address}/user/{BOB}/api/contents").status_code == 403
    kernel, folder = room[ADA].kernel(), room.hub.folder
    for closed in (f"/home/{BOB}", f"/home/{BOB}/student/{OWN}", folder / "teacher" / config.FIRST, folder / "state"):
        assert kernel.run(f"import os; os.listdir({str(closed)!r})") == "PermissionError"
        assert kernel.run(f"open({str(closed)!r})") == "PermissionError"
    kernel = room[EMMY].kernel()
    assert "For the teacher" in kernel.run(f"print(open({str(folder / 'teacher' / config.FIRST)!r}).read())")


def test_what_one_student_does_harms_no_other(room):
    greedy, other = room[ADA].kernel(), room[BOB].kernel()
    assert greedy.run("import os; print(os.environ['OMP_NUM_THREADS'], os.getuid() > 0)") == "1 True"
    assert greedy.run("print(open('/proc/self/oom_score_adj').read())") == "500"
    assert greedy.run("import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))") == "ValueError"
    assert greedy.run("b = bytearray(5 * 1000**3)") == "MemoryError"
    greedy.begin("import os\nfor _ in range(3): os.fork()\nwhile True: pass")
    begun = time.monotonic()
    assert [other.run(f"print({n})") for n in range(5)] == list("01234")
    assert room[BOB].save("other.txt", "saved") == 201
    assert time.monotonic() - begun < 30
    assert room[ADA].ask("DELETE", f"kernels/{greedy.number}").status_code == 204


def test_a_student_s_kernels_together_stay_within_the_limit(room):
    kernels = [room[ADA].kernel() for _ in range(2)]
    other = room[BOB].kernel()
    kernels[0].run("x = b'x' * 1_500_000_000")
    assert kernels[0].run("print(len(x))") == "1500000000"
    kernels[1].begin("x = b'x' * 1_500_000_000")
    wait(lambda: f"{ADA} holds" in room.hub.log(), 30)
    wait(lambda: set(map(has_it, kernels)) == {True, False}, 30, room.hub.log)
    assert other.run("print(6 * 7)") == "42"
    assert requests.get(room[ADA].at).ok


def has_it(kernel: Kernel) -> bool | None:
    """Whether a kernel, perhaps begun again, has what it was to hold."""
    try:
        return kernel.again().run("print('x' in globals())", 3) == "True"
    except (websocket.WebSocketException, OSError):
        return None


def test_a_file_in_memory_counts(room):
    kernel = room[ADA].kernel()
    if (room_there := os.statvfs("/dev/shm").f_bavail * os.statvfs("/dev/shm").f_frsize) < 3e9:
        pytest.skip(f"/dev/shm has room for {room_there} bytes")
    write = f"with open('/dev/shm/{TERM}', 'wb') as file: _ = [file.write(bytes(250_000_000)) for _ in range(9)]"
    assert kernel.run(write) == ""
    wait(lambda: f"'/dev/shm/{TERM}' ends" in room.hub.log(), 30, room.hub.log)
    wait(lambda: Path("/dev/shm", TERM).stat().st_blocks * 512 < 1e9, 30, room.hub.log)
    assert kernel.run("print(6 * 7)") == "42"


def test_a_killed_hub_comes_back_with_all_work_there(room):
    hub, ada = room.hub, room[ADA]
    kernel = ada.kernel()
    kernel.run("x = 42")
    hub.kill()
    assert kernel.run("print(x)") == "42"
    assert ada.save(OWN, "while it was dead") == 201
    assert ada.save(config.FIRST, "my work") == 200
    editions(hub.folder, ", second edition")
    del hub.roles[BOB]
    hub.start()
    wait(lambda: ada.ask("GET", "kernels").ok)
    assert kernel.again().run("print(x)") == "42"
    assert room.reader(BOB).login() == 403  # taken off the list
    again = room.reader(ADA)
    again.enter()
    again.stop()
    again.enter()
    files = again.files()
    assert (files[OWN], files[config.FIRST]) == ("while it was dead", "my work")
    assert any("second edition" in str(text) for name, text in files.items() if ".new-" in name)


def test_an_idle_kernel_ends_and_one_that_is_shown_does_not(room, left):
    shown = room[CLEO].kernel()

    def there() -> set[str]:
        return {kernel["id"] for kernel in room[CLEO].ask("GET", "kernels").json()}

    wait(lambda: left not in there(), 2 * QUICK)
    assert there() == {shown.number}
