"""Individuals: who is held out, what is shown of whom, and that the data are what their origin says."""

import numpy as np
import pytest
import torch
from oracles import seeded

from mapping_lib.worlds import curves as growth
from mapping_lib.worlds import held_out, sensors
from mapping_lib.worlds.individuals import deal, draw, folds

CHICKS, COUNTRIES = growth.load("chicks"), growth.load("countries")


def test_folds_hold_every_individual_out_once_and_differ_by_one_at_most():
    part = folds(188, 10, seed=3)
    assert sorted(set(part.tolist())) == list(range(10))
    assert part.bincount().max() - part.bincount().min() <= 1
    assert torch.equal(part, folds(188, 10, seed=3))
    assert not torch.equal(part, folds(188, 10, seed=4))


@pytest.mark.parametrize("data", held_out.REPEAT)
def test_nobody_who_is_judged_trains_for_the_own_part(data: str):
    group = held_out.study(data)
    for part in range(group.n_parts):
        out = {name for name, p in zip(group.curves.names, group.part.tolist(), strict=True) if p == part}
        inside = set(held_out.training(data, part, "spread").curves.names)
        assert out & inside == set()
        assert out | inside == set(group.curves.names)
    assert (group.part[group.judged] >= 0).all()
    assert len(set(group.curves.names)) == len(group.curves.names)


def test_units_are_those_of_the_training_individuals():
    center, scale = held_out.units("chicks")
    part = held_out.study("chicks").part
    seen = CHICKS.values[part != 4].numpy()
    assert float(center[4]) == pytest.approx(np.nanmean(seen), rel=1e-5)
    assert float(scale[4]) == pytest.approx(np.nanstd(seen, ddof=1), rel=1e-4)


def test_errors_are_of_individuals_over_their_supports():
    task = held_out.judged("chicks", "spread", 3, generator=seeded(0))
    forecast = torch.randn(task.query.y.shape, generator=seeded(1))
    wanted = [[] for _ in range(49)]
    for row in range(490):
        missed = (forecast[row] - task.query.y[row])[:, 0].numpy() ** 2
        wanted[row % 49].append(np.nanmean(missed))
    assert held_out.errors_of(forecast, task, "chicks").numpy() == pytest.approx(np.mean(wanted, 1), rel=1e-4)


# What is shown ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False])
def test_support_and_rest_share_no_place_and_hold_all(first: bool):
    observed = torch.rand(30, 9, generator=seeded(0)) < 0.7
    observed[:, :4] = True
    support, rest = deal(observed, 3, first=first, generator=seeded(1))
    for i in range(30):
        assert sorted(support[i].tolist() + rest[i].tolist()) == list(range(9))
        assert observed[i, support[i]].all()
        assert support[i].tolist() == sorted(support[i].tolist())
        seen = observed[i, rest[i]].tolist()
        assert seen == sorted(seen, reverse=True)  # what is missing comes last
        if first:
            assert support[i].tolist() == observed[i].nonzero()[:3, 0].tolist()


