"""The pictures and reports of chapter 3c."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from mapping_lib.doctor import FAULTS, Diagnosis
from mapping_lib.page.plots import COLOUR_OF, COLOURS, plot_dots
from mapping_lib.page.tables import Table, table
from mapping_lib.task import Task


def report(diagnosis: Diagnosis) -> Table:
    """The doctor's report as a table: its experiments, then the faults, each with its cure."""
    rows = [
        ["–" if faults is None else "✗" if faults else "✓", check, seen] for check, seen, faults in diagnosis.findings
    ]
    rows += [["→", fault, FAULTS[fault]] for fault in diagnosis.faults] or [["→", "no fault found", ""]]
    return table(["", "experiment", "what was seen"], rows, caption=f"claims: {diagnosis.claims}")


def plot_costs(ax: Axes, errors: Mapping[str, Sequence[float]]) -> Axes:
    """What programs are worth: the mean of a few trainings, from the lowest to the highest, the best on top."""
    means = {name: sum(values) / len(values) for name, values in errors.items()}
    ordered = {name: (means[name], min(errors[name]), max(errors[name])) for name in sorted(means, key=means.get)}
    colours = dict.fromkeys(ordered, COLOURS["rival"]) | {"MAML": COLOUR_OF["MAML"]}
    return plot_dots(ax, ordered, "error on new tasks after five steps", colours=colours)


def show_digits(axes: np.ndarray, task: Task) -> None:
    """The images of one task with their labels: a row of axes for the support, one for the query."""
    for row, role, batch in zip(axes, ("support", "query"), (task.support, task.query), strict=True):
        for ax, image, label in zip(row, batch.x[0], batch.y[0], strict=True):
            ax.imshow(image.view(8, 8).numpy(), cmap="Greys")
            ax.set(xticks=[], yticks=[], title=f"label {label}")
        row[0].set_ylabel(role)
