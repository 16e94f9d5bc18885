"""Programs in a page of Chromium that has the interpreter, beside PyTorch; two of them for tests and benchmarks."""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import lab
import numpy as np
import torch
from torch import Tensor

from mapping_lib import batched_mlp
from mapping_lib.page.program import Program, Stage, arrays, run
from mapping_lib.page.tracing import INTERPRETER, traced
from mapping_lib.study.sinusoids import noisy_points, shipped
from mapping_lib.task import Batch

A_STEP = 1e-5
GRID = torch.linspace(-5, 5, 161)[:, None]
SET_UP = """
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
const decoded = (parts) => Object.fromEntries(
  Object.entries(parts).map(([name, [shape, data]]) => [name, {shape, data: new Float32Array(bytes(data))}]));
const encoded = (data) => {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let text = "";
  for (let i = 0; i < raw.length; i += 4096) text += String.fromCharCode(...raw.subarray(i, i + 4096));
  return btoa(text);
};
Object.assign(window, {chooseKernel, prepare, decoded});
window.frames = (program, constants, cases) => {
  const run = prepare(program, decoded(constants));
  return cases.map((inputs) => Object.fromEntries(
    Object.entries(run(decoded(inputs))).map(([name, {shape, data}]) => [name, [shape, encoded(data)]])));
};
window.ready = true;
"""


@contextmanager
def interpreter(private: Path) -> Iterator[Any]:
    """An empty page of Chromium that has the interpreter; its profile lies under ``private``."""
    source = "".join(path.read_text(encoding="utf-8") for path in INTERPRETER)
    source = re.sub(r"^import .*$|^export ", "", source, flags=re.MULTILINE)
    with lab.browser(private) as page:
        page.add_script_tag(content=source + SET_UP, type="module")
        page.wait_for_function("window.ready")
        yield page


Arrays = Mapping[str, np.ndarray]


def packed(values: Mapping[str, Any]) -> dict[str, tuple[list[int], str]]:
    """Arrays as a page can be given them."""
    return {name: (list(a.shape), base64.b64encode(a.tobytes()).decode()) for name, a in arrays(values).items()}


def unpacked(parts: Mapping[str, tuple[list[int], str]]) -> Arrays:
    return {n: np.frombuffer(base64.b64decode(b), dtype="<f4").reshape(shape) for n, (shape, b) in parts.items()}


def in_page(
    page: Any, program: Program, cases: Sequence[Mapping[str, Any]], example: Mapping[str, Any]
) -> list[Arrays]:
    """The frames of a program, traced on ``example``, that the page makes of each case."""
    text = json.dumps(traced(program, example), allow_nan=False)
    handed = [json.loads(text), packed(program.constants), [packed(case) for case in cases]]
    return [
        unpacked(frame)
        for frame in page.evaluate("([program, constants, cases]) => frames(program, constants, cases)", handed)
    ]


def far(got: Arrays, wanted: Mapping[str, Tensor]) -> dict[str, float]:
    """The largest difference of each array over its largest value; where one is not finite, both must be so alike."""
    assert got.keys() == wanted.keys()
    distances = {}
    for name, tensor in wanted.items():
        want, have = tensor.double().numpy(), got[name].astype(np.float64)
        assert have.shape == want.shape, (name, have.shape, want.shape)
        finite = np.isfinite(want)
        assert (finite == np.isfinite(have)).all(), name
        largest = np.abs(want[finite]).max(initial=0) or 1.0
        distances[name] = np.abs(have - want)[finite].max(initial=0) / largest
    return distances


def agree(page, program: Program, cases: Sequence[Mapping[str, Any]], *, example=None, allowed=A_STEP) -> None:
    """Hold the page's frames to PyTorch's, to ``allowed``: a number, or a function of the case."""
    frames = in_page(page, program, cases, example or cases[0])
    for case, frame in zip(cases, frames, strict=True):
        distances = far(frame, run(program, case))
        limit = allowed(case) if callable(allowed) else allowed
        assert max(distances.values()) <= limit, (distances, {n: v for n, v in case.items() if np.ndim(v) == 0})


# Programs --------------------------------------------------------------------------------------------


def weights(name: str) -> list[Tensor]:
    theta = shipped(name)[1]
    return [p for n, p in theta.items() if not n.startswith("alpha")]


def inner_step(params: list[Tensor], x: Tensor, y: Tensor, alpha: Tensor) -> dict[str, Any]:
    """The fit of two learners before one inner step, and their parameters after it."""
    points = torch.cat([x, GRID]).expand(len(params[0]), -1, 1)
    fit = batched_mlp.forward(params, points)[-1][..., 0]
    support = Batch(*(part.expand(len(params[0]), *part.shape) for part in (x, y)))
    return {"fit": fit, "params": batched_mlp.adapt(params, [alpha] * len(params), support, 1)}


TWO = [torch.stack(pair) for pair in zip(weights("maml"), weights("joint"), strict=True)]
ADAPTATION = Program(
    (Stage(inner_step, times="steps", extra=1, collect={"fits": "fit"}),),
    ("fits",),
    {"params": TWO},
    {"x": ("K",), "y": ("K",)},
)


def support(k_shot: int, seed: int = 0) -> dict[str, Tensor]:
    points = noisy_points(torch.tensor([3.0, 1.0]), k_shot, 0.3, seed)
    return {"x": points.x, "y": points.y}


def meta_step(
    params,
    mean,
    square,
    done,
    alpha,
    beta,
    support: Batch,
    query: Batch,
    *,
    steps: int,
    first_order=False,
    alpha_too=False,
) -> dict[str, Any]:
    """One outer step of MAML or Meta-SGD with Adam."""
    alphas = alpha if alpha_too else [alpha] * len(params)
    loss, slope, of_alpha = batched_mlp.meta_gradient(
        params, alphas, support, query, steps=steps, first_order=first_order, alpha_too=alpha_too
    )
    slopes = slope + (of_alpha or [])
    done = done + 1
    mean = [0.9 * m + 0.1 * g for m, g in zip(mean, slopes, strict=True)]
    square = [0.999 * s + 0.001 * g * g for s, g in zip(square, slopes, strict=True)]
    roots = [(s / (1 - 0.999**done)).sqrt() + 1e-8 for s in square]
    moved = [p - beta * m / (1 - 0.9**done) / r for p, m, r in zip([*params, *alphas], mean, roots, strict=False)]
    n = len(params)
    after = {"params": moved[:n], "mean": mean, "square": square, "done": done, "loss": loss}
    return after | ({"alpha": moved[n:]} if alpha_too else {})


def meta_training(**settings: Any) -> tuple[Program, dict[str, Any]]:
    """An outer step as a program, and where it starts."""
    theta = weights("scratch")
    alphas = [torch.full_like(p, 0.01) for p in theta] if settings.get("alpha_too") else []
    zeros = [torch.zeros_like(p) for p in theta + alphas]
    start = {
        "params": theta,
        "mean": zeros,
        "square": zeros,
        "done": torch.tensor(0.0),
        "alpha": alphas or torch.tensor(0.01),
        "beta": 0.001,
    }
    outputs = ("params", "loss", *(("alpha",) if alphas else ()))
    sizes = {f"{part}.{name}": ("T",) for part in ("support", "query") for name in "xy"}
    return Program((Stage(partial(meta_step, **settings)),), outputs, {}, sizes), start
