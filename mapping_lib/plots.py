"""Floor 5: pictures. ``plot_*(ax, data) -> ax`` draws what it is given and never computes.

One colour for one role everywhere, from the palette of Okabe and Ito (2008), which colour-blind
readers can tell apart.
"""

import matplotlib as mpl

COLOURS = {
    "truth": "#333333",
    "support": "#E69F00",
    "query": "#009E73",
    "before": "#999999",
    "after": "#0072B2",
    "rival": "#D55E00",
}

CYCLE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333"]

STYLE = {
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.labelsize": 12,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "lines.linewidth": 2.0,
    "axes.prop_cycle": mpl.cycler(color=CYCLE),
}


def use_style() -> None:
    """Make every later figure look like the suite's: large type, light grid, colour-blind-safe colours."""
    mpl.rcParams.update(STYLE)
