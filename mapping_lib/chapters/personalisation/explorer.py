"""Explorer: somebody new. Press on the days that you observe, and watch four forecasts and their errors move.

The program computes all numbers of observations at once (`methods_at_once`); the page carries the individuals of seven
of the sixteen parts, and what was learned without them.
"""

from dataclasses import dataclass
from typing import Any

import torch

from mapping_lib.page.explorer import Explorer
from mapping_lib.page.fields import choice, numbers, slider
from mapping_lib.page.marks import axes, band, drag, line, points, rule, text
from mapping_lib.page.program import Program, Stage

from .figures import PEOPLE
from .methods_at_once import STAGES, at, is_kind
from .methods_individual import MAX_SHOTS, NAMES
from .study_people import ENDS, KINDS, PLACES, WHOM, Carried

VIEWS = {
    "chicks": ((0.0, 0.0), 120.0, "weight (g), by day", "error on the other days (g)"),
    "countries": ((0.0, 9.0), 3.0, "births per woman, by year", "error in the other years"),
    "sensors": ((-6.0, 6.0), 4.0, "correction (°C), by reading (°C)", "error elsewhere (°C)"),
    "customers": ((0.0, 1.04), 104.0, "probability of the choice, by question", "wrong on the others (%)"),
}
"""For each kind: the least limits of forecasts, the largest error drawn, and what both are called."""

EDGE, ROOM = 1.06, 1.3
"""How far the picture goes beyond the first and the last place, and above the highest value."""

WIDTHS = {0.1: "0.1", 1.0: "1, as learned", 10.0: "10"}
BY_LOT, FIRST = (1.0, -0.81, -0.05), (-1.0, -0.81, -0.62)
"""Three days of chick 6, drawn by lot and from the beginning."""


@dataclass(frozen=True)
class State:
    """Who is new, where it is observed (from -1, the first place, to 1, the last), and how wide the prior is."""

    seen: tuple[float, ...] = numbers(BY_LOT, -1, 1, least=0, most=MAX_SHOTS, label="observations", large=True)
    width: float = slider(1.0, 0.1, 10.0, "width", "of the prior", step=0.05, log=True, large=True, marks=WIDTHS)
    who: str = choice("chick 6", list(WHOM), "who", large=True)


# The program ----------------------------------------------------------------------------------------------


def show(given, right, curves, x, truth, seen, picks, rest, choices, k, fill, truth_fill) -> dict[str, Any]:
    """A line for each method over all places, points that were seen and that were not, choices forecast rightly."""
    beyond = torch.zeros(*given.shape[:2], PLACES - given.shape[2], dtype=torch.float32)
    filled, rights = (torch.cat([part, beyond], -1) for part in (given, right))
    lines = at((choices * filled + (1 - choices) * curves).transpose(0, 1), k)[: len(NAMES)]
    hits = at(rights.transpose(0, 1), k)[: len(NAMES)] * rest * choices
    far = torch.full_like(x, 1e6)
    line_at, truth_at = ((part + 0.5).long() for part in (fill, truth_fill))
    return {
        "lines": lines.index_select(1, line_at),
        "line_x": x.index_select(0, line_at),
        "truth_y": truth.index_select(0, truth_at),
        "truth_x": x.index_select(0, truth_at),
        "hidden_y": torch.where(rest * (1 - choices) > 0, truth, far),
        "place_x": x,
        "seen_x": (picks @ x)[: seen.shape[0]],
        "seen_y": (picks @ truth)[: seen.shape[0]] + 0.02 * choices,
    } | {f"hits_{i}": torch.where(hits[i] > 0, lines[i], far) for i in range(len(NAMES))}


def band_of(lines, variance, noise, scale, fill, truth, rest, choices) -> dict[str, Any]:
    """Where mixed effects expect 95 % of all observations, and how many of the others are there."""
    half = 1.96 * scale * (variance + (2 * noise).exp()).sqrt().index_select(0, (fill + 0.5).long())
    low, high = lines[-1] - half, lines[-1] + half
    inside = rest * (truth > low).float() * (truth < high).float()
    return {"low": low, "high": high, "inside": inside.sum(), "others": rest.sum(), "band": 1 - choices}


def numbers_of(errors, now, k, seen, choices, width, kind, highest) -> dict[str, Any]:
    """The numbers of the sentence, and the limits of the axes."""
    best, every = now[: len(NAMES)].argmin(), range(len(NAMES))
    view = {name: at(values, kind) for name, values in views().items()}
    top = torch.maximum(view["limits"][1], ROOM * highest)
    y = torch.stack([view["limits"][0], top])
    result = {f"error_{i}": now[i] for i in every} | {f"now_{i}": now[i : i + 1] for i in every}
    result |= {f"best_{i}": (best == i).float() * (1 - choices) for i in every}
    result |= {f"right_{i}": (best == i).float() * choices for i in every}
    result |= {data: is_kind(data, kind) for data in KINDS}
    return result | {
        "as_learned": now[-1],
        "by_k": errors[: len(NAMES), : seen.shape[0] + 1],
        "k_now": k.view(1),
        "nothing": (k == 0).float(),
        "flat": (k == 1).float() * (1 - choices),
        "other_width": (width.log().abs() > 0.01).float(),
        "y": y,
        "y_above": y[1] + 0.05 * (y[1] - y[0]),
        "called": view["called"],
        "e": view["errors"],
        "e_above": 1.05 * view["errors"][1],
    }


