"""What the few-shot explorer computes: one episode of unseen letters, and what a reader has drawn."""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mapping_lib.task import Batch
from mapping_lib.worlds.letters import Glyphs
from mapping_lib.worlds.pictures import jittered

from .explorer_drawing import EXAMPLES, Drawing, image_of
from .methods import JUDGED_WAYS, ready

MAX_WAY, MAX_SHOT, N_QUERY = 20, 5, 5
N_ASKED, JUDGED = 10, 20
"""How many queries of the episode are asked and drawn, and over how many episodes the accuracy is taken."""

LETTERS = "ABCDE"
ASK = len(LETTERS)
"""The reader's drawings: one of each letter, and behind them the one to be recognised."""


LABELS = {"prototypical": "prototypical network"}
"""How a method is called here, where that is not its name."""

FIXED, WAYS = ("MAML", "ANIL"), " or ".join(map(str, JUDGED_WAYS))
"""Methods with a theta for some numbers of ways alone, `JUDGED_WAYS`: their last layer has so many outputs."""


@dataclass(frozen=True)
class State:
    """The values of the controls. ``drawings`` has a place for each of `LETTERS` and one at `ASK`.

    ``place`` is the one that the pad shows.
    """

    way: int = 5
    k_shot: int = 1
    jitter: float = 1.0
    episode: int = 6
    method: str = "prototypical"
    drawings: tuple[Drawing, ...] = EXAMPLES[0]
    place: int = ASK

    @property
    def setting(self) -> tuple[str, int, int, float]:
        """What the accuracy hangs on."""
        return self.method, self.way, self.k_shot, self.jitter


class Frame(NamedTuple):
    """What is drawn. Of the episode: images, labels and confidences ``shares (query, way)``.

    Of the reader's drawings: the images, None where nothing is drawn, the places that are classes, and the confidence
    in each of them. ``shares`` and ``answer`` are None where the method cannot say, or has nothing to say it from.
    ``scores`` are the shares of right answers in the episodes judged so far.
    """

    state: State
    support: np.ndarray
    query: np.ndarray
    truth: np.ndarray
    shares: np.ndarray | None
    drawn: tuple[np.ndarray | None, ...]
    classes: tuple[int, ...]
    answer: np.ndarray | None
    scores: tuple[float, ...] = ()

    @property
    def right(self) -> np.ndarray:
        """Which of the queries are answered right; none where the method does not fit."""
        if self.shares is None:
            return np.zeros(0, bool)
        return self.shares.argmax(1) == self.truth

    @property
    def words(self) -> str:
        """What a reader should see, of the episode and of the drawings."""
        return f"{_episode_in_words(self)}<br>{_drawing_in_words(self)}"


def compute(state: State) -> Frame:
    """Adapt to the support of one episode, and to the reader's drawings; say what each query is.

    >>> frame = compute(State(way=3, k_shot=2))
    >>> frame.support.shape, frame.query.shape, frame.shares.shape
    ((3, 2, 28, 28), (10, 28, 28), (10, 3))
    """
    support, asked, shares = _answered_episode(state.setting, state.episode)
    drawn = tuple(image_of(drawing) for drawing in state.drawings)
    classes = tuple(place for place in range(ASK) if drawn[place] is not None)
    return Frame(
        state,
        support.x.view(state.way, state.k_shot, *support.x.shape[2:]).numpy(),
        asked.x[:, 0].numpy(),
        asked.y.numpy(),
        shares,
        tuple(None if image is None else image[0].numpy() for image in drawn),
        classes,
        _answer(state.method, [drawn[place] for place in classes], drawn[ASK]),
    )


def episode(number: int, jitter: float, way: int, k_shot: int) -> tuple[Batch, Batch]:
    """The support and the query of one episode.

    More ways add letters, more shots add images of each, more jitter bends the same images further the same way.
    """
    support, query = _largest(number, jitter)
    return _first(support, way, k_shot), _first(query, way, N_QUERY)


@lru_cache(maxsize=JUDGED)
def _largest(number: int, jitter: float) -> tuple[Batch, Batch]:
    """The episode with most ways and shots; the others are parts of it."""
    task = _family().sample(1, MAX_SHOT, N_QUERY, generator=torch.Generator().manual_seed(number))
    bend = torch.Generator().manual_seed(number)
    return tuple(Batch(jittered(b.x[0, :, 0], jitter, generator=bend)[:, None], b.y[0]) for b in task[:2])


