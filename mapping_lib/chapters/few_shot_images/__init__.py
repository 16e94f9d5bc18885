"""Chapter 4a: few-shot images."""