def test_the_support_stays_where_it_may_lie_and_any_place_is_drawn():
    allowed = torch.tensor([False, True, True, True, False])
    support, rest = deal(torch.ones(200, 5, dtype=torch.bool), 2, allowed=allowed, generator=seeded(0))
    assert set(support.flatten().tolist()) == {1, 2, 3}
    assert set(rest.flatten().tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("order", growth.ORDERS)
def test_a_task_of_growth_is_one_chick_and_first_means_that_the_query_is_later(order: str):
    task = growth.Growth(CHICKS, order).sample(40, 3, 4, generator=seeded(0))
    for i in range(40):
        who = int(task.description[i])
        days = (10.5 * (torch.cat([task.support.x[i], task.query.x[i]])[:, 0] + 1)).round().int().tolist()
        weights = torch.cat([task.support.y[i], task.query.y[i]])[:, 0].tolist()
        assert len(set(days)) == 7
        table = dict(zip(CHICKS.times.int().tolist(), CHICKS.values[who].tolist(), strict=True))
        assert [table[day] for day in days] == weights
        if order == "first":
            assert days[:3] == [0, 2, 4]


def test_everyone_has_all_other_observations_as_query_and_nan_where_there_is_none():
    task = growth.Growth(CHICKS, "first").everyone(2, repeat=2, generator=seeded(0))
    assert task.support.x.shape == (100, 2, 1)
    counts = CHICKS.values.isfinite().sum(-1) - 2
    assert torch.equal(task.query.y[..., 0].isfinite().sum(-1), counts.repeat(2))
    assert torch.equal(task.description[:, 0].long(), torch.arange(50).repeat(2))


# Where the data come from -----------------------------------------------------------------------------


def test_the_chicks_are_those_of_the_origin():
    """R's ChickWeight: 578 rows, mean 121.8 g; 45 chicks of 12 observations; chick 18 has two, chick 35 weighs most."""
    seen = CHICKS.values.isfinite()
    assert int(seen.sum()) == 578
    assert float(CHICKS.values.nanmean()) == pytest.approx(121.8183, abs=1e-3)
    assert seen.sum(-1).tolist().count(12) == 45
    assert int(seen[17].sum()) == 2
    assert CHICKS.names[int(CHICKS.values.nan_to_num().amax(-1).argmax())] == "chick 35"
    assert float(CHICKS.values.nan_to_num().max()) == 373


def test_the_countries_are_countries():
    assert COUNTRIES.values.shape == (188, 52)
    assert COUNTRIES.values.isfinite().all()
    assert not [name for name in COUNTRIES.names if "members" in name or "states" in name or "income" in name]
    assert float(COUNTRIES.values[COUNTRIES.names.index("Brazil"), 0]) == pytest.approx(6.2, abs=0.2)


# Thermometers -----------------------------------------------------------------------------------------


def test_the_noise_and_the_spread_of_the_devices_are_as_said():
    family = sensors.Sensors(noise=0.3)
    drawn, clean = (s.measured(4000, generator=seeded(0)).values for s in (family, sensors.Sensors(noise=0.0)))
    assert float((drawn - clean).std()) == pytest.approx(0.3, rel=0.02)
    devices = family.devices(50_000, generator=seeded(1))
    assert devices.std(0).tolist() == pytest.approx([0.03, 0.02, 1 / 12**0.5], rel=0.02)
    assert devices.mean(0).tolist() == pytest.approx([0.0, 1.0, 0.5], abs=0.01)


def test_a_device_obeys_the_law_of_the_thermistor():
    """Forwards: at temperature T its resistance is R, from which the data sheet shows a temperature."""
    log_r, b, heat = 0.04, 1.03, 0.7
    readings = []
    for around in (-18.0, 20.0, 92.0):
        T = around + 273.15
        R = 10_000 * np.exp(log_r) * np.exp(3950 * b * (1 / T - 1 / 298.15))
        readings.append(1 / (1 / 298.15 + np.log(R / 10_000) / 3950) - 273.15)
    device = torch.tensor([[log_r, b, heat]])
    corrected = torch.tensor(readings) + sensors.Sensors.correction(device, torch.tensor(readings))[0]
    assert corrected.tolist() == pytest.approx([-18 - heat, 20 - heat, 92 - heat], abs=1e-3)


def test_the_best_guess_is_the_posterior_mean_by_a_plain_loop():
    family, n = sensors.Sensors(), 500
    readings, values = torch.tensor([[20.0, 35.0]]), torch.tensor([[0.4, 0.1]])
    guess = family.best_guess(readings, values, n=n, generator=seeded(3))
    pool = sensors.Sensors.correction(family.devices(n, generator=seeded(3))).double().numpy()
    weights = []
    for curve in pool:
        miss = (curve[8] - 0.4) ** 2 + (curve[11] - 0.1) ** 2  # 20 and 35 °C are the 9th and 12th of -20, -15, ...
        weights.append(np.exp(-miss / (2 * 0.15**2)))
    wanted = (np.array(weights)[:, None] * pool).sum(0) / sum(weights)
    assert guess[0].numpy() == pytest.approx(wanted, abs=2e-4)


# What does not fit ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: folds(5, 6), "n_folds is 6; allowed: at most 5"),
        (lambda: folds(5, 1), "n_folds is 1; allowed: a whole number, 2 or more"),
        (lambda: growth.load("mice"), "name is 'mice'; allowed: 'chicks', 'countries'"),
        (lambda: growth.Growth(CHICKS, "last"), "order is 'last'; allowed: 'spread', 'first'"),
        (
            lambda: growth.Growth(CHICKS).sample(1, 8, 5, generator=seeded(0)),
            r"k_shot \+ n_query is 13; allowed: at mo",
        ),
        (lambda: growth.Growth(CHICKS).everyone(3, generator=seeded(0)), "k_shot is 3; allowed: at most 2, the obs"),
        (lambda: growth.Growth(CHICKS).everyone(1, repeat=0, generator=seeded(0)), "repeat is 0; allowed"),
        (lambda: sensors.Sensors(noise=-1.0), "noise is -1.0; allowed"),
        (
            lambda: sensors.Sensors(noise=0.0).best_guess(torch.zeros(1, 0), torch.zeros(1, 0), generator=seeded(0)),
            "ise",
        ),
        (lambda: draw(torch.ones(2, 3).bool(), 1, 4, generator=seeded(0)), "is 4; allowed: at most 3"),
        (lambda: deal(torch.ones(2, 3).bool(), -1, generator=seeded(0)), "k_shot is -1; allowed"),
        (lambda: held_out.study("mice"), "data is 'mice'; allowed: 'chicks', 'countries', 'sensors'"),
    ],
)
def test_what_does_not_fit_is_named(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()
