"""Hypothesis without deadlines (timings are no tests) and without a folder of its own."""

from hypothesis import settings

settings.register_profile("foundation", deadline=None, database=None)
settings.load_profile("foundation")
