"""What all tests of the package share."""

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("foundation", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("foundation")


@pytest.fixture
def rng():
    return np.random.default_rng(0)
