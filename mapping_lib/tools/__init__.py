"""Tools for those who keep the suite: the recording of notebooks, and editions of them for a class."""
