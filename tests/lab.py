"""A real JupyterLab in a real Chromium, for tests and benchmarks of what a reader sees."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mapping_lib.tools.pictures import CHROMIUM, FLAGS

TOKEN = "reader"
SETTINGS = {
    "@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin.jupyterlab-settings": {"autosave": False},
}


@contextmanager
def jupyterlab(folder: Path, private: Path) -> Iterator[str]:
    """Serve ``folder`` from a JupyterLab with fresh settings under ``private``; yield its address."""
    for name, values in SETTINGS.items():
        path = private / "settings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = {"CONFIG": "config", "DATA": "data", "RUNTIME": "runtime"}
    environment = os.environ | {f"JUPYTER_{key}_DIR": str(private / value) for key, value in folders.items()}
    environment |= {f"JUPYTERLAB_{key}_DIR": str(private / key.lower()) for key in ("SETTINGS", "WORKSPACES")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--IdentityProvider.token={TOKEN}", "--LabApp.expose_app_in_browser=True"]
    with (private / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, server, private / "server.log")
        yield address
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:  # a machine under load: what was tested is over
            server.kill()
            server.wait()


def _wait_for(address: str, server: subprocess.Popen, log: Path, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start: {log.read_text()[-2000:]}")


@contextmanager
def browser(private: Path, width: int = 1280, height: int = 800):
    """Open Chromium with a fresh profile; yield a page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(private / "profile"), executable_path=CHROMIUM, args=FLAGS, viewport={"width": width, "height": height}
        )
        try:
            yield context.pages[0] if context.pages else context.new_page()
        finally:
            context.close()


def open_notebook(page, address: str, name: str) -> None:
    """Open a notebook in JupyterLab and wait until its kernel is idle."""
    page.goto(f"{address}/lab/tree/{name}?token={TOKEN}&reset")
    page.wait_for_selector(".jp-NotebookPanel .jp-Notebook", timeout=60_000)
    page.evaluate("async () => { await window.jupyterapp.restored }")
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    wait_until_idle(page)


IDLE = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const kernel = panel?.sessionContext?.session?.kernel;
    return kernel?.status === 'idle' && kernel?.connectionStatus === 'connected';
}"""


def wait_until_idle(page, seconds: float = 120) -> None:
    """Wait until the notebook's kernel has nothing to do."""
    page.wait_for_function(IDLE, timeout=1000 * seconds)


def run_all(page, seconds: float = 240) -> None:
    """Run all cells and wait for the last."""
    done = page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => true)")
    assert done
    wait_until_idle(page, seconds)


def asked(page, code: str) -> str:
    """What some code prints in the kernel of the notebook in sight."""
    return page.evaluate(
        """async (code) => {
            const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const future = kernel.requestExecute({ code });
            let text = "";
            future.onIOPub = ({ content }) => { text += content.text ?? content.evalue ?? ""; };
            await future.done;
            return text.trim();
        }""",
        code,
    )
