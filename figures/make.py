"""Draw the pictures that the README shows: ``python figures/make.py [folder]``."""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mapping_lib.explorers import adaptation, meta_training


def explorers() -> Image.Image:
    """Both explorers, one above the other: MAML beside joint training, and runs with four values of beta."""
    above = adaptation.AdaptationCanvas()
    above.draw(adaptation.compute(adaptation.State(amplitude=4.0, phase=2.2, steps=5, points=4)))
    below = meta_training.TrainingCanvas()
    runs = [meta_training.Run(meta_training.State(beta=beta)) for beta in (0.0003, 0.1, 0.001, 0.01)]
    for run in runs:
        while not run.finished:
            run.advance(0.02)
    below.draw(runs[-1].frame(tuple(run.curve() for run in runs[:-1])))
    return Image.fromarray(np.vstack([above.pixels(), below.pixels()]))


FIGURES = {"explorers.png": explorers}


def main(folder: Path) -> None:
    """Write every figure into ``folder``."""
    torch.set_num_threads(1)
    for name, draw in FIGURES.items():
        draw().convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(folder / name, optimize=True)
        print(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
