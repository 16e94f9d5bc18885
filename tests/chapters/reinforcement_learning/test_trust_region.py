"""The trust region step: each part against another way of computing it, the whole by what it promises."""

import math

import pytest
import torch
from oracles import seeded
from torch.distributions import Independent, Normal, kl_divergence
from torch.func import grad, hessian, jacrev

from mapping_lib.chapters.reinforcement_learning import methods_trust_region as trust_region
from mapping_lib.chapters.reinforcement_learning.methods import policy_maml, rollouts
from mapping_lib.chapters.reinforcement_learning.methods_policies import (
    GaussianPolicy,
    experience,
    surrogate_with_score,
)
from mapping_lib.chapters.reinforcement_learning.methods_trust_region import (
    _fisher,
    conjugate_gradients,
    divergence,
    gauss_newton,
    trust_region_maml,
)
from mapping_lib.inner_loop import inner_step
from mapping_lib.learners.many_tasks import one_each
from mapping_lib.meta_training import meta_train
from mapping_lib.networks import functional
from mapping_lib.params import as_params, flat
from mapping_lib.worlds.goals import Navigation

SHORT, POLICY = Navigation(horizon=6), GaussianPolicy((2, 6, 2))
MODEL = functional(POLICY)


def theta(dtype: torch.dtype = torch.float64) -> dict:
    """Fresh parameters, away from 0: at the origin a ReLU without a bias stands on its kink."""
    g = seeded()
    return {
        name: (p + 0.1 * torch.randn(p.shape, generator=g)).to(dtype) for name, p in MODEL.init(generator=g).items()
    }


def drawn_tasks(n_tasks: int = 3, n: int = 20):
    goals = torch.rand(n_tasks, 2, generator=seeded(), dtype=torch.float64) - 0.5
    return SHORT.toward(goals, n, n, generator=seeded(1))


def moved(start: dict, step: dict, scale: float = 1.0) -> dict:
    return {name: p - scale * step[name] for name, p in start.items()}


def said_by(start: dict, tasks, alpha: float = 0.1):
    """(theta -> what the adapted policies say, task by task in a loop), on the states that they really saw."""
    before = experience(rollouts(POLICY, SHORT, one_each(start, 3), tasks.support))
    phi = {
        n: p[1] for n, p in policy_maml(POLICY, SHORT, alpha=alpha).adapt_path(start, tasks.support, steps=1).items()
    }
    judged = rollouts(POLICY, SHORT, phi, tasks.query)
    x, alive = judged.seen.flatten(1, 2), judged.alive.flatten(1)

    def say(theta: dict) -> torch.Tensor:
        answers = []
        for i in range(3):
            loss = lambda p, i=i: surrogate_with_score(MODEL.predict(p, before.x[i]), before.y[i])  # noqa: E731
            answers.append(MODEL.predict(inner_step(theta, grad(loss)(theta), alpha), x[i]))
        return torch.stack(answers)

    return say, experience(judged), alive


def mean_divergence(old: torch.Tensor, new: torch.Tensor, alive: torch.Tensor) -> torch.Tensor:
    return (divergence(old, new) * alive).sum() / alive.sum()


def test_the_divergence_is_that_of_torch():
    old, new = torch.randn(2, 50, 6, generator=seeded(), dtype=torch.float64)
    normal = lambda y: Independent(Normal(y[..., :3], y[..., 3:].exp()), 1)  # noqa: E731
    assert divergence(old, new).numpy() == pytest.approx(kl_divergence(normal(old), normal(new)).numpy())


def test_conjugate_gradients_solve():
    a = torch.randn(8, 8, generator=seeded(), dtype=torch.float64)
    a, b = a @ a.T + torch.eye(8), torch.randn(8, generator=seeded(1), dtype=torch.float64)
    assert conjugate_gradients(lambda v: a @ v, b).numpy() == pytest.approx(torch.linalg.solve(a, b).numpy(), rel=1e-3)


def test_the_product_is_that_of_the_written_out_jacobian():
    f, at = lambda x: torch.stack([x[0] * x[1], x[2].exp(), x.sum()]), torch.tensor([0.3, -1.0, 0.5])
    jacobian, weight, v = jacrev(f)(at), torch.tensor([1.0, 2.0, 0.5]), torch.tensor([1.0, -2.0, 3.0])
    assert gauss_newton(f, at, weight)(v).numpy() == pytest.approx((jacobian.T @ (weight * (jacobian @ v))).numpy())


