"""Prior-data fitted networks: what they learn, what they say, and that imagined curves are as they are described."""

import warnings

import numpy as np
import pytest
import torch
from oracles import seeded
from torch.func import vmap

from mapping_lib.chapters.what_came_after import study_prior_fitted as study
from mapping_lib.chapters.what_came_after.family_imagined import GRAMS, Imagined, ImaginedChicks, places, wiggles
from mapping_lib.chapters.what_came_after.methods_density import Bars, Normal, Said
from mapping_lib.chapters.what_came_after.methods_prior_fitted import coverage, exact_wave, prior_fitted, said_of
from mapping_lib.set_networks import ContextTransformer
from mapping_lib.study import read_table
from mapping_lib.study.gains import paired
from mapping_lib.task import Batch
from mapping_lib.worlds import held_out

NORMAL, BARS = Normal(0.05), Bars(torch.tensor([-2.0, -1.0, 0.0, 0.5, 2.0], dtype=torch.float64))
KINDS = pytest.mark.parametrize("kind", [NORMAL, BARS], ids=["normal", "bars"])
SMALL = {"width": 4, "heads": 2, "layers": 1}


def tiny(kind, **settings):
    pfn = prior_fitted(ContextTransformer(n_out=kind.n_out, **SMALL).double(), kind, **settings)
    return pfn, pfn.learner.init(generator=seeded(0))


@KINDS
def test_the_meta_loss_is_minus_log_density_by_a_plain_loop(kind):
    pfn, theta = tiny(kind)
    family = Imagined()
    tasks = family.sample(3, 4, 5, generator=seeded(1))
    tasks = tasks._replace(**{n: Batch(*(t.double() for t in getattr(tasks, n))) for n in ("support", "query")})
    losses = []
    for i in range(3):
        phi = pfn.learner.adapt(theta, Batch(tasks.support.x[i], tasks.support.y[i]))
        losses += [-pfn.density(phi, x[None]).log_density(y[None]) for x, y in zip(tasks.query.x[i], tasks.query.y[i])]  # noqa: B905
    torch.testing.assert_close(pfn.learner.meta_grad(theta, tasks)[0], torch.stack(losses).mean())


@KINDS
def test_predict_gives_the_mean_of_what_is_said(kind):
    pfn, theta = tiny(kind)
    phi = pfn.learner.adapt(theta, Batch(*torch.randn(2, 5, 1, generator=seeded(0)).double()))
    x = torch.linspace(-1, 1, 7, dtype=torch.float64)[:, None]
    torch.testing.assert_close(pfn.learner.predict(phi, x), pfn.density(phi, x).mean)


def test_a_transformer_answers_with_as_many_numbers_as_asked():
    transformer = ContextTransformer(2, 3, n_out=5, **SMALL)
    assert transformer(torch.zeros(7, 4, 2), torch.zeros(7, 4, 3), torch.zeros(7, 6, 2)).shape == (7, 6, 5)
    with pytest.raises(ValueError, match="n_out is 0; allowed: a whole number, 1 or more"):
        ContextTransformer(n_out=0)


