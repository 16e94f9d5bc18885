"""What the explorer of languages computes: one name asked of eight methods, and the n-grams that spoke."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from html import escape
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mapping_lib.study import read_table
from mapping_lib.task import Batch

from .family import PARTS, Language, counts, features, languages, ngrams, part_features, place
from .study import CHOSEN, METHODS, SHOTS

MAX_SHOTS, N_OTHERS, MAX_LETTERS = 20, 20, 40
SHARPNESS = dict.fromkeys(("nearest centroid", "idf weights", "embedding and raw"), 15.0)
"""These methods learned no scale for their squared distances between vectors of length 1: times this, to be logits."""

REST = "(rest)"
"""The part of the centroid's decision that belongs to no n-gram of the name: one centroid is longer."""


@dataclass(frozen=True)
class State:
    """The values of the controls: which languages, how many names of each, which name is asked, and of whom.

    A ``name`` that is typed is asked; with none, the ``asked``-th of the names that no method was shown. ``draw``
    says which languages are drawn from ``part``, ``examples`` which of their names are shown.
    """

    n_way: int = 5
    k_shot: int = 1
    draw: int = 3
    examples: int = 0
    asked: int = 0
    part: str = "held out"
    method: str = "nearest centroid"
    name: str = ""


class Asked(NamedTuple):
    """The name that is asked, and which of the languages it is from: None for one that was typed."""

    name: str
    label: int | None
    problem: str = ""


class Frame(NamedTuple):
    """What is drawn. ``support`` are the example names of each language; ``probabilities`` ``(language,)`` by method.

    ``here`` is each method's share of right answers among twenty other names of each of these languages, ``there``
    its mean over the 600 episodes of the stored table with the nearest number of examples (``there_shots``).
    ``spoke`` are n-grams of the name with what each added to the centroid's score of ``first`` over ``second``.
    """

    state: State
    languages: tuple[Language, ...]
    support: tuple[tuple[str, ...], ...]
    asked: Asked
    probabilities: dict[str, np.ndarray]
    here: dict[str, float]
    there: dict[str, float]
    there_shots: int
    first: int
    second: int
    spoke: list[tuple[str, float]]
    words: str


class Drawn(NamedTuple):
    """The languages of a state, the names shown, twenty others, and their rows among all names of the part."""

    languages: tuple[Language, ...]
    support: tuple[tuple[str, ...], ...]
    others: tuple[tuple[str, ...], ...]
    support_rows: Tensor
    other_rows: Tensor


def compute(state: State) -> Frame:
    """Ask all methods for the language of one name.

    >>> frame = compute(State(n_way=2, name="Reykjavík"))
    >>> {len(p) for p in frame.probabilities.values()}, frame.asked.label
    ({2}, None)
    """
    drawn = draw(state.part, state.n_way, state.k_shot, state.draw, state.examples)
    asked = _asked(state, drawn)
    probabilities, first, second, spoke = {}, 0, 1, []
    if not asked.problem:
        probabilities = {method: probability(method, state, asked.name) for method in METHODS}
        order = np.argsort(-probabilities["nearest centroid"], kind="stable")
        first, second = int(order[0]), int(order[1])
        spoke = contributions(asked.name, centroids(drawn, state), first, second)
    there_shots = min(SHOTS, key=lambda k: abs(k - state.k_shot))
    table = _read_table("language_names")
    frame = Frame(
        state,
        drawn.languages,
        drawn.support,
        asked,
        probabilities,
        {method: share_right(method, _what_counts(state)) for method in METHODS},
        {method: table[method, f"{there_shots}-shot"].mean for method in METHODS},
        there_shots,
        first,
        second,
        spoke,
        "",
    )
    return frame._replace(words=words_of(frame))


_read_table = cache(read_table)


@lru_cache(maxsize=256)
def draw(part: str, n_way: int, k_shot: int, seed: int, examples: int) -> Drawn:
    """Draw languages, the names shown, and others; more examples leave the earlier ones in place."""
    all_languages = languages(part)
    sizes = torch.tensor([len(language.names) for language in all_languages])
    begins = sizes.cumsum(0) - sizes
    chosen = torch.randperm(len(all_languages), generator=torch.Generator().manual_seed(seed))[:n_way].tolist()
    orders = [_order(int(sizes[i]), 1000 * seed + examples) for i in chosen]
    support, others = ([order[a:b] for order in orders] for a, b in ((0, k_shot), (MAX_SHOTS, MAX_SHOTS + N_OTHERS)))
    return Drawn(
        tuple(all_languages[i] for i in chosen),
        tuple(tuple(all_languages[i].names[j] for j in order) for i, order in zip(chosen, support, strict=True)),
        tuple(tuple(all_languages[i].names[j] for j in order) for i, order in zip(chosen, others, strict=True)),
        *(
            torch.tensor([int(begins[i] + j) for i, order in zip(chosen, orders, strict=True) for j in order])
            for orders in (support, others)
        ),
    )


def _order(n: int, seed: int) -> list[int]:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()


