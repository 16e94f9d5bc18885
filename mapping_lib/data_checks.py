"""What in the data can spoil training. Asked once something is not finite: it costs nothing before."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from mapping_lib.task import Task

LARGE = 100.0
"""Above this root mean square, a feature asks to be scaled."""

FAR = 10.0
"""So does one whose mean lies this many spreads from 0, and as many units."""

BLOWN_UP = 1e3
"""A first loss of this many times the targets' mean square is none of a network that can read its inputs."""


def not_finite(tasks: Task | Sequence[Task]) -> str:
    """Say which tensors of the tasks hold nan or inf, how many and where; empty where none does.

    >>> import torch
    >>> from mapping_lib.task import Batch
    >>> good, bad = torch.zeros(4, 10, 1), torch.zeros(4, 10, 1)
    >>> bad[3, 2] = torch.nan
    >>> not_finite(Task(Batch(good, bad), Batch(good, good), torch.zeros(4, 2)))
    'tasks.support.y holds 1 number of 40 that is not finite (nan or inf), in task 3'
    """
    return "; ".join(_holds(name, t) for name, t in _tensors(tasks) if not t.isfinite().all())


def not_scaled(tasks: Task | Sequence[Task]) -> str:
    """Say which examples have a feature of large numbers, or one far from 0; empty where none has.

    >>> import torch
    >>> from mapping_lib.task import Batch
    >>> year = torch.linspace(1990, 2020, 31).view(1, 31, 1)
    >>> not_scaled(Task(Batch(year, 0 * year), Batch(year, 0 * year), torch.zeros(1, 2)))
    'tasks.support.x has large numbers (mean 2005, spread 8.9): scale them, (x - mean) / spread, alike for all tasks'
    """
    for name, t in _tensors(tasks):
        columns = t.double().reshape(-1, t.shape[-1] if t.ndim > 2 else 1)
        mean, spread = columns.mean(0), columns.std(0, correction=0)
        size = (mean.square() + spread.square()).sqrt()
        large = (size > LARGE) | ((size > FAR) & (mean.abs() > FAR * spread))
        if ".description" not in name and large.any():
            worst, part = size.where(large, 0).argmax(), name.rpartition(".")[-1]
            moments = f"mean {mean[worst]:.4g}, spread {spread[worst]:.2g}"
            return f"{name} has large numbers ({moments}): scale them, ({part} - mean) / spread, alike for all tasks"
    return ""


def blown_up(loss: float, tasks: Task | Sequence[Task]) -> str:
    """What `not_scaled` says, if a first meta-loss is `BLOWN_UP` times the mean square of the targets; else empty."""
    if loss < BLOWN_UP:
        return ""
    of_y = [float(t.double().square().mean()) for name, t in _tensors(tasks) if name.endswith(".y")]
    return not_scaled(tasks) if loss > BLOWN_UP * (1.0 + max(of_y, default=0.0)) else ""


def _tensors(tasks: Task | Sequence[Task]) -> Iterator[tuple[str, Tensor]]:
    """All tensors of real numbers, by name; there may be none (a support can be a function)."""
    for i, group in enumerate([tasks] if isinstance(tasks, Task) else tasks):
        of = "tasks" if isinstance(tasks, Task) else f"tasks[{i}]"
        parts = {f"{name}.{p}": getattr(getattr(group, name), p, None) for name in ("support", "query") for p in "xy"}
        for name, t in (parts | {"description": group.description}).items():
            if isinstance(t, Tensor) and t.is_floating_point() and t.numel():
                yield f"{of}.{name}", t


def _holds(name: str, t: Tensor) -> str:
    bad = t.isfinite().logical_not()
    n, tasks = int(bad.sum()), bad.reshape(len(t), -1).any(1).nonzero()[:, 0].tolist()
    places = ", ".join(map(str, tasks[:5])) + (", ..." if len(tasks) > 5 else "")
    numbers = "1 number" if n == 1 else f"{n} numbers"
    verb = "is" if n == 1 else "are"
    return f"{name} holds {numbers} of {t.numel()} that {verb} not finite (nan or inf), in task {places}"
