"""The hub's configuration for a class on one machine, by JupyterHub's classes."""

import sys
from collections.abc import Mapping
from pathlib import Path

from mapping_lib.tools.class_hub.accounts import GROUP

MEMORY, SPACE = 2 * 1024**3, 2560 * 1024**2
"""Bytes that a student may use in all, and of addresses for each process: a kernel with torch does not use 0.5 GB."""

PROCESSES, AT_ONCE, IDLE_KERNEL, IDLE_SERVER = 200, 4, 30 * 60, 2 * 60 * 60
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
FIRST = "01_mapping_view.ipynb"
HERE = Path(__file__).resolve().parent

SERVER = "import sys; sys.modules['rfc3987_syntax'] = None; from jupyterhub.singleuser import main; main()"
"""A server in half the processor's time: that module, which no server calls, reads a grammar when it is imported."""

PYTHON = [sys.executable, "-P", "-s"]
WITH_HUB = ["setpriv", "--pdeathsig", "TERM", *PYTHON]
"""What ends with the hub, also with one that is killed."""

CULL_SCOPES = ["list:users", "read:users:activity", "read:servers", "delete:servers"]


def command(edition: Path, role: str, systemd: bool) -> list[str]:
    """What starts a server: `start` first, which becomes JupyterHub's own.

    >>> command(Path("/srv/student"), "student", systemd=False)[4:7]
    ['/srv/student', '~/student', '2684354560']
    """
    before = [*PYTHON, str(HERE / "start.py"), str(edition), f"~/{role}"]
    return [*before, str(0 if systemd else SPACE), str(PROCESSES), sys.executable, "-c", SERVER]


def server(idle: int = IDLE_KERNEL) -> list[str]:
    """The arguments of every server, which ends a kernel after ``idle`` seconds without work or a reader.

    >>> server(60)[0]
    '--MappingKernelManager.cull_idle_timeout=60'
    """
    cull = {"cull_idle_timeout": idle, "cull_interval": max(1, idle // 30)}
    ipc = "--KernelManager.transport=ipc"  # others on the machine could listen to what a kernel prints on a TCP port
    return [*(f"--MappingKernelManager.{name}={value}" for name, value in cull.items()), ipc]


def services(systemd: bool) -> list[dict[str, object]]:
    """What runs beside the hub: what ends idle servers, and, where nothing else does, what adds memory up.

    >>> [service["name"] for service in services(systemd=True)]
    ['cull']
    """
    cull = [*WITH_HUB, "-m", "jupyterhub_idle_culler", f"--timeout={IDLE_SERVER}"]
    watch = [*WITH_HUB, str(HERE / "watch.py"), GROUP, str(MEMORY)]
    return [{"name": "cull", "command": cull}] + [{"name": "watch", "command": watch}] * (not systemd)


def settings(
    roles: Mapping[str, str], editions: Mapping[str, Path], state: Path, systemd: bool
) -> dict[str, dict[str, object]]:
    """All settings, by JupyterHub's classes; ``editions`` are folders, by role.

    >>> settings({"ada": "student"}, {}, Path("/srv/state"), systemd=False)["Authenticator"]["allowed_users"]
    {'ada'}
    """

    def before(spawner) -> None:
        role = roles[spawner.user.name]
        spawner.cmd = command(editions[role], role, systemd)
        spawner.notebook_dir = f"~/{role}"

    teachers = [name for name, role in roles.items() if role == "teacher"]
    of_systemd = {
        "Spawner": {"mem_limit": MEMORY, "cpu_limit": 1.0},
        "SystemdSpawner": {"isolate_tmp": True, "isolate_devices": True},
    }
    return {
        "JupyterHub": {
            "authenticator_class": "pam",  # passwords are the accounts': nobody signs up
            "spawner_class": "systemd" if systemd else "localprocess",
            "concurrent_spawn_limit": AT_ONCE,
            "template_paths": [str(HERE / "pages")],  # who waits sees a page that goes on by itself
            "cleanup_servers": False,  # a hub that ends leaves servers, and finds them again
            "db_url": f"sqlite:///{state / 'hub.sqlite'}",
            "cookie_secret_file": str(state / "cookie_secret"),
            "services": services(systemd),
            "load_roles": [
                {"name": "cull", "scopes": CULL_SCOPES, "services": ["cull"]},
                {"name": "admin", "users": teachers},
            ],
            "hub_ip": "127.0.0.1",
        },
        "ConfigurableHTTPProxy": {"pid_file": str(state / "proxy.pid")},
        "Authenticator": {
            "allowed_users": set(roles),
            "allow_existing_users": False,  # the default lets in who was on the list once
        },
        "Spawner": {
            "pre_spawn_hook": before,
            "default_url": f"/lab/tree/{FIRST}",
            "environment": dict.fromkeys(THREADS, "1"),
            "args": server(),
            "http_timeout": 120,
            "start_timeout": 120,
            **(of_systemd["Spawner"] if systemd else {}),
        },
        **({"SystemdSpawner": of_systemd["SystemdSpawner"]} if systemd else {}),
    }
