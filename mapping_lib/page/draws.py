"""Random numbers that a page and the library draw alike: a function of seed, step and place, without a state."""

import numpy as np


def uniform(seed: int, step: int, n: int) -> np.ndarray:
    """The ``n`` numbers of one step, evenly spread over 0 ... 1, in float32 (`front/training.js` gives the same).

    A counter is mixed by the last steps of MurmurHash3 (Appleby, public domain): every bit of it changes half the bits.

    >>> uniform(0, 1, 3).round(4).tolist() == uniform(0, 1, 2).round(4).tolist() + [float(uniform(0, 1, 3)[2].round(4))]
    True
    """
    with np.errstate(over="ignore"):
        h = (
            np.arange(n, dtype=np.uint32)
            + np.uint32(seed) * np.uint32(0x9E3779B9)
            + np.uint32(step) * np.uint32(0x85EBCA6B)
        )
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            h = (h ^ (h >> np.uint32(shift))) * np.uint32(factor)
        h ^= h >> np.uint32(16)
    return ((h >> np.uint32(8)) / np.float32(2**24)).astype(np.float32)
