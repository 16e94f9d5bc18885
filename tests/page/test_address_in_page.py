"""The state of an explorer in an address: what is written is read again, and what nobody wrote is refused in words."""

import random
from dataclasses import asdict

import pytest
from front import any_state, opened

from mapping_lib.page.explorer import explorers

EXPLORERS = {explorer.name: explorer for explorer in explorers()}


@pytest.fixture(scope="module")
def page(browser):
    with opened(browser) as page:
        yield page


def there(page, spec: dict, states: list[dict]) -> list:
    """The address of each state, and what is read from it."""
    return page.evaluate(
        """async ([spec, states]) => {
            const { read, written } = await import("/address.js");
            return states.map((state) => [written(spec, state), read(spec, `#${written(spec, state)}`)]);
        }""",
        [light(spec), states],
    )


def light(spec: dict) -> dict:
    """What an address is about: no program."""
    return {part: spec[part] for part in ("name", "state", "fields")}


def read(page, name: str, hash_: str):
    return page.evaluate(
        'async ([spec, hash]) => (await import("/address.js")).read(spec, hash)',
        [light(EXPLORERS[name].specification()[0]), hash_],
    )


@pytest.mark.parametrize("name", EXPLORERS)
def test_what_is_written_is_read_again(page, name: str):
    explorer, rng = EXPLORERS[name], random.Random(0)
    spec = explorer.specification()[0]
    states = [asdict(state) for state in [explorer.State(), *(any_state(explorer.State, rng) for _ in range(30))]]
    for state, (hash_, found) in zip(states, there(page, spec, states), strict=True):
        assert found["left"] == []
        assert not set(' "<>') & set(hash_)
        for field, value in (spec["state"] | found["changes"]).items():
            assert parts(value) == parts(state[field]), (field, hash_)


def parts(value) -> list:
    """All numbers of a value in six digits, of drawings too, or its words."""
    if isinstance(value, list | tuple):
        return [one for part in value for one in parts(part)]
    return [value if isinstance(value, str) else float(f"{value:.6g}")]


def test_the_address_of_the_start_is_the_name_alone(page):
    spec = EXPLORERS["adaptation"].specification()[0]
    assert there(page, spec, [spec["state"]]) == [["adaptation", {"changes": {}, "left": []}]]


@pytest.mark.parametrize("hash_", ["", "#", "#The-problem", "#adaptation", "#alpha-beta-stepsx?alpha=1", "#?alpha=1"])
def test_what_is_about_something_else_is_left_alone(page, hash_: str):
    assert read(page, "alpha-beta-steps", hash_) is None


CASES = {
    "alpha=0.05&steps=3": ({"alpha": 0.0501187, "steps": 3}, []),  # the nearest place of the slider
    "alpha=99": ({"alpha": 1}, []),
    "alpha=-3&steps=-1": ({"alpha": 0.0001, "steps": 0}, []),
    "alpha=banana": ({}, ["alpha=banana"]),
    "alpha=&steps=NaN&beta=1e999": ({}, ["alpha=", "steps=NaN", "beta=1e999"]),
    "x=1,2,3": ({}, ["x"]),  # ten heights for three points
    "x=1,2,3&lift=0,0,0": ({"x": [1, 2, 3], "lift": [0, 0, 0]}, []),
    "x=1,,3&lift=0,0,0": ({}, ["x=1,,3", "lift"]),
    "rival=joint": ({"rival": "joint"}, []),
    "rival=nobody&constructor=1&__proto__=2": ({}, ["rival=nobody", "constructor=1", "__proto__=2"]),
    "%E0%A4%A=1&&steps": ({}, ["%E0%A4%A=1", "steps"]),
    "rival=%3Cscript%3E": ({}, ["rival=<script>"]),
}


@pytest.mark.parametrize("query", CASES)
def test_what_it_cannot_follow_is_left_and_named(page, query: str):
    changes, left = CASES[query]
    assert read(page, "alpha-beta-steps", f"#alpha-beta-steps?{query}") == {"changes": changes, "left": left}


def test_drawings_and_words_are_checked_as_well(page):
    pad, box = field_of("few-shot", "pad"), field_of("languages", "box")
    for text in ("[]", "7", "[[[[2,0]]]]", "{", "[[[]]]"):
        assert read(page, "few-shot", f"#few-shot?{pad}={text}") == {"changes": {}, "left": [f"{pad}={text}"]}
    assert read(page, "languages", f"#languages?{box}=Z%C3%BCrich")["changes"] == {box: "Zürich"}
    assert len(read(page, "languages", f"#languages?{box}={'a' * 99}")["changes"][box]) == 60


def field_of(name: str, kind: str) -> str:
    """The first field of a kind."""
    fields = EXPLORERS[name].specification()[0]["fields"]
    return next(field for field, about in fields.items() if about["kind"] == kind)
