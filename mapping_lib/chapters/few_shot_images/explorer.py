"""Explorer: tell letters of unseen alphabets apart from one example each, or characters that the reader draws.

The kernel computes it: the episodes are drawn from fonts and bent, and MAML, ANIL and two others take gradient steps
through convolutions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import torch

from mapping_lib.page.explorer import Explorer, Frame
from mapping_lib.page.fields import choice, pad, slider
from mapping_lib.page.marks import axes, images, line, points, rule, text, tiles
from mapping_lib.task import Batch
from mapping_lib.worlds.letters import Glyphs
from mapping_lib.worlds.pictures import drawn, jittered

from .figures import COLOUR_OF
from .methods import JUDGED_WAYS, METHODS, can, confidences

MAX_WAY, MAX_SHOT, MAX_EPISODE, N_QUERY, N_ASKED = 20, 5, 20, 5, 10
"""How far the controls go; the queries of each class; how many of all of them are shown."""

LETTERS = "ABCDE"
ASK = len(LETTERS)
"""The reader's drawings: one of each letter, and behind them the one to be recognised."""

BASELINE, LAST = "pixel 1-NN", {"from scratch": 3, "MAML": 8}
"""What the other methods are held against; how many episodes are judged of those that take long."""

NAMES = {name: {"prototypical": "prototypical network"}.get(name, name) for name in METHODS}
Setting = tuple[str, int, int, float]  # the method, N, K and the jitter


def _strokes(*strokes: str) -> tuple:
    """Strokes from words such as "20,30 50,60": points in percent."""
    return tuple(tuple(tuple(float(n) / 100 for n in p.split(",")) for p in s.split()) for s in strokes)


CHINESE = (
    _strokes("50,14 51,84", "18,42 19,85 50,84 83,84", "83,40 83,88"),  # mountain
    _strokes("14,35 87,33", "50,10 49,92", "48,36 34,60 12,78", "51,36 66,59 90,77"),  # tree
    _strokes("20,22 22,82", "20,22 80,21 78,83", "22,80 79,80"),  # mouth
    _strokes("50,14 46,40 34,64 14,88", "48,36 60,62 88,87"),  # person
    (),
    _strokes("20,38 50,37 82,32", "53,15 51,50 50,88", "50,38 40,55 18,70", "53,38 62,52 84,72"),
)
INVENTED = (
    _strokes("50,15 15,82 87,80 50,15"),
    _strokes("62,12 30,50 68,46 34,90"),
    _strokes("50,46 38,40 34,27 42,15 56,13 66,22 65,36 50,46 49,88", "49,72 68,70", "49,87 64,86"),
    _strokes("82,36 66,18 38,16 18,34 15,60 30,82 56,86 76,74 79,55 66,42 48,42 40,54 46,64 56,62"),
    _strokes("15,20 84,82", "84,18 17,84", "14,50 88,50"),
    _strokes("80,28 60,15 34,20 18,40 18,64 36,84 60,82 74,68 72,52 58,44 44,52 50,64"),
)


@dataclass(frozen=True)
class State:
    """The values of the controls; the reader's drawings, one for each of `LETTERS` and the one to be recognised."""

    method: str = choice("prototypical", NAMES, "method", large=True)
    way: int = slider(5, 2, MAX_WAY, "ways N", "letters", large="half")
    k_shot: int = slider(1, 1, MAX_SHOT, "shots K", "examples of each", large="half")
    jitter: float = slider(1.0, 0, 2, "jitter", "how far bent", step=0.25, large="half")
    episode: int = slider(6, 1, MAX_EPISODE, "episode", "other letters", large="half", play="episode by episode")
    drawings: tuple = pad(CHINESE, [*LETTERS, "?"], "your own", "examples, and one to be told", shares="own_shares")


# What is computed -----------------------------------------------------------------------------------------


def compute(state: State) -> Frame:
    """Adapt to the support of one episode, and to the reader's drawings; say what each query is.

    >>> frame = compute(State(way=3, k_shot=2, episode=1))
    >>> frame["support"].shape, frame["query"].shape, frame["shares"].shape
    ((6, 28, 28), (10, 28, 28), (30,))
    """
    setting = (state.method, state.way, state.k_shot, state.jitter)
    support, asked, shares = answered(setting, state.episode)
    return (
        {"support": support.x[:, 0].numpy(), "query": asked.x[:, 0].numpy()}
        | _places(state.way, state.k_shot)
        | _matrix(shares, asked.y.numpy(), state.way)
        | _accuracy(setting, state.episode)
        | _own(state.method, state.drawings)
    )


def episode(number: int, jitter: float, way: int, k_shot: int) -> tuple[Batch, Batch]:
    """The support and the query of one episode.

    More ways add letters, more shots add images of each, more jitter bends the same images further the same way.
    """
    support, query = _largest(number, jitter)
    return _first(support, way, k_shot), _first(query, way, N_QUERY)


