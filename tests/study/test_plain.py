"""Plain against trained to learn: kinds, cases and verdicts, on tables written out and on those that are stored."""

import re

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mapping_lib.chapters.applications.figures import plot_grouped_gains
from mapping_lib.page.plots import COLOURS
from mapping_lib.study import Row, Table, plain, read_about, read_table, save_table
from mapping_lib.study.gains import Gain, error_removed, paired
from mapping_lib.study.plain import BUDGET, GROUPS, KINDS, LEARNED, PLAIN, TOLD, VERDICTS


@pytest.fixture(scope="module")
def cases():
    return plain.cases()


def rows(**means: float) -> tuple[Row, ...]:
    """Rows of 100 scores around each mean; ``_`` in a name stands for a blank."""
    noise = torch.linspace(-0.05, 0.05, 100)
    return tuple(Row(name.replace("_", " "), "1-shot", mean + noise) for name, mean in means.items())


def case(measure: str = "accuracy", **means: float) -> plain.Case:
    return plain.Case("images", "1-shot", measure, 1, rows(**means))


def test_every_method_of_every_table_has_exactly_one_kind():
    methods = {method for name in plain.SOURCES for method in read_about(name)["methods"]}
    assert {plain.kind_of(method) for method in methods} == set(KINDS)
    names = [name for kind in KINDS.values() for name in kind]
    assert len(names) == len(set(names))
    with pytest.raises(ValueError, match=re.escape("method is 'a new one'; allowed: ")):
        plain.kind_of("a new one, tuned")


def test_every_setting_of_every_table_is_a_case_or_left_out(cases):
    for name, source in plain.SOURCES.items():
        of_table = [case for case in cases if case.application == source.application]
        stored = [key for key in read_table(name) if key[1] not in source.without]
        runs = len({setting for _, setting in stored}) if of_table[0].group == BUDGET else 1
        assert runs * sum(len(case.rows) for case in of_table) == len(stored)


def test_every_case_has_both_sides_and_belongs_to_a_group(cases):
    assert len({case.label for case in cases}) == len(cases)
    for case in cases:
        assert case.among(PLAIN)
        assert case.among((LEARNED,))
        assert case.group in {*GROUPS, BUDGET}


def test_examples_are_counted_for_each_class(cases):
    counted = {case.label: (case.examples, case.group) for case in cases}
    assert counted["images, 20-way 5-shot"] == (5, "4 to 6 examples")
    assert counted["chicks, first, 2"] == (2, "2 or 3 examples")
    assert counted["labels dealt anew, 3 steps"] == (1, "1 example")
    assert counted["walks, 1 update"] == (20, "10 or more")
    assert counted["settings, waves"] == (None, BUDGET)


def test_who_is_given_more_competes_with_those_who_are_too(tmp_path, monkeypatch):
    monkeypatch.setattr("mapping_lib.study.LIBRARY", tmp_path)
    (tmp_path / "tables").mkdir()
    monkeypatch.setattr(plain, "SOURCES", {"walks": plain.Source("walks", "return", 20, without=("0 updates",))})
    methods = ("MAML", "MAML, 40 trajectories", "pretrained", "pretrained, 40 trajectories")
    table = Table("return", methods, {"0 updates": {"updates": 0}, "1 update": {"updates": 1}}, score=None)
    save_table(
        tmp_path / "tables",
        "walks",
        table,
        [Row(m, setting, torch.ones(9)) for setting in table.settings for m in methods],
    )
    few, many = plain.cases()
    assert (few.label, few.examples) == ("walks, 1 update", 20)
    assert [row.method for row in few.rows] == ["MAML", "pretrained"]
    assert (many.label, many.examples) == ("walks, 1 update, 40 trajectories", 40)


def test_several_runs_are_one_row_and_each_run_a_unit(cases):
    """Three searches: the mean is theirs, the interval that of three numbers (t = 4.303), however many tasks judge."""
    sines = next(case for case in cases if case.label == "settings, waves")
    table = read_table("automl_sines")
    means = [row.mean for (method, _), row in table.items() if method == "Meta-SGD"]
    of_sines = next(row for row in sines.rows if row.method == "Meta-SGD")
    assert (sines.unit, of_sines.n_units) == ("search seed", 3)
    assert of_sines.mean == pytest.approx(np.mean(means))
    assert of_sines.half >= 4.303 * np.std(means, ddof=1) / 3**0.5 * (1 - 1e-4)
    assert plain.pooled(row for (method, _), row in table.items() if method == "Meta-SGD").mean == of_sines.mean
    for runs in ([], list(table.values())):
        with pytest.raises(ValueError, match="allowed: one method, in at least one run"):
            plain.pooled(runs)


