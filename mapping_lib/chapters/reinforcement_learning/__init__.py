"""Chapter 4d: walks to a hidden goal."""
