"""What the tests of all packages share; a package's own ``conftest.py`` adds to it."""

import os
import signal
import threading

import numpy as np
import pytest
from tqdm import tqdm

# tqdm's lock is shared with processes that are forked: a test that kills such a process while it
# draws would leave the lock taken for ever, and tqdm's own thread would wait for it at the exit.
tqdm.set_lock(threading.RLock())
tqdm.monitor_interval = 0

# Commands train in one process, unless a test asks for more.
os.environ["FOUNDATION_PROCESSES"] = "1"

collect_ignore_glob = ["*/tests/golden/*"]  # the scripts there need other libraries


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal():
    """The tests may have been started with signals ignored, as by ``nohup`` and ``&``."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # not on Windows
            signal.signal(getattr(signal, name), signal.SIG_DFL)


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
