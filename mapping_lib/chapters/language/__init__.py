"""Chapter 4c: names of languages."""
