"""The program of chapter 4g's explorer: who is asked, the two answers, and what both err typically."""

from typing import Any

import torch
from torch import Tensor

from mapping_lib.page.program import Program, Stage

from . import explorer_stages as stages
from .explorer_stages import FEW, MAML_STEPS, begin, ready, unadapted
from .study_fewer_numbers import TUNED
from .study_typical import AWAY, GONE, MOST_STEPS, SHOTS, N, read_typical

TRAINED = 10
"""The most points that those who read were trained with, but for the prior-fitted one, whose prior has up to 20."""

METHODS = {
    "in-context": "in_context",
    "test-time steps": "",
    "prior-fitted": "prior",
    "neural process": "process",
    "context parameters": "few",
    "LoRA, rank 1": "lora",
    "MAML": "maml",
}
"""Who can be compared, and what each is called in the program."""

NAMES = (*METHODS,)
STEPPING = NAMES.index("test-time steps")
ROWS = [0]
for _place in range(len(NAMES) - 1):
    ROWS.append(ROWS[-1] + (MOST_STEPS + 1 if _place == STEPPING else 1))
"""Where each method's medians begin in the table; those of test-time steps have a row for each number of steps."""

STEPS_OF = {key: TUNED[name].after for key, name in FEW.items()} | {"maml": MAML_STEPS}
"""How many steps the others take."""

GRID = torch.linspace(-5, 5, 81, dtype=torch.float32)

ALIKE = 1.2
"""Medians that differ by a smaller factor are called alike."""


def ask(first, second, thetas: dict, begun: dict, k) -> dict[str, Any]:
    """Who is asked, nobody's answer yet, and where those stand who take steps."""
    chosen = {key: ((first == i) | (second == i)).float() for i, key in enumerate(METHODS.values())}
    to_ten = chosen["in_context"] + chosen[""] + chosen["process"] > 0
    blank = torch.zeros(3, len(GRID), dtype=torch.float32)
    return {f"asks_{key}": asked for key, asked in chosen.items() if key} | {
        **{f"by_{key}": blank for key in METHODS.values() if key},
        **{f"steps_{key}": n * chosen[key] for key, n in STEPS_OF.items()},
        **begun,
        "looked": thetas["MAML"],
        "mends": chosen[""],
        "same": (first == second).float(),
        "to_ten": to_ten.float(),
        "beyond": (to_ten & (k > TRAINED)).float(),
    }


def answers(by_in_context, by_prior, by_process, by_few, by_lora, by_maml, truth, fit, first, second) -> dict[str, Any]:
    """The two answers with their bands, how far off they are, and whether those in context are waves of the family."""
    every = torch.stack([by_in_context, torch.zeros_like(by_maml), by_prior, by_process, by_few, by_lora, by_maml])
    one, two = (every.index_select(0, of.long().view(1))[0] for of in (first, second))
    errors = {f"{name}_error": (of[0] - truth).square().mean() for name, of in (("first", one), ("second", two))}
    curves = torch.stack([truth, by_in_context[0], by_prior[0]], 1)
    outside = fit @ curves > OUT
    return {
        "first_answer": list(one),
        "second_answer": list(two),
        **errors,
        "first_gone": (~(errors["first_error"] < GONE)).float(),
        "second_gone": (~(errors["second_error"] < GONE)).float(),
        "first_now": (first != STEPPING).float(),
        "second_now": ((second != STEPPING) & (first != second)).float(),
        "out_of_it": outside[0].float(),
        "stays": (outside[0] & ~outside[1]).float(),
        "prior_stays": (outside[0] & ~outside[2]).float(),
    }


