"""Naive Bayes: counted by hand with fractions, and its meta-gradient by central differences."""

import math
from fractions import Fraction

import pytest
import torch

from mapping_lib.chapters.language.methods import LOG_P, PRIOR, naive_bayes
from mapping_lib.task import Batch

N_WAY, WIDTH = 3, 4


def drawn(n_tasks: int, n: int, seed: int, *, dtype=torch.float32) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 4, (n_tasks, n, WIDTH), generator=generator).to(dtype)
    return Batch(x, torch.randint(0, N_WAY, (n_tasks, n), generator=generator))


def log_posterior_by_hand(support: Batch, prior: list[Fraction], x: list[int]) -> list[float]:
    """Up to a constant, for each class: one count after the other, as fractions."""
    found = []
    for label in range(N_WAY):
        counted = list(prior)
        for example, y in zip(support.x.tolist(), support.y.tolist(), strict=True):
            if y == label:
                counted = [c + int(v) for c, v in zip(counted, example, strict=True)]
        total = sum(counted)
        found.append(sum(v * math.log(c / total) for c, v in zip(counted, x, strict=True) if v))
    return found


@pytest.mark.parametrize("prior", [[1, 1, 1, 1], ["1/10", 2, "1/3", "7/2"]])
@pytest.mark.parametrize("n", [0, 1, 6])
def test_logits_are_the_log_posterior_counted_by_hand(prior: list, n: int):
    fractions = [Fraction(p) for p in prior]
    theta = {PRIOR: torch.tensor([math.log(p) for p in fractions], dtype=torch.float64)}
    support = Batch(*(part[0] for part in drawn(1, n, seed=3, dtype=torch.float64)))
    query = drawn(1, 5, seed=4, dtype=torch.float64).x[0]
    learner = naive_bayes(N_WAY, WIDTH)
    logits = learner.predict(learner.adapt(theta, support), query)
    for row, x in zip(logits.tolist(), query.int().tolist(), strict=True):
        assert row == pytest.approx(log_posterior_by_hand(support, fractions, x))


def test_phi_is_a_distribution_for_every_class_and_without_examples_the_prior():
    learner = naive_bayes(N_WAY, WIDTH, strength=2.0)
    theta = learner.init(generator=torch.Generator())
    assert theta[PRIOR].exp().tolist() == pytest.approx([0.5] * WIDTH)
    some, none = Batch(*(part[0] for part in drawn(1, 5, 0))), Batch(torch.zeros(0, WIDTH), torch.zeros(0).long())
    for support in (some, none):
        assert learner.adapt(theta, support)[LOG_P].exp().sum(-1).tolist() == pytest.approx([1.0] * N_WAY)
    assert learner.adapt(theta, none)[LOG_P].exp().flatten().tolist() == pytest.approx([0.25] * N_WAY * WIDTH)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: naive_bayes(0, 4), "n_way is 0; allowed: a whole number, 1 or more"),
        (lambda: naive_bayes(2, 0), "width is 0; allowed: a whole number, 1 or more"),
        (lambda: naive_bayes(2, 4, strength=0.0), "strength is 0.0; allowed: a finite number above 0"),
        (
            lambda: adapted(torch.zeros(2)),
            r"support\.y has shape \(2,\) and dtype torch\.float32; allowed: one whole number",
        ),
        (lambda: adapted(torch.zeros(2, 1).long()), r"support.y has shape \(2, 1\)"),
    ],
)
def test_bad_input_is_refused(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()


def adapted(y: torch.Tensor):
    learner = naive_bayes(2, WIDTH)
    return learner.adapt(learner.init(generator=torch.Generator()), Batch(torch.zeros(2, WIDTH), y))
