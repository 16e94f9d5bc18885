"""Chapter 4e: which methods are measured where, how their settings are chosen, and what tuning says."""

import pytest

from mapping_lib.chapters.multitask_and_continual import study_tuning
from mapping_lib.chapters.multitask_and_continual.study import ADAPTATIONS, SETTINGS, TABLES
from mapping_lib.chapters.multitask_and_continual.study_methods import CHOSEN, METHODS, METHODS_OF, Chosen


def test_adaptations_are_all_settings_but_the_first():
    assert [*ADAPTATIONS] == [*SETTINGS][1:]
    assert all(f"{steps} steps" in name for name, (_, steps) in ADAPTATIONS.items())


@pytest.mark.parametrize("kind", METHODS_OF)
def test_what_was_chosen_is_one_of_a_method_s_choices(kind: str):
    assert CHOSEN[kind].keys() == {name for name in METHODS_OF[kind] if METHODS[name].choices}
    for name, chosen in CHOSEN[kind].items():
        assert chosen._replace(adapt=Chosen().adapt) in METHODS[name].choices
        assert {*chosen.adapt} <= {*study_tuning.ALPHAS}


def test_the_matrix_is_stored_of_those_that_meet_one_task_after_the_other():
    assert TABLES["forgetting_pairs"].methods == ("sequential", "EWC", "rehearsal", "sequential, heads", "online MAML")


def test_the_best_choice_is_kept_with_the_best_step_size_for_each_adaptation(monkeypatch):
    errors = dict(zip(study_tuning.ALPHAS, (0.5, 0.4, 0.2, 0.1, 0.1, 0.3), strict=True))
    monkeypatch.setattr(study_tuning, "after_adaptation", lambda *_: errors)
    good, bad = METHODS["joint"].choices[:2]
    assert study_tuning.choose("pairs", "joint", {bad: 0.3, good: 0.1}) == good._replace(adapt=(0.3, 0.3, 0.3))


def test_tuning_tells_every_choice_and_what_it_chose(monkeypatch):
    monkeypatch.setattr(study_tuning, "METHODS_OF", {"pairs": ("joint", "nearest neighbour")})
    monkeypatch.setattr(study_tuning, "N", 2)
    study_tuning.trained.cache_clear()
    *tried, chosen = study_tuning.tune()
    study_tuning.trained.cache_clear()
    assert [line.split(":")[0] for line in tried] == [f"  pairs joint {c[:4]}" for c in METHODS["joint"].choices]
    best = min(tried, key=lambda line: line.split(": ")[1])
    assert chosen.startswith("chosen pairs 'joint': Chosen(lr=")
    assert best.split("(")[1].split(",")[0] == chosen.split("lr=")[1].split(",")[0]
