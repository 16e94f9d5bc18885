"""The family of relabelled digits, its data, and the nearest neighbour that judges it."""

import hashlib
import math

import pytest
import torch
from oracles import copied, seeded, tensors
from torch import Tensor

from mapping_lib.evaluation import evaluate_by_step
from mapping_lib.learners.baselines import nearest_neighbour
from mapping_lib.learners.gradient import maml
from mapping_lib.meta_training import meta_train
from mapping_lib.networks import mlp
from mapping_lib.task import Batch
from mapping_lib.worlds.digits import FILE, FIRST_HELD_OUT, Digits, load, wrong

PLACE = {tuple(image): i for i, image in enumerate(load()[0].tolist())}
"""Where each image lies in the file: no two are equal."""

FAMILIES = [Digits(), Digits("held out"), Digits(classes=(7, 1, 4)), Digits("held out", (0, 2, 4, 6), n_way=2)]
PARTS = {"train": range(FIRST_HELD_OUT), "held out": range(FIRST_HELD_OUT, 1797)}
anything = pytest.mark.parametrize("family", FAMILIES, ids=str)


def places(x: Tensor) -> list[list[int]]:
    """The images ``(task, example, 64)``, as their places in the file."""
    return [[PLACE[tuple(image)] for image in task] for task in x.tolist()]


# The data ---------------------------------------------------------------------------------------------


def test_the_data_are_those_of_scikit_learn():
    images, digits = load()
    raw = (images * 16).to(torch.uint8).numpy().tobytes() + digits.to(torch.uint8).numpy().tobytes()
    assert hashlib.sha256(raw).hexdigest() == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    assert digits.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (images.shape, images.min(), images.max(), len(PLACE)) == ((1797, 64), 0, 1, 1797)


def test_the_split_lies_between_two_forms():
    """A form begins with 0 ... 9, three times."""
    digits = load()[1]
    start = list(range(10)) * 3
    assert digits[:30].tolist() == digits[FIRST_HELD_OUT : FIRST_HELD_OUT + 30].tolist() == start
    assert digits[:FIRST_HELD_OUT].bincount().tolist() == [114, 117, 114, 118, 116, 117, 116, 115, 114, 116]
    assert digits[FIRST_HELD_OUT:].bincount().tolist() == [64, 65, 63, 65, 65, 65, 65, 64, 60, 64]


def test_the_data_say_where_they_are_from():
    text = FILE.with_name("README.md").read_text(encoding="utf-8")
    assert all(words in text for words in ("Alpaydin", "Kaynak", "10.24432/C50P49", "CC BY 4.0", "load_digits"))
    assert f"Image {FIRST_HELD_OUT} begins the tenth form" in text


# The tasks --------------------------------------------------------------------------------------------


@anything
@pytest.mark.parametrize(("n_tasks", "k_shot", "n_query"), [(1, 1, 1), (7, 5, 3), (2, 0, 4), (2, 4, 0), (2, 0, 0)])
def test_shapes(family: Digits, n_tasks: int, k_shot: int, n_query: int):
    task = family.sample(n_tasks, k_shot, n_query, generator=seeded(0))
    for part, n in ((task.support, k_shot), (task.query, n_query)):
        assert (part.x.shape, part.x.dtype) == ((n_tasks, n * family.n_way, 64), torch.float32)
        assert (part.y.shape, part.y.dtype) == ((n_tasks, n * family.n_way), torch.int64)
    assert (task.description.shape, task.description.dtype) == ((n_tasks, family.n_way), torch.float32)


@anything
def test_every_label_has_as_many_examples_as_asked_for(family: Digits):
    task = family.sample(20, 3, 5, generator=seeded(0))
    for (_, y), n in ((task.support, 3), (task.query, 5)):
        assert all(labels.bincount().tolist() == [n] * family.n_way for labels in y)


@anything
def test_a_label_means_one_digit_and_the_description_says_which(family: Digits):
    task = family.sample(50, 3, 5, generator=seeded(0))
    truth = load()[1].tolist()
    for x, y in (task.support, task.query):
        for images, labels, description in zip(places(x), y.tolist(), task.description.tolist(), strict=True):
            assert [truth[i] for i in images] == [description[label] for label in labels]
    for description in task.description.tolist():
        assert len(set(description)) == family.n_way
        assert set(description) <= set(family.classes)


@anything
def test_no_image_comes_twice_in_a_task_and_none_from_the_other_part(family: Digits):
    task = family.sample(50, 20, 40, generator=seeded(0))
    for support, query in zip(places(task.support.x), places(task.query.x), strict=True):
        drawn = support + query
        assert len(set(drawn)) == len(drawn)
        assert set(drawn) <= set(PARTS[family.images])


