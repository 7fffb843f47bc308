"""Blocks of rows, on threads."""

import os
import subprocess
import sys

import pytest

NESTED = """
from foundation_nn import over_rows, set_num_threads
set_num_threads(2)
done = []
over_rows(lambda s: over_rows(lambda r: done.append(r), 4000, 1024), 4000, 1024)
print(len(done))
"""
FORKED = """
import os
import numpy as np
from foundation_nn import functional as F, set_num_threads
set_num_threads(2)
x = np.ones((2000, 1000), np.float32)
F.gelu(x)
child = os.fork()
if not child:
    F.gelu(x)
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""


def run(program):
    """Its output; the process and its children end with it, also when they hang."""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            return process.communicate(timeout=5)[0].strip()
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            pytest.fail("the program hangs")


def test_a_task_may_use_over_rows_itself():
    # 4000 rows of 1024 bytes are 32 blocks of at most 128 rows.
    assert run(NESTED) == str(32 * 32)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_operations_work_in_a_forked_child():
    assert run(FORKED) == "0"
