"""The suite's pictures are the same whatever style, TeX or fonts a reader's matplotlib is set to."""

import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest
import torch
from house import EXPLORERS, part_of, short
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mapping_lib.evaluation import summarise
from mapping_lib.page import plots
from mapping_lib.page.canvas import Canvas, _stamp
from mapping_lib.page.plots import suite_style, use_style

STYLES = {
    "dark": mpl.style.library["dark_background"],
    "ggplot": mpl.style.library["ggplot"],
    "classic": mpl.style.library["classic"],
    "TeX, which is not here": {"text.usetex": True},
    "a font that is not here": {"font.family": "No Such Font", "font.size": 20},
    "drawn by hand": {"path.sketch": (1, 100, 2), "mathtext.fontset": "cm", "axes.unicode_minus": False},
}
EVERYTHING = {key: value for style in STYLES.values() for key, value in style.items()}
"""All of them at once: a picture that does not change in it hangs on none of these settings."""


def parts(name: str) -> tuple[Callable[[], Canvas], Any]:
    """The canvas of an explorer, and the frame that it begins with."""

    frame, canvas = part_of(name, "compute"), part_of(name, "canvas")
    made = [c for c in vars(canvas).values() if inspect.isclass(c) and c.__module__ == canvas.__name__]
    (kind,) = [c for c in made if issubclass(c, Canvas)]
    return kind, frame.compute(frame.State())


def drawn(
    kind: Callable[[], Canvas], frame: Any, style: Mapping[str, Any], *, built_in: Mapping[str, Any]
) -> np.ndarray:
    """The pixels of a frame, drawn while one style is set on a canvas built while another was."""
    _stamp.cache_clear()
    with mpl.rc_context(built_in):
        canvas = kind()
    with mpl.rc_context(style):
        canvas.draw(frame)
    return canvas.pixels().copy()


@pytest.mark.parametrize("name", EXPLORERS, ids=short)
def test_an_explorer_is_drawn_in_the_suite_s_style(name: str):
    kind, frame = parts(name)
    expected = drawn(kind, frame, {}, built_in={})
    assert expected.std() > 5
    assert np.array_equal(drawn(kind, frame, EVERYTHING, built_in={}), expected)
    assert np.array_equal(drawn(kind, frame, EVERYTHING, built_in=EVERYTHING), expected)
    _stamp.cache_clear()


def figure() -> np.ndarray:
    """A static figure as a chapter draws it: axes, a legend, numbers on a log axis, words."""
    errors = summarise(torch.tensor([[4.0, 3.0, 2.0], [7.0, 4.5, 2.6], [4.0, 1.5, 1.4]]))
    whole = Figure(figsize=(7, 3))
    left, right = whole.subplots(1, 2)
    plots.plot_error_by_step(left, errors, "MAML").legend()
    left.set_title("θ − α∇L, $\\alpha^2$")
    plots.plot_means(right, {"MAML": errors, "joint training": errors}, step=1)
    agg = FigureCanvasAgg(whole)
    agg.draw()
    return np.asarray(agg.buffer_rgba()).copy()


@pytest.mark.parametrize("style", STYLES)
def test_use_style_leaves_nothing_of_a_style_before_it(style: str):
    with mpl.rc_context():
        use_style()
        expected = figure()
    with mpl.rc_context(STYLES[style]):
        use_style()
        assert np.array_equal(figure(), expected)
    with mpl.rc_context(STYLES[style]), suite_style():
        assert np.array_equal(figure(), expected)


@pytest.mark.parametrize("style", ["dark", "ggplot", "a font that is not here"])
@pytest.mark.filterwarnings("ignore:.*Font family")
def test_the_styles_tried_here_do_change_a_figure(style: str):
    with mpl.rc_context():
        use_style()
        expected = figure()
        with mpl.rc_context(STYLES[style]):
            assert not np.array_equal(figure(), expected)


def test_the_backend_is_left_alone():
    assert not [name for name in plots.WHOLE_STYLE if name.startswith(("backend", "interactive", "webagg"))]
    assert mpl.rcParams.keys() - plots.WHOLE_STYLE.keys() < {name for name in mpl.rcParams if "font" not in name}


def test_a_reader_s_style_is_there_again_afterwards_even_after_an_error():
    with mpl.rc_context(STYLES["dark"]):
        before = dict(mpl.rcParams)
        with suite_style():
            assert mpl.rcParams["axes.facecolor"] == "white"
        with pytest.raises(ZeroDivisionError), suite_style():
            raise ZeroDivisionError
        assert dict(mpl.rcParams) == before


def test_where_the_suite_s_style_is_set_nothing_is_written(monkeypatch: pytest.MonkeyPatch):
    with mpl.rc_context():
        use_style()
        written: list[str] = []
        monkeypatch.setattr(mpl.RcParams, "__setitem__", lambda self, name, value: written.append(name))
        with suite_style():
            pass
        monkeypatch.undo()
        assert written == []


def test_threads_that_draw_leave_the_reader_s_style():
    kind, frame = parts("mapping_lib.chapters.reinforcement_learning.explorer")
    canvases = [kind() for _ in range(4)]
    with mpl.rc_context(STYLES["dark"]):
        before = dict(mpl.rcParams)
        threads = [threading.Thread(target=lambda c=c: [c.draw(frame) for _ in range(5)]) for c in canvases]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert dict(mpl.rcParams) == before
    assert all(np.array_equal(c.pixels(), canvases[0].pixels()) for c in canvases)
