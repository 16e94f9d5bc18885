"""Chapter 4a: its methods against references, the company of queries and Omniglot's table."""

from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import seeded
from PIL import Image
from torch.testing import assert_close

from mapping_lib.chapters.few_shot_images import methods as few_shot_methods
from mapping_lib.chapters.few_shot_images import study_omniglot as omniglot
from mapping_lib.chapters.few_shot_images import study_tuning as few_shot_tuning
from mapping_lib.chapters.few_shot_images.methods import (
    GLYPHS,
    METHODS,
    TUNED,
    Source,
    Tuned,
    embedding,
    glyphs_theta,
    learner_of,
    ready,
    theta_of,
)
from mapping_lib.chapters.few_shot_images.methods_features import BODY, HEAD
from mapping_lib.chapters.few_shot_images.study import accuracies, labels_in_company
from mapping_lib.chapters.few_shot_images.study_training import TRAINING, trainings
from mapping_lib.learners import MetaLearner
from mapping_lib.task import each
from mapping_lib.worlds.letters import Glyphs

FIVE = {"n_way": 5, "k_shot": 2}


def tasks(n: int = 4, n_way: int = 5):
    return Glyphs("validation", n_way=n_way).sample(n, 2, 3, generator=seeded(0))


def test_joint_training_fits_a_softmax_on_fixed_features():
    """Gradient descent from zero, by the formula: the gradient is (p - y) f(x)' / n."""
    learner, theta = ready("joint training", 5, 5)
    task, tuned = next(each(tasks())), TUNED["joint training", 5, 5]
    phi = learner.adapt(theta, task.support)
    network = torch.func.functional_call
    features = network(
        few_shot_methods.body(),
        {n.removeprefix(BODY): p for n, p in theta.items() if n.startswith(BODY)},
        task.support.x,
    ).double()
    weight, bias = torch.zeros(5, features.shape[1], dtype=torch.double), torch.zeros(5, dtype=torch.double)
    for _ in range(tuned.steps):
        wrong = (features @ weight.T + bias).softmax(1) - torch.nn.functional.one_hot(task.support.y, 5)
        weight, bias = weight - tuned.alpha * wrong.T @ features / 10, bias - tuned.alpha * wrong.mean(0)
    assert_close(phi[HEAD + "weight"].double(), weight, rtol=1e-3, atol=1e-5)
    assert_close(phi[HEAD + "bias"].double(), bias, rtol=1e-3, atol=1e-5)


def test_the_joint_body_stays_what_it_was():
    learner, theta = ready("joint training", 5)
    phi = learner.adapt(theta, next(each(tasks())).support)
    assert all(torch.equal(phi[name], theta[name]) for name in theta if name.startswith(BODY))
    assert not torch.equal(phi[HEAD + "weight"], theta[HEAD + "weight"])


def test_the_accuracy_of_pixels_is_that_of_a_loop():
    many = tasks()
    by_hand = []
    for support, query, _ in each(many):
        labels = [support.y[(support.x - x).square().flatten(1).sum(1).argmin()] for x in query.x]
        by_hand.append(sum(int(a == b) for a, b in zip(labels, query.y, strict=True)) / len(labels))
    assert accuracies("pixel 1-NN", FIVE, many).tolist() == pytest.approx(by_hand)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_tells_more_than_chance_and_does_not_read_the_labels_of_the_query(method: str):
    many = tasks(6)
    right = accuracies(method, FIVE, many)
    shuffled = many._replace(query=many.query._replace(y=many.query.y.flip(1)))
    flipped = accuracies(method, FIVE, shuffled)
    assert right.mean() > 0.35
    assert flipped.mean() < right.mean()


@pytest.mark.parametrize("method", METHODS)
def test_other_labels_give_the_same_answers_under_other_names(method: str):
    """Labels mean nothing by themselves: reversed in the support, they are reversed in the answer. MAML and ANIL may
    begin with an opinion about a label, and are left out."""
    if method in ("MAML", "ANIL", "from scratch"):
        return
    learner, theta = ready(method, 5)
    support, query, _ = next(each(tasks()))
    y_hat = learner.predict(learner.adapt(theta, support), query.x)
    named = learner.predict(learner.adapt(theta, support._replace(y=4 - support.y)), query.x)
    assert_close(named.flip(1), y_hat, rtol=1e-3, atol=1e-3)


