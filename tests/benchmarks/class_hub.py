"""A class on one machine: ``python tests/benchmarks/class_hub.py [--students 30] [--seconds 20]``, as root.

A real hub with real servers. Two students sit at a Chromium; the others are clients that send what a browser sends, and
whose own time on the processor is counted apart. All log in at once and run the first two cells of chapter 3; then they
drag, one student runs endless loops, one takes memory, and the hub is killed.
"""

import argparse
import pwd
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))
import lab
from classroom import Classroom, at_once, classroom, processes, reason
from house import ROOT
from readers import Kernel, wait

from mapping_lib.tools.class_hub import accounts, config

CHAPTER = "03_maml_code.ipynb"
ARGUMENTS = [f"--Spawner.args={[*config.kernels(), '--LabApp.expose_app_in_browser=True']}"]
BROWSERS = 2
LOOP = "import os\nfor _ in range(3): os.fork()\nwhile True: pass"


def editions(folder: Path) -> None:
    for role in accounts.ROLES:
        command = [sys.executable, "-m", "mapping_lib.tools.editions", role, "--to", str(folder / role)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        (folder / role).chmod(0o755)


def mapped(names: Iterable[str]) -> dict[str, list[psutil.Process]]:
    """What each account runs."""
    return {name: [psutil.Process(number) for number in processes({pwd.getpwnam(name).pw_uid})] for name in names}


def cpu(names: Iterable[str]) -> dict[str, float]:
    """Seconds that the processors have spent on what each account runs."""
    total = {}
    for name, running in mapped(names).items():
        total[name] = 0.0
        for process in running:
            with suppress(psutil.Error):
                total[name] += sum(process.cpu_times()[:2])
    return total


def memory(names: Iterable[str]) -> dict[str, float]:
    """Megabytes that each account holds: shared pages count by their share."""
    return {
        name: sum(process.memory_full_info().pss for process in running) / 1e6
        for name, running in mapped(names).items()
    }


def others_cpu(room: Classroom) -> tuple[float, float]:
    """Seconds that the processors have spent on the hub with its proxy and services, and on the browsers here."""
    hub = browsers = 0.0
    root = psutil.Process(room.hub.process.pid)
    for process in [root, *psutil.Process().children(recursive=True)]:
        with suppress(psutil.Error):
            spent = sum(process.cpu_times()[:2]) * (process.uids().real == 0)
            browsers += spent * ("chrom" in process.name())
            hub += spent * (process == root or process.parent() == root)
    return hub, browsers


def spent(room: Classroom, names: list[str]) -> dict[str, float]:
    """Seconds of the processors until now: of each account, and of all else that takes part."""
    hub, browsers = others_cpu(room)
    return cpu(names) | {"the hub": hub, "browsers": browsers, "clients": time.process_time()}


def since(before: dict[str, float], now: dict[str, float], students: list) -> str:
    """What was spent in between, in words."""
    took = {name: now[name] - before[name] for name in now}
    all_theirs = sum(took[one.name] for one in students)
    at_browsers = " and ".join(f"{took[one.name]:.2f}" for one in students if isinstance(one, Browser))
    rest = ", ".join(f"{name} {took[name]:.1f}" for name in ("the hub", "browsers", "clients"))
    return f"seconds of processor: servers and kernels {all_theirs:.1f} (of those at browsers {at_browsers}), {rest}"


class Client:
    """A student without a browser: a kernel, its connection, and what JupyterLab asks every ten seconds."""

    def __init__(self, room: Classroom, name: str):
        self.room, self.name, self.waited = room, name, 0

    def begin(self) -> float:
        """Enter, and run the first two cells of the chapter; when it was done."""
        self.reader = self.room.reader(self.name)
        self.waited = self.reader.enter(600).count(429)
        notebook = self.reader.ask("GET", f"contents/{CHAPTER}").json()["content"]
        session = {"path": CHAPTER, "name": CHAPTER, "type": "notebook", "kernel": {"name": "python3"}}
        self.kernel = self.reader.kernel(self.reader.ask("POST", "sessions", json=session).json()["kernel"]["id"])
        said = [self.kernel.run(cell["source"], 300) for cell in notebook["cells"][:2] if cell["cell_type"] == "code"]
        assert not any("Error" in text for text in said), said
        return time.monotonic()

    def sit(self, seconds: float) -> None:
        self.kernel = self.kernel.again()  # one that is not read from, as while others start, is closed
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for what in ("kernels", "sessions", "terminals"):
                self.reader.ask("GET", what)
            time.sleep(min(10, max(0.0, end - time.monotonic())))

    drag = sit  # what is dragged is computed in the page


class Browser:
    """A student at a Chromium, which one thread alone may touch."""

    def __init__(self, room: Classroom, name: str):
        self.room, self.name, self.waited = room, name, 0
        self.stack, self.pool = ExitStack(), ThreadPoolExecutor(1)
        self.sent: list[object] = []  # requests to the hub, and messages to the kernel

    def begin(self) -> float:
        return self.pool.submit(self._begin).result()

    def sit(self, seconds: float) -> None:
        self.pool.submit(self.page.wait_for_timeout, 1000 * seconds).result()

    def drag(self, seconds: float) -> None:
        self.pool.submit(self._drag, seconds).result()

    def close(self) -> None:
        self.pool.submit(self.stack.close).result()
        self.pool.shutdown()

    def _begin(self) -> float:
        private = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.page = page = self.stack.enter_context(lab.browser(private))
        page.set_default_timeout(600_000)
        page.on("request", lambda request: self.sent.append(request.url))
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: self.sent.append(frame)))
        page.goto(f"{self.room.hub.address}/hub/login")
        page.fill("#username_input", self.name)
        page.fill("#password_input", self.room.passwords[self.name])
        page.click("#login_submit")
        page.wait_for_url(f"{self.room.hub.address}/user/{self.name}/lab**")
        page.goto(f"{self.room.hub.address}/user/{self.name}/lab/tree/{CHAPTER}")
        page.wait_for_selector(".jp-NotebookPanel .jp-Notebook")
        lab.wait_until_idle(page, 300)
        page.locator(".jp-Notebook .jp-Cell").first.click()
        for _ in range(2):
            page.keyboard.press("Shift+Enter")
        page.wait_for_selector("[data-explorer] canvas")
        lab.wait_until_idle(page, 300)
        return time.monotonic()

    def _drag(self, seconds: float) -> None:
        slider = self.page.locator("[data-explorer] input[type=range]").first
        slider.scroll_into_view_if_needed()
        box, end, self.moves = slider.bounding_box(), time.monotonic() + seconds, 0
        before, y = slider.input_value(), box["y"] + box["height"] / 2
        self.page.mouse.move(box["x"] + box["width"] / 2, y)
        self.page.mouse.down()
        seen, sent = {before}, len(self.sent)
        while time.monotonic() < end:
            share = abs(self.moves % 40 - 20) / 20
            self.page.mouse.move(box["x"] + (0.05 + 0.9 * share) * box["width"], y)
            self.page.wait_for_timeout(30)
            self.moves += 1
            seen.add(slider.input_value())
        self.asked = len(self.sent) - sent
        self.page.mouse.up()
        assert len(seen) > 10, f"the slider did not move: {seen}"


