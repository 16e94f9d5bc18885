"""The pictures of chapter 4c."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from mapping_lib.page.plots import COLOUR_OF as ALL
from mapping_lib.page.plots import plot_dots
from mapping_lib.study.gains import Gain

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


def plot_gains(axes: Sequence[Axes], gains: Mapping[str, Sequence[Gain]], titles: Sequence[str]) -> None:
    """What each method gains over one baseline, one row a method, one picture a number of names, on one scale.

    The numbers stand in a column at the right, where no interval is.
    """
    every = [gain for row in gains.values() for gain in row]
    low, high = min(gain.low for gain in every), max(gain.high for gain in every)
    for i, (ax, title) in enumerate(zip(axes, titles, strict=True)):
        found = {method: row[i] for method, row in gains.items()}
        plot_dots(ax, found, "accuracy gained", digits=3, colours=COLOUR_OF)
        ax.axvline(0, color="#333333", lw=1, zorder=1.6)
        for number in ax.texts:
            number.set_x(high + 0.05 * (high - low))
        ax.set(title=title, xlim=(low - 0.05 * (high - low), high + 0.45 * (high - low)))


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