@pytest.mark.parametrize("images", PARTS)
def test_every_image_is_drawn_and_alike_often_on_either_side(images: str):
    task = Digits(images).sample(2000, 2, 2, generator=seeded(0))
    for part in (task.support, task.query):
        times = torch.tensor(places(part.x)).flatten().bincount(minlength=1797)[PARTS[images]]
        expected = 2000 * 20 / len(times)
        assert (times - expected).abs().max() < 6 * math.sqrt(expected)


def test_a_task_may_use_up_every_image_of_its_rarest_digit():
    task = Digits("held out").sample(3, 20, 40, generator=seeded(0))
    digits = load()[1].tolist()
    eights = [{i for i in drawn if digits[i] == 8} for drawn in places(torch.cat([task.support.x, task.query.x], 1))]
    assert eights == [{i for i in PARTS["held out"] if digits[i] == 8}] * 3


def test_labels_are_dealt_evenly():
    dealt = Digits().sample(5000, 0, 0, generator=seeded(0)).description.long()
    share = torch.stack([(dealt == digit).float().mean(0) for digit in range(10)])
    assert (share - 0.1).abs().max() < 0.02
    follows = ((dealt[:, 1] - dealt[:, 0]) % 10).bincount(minlength=10) / 5000  # each order, not only a rotation
    assert (follows[1:] - 1 / 9).abs().max() < 0.02


def test_classes_are_chosen_evenly():
    chosen = Digits(classes=(1, 5, 6, 9), n_way=2).sample(4000, 0, 0, generator=seeded(0)).description
    pairs = {tuple(sorted(pair)) for pair in chosen.tolist()}
    assert pairs == {(1, 5), (1, 6), (1, 9), (5, 6), (5, 9), (6, 9)}
    assert all(abs((chosen == digit).float().sum(1).mean() - 0.5) < 0.03 for digit in (1, 5, 6, 9))


@pytest.mark.parametrize(("classes", "n_way"), [((3, 1, 7), None), ((3, 1, 7), 2)])
def test_without_relabelling_the_digits_keep_their_order(classes: tuple[int, ...], n_way: int | None):
    task = Digits(classes=classes, n_way=n_way, relabel=False).sample(30, 1, 0, generator=seeded(0))
    for description in task.description.tolist():
        assert description == [digit for digit in classes if digit in description]


# Randomness -------------------------------------------------------------------------------------------


def test_one_seed_gives_one_set_of_tasks():
    first, second, other = (tensors(Digits().sample(3, 1, 2, generator=seeded(s))) for s in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[-1], other[-1])


def test_a_generator_goes_on_and_the_global_random_state_stays():
    g, state = seeded(0), torch.get_rng_state()
    first, second = (Digits().sample(3, 1, 2, generator=g) for _ in range(2))
    assert not torch.equal(first.support.x, second.support.x)
    assert torch.equal(torch.get_rng_state(), state)


def test_what_a_reader_does_to_a_task_does_not_reach_the_data():
    task = Digits().sample(3, 1, 2, generator=seeded(0))
    task.support.x.zero_()
    assert torch.equal(Digits().sample(3, 1, 2, generator=seeded(0)).query.x, task.query.x)
    assert Digits().sample(3, 1, 2, generator=seeded(0)).support.x.any()


# Wrong arguments --------------------------------------------------------------------------------------

CALLS = [
    (lambda: Digits("test"), "images is 'test'; allowed: 'train', 'held out'"),
    (lambda: Digits(classes=()), "classes is (); allowed: a tuple of different digits"),
    (lambda: Digits(classes=(1, 1)), "classes is (1, 1); allowed: a tuple of different digits"),
    (lambda: Digits(classes=(9, 10)), "classes is (9, 10); allowed: a tuple of different digits"),
    (lambda: Digits(classes=[1, 2]), "classes is [1, 2]; allowed: a tuple of different digits"),
    (lambda: Digits(n_way=0), "n_way is 0; allowed: a whole number, 1 or more"),
    (lambda: Digits(classes=(1, 2), n_way=3), "n_way is 3; allowed: at most 2, the number of classes"),
    (lambda: sample(n_tasks=0), "n_tasks is 0; allowed: a whole number, 1 or more"),
    (lambda: sample(k_shot=-1), "k_shot is -1; allowed: a whole number, 0 or more"),
    (lambda: sample(n_query=1.0), "n_query is 1.0; allowed: a whole number, 0 or more"),
    (lambda: sample(generator=0), "generator is 0; allowed: a torch.Generator"),
    (lambda: sample(k_shot=1, n_query=60), "k_shot + n_query is 61; allowed: at most 60, the examples of the rarest"),
    (lambda: nearest_neighbour(0), "n_way is 0; allowed: a whole number, 1 or more"),
    (lambda: neighbours(zeros(4, 2), zeros(4, 1)), "support.y has shape (4, 1) and dtype torch.float32; allowed: one"),
    (lambda: neighbours(zeros(4, 2), zeros(4, 1).long()), "support.y has shape (4, 1) and dtype torch.int64; allowed:"),
    (lambda: neighbours(zeros(4, 2), zeros(3).long()), "support.x has shape (4, 2) and support.y (3,); allowed: as"),
]


