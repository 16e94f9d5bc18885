"""What the explorer of navigation draws: four small maps of trajectories, and the return under each."""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mapping_lib.page.canvas import Canvas, count, finite
from mapping_lib.page.plots import COLOURS
from mapping_lib.worlds.goals import Navigation

from .explorer_compute import Frame
from .figures import PAPER

SIDE, GAP, LEFT = 240, 12, 58
EDGE = 1.0
LOWEST = -60.0
ARRIVED, OTHERS = COLOURS["after"], COLOURS["rival"]


class NavigationCanvas(Canvas):
    """Above: where the trajectories went after 0, 1, 2 and 3 updates. Below: their mean return, and the paper's."""

    size = (10.6, 4.9)

    def build(self, figure: Figure) -> None:
        """Four maps, four bars."""
        self._maps, self._does = [], []
        for i in range(len(PAPER)):
            left = LEFT + i * (SIDE + GAP)
            self._build_map(self.axes(left, 186, SIDE, SIDE), first=i == 0)
            title = f"after {count(i, 'update')}" if i else "before any update"
            self.label(size=13, text=title, align="center", at=(left + SIDE / 2, 474))
            self._does.append(self.label(size=12, bold=True, align="center", at=(left + SIDE / 2, 444)))
        self._build_bars(self.axes(LEFT, 20, 4 * SIDE + 3 * GAP, 128))

    def _build_map(self, ax, *, first: bool) -> None:
        ax.set(xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), xticks=[-0.5, 0, 0.5], yticks=[-0.5, 0, 0.5])
        ax.tick_params(labelsize=10, pad=2, labelleft=first, length=2)
        ax.grid(False)
        half = Navigation().half
        ax.add_patch(Rectangle((-half, -half), 2 * half, 2 * half, fc="#F4F4F4", ec="#CCCCCC", zorder=0))
        paths = {}
        for colour in (OTHERS, ARRIVED):
            lines = LineCollection([], colors=colour, linewidths=1.0, alpha=0.55, zorder=2)
            paths[colour] = self.collect(ax, lines), self.line(ax, "o", ms=4.5, color=colour, zorder=3)
        self.keep(ax.plot([0], [0], "s", ms=6, color="black", zorder=4)[0])
        goal = self.line(ax, "X", ms=13, color=COLOURS["query"], mec="white", mew=1.2, zorder=5)
        self._maps.append((paths, goal))

    def _build_bars(self, ax) -> None:
        n = len(PAPER)
        # a bar stands under the middle of its map
        ax.set(xlim=(-0.5, n - 0.5), ylim=(LOWEST, 0), xticks=[], yticks=[-60, -40, -20, 0])
        ax.spines["bottom"].set_visible(False)
        self._bars = [self.keep(bar) for bar in ax.bar(range(n), [0] * n, width=0.36, color=COLOURS["after"])]
        for i, paper in enumerate(PAPER):
            ax.plot([i - 0.28, i + 0.28], [paper, paper], color=COLOURS["truth"], lw=1.6, ls=(0, (3, 2)))
        self.label(size=12, text="return", at=(6, 162))
        self.label(
            size=11, colour="#555555", text="dashed: MAML in the paper, a mean over goals", at=(LEFT + SIDE + 70, 14)
        )
        middles = [LEFT + i * (SIDE + GAP) + SIDE / 2 for i in range(n)]
        self._values = [self.label(size=12, bold=True, at=(x + 76, 116)) for x in middles]

    def update(self, frame: Frame) -> None:
        """Move everything to one frame."""
        for i, (paths, goal) in enumerate(self._maps):
            goal.set_data([frame.state.x], [frame.state.y])
            positions = finite(frame.positions[i], 99)
            for colour, chosen in ((ARRIVED, frame.arrived[i]), (OTHERS, ~frame.arrived[i])):
                lines, ends = paths[colour]
                lines.set_segments(list(positions[chosen]))
                ends.set_data(*positions[chosen][:, -1].T)
            self._does[i].text = frame.does[i]
            self._does[i].colour = ARRIVED if frame.arrived[i].mean() >= 0.5 else OTHERS
            value = frame.returns[i] if np.isfinite(frame.returns[i]) else LOWEST
            self._bars[i].set_height(max(value, LOWEST))
            self._bars[i].set_color(self._does[i].colour)
            text = f"{frame.returns[i]:.1f}".replace("-", "−") if np.isfinite(frame.returns[i]) else "no number"
            self._values[i].text = text
