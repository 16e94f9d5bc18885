"""How much a backward pass keeps: the numbers that autograd's graph holds on to."""

from collections.abc import Iterable, Iterator

from torch import Tensor


def numbers_kept(results: Iterable[Tensor]) -> int:
    """How many numbers are saved for the backward pass of ``results``, each memory counted once.

    Read from the nodes of autograd's graph (their ``_saved_...`` attributes, and an autograd.Function's saved tensors).
    Tensors without a graph keep nothing.

    >>> import torch
    >>> x = torch.ones(5, requires_grad=True)
    >>> numbers_kept([x.sin().sum()]), numbers_kept([x.detach()])
    (5, 0)
    """
    kept = {saved.data_ptr(): saved.untyped_storage().nbytes() // saved.itemsize for saved in _saved(results)}
    return sum(kept.values())


def _saved(results: Iterable[Tensor]) -> Iterator[Tensor]:
    seen, waiting = set(), [result.grad_fn for result in results if result.grad_fn is not None]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        waiting += [after for after, _ in node.next_functions if after is not None]
        values = [getattr(node, name) for name in dir(node) if name.startswith("_saved_") or name == "saved_tensors"]
        for value in values:
            several = value if isinstance(value, list | tuple) else [value]
            yield from (saved for saved in several if isinstance(saved, Tensor))
