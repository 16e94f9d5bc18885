"""Many random states of every explorer, page against library: ``python tests/benchmarks/states.py [NAME ...]``.

The checks are those of ``tests/page/test_explorers_in_page.py``, which CI asks of fifty states. Then 10,000 states
of adaptation in the page alone, by the clock (goal: 120 s).
"""

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "page"))
import test_explorers_in_page as checks
from front import any_state, chromium, frames, opened


def compare(names: list[str], n: int) -> None:
    """Hold the page to the library, explorer by explorer."""
    checks.N = n
    with chromium() as browser:
        for name in names:
            begun = time.perf_counter()
            explorer = checks.EXPLORERS[name]
            if explorer.program:
                checks.test_the_page_computes_what_the_library_computes(explorer, browser)
            checks.test_words_are_filled_in_every_state(explorer)
            print(f"{name}: {n:,} states agree ({time.perf_counter() - begun:.0f} s)", flush=True)


def race(n: int, name: str = "adaptation") -> None:
    """How long the page takes for many states."""
    explorer, rng = checks.EXPLORERS[name], random.Random(1)
    states = [any_state(explorer.State, rng) for _ in range(n)]
    with chromium() as browser, opened(browser) as page:
        begun = time.perf_counter()
        frames(page, explorer, states, words_only=True)
    print(f"{name}: {n:,} states in the page in {time.perf_counter() - begun:.0f} s (goal for 10,000: 120)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", choices=[[], *checks.EXPLORERS], default=[])
    parser.add_argument("-n", type=int, default=1000)
    options = parser.parse_args()
    compare(options.names or list(checks.EXPLORERS), options.n)
    race(10 * options.n)