def sample(n_tasks=3, k_shot=2, n_query=2, generator=None):
    generator = seeded(0) if generator is None else generator
    return Digits("held out").sample(n_tasks, k_shot, n_query, generator=generator)


def zeros(*shape: int) -> Tensor:
    return torch.zeros(shape)


def neighbours(x: Tensor, y: Tensor):
    return nearest_neighbour(2).adapt({}, Batch(x, y))


@pytest.mark.parametrize(("call", "message"), CALLS, ids=[message for _, message in CALLS])
def test_wrong_arguments_are_named(call, message: str):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert message in str(caught.value)


# The nearest neighbour --------------------------------------------------------------------------------


def slow_logits(support: Batch, x: Tensor, n_way: int) -> list[list[float]]:
    """Minus the distance to the nearest of each class, one pair of numbers at a time."""
    pairs = list(zip(support.x.tolist(), support.y.tolist(), strict=True))
    return [
        [
            -min((math.dist(at, image) for image, label in pairs if label == way), default=math.inf)
            for way in range(n_way)
        ]
        for at in x.tolist()
    ]


@pytest.mark.parametrize("k_shot", [1, 3])
def test_the_nearest_neighbour_is_that_of_a_slow_search(k_shot: int):
    tasks, learner = Digits("held out", (0, 3, 8, 9)).sample(5, k_shot, 4, generator=seeded(0)), nearest_neighbour(4)
    for i in range(5):
        support = Batch(tasks.support.x[i], tasks.support.y[i])
        found = learner.predict(learner.adapt({}, support), tasks.query.x[i])
        expected = torch.tensor(slow_logits(support, tasks.query.x[i], 4))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_class_without_an_example_is_out_of_reach_and_no_support_tells_nothing():
    learner, x = nearest_neighbour(3), torch.ones(2, 4)
    phi = learner.adapt({}, Batch(torch.zeros(2, 4), torch.tensor([2, 0])))
    assert learner.predict(phi, x).tolist() == [[-2.0, -math.inf, -2.0]] * 2
    empty = learner.adapt({}, Batch(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)))
    assert learner.predict(empty, x).tolist() == [[0.0, 0.0, 0.0]] * 2


def test_the_nearest_neighbour_is_evaluated_like_any_learner():
    learner, settings = nearest_neighbour(10), {"k_shot": 1, "n_tasks": 40, "n_query": 3, "error": wrong}
    found = evaluate_by_step(learner, {}, Digits("held out"), steps=2, generator=seeded(0), **settings)
    tasks = Digits("held out").sample(40, 1, 3, generator=seeded(0))
    meta_loss, direction = learner.meta_grad({}, tasks)
    assert found.mean.tolist() == pytest.approx([float(meta_loss)] * 3)  # inner steps are nothing to it
    assert (direction, learner.init(generator=seeded(0)), learner.claims) == ({}, {}, "no gradient")
    assert float(meta_loss) == pytest.approx(0.336, abs=0.05)  # 600 tasks of 15 an image: .664 right


def test_a_query_that_is_the_support_is_never_wrong():
    tasks = Digits().sample(6, 2, 1, generator=seeded(0))
    assert nearest_neighbour(10).meta_grad({}, tasks._replace(query=tasks.support))[0] == 0


# Both levels ------------------------------------------------------------------------------------------


def test_maml_learns_to_be_told_the_labels():
    """A short training of small digits: chance before adaptation, far above it after two steps."""
    loss, family = torch.nn.functional.cross_entropy, Digits(classes=(0, 1, 2, 3, 4))
    learner = maml(mlp((64, 32, 5)), loss, alpha=0.4, steps=2)
    settings = {"beta": 0.01, "outer_steps": 60, "tasks_per_step": 8, "k_shot": 1, "n_query": 5}
    *_, last = meta_train(learner, family, generator=seeded(0), **settings)
    theta = copied(last.theta)
    errors = evaluate_by_step(
        learner, theta, family, k_shot=1, steps=2, n_tasks=40, n_query=5, generator=seeded(1), error=wrong
    )
    assert errors.mean[0].item() == pytest.approx(0.8, abs=0.1)
    assert errors.mean[2] < 0.3
