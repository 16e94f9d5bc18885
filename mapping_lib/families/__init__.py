"""Families of tasks, each a distribution p(T) with a method ``sample``.

Where a description says all about a task, ``examples`` makes tasks of given descriptions. `derived` holds
families made of families.
"""