@cache
def _family() -> Glyphs:
    return Glyphs("held out", n_way=MAX_WAY, jitter=0.0)


def _first(batch: Batch, way: int, n: int) -> Batch:
    """The first ``n`` examples of each of the first ``way`` classes."""
    return Batch(*(part.unflatten(0, (MAX_WAY, -1))[:way, :n].flatten(0, 1) for part in batch))


def _places_asked(number: int, way: int) -> Tensor:
    """Which queries are asked: drawn from all, the same ones as far as their classes take part."""
    order = torch.randperm(MAX_WAY * N_QUERY, generator=torch.Generator().manual_seed(number))
    return order[order < way * N_QUERY][:N_ASKED]


@lru_cache(maxsize=32)
def _answered_episode(setting: tuple[str, int, int, float], number: int) -> tuple[Batch, Batch, np.ndarray | None]:
    """The support, the queries asked and the confidences: kept, since strokes leave them as they are."""
    method, way, k_shot, jitter = setting
    support, query = episode(number, jitter, way, k_shot)
    asked = Batch(*(part[_places_asked(number, way)] for part in query))
    return support, asked, confidences(method, way, support, asked.x)


def can(method: str, way: int) -> bool:
    """Whether a method can tell so many classes apart."""
    return method not in FIXED or way in JUDGED_WAYS


def confidences(method: str, way: int, support: Batch, x: Tensor) -> np.ndarray | None:
    """How sure a method is of each class, ``(query, way)``, rows adding up to 1; None where it cannot do so many ways.

    This is the softmax of the learner's logits. For methods without training those are only minus a distance.
    """
    if not can(method, way):
        return None
    learner, theta = _ready(method, way, len(support.y) // way)
    with torch.no_grad():
        return learner.predict(learner.adapt(theta, support), x).softmax(-1).numpy()


_ready = lru_cache(maxsize=64)(ready)


@lru_cache(maxsize=10_000)
def score(setting: tuple[str, int, int, float], number: int) -> float:
    """The share of right answers on all queries of one episode; only for ways that the method can do."""
    method, way, k_shot, jitter = setting
    support, query = episode(number, jitter, way, k_shot)
    return float((confidences(method, way, support, query.x).argmax(1) == query.y.numpy()).mean())


def _answer(method: str, examples: list[Tensor], asked: Tensor | None) -> np.ndarray | None:
    if len(examples) < 2 or asked is None:
        return None
    shares = confidences(method, len(examples), Batch(torch.stack(examples), torch.arange(len(examples))), asked[None])
    return None if shares is None else shares[0]


# Words ----------------------------------------------------------------------------------------------------


def _episode_in_words(frame: Frame) -> str:
    state, label = frame.state, LABELS.get(frame.state.method, frame.state.method)
    if frame.shares is None:
        return (
            f"<b>{label} was meta-trained for {WAYS} classes</b>, as many as its last layer has outputs,"
            f" and you ask for {state.way}. Set the ways to {WAYS}, or choose another method."
        )
    right = f"<b>{label}: {frame.right.sum()} of {N_ASKED} right</b> in episode {state.episode}."
    return f"{right} {_accuracy_in_words(frame.scores)} Guessing: {1 / state.way:.0%}."


def _accuracy_in_words(scores: tuple[float, ...]) -> str:
    if len(scores) < 2:
        return ""
    half = 1.96 * np.std(scores, ddof=1) / len(scores) ** 0.5
    return f"Over {len(scores)} episodes of this setting: <b>{np.mean(scores):.0%}</b> ± {half:.0%}."


def _drawing_in_words(frame: Frame) -> str:
    letters = [LETTERS[place] for place in frame.classes]
    if frame.answer is not None:
        best = int(frame.answer.argmax())
        return f"Your drawing looks most like <b>{letters[best]}</b>: {frame.answer[best]:.0%} sure."
    if not letters:
        return "Nothing is drawn yet: draw a first character on the pad, then press <b>next character</b>."
    if len(letters) == 1:
        return f"Only {letters[0]} is drawn: press <b>next character</b> and draw a second one that looks different."
    if frame.drawn[ASK] is None:
        drawn = f"{', '.join(letters[:-1])} and {letters[-1]} are drawn"
        return f"{drawn}: press <b>ask</b>, and draw one of them again."
    return (
        f"{frame.state.method} was meta-trained for {WAYS} classes, and {len(letters)} are drawn: draw"
        f" {min(JUDGED_WAYS)}, or choose another method."
    )
