"""Checks of arguments, made once at the public boundary.

Every message names the argument, the value it had and what is allowed. Shapes and dtypes can be
checked anywhere; *values* of tensors are never checked inside `torch.func.vmap`, which cannot branch
on them.
"""

import math
from collections.abc import Iterable, Mapping

from torch import Generator, Size, Tensor, dtype

from mapping_lib.task import Batch, Params, Task, TaskFamily


def check_count(name: str, value: int, *, at_least: int) -> int:
    """Return ``value`` if it is a whole number not below ``at_least``, else raise.

    >>> check_count("steps", 3, at_least=0)
    3
    >>> check_count("steps", -1, at_least=0)
    Traceback (most recent call last):
        ...
    ValueError: steps is -1; allowed: a whole number, 0 or more
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}; allowed: a whole number, {at_least} or more")
    if value < at_least:
        raise ValueError(f"{name} is {value}; allowed: a whole number, {at_least} or more")
    return value


def check_number(name: str, value: float, *, above: float | None = None, at_least: float | None = None) -> float:
    """Return ``value`` as a float if it is finite and in range, else raise.

    >>> check_number("beta", 0.0, above=0)
    Traceback (most recent call last):
        ...
    ValueError: beta is 0.0; allowed: a finite number above 0
    """
    allowed = "a finite number"
    if above is not None:
        allowed += f" above {above:g}"
    if at_least is not None:
        allowed += f", {at_least:g} or more"
    try:
        number = math.nan if isinstance(value, str | bool) else float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}; allowed: {allowed}") from None
    too_low = (above is not None and number <= above) or (at_least is not None and number < at_least)
    if not math.isfinite(number) or too_low:
        given = repr(value) if isinstance(value, str | bool) else number
        raise ValueError(f"{name} is {given}; allowed: {allowed}")
    return number


def check_range(name: str, value: tuple[float, float]) -> tuple[float, float]:
    """Return ``(low, high)`` if both are finite and low is not above high, else raise."""
    try:
        low, high = value
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}; allowed: a pair (low, high)") from None
    low, high = check_number(f"{name}[0]", low), check_number(f"{name}[1]", high)
    if low > high:
        raise ValueError(f"{name} is ({low}, {high}); allowed: a pair with low not above high")
    return low, high


def check_choice(name: str, value: str, allowed: Iterable[str], *, or_else: str = "") -> str:
    """Return ``value`` if it is one of the names in ``allowed``, else raise; ``or_else`` says what else there is.

    >>> check_choice("optimiser", "adamm", ["adam", "sgd"])
    Traceback (most recent call last):
        ...
    ValueError: optimiser is 'adamm'; allowed: 'adam', 'sgd'
    """
    names = list(allowed)
    if value not in names:
        others = f", or {or_else}" if or_else else ""
        raise ValueError(f"{name} is {value!r}; allowed: {', '.join(map(repr, names))}{others}")
    return value


def check_generator(generator: Generator) -> Generator:
    """Return ``generator`` if it is a `torch.Generator`, else raise: randomness is an argument here."""
    if not isinstance(generator, Generator):
        raise TypeError(
            f"generator is {generator!r}; allowed: a torch.Generator, for example torch.Generator().manual_seed(0)"
        )
    return generator


def check_tensor(name: str, value: Tensor, shape: str = "") -> Tensor:
    """Return ``value`` if it is a tensor, else say how to make it one; ``shape`` says in words which is wanted.

    >>> check_tensor("classes", [0, 1, 0])
    Traceback (most recent call last):
        ...
    TypeError: classes is a list; allowed: a tensor. Make it one: torch.tensor(classes)
    """
    if isinstance(value, Tensor):
        return value
    package, kind = type(value).__module__.partition(".")[0], type(value).__name__
    kind = kind if package == "builtins" else f"{package}.{kind}"
    allowed = "a tensor" + (f" of shape {shape}" if shape else "")
    if hasattr(value, "__array__") or isinstance(value, list | tuple | int | float):
        wide = getattr(value, "dtype", None) == "float64"  # what numpy makes of numbers, and few networks have
        short = name if "[" in name else name.rpartition(".")[-1]
        allowed += f". Make it one: torch.tensor({short}{', dtype=torch.float32' if wide else ''})"
    raise TypeError(f"{name} is a {kind}; allowed: {allowed}")


def check_batch(
    name: str,
    batch: Batch,
    *,
    dtype: dtype | None = None,
    ndim: int = 2,
    whole_x: bool = False,
    y_features: bool = False,
) -> None:
    """Raise unless ``batch`` holds ``x`` and ``y`` with one row an example.

    ``ndim`` is 2 for one task, ``(example, feature)``. Inputs with more dimensions (images) are allowed. Targets may
    leave the feature dimension out, unless ``y_features``; whether they fit the network's output is for the loss to
    say. ``dtype`` is that of theta, by default that of x. Whole-number inputs (tokens) need ``whole_x``.
    """
    dims = "(example, feature)" if ndim == 2 else "(task, example, feature)"
    _check_is_batch(name, batch, dims)
    _check_shapes(name, batch, ndim, dims, y_features)
    wanted, whose = (batch.x.dtype, "x") if dtype is None else (dtype, "theta")
    for part, tensor, whole in (("x", batch.x, whole_x), ("y", batch.y, True)):
        if tensor.dtype != wanted and (tensor.is_floating_point() or not whole):
            remedy = f"the dtype of {whose}. Convert it: {part}.to({wanted})"
            raise ValueError(f"{name}.{part} has dtype {tensor.dtype}; allowed: {wanted}, {remedy}")


def check_family(name: str, family: TaskFamily, *methods: str) -> TaskFamily:
    """Return ``family`` if it has a method ``sample``, and the other ``methods``, else raise."""
    for method in ("sample", *methods):
        if not callable(getattr(family, method, None)):
            raise TypeError(f"{name} is {family!r}; allowed: a family of tasks with a method {method}")
    return family


def check_drawn(tasks: Task, *, groups: bool = False) -> Task:
    """Return ``tasks`` if it is a `Task` made of tensors, as ``sample`` gives it, else raise.

    With ``groups`` a list of such is allowed as well: tasks of several sizes.
    """
    if groups and isinstance(tasks, list):
        return [check_drawn(group) for group in tasks]
    if not isinstance(tasks, Task):
        more = ". For tasks of several sizes: learners.uneven" if isinstance(tasks, list) else ""
        raise TypeError(f"tasks is a {type(tasks).__name__}; allowed: Task(support, query, description){more}")
    for name, batch in (("tasks.support", tasks.support), ("tasks.query", tasks.query)):
        _check_is_batch(name, batch, "(task, example, feature)")
    if tasks.description is not None:  # who reads it will say so
        check_tensor("tasks.description", tasks.description, "(task, feature)")
    return tasks


def check_tasks(tasks: Task, *, dtype: dtype, whole_x: bool = False) -> None:
    """Raise unless ``tasks`` holds a support and a query for each of several tasks, and no query is empty."""
    check_drawn(tasks)
    for name, batch in (("tasks.support", tasks.support), ("tasks.query", tasks.query)):
        check_batch(name, batch, dtype=dtype, ndim=3, whole_x=whole_x)
    n_supports, n_queries = len(tasks.support.x), len(tasks.query.x)
    if not 0 < n_supports == n_queries:
        raise ValueError(f"tasks has {n_supports} supports and {n_queries} queries; allowed: one of each a task")
    if tasks.query.x.shape[1] == 0:
        raise ValueError("tasks.query is empty; allowed: at least one query example, which the meta-loss is made of")


def check_labels(name: str, batch: Batch, *, ndim: int) -> None:
    """Raise unless ``batch.y`` has one whole number an example; ``ndim`` is 1 for one task, 2 for several."""
    if batch.y.ndim != ndim or batch.y.is_floating_point():
        form = f"shape {tuple(batch.y.shape)} and dtype {batch.y.dtype}"
        raise ValueError(f"{name}.y has {form}; allowed: one whole number an example, its label")


def check_params(name: str, params: Params) -> Params:
    """Return ``params`` if it is a dict of tensors by name, else raise.

    >>> check_params("theta", {"w": 1.0})
    Traceback (most recent call last):
        ...
    TypeError: theta['w'] is a float; allowed: a tensor. Make it one: torch.tensor(theta['w'])
    """
    if not isinstance(params, Mapping):
        remedy = ". Of a module: dict(module.named_parameters())" if hasattr(params, "named_parameters") else ""
        raise TypeError(f"{name} is a {type(params).__name__}; allowed: a dict of tensors by name{remedy}")
    for key, tensor in params.items():
        if not isinstance(key, str):
            raise TypeError(f"{name} has the name {key!r}; allowed: text")
        if not isinstance(tensor, Tensor):
            check_tensor(f"{name}[{key!r}]", tensor)
    return params


def check_theta(theta: Params, shapes: Mapping[str, Size]) -> dtype:
    """Raise unless ``theta`` has the names and shapes of ``shapes``; return its dtype."""
    check_params("theta", theta)
    if theta.keys() != shapes.keys():
        raise ValueError(f"theta has the names {sorted(theta)}; allowed: {sorted(shapes)}")
    for name, tensor in theta.items():
        if tensor.shape != shapes[name]:
            raise ValueError(f"theta[{name!r}] has shape {tuple(tensor.shape)}; allowed: {tuple(shapes[name])}")
    return tensor.dtype


def _check_is_batch(name: str, batch: Batch, dims: str) -> None:
    if not isinstance(batch, tuple) or not hasattr(batch, "x") or not hasattr(batch, "y"):
        raise TypeError(f"{name} is a {type(batch).__name__}; allowed: Batch(x, y) with tensors of shape {dims}")
    for part, tensor in (("x", batch.x), ("y", batch.y)):
        check_tensor(f"{name}.{part}", tensor, dims)


def _check_shapes(name: str, batch: Batch, ndim: int, dims: str, y_features: bool) -> None:
    x, y = batch
    if x.ndim < ndim:
        raise ValueError(f"{name}.x has shape {tuple(x.shape)}; allowed: {dims}")
    if y.ndim < (ndim if y_features else ndim - 1):
        short = "" if y_features else f" or {dims.replace(', feature)', ')').replace('(example)', '(example,)')}"
        raise ValueError(f"{name}.y has shape {tuple(y.shape)}; allowed: {dims}{short}")
    if x.shape[: ndim - 1] != y.shape[: ndim - 1]:
        raise ValueError(
            f"{name}.x has shape {tuple(x.shape)} and {name}.y {tuple(y.shape)};"
            f" allowed: as many targets as inputs, {dims}"
        )