def test_more_examples_than_were_trained_with_are_said_to_be_and_answered():
    pfn, theta = tiny(NORMAL, most=3)
    support = Batch(*torch.zeros(2, 4, 1, dtype=torch.float64))
    with pytest.warns(UserWarning, match="support has 4 examples; trained with at most 3"):
        phi = pfn.learner.adapt(theta, support)
    assert pfn.learner.predict(phi, support.x).shape == (4, 1)
    with pytest.warns(UserWarning, match="support has 4 examples"):
        vmap(lambda s: pfn.learner.adapt(theta, s)["support.x"])(Batch(*torch.zeros(2, 5, 4, 1, dtype=torch.float64)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pfn.learner.adapt(theta, Batch(*(part[:3] for part in support)))
        tiny(NORMAL)[0].learner.adapt(theta, support)


def test_an_answer_of_another_length_is_refused():
    pfn = prior_fitted(ContextTransformer(n_out=3, **SMALL), NORMAL)
    theta = pfn.learner.init(generator=seeded(0))
    with pytest.raises(ValueError, match=r"raw has shape .*; allowed: \(..., 2\)"):
        pfn.learner.predict(pfn.learner.adapt(theta, Batch(*torch.zeros(2, 4, 1))), torch.zeros(3, 1))
    with pytest.raises(ValueError, match="most is -1; allowed"):
        prior_fitted(ContextTransformer(n_out=2, **SMALL), NORMAL, most=-1)


def test_the_exact_density_of_a_wave_is_that_of_waves_that_pass_near_the_point():
    """Of two million waves of the prior those are kept that come within 0.02 of the point."""
    g, n = seeded(0), 2_000_000
    amplitude = 0.1 + 4.9 * torch.rand(n, generator=g, dtype=torch.float64)
    phase = torch.pi * torch.rand(n, generator=g, dtype=torch.float64)
    kept = (amplitude * torch.sin(-2.0 - phase) + 1.55).abs() < 0.02
    at = (amplitude * torch.sin(0.3 - phase))[kept]
    values = torch.linspace(-6, 6, 481, dtype=torch.float64)
    cdf = exact_wave(-2.0, -1.55, 0.3, values).cumsum(0) * (values[1] - values[0])
    for p in (0.2, 0.5, 0.8):
        assert float(values[(cdf < p).sum()]) == pytest.approx(float(at.quantile(p)), abs=0.06)


def test_bayes_covers_as_much_as_it_says():
    task = study.LINES.sample(2000, 3, 20, generator=seeded(0))
    said = study.bayes(task)
    for share in (0.5, 0.8, 0.95):
        assert float(coverage(said, task.query.y, share).mean()) == pytest.approx(share, abs=0.01)
    torch.testing.assert_close(said.deviation, study.LINES.predictive(task.support, task.query.x)[1])


# What is imagined -----------------------------------------------------------------------------------------


def test_imagined_curves_are_level_slope_and_bend_where_nothing_else_is_left():
    task = Imagined(wiggle=0.0, noise=0.0).sample(50, 4, 5, generator=seeded(0))
    for i in range(50):
        wanted = np.polynomial.legendre.legval(task.query.x[i, :, 0].numpy(), task.description[i].numpy())
        assert task.query.y[i, :, 0].numpy() == pytest.approx(wanted, abs=1e-5)


def test_the_spreads_are_those_written_down():
    drawn = Imagined(level=0.7, slope=1.0, bend=0.5).sample(20_000, 0, 1, generator=seeded(0)).description
    assert drawn.std(0).tolist() == pytest.approx([0.7, 1.0, 0.5], rel=0.03)
    x = torch.linspace(-1, 1, 5, dtype=torch.float32).expand(20_000, 5)[..., None]
    assert wiggles(x, generator=seeded(1)).std(0).flatten().tolist() == pytest.approx([1.0] * 5, rel=0.03)


def test_a_third_of_the_supports_are_first_observations_and_queries_are_anywhere():
    x = places(9000, 5, 5, generator=seeded(0))[..., 0]
    support, query = x[:, :5], x[:, 5:]
    assert float(x.min()) >= -1
    assert float(x.max()) <= 1
    assert float(query.mean()) == pytest.approx(0, abs=0.02)
    ends = np.sort(np.random.default_rng(0).random((200_000, 2)), 1)
    lows, highs = (np.zeros(200_000), np.zeros(200_000), ends[:, 0]), (np.ones(200_000), ends[:, 1], ends[:, 1])
    early = [(((0.25 - low) / (high - low)).clip(0, 1) ** 5).mean() for low, high in zip(lows, highs, strict=True)]
    assert float((support.amax(1) < -0.5).float().mean()) == pytest.approx(np.mean(early), abs=0.01)


def test_imagined_chicks_hatch_alike_and_grow():
    task = ImaginedChicks().sample(3000, 0, 400, generator=seeded(0))
    grams = GRAMS[0] + GRAMS[1] * task.query.y[..., 0]
    young, old = (grams[where] for where in (task.query.x[..., 0] < -0.99, task.query.x[..., 0] > 0.99))
    assert float(young.mean()) == pytest.approx(41.5, abs=1)
    assert float(young.std()) < 4
    assert float(old.log().std()) == pytest.approx(0.4, abs=0.02)


# The same individuals as in chapter 4b --------------------------------------------------------------------


@pytest.mark.parametrize("data", study.OF)
def test_the_tables_have_the_individuals_of_chapter_4b(data: str):
    ours, theirs = read_table(f"after_{data}"), read_table(data)
    assert {setting for _, setting in ours} <= {setting for _, setting in theirs}
    assert {row.n_units for row in ours.values()} == {row.n_units for row in theirs.values()}


def test_what_is_said_of_the_chicks_prior_is_so():
    """Taking all of it out costs at K = 1, 3 and 5; taking out that they hatch alike costs at 1, and gains at 5."""
    rows = read_table("after_chicks")

    def changed(by: str, than: str) -> list:
        return [paired(rows[by, f"spread, {k}"], rows[than, f"spread, {k}"]) for k in study.SHOTS]

    assert all(loss.low > 0 for loss in changed("curves", "chicks"))
    told = changed("chicks_brief_any_start", "chicks_brief")
    assert told[0].low > 0 > told[2].high


def test_a_forecast_does_not_read_what_it_forecasts_and_is_in_the_units_of_the_data():
    task = held_out.judged("chicks", "first", 3, generator=seeded(0))
    blind = task._replace(query=Batch(task.query.x, torch.full_like(task.query.y, torch.nan)))
    for name in ("curves", "chicks"):
        said, center, scale = study.read(name, "chicks", task)
        assert torch.equal(said.raw, study.read(name, "chicks", blind)[0].raw)
        assert 40 < float((center + scale * said.mean).mean()) < 250


def test_said_of_is_one_task_after_the_other():
    pfn, theta = study.shipped("lines")
    task = study.LINES.sample(5, 3, 4, generator=seeded(0))
    together = said_of(pfn, theta, task.support, task.query.x).mean
    for i in range(5):
        phi = pfn.learner.adapt(theta, Batch(task.support.x[i], task.support.y[i]))
        torch.testing.assert_close(pfn.learner.predict(phi, task.query.x[i]), together[i], rtol=0, atol=1e-4)


# What is shipped -----------------------------------------------------------------------------------------


def test_on_noisy_lines_it_is_near_bayes_and_calibrated():
    task = study.LINES.sample(400, 3, 20, generator=seeded(7))
    said, best = said_of(*study.shipped("lines"), task.support, task.query.x), study.bayes(task)
    gap = (best.log_density(task.query.y) - said.log_density(task.query.y)).mean()
    assert -0.01 < float(gap) < 0.1
    for share in (0.5, 0.8, 0.95):
        assert float(coverage(said, task.query.y, share).mean()) == pytest.approx(share, abs=0.05)


def test_coverage_counts_by_hand():
    said = Said(Normal(), torch.tensor([[[0.0, 0.5413]] * 4]))  # deviation 1: half within 0.6745
    y = torch.tensor([[[0.6], [-0.7], [0.1], [torch.nan]]])
    assert float(coverage(said, y, 0.5)) == pytest.approx(2 / 3)
