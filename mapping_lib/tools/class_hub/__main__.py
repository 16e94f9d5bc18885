"""The commands: accounts for a class list, and the hub; as root, on a machine of the class's own."""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from mapping_lib.console import command
from mapping_lib.tools.class_hub import accounts, config


def check_installed() -> None:
    """Raise FileNotFoundError where what this builds on is not installed."""
    missing = [name for name in ("jupyterlab", "jupyterhub", "jupyterhub_idle_culler") if not find_spec(name)]
    if missing:
        raise FileNotFoundError(f"{missing[0]} is not installed; this installs it: pip install jupyterlab '.[hub]'")
    if not shutil.which("configurable-http-proxy"):
        raise FileNotFoundError("the proxy is not on PATH; this installs it: npm install -g configurable-http-proxy")


def check_open(*paths: Path) -> None:
    """Raise PermissionError where students cannot reach one of these, as nobody reaches what lies below /root.

    >>> check_open(Path("/"))
    """
    for path in paths:
        for part in (path.resolve(), *path.resolve().parents):
            if not part.stat().st_mode & 0o001:
                raise PermissionError(f"students cannot reach {path}: {part} is closed to them; allowed: 755, or 711")


def check_editions(editions: dict[str, Path]) -> None:
    """Raise FileNotFoundError for an edition that is not there.

    >>> check_editions({"student": Path("/")})
    """
    for name, folder in editions.items():
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{name} is {str(folder)!r}, no folder; allowed: an edition, as tools.editions writes it"
            )


def check_apart(teacher: Path, *others: Path) -> None:
    """Raise ValueError where the teacher's folder, which is closed to students, holds what they need.

    >>> check_apart(Path("/srv/teacher"), Path("/srv/student"))
    """
    for other in others:
        if other.resolve().is_relative_to(teacher.resolve()):
            raise ValueError(f"teacher is {str(teacher)!r}, which holds {other}; allowed: a folder with nothing else")


def check_made(roles: dict[str, str]) -> None:
    """Raise ValueError for an account that was not made here: nothing would limit it."""
    if missing := sorted(roles.keys() - set(accounts.ours())):
        raise ValueError(f"the account {missing[0]!r} was not made here; allowed: those that `accounts` has made")


def closed_state(folder: Path) -> None:
    """Make the folder of what the hub remembers, for root alone; PermissionError for one that is somebody else's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid:
        raise PermissionError(f"state is {str(folder)!r}, which is not root's; allowed: a folder of root's")
    folder.chmod(0o700)


def run(roles: dict[str, str], editions: dict[str, Path], state: Path, rest: list[str]) -> None:
    """Become the hub, with this Python first in ``os.environ``; ``rest`` is for JupyterHub itself."""
    from jupyterhub.app import JupyterHub
    from traitlets.config import Config

    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    systemd = Path("/run/systemd/system").is_dir()
    JupyterHub.instance(config=Config(config.settings(roles, editions, state, systemd)))
    JupyterHub.launch_instance(rest)


def main() -> None:
    """Make accounts, or become the hub."""
    parser = command("mapping_lib.tools.class_hub", "A JupyterHub for a class on one machine.")
    parser.add_argument("act", choices=["accounts", "run"])
    parser.add_argument("list", type=Path, help="lines of account,role; the role is student or teacher")
    parser.add_argument("--student", type=Path, default=Path("student"), help="the students' edition")
    parser.add_argument("--teacher", type=Path, default=Path("teacher"), help="the teacher's edition")
    parser.add_argument("--state", type=Path, default=Path("/var/lib/mapping-class"), help="what the hub remembers")
    parser.epilog = "What else follows is for JupyterHub itself, as --JupyterHub.bind_url=http://:80"
    options, rest = parser.parse_known_args()
    try:
        roles = accounts.read(options.list)
        if os.geteuid():
            raise PermissionError("this makes accounts and starts servers of others: run it as root")
        if options.act == "accounts":
            for name, word in accounts.make(roles):
                print(f"{name}\t{word}", flush=True)
            return
        editions = {role: getattr(options, role) for role in accounts.ROLES}
        check_editions(editions)
        check_installed()
        theirs = Path(sys.executable), Path(sys.prefix), Path(__file__).parent, options.student
        check_open(*theirs)
        check_apart(options.teacher, *theirs)
        check_made(roles)
        accounts.close(options.teacher)
        closed_state(options.state)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    run(roles, {role: folder.resolve() for role, folder in editions.items()}, options.state.resolve(), rest)


if __name__ == "__main__":
    main()
