"""Arithmetic with parameters, and parameters as one vector."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, cat

from mapping_lib.checks import check_params, check_tensor
from mapping_lib.task import Params


def copied(params: Params) -> Params:
    """A copy that shares neither memory nor history with ``params``.

    >>> import torch
    >>> theta = {"w": torch.zeros(2)}
    >>> copied(theta)["w"].add_(1.0), theta["w"]
    (tensor([1., 1.]), tensor([0., 0.]))
    """
    return {name: p.detach().clone() for name, p in check_params("params", params).items()}


def dot(a: Params, b: Params):
    """The inner product, over the names of ``a``: a tensor without dimensions.

    >>> import torch
    >>> dot({"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 4.0])})
    tensor(11.)
    """
    return sum((p * b[name]).sum() for name, p in a.items())


def norm(a: Params):
    """The length of ``a``: a tensor without dimensions.

    >>> import torch
    >>> norm({"w": torch.tensor([3.0]), "b": torch.tensor(4.0)})
    tensor(5.)
    """
    return dot(a, a) ** 0.5


def difference(a: Params, b: Params) -> Params:
    """a - b, on the names of ``a``."""
    return {name: p - b[name] for name, p in a.items()}


def prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values, under names that begin with ``prefix``.

    >>> prefixed("rule.", {"0.weight": 1, "0.bias": 2})
    {'rule.0.weight': 1, 'rule.0.bias': 2}
    """
    return {prefix + name: value for name, value in values.items()}


def flat(params: Params) -> Tensor:
    """All tensors one after the other, as one vector.

    >>> import torch
    >>> flat({"w": torch.ones(2, 2), "b": torch.zeros(1)})
    tensor([1., 1., 1., 1., 0.])
    """
    return cat([p.flatten() for p in check_params("params", params).values()])


def as_params(vector: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> Params:
    """The inverse of `flat`: cut a vector into tensors of these names and shapes.

    Raises ValueError where the vector has another length.

    >>> import torch
    >>> as_params(torch.arange(5.0), {"w": (2, 2), "b": (1,)})["w"]
    tensor([[0., 1.],
            [2., 3.]])
    """
    sizes = [math.prod(shape) for shape in shapes.values()]
    if len(check_tensor("vector", vector)) != sum(sizes):
        raise ValueError(f"vector has {len(vector)} numbers; allowed: {sum(sizes)}, as many as the parameters have")
    return {n: part.view(s) for (n, s), part in zip(shapes.items(), vector.split(sizes), strict=True)}
