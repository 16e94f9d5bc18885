"""Where others build a place for the notebooks: Binder's step and the dev container's, followed in a fresh environment.

`pip` alone is played: there is no network, and what it would install is what the README installs, as `.ci/run` shows.
"""

import json
import os
import subprocess
import sys
import sysconfig
import urllib.request
from pathlib import Path

import pytest
from house import ROOT
from lab import TOKEN, jupyterlab

PIP = '#!/bin/sh\necho "$@" >> "$(dirname "$0")/asked"\n'


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """A copy of the project and an environment, after the step that Binder runs."""
    folder = tmp_path_factory.mktemp("binder")
    copy, fresh = folder / "copy", folder / "fresh"
    copy.mkdir()
    for name in (".binder", "mapping_lib", "notebooks", "figures", "requirements.txt", "README.md"):
        (copy / name).symlink_to(ROOT / name)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(fresh)], check=True)
    (fresh / "bin" / "pip").write_text(PIP)
    (fresh / "bin" / "pip").chmod(0o755)
    path = os.pathsep.join([str(fresh / "bin"), os.environ["PATH"]])
    libraries = os.pathsep.join([str(copy), sysconfig.get_path("purelib")])
    done = subprocess.run(
        [".binder/postBuild"],
        cwd=copy,
        env=os.environ | {"PATH": path, "PYTHONPATH": libraries},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return copy, fresh


def test_it_installs_the_cpu_s_pytorch_and_then_what_the_readme_says(built):
    torch, rest = (built[1] / "bin" / "asked").read_text().splitlines()
    pinned = next(line for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("torch=="))
    assert torch == f"install --no-cache-dir {pinned} --index-url https://download.pytorch.org/whl/cpu"
    assert rest == "install --no-cache-dir -r requirements.txt"
    assert "pip install -r requirements.txt && jupyter lab" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_students_edition_lies_there(built):
    there = {path.name for path in (built[0] / "student").iterdir()}
    assert there == {path.name for path in ROOT.glob("notebooks/*.ipynb")}


def test_jupyterlab_opens_on_the_first_chapter(built, tmp_path: Path, monkeypatch):
    copy, fresh = built
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(fresh / "etc" / "jupyter"))
    with jupyterlab(copy, tmp_path) as address:
        opened = urllib.request.urlopen(f"{address}/?token={TOKEN}").url
    assert opened.split("?")[0] == f"{address}/lab/tree/student/01_mapping_view.ipynb"


def test_the_dev_container_follows_the_same_step(built):
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert (ROOT / container["postCreateCommand"]).samefile(ROOT / ".binder" / "postBuild")
    assert os.access(ROOT / container["postCreateCommand"], os.X_OK)
    version = (ROOT / ".binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    assert f"python:{version}-" in container["image"]
    assert str(container["forwardPorts"][0]) in container["postAttachCommand"]
