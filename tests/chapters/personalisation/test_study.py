"""What chapter 4b measures: each forecast computed another way, by the theta of the individual's own part."""

import numpy as np
import pytest
import torch
from oracles import seeded

from mapping_lib.chapters.personalisation import methods_curves as curves
from mapping_lib.chapters.personalisation import methods_customers as customers
from mapping_lib.chapters.personalisation import study_curves, study_customers
from mapping_lib.chapters.personalisation.methods_prior import legendre
from mapping_lib.study import read_table, shipped_theta
from mapping_lib.study.gains import paired
from mapping_lib.task import Batch
from mapping_lib.worlds import held_out


def numpy_features(x: np.ndarray) -> np.ndarray:
    return np.polynomial.legendre.legvander(x, 3)


@pytest.mark.parametrize("penalty", [[0.03, 0.03, np.inf], [np.inf] * 3, [0.3, 0.3, 0.3], [1e-4, 1e-4, 1e-4]])
@pytest.mark.parametrize("k_shot", [1, 2, 4])
def test_an_own_fit_is_least_squares_with_made_up_examples(penalty: list, k_shot: int):
    """Ridge as least squares: one more example a weight, of target 0, sqrt(penalty) long; none for the level."""
    x, y = np.array([-1.0, -0.4, 0.3, 0.9])[:k_shot], np.array([0.2, 1.0, -0.5, 2.0])[:k_shot]
    on = [0, *(1 + np.flatnonzero(np.isfinite(penalty)))]
    made_up = np.diag([0.0, *np.sqrt(penalty)])[np.ix_(on, on)][1:]
    design = np.vstack([numpy_features(x)[:, on], made_up])
    weight = np.linalg.lstsq(design, np.concatenate([y, np.zeros(len(made_up))]), rcond=None)[0]
    wanted = numpy_features(np.linspace(-1, 1, 5))[:, on] @ weight
    assert own_fit(x, y, penalty) == pytest.approx(wanted, abs=2e-6)  # of float32's last digit; y is up to 2


def test_an_own_fit_of_nothing_is_zero_and_of_one_observation_its_level():
    assert own_fit(np.array([]), np.array([]), [1e-4] * 3).tolist() == [0] * 5
    assert own_fit(np.array([0.7]), np.array([1.5]), [1e-4] * 3).tolist() == [1.5] * 5


def own_fit(x: np.ndarray, y: np.ndarray, penalty: list) -> np.ndarray:
    support = Batch(*(torch.tensor(v, dtype=torch.float32).view(1, -1, 1) for v in (x, y)))
    return curves.own_fit(support, torch.tensor([penalty]), torch.linspace(-1, 1, 5).view(1, 5, 1))[0, :, 0].numpy()


@pytest.mark.parametrize("data", held_out.REPEAT)
def test_mixed_effects_forecasts_by_the_theta_that_has_not_met_the_individual(data: str):
    task, group = held_out.judged(data, "spread", 2, generator=seeded(3)), held_out.study(data)
    forecast, theta = (
        curves.forecast("mixed effects", data, "spread", task),
        curves.theta_of("mixed effects", data, "spread"),
    )
    for row in (0, 7, 31):
        part = int(group.part[int(task.description[row])])
        mean, factor, noise, center, scale = (
            theta[name][part].double().numpy() for name in ("mean", "factor", "log_noise", "center", "scale")
        )
        X, y = numpy_features(task.support.x[row, :, 0].numpy()), task.support.y[row, :, 0].numpy()
        precision = np.linalg.inv(factor @ factor.T)
        V = np.linalg.inv(precision + X.T @ X / np.exp(2 * noise))
        w = V @ (precision @ mean + X.T @ ((y - center) / scale) / np.exp(2 * noise))
        wanted = center + scale * numpy_features(task.query.x[row, :, 0].numpy()) @ w
        assert forecast[row, :, 0].numpy() == pytest.approx(wanted, rel=2e-3, abs=2e-3)


