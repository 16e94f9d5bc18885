"""Floor 0: parameters as one vector, without flattening them."""

from mapping_lib.task import Params


def copied(params: Params) -> Params:
    """A copy that shares neither memory nor history with ``params``.

    >>> import torch
    >>> theta = {"w": torch.zeros(2)}
    >>> copied(theta)["w"].add_(1.0), theta["w"]
    (tensor([1., 1.]), tensor([0., 0.]))
    """
    return {name: p.detach().clone() for name, p in params.items()}


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
