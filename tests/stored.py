"""What the stored theta must do, and how it is measured: asked by the tests, and by `stability` once more."""

import torch

from mapping_lib.chapters.automl import study_grid as grid
from mapping_lib.chapters.automl.methods_many_settings import query_errors_of_settings
from mapping_lib.evaluation import evaluate_by_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.study.sinusoids import LEARNERS, MAPPINGS, shipped
from mapping_lib.worlds.derived import VaryingShots

TRAINED = [name for name, recipe in LEARNERS.items() if recipe.outer_steps]


BEST_STEP = {"maml": 10, "fomaml": 1, "reptile": 10, "anil": 1, "meta_sgd": 1, "joint": 10}
MEDIAN_BELOW = {"maml": 0.2, "fomaml": 0.85, "reptile": 0.4, "anil": 0.8, "meta_sgd": 0.3, "joint": 1.4}
"""Of the median: a few diverging tasks of one θ or another rule the mean, as chapter 3 shows."""


def adapted(name: str, seed: int):
    """Errors by step of one of chapter 3's theta on 300 fresh tasks."""
    settings = {"k_shot": 5, "n_tasks": 300, "generator": torch.Generator().manual_seed(11)}
    return evaluate_by_step(*shipped(name, seed), Sinusoids(), steps=BEST_STEP[name], **settings)


def judged(name: str, k_shot: int, learner=None, theta=None, n_tasks: int = 300):
    """Errors by step of a shipped mapping, or of another learner, on fresh tasks of the mapping's family."""
    if learner is None:
        learner, theta = shipped(name)
    family = MAPPINGS[name].family
    family = family.family if isinstance(family, VaryingShots) else family
    settings = {"steps": STEPS_OF.get(name, 0), "n_tasks": n_tasks, "generator": torch.Generator().manual_seed(11)}
    return evaluate_by_step(learner, theta, family, k_shot=k_shot, **settings)


STEPS_OF = {"rule": 5, "rule_alone": 5, "flow": 5, "hypernetwork_tuned": 1}
MAPPING_BELOW = {
    "hypernetwork": {5: 0.003, 10: 0.003},
    "hypernetwork_tuned": {5: 0.12, 10: 0.09},
    "set_network": {5: 0.04, 10: 0.03},
    "rule": {5: 0.15, 10: 0.06},
    "rule_alone": {5: 1.4, 10: 1.05},
    "flow": {5: 0.3, 10: 0.15},
    "in_context": {5: 0.035, 10: 0.02},
    "lines_in_context": {5: 0.39, 10: 0.33},
}
"""Of the median error, by K: about twice what was measured, less where the error is large."""


GRID_TOLERANCE = 1e-4
"""Relative; moved by 1e-6 (`stability`), the errors move by 1.6e-5."""


def errors_of_cells(theta: dict, cells: torch.Tensor) -> torch.Tensor:
    alpha, _ = grid.all_settings()
    return query_errors_of_settings(theta, alpha[cells], grid.held_out(), 5).mean(1)