def test_errors_are_means_over_observed_days_and_supports():
    task = held_out.judged("chicks", "first", 2, generator=seeded(0))
    got = curves.errors("population", "chicks", "first", task)
    group = held_out.study("chicks")
    numbers = group.judged.nonzero()[:, 0].tolist()
    for place in (3, 14, 48):
        i = numbers[place]
        mean = np.nanmean(group.curves.values[group.part != group.part[i]].numpy(), 0)
        missed = (group.curves.values[i].numpy() - mean)[2:] ** 2
        assert float(got[place]) == pytest.approx(np.nanmean(missed), rel=1e-4)
    repeated = held_out.judged("chicks", "spread", 2, generator=seeded(0))
    assert len(repeated.support.x) == 10 * 49
    assert curves.errors("population", "chicks", "spread", repeated).shape == (49,)


@pytest.mark.parametrize("data", held_out.REPEAT)
def test_shipped_variance_components_are_those_of_their_recipe(data: str):
    shipped, part = curves.theta_of("mixed effects", data, "spread"), held_out.study(data).n_parts - 1
    again = study_curves.mixed_effects(data, "all", part)
    for name, p in again.items():
        assert torch.allclose(shipped[name][part], p, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("data", "order"), [(d, o) for d in ("chicks", "countries") for o in ("spread", "first")])
def test_maml_has_one_tuned_alpha_for_all_weights_of_a_part(data: str, order: str):
    theta = curves.theta_of("MAML", data, order)
    alphas = torch.stack([p.flatten(1).amax(1) for name, p in theta.items() if name.startswith("alpha.")])
    assert torch.equal(alphas, alphas[:1].expand_as(alphas))
    allowed = torch.tensor(study_curves.SETTINGS["MAML"]["alphas"])
    assert all(float((allowed - a).abs().min()) < 1e-6 for a in alphas[0])


def test_the_pooled_logit_expects_what_was_chosen():
    """Where the likelihood is highest, chosen features and expected features agree on average (McFadden 1974)."""
    weight = study_customers.pooled(2)["weight"]
    assert torch.allclose(weight, customers.theta_of("population")["weight"][2], atol=1e-3)
    family = customers.training(2)
    seen = family.choices >= 0
    x, y = family.offers[seen], family.choices[seen]
    expected = torch.einsum("qa,qaf->qf", (x @ weight).softmax(-1), x).mean(0)
    assert torch.allclose(expected, x[torch.arange(len(x)), y].mean(0), atol=1e-4)


def test_rights_count_the_answers_that_there_are():
    task = customers.judged("first", 6, generator=seeded(0))
    got = customers.rights("population", task)
    weight, part = customers.theta_of("population")["weight"], customers.everyone()[1]
    logits = customers.forecast("population", task)
    for i in (0, 100, 217):
        assert torch.allclose(logits[i], task.query.x[i] @ weight[part[i]], atol=1e-5)
        hits = []
        for offers, chosen in zip(task.query.x[i], task.query.y[i].tolist(), strict=True):
            if chosen >= 0:
                hits.append(max(range(4), key=lambda a, o=offers, i=i: float(o[a] @ weight[part[i]])) == chosen)
        assert float(got[i]) == pytest.approx(np.mean(hits))


def test_what_the_chapter_says_of_countries_without_any_theta():
    """Most of the gain is that other countries' later years are known: the last value alone has next to nothing."""
    births, k = held_out.study("countries"), 3
    values = births.curves.values.numpy()
    missed = {"stays": [], "falls": []}
    for i, mine in enumerate(values):
        others = values[births.part.numpy() != int(births.part[i])].mean(0)
        for name, told in (("stays", mine[k - 1]), ("falls", mine[k - 1] * others[k:] / others[k - 1])):
            missed[name].append(np.mean((told - mine[k:]) ** 2))
    stays, falls = (np.sqrt(np.mean(errors)) for errors in missed.values())
    table = read_table("countries")
    population, mixed = (table[method, "first, 3"].mean ** 0.5 for method in ("population", "mixed effects"))
    assert (round(stays, 2), round(falls, 2), round(population, 2), round(mixed, 2)) == (1.97, 1.11, 1.88, 1.07)
    assert population - falls > 0.9 * (population - mixed)


