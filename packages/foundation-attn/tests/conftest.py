"""What all tests of the package share."""

import numpy as np
import pytest
from foundation_nn import set_num_threads
from hypothesis import settings

settings.register_profile("foundation", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("foundation")

collect_ignore = ["golden"]  # the script there needs PyTorch

set_num_threads(1)  # arrays of a few hundred numbers: a second thread would only be waited for


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def same_bits():
    """An assertion that two arrays are equal to the last bit, the sign of zero included."""

    def check(actual, expected):
        assert actual.dtype == expected.dtype
        as_bits = f"u{expected.dtype.itemsize}"
        np.testing.assert_array_equal(
            np.ascontiguousarray(actual).view(as_bits),
            np.ascontiguousarray(expected).view(as_bits),
        )

    return check