def together(students: list, what: Callable[[object], object]) -> list:
    return at_once(*(partial(what, student) for student in students))


def latencies(kernels: list[Kernel], seconds: float) -> list[float]:
    """Milliseconds from a question to its answer, by kernels that each ask one a second, all at the same time."""
    times, end = [], time.monotonic() + seconds

    def ask(kernel: Kernel) -> None:
        while time.monotonic() < end:
            begun = time.monotonic()
            assert kernel.run("print(6 * 7)", 120) == "42"
            times.append(1000 * (time.monotonic() - begun))
            time.sleep(1)

    together(kernels, ask)
    return times


def told(times: list[float]) -> str:
    return f"median {statistics.median(times):.0f} ms, longest {max(times):.0f} ms, of {len(times)}"


def starting(students: list, room: Classroom) -> None:
    names = [one.name for one in students]
    begun, before = time.monotonic(), spent(room, names)
    done = sorted(at - begun for at in together(students, lambda one: one.begin()))
    print(f"first ready after {done[0]:.0f} s, half {done[len(done) // 2]:.0f} s, all {done[-1]:.0f} s (goal 120)")
    print(f"  {since(before, spent(room, names), students)}")
    print(f"  saw the waiting page: {sum(one.waited > 0 for one in students if isinstance(one, Client))} clients")


