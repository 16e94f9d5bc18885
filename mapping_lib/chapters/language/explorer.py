"""Explorer: a few names of some languages. Which of them is another name from, and which letters say so?

The kernel computes it: the 35,000 names and the thetas of ten methods are 8 MB, and a name is no tensor before its
letters are counted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import NamedTuple

import numpy as np
import torch

from mapping_lib.page.explorer import Explorer, Frame
from mapping_lib.page.fields import box, choice, slider
from mapping_lib.page.marks import axes, bars, line, text, tiles
from mapping_lib.study import read_table

from .family import PARTS, Language, features, languages, pulls, unreadable
from .study import METHODS, N_WAY, adapted, nearest_shots

MAX_SHOTS, N_OTHERS, MAX_LETTERS, TOP = 20, 20, 40, 8
"""How many names of a language are shown and how many others are asked; letters of a typed name; n-grams drawn."""

N = len(METHODS)
EXPLAINED = "nearest centroid"
"""How many methods there are; the one whose decision is a sum over n-grams."""

COLOURS = {f"language {i}": c for i, c in enumerate(("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#8C6510"))}
"""One colour a language of the task, in the order drawn."""


@dataclass(frozen=True)
class State:
    """Which languages, how many names of each, which name is asked, and of whom.

    A ``name`` that is typed is asked; with none, the ``asked``-th of the names that no method was shown. ``draw``
    says which languages are drawn from ``part``, ``examples`` which of their names are shown.
    """

    name: str = box("", "type a name", "a country, a language", large="half")
    k_shot: int = slider(1, 1, MAX_SHOTS, "names", "of each language", large="half")
    n_way: int = slider(N_WAY, 2, N_WAY, "languages", large="half")
    asked: int = slider(1, 1, 40, "or ask one", "not shown", large="half")
    method: str = choice(EXPLAINED, list(METHODS), "method")
    part: str = choice("held out", list(PARTS), "drawn from")
    draw: int = slider(6, 0, 99, "which languages")
    examples: int = slider(0, 0, 19, "which names")


class Drawn(NamedTuple):
    """The languages of a state, the names shown, and twenty others of each."""

    languages: tuple[Language, ...]
    support: tuple[tuple[str, ...], ...]
    others: tuple[tuple[str, ...], ...]


# What is computed -----------------------------------------------------------------------------------------


def compute(state: State) -> Frame:
    """Ask all methods for the language of one name.

    >>> frame = compute(State(n_way=2, name="Reykjavík"))
    >>> frame["probabilities"].shape, frame["typed"]
    ((10, 2), True)
    """
    of = (state.part, state.n_way, state.k_shot, state.draw, state.examples)
    drawn = draw(*of)
    name, label = asked(state, drawn)
    problem = unreadable(name)
    p = np.zeros((N, state.n_way)) if problem else np.stack([_adapted(method, of)[0](name) for method in METHODS])
    return (
        {"probabilities": p, "asked_name": name, "problem": problem, "typed": label is None}
        | _names(state, drawn, label)
        | _answers(state, drawn, p, label, of)
        | _ngrams(name, p, drawn, problem)
    )


@lru_cache(maxsize=256)
def draw(part: str, n_way: int, k_shot: int, seed: int, examples: int) -> Drawn:
    """Draw languages, the names shown, and others; more examples leave the earlier ones in place."""
    everything = languages(part)
    chosen = tuple(everything[i] for i in _order(len(everything), seed)[:n_way])
    orders = [_order(len(language.names), 1000 * seed + examples) for language in chosen]
    names = [
        tuple(tuple(language.names[j] for j in order[a:b]) for language, order in zip(chosen, orders, strict=True))
        for a, b in ((0, k_shot), (MAX_SHOTS, MAX_SHOTS + N_OTHERS))
    ]
    return Drawn(chosen, *names)


def _order(n: int, seed: int) -> list[int]:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()


def asked(state: State, drawn: Drawn) -> tuple[str, int | None]:
    """The typed name, of which nobody knows the language, or one that is not shown, and its language."""
    if typed := " ".join(state.name.split())[:MAX_LETTERS]:
        return typed, None
    at, label = divmod(state.asked - 1, state.n_way)
    return drawn.others[label][at % N_OTHERS], label


@lru_cache(maxsize=4096)
def _adapted(method: str, of: tuple) -> tuple[Callable, float]:
    """A method after the names shown (``of``: part, ways, shots, draw, examples), and how often others are right."""
    drawn, n_way, k_shot = draw(*of), of[1], of[2]
    y = torch.arange(n_way)
    answers = adapted(method, sum(drawn.support, ()), y.repeat_interleave(k_shot), k_shot)
    right = answers(sum(drawn.others, ()))[:, :n_way].argmax(-1) == y.repeat_interleave(N_OTHERS)
    return (lambda name: answers([name])[0, :n_way].softmax(-1).numpy()), float(right.float().mean())


# The frame ------------------------------------------------------------------------------------------------


def _names(state: State, drawn: Drawn, label: int | None) -> Frame:
    """The names shown, language by language from above."""
    pitch = 0.88 / state.n_way
    top = 0.835 - pitch * np.arange(state.n_way)
    return {
        "titles": [("✓ " if i == label else "") + language.name for i, language in enumerate(drawn.languages)],
        "title_colours": list(COLOURS)[: state.n_way],
        "title_y": top,
        "title_x": np.zeros(state.n_way),
        "shown": [", ".join(names) for names in drawn.support],
        "tall": 1.03 * pitch,
        "truth": "" if label is None else drawn.languages[label].name,
    }


def _answers(state: State, drawn: Drawn, p: np.ndarray, label: int | None, of: tuple) -> Frame:
    """Each method's answer, as bars one behind the other, and how often it is right among other names."""
    row = list(METHODS).index(state.method)
    ends = np.pad(p.cumsum(1), ((0, 0), (1, N_WAY - state.n_way)), mode="edge")
    ends[:, 0] = 0
    right = [_adapted(method, of)[1] for method in METHODS]
    n_right = int((p.argmax(1) == label).sum()) if label is not None else 0
    best, k_shot = int(p[row].argmax()), nearest_shots(state.k_shot)
    return {f"end_{i}": ends[:, i] for i in range(N_WAY + 1)} | {
        "method_x": np.full(N, -0.04),
        "method_y": N - 1.0 - np.arange(N),
        "unchosen": ["" if method == state.method else method for method in METHODS],
        "chosen": [method if method == state.method else "" for method in METHODS],
        "right_percent": [f"{share:.0%}".replace("%", " %") for share in right],
        "right_x": np.full(N, 1.38),
        "answer": drawn.languages[best].name,
        "answer_colour": f"language {best}",
        "sure": float(p[row, best]),
        "is_right": best == label,
        "n_right": n_right,
        "here": right[row],
        "n_others": N_OTHERS * state.n_way,
        "few": state.n_way < N_WAY,
        "chance": 1 / state.n_way,
        "there": _table()[state.method, f"{k_shot}-shot"].mean,
        "there_shots": k_shot,
        "met": state.part == "train" and METHODS[state.method].trained,
    }


