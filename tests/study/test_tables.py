"""The stored tables: made by the settings that the code has now, whole, and the same again on a sample."""

import json
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from commands import run

from mapping_lib import study
from mapping_lib.study import Row, Table, measure, read_about, read_table, save_table
from mapping_lib.study import __main__ as command
from mapping_lib.study.theta import load_settings

TABLES = study.tables()
CELLS = [(name, m, s) for name, table in TABLES.items() for s in table.settings for m in table.methods]
RECIPES = study.recipes()

rows_of = cache(read_table)
"""The rows of a stored table, read once for all its cells."""


@pytest.mark.parametrize("name", TABLES)
def test_a_table_was_made_by_the_settings_that_the_code_has(name: str):
    assert read_about(name) == json.loads(json.dumps(TABLES[name].described()))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_whole(name: str):
    table, rows = TABLES[name], rows_of(name)
    assert list(rows) == [(m, s) for s in table.settings for m in table.methods]
    assert all(len(row.scores) == table.n for row in rows.values())
    assert table.n >= 600 or table.n == table.at_once  # fewer only where they are all there are


@pytest.mark.parametrize("name", TABLES)
def test_units_are_stored_where_scores_share_them(name: str):
    """They are those of the episodes that were scored: of the first at once, and of the last.

    All methods meet the same episodes, so that the units of a setting are drawn once.
    """
    table, rows = TABLES[name], rows_of(name)
    assert (table.units is None) == all(row.units is None for row in rows.values())
    drawn = {setting: study.units_of(table, setting, table.n) for setting in table.settings}
    for row in rows.values() if table.units else ():
        assert torch.equal(row.units, drawn[row.setting])
        assert read_about(name)["unit"] == table.unit != study.OWN


@pytest.mark.parametrize("name", TABLES)
def test_the_means_that_one_can_read_are_those_of_the_scores(name: str):
    lines = json.loads(study.stored("tables")[name].with_suffix(".json").read_text(encoding="utf-8"))
    rows = rows_of(name).values()
    for row, told in zip(rows, lines["method, setting, mean, low, high"], strict=True):
        assert told == [row.method, row.setting, *(pytest.approx(v, rel=1e-4) for v in (row.mean, row.low, row.high))]


@pytest.mark.parametrize(("name", "method", "setting"), CELLS)
def test_the_first_scores_come_out_again(name: str, method: str, setting: str):
    again, tolerance = TABLES[name].again(method, setting)
    stored = rows_of(name)[method, setting].scores[: len(again.scores)]
    assert tolerance.moved(again.scores, stored) <= tolerance.within


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_theta_was_made_by_the_settings_that_the_code_has(name: str):
    assert load_settings(study.theta_path(name)) == json.loads(json.dumps(RECIPES[name].settings))


def test_every_stored_theta_has_a_recipe():
    assert study.stored("weights").keys() == set(RECIPES)


def test_every_stored_table_is_known():
    assert study.stored("tables").keys() == set(TABLES)
    assert {path.stem for path in study.LIBRARY.rglob("tables/*.json")} == set(TABLES)


@pytest.mark.parametrize("folder", ["tables", "weights"])
def test_no_name_is_stored_twice(folder: str):
    """What is found by its name alone, all over the library, must have one place: a copied wing renames its own."""
    assert len(study.stored(folder)) == sum(1 for _ in study.LIBRARY.rglob(f"{folder}/*.npz"))


def test_a_wing_is_found_by_its_folder():
    wings = {path.parent.name for path in (study.LIBRARY / "chapters").glob("*/study.py")}
    assert study.parts().keys() == wings | {"sinusoids"}
    with pytest.raises(ValueError, match="part is 'nothing'; allowed: 'sinusoids', "):
        study.module_of("nothing")


# The machinery ----------------------------------------------------------------------------------------


def lots(method, setting, n, generator):
    return torch.rand(n, generator=generator) + {"a": 0.0, "b": 1.0}[method]


TABLE = Table("a lot", ("a", "b"), {"x": {"k": 1}}, lots, fixed={"z": 2}, n=50, at_once=20, seed=7)


def test_methods_meet_the_same_episodes_and_a_sample_is_their_beginning():
    a, b = (measure(TABLE, method, "x") for method in "ab")
    assert len(a.scores) == 50
    assert torch.allclose(a.scores + 1, b.scores, atol=2e-4)
    assert torch.equal(measure(TABLE, "a", "x", n=20).scores, a.scores[:20])


def pairs_of_six(setting, n, generator):
    return torch.rand(n, 6, generator=generator).argsort(1)[:, :2]


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "units shared"])
def test_a_table_is_read_as_it_was_written(tmp_path, monkeypatch, shared: bool):
    monkeypatch.setattr(study, "LIBRARY", tmp_path)
    (tmp_path / "tables").mkdir()
    table = TABLE._replace(unit="face", units=pairs_of_six) if shared else TABLE
    rows = [measure(table, method, "x") for method in "ab"]
    save_table(tmp_path / "tables", "lots", table, rows)
    back = read_table("lots")
    assert all(torch.equal(back[row.method, row.setting].scores, row.scores) for row in rows)
    if shared:
        assert all(torch.equal(row.units, rows[0].units) for row in back.values())
        assert (rows[0].units.shape, rows[0].n_units) == ((50, 2), 6)
    else:
        assert back["a", "x"].units is None
    assert read_about("lots") == ({"unit": "face"} if shared else {}) | {
        "measure": "a lot",
        "methods": ["a", "b"],
        "settings": {"x": {"k": 1}},
        "fixed": {"z": 2, "n": 50, "at_once": 20, "seed": 7},
    }


def test_stored_scores_are_judged_anew_by_one_command(tmp_path, monkeypatch):
    """A table that now names the unit its scores share: `--intervals` draws the units and keeps the scores."""
    made = tmp_path / "chapters" / "made"
    (made / "tables").mkdir(parents=True)
    (made / "study.py").touch()
    monkeypatch.setattr(study, "LIBRARY", tmp_path)
    rows = [measure(TABLE, method, "x") for method in "ab"]
    save_table(made / "tables", "lots", TABLE, rows)
    table = TABLE._replace(unit="face", units=pairs_of_six, score=None)  # nothing can be measured
    module = SimpleNamespace(TABLES={"lots": table}, __file__=str(made / "study.py"))
    monkeypatch.setattr(command, "module_of", lambda part: module)
    assert run(command.main, "made", "--intervals", cwd=tmp_path).returncode == 0
    for row in rows:
        again = read_table("lots")[row.method, row.setting]
        assert torch.equal(again.scores, row.scores)
        assert (row.n_units, again.n_units, read_about("lots")["unit"]) == (50, 6, "face")


def test_the_interval_is_that_of_the_mean():
    scores = torch.tensor([0.0, 1.0, 1.0, 2.0])
    row = Row.of("a", "x", scores)
    assert (row.mean, row.median) == (1.0, 1.0)
    t = 3.1824  # Student's, for 3 degrees of freedom
    assert row.high - row.mean == pytest.approx(t * float(scores.std()) / 2, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: measure(TABLE, "c", "x"), "method is 'c'; allowed: 'a', 'b'"),
        (lambda: measure(TABLE, "a", "y"), "setting is 'y'; allowed: 'x'"),
        (lambda: measure(TABLE, "a", "x", n=0), "n is 0; allowed: a whole number, 1 or more"),
        (lambda: read_table("nothing"), "nothing of this name is stored"),
    ],
)
def test_wrong_names_are_refused(call, message: str):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        call()
