"""A progress bar for long cells, whose recorded output is the same on every run."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import ipywidgets as widgets
from IPython.display import display

from mapping_lib.console import printable
from mapping_lib.page.displayed import Displayed

Item = TypeVar("Item")
PAUSE = 0.1
"""Seconds between two messages to the page: each takes a loop of small tensors about a millisecond."""


class ProgressBar(Displayed, widgets.HBox):
    """A bar with words beside it; readers without a kernel see one fixed line."""

    def __init__(self, label: str, total: int) -> None:
        self.label = label
        self.bar = widgets.IntProgress(min=0, max=total, layout={"width": "420px"})
        self.words = widgets.Label(label)
        super().__init__([self.bar, self.words])

    def __repr__(self) -> str:
        return printable(f"[progress: {self.label}]")


def show_progress(items: Iterable[Item], *, total: int, label: str) -> Iterator[Item]:
    """Give the items one by one, with a bar that fills as they pass.

    >>> sum(show_progress(range(3), total=3, label="adding"))
    [progress: adding]
    3
    """
    bar = ProgressBar(label, total)
    display(bar)
    last = time.monotonic()
    for count, item in enumerate(items, start=1):
        yield item
        if count == total or time.monotonic() > last + PAUSE:
            last = time.monotonic()
            bar.bar.value = count
            bar.words.value = f"{label}: {count:,} of {total:,}"
