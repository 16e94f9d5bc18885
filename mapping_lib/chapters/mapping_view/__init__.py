"""Chapter 1: everything is a mapping."""
