"""Imports, reads and makes all that a library has, and prints as JSON what it met: for a process of its own.

It says which files the process opened, so that nothing is called read that was not.
"""

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

OPENED: set[str] = set()
EXTRAS = {"sphinx", "myst_nb", "furo", "latex2mathml", "ziamath", "brotli"}
"""What a module of the library may want and not find: what builds the site."""

LOADERS = [  # of the data that is no theta and no table
    ("worlds.digits", "load", ()),
    ("worlds.letters", "alphabets", ()),
    ("worlds.curves", "load", ("chicks",)),
    ("worlds.curves", "load", ("countries",)),
    ("chapters.automl.study_grid", "read_grid", (1,)),
    ("chapters.clinic.study", "history", ()),
    ("chapters.few_shot_images.study_seeds", "read_seeds", ()),
    ("chapters.language.family", "load", ()),
    ("chapters.maml_code.study_map", "read_errors", ()),
    ("chapters.personalisation.family_choices", "load", ()),
    ("chapters.what_came_after.study_typical", "read_typical", ()),
]


def imported(library: Path) -> Iterator[str]:
    """Import every module; yield those that want what is not installed and is allowed not to be."""
    for path in sorted(library.rglob("*.py")):
        name = ".".join(path.relative_to(library.parent).with_suffix("").parts).removesuffix(".__init__")
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in EXTRAS:
                raise
            yield name


def read() -> None:
    """Read every shipped theta with its settings, every table, and the other data."""
    from mapping_lib import study
    from mapping_lib.study.theta import load_settings

    for name in study.stored("weights"):
        study.shipped_theta(name), load_settings(study.theta_path(name))
    for name in study.stored("tables"):
        study.read_table(name), study.read_about(name)
    for module, load, arguments in LOADERS:
        getattr(import_module(f"mapping_lib.{module}"), load)(*arguments)


def pages() -> dict[str, int]:
    """Make the page of every explorer, and what the front end has besides: the length of each."""
    from mapping_lib.page import front
    from mapping_lib.page.explorer import explorers

    made = {explorer.name: explorer.page() for explorer in explorers()}
    predictions = front.style_of_predictions() + front.module_of_predictions()
    made |= {"site": front.script_of_site(), "predictions": predictions}
    return {name: len(page) for name, page in made.items()}


def examined() -> str:
    """What the doctor says of MAML."""
    import torch

    from mapping_lib.doctor import diagnose
    from mapping_lib.families.sinusoid import Sinusoids
    from mapping_lib.learners.gradient import maml
    from mapping_lib.networks import mlp

    return str(diagnose(maml(mlp((1, 8, 1)), torch.nn.functional.mse_loss), Sinusoids()))


def main() -> None:
    """Do it all, and print what was met."""
    sys.addaudithook(lambda event, about: OPENED.add(str(about[0])) if event == "open" else None)
    import mapping_lib

    library = Path(mapping_lib.__file__).parent
    lacking = list(imported(library))
    read()
    told = {"pages": pages(), "diagnosis": examined(), "lacking": lacking}
    opened = [Path(name).relative_to(library).as_posix() for name in OPENED if Path(name).is_relative_to(library)]
    print(json.dumps(told | {"opened": sorted(opened)}))


if __name__ == "__main__":
    main()
