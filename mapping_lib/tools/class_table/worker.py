"""Runs one student's exercises, each in a process of its own; started by `sandbox`, it reads a job and writes verdicts.

A verdict is what the check gives back, on a pipe and with a key that the student's code was not told, and its sentence
is taken before it is printed: printing "Right." moves nothing. What the code changed in the library is put back before
the check runs. Who digs through the frames of Python can still cheat: the table is for teaching, not for marks.
"""

import ast
import importlib
import json
import os
import secrets
import select
import signal
import subprocess
import symtable
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NOBODY, MEMORY, LONGEST = 65534, 1 << 30, 600
"""The user's number; bytes that an exercise may add to what is loaded; letters of a sentence."""


def hide(kept: list[str], closed: list[str], folder: str, stash: str) -> None:
    """Become nobody, in a view of the disks where ``closed`` folders hold but what is ``kept``, and ``folder`` nothing.

    The process then works in an empty folder in memory, and ``os.environ`` holds what `sandbox` gave it. Raises
    CalledProcessError or OSError where this is impossible.
    """
    places = {path: Path(stash, str(i)) for i, path in enumerate(kept)}
    for path, place in places.items():
        place.mkdir()
        _mount("--bind", path, str(place))
    for path in closed:
        _mount("-t", "tmpfs", "-o", "mode=755,size=1m", "none", path)
    for path, place in places.items():
        Path(path).mkdir(parents=True, exist_ok=True)
        _mount("--bind", str(place), path)
    for path in filter(os.path.isdir, (folder, os.getcwd())):  # the class's may be covered by now
        _mount("-t", "tmpfs", "-o", "mode=777,size=1m", "none", path)
    os.chdir(os.getcwd()), os.setgroups([]), os.setgid(NOBODY), os.setuid(NOBODY)
    if lost := [path for path in kept if not os.listdir(path)]:
        raise FileNotFoundError(f"{folder} holds {lost[0]}, which Python needs")


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def limit(seconds: int) -> None:
    """Let this process have little: time, memory, no file written, no other process, no terminal."""
    import resource  # Unix alone

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = {"CPU": seconds, "AS": used + MEMORY, "FSIZE": 0, "NPROC": 0, "CORE": 0}
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value + (name == "CPU")))
    os.setsid()  # away from the teacher's terminal
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


def attempt(check: Callable, exercise: dict[str, Any]) -> list[str]:
    """The state of an exercise that is run here, and what there is to say about it."""
    source, function = exercise["source"], exercise["function"]
    library = {name: dict(vars(m)) for name, m in sys.modules.items() if name.startswith("mapping_lib")}
    checking, names, said = sys.modules["mapping_lib.page.checking"], {"__name__": "__main__"}, []
    try:
        exec(prelude(exercise["above"], source), names)
        exec(compile(_without(source, exercise["check"]), "cell", "exec"), names)
        for name, content in library.items():
            vars(sys.modules[name]).update(content)
        if function not in names:
            return ["missing", f"the cell defines no {function}"]
        checking._say = said.append
        passed = check(names[function])
    except BaseException as error:  # also what would end the process
        return ["stopped", f"the cell stopped with {type(error).__name__}: {error}"]
    return _state(passed is True, said[-1] if said else "")


def needs(source: str) -> set[str]:
    """The global names that code reads, also inside its functions; raises SyntaxError.

    >>> sorted(needs("def f(x):\\n    y = x\\n    return mse(x, y)"))
    ['mse']
    """
    tables, names = [symtable.symtable(source, "cell", "exec")], set()
    for table in tables:  # grows
        tables += table.get_children()
        top = table.get_type() == "module"
        names |= {s.get_name() for s in table.get_symbols() if s.is_referenced() and (top or s.is_global())}
    return names


def prelude(above: list[list], source: str) -> str:
    """Of what is defined ``above``, the statements that ``source`` needs, and those that they need; SyntaxError.

    >>> above = [[["torch"], [], "import torch"], [["slow"], [], "import slow"], [["e"], ["torch"], "e = torch.e"]]
    >>> prelude(above, "def f(x):\\n    return e * x")
    'import torch\\ne = torch.e'
    """
    wanted, size = needs(source), -1
    while size < len(wanted):
        size = len(wanted)
        wanted.update(*(needed for given, needed, _ in above if wanted & set(given)))
    return "\n".join(line for given, _, line in above if wanted & set(given))


def _without(source: str, check: str) -> ast.Module:
    """The cell without the lines that call the check: it is called once, by the worker."""
    tree = ast.parse(source)
    tree.body = [s for s in tree.body if not (isinstance(s, ast.Expr | ast.Assign) and f"{check}(" in ast.unparse(s))]
    return tree


def _state(passed: bool, text: str) -> list[str]:
    """In words: whether it passes, or why not.

    >>> _state(False, "Not yet: your code stopped with KeyError: 1\\nHint: look.")
    ['stopped', 'your code stopped with KeyError: 1']
    """
    sentence = text.partition("\nHint: ")[0]
    words = sentence.removeprefix("Not yet: ")
    if passed or sentence.startswith("Not begun"):
        return ["passes" if passed else "not begun", words]
    return ["stopped" if words.startswith("your code stopped") else "wrong", words]


def judged(check: Callable, exercise: dict[str, Any], seconds: int) -> list[str]:
    """The state of an exercise, tried in a process that ends with it or is ended, and a sentence."""
    if exercise["source"] is None:
        return ["missing", f"no cell calls {exercise['check']}"]
    (hears, tells), key = os.pipe(), secrets.token_hex()
    if not (child := os.fork()):
        try:
            limit(seconds)
            state, sentence = attempt(check, exercise)
            os.write(tells, f"{key}{json.dumps([state, sentence[:LONGEST]])}".encode())
        finally:
            os._exit(0)
    os.close(tells)
    heard, late = _heard(hears, 3 * seconds)
    os.close(hears), os.kill(child, signal.SIGKILL)
    end = os.waitpid(child, 0)[1]
    if heard.startswith(key.encode()):
        return json.loads(heard[len(key) :])
    slow = late or os.WTERMSIG(end) == signal.SIGXCPU
    return ["stopped", f"it took more than {seconds} s" if slow else "its process ended before the check did"]


def _heard(pipe: int, seconds: float) -> tuple[bytes, bool]:
    """What comes on a pipe, some kilobytes at most, and whether the time was up before its end."""
    heard, until = b"", time.monotonic() + seconds
    while len(heard) < 8192:
        if not select.select([pipe], [], [], max(0, until - time.monotonic()))[0]:
            return heard, True
        if not (more := os.read(pipe, 8192)):
            break
        heard += more
    return heard, False


def main() -> None:
    """Write a verdict for each exercise of the job, a line each."""
    job = json.load(sys.stdin)
    if job["apart"]:
        hide(**job["apart"])
    print(json.dumps("ready"), flush=True)
    tempfile.tempdir = os.getcwd()  # PyTorch asks for one, and nothing can be written
    checks = [getattr(importlib.import_module(e["module"]), e["check"]) for e in job["exercises"]]
    importlib.import_module("torch.func").grad(lambda x: x)(sys.modules["torch"].ones(()))  # loads what waits for it
    for check, exercise in zip(checks, job["exercises"], strict=True):
        print(json.dumps(judged(check, exercise, job["seconds"])), flush=True)
