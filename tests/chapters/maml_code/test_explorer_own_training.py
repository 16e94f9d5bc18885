"""The explorer of meta-training with a reader's own learner and family: it trains as `meta_train` does."""

import pytest
import torch
from front import chromium, opened, settle, show
from torch import nn

from mapping_lib.chapters.maml_code.explorer_meta_training import explorer
from mapping_lib.evaluation import evaluate_by_step
from mapping_lib.learners.gradient import maml
from mapping_lib.meta_training import meta_train
from mapping_lib.networks import mlp
from mapping_lib.worlds.linear import LinearFunctions

NETWORK = mlp((1, 16, 1), nn.Tanh)


def own(alpha: float):
    return maml(NETWORK, nn.functional.mse_loss, alpha=alpha, steps=2)


def test_its_errors_are_those_of_meta_train():
    panel = explorer(learner=own, family=LinearFunctions(), trained=60, alpha=0.05, beta=0.01, k_shot=5, steps=3)
    learner = own(0.05)
    settings = {"theta": learner.init(generator=torch.Generator().manual_seed(0)), "beta": 0.01, "k_shot": 5}
    generator = torch.Generator().manual_seed(1)
    *_, last = meta_train(learner, LinearFunctions(), outer_steps=60, generator=generator, **settings)
    judged = {"steps": 3, "n_tasks": 64, "n_query": 20, "generator": torch.Generator().manual_seed(2024)}
    before, *_, after = evaluate_by_step(learner, last.theta, LinearFunctions(), k_shot=5, **judged).mean.tolist()
    frame = panel.frame
    assert len(frame["errors"]) == 4
    assert (frame["plain"], frame["now"]) == pytest.approx((before, after), rel=1e-5)
    assert f"{after:.3g}"[:3] in panel.explorer.words(panel.state, frame)


def test_going_on_and_going_back_give_what_a_run_at_once_gives():
    walked = explorer(family=LinearFunctions())
    for trained in (20, 80, 40):
        walked.trained = trained
        now = walked.frame["now"]
    assert now == explorer(family=LinearFunctions(), trained=40).frame["now"]


def test_a_learner_that_is_made_already_has_no_alpha():
    panel = explorer(learner=own(0.05), family=LinearFunctions())
    assert not hasattr(panel, "alpha")
    with pytest.raises(TypeError, match="learner is a str; allowed: a MetaLearner, or a function from α to one"):
        explorer(learner="maml")


def test_a_run_that_diverges_says_where():
    panel = explorer(learner=own, family=LinearFunctions(), trained=300, alpha=1.0, beta=1.0)
    words = panel.explorer.words(panel.state, panel.frame)
    assert "diverged" in words or "out of all bounds" in words
    assert panel.frame["done"] <= 300


def test_train_walks_to_the_last_outer_step_in_the_page():
    made = explorer(family=LinearFunctions()).explorer
    with chromium() as browser, opened(browser) as page:
        show(page, made, trained=40)
        settle(page)
        assert "Outer step 40" in page.locator(".said").inner_text()
        assert page.get_by_role("button", name="train").count() == 1
