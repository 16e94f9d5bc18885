"""What every explorer must answer in a page, asked once of each: its frames are the library's, all that moves moves."""

import random
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from front import any_state, everything_moves, frames, opened, show, something_moves
from torch.utils._pytree import tree_map

from mapping_lib.page.explorer import Explorer, Frame, explorers, program_path, serialised
from mapping_lib.page.program import Program

EXPLORERS = {explorer.name: explorer for explorer in explorers()}
N = 50
"""Random states in CI; `tests/benchmarks/states.py` asks 1,000."""

TOLERANCE = 1e-5
"""Largest difference, as a share of the largest value, of one step of a program."""


@pytest.fixture(params=EXPLORERS)
def explorer(request) -> Explorer:
    return EXPLORERS[request.param]


@cache
def computed(name: str) -> list[tuple[Any, Frame]]:
    """Random states of an explorer, from its start on, with what the library makes of them."""
    explorer, rng = EXPLORERS[name], random.Random(0)
    n = (
        N if explorer.program else N // 2
    )  # what the kernel computes takes longer, and has no second program to differ from
    states = [explorer.State()] + [any_state(explorer.State, rng) for _ in range(n - 1)]
    return [(state, explorer.compute(state) | explorer.compute_later(state)) for state in states]


def differ(there: np.ndarray, here: np.ndarray) -> float:
    """The largest difference as a share of the largest value; what diverged must be said to by both."""
    assert there.shape == here.shape
    good = np.isfinite(here) & (np.abs(here) < 1e6)
    other = np.isfinite(there) & (np.abs(there) < 1e6)
    if not good.any():
        return 0.0 if not other.any() else np.inf
    both = good & other
    return float(np.abs(there[both] - here[both]).max() / max(1e-3, np.abs(here[both]).max())) if both.any() else np.inf


def test_words_are_filled_in_every_state(explorer: Explorer):
    for state, frame in computed(explorer.name):
        words = explorer.words(state, frame)
        assert words
        assert not set("{}") & set(words)


def test_the_shipped_programs_are_what_the_library_gives_now(explorer: Explorer):
    if explorer.kernel:
        pytest.skip("computed in the kernel")
    assert program_path(explorer).read_text(encoding="utf-8") == serialised(explorer.traced())


def test_the_page_computes_what_the_library_computes(explorer: Explorer, browser):
    if not explorer.program or explorer.runs:
        pytest.skip("computed in the kernel, or held to the library by its own test")
    with opened(browser) as page:
        answers = frames(page, explorer, [state for state, _ in computed(explorer.name)])
    for (state, here), there in zip(computed(explorer.name), answers, strict=True):
        assert set(there) - {""} == set(here)
        one_step = TOLERANCE * max(1, getattr(state, "steps", 1))
        far = {name: d for name, value in here.items() if (d := differ(there[name], value)) > one_step}
        if not far:
            assert there[""] == explorer.words(state, here)
        for seed in range(10):  # where learning is chaotic, the library itself moves as far when its numbers are shaken
            if not far:
                break
            shaken = shake(explorer, seed)
            other = shaken.compute(state) | shaken.compute_later(state)
            far = {name: d for name, d in far.items() if d >= 10 * differ(other[name], here[name])}
        assert not far, state


def shake(explorer: Explorer, seed: int) -> Explorer:
    """The same explorer with constants changed in the sixth digit."""
    generator = torch.Generator().manual_seed(seed)

    def changed(value: Any) -> Any:
        is_tensor = isinstance(value, torch.Tensor)
        return value * (1 + 1e-6 * torch.randn(value.shape, generator=generator)) if is_tensor else value

    def shaken(program: Program | None) -> Program | None:
        if not program:
            return None
        return program._replace(constants=tree_map(changed, dict(program.constants)))

    return replace(explorer, program=shaken(explorer.program), later=shaken(explorer.later))


def test_everything_that_moves_changes_the_picture(explorer: Explorer, browser):
    """Of what a kernel computes one hand shows it: the others move in JupyterLab, with a kernel (test_browser)."""
    with opened(browser) as page:
        show(page, explorer)
        (something_moves if explorer.kernel else everything_moves)(page, explorer.name)
