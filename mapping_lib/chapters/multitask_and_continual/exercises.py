"""The exercises of chapter 4e."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mapping_lib.page.checking import check, expect, need, number, numbers, whole


@check("for every old task: the error in the last row, minus that on the diagonal. Then the mean of these.")
def check_forgetting(forgetting: Callable[[Tensor], Tensor]) -> str:
    """Chapter 4e, exercise 1: ``forgetting(matrix)``, by how much the error on old tasks has grown."""
    small = torch.tensor([[0.1, 0.9, 0.9], [0.4, 0.2, 0.9], [0.5, 0.8, 0.3]], dtype=torch.float64)
    larger = torch.rand(6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    helped = 1 - small  # the error falls while later tasks are learned
    for size, matrix in (("for a small matrix", small), ("with six tasks", larger), ("where it falls", helped)):
        last, new = matrix[-1], matrix.diagonal()
        wanted = (last - new)[:-1].mean()
        mistakes = {
            "the last task cannot be forgotten yet: leave it out of the mean.": (last - new).mean(),
            "that is the error on old tasks at the end: take off what it was when they were new.": last[:-1].mean(),
            "the sign: forgetting is positive where the error has grown.": -wanted.abs(),
            "it can be negative, where later tasks have helped: do not take its size.": wanted.abs(),
            "it can be negative, where later tasks have helped: 0 is not the least.": wanted.clamp(min=0),
            "a row is a moment and a column a task: the end is the last row.": (matrix[:, -1] - new)[:-1].mean(),
            "that is a sum: take the mean over the old tasks.": (last - new)[:-1].sum(),
            "compared with the first row: a task is new on the diagonal, and not before.": (last - matrix[0])[
                :-1
            ].mean(),
            "that is forgotten from one task to the next alone; asked for is until the end.": (
                matrix.diagonal(-1) - new[:-1]
            ).mean(),
        }
        got = number(forgetting(matrix.clone()))
        expect(got, float(wanted), size, {sentence: float(value) for sentence, value in mistakes.items()})
    return "The last row less the diagonal, over the old tasks."


@check("each task's weight is h (1 - alpha h)^(2m): its curvature, and what m steps leave of the distance, squared.")
def check_meta_minimum(meta_minimum: Callable) -> str:
    """Chapter 4e, exercise 2: ``meta_minimum(h, c, alpha, m)``, the best start for parabolas."""
    h, c = torch.tensor([4.0, 1.0], dtype=torch.float64), torch.tensor([-1.0, 2.0], dtype=torch.float64)
    for alpha, m in ((0.15, 1), (0.1, 0), (0.2, 3)):
        left = (1 - alpha * h) ** m
        mistakes = {
            "that is the minimum of multi-task learning: no step is taken.": _centre(h, c),
            "the distance is counted once: the loss squares it.": _centre(h * left, c),
            "the curvature is missing: a steep task's loss is the larger one.": _centre(left**2, c),
            "that is one step, whatever m is.": _centre(h * (1 - alpha * h) ** 2, c),
            "that is the middle between the tasks: they have weights.": float(c.mean()),
            "weights should be divided by their sum.": float((h * left**2 * c).sum()),
        }
        got = number(meta_minimum(h.clone(), c.clone(), alpha, m))
        expect(got, _centre(h * left**2, c), f"with alpha = {alpha} and m = {m}", mistakes)
    return "A task that adapts fast has little say in where to begin."


@check("go through the examples label by label, or by the rank of each within its label.")
def check_keep(keep: Callable[[Tensor, int], Sequence[int]]) -> str:
    """Chapter 4e, exercise 3: ``keep(y, k)``, the places of k examples to remember, balanced over the labels."""
    generator = torch.Generator().manual_seed(0)
    for y, k in (
        (torch.arange(3).repeat_interleave(8), 6),
        (torch.tensor([1] * 20 + [0] * 4), 8),
        (torch.randint(4, (60,), generator=generator), 12),
        (torch.tensor([7, 2, 7, 7, 2, 5, 7, 5, 5, 2, 7, 7]), 9),  # labels need not be 0, 1, ...
    ):
        found = keep(y.clone(), k)
        mask = torch.is_tensor(found) and found.dtype == torch.bool
        need(not mask, "that is a mask: give the places where it is True, mask.nonzero().")
        flat = found.flatten() if torch.is_tensor(found) else found  # `nonzero` gives a column
        kept = _length(flat)
        need(kept in (k, None), f"asked for {k} examples, you keep {kept}.")
        places = whole(numbers(flat, (k,), f"{k} places in y"), "places in y")
        need(len(places.unique()) == k, "an example is kept twice.")
        need(bool(((places >= 0) & (places < len(y))).all()), "a place is outside of the examples.")
        labels = y.unique()
        counts = [int((y[places] == label).sum()) for label in labels]
        need(len(set(counts)) == 1, f"of the labels {labels.tolist()} you keep {counts} examples.")
    return "A memory that has seen every label alike."


def _centre(weights: Tensor, c: Tensor) -> float:
    return float((weights * c).sum() / weights.sum())


def _length(places: object) -> int | None:
    return len(places) if hasattr(places, "__len__") else None
