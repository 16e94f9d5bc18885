"""Episodes are balanced and disjoint, and every class is as likely as any other."""

import re

import pytest
import torch
from oracles import seeded

from mapping_lib.families.episodes import Episodes

CLASSES = torch.tensor([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1])
X = torch.arange(20.0)[:, None]  # an example's x is its number


def episodes(**settings) -> Episodes:
    return Episodes(X, CLASSES, **{"n_way": 4, **settings})


def test_every_label_has_its_shots_of_one_class_and_no_example_is_in_both():
    tasks = episodes().sample(300, 1, 2, generator=seeded(0))
    for support_x, support_y, query_x, query_y, dealt in zip(
        *tasks.support, *tasks.query, tasks.description.long(), strict=True
    ):
        assert support_y.bincount(minlength=4).tolist() == [1] * 4
        assert query_y.bincount(minlength=4).tolist() == [2] * 4
        shown, asked = (x[:, 0].long() for x in (support_x, query_x))
        assert len({*shown.tolist(), *asked.tolist()}) == 12
        assert torch.equal(CLASSES[shown], dealt[support_y])
        assert torch.equal(CLASSES[asked], dealt[query_y])
        assert len(set(dealt.tolist())) == 4


def test_every_class_and_every_example_comes_up_equally_often():
    tasks = episodes().sample(6000, 1, 2, generator=seeded(1))
    for label in range(4):
        counts = tasks.description[:, label].long().bincount(minlength=6)
        assert counts.sub(1000).abs().max() < 120  # four standard deviations
    of_class_0 = tasks.support.x[tasks.support.x % 6 == 0].long().bincount(minlength=19)[[0, 6, 12, 18]]
    assert of_class_0.sub(of_class_0.sum() / 4).abs().max() < 120


def test_without_relabelling_the_classes_keep_their_order():
    dealt = episodes(relabel=False).sample(50, 1, 1, generator=seeded(2)).description
    assert (dealt.diff() > 0).all()


def test_pictures_keep_their_shape():
    tasks = Episodes(torch.rand(20, 1, 5, 7), CLASSES, n_way=2).sample(3, 1, 1, generator=seeded(0))
    assert tasks.support.x.shape == (3, 2, 1, 5, 7)


def test_numbers_that_no_class_has_are_passed_over():
    """The same draws as without gaps; the description says the number."""
    number = torch.tensor([2, 3, 5, 70, 71, 400])
    gaps, dense = Episodes(X, number[CLASSES], n_way=4), episodes()
    assert gaps.n_classes == dense.n_classes == 6
    found, wanted = (family.sample(50, 1, 2, generator=seeded(3)) for family in (gaps, dense))
    assert torch.equal(found.support.x, wanted.support.x)
    assert torch.equal(found.query.y, wanted.query.y)
    assert torch.equal(found.description, number[wanted.description.long()].float())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_any_dtype_of_whole_numbers_will_do(dtype: torch.dtype):
    found, wanted = (f.sample(5, 1, 2, generator=seeded(4)) for f in (Episodes(X, CLASSES.to(dtype), 4), episodes()))
    assert torch.equal(found.query.x, wanted.query.x)
    assert found.query.y.dtype == torch.int64


@pytest.mark.parametrize(
    ("x", "classes", "message"),
    [
        (X.numpy(), CLASSES, "x is a numpy.ndarray; allowed: a tensor. Make it one: torch.tensor(x)"),
        (X, CLASSES.numpy(), "classes is a numpy.ndarray; allowed: a tensor. Make it one: torch.tensor(classes)"),
        (X, CLASSES.tolist(), "classes is a list; allowed: a tensor. Make it one: torch.tensor(classes)"),
        (X.double().numpy(), CLASSES, "Make it one: torch.tensor(x, dtype=torch.float32)"),
    ],
)
def test_arrays_and_lists_are_named_with_the_remedy(x, classes, message: str):
    with pytest.raises(TypeError, match=re.escape(message)):
        Episodes(x, classes, n_way=4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: episodes(n_way=7), "n_way is 7; allowed: at most 6, the number of classes"),
        (lambda: Episodes(X, 7 * CLASSES, 7), "n_way is 7; allowed: at most 6, the number of classes"),
        (
            lambda: Episodes(X, 7 * CLASSES, 6).sample(1, 2, 2, generator=seeded(0)),
            "k_shot + n_query is 4; allowed: at most 3, the examples of the rarest class",
        ),
        (lambda: episodes(n_way=0), "n_way is 0; allowed: a whole number, 1 or more"),
        (
            lambda: episodes(n_way=6).sample(1, 2, 2, generator=seeded(0)),
            "k_shot + n_query is 4; allowed: at most 3, the examples of the rarest class",
        ),
        (lambda: Episodes(X, CLASSES[:5]), "classes has shape (5,) and dtype torch.int64; allowed: one whole number"),
        (lambda: Episodes(X, CLASSES.float()), "dtype torch.float32; allowed: one whole number"),
        (lambda: Episodes(X, CLASSES - 1), "classes is empty or has numbers below 0"),
        (lambda: Episodes(X[:0], CLASSES[:0]), "classes is empty or has numbers below 0"),
    ],
)
def test_wrong_arguments_are_named(call, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
