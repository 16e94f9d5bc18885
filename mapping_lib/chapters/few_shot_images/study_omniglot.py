"""The table of chapter 4a on a reader's own Omniglot: the same methods, networks and settings, other characters.

    python -m mapping_lib.chapters.few_shot_images.study_omniglot FOLDER            # theta as shipped
    python -m mapping_lib.chapters.few_shot_images.study_omniglot FOLDER --train    # 10 minutes more

Shipped theta were trained on printed letters, with --train they are trained on images_background. FOLDER is what
`family_omniglot` describes; tasks are drawn from its images_evaluation.
"""

from collections.abc import Iterator
from pathlib import Path

import torch

from mapping_lib.console import command
from mapping_lib.study import Row, Table, measure
from mapping_lib.task import Params

from .family_omniglot import Omniglot
from .methods import Source, glyphs_theta
from .study import SETTINGS, table_of
from .study_training import trainings

PART = {"train": "images_background", "held out": "images_evaluation"}


def source(folder: str | Path) -> Source:
    """Omniglot as a source of tasks; nothing is bent, as every example is by another hand already."""
    every = Omniglot(folder, PART["train"], n_way=1)
    n_classes = len(every.names)
    return Source(
        lambda part, n_way, jitter: Omniglot(folder, PART[part], n_way=n_way),
        lambda: Omniglot(folder, PART["train"], n_way=n_classes, relabel=False),
        n_classes,
    )


def omniglot_table(folder: str | Path, *, trained: dict[str, Params] | None = None, n: int = 600) -> Table:
    """The table of chapter 4a on ``folder``, for `study.measure`; only settings with jitter 1, here without.

    ``trained`` are theta by their names in `study_training.trainings`; None takes the shipped ones. Raises what
    `family_omniglot.Omniglot` raises.

    >>> omniglot_table("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: folder is 'nowhere', which is no folder; allowed: one that holds images_background
    """
    settings = {
        name: {"n_way": s["n_way"], "k_shot": s["k_shot"], "jitter": 0.0}
        for name, s in SETTINGS.items()
        if s["jitter"] == 1.0
    }
    read = glyphs_theta if trained is None else trained.__getitem__
    return table_of(source(folder), settings, read, n=n)


def trained_on(folder: str | Path) -> Iterator[tuple[str, Params]]:
    """Train every theta that the table reads on images_background; yield each with its name."""
    for name, training in trainings(source(folder)).items():
        yield name, {n: p.float() for n, p in training.theta().items()}


def rows_of(table: Table) -> Iterator[Row]:
    """Measure cell after cell."""
    for setting in table.settings:
        for method in table.methods:
            yield measure(table, method, setting)


def main() -> None:
    """Print the table, a line a cell. On one thread of torch's."""
    parser = command(
        "mapping_lib.chapters.few_shot_images.study_omniglot", "The table of chapter 4a on a reader's own Omniglot."
    )
    parser.add_argument("folder", help="holds images_background and images_evaluation, as folders or as zip files")
    parser.add_argument("--train", action="store_true", help="train on images_background first")
    parser.add_argument("--episodes", type=int, default=600, metavar="N", help="episodes a cell (600)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trained = None
    if arguments.train:
        trained = {}
        for name, theta in trained_on(arguments.folder):
            trained[name] = theta
            print(f"trained: {name}", flush=True)
    for row in rows_of(omniglot_table(arguments.folder, trained=trained, n=arguments.episodes)):
        print(f"{row.setting:>14} {row.method:>16}: {row.mean:.3f} ± {row.half:.3f}", flush=True)


if __name__ == "__main__":
    main()
