"""How maps of errors are shaded: blue, the deeper the lower the error, and a colour for each way to diverge."""

import numpy as np

LOWEST, HIGHEST = 0.3, 5.0
"""Errors of the darkest and the palest blue."""

BAD = {"adaptation diverges": "#E9B48C", "meta-training diverged": "#9A9A9A"}
"""Colours of what has no error that could be compared."""


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
