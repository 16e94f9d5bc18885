"""Chapter 3c: the clinic."""
