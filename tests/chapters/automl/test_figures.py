"""Pictures of chapter 4f: an interval over seeds that leaves the picture ends in an arrow."""

import matplotlib.pyplot as plt

from mapping_lib.chapters.automl.figures import plot_searches


def test_an_interval_that_goes_on_has_an_arrow_on_that_side():
    halves = [0.01, 0.01, 0.01]
    means = {"default": [0.30, 0.31, 0.32], "TPE": [0.2, 0.3, 0.9], "random search": [0.1, 0.1, 3.0]}
    _, ax = plt.subplots()
    plot_searches(ax, means, dict.fromkeys(means, halves), ticks=(0.2, 0.5, 1, 2))
    arrows = {(line.get_marker(), *line.get_ydata()) for line in ax.lines if line.get_marker() in ("<", ">")}
    plt.close("all")
    assert arrows == {("<", 1), ("<", 2), (">", 2)}
