"""Customers: who is held out, what is shown of whom, and that the data are what their origin says."""

import numpy as np
import pytest
import torch
from oracles import seeded

from mapping_lib.chapters.personalisation import family_choices as choices
from mapping_lib.chapters.personalisation import methods_curves as curves
from mapping_lib.chapters.personalisation import methods_customers as customers
from mapping_lib.worlds.curves import load
from mapping_lib.worlds.held_out import study


def test_no_customer_trains_for_the_own_part():
    family, part = customers.everyone()
    for f in range(customers.FOLDS):
        assert torch.equal(customers.training(f).choices, family.choices[part != f])


def test_the_population_is_the_mean_of_the_training_individuals_day_by_day():
    seen = load("chicks").values[study("chicks").part != 4].numpy()
    assert curves.population("chicks")[4].numpy() == pytest.approx(np.nanmean(seen, 0), rel=1e-4)


# What is shown ----------------------------------------------------------------------------------------


def test_a_task_of_choices_is_one_customer():
    offers, chosen = choices.load()
    family = choices.Choices(offers, chosen)
    task = family.everyone(4, order="first", generator=seeded(0))
    assert torch.equal(task.support.y, chosen[:, :4])
    assert torch.equal(task.support.x, offers[:, :4])
    assert torch.equal((task.query.y >= 0).sum(-1), (chosen >= 0).sum(-1) - 4)
    drawn = family.sample(30, 2, 3, generator=seeded(1))
    for i in range(30):
        mine = offers[int(drawn.description[i])]
        for x in torch.cat([drawn.support.x[i], drawn.query.x[i]]):
            assert (mine == x).all((1, 2)).any()


# Where the data come from -----------------------------------------------------------------------------


def test_the_choices_are_those_of_the_origin():
    offers, chosen = choices.load()
    assert int((chosen >= 0).sum()) == 4308
    assert sorted((chosen >= 0).sum(-1).unique().tolist()) == [8, 9, 10, 11, 12]
    seen = offers[chosen >= 0]
    assert sorted((10 * seen[..., 0]).round().unique().int().tolist()) == [0, 7, 9]
    assert sorted((5 * seen[..., 1]).round().unique().int().tolist()) == [0, 1, 5]
    flat_rate = seen[..., 0] > 0  # a price of its own, or one of the two kinds of tariff
    assert torch.equal(flat_rate.float() + seen[..., 4] + seen[..., 5], torch.ones_like(seen[..., 0]))


# What does not fit ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: choices.Choices(*choices.load()).everyone(9, generator=seeded(0)), "k_shot is 9; allowed: at most 8"),
        (lambda: choices.Choices(torch.zeros(2, 3, 4, 6), torch.zeros(2, 2).long()), "choices has shape"),
    ],
)
def test_what_does_not_fit_is_named(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()
