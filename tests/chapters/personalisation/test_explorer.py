"""The explorer of new individuals: all its numbers at once are those of the tables' learners, one after the other."""

import numpy as np
import pytest
from one_customer import customer

from mapping_lib.chapters.personalisation.explorer import BY_LOT, EXPLORER, FIRST, NAMES, State
from mapping_lib.chapters.personalisation.methods_individual import Individual, individual
from mapping_lib.chapters.personalisation.study_people import KINDS, WHOM
from mapping_lib.page.sentence import plain

ONE_OF_EACH = [[name for name, (data, _) in WHOM.items() if data == kind][7] for kind in KINDS]


def one(name: str, draw: int, width: float = 1.0) -> Individual:
    data, i = WHOM[name]
    return customer(i, draw, width) if data == "customers" else individual(data, i, draw=draw, width=width)


def seen(person: Individual, k_shot: int) -> tuple[float, ...]:
    """The first observations of an individual, as the state has them."""
    x = person.x.astype(float)
    return tuple(round(2 * (x[place] - x[0]) / (x[-1] - x[0]) - 1, 2) for place in person.order[:k_shot])


@pytest.mark.parametrize("who", ["chick 6", *ONE_OF_EACH])
@pytest.mark.parametrize(("draw", "k_shot", "width"), [(0, 6, 1.0), (0, 2, 0.3), (4, 1, 3.0), (4, 5, 1.0), (2, 0, 1.0)])
def test_all_at_once_is_what_the_learners_do_one_after_the_other(who: str, draw: int, k_shot: int, width: float):
    person, n = one(who, draw, width), len(one(who, draw).x)
    frame, now = EXPLORER.compute(State(seen(person, k_shot), width, who)), person.outcomes[k_shot]
    per_cent = 100 if frame["customers"] else 1
    for i, name in enumerate(NAMES):
        errors = [per_cent * outcome.errors[name] for outcome in person.outcomes[: k_shot + 1]]
        assert frame["by_k"][i] == pytest.approx(errors, rel=1e-3, abs=1e-3), name
        drawn, wanted = frame["lines"][i][:n], now.forecasts[name]
        there = np.isfinite(wanted)
        assert drawn[there] == pytest.approx(wanted[there], rel=1e-3, abs=1e-3), name
        if per_cent == 100:
            assert (frame[f"hits_{i}"][:n] < 2).tolist() == now.right[name].tolist()
    assert float(frame["removed"]) == pytest.approx(now.weight, abs=1e-4)
    learned = per_cent * one(who, draw).outcomes[k_shot].errors["mixed effects"]
    assert float(frame["as_learned"]) == pytest.approx(learned, rel=1e-3, abs=1e-3)
    if now.band is not None:
        assert np.stack([frame["low"], frame["high"]])[:, :n] == pytest.approx(now.band, rel=1e-3, abs=1e-2)
        rest = np.isfinite(person.truth) & ~person.observed(k_shot)
        inside = (now.band[0] < person.truth) & (person.truth < now.band[1]) & rest
        assert (frame["inside"], frame["others"]) == (inside.sum(), rest.sum())


def test_the_days_of_the_buttons_are_those_of_the_chapter():
    assert seen(one("chick 6", 1), 3) == BY_LOT
    assert seen(one("chick 6", 0), 3) == FIRST


def test_nobody_is_observed_twice_in_one_place_nor_where_nobody_can():
    frame = EXPLORER.compute(State((-1.0, -1.0, 1.0), who="chick 6"))
    assert frame["seen_x"] == pytest.approx([-1, -0.8095, 1], abs=1e-3)
    thermometer = EXPLORER.compute(State((-1.0, 1.0), who=ONE_OF_EACH[2]))
    assert thermometer["seen_x"] == pytest.approx([2 * 30 / 120 - 1, 2 * 60 / 120 - 1])  # 10 and 40 °C


@pytest.mark.parametrize("values", EXPLORER.presets.values(), ids=[*EXPLORER.presets])
def test_words_name_the_smallest_error_and_what_was_removed(values: dict):
    state = State(**values)
    frame = EXPLORER.compute(state)
    words = plain(EXPLORER.words(state, frame))
    best = min(range(len(NAMES)), key=lambda i: frame[f"error_{i}"])
    assert words.split(": ")[1].startswith(NAMES[best])
    if len(state.seen) > 1:
        assert f"removed {100 * frame['removed']:.0f} %" in words
    assert ("as wide as learned" in words) == (state.width != 1)
    assert ("Nothing is known" in words) == (not state.seen)
    assert ("flat line" in words) == (len(state.seen) == 1)
