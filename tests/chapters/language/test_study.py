"""Chapter 4c's methods: centroids by loops, choices made on validation languages, baselines that know no language."""

import pytest
import torch

from mapping_lib.chapters.language import study, study_tuning
from mapping_lib.chapters.language.family import WIDTH, Languages, counts, languages
from mapping_lib.chapters.language.methods import PRIOR
from mapping_lib.study import read_about, read_table, shipped_theta
from mapping_lib.study.gains import paired
from mapping_lib.study.intervals import half_width
from mapping_lib.task import Batch


def episodes(reading: str = "unit", k_shot: int = 2, n: int = 3):
    family = Languages("held out", study.N_WAY, reading)
    return family.sample(n, k_shot, 4, generator=torch.Generator().manual_seed(8))


def by_loops(x: list[list[float]], y: list[int], asked: list[float]) -> list[float]:
    """Minus the squared distance to each class's mean, one number after the other."""
    scores = []
    for label in range(study.N_WAY):
        own = [example for example, of in zip(x, y, strict=True) if of == label]
        mean = [sum(values) / len(own) for values in zip(*own, strict=True)]
        scores.append(-sum((a - m) ** 2 for a, m in zip(asked, mean, strict=True)))
    return scores


def test_the_nearest_centroid_is_that_of_loops():
    tasks = episodes()
    logits = study.answers("nearest centroid", None, tasks)
    for i in range(3):
        x, y = tasks.support.x[i].tolist(), tasks.support.y[i].tolist()
        for j in (0, 7, 19):
            assert logits[i, j].tolist() == pytest.approx(by_loops(x, y, tasks.query.x[i, j].tolist()), abs=1e-5)


def test_learned_weights_and_the_embedding_are_centroids_of_changed_features():
    tasks = episodes()
    weights, matrix = shipped_theta("names_weights"), shipped_theta("names_prototypical")["weight"]
    changes = {
        "learned weights": lambda x: study.Weights.forward(Fixed(weights), x),
        "prototypical network": lambda x: x @ matrix.T,
    }
    for method, change in changes.items():
        changed = tasks._replace(
            support=Batch(change(tasks.support.x), tasks.support.y), query=Batch(change(tasks.query.x), tasks.query.y)
        )
        expected = study.answers("nearest centroid", None, changed)
        assert torch.allclose(study.answers(method, None, tasks), expected, atol=1e-3)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_mixture_adds_the_squared_distances_of_both(share: float):
    tasks, matrix = episodes(), shipped_theta("names_prototypical")["weight"]
    unit = torch.nn.functional.normalize

    def distances(change) -> torch.Tensor:
        centres = change(tasks.support.x).unflatten(1, (5, 2)).mean(2)
        return torch.cdist(change(tasks.query.x), centres).square()

    raw, embedded = distances(lambda x: x), distances(lambda x: unit(x @ matrix.T, dim=-1))
    expected = -(1 - share) * raw - share * embedded
    assert torch.allclose(study.answers("embedding and raw", share, tasks), expected, atol=1e-5)


class Fixed:
    """Named tensors as attributes, as a module would have them."""

    def __init__(self, theta: dict) -> None:
        self.__dict__ |= theta


def test_the_learned_prior_is_the_share_of_each_place_in_the_training_languages():
    total = torch.zeros(WIDTH)
    for language in languages("train"):
        total += counts(language.names).sum(0)
    shares = (total + 0.5) / (total + 0.5).sum()
    assert torch.allclose(shipped_theta("names_prior")[PRIOR].exp(), shares, rtol=1e-4)


@pytest.mark.parametrize("method", [m for m, found in study.METHODS.items() if not found.trained])
def test_what_knows_no_other_language_asks_for_no_shipped_theta(method: str, monkeypatch):
    def refuse(name: str):
        raise AssertionError(name)

    monkeypatch.setattr(study, "shipped_theta", refuse)
    reading = study.METHODS[method].reading
    assert study.answers(method, study.METHODS[method].choices[0], episodes(reading)).shape == (3, 20, 5)


@pytest.mark.parametrize("method", [name for name, method in study.METHODS.items() if len(method.choices) > 1])
def test_every_method_that_has_a_choice_has_one_for_each_number_of_names(method: str):
    assert tuple(study.CHOSEN[method]) == study.SHOTS
    assert set(study.CHOSEN[method].values()) <= set(study.METHODS[method].choices)


@pytest.mark.parametrize(("method", "k_shot"), [("naive Bayes", 1), ("naive Bayes, learned prior", 5)])
def test_what_was_chosen_is_best_on_validation_languages(method: str, k_shot: int):
    accuracies = study_tuning.validate(method, k_shot)
    assert accuracies[study.CHOSEN[method][k_shot]] >= max(accuracies.values()) - 1e-3


