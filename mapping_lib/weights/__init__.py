"""Floor 4: small trained theta, with the settings that made each, stored without pickle.

`python -m mapping_lib.weights` trains them all again (30 to 60 minutes on one core).
`README.md` beside this file says what each is.
"""

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from mapping_lib.task import Params

SETTINGS = "settings"
"""The name under which a file keeps how its theta was made, as JSON text."""


def save_theta(path: str | Path, theta: Params, **settings: object) -> Path:
    """Write ``theta`` to one .npz file, with the ``settings`` that made it; return the path.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_theta(Path(folder) / "mine.npz", {"w": torch.ones(2)}, alpha=0.01)
    ...     load_theta(path), load_settings(path)
    ({'w': tensor([1., 1.])}, {'alpha': 0.01})
    """
    path = Path(path)
    if SETTINGS in theta:
        raise ValueError(f"theta has a tensor named {SETTINGS!r}; allowed: any other name")
    arrays = {name: p.detach().numpy() for name, p in theta.items()}
    np.savez(path, **arrays, **{SETTINGS: np.array(json.dumps(settings, sort_keys=True))})
    return path


def load_theta(path: str | Path, *, like: Params | None = None) -> Params:
    """Read theta from a file that `save_theta` wrote.

    ``like`` is a theta of the learner that it is meant for: names and shapes must agree. Raises
    FileNotFoundError for a missing file, ValueError for one that is damaged or of another shape.
    """
    with _opened(path) as file:
        theta = {name: torch.from_numpy(file[name]) for name in file.files if name != SETTINGS}
    if like is not None:
        _check_like(Path(path), theta, like)
    return theta


def load_settings(path: str | Path) -> dict:
    """Read the settings that made a file's theta: learner, alpha, inner steps, beta, outer steps, seed ..."""
    with _opened(path) as file:
        return json.loads(str(file[SETTINGS]))


def shipped_path(name: str, seed: int = 0) -> Path:
    """Where the shipped theta of a recipe lies; ``seed`` is one of the recipe's: 0, 1, 2 for chapter 3, else 0.

    >>> shipped_path("maml", 1).name
    'sinusoid_maml_1.npz'
    """
    family = "" if name.startswith("lines_") else "sinusoid_"
    return Path(__file__).parent / f"{family}{name}_{seed}.npz"


@contextmanager
def _opened(path: str | Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open a stored theta, and turn whatever goes wrong while reading into one clear error."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"path is {str(path)!r}, and no file is there; allowed: a file that save_theta wrote."
            " The shipped ones are made by: python -m mapping_lib.weights"
        )
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            yield file
    except (ValueError, TypeError, KeyError, OSError, EOFError, zipfile.BadZipFile) as problem:
        raise ValueError(
            f"path is {str(path)!r}, which cannot be read as a theta ({problem}); allowed: a file that"
            " save_theta wrote. It may be cut short: make it again"
        ) from problem


def _check_like(path: Path, theta: Params, like: Params) -> None:
    shapes, wanted = ({name: tuple(p.shape) for name, p in t.items()} for t in (theta, like))
    for name in sorted(shapes.keys() | wanted.keys()):
        if shapes.get(name) != wanted.get(name):
            raise ValueError(
                f"path is {str(path)!r}, whose {name!r} has shape {shapes.get(name)};"
                f" allowed: {wanted.get(name)}, as in like={{...}} (None means: no such tensor)"
            )
