"""Names of languages: the file keeps what it promises, features are counted by hand, languages are held out."""

import itertools
import math
import zlib
from collections import Counter

import pytest
import torch

from mapping_lib.chapters.language.family import (
    PARTS,
    WIDTH,
    Languages,
    counts,
    features,
    languages,
    load,
    ngrams,
    part_features,
    place,
)

# The file ---------------------------------------------------------------------------------------------


def test_the_file_holds_what_the_readme_says():
    found = load()
    assert len(found) == len({language.code for language in found}) == 142
    assert [language.code for language in found] == sorted(language.code for language in found)
    sizes = [len(language.names) for language in found]
    assert (min(sizes), max(sizes), sum(sizes)) == (62, 300, 35336)
    assert all(len(language.things) == len(language.names) for language in found)


def test_no_name_is_in_two_lists_nor_twice_in_one():
    listed = Counter(name.lower() for language in load() for name in language.names)
    assert max(listed.values()) == 1


def test_every_name_is_made_of_latin_letters_and_names_one_thing_of_four_kinds():
    for language in load():
        assert {thing[:2] for thing in language.things} <= {"T:", "L:", "S:", "C:"}
        for name in language.names:
            assert name == name.strip()
            assert not any(c.isdigit() or c in "()[]\t" for c in name)
            assert sum(c.isalpha() for c in name) > 1


def test_every_language_is_in_one_part_and_so_are_its_relatives():
    by_code = {language.code: language for language in load()}
    assert sorted(itertools.chain(*(languages(part) for part in PARTS))) == sorted(load())
    for language in load():
        for relative in language.relatives:
            assert by_code[relative].part == language.part
            assert language.code in by_code[relative].relatives


@pytest.mark.parametrize(
    "close",
    [
        ("da", "no", "sv"),
        ("bs", "hr", "sl", "sr_Latn"),
        ("cs", "sk"),
        ("de", "gsw", "lb"),
        ("fy", "nl"),
        ("dsb", "hsb"),
    ],
)
def test_languages_that_everybody_calls_close_are_relatives(close: tuple[str, ...]):
    by_code = {language.code: language for language in load()}
    assert all(b in by_code[a].relatives for a, b in itertools.combinations(close, 2))


def test_regional_variants_are_not_there():
    codes = {language.code for language in load()}
    assert {code for code in codes if "_" in code} <= {"sr_Latn", "shi_Latn", "vai_Latn", "bal_Latn"}
    assert not {"nb", "nn"} & codes


# Features ---------------------------------------------------------------------------------------------


def by_hand(name: str) -> Counter:
    """Every n-gram of a name, by a loop over beginnings and ends."""
    text = " " + name.lower() + " "
    found: Counter = Counter()
    for start in range(len(text)):
        for end in range(start + 1, min(start + 3, len(text)) + 1):
            if set(text[start:end]) != {" "}:
                found[text[start:end]] += 1
    return found


NAMES = ["Öl", "Vestur-Samóa", "an Aigéine", "İsveç", "Aaaa", "x", ""]


@pytest.mark.parametrize("name", NAMES)
def test_ngrams_and_counts_are_those_of_a_counter(name: str):
    assert Counter(ngrams(name)) == by_hand(name)
    expected = [0] * WIDTH
    for ngram, times in by_hand(name).items():
        expected[zlib.crc32(ngram.encode("utf-8")) % 1024] += times
    assert counts([name])[0].tolist() == expected


@pytest.mark.parametrize("name", NAMES)
def test_features_are_square_roots_of_shares(name: str):
    places: Counter = Counter()
    for ngram, times in by_hand(name).items():
        places[place(ngram)] += times
    expected = [math.sqrt(places[i] / max(places.total(), 1)) for i in range(WIDTH)]
    assert features([name])[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_several_names_at_once_are_each_by_itself_and_case_does_not_matter():
    together = features(NAMES)
    assert torch.allclose(together, torch.cat([features([name]) for name in NAMES]), atol=1e-6)
    assert torch.equal(features(["ISLAND"]), features(["island"]))
    assert torch.equal(features([""]), torch.zeros(1, WIDTH))
    assert features([]).shape == (0, WIDTH)


# Episodes ---------------------------------------------------------------------------------------------


def drawn(part: str = "held out", reading: str = "unit", k_shot: int = 3, n_query: int = 4, n_tasks: int = 40):
    return Languages(part, 5, reading).sample(n_tasks, k_shot, n_query, generator=torch.Generator().manual_seed(1))


def test_episodes_are_balanced_and_labels_are_what_the_description_says():
    task, (x, which) = drawn(), part_features("held out")
    assert task.support.y[0].tolist() == [label for label in range(5) for _ in range(3)]
    assert task.query.y[0].tolist() == [label for label in range(5) for _ in range(4)]
    for i in range(5):
        meant = task.description[i].long()
        assert len(set(meant.tolist())) == 5
        for example, label in zip(task.query.x[i], task.query.y[i], strict=True):
            same = (x == example).all(-1)
            assert int(meant[label]) in which[same].tolist()


def test_no_name_is_in_support_and_query():
    x, _ = part_features("held out")
    row = {tuple(values.nonzero()[:, 0].tolist()): i for i, values in enumerate(x)}
    assert len(row) > 0.99 * len(x)  # two names may fall into the same places
    task = drawn()
    for i in range(len(task.support.x)):
        support, query = ({row[tuple(v.nonzero()[:, 0].tolist())] for v in part.x[i]} for part in task[:2])
        assert not support & query


def test_a_task_reads_the_same_names_in_both_ways():
    unit, counted = drawn(), drawn(reading="counts")
    assert torch.equal(unit.description, counted.description)
    assert torch.allclose(unit.query.x, torch.nn.functional.normalize(counted.query.x.sqrt(), dim=-1))


def test_no_language_is_in_two_parts():
    names = [{n for language in languages(part) for n in language.names} for part in PARTS]
    assert not any(a & b for a, b in itertools.combinations(names, 2))
    assert [len(part_features(part)[0]) for part in PARTS] == [len(n) for n in names]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Languages("test"), "part is 'test'; allowed: 'train', 'validation', 'held out'"),
        (lambda: Languages(reading="letters"), "reading is 'letters'; allowed: 'unit', 'counts'"),
        (lambda: Languages("held out", 41), "n_way is 41; allowed: at most 40, the languages of the part"),
        (lambda: Languages(n_way=0), "n_way is 0; allowed: a whole number, 1 or more"),
        (
            lambda: drawn(k_shot=300),
            r"k_shot \+ n_query is 304; allowed: at most \d+, the examples of the rarest class",
        ),
    ],
)
def test_bad_input_is_refused(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()