@lru_cache(maxsize=2 * MAX_EPISODE)
def _largest(number: int, jitter: float) -> tuple[Batch, Batch]:
    """The episode with most ways and shots; the others are parts of it."""
    task = _family().sample(1, MAX_SHOT, N_QUERY, generator=torch.Generator().manual_seed(number))
    bend = torch.Generator().manual_seed(number)
    return tuple(Batch(jittered(b.x[0, :, 0], jitter, generator=bend)[:, None], b.y[0]) for b in task[:2])


@cache
def _family() -> Glyphs:
    return Glyphs("held out", n_way=MAX_WAY, jitter=0.0)


def _first(batch: Batch, way: int, n: int) -> Batch:
    return Batch(*(part.unflatten(0, (MAX_WAY, -1))[:way, :n].flatten(0, 1) for part in batch))


@lru_cache(maxsize=64)
def answered(setting: Setting, number: int) -> tuple[Batch, Batch, np.ndarray | None]:
    """The support, the queries asked and the confidences: kept, since strokes leave them as they are."""
    method, way, k_shot, jitter = setting
    support, query = episode(number, jitter, way, k_shot)
    order = torch.randperm(MAX_WAY * N_QUERY, generator=torch.Generator().manual_seed(number))
    asked = Batch(*(part[order[order < way * N_QUERY][:N_ASKED]] for part in query))
    return support, asked, confidences(method, way, support, asked.x).numpy() if can(method, way) else None


@lru_cache(maxsize=10_000)
def score(setting: Setting, number: int) -> float:
    """The share of right answers on all queries of one episode; only for ways that the method can do."""
    method, way, k_shot, jitter = setting
    support, query = episode(number, jitter, way, k_shot)
    return float((confidences(method, way, support, query.x).argmax(1) == query.y).float().mean())


def _places(way: int, k_shot: int) -> Frame:
    """Where the pictures stand: a row for each letter, the first on top, its examples left of 0; the queries above."""
    rows, pitch = way - 0.5 - np.arange(way), min(1.0, 0.1 + 7 / (way + 2))
    return {
        "across": np.array([-max(1.45, k_shot * pitch + 0.4), N_ASKED + 0.05]),
        "up": np.array([-0.1, way + 1.75]),
        "support_x": np.tile((np.arange(k_shot) - k_shot + 0.5) * pitch - 0.2, way),
        "support_y": np.repeat(rows, k_shot),
        "query_x": np.arange(N_ASKED) + 0.5,
        "query_y": np.full(N_ASKED, way + 0.7),
        "sign_y": np.full(N_ASKED, way + 1.5),
        "cell_x": np.tile(np.arange(N_ASKED) + 0.5, way),
        "cell_y": np.repeat(rows, N_ASKED),
        "sign_row": way + 1.5,
        "top_row": way * 1.015 + 0.35,
        "chance": 1 / way,
    }


def _matrix(shares: np.ndarray | None, truth: np.ndarray, way: int) -> Frame:
    """The confidences letter by letter, in the colour of a right or of a wrong answer, and the true letter framed."""
    can_do = shares is not None
    shares = shares if can_do else np.zeros((N_ASKED, way), np.float32)
    answer, right = shares.argmax(1), (shares.argmax(1) == truth) & can_do
    colours = ["right" if good else "wrong" for good in right]
    return {
        "shares": shares.T.flatten(),
        "percent": [f"{100 * share:.0f}" if share >= 0.05 else "" for share in shares.T.flatten()],
        "cell_colours": [colours[i] if row == answer[i] else "before" for row in range(way) for i in range(N_ASKED)],
        "true_cells": (np.arange(way)[:, None] == truth).flatten().astype(np.float32),
        "signs": [("✓" if good else "✗") if can_do else "" for good in right],
        "sign_colours": colours,
        "right": int(right.sum()),
        "cannot": not can_do,
    }


def _accuracy(setting: Setting, number: int) -> Frame:
    """The share of right answers in the episodes up to this one, for the method and for pixels, and their means."""
    method, *rest = setting
    judged = range(max(1, number + 1 - LAST.get(method, MAX_EPISODE)), number + 1)
    pixels = [score((BASELINE, *rest), n) for n in judged]
    own = [score(setting, n) for n in judged] if can(method, rest[0]) else []
    mean, base = (float(np.mean(scores)) if scores else 0.0 for scores in (own, pixels))
    half = 1.96 * float(np.std(own, ddof=1)) / len(own) ** 0.5 if len(own) > 1 else 0.0
    gap = float(np.mean(np.subtract(own, pixels))) if own else 0.0
    return {
        "first": judged[0],
        "episodes": np.array(judged if own else [], np.float32),
        "scores": np.array(own, np.float32),
        "all_episodes": np.array(judged, np.float32),
        "pixel_scores": np.array(pixels, np.float32),
        "mean": mean,
        "half": half,
        "pixel_mean": base,
        "several": len(own) > 1,
        "others": method != BASELINE,
        "better": gap > max(0.02, half),
        "worse": gap < -max(0.02, half),
    }


