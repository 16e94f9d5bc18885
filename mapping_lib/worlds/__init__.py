"""Families of tasks, with their data, that two pages or more draw from.

A family is a distribution p(T) with a method ``sample``. `derived` holds families made of families.
"""
