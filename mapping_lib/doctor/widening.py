"""A learner's own float32 tensors, read in float64: class weights in a loss, a table in a network, a ``.float()``."""

import re
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

NARROW, WIDE = torch.float32, torch.float64
OF_NUMBERS = (torch.tensor, torch.as_tensor)
"""Functions that make float32 of Python's numbers, which have the precision of float64."""


class Widening(TorchFunctionMode):
    """While this is entered, what meets a float64 tensor is float64, and what would become float32 is, too.

    PyTorch itself does so in sums and products, and refuses to in matrix products and losses. What is changed in
    place keeps its dtype.

    >>> weight = torch.tensor([1.0, 3.0])
    >>> logits, y = torch.zeros(2, 2, dtype=torch.float64), torch.tensor([0, 1])
    >>> with Widening():
    ...     torch.nn.functional.cross_entropy(logits, y, weight=weight).dtype, (logits @ weight.float()).dtype
    (torch.float64, torch.float64)
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Widen the arguments of one of PyTorch's functions, then call it."""
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if name == "float" and isinstance(args[0], Tensor):
            return args[0].double()
        if name == "__set__" or (name.endswith("_") and not name.endswith("__")) or name == "__setitem__":
            return func(*args, **kwargs)
        args, kwargs = (_each(part, lambda x: WIDE if x is NARROW else x) for part in (args, kwargs))
        if WIDE in _dtypes((args, kwargs)):
            args, kwargs = (_each(part, _widened) for part in (args, kwargs))
        result = func(*args, **kwargs)
        if func in OF_NUMBERS and result.dtype == NARROW and not isinstance(args[0], Tensor):
            return func(*args, **kwargs | {"dtype": WIDE})
        return result


def is_narrow(problem: Exception) -> bool:
    """Whether an exception tells of float32 where float64 was wanted, or of the two together.

    >>> is_narrow(RuntimeError("expected scalar type Double but found Float")), is_narrow(ValueError("y is 3"))
    (True, False)
    """
    return bool(re.search(r"[Dd]ouble|float64|torch\.float32|scalar type Float|same dtype", str(problem)))


def _widened(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.dtype == NARROW else value


def _dtypes(value: Any) -> set[torch.dtype]:
    dtypes = set()
    _each(value, lambda x: dtypes.add(x.dtype) if isinstance(x, Tensor) else None)
    return dtypes


def _each(value: Any, change) -> Any:
    """Change everything that the lists, tuples and dicts of ``value`` hold."""
    if isinstance(value, dict):
        return {key: _each(part, change) for key, part in value.items()}
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(_each(part, change) for part in value)
    return change(value)
