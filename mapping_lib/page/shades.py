"""Maps of α and β: which they are, their errors in blue, the deeper the lower, a colour for each way to diverge."""

import numpy as np
import torch
from torch import Tensor

SIDE = tuple(10.0 ** (-4 + i / 3) for i in range(13))
"""The values of alpha and of beta: 0.0001 to 1, three to a decade."""

EDGES = (SIDE[0] * 10 ** (-1 / 6), SIDE[-1] * 10 ** (1 / 6))
"""The limits of the axes of a map."""

MAP = {"ylabel": "α", "log": "xy", "square": True, "press": ("beta", "alpha")}
"""How the axes of a map look: a press on it sets both step sizes."""

LOWEST, HIGHEST = 0.3, 5.0
"""Errors of the darkest and the palest blue."""

BAD = {"adaptation diverges": "#E9B48C", "meta-training diverged": "#9A9A9A"}
"""Colours of what has no error that could be compared."""


def all_settings(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """alpha and beta of every cell of a map, ``(cell,)`` each, row after row, a row for each alpha.

    >>> alpha, beta = all_settings()
    >>> len(alpha), float(alpha[81]), float(beta[81])
    (169, 0.009999999776482582, 0.0010000000474974513)
    """
    side = torch.tensor(SIDE, dtype=dtype)
    return side.repeat_interleave(len(side)), side.repeat(len(side))


def depth(error: float | np.ndarray) -> float | np.ndarray:
    """How deep an error's blue is, on a log scale: 1 at 0.3 and below, 0 at 5 and above.

    >>> depth(np.array([0.1, np.inf])).tolist()
    [1.0, 0.0]
    """
    return np.log(HIGHEST / np.clip(error, LOWEST, HIGHEST)) / np.log(HIGHEST / LOWEST)


def longest_run(mask: np.ndarray) -> tuple[int, float, int]:
    """The row of the longest run of True in a row of ``mask (row, column)``, the run's middle and its length.

    >>> longest_run(np.array([[True, False, False], [False, True, True]]))
    (1, 1.5, 2)
    """
    runs = [(0, 0, 0.0)]
    for row, values in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], values, [0]])))
        runs += [(int(end - begin), row, (begin + end - 1) / 2) for begin, end in edges.reshape(-1, 2)]
    length, row, middle = max(runs)
    return row, float(middle), length
