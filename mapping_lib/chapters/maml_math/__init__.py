"""Chapter 2: the mathematics of MAML."""
