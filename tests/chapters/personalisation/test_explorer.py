"""The explorer of new individuals: its numbers are the applications' own, and its words say what is drawn."""

import itertools
import re

import numpy as np
import pytest

from mapping_lib.chapters.personalisation import explorer as personalisation
from mapping_lib.chapters.personalisation import explorer_compute as frames
from mapping_lib.chapters.personalisation import methods_curves as curves

State = personalisation.State


def test_everyone_who_can_be_chosen_is_judged_and_differs():
    for data in frames.DATA:
        members = frames.members(data)
        assert len(set(members)) == frames.N_WHO
        assert data == "customers" or curves.study(data).judged[members].all()


def test_more_observations_leave_the_earlier_ones_in_place():
    for draw in (0, 3):
        seen = [personalisation.compute(State(k_shot=k, draw=draw)).seen for k in range(7)]
        assert [int(s.sum()) for s in seen] == list(range(7))
        assert all((a <= b).all() for a, b in itertools.pairwise(seen))
    assert personalisation.compute(State(k_shot=3, draw=0)).seen.tolist() == [True] * 3 + [False] * 9


def test_a_narrow_prior_is_the_population_and_a_wide_one_lets_the_data_speak():
    narrow, learned, wide = (personalisation.compute(State(width=w)).now for w in (0.1, 1.0, 10.0))
    assert narrow.weight < learned.weight < wide.weight
    none = personalisation.compute(State(k_shot=0)).now
    apart = [
        np.abs(now.forecasts["mixed effects"] - none.forecasts["mixed effects"]).mean() for now in (narrow, learned)
    ]
    assert apart[0] < apart[1]
    assert none.weight == pytest.approx(0, abs=1e-6)
    same = [now.forecasts["own fit"] for now in (narrow, wide)]
    assert np.array_equal(*same)


@pytest.mark.parametrize("values", personalisation.PRESETS.values(), ids=[*personalisation.PRESETS])
def test_words_name_the_smallest_error_and_the_weight(values: dict):
    frame = personalisation.compute(State(**values))
    plain = re.sub("<[^>]*>", "", frame.words)
    best = min(frame.now.errors, key=frame.now.errors.get)
    assert best in plain.split(":")[0]
    assert frame.name in plain
    if frame.state.k_shot:
        assert f"removed {100 * frame.now.weight:.0f} %" in plain
    else:
        assert "Nothing is known of it yet" in plain
