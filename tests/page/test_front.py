"""The front end's modules by themselves: words, draws and colours as Python has them, and what they must not do."""

import gzip
import json
import math
import random
import re
import shutil
import subprocess

import numpy as np
import pytest
from front import chromium, opened

from mapping_lib.page import front, sentence
from mapping_lib.page.draws import uniform
from mapping_lib.page.explorer import explorers
from mapping_lib.page.plots import COLOUR_OF, COLOURS

MOST_BYTES = 150_000
LARGE = {"five-mappings": 700_000, "description-or-data": 700_000, "what-came-after": 700_000}
"""Explorers whose θ alone is larger than what was hoped for, and what they may have."""


@pytest.fixture(scope="module")
def page():
    with chromium() as browser, opened(browser) as page:
        yield page


def test_numbers_and_templates_are_written_as_in_python(page):
    rng = random.Random(0)
    values = [
        0.0,
        1.0,
        -1.0,
        0.125,
        0.5,
        9.996,
        999.6,
        1000.0,
        99999.5,
        1e6,
        1e-4,
        9.999e-5,
        math.inf,
        -math.inf,
        math.nan,
    ]
    values += [rng.choice((-1, 1)) * 10 ** rng.uniform(-8, 8) for _ in range(500)]
    values += [float(np.float32(v)) for v in values[15:]] + [float(rng.randint(-2000, 2000)) for _ in range(50)]
    formats = ["", ".2f", ".0f", ".3f", ".0%", ".1%", ".2g", ".3g", "step"]
    asked = [(value, how) for value in values for how in formats]
    there = page.evaluate(
        """async (asked) => { const { formatted } = await import("/sentence.js");
           return asked.map(([value, how]) => formatted(Number(value), how)); }""",
        [(repr(value).replace("inf", "Infinity").replace("nan", "NaN"), how) for value, how in asked],
    )
    for (value, how), words in zip(asked, there, strict=True):
        assert words == sentence.formatted(value, how), (value, how)


def test_conditions_choose_the_same_words(page):
    groups = [[["a", "A {x:.1f}"], ["not b", "no b"], ["", "else"]], [["b", "**B** [c|MAML]"]]]
    for values in ({"a": a, "b": b, "x": 2.0} for a in (0, 1.0) for b in (0, 1)):
        there = page.evaluate(
            """async ([groups, values]) => { const { plain, sentence } = await import("/sentence.js");
               const words = sentence(groups, values);
               return [words, plain(words)]; }""",
            [groups, values],
        )
        words = sentence.said([dict(group) for group in groups], values)
        assert there == [words, sentence.plain(words)]


def test_draws_are_the_same_and_evenly_spread(page):
    for seed, step, n in ((0, 0, 7), (3, 999, 550), (9999, 1, 2200)):
        there = page.evaluate('async (a) => Array.from((await import("/training.js")).uniform(...a))', [seed, step, n])
        assert np.array_equal(np.float32(there), uniform(seed, step, n))
    many = np.concatenate([uniform(1, step, 550) for step in range(200)])
    assert abs(many.mean() - 0.5) < 4 / math.sqrt(12 * len(many))
    assert abs(np.corrcoef(many[:-1], many[1:])[0, 1]) < 4 / math.sqrt(len(many))
    assert abs(np.corrcoef(many[:-550], many[550:])[0, 1]) < 4 / math.sqrt(len(many))


def test_every_colour_can_be_read_in_both_themes(page):
    for dark in (False, True):
        words, lines = page.evaluate(
            """async ([names, dark]) => { const { palette, contrast, readable } = await import("/colours.js");
               const p = palette(names, dark), on = (name) => contrast(p[name], p.card), all = Object.keys(names);
               const words = all.map((name) => contrast(readable(p[name], p), p.card));
               return [Math.min(on("ink"), on("soft"), on("bad"), ...words), Math.min(...all.map(on))]; }""",
            [COLOURS | COLOUR_OF, dark],
        )
        assert words > 4.5
        assert lines > 2.2  # those of the figures, which tell methods apart; each line has its name beside it, in words


def test_nothing_is_fetched_and_no_text_is_run():
    source = front.module()
    for word in ("eval(", "new Function", "fetch(", "XMLHttpRequest", "document.write", "import("):
        assert word not in source, word
    assert set(re.findall(r"innerHTML.*", source)) == {"innerHTML = SQUARE;"}, "a constant of pad.js"
    assert not re.findall(r"https?://", source)


def test_every_file_of_the_front_end_passes_the_linter():
    linter = shutil.which("oxlint")
    if not linter:
        pytest.skip("oxlint is not installed: pip install -r requirements.txt")
    checked = subprocess.run(
        [linter, "--deny-warnings", str(front.FOLDER)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("explorer", explorers(), ids=lambda explorer: explorer.name)
def test_an_explorer_with_all_it_needs_is_small(explorer):
    spec, arrays = explorer.specification()
    size = len(gzip.compress(json.dumps(spec).encode() + front.module().encode() + front.style().encode() + arrays))
    assert size < LARGE.get(explorer.name, MOST_BYTES)
