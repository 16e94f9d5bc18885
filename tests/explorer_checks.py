"""What every explorer must stand, whichever file its own tests are in."""

import gc
import random
import resource
from collections.abc import Callable
from typing import Any

from mapping_lib.explorers.canvas import Canvas


def states_draw(compute: Callable, canvas: Canvas, draw_state: Callable[[random.Random], Any], n: int = 1000) -> None:
    """Compute and draw ``n`` random states: none fails, all have words, the memory does not grow."""
    rng = random.Random(0)
    megabytes = []
    for i in range(n):
        frame = compute(draw_state(rng))
        canvas.draw(frame)
        assert frame.words
        if i in (3 * n // 10, n - 1):
            gc.collect()
            megabytes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    assert megabytes[1] - megabytes[0] < 30
    assert canvas.pixels().std() > 5
