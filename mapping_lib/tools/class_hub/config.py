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
PYTHON = [sys.executable, "-P", "-s"]
SERVER = "import sys; sys.modules['rfc3987_syntax'] = None; from jupyterhub.singleuser import main; main()"
"""A server in half the processor's time: that module, which no server calls, reads a grammar when it is imported."""


def kernels(idle: int = IDLE_KERNEL) -> list[str]:
    """A server's arguments: a kernel without work and reader ends after ``idle`` seconds, and only its owner listens.

    >>> kernels(60)[0]
    '--MappingKernelManager.cull_idle_timeout=60'
    """
    cull = {"cull_idle_timeout": idle, "cull_interval": max(1, idle // 30)}
    ipc = "--KernelManager.transport=ipc"  # others on the machine could listen to what a kernel prints on a TCP port
    return [*(f"--MappingKernelManager.{name}={value}" for name, value in cull.items()), ipc]


def settings(
    roles: Mapping[str, str], editions: Mapping[str, Path], state: Path, systemd: bool
) -> dict[str, dict[str, object]]:
    """All settings, by JupyterHub's classes; ``editions`` are folders, by role.

    >>> settings({"ada": "student"}, {}, Path("/srv/state"), systemd=False)["Authenticator"]["allowed_users"]
    {'ada'}
    """

    def before(spawner) -> None:
        role = roles[spawner.user.name]
        start = [*PYTHON, str(HERE / "start.py"), str(editions[role]), f"~/{role}"]
        spawner.cmd = [*start, str(0 if systemd else SPACE), str(PROCESSES), sys.executable, "-c", SERVER]
        spawner.notebook_dir = f"~/{role}"

    with_hub = ["setpriv", "--pdeathsig", "TERM", *PYTHON]  # ends with the hub, also with one that is killed
    cull = {"name": "cull", "command": [*with_hub, "-m", "jupyterhub_idle_culler", f"--timeout={IDLE_SERVER}"]}
    watch = {"name": "watch", "command": [*with_hub, str(HERE / "watch.py"), GROUP, str(MEMORY)]}
    scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    teachers = {"name": "admin", "users": [name for name, role in roles.items() if role == "teacher"]}
    return {
        "JupyterHub": {
            "authenticator_class": "pam",  # passwords are the accounts': nobody signs up
            "spawner_class": "systemd" if systemd else "localprocess",
            "concurrent_spawn_limit": AT_ONCE,
            "template_paths": [str(HERE / "pages")],  # who waits sees a page that goes on by itself
            "cleanup_servers": False,  # a hub that ends leaves servers, and finds them again
            "db_url": f"sqlite:///{state / 'hub.sqlite'}",
            "cookie_secret_file": str(state / "cookie_secret"),
            "services": [cull] if systemd else [cull, watch],
            "load_roles": [{"name": "cull", "scopes": scopes, "services": ["cull"]}, teachers],
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
            "args": kernels(),
            "http_timeout": 120,
            "start_timeout": 120,
            **({"mem_limit": MEMORY, "cpu_limit": 1.0} if systemd else {}),
        },
        "SystemdSpawner": {"isolate_tmp": True, "isolate_devices": True},
    }
