"""Chapter 4: the map of applications."""
