"""The explorer of adaptation with a reader's own theta, learner and family."""

import numpy as np
import pytest
import torch
from front import chromium, opened, show
from torch import nn
from traitlets import TraitError

from mapping_lib.chapters.maml_code.explorer_adaptation import EXPLORER, explorer
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import maml
from mapping_lib.networks import mlp
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import Batch
from mapping_lib.worlds.linear import LinearFunctions


def test_a_theta_of_ones_own_stands_among_the_others_and_runs_in_the_page():
    _, theta = shipped("fomaml")
    panel = explorer(theta, rival="fomaml", steps=3)
    frame = panel.frame
    assert panel.learner == "own"
    assert np.array_equal(frame["after"], frame["rival_after"])
    there = EXPLORER.compute(EXPLORER.State(learner="fomaml", steps=3))
    assert np.allclose(frame["after"], there["after"], atol=1e-5)
    with chromium() as browser, opened(browser) as page:
        show(page, panel.explorer, steps=3)
        drawn = page.evaluate("() => Array.from(panel.frame.after.data)")
        assert "your θ" in page.locator(".said").inner_text()
    assert np.allclose(drawn, there["after"], atol=1e-4)


@pytest.mark.parametrize("any_alpha", [False, True])
def test_a_learner_of_ones_own_is_asked_itself(any_alpha):
    network = mlp((1, 16, 1), nn.Tanh)
    make = lambda alpha: maml(network, nn.functional.mse_loss, alpha=alpha, steps=1)  # noqa: E731
    theta = make(0.05).init(generator=torch.Generator().manual_seed(3))
    panel = explorer(
        theta, learner=make if any_alpha else make(0.05), family=LinearFunctions(), steps=2, k_shot=4, task=7
    )
    if any_alpha:
        panel.alpha = 0.05
    else:
        assert not hasattr(panel, "alpha")
    task = LinearFunctions().sample(1, 20, 200, generator=torch.Generator().manual_seed(7))
    support = Batch(task.support.x[0, :4], task.support.y[0, :4])
    phi = make(0.05).adapt(theta, support, steps=2)
    error = (make(0.05).predict(phi, task.query.x[0]) - task.query.y[0]).square().mean()
    assert panel.frame["error"] == pytest.approx(float(error), rel=1e-4)


def test_what_does_not_fit_is_refused_with_what_is_allowed():
    with pytest.raises(ValueError, match=r"theta has .*allowed: parameters of shapes \[\(40, 1\)"):
        explorer({"w": torch.ones(2)})
    with pytest.raises(ValueError, match="adaptation has no 'alhpa'; its state has alpha, steps"):
        explorer(alhpa=0.1)
    with pytest.raises(TraitError, match="alpha"):
        explorer(alpha=5.0)
    with pytest.raises(TraitError, match="rival"):
        explorer(rival="nobody at all")


def test_a_family_alone_is_shown_with_the_papers_network():
    panel = explorer(family=Sinusoids(), task=3)
    assert panel.frame["x"].shape == (10,)
    assert panel.explorer.words(panel.state, panel.frame)
