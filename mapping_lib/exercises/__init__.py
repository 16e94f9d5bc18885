"""Checks of a reader's answers, one file a chapter.

A check never raises: it prints "Right." with what was shown, or what is missing with a hint. An
exercise that is not begun yet (it returns ``...``) gets its hint, so that Run All reaches the end. Numbers are given
in torch's default dtype, which is read, since the reader's own tensors are in it.
"""