def views() -> dict[str, torch.Tensor]:
    """For each kind: what the ends of the picture are called, limits of forecasts and of errors."""
    first, last = torch.tensor(list(ENDS.values()), dtype=torch.float32).T
    beyond = (EDGE - 1) * (last - first) / 2
    limits, errors = ([view[i] for view in VIEWS.values()] for i in (0, 1))
    return {
        "called": torch.stack([first - beyond, last + beyond], -1),
        "limits": torch.tensor(limits, dtype=torch.float32),
        "errors": torch.tensor([(0.0, error) for error in errors], dtype=torch.float32),
    }


DRAWN = ("lines", "line_x", "truth_y", "truth_x", "hidden_y", "place_x", "seen_x", "seen_y", "by_k", "k_now")
SAID = "low high inside others band removed as_learned k nothing flat other_width choices"
EACH = tuple(f"{name}_{i}" for name in ("error", "best", "right", "now", "hits") for i in range(len(NAMES)))
LIMITS = ("y", "y_above", "called", "e", "e_above")
PROGRAM = Program(
    (*STAGES, Stage(show), Stage(band_of), Stage(numbers_of)),
    (*DRAWN, *SAID.split(), *EACH, *LIMITS, *KINDS),
    Carried(),
    {"seen": ("K",)},
)

# What is drawn and said -----------------------------------------------------------------------------------

OTHERS = {
    i: ", ".join(f"[{other}|{other}] {{error_{j}:.3g}}" for j, other in enumerate(NAMES) if j != i)
    for i in range(len(NAMES))
}
CLOSEST = {
    f"best_{i}": f"Closest after {{k:observation}}: [{name}|{name}], error **{{error_{i}:.3g}}**; {OTHERS[i]}."
    for i, name in enumerate(NAMES)
} | {
    f"right_{i}": f"Closest after {{k:observation}}: [{name}|{name}], **{{error_{i}:.0f}} %** wrong; {OTHERS[i]}."
    for i, name in enumerate(NAMES)
}
EXPLORER = Explorer(
    "personalisation",
    State,
    "Somebody new, and three observations. Who should forecast the rest?",
    "Press where you want to observe; drag an orange point elsewhere, or out to take it back.",
    axes=(
        axes("person", (-EDGE, EDGE), "y", "{who}", called="called", share=1.7),
        axes("errors", (-0.25, MAX_SHOTS + 0.25), "e", "", xlabel="observations"),
    ),
    marks=(
        *(text("person", EDGE, "y_above", VIEWS[kind][2], align="right", when=kind) for kind in KINDS),
        *(text("errors", -0.25, "e_above", VIEWS[kind][3], align="left", when=kind) for kind in KINDS),
        band("person", "low", "high", "mixed effects", x="line_x", fade=0.14, when="band"),
        line("person", "truth_y", "truth", x="truth_x", width=1.2, dash=[2, 4], when="band"),
        points("person", "place_x", "hidden_y", "truth", size=3, shape="ring"),
        line("person", "lines", [*NAMES], x="line_x", name=[*NAMES], width=2.4),
        *(points("person", "line_x", f"hits_{i}", name, size=5) for i, name in enumerate(NAMES)),
        points("person", "seen_x", "seen_y", "support", size=7, drag=drag("seen", ""), adds=True),
        rule("errors", "grid", x="k", dash=[], width=7),
        line("errors", "by_k", [*NAMES], dots="all", width=2.2),
        *(points("errors", "k_now", f"now_{i}", name, size=6) for i, name in enumerate(NAMES)),
    ),
    sentence=(
        CLOSEST,
        {
            "nothing": "Nothing is known of {who} yet: each method says what it says of everybody.",
            "flat": "Of one point an own fit makes a flat line; mixed effects bend it as others bend.",
            "": "The observations have removed {removed:.0%} of what mixed effects did not know.",
        },
        {
            "other_width": "Their prior is {width:.2g} times as wide as learned; as learned, their error is {as_learned:.3g}.",
            "choices": "A dot stands where the choice was forecast rightly.",
            "": "Their band holds {inside:.0f} of the {others:.0f} other points.",
        },
    ),
    presets={
        "nothing yet": {"seen": ()},
        "one": {"seen": BY_LOT[:1]},
        "the first three": {"seen": FIRST},
        "a country": {"who": "Cameroon", "seen": (-0.84, -0.22, 0.49)},
        "a customer": {"who": "customer 58", "seen": (-1.0, -0.45, 0.27)},
        "a thermometer": {"who": "thermometer 196", "seen": (-0.5, -0.25, -0.08)},
        "blind to data": {"width": 0.1},
        "blind to others": {"width": 10.0},
    },
    program=PROGRAM,
    colours=PEOPLE,
)
explorer = EXPLORER.open
