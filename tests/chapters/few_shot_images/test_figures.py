"""A lead that may be nothing is drawn hollow."""

import matplotlib.pyplot as plt

from mapping_lib.chapters.few_shot_images.figures import COLOUR_OF, plot_leads
from mapping_lib.page import plots


def test_a_difference_within_its_interval_is_hollow():
    figure, ax = plt.subplots()
    plot_leads(ax, {"joint training": [(0.2, 0.1), (-0.05, 0.1)]}, ["1-shot", "5-shot"])
    fills = [line.get_markerfacecolor() for line in ax.lines if len(line.get_xdata()) == 1]
    plt.close(figure)
    assert fills == [COLOUR_OF["joint training"], "white"]


def test_a_method_has_the_colour_that_it_has_in_the_suite():
    assert {name: COLOUR_OF[name] for name in COLOUR_OF if name in plots.COLOUR_OF}.items() <= plots.COLOUR_OF.items()
