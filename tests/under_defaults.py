"""What explorers, families and figures give in a process of other defaults, and what they leave behind.

``python tests/under_defaults.py float64`` prints one JSON object: a digest for each thing, and what shared state has
changed. It is no test: `test_globals` runs it twice and compares.
"""

import hashlib
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import torch

from mapping_lib.page.explorer import explorers
from mapping_lib.study import read_table


def held(value: Any) -> Iterator[bytes]:
    """All that a value holds: of arrays and tensors the dtype, the shape and every bit."""
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        yield f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes()
    elif isinstance(value, list | tuple):
        for part in value:
            yield from held(part)
    elif isinstance(value, dict):
        yield from held(list(value.items()))
    elif is_dataclass(value):
        yield from held([getattr(value, field.name) for field in fields(value)])
    else:
        yield repr(value).encode()


def digest(value: Any) -> str:
    """A few letters that differ where a value differs."""
    return hashlib.sha256(b"|".join(held(value))).hexdigest()[:12]


def frames() -> Iterator[tuple[str, Any]]:
    """The frames of every explorer: where it begins, and at every preset."""
    for explorer in explorers():
        states = [explorer.State(), *(explorer.State(**preset) for preset in explorer.presets.values())]
        yield explorer.name, [explorer.compute(state) | explorer.compute_later(state) for state in states]


def families() -> Iterator[tuple[str, Any]]:
    """Tasks of every family that can be made here: what reads a reader's own files is left out."""
    from mapping_lib.chapters.few_shot_images.methods import GLYPHS
    from mapping_lib.chapters.language import family as languages
    from mapping_lib.chapters.multitask_and_continual import family as sequence
    from mapping_lib.chapters.personalisation.methods_customers import everyone
    from mapping_lib.chapters.what_came_after import family_imagined as imagined
    from mapping_lib.families import episodes
    from mapping_lib.families.sinusoid import Sinusoids
    from mapping_lib.worlds import derived, digits, linear, sensors
    from mapping_lib.worlds import goals as navigation
    from mapping_lib.worlds.curves import Growth
    from mapping_lib.worlds.held_out import study

    waves, chicks = Sinusoids(), study("chicks")
    x = torch.arange(60, dtype=torch.float32)[:, None]
    made = [waves, linear.LinearFunctions(), digits.Digits(), navigation.Navigation(), GLYPHS.episodes("train", 5, 1.0)]
    made += [episodes.Episodes(x, torch.arange(60) // 12, n_way=3), languages.Languages("train"), everyone()[0]]
    growth = Growth(chicks.curves, "spread", allowed=chicks.allowed)
    made += [sequence.DigitSequences(), sequence.WaveSequences(), growth]
    made += [imagined.Imagined(), imagined.ImaginedChicks()]
    made += [derived.VaryingShots(waves), derived.Pool(waves, 10, seed=0), derived.Mixed((waves, waves))]
    made += [derived.NoisyDescriptions(waves, noise=(0.1, 0.1), missing=0.5, blank=(2.5, 1.5))]
    for family in made:
        yield type(family).__name__, family.sample(3, 4, 5, generator=torch.Generator().manual_seed(1))
    yield "Sensors", sensors.Sensors().measured(9, generator=torch.Generator().manual_seed(1))


def shared() -> dict[str, Any]:
    """The state that this whole process shares."""
    return {
        "torch's random state": digest(torch.get_rng_state()),
        "numpy's random state": digest(np.random.get_state(legacy=True)[1]),  # noqa: NPY002
        "Python's random state": digest(random.getstate()),
        "default dtype": str(torch.get_default_dtype()),
        "default device": str(torch.get_default_device()),
        "threads": torch.get_num_threads(),
        "rcParams": digest(sorted((name, str(value)) for name, value in mpl.rcParams.items())),
        "gradients": torch.is_grad_enabled(),
    }


def main(dtype: str) -> None:
    """Print what comes out under a default dtype, and what has changed."""
    torch.set_num_threads(1)
    torch.set_default_dtype(getattr(torch, dtype))
    mpl.rcParams["font.size"] = 7  # a reader's own
    before = shared()
    given = {f"explorer {name}": digest(given) for name, given in frames()}
    given |= {f"family {name}": digest(tasks) for name, tasks in families()}
    given["a table"] = digest(read_table("chicks"))
    after = shared()
    changed = sorted(name for name, value in before.items() if after[name] != value)
    print(json.dumps({"given": given, "changed": changed}))


if __name__ == "__main__":
    main(sys.argv[1])