_table = cache(partial(read_table, "language_names"))


def _ngrams(name: str, p: np.ndarray, drawn: Drawn, problem: str) -> Frame:
    """Which runs of letters speak for the nearest centroid's first language and against its second, or the reverse."""
    first, second = (int(i) for i in np.argsort(-p[list(METHODS).index(EXPLAINED)], kind="stable")[:2])
    centres = torch.stack([features(names).mean(0) for names in drawn.support])
    each = [] if problem else pulls(name, centres, first, second)[0]
    total: dict[str, float] = {}
    letters = np.zeros(max(len(name), len(name.lower())))
    for begin, run, pull in each:
        total[run] = total.get(run, 0.0) + pull
        inside = [i for i in range(begin, begin + len(run)) if 0 <= i < len(letters)]
        letters[inside] += pull / len(inside)
    loudest = sorted(total.items(), key=lambda pair: -abs(pair[1]))[:TOP]
    loudest = [(run, pull) for run, pull in loudest if pull]
    side = lambda pull: f"language {first if pull > 0 else second}"  # noqa: E731
    written = name if len(name) == len(letters) else name.lower()
    strength = max((abs(pull) for _, pull in loudest), default=1.0)
    best = {sign: next((run for run, pull in loudest if pull * sign > 0), "") for sign in (1, -1)}
    return {
        "pulls": np.array([0.0, 0.0, 0.0, *[pull / strength for _, pull in loudest]]),
        "pull_colours": [side(1), side(1), side(1), *[side(pull) for _, pull in loudest]],
        "runs": [run.replace(" ", "_") for run, _ in loudest],
        "run_x": np.full(len(loudest), -1.08),
        "run_y": TOP - 1.0 - np.arange(len(loudest)),
        "letters": list(written),
        "letter_x": np.arange(len(letters)) + 0.5,
        "letter_y": np.full(len(letters), 0.95),
        "letter_pull": np.abs(letters) / max(1e-9, np.abs(letters).max()) * 0.85,
        "letter_colours": [side(pull) for pull in letters],
        "across": np.array([0.0, max(14, len(letters))]),
        "first": drawn.languages[first].name,
        "second": drawn.languages[second].name,
        "first_colour": side(1),
        "second_colour": side(-1),
        "run_for": best[1].replace(" ", "_"),
        "run_against": best[-1].replace(" ", "_"),
        "silent": not loudest,
    }


