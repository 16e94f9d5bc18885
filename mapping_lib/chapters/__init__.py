"""One wing for each chapter, named as its notebook: all that only this chapter uses.

Every wing has the same file names, as far as it needs them: `family` (its tasks), `methods` (its learners and
baselines), `study` (how its tables and theta are made), `figures`, `explorer`, `exercises`, each whole or in parts
(`family_growth`), and folders for its data, tables and weights. No wing imports another.
"""
