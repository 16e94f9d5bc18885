"""Rebuild every shipped theta: ``python -m mapping_lib.study.train [name ...]``."""

import time

import torch

from mapping_lib.console import command, refuse_unknown
from mapping_lib.study.mappings import MAPPINGS
from mapping_lib.study.sinusoids import RECIPES
from mapping_lib.study.theta import save_theta, shipped_path


def main() -> None:
    """On one thread, train the named recipes (all without names) with every seed, and store what comes out."""
    recipes = {**RECIPES, **MAPPINGS}
    parser = command("mapping_lib.study.train", "Rebuild every shipped theta.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"default: all; one of {', '.join(recipes)}")
    names = parser.parse_args().names
    refuse_unknown(parser, "name", names, recipes)
    torch.set_num_threads(1)  # small tensors: a second thread only costs
    for name in names or [name for name, recipe in recipes.items() if recipe.outer_steps]:
        recipe = recipes[name]
        for seed in recipe.seeds:
            began = time.perf_counter()
            for progress in recipe.train(seed):
                if progress.step % 100 == 0:
                    print(f"\r{name} seed {seed}: {progress.step:6d} / {recipe.outer_steps}", end="", flush=True)
            path = save_theta(shipped_path(name, seed), progress.theta, seed=seed, **recipe.settings())
            print(f"\r{name} seed {seed}: {time.perf_counter() - began:.0f} s -> {path.name}")


if __name__ == "__main__":
    main()
