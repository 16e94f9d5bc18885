"""Panels with sliders, one file an explorer."""
