"""What the cross-package tests share."""

import os
import signal
import sys
from pathlib import Path

import pytest

# ``killing``, which the tests of the packages share.
sys.path.append(str(Path(__file__).parents[1] / "packages"))
# Commands train in one process, unless a test asks for more.
os.environ["FOUNDATION_PROCESSES"] = "1"


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal():
    """The tests may have been started with Ctrl-C or a hang-up ignored, as by ``nohup`` and ``&``.

    The programs that they start would inherit that.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # not on Windows
            signal.signal(getattr(signal, name), signal.SIG_DFL)