def _own(method: str, drawings: Sequence) -> Frame:
    """What the reader's last drawing is, by the others, and what is missing if that cannot be said."""
    pictures = [drawn(strokes) if strokes else None for strokes in drawings]
    classes = [i for i in range(ASK) if pictures[i] is not None]
    asked, shares = pictures[ASK], np.full(ASK + 1, np.nan, np.float32)
    enough = len(classes) > 1
    if enough and asked is not None and can(method, len(classes)):
        support = Batch(torch.stack([pictures[i] for i in classes]), torch.arange(len(classes)))
        shares[classes] = confidences(method, len(classes), support, asked[None])[0].numpy()
    known = bool(np.isfinite(shares).any())
    best = int(np.nanargmax(shares)) if known else 0
    letters = [LETTERS[i] for i in classes]
    return {
        "own_shares": shares,
        "own_best": LETTERS[best],
        "own_share": float(shares[best]) if known else 0.0,
        "own_known": known,
        "own_unsure": known and float(shares[best]) < 1.5 / len(classes),
        "own_letters": " and ".join(filter(None, [", ".join(letters[:-1]), *letters[-1:]])),
        "own_n": len(classes),
        "own_none": not classes,
        "own_one": len(classes) == 1,
        "own_unasked": enough and asked is None,
    }


# What is drawn and said -----------------------------------------------------------------------------------

WAYS = " or ".join(map(str, JUDGED_WAYS))
HALVES = [[0, "0 %"], [0.25, ""], [0.5, "50 %"], [0.75, ""], [1, "100 %"]]
EXPLORER = Explorer(
    "few-shot",
    State,
    "One example of each new letter. Which letter is each query?",
    "Add letters and examples, bend them, change the method. Or draw your own, below.",
    axes=(
        axes("episode", "across", "up", "how sure, in %; framed: the true letter", bare=True, share=2.1),
        axes("scores", (0.4, MAX_EPISODE + 0.6), (0, 1.04), "right, by episode", xlabel="episode", yticks=HALVES),
    ),
    marks=(
        tiles("episode", "cell_x", "cell_y", "shares", "cell_colours", words="percent", framed="true_cells"),
        images("episode", "support", "support_x", "support_y", "support"),
        images("episode", "query", "query_x", "query_y", "query"),
        text("episode", "query_x", "sign_y", "signs", "sign_colours", bold=True),
        text("episode", -0.2, "sign_row", "queries", "query", align="right", bold=True),
        text("episode", -0.2, "top_row", "support", "support", align="right", bold=True),
        rule("scores", "soft", y="chance", name="guessing"),
        points("scores", "all_episodes", "pixel_scores", BASELINE, shape="ring", size=4, name="pixels", when="others"),
        line("scores", "scores", "{method}", x="episodes", width=1.2, fade=0.4),
        points("scores", "episodes", "scores", "{method}", size=5, name="{method}", near="end"),
    ),
    sentence=(
        {
            "cannot": f"[{{method}}|{{method}}] **was meta-trained for {WAYS} letters**, as many as its last layer has"
            f" outputs, and you ask for {{way}}: set N to {WAYS}, or choose another method.",
            "several": "[{method}|{method}]: **{right} of 10 right** here; {mean:.0%} ± {half:.0%} in all of episodes {first}"
            " to {episode}.",
            "": "[{method}|{method}]: **{right} of 10 right** here; {mean:.0%} in all of this episode.",
        },
        {
            "cannot": "",
            "not others": "It compares pixels alone; guessing gives {chance:.0%}.",
            "better": "More than pixels alone give, {pixel_mean:.0%}: what it learned on other alphabets helps here.",
            "worse": "Less than pixels alone give, {pixel_mean:.0%}.",
            "": "Pixels alone do as well: {pixel_mean:.0%}.",
        },
        {
            "own_unsure": "Your drawing looks most like **{own_best}**, but is hardly more like it: {own_share:.0%}.",
            "own_known": "Your drawing looks most like **{own_best}**: {own_share:.0%} sure.",
            "own_none": "Nothing is drawn: draw characters in A and B, and one of them again in “?”.",
            "own_one": "Only {own_letters} is drawn: draw a second character that looks different.",
            "own_unasked": "{own_letters} are drawn: draw one of them again in “?”.",
            "": f"Of drawings this method needs {min(JUDGED_WAYS)}, and {{own_n}} are there.",
        },
    ),
    presets={
        "20 letters": {"way": 20},
        "20 letters, 5 of each": {"way": 20, "k_shot": 5},
        "not bent: pixels": {"jitter": 0.0, "method": BASELINE},
        "bent twice as far": {"jitter": 2.0},
        "five invented characters": {"drawings": INVENTED},
        "draw your own": {"drawings": ((),) * (ASK + 1)},
    },
    kernel=compute,
    height=0.43,
    colours={label: COLOUR_OF[name] for name, label in NAMES.items()} | {"right": "#0072B2", "wrong": "#D55E00"},
)
explorer = EXPLORER.open
