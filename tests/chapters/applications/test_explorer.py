"""The explorer of the map: its gains are those of the stored tables, computed here another way."""

import json
from functools import cache

import numpy as np
import pytest

from mapping_lib.chapters.applications.explorer import EXPLORER, KS, METHODS, NAMES, State
from mapping_lib.chapters.applications.study_gains import APPLICATIONS, methods
from mapping_lib.page.sentence import plain
from mapping_lib.study import read_about, stored
from mapping_lib.study.plain import ALONE, LEARNED, TOGETHER, TOLD, group_of

TABLE = {
    "images, 5 letters": ("few_shot_images", "5-way {k}-shot", (1, 5)),
    "images, 20 letters": ("few_shot_images", "20-way {k}-shot", (1, 5)),
    "chicks": ("chicks", "spread, {k}", range(1, 6)),
    "countries": ("countries", "spread, {k}", range(1, 6)),
    "customers": ("customers", "spread, {k}", range(1, 7)),
    "sensors": ("sensors", "spread, {k}", range(1, 6)),
    "language": ("language_names", "{k}-shot", (1, 2, 5, 10, 20)),
    "walks": ("navigation", "{k} update", (1, 2, 3)),
    "new pair, 3 steps": ("continual_pairs", "new task, 3 steps", (5,)),
    "new pair, 50 steps": ("continual_pairs", "new task, 50 steps", (5,)),
    "new labels, 3 steps": ("continual_relabelled", "new task, 3 steps", (1,)),
    "new labels, 50 steps": ("continual_relabelled", "new task, 50 steps", (1,)),
    "settings, waves": ("automl_sines", "search seed", (1,)),
    "settings, digits": ("automl_digits", "search seed", (1,)),
}
"""Table, settings and the K that were measured, written down once more."""

HIGHER_IS_BETTER = {"few_shot_images": 100, "customers": 100, "language_names": 100, "navigation": 1}
PER_CENT = {"continual_pairs": 100, "continual_relabelled": 100, "automl_digits": 100}
INDIVIDUALS = {"chicks": 49, "countries": 188, "customers": 361, "sensors": 600}


@cache
def errors(application: str, k: int) -> dict[str, np.ndarray]:
    """Each method's error, episode by episode, from the table's files alone; in the application's own unit."""
    table, setting, _ = TABLE[application]
    path = stored("tables")[table]
    keys = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["method, setting, mean, low, high"]
    with np.load(path) as file:
        scores = file["scores"].astype(float)
    found: dict[str, list] = {}
    for (method, of, *_), row in zip(keys, scores, strict=True):
        wanted = setting.format(k=k)
        same = of.startswith(wanted) if table in ("navigation", "automl_sines", "automl_digits") else of == wanted
        if same and group_of(method) != TOLD:
            found.setdefault(method, []).append(row)
    at = {method: np.concatenate(rows) for method, rows in found.items()}
    if table == "navigation":
        return {method: -row for method, row in at.items()}
    if table in HIGHER_IS_BETTER:
        return {method: 100 * (1 - row) for method, row in at.items()}
    return {method: PER_CENT.get(table, 1) * row for method, row in at.items()}


def wanted(application: str, k: int, against: str, unit: str) -> tuple[str, str, dict[str, float]]:
    """The best learner, the opponent, and what each method gains over it."""
    of = errors(application, k)
    best = {g: min((m for m in of if group_of(m) == g), key=lambda m: of[m].mean()) for g in (ALONE, TOGETHER, LEARNED)}
    other = of[best[{"alone": ALONE, "together": TOGETHER}[against]]]
    gain = {
        "share": lambda e: 1 - e.mean() / other.mean(),
        "own": lambda e: other.mean() - e.mean(),
        "tasks": lambda e: (e < other).mean() + (e == other).mean() / 2,
    }[unit]
    return best[LEARNED], best[{"alone": ALONE, "together": TOGETHER}[against]], {m: gain(e) for m, e in of.items()}


def shown(application: str, frame: dict) -> dict[str, float]:
    return {name: float(frame[f"told_{i}"]) for i, name in enumerate(methods(application))}


def nearest(application: str, k: int) -> int:
    return min(TABLE[application][2], key=lambda of: (abs(np.log(k / of)), of))


@pytest.mark.parametrize("unit", ["share", "own", "tasks"])
@pytest.mark.parametrize("against", ["alone", "together"])
@pytest.mark.parametrize("application", NAMES)
def test_every_gain_is_that_of_the_table(application: str, against: str, unit: str):
    for k in KS:
        state = State(application, against, str(k), unit)
        frame, of = EXPLORER.compute(state), nearest(application, k)
        assert frame["k_shown"] == of
        lead, rival, gains = wanted(application, of, against, unit)
        assert shown(application, frame) == pytest.approx(gains, rel=1e-4, abs=1e-5)
        assert frame[f"first_{METHODS.index(lead)}"] == frame[f"other_{METHODS.index(rival)}"] == 1
        size = -gains[lead] if gains[lead] < 0 and unit != "tasks" else gains[lead]
        assert frame["size"] == pytest.approx(size, rel=1e-4, abs=1e-5)
        assert frame["least"] <= frame["size"] <= frame["most"]


