"""Floor 6: checks of a reader's answers, one file a chapter.

A check never raises: it prints "Right." with what was shown, or what is missing with a hint. An
exercise that is not begun yet (it returns ``...``) gets its hint, so that Run All reaches the end. Numbers are given
in torch's default dtype, which is read, since the reader's own tensors are in it.
"""

from mapping_lib.exercises.applications import check_episodes_needed, check_interval
from mapping_lib.exercises.automl import check_best_for_one_step, check_hyper_gradient, check_report
from mapping_lib.exercises.clinic import check_error, check_recipe
from mapping_lib.exercises.code import check_descend, check_first_order, check_reptile
from mapping_lib.exercises.continual import check_forgetting, check_keep, check_meta_minimum
from mapping_lib.exercises.few_shot import check_company, check_linear, check_one_more
from mapping_lib.exercises.language import check_bigrams, check_log_score
from mapping_lib.exercises.mappings import check_exchanged, check_stop, check_strategy
from mapping_lib.exercises.math import check_best_alpha, check_one_link, check_pencil
from mapping_lib.exercises.navigation import check_score_term, check_to_go
from mapping_lib.exercises.personalisation import check_components, check_shrunk, check_split
from mapping_lib.exercises.view import check_nearest, check_trained

__all__ = [
    "check_best_alpha",
    "check_best_for_one_step",
    "check_bigrams",
    "check_company",
    "check_components",
    "check_descend",
    "check_episodes_needed",
    "check_error",
    "check_exchanged",
    "check_first_order",
    "check_forgetting",
    "check_hyper_gradient",
    "check_interval",
    "check_keep",
    "check_linear",
    "check_log_score",
    "check_meta_minimum",
    "check_nearest",
    "check_one_link",
    "check_one_more",
    "check_pencil",
    "check_recipe",
    "check_report",
    "check_reptile",
    "check_score_term",
    "check_shrunk",
    "check_split",
    "check_stop",
    "check_strategy",
    "check_to_go",
    "check_trained",
]
