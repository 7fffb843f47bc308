"""Hypothesis without deadlines (timings are no tests) and with the same examples every time."""

from hypothesis import settings

settings.register_profile("foundation", derandomize=True, deadline=None)
settings.load_profile("foundation")

collect_ignore = ["golden"]  # the script there needs PyTorch
