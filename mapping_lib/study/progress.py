"""A run that is interrupted and goes on: all that `meta_train` needs for it, in one file and without pickle."""

from pathlib import Path
from typing import Any

from torch import Tensor

from mapping_lib.meta_training import Progress
from mapping_lib.study.theta import load_settings, load_theta, save_theta
from mapping_lib.task import Params

TENSOR, ITEMS = "tensor", "items"
"""What stands in the file's JSON text for a tensor (its name), and for a dict (its pairs: a key may be a number)."""


def save_progress(path: str | Path, progress: Progress) -> Path:
    """Write what `meta_train` yielded to one file, for ``resume=load_progress(path)``; return the path.

    Raises TypeError where an optimiser of your own keeps what is neither tensor, number nor text, FileNotFoundError
    for a folder that is not there.

    >>> import tempfile, torch
    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> from mapping_lib.learners.gradient import maml
    >>> from mapping_lib.meta_training import meta_train
    >>> from mapping_lib.networks import mlp
    >>> learner, g = maml(mlp((1, 40, 1)), torch.nn.functional.mse_loss), torch.Generator().manual_seed(0)
    >>> settings = {"beta": 0.001, "outer_steps": 3, "generator": g}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_progress(Path(folder) / "run.npz", next(meta_train(learner, Sinusoids(), **settings)))
    ...     [p.step for p in meta_train(learner, Sinusoids(), resume=load_progress(path), **settings)]
    [2, 3]
    """
    if not isinstance(progress, Progress):
        raise TypeError(f"progress is a {type(progress).__name__}; allowed: a Progress, as meta_train yields it")
    tensors: Params = {}
    form = _apart(progress._asdict(), tensors)
    return save_theta(path, tensors, progress=form)


def load_progress(path: str | Path) -> Progress:
    """Read what `save_progress` wrote, bit for bit.

    Raises FileNotFoundError for a missing file, ValueError for one that is damaged or holds something else.
    """
    form = load_settings(path).get("progress")
    if form is None:
        raise ValueError(f"path is {str(path)!r}, which holds no progress; allowed: a file that save_progress wrote")
    return Progress(**_together(form, load_theta(path)))


def _apart(value: Any, tensors: Params) -> Any:
    """``value`` with names in place of its tensors, which are put into ``tensors``."""
    if isinstance(value, Tensor):
        tensors[name := str(len(tensors))] = value
        return {TENSOR: name}
    if isinstance(value, dict):
        return {ITEMS: [[key, _apart(part, tensors)] for key, part in value.items()]}
    return [_apart(part, tensors) for part in value] if isinstance(value, list | tuple) else value


def _together(form: Any, tensors: Params) -> Any:
    """The inverse of `_apart`."""
    if isinstance(form, dict):
        return tensors[form[TENSOR]] if TENSOR in form else {k: _together(v, tensors) for k, v in form[ITEMS]}
    return [_together(part, tensors) for part in form] if isinstance(form, list) else form