def test_the_metric_is_the_hessian_of_the_mean_divergence():
    start = theta()
    say, _, alive = said_by(start, drawn_tasks())
    answers = lambda vector: say(as_params(vector, MODEL.shapes))  # noqa: E731
    here = flat(start)
    old = answers(here).detach()
    explicit = hessian(lambda vector: mean_divergence(old, answers(vector), alive))(here)
    product = gauss_newton(answers, here, _fisher(old, alive))
    v = torch.randn(len(here), generator=seeded(2), dtype=torch.float64)
    assert product(v).numpy() == pytest.approx((explicit @ v).numpy(), rel=1e-6, abs=1e-10)


@pytest.mark.parametrize("limit", [1e-4, 0.01, 0.1])
def test_a_step_stays_in_the_region_and_makes_the_surrogate_better(limit: float):
    start, tasks = theta(), drawn_tasks()
    meta_loss, direction = trust_region_maml(POLICY, SHORT, limit=limit).meta_grad(start, tasks)
    plain_loss, slope = policy_maml(POLICY, SHORT).meta_grad(start, tasks)
    assert float(meta_loss) == float(plain_loss)
    say, after, alive = said_by(start, tasks)
    old, new = say(start), say(moved(start, direction))
    assert 0.1 * limit < float(mean_divergence(old, new, alive)) <= limit
    assert torch.func.vmap(surrogate_with_score)(new, after.y).mean() != 0
    assert (flat(direction) @ flat(slope)) > 0, "it goes uphill"


def test_a_small_step_is_the_inverse_metric_times_the_meta_gradient(monkeypatch: pytest.MonkeyPatch):
    """Where every state is measured, and conjugate gradients run to their end, the step can be written out."""
    monkeypatch.setattr(trust_region, "EVERY", 1)
    start, tasks = theta(), drawn_tasks()
    _, direction = trust_region_maml(POLICY, SHORT, limit=1e-6).meta_grad(start, tasks)
    _, slope = policy_maml(POLICY, SHORT).meta_grad(start, tasks)
    say, _, alive = said_by(start, tasks)
    answers = lambda vector: say(as_params(vector, MODEL.shapes))  # noqa: E731
    here = flat(start)
    jacobian, weight = jacrev(answers)(here), _fisher(answers(here), alive)
    metric = torch.einsum("tsoi,tso,tsoj->ij", jacobian, weight, jacobian)
    exact = torch.linalg.solve(metric + trust_region.DAMPING * torch.eye(len(here)), flat(slope))
    d = flat(direction)
    assert torch.cosine_similarity(metric @ d, metric @ exact, dim=0) > 0.98
    assert torch.cosine_similarity(d, flat(slope), dim=0) < 0.9, "it is the plain meta-gradient"
    length = float(d @ metric @ d) / 2
    shortened = round(math.log(length / 1e-6) / (2 * math.log(trust_region.SHRINK)))
    assert 0 <= shortened <= 3
    assert length == pytest.approx(1e-6 * trust_region.SHRINK ** (2 * shortened), rel=1e-3)


def test_a_step_that_is_allowed_nowhere_is_no_step():
    """Goals at the origin end an episode at once: there is nothing to gain."""
    start = theta()
    start["mean.2.bias"] = start["mean.2.bias"].clone()
    start["log_std"] = torch.full((2,), -30.0, dtype=torch.float64)
    start = {name: p * 0 if name != "log_std" else p for name, p in start.items()}
    tasks = SHORT.toward(torch.zeros(2, 2, dtype=torch.float64), 4, 4, generator=seeded())
    _, direction = trust_region_maml(POLICY, SHORT).meta_grad(start, tasks)
    assert float(flat(direction).abs().max()) == 0


@pytest.mark.parametrize("bad", [0, -0.1, float("nan"), "0.01"])
def test_a_wrong_limit_is_refused(bad):
    with pytest.raises(ValueError, match="limit is"):
        trust_region_maml(POLICY, SHORT, limit=bad)


def test_a_wrong_alpha_is_refused():
    with pytest.raises(ValueError, match="alpha is -1"):
        trust_region_maml(POLICY, SHORT, alpha=-1)


def test_a_few_steps_of_it_improve_the_return_after_an_update():
    family, asked = Navigation(horizon=20), {"tasks_per_step": 8, "k_shot": 8, "n_query": 8}
    learner = trust_region_maml(POLICY, family, limit=0.05)
    outer = {"beta": 1, "outer_steps": 12, "optimiser": "sgd", "generator": seeded(), "theta": theta(torch.float32)}
    *_, last = meta_train(learner, family, **asked, **outer)
    others = family.sample(40, 8, 8, generator=seeded(7))
    before, after = (float(learner.meta_grad(t, others)[0]) for t in (theta(torch.float32), last.theta))
    assert after < 0.9 * before
