"""Chapter 3: MAML in code."""
