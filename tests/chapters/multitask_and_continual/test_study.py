"""Chapter 4e: which methods are measured where, how their settings are chosen, and what tuning says."""

import pytest

from mapping_lib.chapters.multitask_and_continual import study_tuning
from mapping_lib.chapters.multitask_and_continual.methods_features import READOUTS
from mapping_lib.chapters.multitask_and_continual.study import ADAPTATIONS, SETTINGS, TABLES
from mapping_lib.chapters.multitask_and_continual.study_methods import CHOSEN, METHODS, METHODS_OF, Chosen
from mapping_lib.study import read_table
from mapping_lib.study.gains import paired


def test_adaptations_are_all_settings_but_the_first():
    assert [*ADAPTATIONS] == [*SETTINGS][1:]
    assert all(f"{steps} steps" in name for name, (_, steps) in ADAPTATIONS.items())


@pytest.mark.parametrize("kind", METHODS_OF)
def test_what_was_chosen_is_one_of_a_method_s_choices(kind: str):
    assert CHOSEN[kind].keys() == {name for name in METHODS_OF[kind] if METHODS[name].choices}
    for name, chosen in CHOSEN[kind].items():
        assert chosen._replace(adapt=Chosen().adapt, readouts=Chosen().readouts) in METHODS[name].choices
        assert {*chosen.adapt} <= {*study_tuning.ALPHAS}
        assert {*chosen.readouts} <= {*READOUTS}


def test_whoever_could_be_called_the_best_on_new_labels_had_as_many_trials_and_the_plain_line_had_no_more():
    """A verdict for meta-learning would be worth little if it alone had been searched, and one against it, too."""
    trials = {name: len(method.choices) for name, method in METHODS.items()}
    assert {trials[name] for name in ("MAML, relabelled", "MAML, relabelled, features", "prototypical")} == {15}
    assert trials["joint, heads"] == trials["joint, heads, features"] == 3


def test_of_the_readouts_the_best_is_kept_for_each_setting(monkeypatch):
    found = {readout: [float(i), float(abs(i - 3)), float(-i)] for i, readout in enumerate(READOUTS)}
    monkeypatch.setattr(study_tuning, "looked_up", lambda *_: found)
    good = METHODS["joint, heads, features"].choices[1]
    chosen = study_tuning.choose("pairs", "joint, heads, features", {good: 0.1})
    assert chosen == good._replace(readouts=(READOUTS[0], READOUTS[3], READOUTS[-1]))
    assert study_tuning.validate("pairs", "joint, heads, features") == dict.fromkeys(
        METHODS["joint, heads, features"].choices, 0.0
    )


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
    assert [line.split(":")[0] for line in tried] == [f"  pairs joint {c[:5]}" for c in METHODS["joint"].choices]
    best = min(tried, key=lambda line: line.split(": ")[1])
    assert chosen.startswith("chosen pairs 'joint': Chosen(lr=")
    assert best.split("(")[1].split(",")[0] == chosen.split("lr=")[1].split(",")[0]


def test_what_the_chapter_says_of_new_labels():
    """Plain joint training, looked up in with care, leaves MAML behind, and is a few per cent behind prototypes."""
    table, plain = read_table("continual_relabelled"), "joint, heads, features"
    for setting in ("new task, 3 steps", "new task, 50 steps"):
        for rival in ("MAML, relabelled", "MAML, relabelled, features", "nearest neighbour"):
            assert paired(table[rival, setting], table[plain, setting]).low > 0
        ahead = paired(table[plain, setting], table["prototypical", setting])
        assert 0 < ahead.low < ahead.high < 0.1 * table[plain, setting].mean