def test_random_weights_differ_from_episode_to_episode():
    first, second = (theta_of("from scratch", 5, seed=i) for i in (0, 1))
    assert not torch.equal(first["0.weight"], second["0.weight"])


def test_stored_numbers_have_16_bits_and_come_back_exactly():
    for name in TRAINING:
        theta = glyphs_theta(name)
        assert all(torch.equal(p.half().float(), p) for p in theta.values())
        assert all(p.isfinite().all() for p in theta.values())


def test_of_joint_training_only_the_body_is_kept():
    assert glyphs_theta("joint").keys() == dict(few_shot_methods.body().named_parameters()).keys()


def test_of_the_cosine_net_the_embedding_is_kept_and_read_by_its_directions():
    """Scaling the last layer changes every length and no angle, so no answer."""
    learner, theta = ready("joint, cosine", 5)
    network = few_shot_methods.conv_net(few_shot_methods.EMBEDDING, few_shot_methods.FILTERS)
    assert theta.keys() == dict(network.named_parameters()).keys()
    scaled = theta | {name: 3 * theta[name] for name in ("7.weight", "7.bias")}
    task = next(each(tasks()))
    answers = [learner.predict(learner.adapt(t, task.support), task.query.x) for t in (theta, scaled)]
    assert_close(*answers, rtol=1e-3, atol=1e-3)


def test_all_training_letters_keep_their_labels():
    many = GLYPHS.all_classes().sample(2, 0, 1, generator=seeded(0))
    assert torch.equal(many.description, torch.arange(332.0).expand(2, 332))
    assert torch.equal(many.query.y, torch.arange(332).expand(2, 332))


def test_training_takes_its_tasks_from_the_training_part_alone():
    asked = []

    def episodes(part: str, n_way: int, jitter: float):
        asked.append(part)
        return Glyphs(part, n_way, jitter)

    source = Source(episodes, lambda: Glyphs("train", 332, relabel=False), 332)
    for training in trainings(source).values():
        theta = training._replace(outer_steps=1, tasks_per_step=1).theta()
        assert {p.dtype for p in theta.values()} == {torch.float16}
    assert {*asked} == {"train"}


def test_tuning_looks_at_the_validation_alphabet_alone(monkeypatch):
    asked = []
    source = GLYPHS._replace(episodes=lambda part, n, jitter: asked.append(part) or Glyphs(part, n, jitter))
    monkeypatch.setattr(few_shot_tuning, "GLYPHS", source)
    validated = few_shot_tuning.validate("ANIL", 5, 1, n_tasks=2)
    assert asked == ["validation"]
    assert tuple(validated) == METHODS["ANIL"].choices


def test_tuning_tells_every_accuracy_and_the_best(monkeypatch):
    monkeypatch.setattr(few_shot_tuning, "TUNED", {("ANIL", 5, 1): None})
    monkeypatch.setattr(few_shot_tuning, "validate", lambda *_: {Tuned(0.1, 3): 0.5, Tuned(0.3, 3): 0.75})
    assert list(few_shot_tuning.tune()) == [
        "ANIL, 5 ways, K = 1: alpha 0.1, 3 steps: 0.500",
        "ANIL, 5 ways, K = 1: alpha 0.3, 3 steps: 0.750",
        "ANIL, 5 ways, K = 1: best Tuned(alpha=0.3, steps=3)",
    ]


def test_what_was_chosen_was_tried():
    assert {method for method, _, _ in TUNED} == {name for name, method in METHODS.items() if method.choices}
    assert all(chosen in METHODS[method].choices for (method, _, _), chosen in TUNED.items())


@pytest.mark.parametrize("method", ["joint training", "MAML", "ANIL"])
def test_the_rivals_are_tuned_alike_for_both_numbers_of_ways(method: str):
    assert {(n_way, k) for name, n_way, k in TUNED if name == method} == {(5, 1), (5, 5), (20, 1), (20, 5)}