def test_choices_are_made_on_validation_languages_and_reported_ones_are_held_out(monkeypatch):
    parts = []

    def watched(method, choice, part, k_shot, n, generator):
        parts.append(part)
        return torch.zeros(n)

    monkeypatch.setattr(study_tuning, "accuracy", watched)
    lines = list(study_tuning.tune())
    assert lines[7] == "naive Bayes, K = 1: best 3.0"  # of equals the first
    assert sum("best" in line for line in lines) == sum(map(len, study.CHOSEN.values()))
    assert set(parts) == {"validation"}
    parts.clear()
    monkeypatch.setattr(study, "accuracy", watched)
    study.TABLES["language_names"].score("MAML", "1-shot", 20, torch.Generator())
    assert parts == ["held out"]
    assert read_about("language_names")["fixed"]["languages"] == "held out"


def test_chance_is_one_in_five_without_names_that_tell():
    tasks = episodes(n=200)
    shuffled = tasks.query.y[:, torch.randperm(20, generator=torch.Generator().manual_seed(0))]
    right = (study.answers("nearest centroid", None, tasks).argmax(-1) == shuffled).float().mean()
    assert float(right) == pytest.approx(0.2, abs=0.03)


def test_what_the_chapter_says_of_the_table():
    table = read_table("language_names")
    mean = {key: row.mean for key, row in table.items()}
    for k in study.SHOTS:
        assert mean["learned weights", f"{k}-shot"] > mean["nearest centroid", f"{k}-shot"]
        rivals = ("naive Bayes", "nearest centroid", "prototypical network", "MAML")
        assert all(mean["embedding and raw", f"{k}-shot"] > mean[rival, f"{k}-shot"] for rival in rivals)
    assert mean["prototypical network", "1-shot"] > mean["nearest centroid", "1-shot"]
    assert mean["prototypical network", "20-shot"] < mean["nearest centroid", "20-shot"] - 0.05
    assert mean["naive Bayes", "20-shot"] > mean["learned weights", "20-shot"] - 0.005


@pytest.mark.parametrize("name", study.RECIPES)
def test_a_shipped_theta_is_small_and_finite(name: str):
    theta = shipped_theta(name)
    assert sum(p.numel() for p in theta.values()) < 70_000
    assert all(p.isfinite().all() for p in theta.values())


def test_the_longer_table_begins_with_the_episodes_of_the_shorter():
    long, short = read_table("language_more_episodes"), read_table("language_names")
    for key, row in long.items():
        assert torch.equal(row.scores[:600], short[key].scores)
        assert torch.equal(row.units[:600], short[key].units)


def test_more_episodes_of_the_same_languages_make_nothing_surer_about_languages():
    """By episode the gain of the prototypical network is shown ever more surely; by language never."""
    table = read_table("language_more_episodes")
    by_episode, by_language = [], []
    for n in (600, 6000):
        a, b = (table[m, "1-shot"].part(slice(n)) for m in ("prototypical network", "nearest centroid"))
        assert a.n_units == len(languages("held out")) == 40
        alone = paired(a._replace(units=None), b._replace(units=None))
        shared = paired(a, b)
        assert alone.low > 0 > shared.low
        by_episode.append(alone.high - alone.mean)
        by_language.append(shared.high - shared.mean)
    assert by_episode == [pytest.approx(0.0084, abs=1e-4), pytest.approx(0.0026, abs=1e-4)]
    assert by_language == [pytest.approx(0.030, abs=1e-3)] * 2


def test_a_language_counts_as_it_answers_and_as_a_rival():
    """Own answers alone (a mean for each language, from its own names) come to nearly as wide an interval."""
    tasks = Languages("held out").sample(600, 1, 10, generator=torch.Generator().manual_seed(0))
    own = torch.zeros(2, 40)
    for row, method in zip(own, ("prototypical network", "nearest centroid"), strict=True):
        right = (study.answers(method, None, tasks).argmax(-1) == tasks.query.y).float().unflatten(1, (5, 10)).mean(-1)
        which = tasks.description.long().flatten()
        row.index_add_(0, which, right.flatten()).div_(which.bincount(minlength=40))
    table = read_table("language_names")
    whole = paired(table["prototypical network", "1-shot"], table["nearest centroid", "1-shot"])
    alone = half_width(own[0] - own[1])
    assert alone == pytest.approx(0.025, abs=2e-3)
    assert 1 < (whole.high - whole.mean) / alone < 1.4
