"""Trained theta on disk, with the settings that made each, without pickle."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath

import numpy as np
import torch
from torch import Tensor

from mapping_lib.checks import check_params
from mapping_lib.task import Params

SETTINGS = "settings"
"""The name under which a file keeps how its theta was made, as JSON text."""


def save_theta(path: str | Path, theta: Params, /, **settings: object) -> Path:
    """Write ``theta`` to one file in numpy's .npz format, with the ``settings`` that made it; return the path.

    The file has the very name that is given. Every dtype is kept, bfloat16 too; the device is not. Settings are
    numbers, text, lists and dicts; of tensors, numpy's numbers and paths the plain value is kept. Raises TypeError
    for what is neither, ValueError for a tensor without numbers (meta, sparse), FileNotFoundError for a folder that
    is not there. Nothing is written then.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_theta(Path(folder) / "mine.npz", {"w": torch.ones(2)}, alpha=0.01)
    ...     load_theta(path), load_settings(path)
    ({'w': tensor([1., 1.])}, {'alpha': 0.01})
    """
    path = _as_path(path)
    if SETTINGS in check_params("theta", theta):
        raise ValueError(f"theta has a tensor named {SETTINGS!r}; allowed: any other name")
    arrays = {name: _array(name, p) for name, p in theta.items()}
    arrays[SETTINGS] = np.array(json.dumps({n: _plain(n, v) for n, v in settings.items()}, sort_keys=True))
    _check_place(path)
    _write(path, arrays)
    return path


def load_theta(path: str | Path, *, like: Params | None = None) -> Params:
    """Read theta from a file that `save_theta` wrote; its tensors are on the CPU.

    ``like`` is a theta of the learner that it is meant for: names and shapes must agree. Raises
    FileNotFoundError for a missing file, ValueError for one that is damaged or of another shape.
    """
    if like is not None:
        check_params("like", like)
    with _opened(path) as arrays:
        theta = {name: _tensor(array) for name, array in arrays.items() if name != SETTINGS}
    if like is not None:
        _check_like(Path(path), theta, like)
    return theta


def load_settings(path: str | Path) -> dict:
    """Read the settings that made a file's theta: learner, alpha, inner steps, beta, outer steps, seed ..."""
    with _opened(path) as arrays:
        return json.loads(str(arrays[SETTINGS]))


def save_numbers(path: Path, numbers: Mapping[str, Tensor | np.ndarray], settings: Mapping[str, object]) -> Path:
    """Write what a study measured, packed, with the settings that it hangs on; `load_theta` reads it. Return the path.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_numbers(Path(folder) / "data" / "mine.npz", {"errors": torch.ones(2)}, {"seed": 0})
    ...     load_theta(path), load_settings(path)
    ({'errors': tensor([1., 1.])}, {'seed': 0})
    """
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **numbers, **{SETTINGS: np.array(json.dumps(settings, ensure_ascii=False))})
    return path


def _as_path(path: str | Path) -> Path:
    if not isinstance(path, str | PurePath):
        raise TypeError(f"path is a {type(path).__name__}; allowed: the name of a file, as text or a pathlib.Path")
    return Path(path)


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise ValueError(f"path is {str(path)!r}, which is a folder; allowed: the name of a file")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"path is {str(path)!r}, and there is no folder {str(path.parent)!r}; allowed: a file in a folder that is"
            " there. Make it: Path(...).mkdir(parents=True)"
        )


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays as `np.savez` does, which keeps some names for arguments of its own; all of the file or nothing."""
    part = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(part, "w") as file:
            for name, array in arrays.items():
                with file.open(name + ".npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, array, allow_pickle=False)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _array(name: str, p: Tensor) -> np.ndarray:
    """A tensor's numbers; those of a dtype that numpy lacks as whole numbers in a field of the dtype's name."""
    if p.is_meta or p.layout != torch.strided:
        raise ValueError(f"theta[{name!r}] is on {p.device}, {p.layout}; allowed: a dense tensor that holds numbers")
    try:
        return p.numpy(force=True)
    except TypeError:
        whole = p.detach().cpu().contiguous().view({1: torch.int8, 2: torch.int16}[p.itemsize]).numpy()
        return whole.view([(str(p.dtype).removeprefix("torch."), whole.dtype.str)])


def _tensor(array: np.ndarray) -> Tensor:
    """The inverse of `_array`."""
    if array.dtype.names is None:
        return torch.from_numpy(array)
    (name,) = array.dtype.names
    return torch.from_numpy(array[name].copy()).view(getattr(torch, name))


def _plain(name: str, setting: object) -> object:
    """A setting as JSON can hold it."""

    def value(thing: object) -> object:
        if isinstance(thing, Tensor | np.ndarray | np.generic):
            return thing.tolist()
        if isinstance(thing, PurePath):
            return str(thing)
        raise TypeError(f"{thing!r} is a {type(thing).__name__}")

    try:
        return json.loads(json.dumps(setting, default=value, sort_keys=True))
    except (TypeError, ValueError) as problem:
        raise TypeError(
            f"the setting {name} cannot be stored ({problem}); allowed: numbers, text, None, tensors, paths,"
            " and lists and dicts of them, by names"
        ) from problem


@contextmanager
def _opened(path: str | Path) -> Iterator[Mapping[str, np.ndarray]]:
    """Read all that a file holds, and turn whatever goes wrong while reading into one clear error."""
    path = _as_path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"path is {str(path)!r}, and no file is there; allowed: a file that save_theta wrote."
            " The shipped ones are made by: python -m mapping_lib.study"
        )
    try:
        with zipfile.ZipFile(path) as file:
            yield {name.removesuffix(".npy"): _entry(file, name) for name in file.namelist()}
    except (ValueError, TypeError, LookupError, AttributeError, OSError, EOFError, zipfile.BadZipFile) as problem:
        raise ValueError(
            f"path is {str(path)!r}, which cannot be read as a theta ({problem}); allowed: a file that"
            " save_theta wrote. It may be cut short: make it again"
        ) from problem


def _entry(file: zipfile.ZipFile, name: str) -> np.ndarray:
    with file.open(name) as entry:
        return np.lib.format.read_array(entry, allow_pickle=False)


def _check_like(path: Path, theta: Params, like: Params) -> None:
    shapes, wanted = ({name: tuple(p.shape) for name, p in t.items()} for t in (theta, like))
    for name in sorted(shapes.keys() | wanted.keys()):
        if shapes.get(name) != wanted.get(name):
            raise ValueError(
                f"path is {str(path)!r}, whose {name!r} has shape {shapes.get(name)};"
                f" allowed: {wanted.get(name)}, as in like={{...}} (None means: no such tensor)"
            )