@pytest.mark.parametrize("unit", ["share", "own", "tasks"])
@pytest.mark.parametrize("application", INDIVIDUALS)
def test_intervals_over_individuals_are_those_of_a_bootstrap(application: str, unit: str):
    """Each individual is a unit: drawn anew with itself, the gain scatters as its interval says."""
    frame, of = EXPLORER.compute(State(application, "together", "3", unit)), errors(application, 3)
    lead, rival, _ = wanted(application, 3, "together", unit)
    n = INDIVIDUALS[application]
    assert frame["n"] == n == len(of[lead])
    rng = np.random.default_rng(0)
    draws = rng.integers(0, n, (4000, n))
    a, b = of[lead][draws], of[rival][draws]
    gain = {
        "share": 1 - a.mean(1) / b.mean(1),
        "own": (b - a).mean(1),
        "tasks": ((a < b) + 0.5 * (a == b)).mean(1),
    }[unit]
    half = 1.96 * gain.std()
    assert frame["most"] - frame["least"] == pytest.approx(2 * half, rel=0.08)


def test_settings_have_three_searches_for_units():
    for application, t in (("settings, waves", 4.3027), ("settings, digits", 4.3027)):
        frame, of = EXPLORER.compute(State(application, "together", "1", "own")), errors(application, 1)
        lead, rival, _ = wanted(application, 1, "together", "own")
        means = (of[rival] - of[lead]).reshape(3, -1).mean(1)
        assert frame["n"] == 3
        assert frame["most"] - frame["least"] == pytest.approx(2 * t * means.std(ddof=1) / 3**0.5, rel=1e-3)


def test_the_picture_holds_the_chosen_application_on_both_sides():
    for name in NAMES:
        for against in ("alone", "together"):
            state = State(name, against, "5", "share")
            frame, place = EXPLORER.compute(state), NAMES.index(name)
            slot = methods(name).index(wanted(name, nearest(name, 5), against, "share")[0])
            assert frame["all_x"][place] == pytest.approx(frame["own_x"][slot])
            assert frame["all_ends"][place] == pytest.approx(frame["own_ends"][slot])
            assert frame["chosen"] == frame["all_y"][place]
            assert frame["first"] == frame["own_y"][slot]


def test_verdicts_are_those_of_the_intervals_and_each_row_has_one():
    for against in ("alone", "together"):
        for unit in ("share", "tasks"):
            frame = EXPLORER.compute(State(NAMES[0], against, "3", unit))
            rows = np.stack([frame[f"all_{verdict}"] for verdict in ("gain", "nothing", "loss")])
            assert (np.isfinite(rows).sum(0) == 1).all()
            low, high = frame["all_ends"].T
            assert np.isfinite(rows[0]).tolist() == (low > 0).tolist()
            assert np.isfinite(rows[2]).tolist() == (high < 0).tolist()


def test_what_all_tasks_gain_has_an_interval_all_the_same():
    frame = EXPLORER.compute(State("walks", "alone", "1", "tasks"))
    assert frame["size"] == frame["most"] == 1
    assert frame["least"] == pytest.approx(1 - 3 / 600)


@pytest.mark.parametrize("values", EXPLORER.presets.values(), ids=[*EXPLORER.presets])
def test_words_say_what_is_seen_over_how_many_and_what_is_not(values: dict):
    state = State(**values)
    frame = EXPLORER.compute(state)
    words = plain(EXPLORER.words(state, frame))
    lead, rival, gains = wanted(state.application, nearest(state.application, int(state.k)), state.against, state.unit)
    assert words.startswith(f"{state.application}, ")
    assert f": {lead} " in words
    assert f" {rival}, the best " in words
    assert f" over {frame['n']:.0f} {APPLICATIONS[state.application].units} " in words
    holds = frame["gain"] == frame["loss"] == 0
    assert ("Nothing is shown" in words) == ("holds the line" in words) == holds
    assert ("A gain is shown" in words) == (not holds and gains[lead] > 0)
    assert words.endswith(("Not in it: another training of θ.", "Each search trained a θ of its own."))


def test_the_unit_is_the_one_that_the_table_names():
    assert read_about("few_shot_images")["unit"] == "letter"
    assert read_about("language_names")["unit"] == "language"
    assert EXPLORER.compute(State("language"))["n"] == 40
    assert EXPLORER.compute(State("images, 5 letters"))["n"] == 102
