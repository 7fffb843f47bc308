"""Hypothesis without deadlines, as timings are no tests, and with the same examples each time."""

from foundation_nn import set_num_threads
from hypothesis import settings

settings.register_profile("foundation", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("foundation")

set_num_threads(1)  # arrays of a few hundred numbers: a second thread would only be waited for