def typically(typical, rows, tried, first, second, steps, away, k) -> dict[str, Tensor]:
    """What both err typically, by K where the wave lies and inside the family, and at the K tried that is nearest."""
    here, nearest = (away * (len(AWAY) - 1) + 0.5).floor().long().view(1), (tried - k).abs().argmin().view(1)
    told = {"tried_k": tried.index_select(0, nearest)[0], "outside": (away > 0).float()}
    for name, of in (("first", first), ("second", second)):
        row = rows.index_select(0, of.long().view(1)) + steps * (of == STEPPING)
        lines = typical.index_select(0, row.long())[0]
        told[f"{name}_line"] = lines.index_select(0, here)[0]
        told[f"{name}_inside"] = lines[0]
        told[f"{name}_here"] = told[f"{name}_line"].index_select(0, nearest)[0]
    ratio = told["first_here"] / told["second_here"]
    by_steps = typical.narrow(0, STEPPING, MOST_STEPS + 1).index_select(1, here).index_select(2, nearest).view(-1)
    before, after = by_steps[0], by_steps.index_select(0, steps.long().view(1))[0]
    return told | {
        "unstepped": before,
        "stepped": after,
        "mended_all": (after < before / ALIKE).float(),
        "spoiled_all": (after > before * ALIKE).float(),
        "alike": ((ratio < ALIKE) & (ratio > 1 / ALIKE)).float(),
        "ahead": (ratio < 1).float(),
        "times": torch.maximum(ratio, 1 / ratio),
    }


FIT = torch.linalg.pinv(torch.stack([GRID.double().sin(), GRID.double().cos()], 1))[1].float()
"""Of the wave a sin x + b cos x that is nearest to a curve on the grid, it gives b."""

OUT = 0.1
"""A wave with a larger b is said to lie outside: those of the family have b = - amplitude · sin(phase) <= 0."""


def take(thetas: dict, steps, first, second, k) -> dict[str, Any]:
    """The transformer before any step, and how many there will be: with one example nothing can be left out."""
    asked = (first == STEPPING) | (second == STEPPING)
    return {"tuned": thetas["in-context"], "taken": steps * asked, "mending": asked.float()}


def _table() -> Tensor:
    medians = read_typical()
    return torch.cat([medians[name].view(-1, len(AWAY), len(SHOTS)) for name in NAMES])


CONSTANTS = {
    "thetas": {name: ready(name)[1] for name in NAMES if name != NAMES[STEPPING]},
    "begun": unadapted(),
    "typical": _table(),
    "rows": torch.tensor(ROWS, dtype=torch.float32),
    "tried": torch.tensor(SHOTS, dtype=torch.float32),
    "grid": GRID,
    "fit": FIT,
    "trained": torch.tensor(float(TRAINED), dtype=torch.float32),
    "waves": torch.tensor(float(N), dtype=torch.float32),
}
DYNAMIC = {"x": ("K",), "lift": ("K",)}
SHOWN = ("y", "truth", "low_x", "low_y", "about", "first_answer", "second_answer", "first_line", "second_line")
SHOWN += ("first_inside", "second_inside")
SAID = """
k first_error second_error first_here second_here first_now second_now tried_k waves asks_few asks_lora
unstepped stepped mended_all spoiled_all first_gone second_gone same mends beyond to_ten outside alike ahead
times stays prior_stays asks_in_context asks_prior out_of_it trained
"""
"""What the sentence needs, and the conditions of marks."""

PROGRAM = Program(
    (
        Stage(begin),
        Stage(ask),
        Stage(stages.in_context, "asks_in_context"),
        Stage(stages.prior_fitted, "asks_prior"),
        Stage(stages.process, "asks_process"),
        Stage(stages.step_few, "steps_few"),
        Stage(stages.draw_few, "asks_few"),
        Stage(stages.step_lora, "steps_lora"),
        Stage(stages.draw_lora, "asks_lora"),
        Stage(stages.step_maml, "steps_maml"),
        Stage(stages.draw_maml, "asks_maml"),
        Stage(answers),
        Stage(typically),
    ),
    (*SHOWN, *SAID.split()),
    CONSTANTS,
    DYNAMIC,
)
LATER = Program(
    (Stage(begin), Stage(take), Stage(stages.practise, "taken"), Stage(stages.mended)),
    ("mended", "mended_error", "mending"),
    CONSTANTS,
    DYNAMIC,
)
