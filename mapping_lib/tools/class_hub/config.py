"""The hub's configuration for a class on one machine, as JupyterHub reads it: ``jupyterhub -f config.py``.

It takes the class list and the editions from the environment, as the command ``run`` sets them.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

MEMORY = 2 * 1024**3
"""Bytes: of address space for each process (a kernel with torch has 0.7 GB of it), or, with systemd, in use by all."""

PROCESSES, AT_ONCE, IDLE_KERNEL, IDLE_SERVER = 200, 4, 30 * 60, 2 * 60 * 60
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
FIRST = "01_mapping_view.ipynb"
HERE = Path(__file__).resolve().parent


def command(edition: Path, role: str, systemd: bool) -> list[str]:
    """What starts a server: `start` first, which becomes JupyterHub's own.

    >>> command(Path("/srv/student"), "student", systemd=False)[4:7]
    ['/srv/student', '~/student', '2147483648']
    """
    before = [sys.executable, "-P", "-s", str(HERE / "start.py"), str(edition), f"~/{role}"]
    return [*before, str(0 if systemd else MEMORY), str(PROCESSES), sys.executable, "-m", "jupyterhub.singleuser"]


def settings(
    roles: Mapping[str, str], editions: Mapping[str, Path], state: Path, systemd: bool
) -> dict[str, dict[str, object]]:
    """All settings, by JupyterHub's classes.

    >>> settings({"ada": "student"}, {}, Path("/srv/state"), systemd=False)["Authenticator"]["allowed_users"]
    {'ada'}
    """

    def before(spawner) -> None:
        role = roles[spawner.user.name]
        spawner.cmd = command(editions[role], role, systemd)
        spawner.notebook_dir = f"~/{role}"

    server = [
        f"--MappingKernelManager.cull_idle_timeout={IDLE_KERNEL}",
        "--MappingKernelManager.cull_interval=60",
        "--KernelManager.transport=ipc",  # others on the machine could listen to what a kernel prints on a TCP port
    ]
    ends_with_hub = ["setpriv", "--pdeathsig", "TERM"]  # one that is killed, too
    culler = [*ends_with_hub, sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={IDLE_SERVER}"]
    scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    return {
        "JupyterHub": {
            "authenticator_class": "pam",  # passwords are the accounts': nobody signs up
            "spawner_class": "systemd" if systemd else "localprocess",
            "concurrent_spawn_limit": AT_ONCE,
            "template_paths": [str(HERE / "pages")],  # who waits sees a page that goes on by itself
            "cleanup_servers": False,  # a hub that ends leaves servers, and finds them again
            "db_url": f"sqlite:///{state / 'hub.sqlite'}",
            "cookie_secret_file": str(state / "cookie_secret"),
            "services": [{"name": "cull", "command": culler}],
            "load_roles": [{"name": "cull", "scopes": scopes, "services": ["cull"]}],
            "hub_ip": "127.0.0.1",
        },
        "ConfigurableHTTPProxy": {"pid_file": str(state / "proxy.pid")},
        "Authenticator": {
            "allowed_users": set(roles),
            "allow_existing_users": False,  # the default lets in who was on the list once
            "admin_users": {name for name, role in roles.items() if role == "teacher"},
        },
        "Spawner": {
            "pre_spawn_hook": before,
            "default_url": f"/lab/tree/{FIRST}",
            "environment": dict.fromkeys(THREADS, "1"),
            "args": server,
            "http_timeout": 120,
            "start_timeout": 120,
            **({"mem_limit": MEMORY, "cpu_limit": 1.0} if systemd else {}),
        },
        **({"SystemdSpawner": {"isolate_tmp": True, "isolate_devices": True}} if systemd else {}),
    }


if "get_config" in globals():  # JupyterHub reads this file
    from mapping_lib.tools.class_hub import class_list

    folder = Path(os.environ["CLASS_HUB_STATE"])
    where = {role: Path(os.environ[f"CLASS_HUB_{role.upper()}"]) for role in class_list.ROLES}
    everybody = class_list.read(Path(os.environ["CLASS_HUB_LIST"]))
    for name, values in settings(everybody, where, folder, Path("/run/systemd/system").is_dir()).items():
        get_config()[name].update(values)  # noqa: F821
