"""What every explorer must answer, asked once of each that the library has."""

import importlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, NamedTuple

import pytest
from explorer_checks import any_of, colours_arrive, controls_matter, options_of, place_of, states_draw
from house import EXPLORERS, short

from mapping_lib.chapters.few_shot_images import explorer as few_shot
from mapping_lib.chapters.few_shot_images.explorer_compute import ASK
from mapping_lib.chapters.few_shot_images.explorer_drawing import EXAMPLES, as_drawing
from mapping_lib.chapters.few_shot_images.methods import METHODS
from mapping_lib.chapters.maml_code import explorer_meta_training as meta_training
from mapping_lib.chapters.maml_math import explorer_compute as landscape
from mapping_lib.page.panel import Panel

Draw = Callable[[random.Random], Any]


def any_number(rng: random.Random) -> int:
    return rng.randint(0, 10**6)


def one_of(*values: Any) -> Draw:
    return lambda rng: rng.choice(values)


def some_drawing(rng: random.Random) -> tuple:
    strokes = [[(rng.random(), rng.random()) for _ in range(rng.randrange(6))] for _ in range(rng.randrange(4))]
    return rng.choice([*EXAMPLES[rng.randrange(len(EXAMPLES))], as_drawing(strokes)])


FAST = ("pixel 1-NN", "joint features", "ANIL", "prototypical")
"""The others take ten times as long, many steps or all layers: among random states they are rare, with fewer ways."""


def few_shot_ways(rng: random.Random) -> dict[str, Any]:
    name = rng.choice([*METHODS, *FAST * 9])
    return {"method": name, "way": rng.choice([5, rng.randint(2, 20 if name in FAST else 8)])}


class Particular(NamedTuple):
    """What tells an explorer from the others, where they are asked the same.

    ``hidden`` draws the parts of a state that have no control; ``few``, parts of which fewer values are tried, since
    what is computed of each is remembered; ``together``, parts that hang on each other. Of ``n`` states every other
    one is drawn. ``moves`` are the buttons that are no presets, and what they move. ``only`` has the values of controls
    to try, where not all are. Colours come through the palette to ``most`` of 255, with each option of ``looks``.
    """

    hidden: Mapping[str, Draw] = {}
    few: Mapping[str, Draw] = {}
    together: Callable[[random.Random], dict[str, Any]] = lambda rng: {}
    n: int = 300
    grows: float = 10
    moves: Mapping[str, Mapping[str, Any]] = {}
    only: Mapping[str, Sequence[Any]] = {}
    most: float = 2.0
    white: int = 255
    looks: str = ""


NEW_POINTS = {"hidden": {"points": any_number}, "moves": {"new points": {"points": 1}}}
PARTICULAR = {
    "automl": Particular(moves={"new task": {"task": 24}}),
    "few_shot_images": Particular(
        hidden={"drawings": lambda rng: tuple(some_drawing(rng) for _ in range(ASK + 1)), "place": one_of(*range(6))},
        few={"jitter": one_of(0.0, 0.5, 1.0, 2.0)},
        together=few_shot_ways,
        grows=30,  # it remembers 64 settings of learner and theta
        moves={"new episode": {"episode": 7}, "another example": {"drawings": EXAMPLES[1]}},
        most=1.0,  # shades of a confidence are rounded
    ),
    "language": Particular(
        few={
            "n_way": one_of(2, 5),
            "k_shot": one_of(1, 20),
            "draw": one_of(0, 57),
            "examples": one_of(19),
            "part": one_of("validation", "held out"),
            "name": one_of("", "", "", "Oslo", "?", "ж", "x", "Å" * 90, "a b", "q", "日"),
        },
        moves={"new languages": {"draw": 4}, "next name": {"asked": 1}},
        only={"name": ["Oslo"], "part": ["train"], "method": ["MAML"]},
        most=3.0,
        white=252,  # the lightest colour of its palette
    ),
    "maml_code_adaptation": Particular(**NEW_POINTS, most=0.5),
    "maml_code_meta_training": Particular(hidden={"seed": any_number}),
    "mapping_view": Particular(**NEW_POINTS, most=0.6, looks="mapping"),
    "multitask_and_continual": Particular(
        hidden={"sequence": one_of(0, 1)},
        few={
            "steps": one_of(0, 5, 30),
            "alpha": one_of(10**-3.5, 0.01, 10**-1.5),
            "memory": one_of(0, 1, 10, 20),
        },
        moves={"new sequence": {"sequence": 1}},
        only={"now": [1], "steps": [0], "memory": [0], "alpha": [10**-3.5]},
        most=1.5,
    ),
    # fewer states than of the others: each takes a hundred tasks, which more states would have in common
    "other_mappings": Particular(
        hidden={"task": any_number},
        few={"steps": one_of(0, 1, 5, 20), "noise": one_of(0.0, 0.25, 1.0)},
        n=120,
        moves={"new task": {"task": 8}},
        most=1.0,
    ),
    "personalisation": Particular(moves={"one more": {"k_shot": 4}}, most=0.8, looks="data"),
    # each state is four hundred moves of a policy, one after the other
    "reinforcement_learning": Particular(n=60, moves={"new luck": {"luck": 2}}),
}