# What is drawn and said -----------------------------------------------------------------------------------

EXPLORER = Explorer(
    "languages",
    State,
    "A few names of some languages. Which one is another name from?",
    "Type a name, show more names of each language, or press a method to hear its answer.",
    axes=(
        axes("names", "across", (0, 1), "a name, and some of each", bare=True, share=1.1),
        axes("answers", (-1.6, 1.4), (-0.5, N - 0.5), "which language?", bare=True, share=1.75),
        axes("ngrams", (-1.6, 1.05), (-0.5, TOP + 2.5), "what pulled", bare=True, share=0.9),
    ),
    marks=(
        tiles("names", "letter_x", "letter_y", "letter_pull", "letter_colours", size=(1, 0.1), words="letters"),
        text("names", "title_x", "title_y", "titles", "title_colours", align="left", bold=True),
        text("names", "title_x", "title_y", "shown", "ink", align="left", below=1, tall="tall"),
        *(
            bars("answers", f"end_{i + 1}", f"language {i}", base=f"end_{i}", words=None, choose="method")
            for i in range(N_WAY)
        ),
        text("answers", "method_x", "method_y", "unchosen", align="right"),
        text("answers", "method_x", "method_y", "chosen", "ink", align="right", bold=True),
        text("answers", "right_x", "method_y", "right_percent", "ink", align="right"),
        text("answers", 1.38, N - 0.5, "others right", align="right", below=-0.72),
        text("ngrams", 1.05, TOP + 2, "to {first} →", "{first_colour}", align="right", bold=True, tall=1.5),
        text("ngrams", -1.6, TOP + 0.7, "← to {second}", "{second_colour}", align="left", bold=True, tall=1.5),
        line("ngrams", (-0.5, TOP - 0.5), "soft", x=(0, 0), width=1.2),
        bars("ngrams", "pulls", "pull_colours", words=None, rows=TOP + 3),
        text("ngrams", "run_x", "run_y", "runs", "ink", align="right"),
    ),
    sentence=(
        {
            "problem": "**“{asked_name}” cannot be read**: {problem}. Empty the box to get a name back.",
            "typed": "**{asked_name}**: {method} answers [{answer}|{answer_colour}] ({sure:.0%}). You typed it, so nobody"
            " here knows the truth.",
            "is_right": "**{asked_name}**: {method} answers [{answer}|{answer_colour}] ({sure:.0%}), which is right;"
            f" {{n_right}} of {N} methods are.",
            "": "**{asked_name}**: {method} answers [{answer}|{answer_colour}] ({sure:.0%}), but it is {truth};"
            f" {{n_right}} of {N} methods are right.",
        },
        {
            "problem": "",
            "silent": "No letter of it pulls the nearest centroid to any side.",
            "not run_for": "",
            "not run_against": "In the nearest centroid “{run_for}” speaks loudest, for [{first}|{first_colour}].",
            "": "In the nearest centroid “{run_for}” speaks loudest for [{first}|{first_colour}], “{run_against}” for"
            " [{second}|{second_colour}].",
        },
        {
            "problem": "",
            "few": "Of {n_others} others it gets {here:.0%} right; by chance it would be {chance:.0%}.",
            "met": "It met these languages in training: of {n_others} others it gets {here:.0%} right, of languages never"
            " met {there:.0%}.",
            "": "Of {n_others} others it gets {here:.0%} right, in 600 tasks {there:.0%} ({there_shots:name} each).",
        },
    ),
    presets={
        "5 names each": {"k_shot": 5},
        "20 names each": {"k_shot": 20},
        "2 languages": {"n_way": 2},
        "seen in training": {"part": "train", "method": "prototypical network"},
    },
    actions=(("new languages", "draw", "next"), ("next name", "asked", "next")),
    kernel=compute,
    height=0.46,
    more="more: method, which languages, which names",
    colours=COLOURS,
)
explorer = EXPLORER.open
