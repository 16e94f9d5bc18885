"""The commands: accounts for a class list, and the hub; as root, on a machine of the class's own."""

import os
import sys
from pathlib import Path

from mapping_lib.console import command
from mapping_lib.tools.class_hub import accounts, class_list


def check_open(*paths: Path) -> None:
    """Raise PermissionError where students cannot reach one of these, as nobody reaches what lies below /root.

    >>> check_open(Path("/"))
    """
    for path in paths:
        for part in (path.resolve(), *path.resolve().parents):
            if not part.stat().st_mode & 0o001:
                raise PermissionError(f"students cannot reach {path}: {part} is closed to them; allowed: 755, or 711")


def environment(listed: Path, student: Path, teacher: Path, state: Path) -> dict[str, str]:
    """What `config` is told, by the names of variables.

    Raises FileNotFoundError for an edition that is not there.

    >>> environment(Path("a.csv"), Path("."), Path("."), Path("/srv"))["CLASS_HUB_STATE"]
    '/srv'
    """
    for name, folder in (("student", student), ("teacher", teacher)):
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{name} is {str(folder)!r}, no folder; allowed: an edition, as tools.editions writes it"
            )
    values = {"LIST": listed, "STUDENT": student, "TEACHER": teacher, "STATE": state}
    return {f"CLASS_HUB_{name}": str(path.resolve()) for name, path in values.items()}


def main() -> None:
    """Make accounts, or become the hub, with ``os.environ`` and what `environment` adds to it."""
    parser = command("mapping_lib.tools.class_hub", "A JupyterHub for a class on one machine.")
    parser.add_argument("act", choices=["accounts", "run"])
    parser.add_argument("list", type=Path, help="lines of account,role; the role is student or teacher")
    parser.add_argument("--student", type=Path, default=Path("student"), help="the students' edition")
    parser.add_argument("--teacher", type=Path, default=Path("teacher"), help="the teacher's edition")
    parser.add_argument("--state", type=Path, default=Path("/var/lib/mapping-class"), help="what the hub remembers")
    parser.epilog = "What else follows is for JupyterHub itself, as --JupyterHub.bind_url=http://:80"
    options, rest = parser.parse_known_args()
    try:
        roles = class_list.read(options.list)
        if os.geteuid():
            raise PermissionError("this makes accounts and starts servers of others: run it as root")
        if options.act == "accounts":
            for name, word in accounts.make(roles).items():
                print(f"{name}\t{word}")
            return
        told = environment(options.list, options.student, options.teacher, options.state)
        check_open(Path(sys.executable), Path(sys.prefix), Path(__file__).parent, options.student)
        config = Path(__file__).with_name("config.py")
        accounts.close(options.teacher)
        options.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    arguments = [sys.executable, "-m", "jupyterhub", "-f", str(config), *rest]
    os.chdir(options.state)
    os.execve(arguments[0], arguments, os.environ | told | {"PATH": path})


if __name__ == "__main__":
    main()
