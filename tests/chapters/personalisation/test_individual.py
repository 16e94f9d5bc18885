"""One individual: its forecasts, errors and weights are those of the learners that the tables judge."""

import numpy as np
import pytest
import torch
from one_customer import customer, weights_by_answers
from oracles import seeded

from mapping_lib.chapters.personalisation import methods_curves as curves
from mapping_lib.chapters.personalisation import methods_customers as customers
from mapping_lib.chapters.personalisation.methods_individual import NAMES, individual
from mapping_lib.task import Batch, Task
from mapping_lib.worlds.curves import Growth
from mapping_lib.worlds.held_out import REPEAT


@pytest.mark.parametrize("data", REPEAT)
@pytest.mark.parametrize("draw", [0, 4])
@pytest.mark.parametrize("k_shot", [0, 1, 3, 6])
def test_forecasts_and_errors_are_those_of_the_learners(data: str, draw: int, k_shot: int):
    one, order = individual(data, 33, draw=draw), "first" if draw == 0 and data != "sensors" else "spread"
    now, observed = one.outcomes[k_shot], one.observed(k_shot)
    individuals = curves.study(data).curves
    x, y = Growth(individuals).x[:, None], individuals.values[33][:, None]
    seen = torch.from_numpy(observed)
    task = Task(Batch(x[None, seen], y[None, seen]), Batch(x[None], y[None]), torch.tensor([[33.0]]))
    rest = ~observed & np.isfinite(one.truth)
    assert seen.sum() == k_shot
    for name in NAMES:
        wanted = curves.forecast(name, data, order, task)[0, :, 0].detach().numpy()
        assert now.forecasts[name] == pytest.approx(wanted, rel=1e-3, abs=1e-3), name
        error = np.sqrt(np.mean((wanted - one.truth)[rest] ** 2))
        assert now.errors[name] == pytest.approx(error, rel=2e-3, abs=1e-3)


@pytest.mark.parametrize("k_shot", [0, 1, 3, 6])
def test_choices_are_those_of_the_learners(k_shot: int):
    now, i = customer(100).outcomes[k_shot], 100
    task = customers.judged("first", k_shot, generator=seeded(0))
    one = Task(*(Batch(batch.x[i : i + 1], batch.y[i : i + 1]) for batch in task[:2]), torch.tensor([[float(i)]]))
    answered = one.query.y[0] >= 0
    for name in NAMES:
        logits = customers.forecast(name, one)[0].detach()
        right = (logits.argmax(-1) == one.query.y[0])[answered].float().mean()
        assert now.errors[name] == pytest.approx(1 - float(right), abs=1e-6), name
        given = logits.softmax(-1)[answered].gather(-1, one.query.y[0][answered, None])[:, 0].sort().values.numpy()
        drawn = np.sort(now.forecasts[name][np.isfinite(now.forecasts[name])])
        assert drawn == pytest.approx(given, abs=1e-3)


def a_customer(i: int) -> tuple[int, Batch]:
    """The part that a customer is held out in, and its first six answers."""
    family, parts = customers.everyone()
    first = (family.choices[i] >= 0).nonzero()[:6, 0]
    return int(parts[i]), Batch(family.offers[i, first], family.choices[i, first])


def theta_of(method: str, part: int) -> dict:
    return {name: p[part] for name, p in customers.theta_of(method).items()}


@pytest.mark.parametrize(("i", "width"), [(0, 1.0), (41, 3.0), (360, 0.3)])
def test_weights_of_all_numbers_of_answers_at_once_are_those_of_one_after_the_other(i: int, width: float):
    part, answers = a_customer(i)
    weights, _ = weights_by_answers(part, answers, width)
    prior = theta_of("mixed effects", part)
    for k in range(7):
        flat = customers.around_zero(customers.tuned_widths()[part, k, None])
        learners = {
            "own fit": (customers.PRIOR, {name: p[0] for name, p in flat.items()}),
            "MAML": (customers.ADAPTED, theta_of("MAML", part)),
            "mixed effects": (customers.PRIOR, prior | {"factor": width * prior["factor"]}),
        }
        for name, (learner, theta) in learners.items():
            phi = learner.adapt(theta, Batch(answers.x[:k], answers.y[:k]))
            assert weights[name][k].numpy() == pytest.approx(phi["weight"].detach().numpy(), abs=1e-4), (name, k)


def test_what_answers_remove_of_the_variance_is_laplaces_approximation():
    part, answers = a_customer(7)
    weights, removed = weights_by_answers(part, answers)
    prior = theta_of("mixed effects", part)
    for k in range(7):

        def log_posterior(w: torch.Tensor, k: int = k) -> torch.Tensor:
            z = torch.linalg.solve(prior["factor"].double(), w - prior["mean"])
            p = (answers.x[:k].double() @ w).log_softmax(-1).gather(-1, answers.y[:k, None])
            return p.sum() - z.square().sum() / 2

        left = torch.linalg.inv(-torch.func.hessian(log_posterior)(weights["mixed effects"][k].double()))
        before = prior["factor"].double() @ prior["factor"].double().T
        assert float(removed[k]) == pytest.approx(1 - float(left.trace() / before.trace()), abs=1e-4)
