"""Chapter 3: the map of alpha and beta, and the run its first panel begins with. Its theta are in `study.sinusoids`."""

from .study_map import save_map

RECIPES: dict = {}
TABLES: dict = {}
OTHERS = {"alpha_beta": save_map}
"""What lies in this wing's data and is made by its study."""
