"""Draw the picture that the README shows: ``python figures/make.py [folder]``."""

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import torch
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

from mapping_lib.chapters.maml_code import explorer_adaptation as adaptation
from mapping_lib.chapters.maml_code import explorer_meta_training as meta_training
from mapping_lib.console import plain_streams

WIDTH, COLOURS = 880, 48
ADAPTING, TRAINING = 0.592, 0.53
"""Of each panel the left picture: up to this share of its width."""

TASK = {"amplitude": 4.0, "phase": 2.2, "points": 4}
MOVES = [{"steps": m} for m in range(11)] + [{"steps": 10, "alpha": a} for a in (0.008, 0.006, 0.004, 0.002, 0.001)]
BETAS = (0.0003, 0.1, 0.001, 0.01)
CAPTION = 26
FIRST_MS, EACH_MS, LAST_MS = 1500, 500, 4000


def explorers() -> list[Image.Image]:
    """The left pictures of two explorers: m grows, then α falls; meanwhile meta-training runs with four values of β."""
    left, right = adaptation.AdaptationCanvas(), meta_training.TrainingCanvas()
    frames = []
    for move, training in zip(MOVES, _trainings(len(MOVES)), strict=True):
        left.draw(adaptation.compute(adaptation.State(**TASK, **move)))
        right.draw(training)
        picture = _small(np.hstack([_part(left.pixels(), ADAPTING), _part(right.pixels(), TRAINING)]))
        m, alpha = move["steps"], move.get("alpha", adaptation.State.alpha)
        frames.append(_under(f"MAML (blue) and joint training: α = {alpha}, {m} inner step{'s' * (m != 1)}", picture))
    return frames


def _under(words: str, picture: Image.Image) -> Image.Image:
    """The picture with a line of words above it."""
    whole = Image.new("RGB", (picture.width, picture.height + CAPTION), "white")
    whole.paste(picture, (0, CAPTION))
    font = ImageFont.truetype(findfont("DejaVu Sans"), 15)
    ImageDraw.Draw(whole).text((whole.width * 0.05, 6), words, fill="black", font=font)
    return whole


def _part(pixels: np.ndarray, share: float) -> np.ndarray:
    return pixels[:, : round(share * pixels.shape[1])]


def _trainings(n: int) -> list[meta_training.Frame]:
    """What the training panel shows at ``n`` moments, spread evenly over one run after the other."""
    moments = {round(i * (len(BETAS) * meta_training.OUTER_STEPS - 1) / (n - 1)) for i in range(n)}
    shown, earlier, done = [], (), 0
    for beta in BETAS:
        run = meta_training.Run(meta_training.State(beta=beta))
        while not run.finished:
            run.advance(0)  # one outer step: a clock would draw another picture on another machine
            if done in moments:
                shown.append(run.frame(earlier))
            done += 1
        earlier = (*earlier, run.curve())
    return shown


def _small(pixels: np.ndarray) -> Image.Image:
    image = Image.fromarray(pixels).convert("RGB")
    return image.resize((WIDTH, WIDTH * image.height // image.width), Image.Resampling.LANCZOS)


FIGURES = {"explorers.gif": explorers}


def save(frames: list[Image.Image], path: Path) -> None:
    """Write an animation with one palette for all frames; the first and the last stay longer."""
    palette = frames[-1].quantize(COLOURS)
    indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    times = [FIRST_MS, *[EACH_MS] * (len(frames) - 2), LAST_MS]
    indexed[0].save(path, save_all=True, append_images=indexed[1:], duration=times, loop=0, optimize=True)


def main(folder: Path) -> None:
    """Write every figure into ``folder``."""
    torch.set_num_threads(1)
    for name, draw in FIGURES.items():
        save(draw(), folder / name)
        print(folder / name)


if __name__ == "__main__":
    plain_streams()
    parser = ArgumentParser(description="Draw the picture that the README shows.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent, help="where to; default: here")
    main(parser.parse_args().folder)
