"""How the theta and the tables of chapter 4g are made; each part says it for its own method."""

from mapping_lib.study import Recipe, Table

from . import (
    study_fewer_letters,
    study_fewer_numbers,
    study_implicit,
    study_neural_process,
    study_prior_fitted,
    study_recurrent,
    study_test_time,
)
from .study_contestants import SHARED, Contestant, table_of
from .study_typical import save_typical

PARTS = (
    study_prior_fitted,
    study_recurrent,
    study_fewer_numbers,
    study_fewer_letters,
    study_test_time,
    study_neural_process,
    study_implicit,
)
RECIPES: dict[str, Recipe] = {
    name: recipe for part in PARTS if part is not study_fewer_letters for name, recipe in part.RECIPES.items()
}
TABLES: dict[str, Table] = {"after_shared": table_of(SHARED)} | {
    name: table for part in PARTS for name, table in part.TABLES.items()
}

SIDE_BY_SIDE: dict[str, tuple[str, Contestant]] = {
    name: (table, one)
    for table, contestants in {
        "after_shared": SHARED,
        "after_prior_fitted": study_prior_fitted.CONTESTANTS,
        "after_fewer_numbers": study_fewer_numbers.CONTESTANTS,
        "after_test_time": study_test_time.CONTESTANTS,
        "after_neural_process": study_neural_process.CONTESTANTS,
        "after_implicit": study_implicit.CONTESTANTS,
    }.items()
    for name, one in contestants.items()
}
"""Who stands in the chapter's last table: the name of the table with the errors, and the contestant."""

OTHERS = {"after_typical": save_typical}
"""What else lies in this wing's data and is made by its study: what the explorer draws."""
