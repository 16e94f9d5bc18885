"""Make the tables of chapter 4: ``python -m mapping_lib.study [--train] [application ...]``."""

import time

import torch

from mapping_lib.console import command, refuse_unknown
from mapping_lib.study import APPLICATIONS, _module, folder_of, measure, save_table
from mapping_lib.study.theta import save_theta


def main() -> None:
    """On one thread, measure every cell of the named applications' tables (all without names), and store them."""
    parser = command("mapping_lib.study", "Make the tables of chapter 4.")
    parser.add_argument("applications", nargs="*", metavar="application", help=f"one of {', '.join(APPLICATIONS)}")
    parser.add_argument("--train", action="store_true", help="train the shipped theta anew first")
    arguments = parser.parse_args()
    refuse_unknown(parser, "application", arguments.applications, APPLICATIONS)
    torch.set_num_threads(1)  # small tensors: a second thread only costs
    for part in arguments.applications or APPLICATIONS:
        if arguments.train:
            train(part)
        tabulate(part)


def train(part: str) -> None:
    """Train and store every theta of one application."""
    for name, recipe in _module(part).RECIPES.items():
        began = time.perf_counter()
        save_theta(folder_of(part) / "weights" / f"{name}.npz", recipe.train(), **recipe.settings)
        print(f"{name}: {time.perf_counter() - began:.0f} s")


def tabulate(part: str) -> None:
    """Measure and store every table of one application."""
    for name, table in _module(part).TABLES.items():
        rows = []
        for setting in table.settings:
            for method in table.methods:
                began = time.perf_counter()
                rows.append(row := measure(table, method, setting))
                seconds = time.perf_counter() - began
                print(
                    f"{name} {setting:>20} {method:>20}: {row.mean:.4g} ± {row.half:.2g} ({seconds:.0f} s)", flush=True
                )
        print(save_table(folder_of(part) / "tables", name, table, rows))


if __name__ == "__main__":
    main()
