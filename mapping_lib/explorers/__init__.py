"""Floor 6: panels with sliders, one file an explorer."""
