"""How the theta and the tables of chapter 4g are made; the parts say it for their own method."""

from mapping_lib.study import Recipe, Table

from . import study_recurrent
from .study_contestants import SHARED, table_of

RECIPES: dict[str, Recipe] = {**study_recurrent.RECIPES}
TABLES: dict[str, Table] = {"after_shared": table_of(SHARED), **study_recurrent.TABLES}