@pytest.fixture(params=EXPLORERS, ids=short)
def name(request) -> str:
    return request.param


@pytest.fixture
def own(name: str) -> Particular:
    return PARTICULAR.get(short(name), Particular())


@pytest.fixture
def presets(name: str) -> Mapping[str, Mapping[str, Any]]:
    return importlib.import_module(name).PRESETS


@pytest.fixture
def panel(name: str, monkeypatch) -> Panel:
    """The explorer, of which what goes on in the background ends soon."""
    monkeypatch.setattr(few_shot, "JUDGED", 2)
    monkeypatch.setattr(landscape, "OUTER_STEPS", 5)
    monkeypatch.setattr(meta_training, "OUTER_STEPS", 20)
    return importlib.import_module(name).explorer()


def test_states_that_are_spread_out_draw(panel: Panel, own: Particular):
    draws = {name: lambda rng, control=control: any_of(control, rng) for name, control in panel.controls.items()}
    draws |= own.hidden | own.few

    def any_state(rng: random.Random) -> Any:
        together = own.together(rng)
        return replace(panel.start_state, **{part: draw(rng) for part, draw in draws.items()} | together)

    states_draw(panel.compute, panel.canvas, any_state, own.n, own.grows)


def test_every_part_of_the_state_has_its_control(panel: Panel, own: Particular):
    assert set(panel.controls) == {field.name for field in fields(panel.start_state)} - set(own.hidden)


def test_every_control_changes_the_picture_and_reset_brings_it_back(panel: Panel, own: Particular):
    if "Reset" in panel.buttons:  # what has been computed goes, too
        panel.buttons["Reset"].click()
    controls_matter(panel, own.only)


def test_a_browser_finds_nothing_to_round_in_the_presets(panel: Panel, presets):
    """All values are steps of their sliders: others a browser moves, and draws anew."""
    for label, values in {"start": {}, **presets}.items():
        for name, control in panel.controls.items():
            if hasattr(control, "step"):
                value = (asdict(panel.start_state) | values)[name]
                steps = (place_of(value, control) - control.min) / control.step
                assert steps == pytest.approx(round(steps), abs=1e-6), (label, name, value)


def test_every_button_goes_to_its_own_state_and_picture(panel: Panel, own: Particular, presets):
    pictures = {}
    for label, values in {**presets, **own.moves}.items():
        panel.set(**asdict(panel.start_state))
        panel.buttons[label].click()
        assert panel.state == replace(panel.start_state, **values)
        assert panel.compute(panel.state).words
        pictures[panel.state] = panel.picture.value
    assert len(set(pictures.values())) == len(pictures)


def test_colours_and_white_arrive_in_the_browser(panel: Panel, own: Particular):
    for look in options_of(panel.controls[own.looks]) if own.looks else [None]:
        panel.set(**({own.looks: look} if own.looks else {}))
        colours_arrive(panel, own.most, own.white)
