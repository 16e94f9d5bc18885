"""Make what is stored again: ``python -m mapping_lib.study [--train] [--tune] [--intervals] [--only WORD] [part]``."""

import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch

from mapping_lib.console import command, refuse_unknown
from mapping_lib.study import measure, module_of, parts, read_table, save_table, units_of
from mapping_lib.study.theta import save_theta


def main() -> None:
    """On one thread, measure every cell of the named parts' tables (all without names), and store them."""
    parser = command("mapping_lib.study", "Make tables, and with --train shipped theta, again.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"default: all; some of {', '.join(parts())}")
    parser.add_argument("--train", action="store_true", help="train the shipped theta anew first")
    parser.add_argument("--tune", action="store_true", help="print how settings were chosen; store nothing")
    parser.add_argument("--intervals", action="store_true", help="measure nothing: judge the stored scores again")
    parser.add_argument("--only", default="", metavar="WORD", help="only theta and tables whose names have this word")
    arguments = parser.parse_args()
    refuse_unknown(parser, "part", arguments.parts, parts())
    torch.set_num_threads(1)  # small tensors: a second thread only costs
    for part in arguments.parts or parts():
        if arguments.tune:
            tune(part)
            continue
        if arguments.intervals:
            judge(part, arguments.only)
            continue
        if arguments.train:
            train(part, arguments.only)
        tabulate(part, arguments.only)


def tune(part: str) -> None:
    """Print what was tried, line by line, where the part has a `study_tuning`."""
    name = f"{module_of(part).__name__}_tuning"
    for line in import_module(name).tune() if find_spec(name) else [f"{part}: nothing to tune"]:
        print(line, flush=True)


def train(part: str, word: str = "") -> None:
    """Train and store every theta of a part whose name has the word, and what else its `study` makes."""
    module, folder = module_of(part), folder_of(part, "weights")
    for name, recipe in module.RECIPES.items():
        if word in name:
            print(f"{name} ... ", end="", flush=True)
            began = time.perf_counter()
            save_theta(folder / f"{name}.npz", recipe.train(), **recipe.settings)
            print(f"{time.perf_counter() - began:.0f} s")
    for name, make in getattr(module, "OTHERS", {}).items():
        if word in name:
            print(make())


def tabulate(part: str, word: str = "") -> None:
    """Measure and store every table of a part whose name has the word."""
    for name, table in module_of(part).TABLES.items():
        if word not in name:
            continue
        rows = []
        for setting in table.settings:
            for method in table.methods:
                began = time.perf_counter()
                rows.append(row := measure(table, method, setting))
                cell = f"{name} {setting:>20} {method:>20}: {row.mean:.4g} ± {row.half:.2g}"
                print(f"{cell} ({time.perf_counter() - began:.0f} s)", flush=True)
        print(save_table(folder_of(part, "tables"), name, table, rows))


def judge(part: str, word: str = "") -> None:
    """Write a part's stored tables again, with the same scores: their units are drawn and their intervals made anew.

    For a table whose unit has been named, or after a change of what an interval is.
    """
    for name, table in module_of(part).TABLES.items():
        if word in name:
            units = {setting: units_of(table, setting, table.n) for setting in table.settings}
            rows = [row._replace(units=units[row.setting]) for row in read_table(name).values()]
            print(save_table(folder_of(part, "tables"), name, table, rows))


def folder_of(part: str, kind: str) -> Path:
    """The folder of a part's "weights" or "tables"; it is made if it is not there."""
    folder = Path(module_of(part).__file__).with_name(kind)
    folder.mkdir(exist_ok=True)
    return folder


if __name__ == "__main__":
    main()
