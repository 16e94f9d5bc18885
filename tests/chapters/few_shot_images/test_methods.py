"""A learner on features: ANIL by another way, and the pieces by hand."""

import pytest
import torch
from oracles import random_theta, seeded
from torch import nn
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from mapping_lib.chapters.few_shot_images.methods_features import on_features, whitening
from mapping_lib.families.episodes import Episodes
from mapping_lib.learners.gradient import anil, maml
from mapping_lib.learners.prototypes import prototypical
from mapping_lib.task import Task, each

NETWORK = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)).double()
LEARNER = on_features(NETWORK[:-1], maml(NETWORK[-1], cross_entropy, alpha=0.5, steps=3), cross_entropy)
ANIL = anil(NETWORK, cross_entropy, alpha=0.5, steps=3)


def tasks() -> Task:
    x = torch.randn(60, 1, 5, 5, generator=seeded(0), dtype=torch.float64)
    return Episodes(x, torch.arange(60) % 6, 3).sample(4, 2, 3, generator=seeded(1))


def renamed(theta: dict) -> dict:
    """The names of a whole network as those of body and head."""
    return {name.replace("3.", "head.") if name[0] == "3" else f"body.{name}": p for name, p in theta.items()}


def test_with_maml_on_the_last_layer_it_is_anil():
    theta, many = random_theta(NETWORK), tasks()
    value, direction = ANIL.meta_grad(theta, many)
    got_value, got = LEARNER.meta_grad(renamed(theta), many)
    assert_close(got_value, value)
    assert_close(got, renamed(direction))
    for task in each(many):
        phi, expected = LEARNER.adapt(renamed(theta), task.support), ANIL.adapt(theta, task.support)
        assert_close(phi, renamed(expected))
        assert_close(LEARNER.predict(phi, task.query.x), ANIL.predict(expected, task.query.x))


def test_the_body_stays_and_the_steps_are_passed_on():
    theta = renamed(random_theta(NETWORK))
    task = next(each(tasks()))
    phi = LEARNER.adapt(theta, task.support, steps=0)
    assert all(torch.equal(phi[name], theta[name]) for name in theta)
    phi = LEARNER.adapt(theta, task.support)
    assert all(torch.equal(phi[name], theta[name]) for name in theta if name.startswith("body."))


def test_a_centroid_in_features_is_the_prototypical_network_of_the_body():
    body, ours = NETWORK[:-1], on_features(NETWORK[:-1], prototypical(None, 3), cross_entropy)
    theta, many = random_theta(body), tasks()
    named = {f"body.{name}": p for name, p in theta.items()}
    loss, direction = ours.meta_grad(named, many)
    expected_loss, expected = prototypical(body, 3).meta_grad(theta, many)
    assert_close(loss, expected_loss)
    assert_close(direction, {f"body.{name}": p for name, p in expected.items()})


def test_a_theta_of_another_network_is_refused():
    with pytest.raises(ValueError, match=r"theta has the names \[\]; allowed: \['0.bias', '0.weight'\]"):
        LEARNER.adapt({}, next(each(tasks())).support)


def test_after_whitening_a_distance_is_that_of_mahalanobis():
    """|xW - yW|² = (x - y)' (C + ridge I)^-1 (x - y), with C the covariance about the means of the classes."""
    classes = torch.arange(60) % 3
    features = torch.randn(60, 4, generator=seeded(0), dtype=torch.float64) * torch.tensor([1, 2, 3, 9])
    features = features + 50.0 * classes[:, None]  # where a class is plays no part
    away = torch.cat([features[classes == c] - features[classes == c].mean(0) for c in range(3)])
    covariance = away.T @ away / 60
    covariance = covariance + 0.2 * covariance.diagonal().mean() * torch.eye(4)
    d = features[0] - features[1]
    got = (d @ whitening(features, classes + 7, ridge=0.2)).square().sum()
    assert_close(got, d @ torch.linalg.solve(covariance, d))