@pytest.mark.parametrize(
    ("betas", "wanted"), [({"beta": 0.05}, (3.0, 0.05)), ({"betas": [0.05, 0.2]}, (1.0, 0.2))], ids=["one β", "two β"]
)
def test_the_best_alpha_and_beta_of_the_trials_train_on_everybody(betas: dict, wanted: tuple[float, float]):
    errors = {(1.0, 0.05): 0.5, (3.0, 0.05): 0.4, (1.0, 0.2): 0.1, (3.0, 0.2): 0.9}
    trained = []

    def train(learner, family, steps, beta):
        trained.append((family, steps, learner, beta))
        return {"weight": torch.tensor([learner, beta])}

    def error(learner, theta, family):
        return errors[learner, round(float(theta["weight"][1]), 2)] if family == "a fifth" else 10.0

    settings = {"alphas": [1.0, 3.0], "trial_steps": 7, "outer_steps": 70, **betas}
    theta = study_curves.tuned_maml(lambda *, alpha: alpha, "all", "four fifths", "a fifth", train, error, settings)
    assert trained[-1] == ("all", 70, *wanted)
    assert {(family, steps) for family, steps, *_ in trained[:-1]} == {("four fifths", 7)}
    assert float(theta["alpha"]) == wanted[0]


def test_what_the_chapter_says_of_maml_s_step_sizes_for_customers():
    """An alpha for each weight gains less than a second beta, and neither reaches the prior."""
    table, setting = read_table("customers"), "spread, 3"
    each, beta = (paired(table[name, setting], table["MAML", setting]) for name in ("Meta-SGD", "MAML, β tuned"))
    assert (round(100 * each.mean, 1), round(100 * beta.mean, 1)) == (0.8, 2.4)
    assert paired(table["MAML, β tuned", setting], table["Meta-SGD", setting]).low > 0
    both = paired(table["Meta-SGD, β tuned", setting], table["MAML", setting])
    rest = paired(table["mixed effects", setting], table["Meta-SGD, β tuned", setting])
    assert (round(100 * both.mean, 1), round(100 * rest.mean, 1)) == (3.0, 3.2)
    assert rest.low > 0


def test_meta_sgd_begins_at_a_tuned_alpha_and_maml_keeps_it():
    begun = dict(shipped_theta("customers_meta_sgd"))
    assert not torch.allclose(begun["alpha.weight"], begun["alpha"][:, None].expand(-1, 6))
    kept = customers.theta_of("MAML, β tuned")["alpha.weight"]
    assert torch.equal(kept, kept[:, :1].expand(-1, 6))
    assert torch.equal(customers.theta_of("Meta-SGD")["alpha.weight"], begun["alpha.weight"])


def test_what_the_chapter_says_of_its_tables():
    chicks, countries, sensors, choices = map(read_table, ("chicks", "countries", "sensors", "customers"))
    assert chicks["mixed effects", "spread, 3"].mean < 16.3**2
    assert countries["mixed effects", "spread, 3"].mean < 0.51**2
    assert choices["mixed effects", "spread, 3"].mean > 0.629
    assert choices["mixed effects", "spread, 6"].mean > 0.68
    for k in range(1, 6):  # nobody beats Bayes by more than the luck of 600 devices
        best = sensors["Bayes", f"spread, {k}"].mean
        assert all(sensors[name, f"spread, {k}"].mean > 0.97 * best for name in curves.METHODS)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: curves.forecast("magic", "chicks", "first", None), "method is 'magic'; allowed: 'population'"),
        (lambda: customers.forecast("magic", None), "method is 'magic'; allowed: 'population'"),
        (lambda: curves.theta_of("MAML", "chicks", "last"), "order is 'last'; allowed: 'spread', 'first'"),
        (lambda: held_out.judged("chicks", "first", 8, generator=seeded(0)), "k_shot is 8; allowed: at most 7"),
        (lambda: customers.judged("first", 9, generator=seeded(0)), "k_shot is 9; allowed: at most 8"),
    ],
)
def test_what_does_not_fit_is_named(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()


def test_features_of_the_chapter_are_the_application_s():
    x = torch.linspace(-1, 1, 5)[:, None]
    assert torch.equal(legendre(3)(x), curves.FEATURES(x))