def _asked(state: State, drawn: Drawn) -> Asked:
    """The typed name, or a held-out one; with what is wrong about the typed one."""
    typed = " ".join(state.name.split())[:MAX_LETTERS]
    if typed:
        return Asked(typed, None, unreadable(typed))
    label = state.asked % state.n_way
    return Asked(drawn.others[label][state.asked // state.n_way % N_OTHERS], label)


def unreadable(name: str) -> str:
    """What is wrong with a name that was typed: no letter, or letters that no training name has; else nothing.

    >>> unreadable("42 !"), unreadable("Oslo")
    ('it has no letter', '')
    """
    letters = [c for c in name.lower() if c.isalpha()]
    if not letters:
        return "it has no letter"
    strange = sorted({c for c in letters if c not in characters()})
    return f"no name of the suite has the letter {strange[0]}; write it in Latin letters" if strange else ""


@lru_cache(maxsize=1)
def characters() -> frozenset[str]:
    """All characters that occur in a name of any language, as it is written and in lower case."""
    names = (name for part in PARTS for language in languages(part) for name in language.names)
    return frozenset(c for name in names for c in name + name.lower())


def _what_counts(state: State) -> tuple:
    return state.part, state.n_way, state.k_shot, state.draw, state.examples


@lru_cache(maxsize=4096)
def adapted(method: str, of: tuple) -> tuple[Callable, dict]:
    """What reads a name for a method, and its phi after the names shown (``of``: part, ways, shots, draw, examples)."""
    chosen, drawn = METHODS[method], draw(*of)
    learner, theta = chosen.make(CHOSEN.get(method, {}).get(min(SHOTS, key=lambda k: abs(k - of[2]))))
    x, _ = part_features(of[0], chosen.reading)
    y = torch.arange(of[1]).repeat_interleave(of[2])
    with torch.no_grad():
        phi = learner.adapt(theta, Batch(chosen.read(x[drawn.support_rows]), y))
    return (lambda x: learner.predict(phi, chosen.read(x))[:, : of[1]]), phi


def probability(method: str, state: State, name: str) -> np.ndarray:
    """The probability of each language for one name, ``(n_way,)``: the softmax of the method's logits."""
    read = counts if METHODS[method].reading == "counts" else features
    with torch.no_grad():
        logits = adapted(method, _what_counts(state))[0](read([name]))[0]
    return (logits * SHARPNESS.get(method, 1.0)).softmax(-1).numpy()


@lru_cache(maxsize=4096)
def share_right(method: str, of: tuple) -> float:
    """The share of right answers among the other names of these languages."""
    x, _ = part_features(of[0], METHODS[method].reading)
    y = torch.arange(of[1]).repeat_interleave(N_OTHERS)
    with torch.no_grad():
        return float((adapted(method, of)[0](x[draw(*of).other_rows]).argmax(-1) == y).float().mean())


def centroids(drawn: Drawn, state: State) -> Tensor:
    """The mean features of the names shown, ``(n_way, 1024)``."""
    return part_features(state.part)[0][drawn.support_rows].unflatten(0, (state.n_way, state.k_shot)).mean(1)


def contributions(name: str, centres: Tensor, first: int, second: int) -> list[tuple[str, float]]:
    """What each n-gram adds to |x - c_second|² - |x - c_first|², largest first; n-grams of one place share alike.

    The difference is Σ_g 2 x_g (c_first - c_second)_g + |c_second|² - |c_first|²; the last part is under `REST`.
    """
    grams = ngrams(name)
    places = [place(gram) for gram in grams]
    x = features([name])[0]
    at_place = 2 * x * (centres[first] - centres[second])
    each: dict[str, float] = {}
    for gram, at in zip(grams, places, strict=True):
        each[gram] = each.get(gram, 0.0) + float(at_place[at]) / places.count(at)
    each[REST] = float(centres[second].square().sum() - centres[first].square().sum())
    return sorted(each.items(), key=lambda pair: -abs(pair[1]))


def words_of(frame: Frame) -> str:
    """One or two sentences: what is asked, what the method answers, and whether that is right."""
    state, asked = frame.state, frame.asked
    if asked.problem:
        return f"<b>{escape(asked.name)} cannot be read: {escape(asked.problem)}.</b> Clear the box to get a name back."
    p = frame.probabilities[state.method]
    answer = frame.languages[int(p.argmax())].name
    text = f"<b>{escape(asked.name)}</b>: the {state.method} answers <b>{answer}</b> ({100 * p.max():.0f} %). "
    if asked.label is None:
        text += "You typed it, so nobody here knows the truth.<br>"
    else:
        truth = frame.languages[asked.label].name
        right = [m for m, q in frame.probabilities.items() if int(q.argmax()) == asked.label]
        verdict = "Right" if answer == truth else f"It is {truth}"
        text += f"{verdict}; {len(right)} of {len(METHODS)} methods are right."
        text += "<br>Nothing is typed: the name is one that no method was shown. "
    met = state.part == "train" and METHODS[state.method].trained
    return text + ("<b>This method has met these languages in meta-training.</b>" if met else "")