@pytest.mark.parametrize(
    ("name", "method", "baseline", "mean", "half"),
    [
        ("automl_digits", "Meta-SGD, four trials", "four trials", -0.029, 0.102),
        ("automl_sines", "Meta-SGD", "successive halving", 0.067, 0.095),
    ],
)
def test_three_searches_decide_between_no_settings(cases, name, method, baseline, mean, half):
    rows = [[row for (of, _), row in read_table(name).items() if of == m] for m in (method, baseline)]
    gain = paired(*map(plain.pooled, rows))
    assert (gain.mean, gain.high - gain.mean) == (pytest.approx(mean, abs=1e-3), pytest.approx(half, abs=1e-3))
    settings = [case for case in cases if case.group == BUDGET]
    assert {plain.verdict(case.gain()) for case in settings} == {VERDICTS[1]}


def test_every_case_names_the_unit_of_its_intervals(cases):
    units = {case.application: (case.unit, case.rows[0].n_units) for case in cases}
    assert units["language"] == ("language", 40)
    assert units["chicks"] == ("chick", 49)
    assert units["countries"] == ("country", 188)
    assert units["walks"] == ("goal", 600)
    assert units["settings, digits"] == ("search seed", 3)
    assert {case.unit for case in cases if case.application == "language"} == {"language"}


@pytest.mark.parametrize(("measure", "wanted"), [("accuracy", "joint training"), ("error", "own fit")])
def test_the_best_is_that_with_the_smallest_error(measure: str, wanted: str):
    assert case(measure, joint_training=0.8, own_fit=0.3, MAML=0.5).best(PLAIN).method == wanted
    with pytest.raises(ValueError, match="rows is empty"):
        case(MAML=0.5).best(PLAIN)


def test_told_methods_take_part_in_no_contest():
    told = case(hypernetwork=0.99, MAML=0.9, own_fit=0.8)
    assert told.best((LEARNED,)).method == "MAML"
    assert told.best((TOLD,)).method == "hypernetwork"
    assert told.gain().mean == pytest.approx(0.5, abs=1e-6)


def test_a_gain_is_the_share_of_the_plain_error_that_is_removed():
    contest = case(MAML=0.9, ANIL=0.7, joint_training=0.8, own_fit=0.2)
    assert contest.gain().mean == pytest.approx(0.5, abs=1e-6)
    meta, joint = contest.rows[0], contest.rows[2]
    wanted = error_removed(meta, joint, "accuracy")
    assert contest.gain() == wanted
    assert contest.gain(baseline=contest.rows[3]).mean == pytest.approx(0.875, abs=1e-6)


def test_a_verdict_needs_the_whole_interval():
    gains = [Gain(-0.2, -0.3, -0.1), Gain(0.2, -0.1, 0.5), Gain(0.0, 0.0, 0.1), Gain(0.2, 0.1, 0.3)]
    assert [VERDICTS.index(plain.verdict(gain)) for gain in gains] == [0, 1, 1, 2]


def test_halves_share_no_episode():
    first, second = plain.halves(case(MAML=0.5, own_fit=0.4))
    whole = case(MAML=0.5, own_fit=0.4).rows[0].scores
    assert torch.equal(torch.stack([first.rows[0].scores, second.rows[0].scores], 1).flatten(), whole)
    assert first.rows[0].method == "MAML"


def test_groups_of_gains_are_drawn_under_their_headings_largest_first():
    ax = Figure().add_subplot()
    groups = {"few": {"a": Gain(0.1, 0.05, 0.2), "b": Gain(0.5, 0.4, 0.6)}, "many": {"c": Gain(-3.0, -4.0, -2.0)}}
    plot_grouped_gains(ax, groups, left=-0.5)
    assert [text.get_text() for text in ax.texts] == ["few", "b", "a", "many", "c"]
    heights = [text.get_position()[1] for text in ax.texts]
    assert heights == sorted(heights)
    dots = [line for line in ax.lines if line.get_marker() in ("o", "<")]
    assert [float(dot.get_xdata()[0]) for dot in dots] == [0.5, 0.1, -0.5]  # the last at the edge
    assert [dot.get_marker() for dot in dots] == ["o", "o", "<"]
    assert [to_hex(dot.get_color()).upper() for dot in dots] == [COLOURS["after"], COLOURS["after"], COLOURS["rival"]]
    bottom, top = ax.get_ylim()
    assert top < 0
    assert bottom > max(heights)
    assert np.isclose(ax.get_xlim(), (-0.5, 1)).all()


def test_chapter_4_and_5d_split_the_same_methods():
    methods = sorted({method for name in plain.SOURCES for method in read_about(name)["methods"]})
    groups = {method: plain.group_of(method) for method in methods}
    assert set(groups.values()) == {plain.ALONE, plain.TOGETHER, LEARNED, TOLD}
    for method, group in groups.items():
        if plain.kind_of(method) in (LEARNED, TOLD):
            assert group in (plain.kind_of(method), TOLD)
        else:
            assert group != LEARNED
    assert [method for method in methods if groups[method] == TOLD] == [
        *("Bayes", "MAML, 40 trajectories", "hypernetwork", "oracle", "pretrained, 40 trajectories")
    ]
    alone = [method for method in methods if groups[method] == plain.ALONE]
    assert "joint features" not in alone
    assert {plain.kind_of(method) for method in alone} == {
        *("nearest neighbour", "the task alone", "settings, searched or not")
    }