def holding(students: list) -> None:
    held = memory([one.name for one in students])
    clients = [held[one.name] for one in students if isinstance(one, Client)]
    print(
        f"memory: median {statistics.median(held.values()):.0f} MB a student, most {max(held.values()):.0f},", end=" "
    )
    print(f"{sum(held.values()) / 1000:.1f} GB in all ({statistics.median(clients):.0f} MB without a browser)")


def dragging(students: list, room: Classroom, seconds: float) -> None:
    names = [one.name for one in students]
    for word in ("sit", "drag"):
        before = spent(room, names)
        together(students, lambda one, word=word: getattr(one, word)(seconds))
        print(f"all {word} for {seconds:.0f} s\n  {since(before, spent(room, names), students)}")
    moves = [f"{one.moves} moves of the mouse, {one.asked} messages" for one in students if isinstance(one, Browser)]
    print(f"  at the browsers: {'; '.join(moves)}")


def harming(clients: list[Client], room: Classroom, seconds: float) -> None:
    greedy, others = clients[0], [one.kernel for one in clients[1:]]
    print(f"others' answers, quiet: {told(latencies(others, seconds))}")
    loop = greedy.reader.kernel()
    loop.begin(LOOP)
    print(f"  while one runs 8 endless loops: {told(latencies(others, seconds))}")
    greedy.reader.ask("DELETE", f"kernels/{loop.number}")
    with ThreadPoolExecutor(1) as pool:
        measured = pool.submit(latencies, others, seconds)
        said = greedy.kernel.run("b = bytearray(5 * 1000**3)")
        more = [greedy.reader.kernel() for _ in range(3)]
        for kernel in more:
            kernel.begin("x = b'x' * 1_500_000_000")
        print(f"  while one takes memory: {told(measured.result())}")
    print(f"  5 GB at once: {said}; three kernels with 1.5 GB each:", end=" ")
    print(f"{room.hub.log().count(f'{greedy.name} holds')} ended; that student now holds", end=" ")
    print(f"{memory([greedy.name])[greedy.name]:.0f} MB")


def killing(clients: list[Client], room: Classroom) -> None:
    for client in clients[1:]:
        client.kernel.run("kept = 42")
    room.hub.kill()
    saved = together(clients, lambda one: one.reader.save("own.txt", one.name))
    alive = together(clients[1:], lambda one: one.kernel.run("print(kept)"))
    begun = time.monotonic()
    room.hub.start()
    back = time.monotonic() - begun
    together(clients[1:], lambda one: wait(lambda: one.reader.ask("GET", "kernels").ok, 60))
    whole = time.monotonic() - begun
    after = together(clients[1:], lambda one: one.kernel.again().run("print(kept)"))
    here = [Path(f"/home/{one.name}/student/own.txt").read_text() == one.name for one in clients]
    print(
        f"hub killed: its pages are back {back:.1f} s after its start, all servers {whole:.1f} s;",
        end=" ",
    )
    print(f"kernels that knew their variables meanwhile {alive.count('42')} and after {after.count('42')}", end=" ")
    print(f"of {len(clients) - 1}; files saved while it was dead {sum(here)} of {len(clients)} ({set(saved)})")


def main() -> None:
    """Fill the room and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--students", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    if why := reason():
        parser.error(why)
    sys.stdout.reconfigure(line_buffering=True)
    names = [f"bench-{number:02}" for number in range(options.students)]
    with classroom(dict.fromkeys(names, "student"), ARGUMENTS, editions) as room, ExitStack() as stack:
        browsers = [Browser(room, name) for name in names[:BROWSERS]]
        clients = [Client(room, name) for name in names[BROWSERS:]]
        for browser in browsers:
            stack.callback(browser.close)
        students = [*browsers, *clients]
        starting(students, room)
        holding(students)
        dragging(students, room, options.seconds)
        harming(clients, room, options.seconds)
        killing(clients, room)


if __name__ == "__main__":
    main()
