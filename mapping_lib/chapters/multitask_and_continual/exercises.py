"""The exercises of chapter 4e."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mapping_lib.page.checking import answered, check, need


@check("for every old task: the error in the last row, minus that on the diagonal. Then the mean of these.")
def check_forgetting(forgetting: Callable[[Tensor], Tensor]) -> str:
    """Chapter 4e, exercise 1: ``forgetting(matrix)``, by how much the error on old tasks has grown."""
    matrix = torch.tensor([[0.1, 0.9, 0.9], [0.4, 0.2, 0.9], [0.5, 0.8, 0.3]], dtype=torch.float64)
    got = float(answered(forgetting(matrix)))
    need(abs(got - (0.4 + 0.6 + 0.0) / 3) > 1e-6, "the last task cannot be forgotten yet: leave it out of the mean.")
    need(abs(got - 0.65) > 1e-6, "that is the error on old tasks at the end: take off what it was when they were new.")
    need(abs(got + 0.5) > 1e-6, "the sign: forgetting is positive where the error has grown.")
    need(abs(got - 0.5) < 1e-6, f"for a small matrix you give {got:.3f}, not 0.500.")
    larger = torch.rand(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = sum(float(larger[5, j] - larger[j, j]) for j in range(5)) / 5
    need(abs(float(forgetting(larger)) - wanted) < 1e-6, "it is right for three tasks, and not for six.")
    return "The last row less the diagonal, over the old tasks."


@check("each task's weight is h (1 - alpha h)^(2m): its curvature, and what m steps leave of the distance, squared.")
def check_meta_minimum(meta_minimum: Callable) -> str:
    """Chapter 4e, exercise 2: ``meta_minimum(h, c, alpha, m)``, the best start for parabolas."""
    h, c = torch.tensor([4.0, 1.0], dtype=torch.float64), torch.tensor([-1.0, 2.0], dtype=torch.float64)
    for alpha, m in ((0.1, 0), (0.1, 1), (0.2, 3)):
        got = float(answered(meta_minimum(h, c, alpha, m)))
        wanted, joint, once = (_centre(h * (1 - alpha * h) ** power, c) for power in (2 * m, 0, m))
        settings = f"with alpha = {alpha} and m = {m}"
        need(m == 0 or abs(got - joint) > 1e-9, f"{settings} you give the minimum of multi-task learning.")
        need(m == 0 or abs(got - once) > 1e-9, f"{settings} the distance is counted once: the loss squares it.")
        need(abs(got - wanted) < 1e-6, f"{settings} you give {got:.4f}, not {wanted:.4f}.")
    return "A task that adapts fast has little say in where to begin."


@check("go through the examples label by label, or by the rank of each within its label.")
def check_keep(keep: Callable[[Tensor, int], Sequence[int]]) -> str:
    """Chapter 4e, exercise 3: ``keep(y, k)``, the places of k examples to remember, balanced over the labels."""
    generator = torch.Generator().manual_seed(0)
    for y, k in (
        (torch.arange(3).repeat_interleave(8), 6),
        (torch.tensor([1] * 20 + [0] * 4), 8),
        (torch.randint(4, (60,), generator=generator), 12),
    ):
        places = torch.as_tensor(answered(keep(y, k))).long().flatten()
        need(len(places) == k, f"asked for {k} examples, you keep {len(places)}.")
        need(len(places.unique()) == k, "an example is kept twice.")
        need(bool(((places >= 0) & (places < len(y))).all()), "a place is outside of the examples.")
        counts = y[places].bincount(minlength=int(y.max()) + 1)
        need(bool((counts == k // len(counts)).all()), f"of the labels 0, 1, ... you keep {counts.tolist()}.")
    return "A memory that has seen every label alike."


def _centre(weights: Tensor, c: Tensor) -> float:
    return float((weights * c).sum() / weights.sum())
