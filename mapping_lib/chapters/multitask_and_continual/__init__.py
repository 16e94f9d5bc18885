"""Chapter 4e: one task after the other."""
