"""The suite's pictures are the same whatever style, TeX or fonts a reader's matplotlib is set to."""

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mapping_lib.evaluation import summarise
from mapping_lib.page import plots
from mapping_lib.page.plots import use_style

STYLES = {
    "dark": mpl.style.library["dark_background"],
    "ggplot": mpl.style.library["ggplot"],
    "classic": mpl.style.library["classic"],
    "TeX, which is not here": {"text.usetex": True},
    "a font that is not here": {"font.family": "No Such Font", "font.size": 20},
    "drawn by hand": {"path.sketch": (1, 100, 2), "mathtext.fontset": "cm", "axes.unicode_minus": False},
}


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
