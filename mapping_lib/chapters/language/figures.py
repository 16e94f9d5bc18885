"""The pictures of chapter 4c."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from mapping_lib.page.plots import COLOUR_OF as ALL

COLOUR_OF = {
    "nearest centroid": "#CC79A7",
    "naive Bayes": "#56B4E9",
    "naive Bayes, learned prior": "#8C6510",
    "idf weights": "#E0457B",
    "learned weights": "#009E73",
    "prototypical network": "#000000",
    "embedding and raw": "#661100",
    "MAML": ALL["MAML"],
    "joint training": ALL["joint training"],
    "from scratch": ALL["from scratch"],
}
"""One colour a method of this chapter; those that chapter 4a has, too, keep their colour."""

MARKS = {
    "naive Bayes": "s",
    "naive Bayes, learned prior": "v",
    "idf weights": "^",
    "learned weights": "D",
    "prototypical network": "X",
    "embedding and raw": "P",
}
"""Ten colours are too many for a colour-blind reader: these methods have a mark of their own, all others a dot."""


def plot_accuracy(
    ax: Axes, shots: Sequence[int], accuracies: Mapping[str, Sequence[tuple[float, float, float]]]
) -> Axes:
    """Accuracy by number of examples, one line a method; a value is ``(mean, low, high)``, the interval a band."""
    for method, values in accuracies.items():
        mean, low, high = np.array(values).T
        colour = COLOUR_OF.get(method)
        ax.plot(shots, mean, "-", marker=MARKS.get(method, "o"), ms=6, color=colour, label=method)
        ax.fill_between(shots, low, high, color=colour, alpha=0.15, lw=0)
    ax.set_xscale("log")
    ax.set_xticks(shots, shots)
    ax.minorticks_off()
    ax.set(xlabel="names of each language K", ylabel="accuracy")
    return ax


def plot_gains(ax: Axes, shots: Sequence[int], gains: Mapping[str, Sequence[tuple[float, float, float]]]) -> Axes:
    """Differences from one baseline, side by side for each number of examples, with intervals and a line at zero."""
    for i, (method, values) in enumerate(gains.items()):
        mean, low, high = np.array(values).T
        at = np.arange(len(shots)) + 0.7 / len(gains) * (i - (len(gains) - 1) / 2)
        style = {"color": COLOUR_OF.get(method), "ms": 7, "lw": 2}
        ax.errorbar(at, mean, [mean - low, high - mean], fmt=MARKS.get(method, "o"), label=method, **style)
    ax.axhline(0, color="#333333", lw=1)
    ax.set_xticks(range(len(shots)), shots)
    ax.set(xlabel="names of each language K", ylabel="accuracy gained")
    return ax


def plot_ngrams(ax: Axes, ngrams: Sequence[str], values: Sequence[float], xlabel: str) -> Axes:
    """One bar an n-gram, the first on top; a blank is shown as an underscore."""
    ax.barh(range(len(ngrams)), values, color=["#0072B2" if value > 0 else "#D55E00" for value in values])
    ax.set_yticks(range(len(ngrams)), [ngram.replace(" ", "_") for ngram in ngrams], family="DejaVu Sans Mono")
    ax.set(ylim=(len(ngrams) - 0.5, -0.5), xlabel=xlabel)
    ax.grid(False)
    return ax


def plot_mix(ax: Axes, shares: Sequence[float], accuracies: Mapping[int, Sequence[float]]) -> Axes:
    """Accuracy by the share of the embedding in the distance, one line a number of examples; the best is ringed."""
    for k_shot, line in accuracies.items():
        (drawn,) = ax.plot(shares, line, "o-", ms=4, label=f"{k_shot}-shot")
        best = int(np.argmax(line))
        ax.plot(shares[best], line[best], "o", ms=13, mfc="none", mec=drawn.get_color(), mew=2)
    ax.set(xlabel="share of the embedding in the distance", ylabel="accuracy")
    return ax
