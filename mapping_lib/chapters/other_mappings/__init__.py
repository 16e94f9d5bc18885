"""Chapter 3b: the other mappings."""