# Company ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("company", "batches"),
    [
        ("one of each class", [[0, 5, 10, 15, 20], [1, 6, 11, 16, 21], [2, 7, 12, 17, 22]]),
        ("five of one class", [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 12, 13, 14]]),
        ("alone", [[0], [1], [2]]),
    ],
)
def test_queries_are_judged_in_the_company_that_is_said(company: str, batches: list):
    met = []

    def predict(phi, x):
        met.append(x[:, 0].int().tolist())
        return torch.nn.functional.one_hot(x[:, 0].long() % 5, 5).float()

    spy = MetaLearner(None, None, predict, None, "no gradient")
    labels = labels_in_company(spy, {}, torch.arange(25.0)[:, None], company)
    assert met[:3] == batches
    assert sorted(i for batch in met for i in batch) == list(range(25))
    assert labels.tolist() == [i % 5 for i in range(25)]


def test_only_batch_normalisation_minds_the_company():
    task = next(each(Glyphs("held out").sample(1, 1, 5, generator=seeded(0))))
    for norm, minds in (("none", False), ("group", False), ("batch", True)):
        learner, theta = embedding(norm), glyphs_theta("prototypical" if norm == "none" else f"{norm}_norm")
        phi = learner.adapt(theta, task.support)
        together, alone = learner.predict(phi, task.query.x), learner.predict(phi, task.query.x[:1])
        assert torch.allclose(together[:1], alone, rtol=1e-3, atol=1e-2) != minds


# Omniglot ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Twenty made-up characters in each part, by eight hands: a bar whose place is the character."""
    root = tmp_path_factory.mktemp("omniglot")
    generator = np.random.default_rng(0)
    for part, alphabet in (("images_background", "Futurama"), ("images_evaluation", "Angelic")):
        for c in range(20):
            path = root / part / alphabet / f"character{c:02d}"
            path.mkdir(parents=True)
            for h in range(8):
                pixels = np.full((105, 105), 255, np.uint8)
                pixels[5 * c : 5 * c + 5, generator.integers(0, 10) : generator.integers(90, 105)] = 0
                Image.fromarray(pixels).save(path / f"{c:04d}_{h:02d}.png")
    return root


def test_the_same_table_runs_on_omniglot(folder: Path):
    table = omniglot.omniglot_table(folder, n=2)._replace(methods=("pixel 1-NN", "prototypical", "MAML"), at_once=2)
    rows = list(omniglot.rows_of(table))
    assert len(rows) == 12
    assert [*table.settings] == ["5-way 1-shot", "5-way 5-shot", "20-way 1-shot", "20-way 5-shot"]
    assert all(row.mean > 0.8 for row in rows if row.method == "pixel 1-NN")  # the bars lie where they lay


def test_theta_can_be_trained_on_omniglot(folder: Path, monkeypatch):
    def short(source: Source) -> dict:
        return {name: t._replace(outer_steps=1, tasks_per_step=1) for name, t in trainings(source).items()}

    monkeypatch.setattr(omniglot, "trainings", short)
    trained = dict(omniglot.trained_on(folder))
    trained_for_ways = {"maml_5way", "maml_20way", "anil_5way", "anil_20way"}
    assert {*trained} == {"prototypical", "joint", "joint_cosine"} | trained_for_ways
    table = omniglot.omniglot_table(folder, trained=trained, n=1)._replace(at_once=1)
    assert len(list(omniglot.rows_of(table))) == 32


def test_the_command_prints_a_line_a_cell(folder: Path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["omniglot", str(folder), "--episodes", "2"])
    monkeypatch.setattr(omniglot, "rows_of", lambda table: [omniglot.measure(table, "pixel 1-NN", "5-way 1-shot")])
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    omniglot.main()
    assert "5-way 1-shot       pixel 1-NN: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: learner_of("protonet", 5), "method is 'protonet'; allowed: 'pixel 1-NN', 'from scratch'"),
        (lambda: theta_of("MAML", 7), r"n_way is 7; allowed: \(5, 20\), which MAML was trained for"),
        (lambda: ready("ANIL", 3), r"n_way is 3; allowed: \(5, 20\), which ANIL was trained for"),
    ],
)
def test_wrong_arguments_are_named(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()
