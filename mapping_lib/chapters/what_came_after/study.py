"""How the theta and the tables of chapter 4g are made; the parts say it for their own method."""

from mapping_lib.study import Recipe, Table

from . import study_prior_fitted
from . import study_implicit
from . import study_neural_process, study_prior_fitted, study_test_time
from .study_contestants import SHARED, table_of

RECIPES: dict[str, Recipe] = {}
RECIPES |= study_implicit.RECIPES
TABLES: dict[str, Table] = {"after_shared": table_of(SHARED)}

RECIPES |= study_prior_fitted.RECIPES
TABLES |= study_prior_fitted.TABLES
TABLES |= study_implicit.TABLES
from . import study_fewer_letters, study_fewer_numbers
from .study_contestants import SHARED, table_of

RECIPES: dict[str, Recipe] = {**study_fewer_numbers.RECIPES}
TABLES: dict[str, Table] = {
    "after_shared": table_of(SHARED),
    **study_fewer_numbers.TABLES,
    **study_fewer_letters.TABLES,
}

RECIPES |= study_neural_process.RECIPES
TABLES |= study_test_time.TABLES | study_neural_process.TABLES
from . import study_recurrent
from .study_contestants import SHARED, table_of

RECIPES: dict[str, Recipe] = {**study_recurrent.RECIPES}
TABLES: dict[str, Table] = {"after_shared": table_of(SHARED), **study_recurrent.TABLES}
