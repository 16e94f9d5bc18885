"""Explorer: the map of gains. Choose an application, an opponent, K and a unit; the stored tables answer.

Nothing is trained: the page carries every gain of `measured` with its interval, and the program looks them up.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mapping_lib.page.explorer import Explorer
from mapping_lib.page.fields import choice
from mapping_lib.page.marks import arrows, axes, bars, line, points, rule, text
from mapping_lib.page.program import Program, Stage
from mapping_lib.study.plain import LEARNED, group_of

from .study_gains import AGAINST, APPLICATIONS, KS, METHODS, SLOTS, carried

NAMES, N = list(APPLICATIONS), len(APPLICATIONS)
LEARNERS = [i for i, name in enumerate(METHODS) if group_of(name) == LEARNED]
OPPONENTS = [i for i, name in enumerate(METHODS) if group_of(name) in AGAINST.values()]
EDGE, OFF, FAR = 1.05, 0.22, 99.0
"""How far an interval is drawn (1 is the end of a scale), how long is an arrow to a dot beyond, and where such dots go."""

VERDICTS = {"gain": "after", "nothing": "before", "loss": "rival"}
SIDES = {"alone": "the task alone", "together": "other tasks, put together"}
LABELS = {"share": "share of error removed", "own": "less error, in its own unit", "tasks": "share of tasks that gain"}


@dataclass(frozen=True)
class State:
    """What is looked up; of an application that was not measured at K, the nearest K that was."""

    application: str = choice(NAMES[0], NAMES, "application", large=True)
    against: str = choice("alone", SIDES, "against", large=True)
    k: str = choice("3", [str(k) for k in KS], "examples K", large=True)
    unit: str = choice("share", LABELS, "in", large=True)


# The program ----------------------------------------------------------------------------------------------


def look(table, scale, leads, rivals, at_k, application, against, k, unit) -> dict[str, Tensor]:
    """The gains of all methods of the chosen application, and of the best learner in every application."""
    of_all = at_k.index_select(1, _whole(k))[:, 0]
    case = of_all.index_select(0, _whole(application))
    here, pair = (2 * case + against) * 3 + unit, 2 * case + against
    common = unit * (unit > 1.5).float()  # units of their own cannot stand on one axis: they are shares, too
    leaders = leads.index_select(0, _whole(2 * of_all + against))
    of_leaders = ((2 * of_all + against) * 3 + common) * SLOTS + leaders
    return {
        "own": table.index_select(0, _whole(here))[0],
        "all": table.flatten(0, 1).index_select(0, _whole(of_leaders)),
        "scale": scale.index_select(0, _whole(here))[0],
        "lead": leads.index_select(0, _whole(pair)),
        "rival": rivals.index_select(0, _whole(pair)),
        "case": case,
    }


def show(own, all, scale, rows, heads, method_rows, application, lead, rival) -> dict[str, Any]:
    """Dots and intervals by verdict, and where names and values stand."""
    here = _whole(application)
    y, told = rows.index_select(0, here)[0], scale[0] * own[:, 0] + scale[1]
    names, titles = method_rows.index_select(0, here)[0], heads.index_select(0, here)[0]
    places = {"chosen": N - 0.5 - application, "first": y.index_select(0, _whole(lead))[0]}
    places |= {"rival_y": y.index_select(0, _whole(rival)), "rival_x": torch.zeros(1, dtype=torch.float32)}
    places |= {f"y_{i}": y[i] for i in range(SLOTS)} | {f"told_{i}": told[i] for i in range(SLOTS)}
    places |= {f"name_{i}": names[i] for i in range(len(METHODS))} | {f"title_{i}": titles[i] for i in range(3)}
    y_of_all = torch.arange(N - 0.5, 0, -1, dtype=torch.float32)
    return places | drawn("own", own, y) | drawn("all", all, y_of_all)


def drawn(name: str, gains: Tensor, y: Tensor) -> dict[str, Tensor]:
    """By verdict, dots and intervals at ``y``, ``nan`` for the others; an arrow for a dot beyond the left end."""
    mean, low, high = gains.T
    verdicts = {"gain": low > 0, "loss": high < 0, "nothing": (low <= 0) & (high >= 0)}
    rows = {verdict: torch.where(holds, y, float("nan")) for verdict, holds in verdicts.items()}
    result = {f"{name}_{verdict}": row for verdict, row in rows.items()}
    result |= {f"{name}_{verdict}_rows": torch.stack([row, row], -1) for verdict, row in rows.items()}
    result |= {
        f"{name}_x": torch.where(mean.abs() <= EDGE, mean, FAR),
        f"{name}_ends": torch.stack([low, high], -1).clamp(-EDGE, EDGE),
    }
    off = -OFF * (mean < -EDGE).float()
    return result | {f"{name}_off": off, f"{name}_flat": 0 * y, f"{name}_begin": OFF - EDGE + 0 * y, f"{name}_y": y}


def judge(own, scale, lead, rival, case, about, ids, application, against, unit) -> dict[str, Any]:
    """Numbers and conditions of the sentence. A loss is told as its size."""
    best = own.index_select(0, _whole(lead))[0]
    gain, loss, told = best[1] > 0, best[2] < 0, scale[0] * best + scale[1]
    is_unit, worse = [(unit - i).abs() < 0.5 for i in range(3)], best[0] < 0
    turned = torch.where(worse & ~is_unit[2], -told, told)
    which = ids.index_select(0, _whole(application))[0]
    first, other = (which.index_select(0, _whole(slot))[0] for slot in (lead, rival))
    holds = {f"first_{i}": (first - i).abs() < 0.5 for i in LEARNERS}
    holds |= {f"other_{i}": (other - i).abs() < 0.5 for i in OPPONENTS}
    holds |= {f"is_{i}": (application - i).abs() < 0.5 for i in range(N)}
    holds |= {"share": is_unit[0], "in_own": is_unit[1], "other_unit": ~is_unit[1], "tasks": is_unit[2]}
    holds |= {"removes": is_unit[0] & ~worse, "adds": is_unit[0] & worse, "worse": worse, "alone": against < 0.5}
    holds |= {"gain": gain, "loss": loss, "shown": gain | loss, "searched": application > N - 2.5}
    numbers = {"size": turned[0], "least": turned.amin(), "most": turned.amax()}
    numbers |= {f"tick_{i}": scale[0] * (i - 2) / 2 + scale[1] for i in range(5)}
    shown, units = about.index_select(0, _whole(case))[0]
    return {name: value.float() for name, value in holds.items()} | numbers | {"k_shown": shown, "n": units}


def _whole(place: Tensor) -> Tensor:
    return (place + 0.5).long().view(-1)


ARRAYS = ["rival_x", "rival_y"]
ARRAYS += [f"{on}_{verdict}{what}" for on in ("all", "own") for verdict in VERDICTS for what in ("", "_rows")]
ARRAYS += [f"{on}_{what}" for on in ("all", "own") for what in ("x", "ends", "off", "flat", "begin", "y")]
NUMBERS = ["chosen", "first", "size", "least", "most", "k_shown", "n"]
NUMBERS += [f"{name}_{i}" for name in ("y", "told") for i in range(SLOTS)] + [f"tick_{i}" for i in range(5)]
NUMBERS += [f"name_{i}" for i in range(len(METHODS))] + [f"title_{i}" for i in range(3)]
HOLDS = [f"first_{i}" for i in LEARNERS] + [f"other_{i}" for i in OPPONENTS] + [f"is_{i}" for i in range(N)]
ALSO = "share removes adds tasks in_own other_unit worse gain loss shown alone searched"

# What is drawn and said -----------------------------------------------------------------------------------

LEFT, RIGHT = -2.3, 1.1
"""The ends of the first axes: names stand on the left."""

TICKS = [-1, -0.5, 0, 0.5, 1]
TITLES = ("learning to learn", "other tasks, put together", "the task alone")


def verdicts(on: str) -> list[dict[str, Any]]:
    """Intervals and dots in the colours of the verdicts, and arrows for dots that are further to the left."""
    lines = [line(on, f"{on}_{name}_rows", colour, x=f"{on}_ends", width=3.2) for name, colour in VERDICTS.items()]
    dots = [points(on, f"{on}_x", f"{on}_{name}", colour, size=5.5) for name, colour in VERDICTS.items()]
    arrow = arrows(on, f"{on}_begin", f"{on}_y", f"{on}_off", f"{on}_flat", "rival")
    return [*lines, *dots, arrow]


def ticks(on: str, words: list[str], when: str) -> list[dict[str, Any]]:
    """Numbers below an axis, and what they count."""
    return [text(on, x, 0, word, below=0.65, when=when) for x, word in zip(TICKS, words, strict=True)]


SHARES, HALVES = ["−100 %", "−50 %", "0 %", "50 %", "100 %"], ["0 %", "25 %", "50 %", "75 %", "100 %"]
OWN = [f"{{tick_{i}:.3g}}" for i in range(5)]
EACH = range(SLOTS)
MARKS = (
    rule("all", "grid", y="chosen", dash=[], width=19),
    rule("own", "grid", y="first", dash=[], width=19),
    rule("all", "truth", x=0, dash=[], width=1.3),
    rule("own", "truth", x=0, dash=[], width=1.3),
    bars("all", [0.0] * N, "soft", words=None, choose="application"),
    *(text("all", -EDGE - 0.1, N - 0.5 - i, name, "ink", align="right") for i, name in enumerate(NAMES)),
    *verdicts("all"),
    *verdicts("own"),
    points("own", "rival_x", "rival_y", "ink", shape="diamond", size=5.5),
    *(text("own", -EDGE - 0.1, f"name_{i}", name, "ink", align="right") for i, name in enumerate(METHODS)),
    *(text("own", LEFT, f"title_{i}", words, bold=True, align="left") for i, words in enumerate(TITLES)),
    *(text("own", EDGE + 0.45, f"y_{i}", f"{{told_{i}:.0%}}", align="right", when="not in_own") for i in EACH),
    *(text("own", EDGE + 0.45, f"y_{i}", f"{{told_{i}:.3g}}", align="right", when="in_own") for i in EACH),
    *(mark for on in ("all", "own") for mark in ticks(on, HALVES, "tasks")),
    *ticks("all", SHARES, "not tasks"),
    text("all", 0, 0, LABELS["tasks"], below=1.75, when="tasks"),
    text("all", 0, 0, LABELS["share"], below=1.75, when="not tasks"),
    *ticks("own", SHARES, "share"),
    *ticks("own", OWN, "in_own"),
)

EVERY = [*enumerate(APPLICATIONS.values())]
BARE = {"xticks": [], "yticks": []}
RANGE = "({least:.0%} to {most:.0%})"
EXPLORER = Explorer(
    "map-of-gains",
    State,
    "Who is beaten, and by how much?",
    "Press a line on the left, change the opponent, and read off how sure a gain is.",
    axes=(
        axes("all", (LEFT, RIGHT), (0, N), "the best of learning to learn, against {against}", rows=N, **BARE),
        axes("own", (LEFT, 1.5), (0, N), "{application}: every method", xlabel="{unit}", share=1.1, **BARE),
    ),
    marks=MARKS,
    sentence=(
        {f"is_{i}": f"**{{application}}**, {about.shows}:" for i, about in EVERY},
        {f"first_{i}": f"[{METHODS[i]}|after]" for i in LEARNERS},
        {
            "removes": f"removes **{{size:.0%}}** {RANGE} of the error of",
            "adds": f"adds **{{size:.0%}}** {RANGE} to the error of",
            "tasks": f"does better on **{{size:.0%}}** {RANGE} of the tasks than",
            "worse": "is worse by **{size:.3g}** ({least:.3g} to {most:.3g})",
            "": "is better by **{size:.3g}** ({least:.3g} to {most:.3g})",
        },
        {"other_unit": "", **{f"is_{i}": f"{about.unit} than" for i, about in EVERY}},
        {f"other_{i}": f"**{METHODS[i]}**," for i in OPPONENTS},
        {"alone": "the best from the task alone.", "": "the best that puts other tasks together."},
        {
            "gain": "[A gain is shown|after]:",
            "loss": "[A loss is shown|rival]:",
            "": "[Nothing is shown|before]:",
        },
        {f"is_{i}": f"the 95 % interval over {{n}} {about.units}" for i, about in EVERY},
        {"shown": "leaves the line of no gain out.", "": "holds the line of no gain."},
        {"tasks": "(Ties count half.)"},
        {"searched": "Each search trained a θ of its own.", "": "Not in it: another training of θ."},
    ),
    presets={
        "the surprise": {"against": "together"},
        "one name": {"application": "language", "against": "together", "k": "1"},
        "a clear loss": {"application": "new pair, 3 steps"},
        "three searches": {"application": "settings, digits"},
        "in g²": {"application": "chicks", "unit": "own"},
    },
    program=Program((Stage(look), Stage(show), Stage(judge)), (*ARRAYS, *NUMBERS, *HOLDS, *ALSO.split()), carried()),
)
explorer = EXPLORER.open
