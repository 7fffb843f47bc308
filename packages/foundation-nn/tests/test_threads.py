"""Blocks of rows, on threads."""

import functools
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from foundation_nn import (
    Array,
    Result,
    Tensor,
    by_rows,
    get_num_threads,
    is_recording,
    no_grad,
    operation,
    over_parts,
    over_rows,
)
from foundation_nn import functional as F
from foundation_nn.engine import _threads
from threadpoolctl import threadpool_info


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of 128 kB, so that a few thousand short rows make many."""
    monkeypatch.setattr(_threads, "BLOCK_BYTES", 1 << 17)
    monkeypatch.setattr(_threads, "THREAD_BYTES", 1 << 17)


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

FORKED_WHILE_OTHERS_ARE_AT_WORK = """
import os, threading
import numpy as np
from foundation_nn import functional as F, set_num_threads
from foundation_nn.engine import _threads
set_num_threads(2)
F.gelu(np.ones((2000, 1000), np.float32))
before = [library.num_threads for library in _threads._blas()]
entered = threading.Event()

def other():
    with _threads.one_blas_thread(), _threads._all_threads.lock:
        entered.set()
        threading.Event().wait()

threading.Thread(target=other, daemon=True).start()
entered.wait()
child = os.fork()
if not child:
    for _ in range(2):
        assert [library.num_threads for library in _threads._blas()] == before
        F.gelu(np.ones((2000, 1000), np.float32))
    set_num_threads(1)
    os._exit(0)
print(os.waitpid(child, 0)[1])
os._exit(0)
"""


def run(program):
    """Its output; the process and its children end with it, also when they hang."""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            return process.communicate(timeout=60)[0].strip()
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            pytest.fail("the program hangs")


def test_a_task_may_use_over_rows_itself():
    # 4000 rows of 1024 bytes are 4 blocks of 1000 rows, of at most 1 MB.
    assert run(NESTED) == str(4 * 4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_operations_work_in_a_forked_child():
    assert run(FORKED) == "0"
    assert run(FORKED_WHILE_OTHERS_ARE_AT_WORK) == "0"


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(
    ("rows", "row_bytes"),
    [(0, 4), (1, 4), (5, 4), (128, 1024), (129, 1024), (1023, 1024), (1025, 1024), (3, 1 << 20)],
)
def test_every_row_is_done_once_in_blocks_that_fit_the_cache(threads, n, rows, row_bytes):
    threads(n)
    done = np.zeros(rows, int)
    blocks = []

    def task(block):
        done[block] += 1
        blocks.append(block)

    over_rows(task, rows, row_bytes)
    np.testing.assert_array_equal(done, np.ones(rows))
    assert max(b.stop - b.start for b in blocks) <= max(1, (1 << 17) // row_bytes)
    threads(1)
    expected, blocks = {(b.start, b.stop) for b in blocks}, []
    over_rows(task, rows, row_bytes)
    assert {(b.start, b.stop) for b in blocks} == expected  # whatever the number of threads


def test_small_work_stays_on_the_calling_thread_large_work_does_not(threads):
    threads(2)

    def workers(rows):
        seen, both = set(), threading.Barrier(2)

        def task(block):
            # In large work, the first two tasks wait for each other.
            if rows >= 256 and not both.broken and len(seen) < 2:
                seen.add(threading.get_ident())
                both.wait(timeout=5)
            seen.add(threading.get_ident())

        over_rows(task, rows, 1024)
        return seen

    assert workers(127) == {threading.get_ident()}  # just below the limit
    assert len(workers(256)) == 2


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("failing", [0, 125, 3875])
def test_an_error_in_any_block_reaches_the_caller(threads, n, failing):
    threads(n)

    def task(block):
        if block.start == failing:
            raise KeyError(block.start)

    with pytest.raises(KeyError, match=str(failing)):
        over_rows(task, 4000, 1024)
    done = []
    over_rows(done.append, 4000, 1024)  # and the pool still works
    assert len(done) == 32


LARGE = np.random.default_rng(0).standard_normal((1031, 521)).astype(np.float32)  # 2 MB
OPERATIONS = {
    "gelu": F.gelu,
    "gelu, tanh": lambda x: F.gelu(x, "tanh"),
    "layer_norm": lambda x: F.layer_norm(x, LARGE[0], LARGE[1]),
    "plain layer_norm": F.layer_norm,
    "rms_norm": lambda x: F.rms_norm(x, LARGE[0]),
    "cross_entropy": lambda x: F.cross_entropy(x, np.arange(1031) % 521, 7, 0.1),
}


def value_and_gradient(function, array):
    x = Tensor(array, requires_grad=True)
    y = function(x)
    (y * y).sum().backward()
    return y.data, x.grad


@pytest.mark.parametrize("name", OPERATIONS)
def test_results_do_not_depend_on_the_number_of_threads(threads, name):
    results = []
    for n in (1, 2, 3):
        threads(n)
        results.append([a.tobytes() for a in value_and_gradient(OPERATIONS[name], LARGE)])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "cross_entropy"])
def test_many_blocks_give_what_one_does(threads, name):
    threads(2)
    y, dx = value_and_gradient(OPERATIONS[name], LARGE)
    for rows in (slice(0, 3), slice(500, 507), slice(-2, None)):
        few, dfew = value_and_gradient(OPERATIONS[name], LARGE[rows])
        np.testing.assert_allclose(y[rows], few, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(dx[rows], dfew, rtol=1e-4, atol=1e-5)


def test_a_context_holds_in_all_threads(threads):
    threads(2)
    seen, both = [], threading.Barrier(2)

    def task(block):
        both.wait(timeout=5)
        seen.append((is_recording(), np.geterr()["over"]))

    with no_grad(), np.errstate(over="raise"):
        over_parts(task, 2)
    assert seen == [(False, "raise")] * 2


@pytest.mark.parametrize(
    ("n", "k", "m"), [(521, 257, 131), (131, 257, 521), (523, 1031, 1), (1, 9, 7)]
)
def test_a_shared_product_is_the_product(threads, monkeypatch, n, k, m):
    monkeypatch.setattr(_threads, "PRODUCT_WORK", 1 << 16)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((n, k)), rng.standard_normal((m, k)).T
    for number in (1, 2, 3):
        threads(number)
        np.testing.assert_allclose(_threads.product(a, b), a @ b, rtol=1e-12, atol=1e-12)
        room = np.empty((n, m))
        assert _threads.product(a, b, out=room) is room
        np.testing.assert_allclose(room, a @ b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((5, 67, 31), (5, 31, 43)),
        ((2, 3, 67, 31), (2, 3, 31, 43)),
        ((5, 67, 31), (31, 43)),
        ((31,), (31, 43)),
    ],
)
def test_a_shared_product_of_stacks_is_the_product(threads, monkeypatch, left, right):
    monkeypatch.setattr(_threads, "PRODUCT_WORK", 1 << 16)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(left), rng.standard_normal(right)
    for number in (1, 2):
        threads(number)
        np.testing.assert_allclose(_threads.product(a, b), a @ b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("number", [2, 3, 8])
@pytest.mark.parametrize("unit", [1, 16])
@pytest.mark.parametrize("length", [1, 5, 16, 17, 128, 385, 4096])
@pytest.mark.parametrize("work", [1 << 24, 1 << 25, 1 << 30])
def test_the_pieces_of_a_product_are_all_of_it_and_the_first_is_the_largest(
    threads, number, unit, length, work
):
    threads(number)
    pieces = _threads._pieces(length, work, unit)
    assert [i for part in pieces for i in range(length)[part]] == list(range(length))
    sizes = [part.stop - part.start for part in pieces]
    assert min(sizes) > 0
    assert max(sizes) == sizes[0]
    assert all(size % unit == 0 for size in sizes[:-1])
    if length == 4096:  # enough for everybody
        assert len(pieces) >= 2
        assert sizes[0] < 0.7 * length


def test_within_operations_there_is_one_kind_of_thread(threads):
    threads(2)
    before, inside = blas_threads(), []

    @operation
    @by_rows
    def spy(x: Array) -> Result:
        inside.append(blas_threads())
        return x, lambda g: g

    spy(LARGE)
    spy(LARGE[:30])
    assert inside == [[1] * len(before)] * len(inside)
    assert len(inside) > 2
    assert blas_threads() == before


def test_the_number_of_threads_is_at_least_one(threads):
    threads(3)
    assert get_num_threads() == 3
    for n in (0, -1):
        with pytest.raises(ValueError, match=f"set_num_threads: expected n >= 1, got {n}"):
            threads(n)
    with pytest.raises(ValueError, match="set_num_threads: expected n to be a whole number"):
        threads(2.5)
    for n in ("2", None, True):
        with pytest.raises(TypeError, match="set_num_threads: expected n to be a number, got"):
            threads(n)
    assert get_num_threads() == 3


def test_the_matrix_product_follows(threads):
    for n in (1, 2, 1):
        threads(n)
        assert {
            pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"
        } <= {n}


def blas_threads():
    return [library.num_threads for library in _threads._blas()]


def test_blas_has_its_threads_again(threads):
    threads(2)
    before, inside = blas_threads(), []
    over_parts(lambda n: inside.append(blas_threads()), 4)
    assert inside == [[1] * len(before)] * 4
    assert blas_threads() == before
    with pytest.raises(ZeroDivisionError):
        over_parts(lambda n: 1 // 0, 4)
    assert blas_threads() == before


@pytest.mark.parametrize("blas", [True, False])
def test_a_kernel_says_whether_blas_is_held_to_one_thread(threads, blas):
    threads(2)
    in_kernel, in_backward = [], []

    @operation(blas=blas)
    def same(x: Array) -> Result:
        def backward(g):
            in_backward.append(blas_threads())
            return g

        in_kernel.append(blas_threads())
        return x, backward

    x = Tensor(np.ones(_threads.SERIAL_SIZE, np.float32), requires_grad=True)
    same(x).backward(np.ones_like(x.data))
    expected = [1 if blas else 2] * len(blas_threads())
    assert in_kernel == [expected]
    assert in_backward == [expected]
    assert blas_threads() == [2] * len(expected)


def test_the_functions_of_openblas_are_those_that_threadpoolctl_finds(threads):
    for n in (3, 1):
        threads(n)
        found = sorted(
            pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"
        )
        assert sorted(blas_threads()) == found == [n] * len(found)


def test_two_who_ask_at_once_leave_it_as_it_was(threads):
    threads(2)
    before = blas_threads()
    entered, leave = threading.Event(), threading.Event()

    def other():
        with _threads.one_blas_thread():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with _threads.one_blas_thread():
        thread.start()
        assert entered.wait(10)
    leave.set()
    thread.join()
    assert blas_threads() == before


def test_the_last_one_who_leaves_puts_back_what_the_first_one_found(threads):
    threads(2)
    before = blas_threads()
    first_has_left, seen = threading.Event(), []

    def other():
        with _threads.one_blas_thread():
            entered.set()
            first_has_left.wait(10)
            seen.append(blas_threads())

    entered = threading.Event()
    thread = threading.Thread(target=other)
    with _threads.one_blas_thread():
        thread.start()
        assert entered.wait(10)
    first_has_left.set()
    thread.join()
    assert seen == [[1] * len(before)]
    assert blas_threads() == before


def test_a_number_that_is_set_while_an_operation_runs_holds_afterwards(threads):
    threads(2)
    libraries = len(blas_threads())
    for n in (1, 3, 2):

        def set_and_look(part, n=n):
            threads(n)
            assert blas_threads() == [1] * libraries  # the operation is still running

        over_parts(set_and_look, 1)
        assert get_num_threads() == n
        assert blas_threads() == [n] * libraries


def test_there_need_not_be_a_blas(threads, monkeypatch):
    threads(2)
    monkeypatch.setattr(_threads, "_blas", functools.cache(list))
    done = []
    over_parts(done.append, 3)
    with _threads.one_blas_thread():
        threads(1)
    assert sorted(done) == [0, 1, 2]


class Library:
    """A BLAS, as threadpoolctl shows it, with one number for the whole process."""

    internal_api = "openblas"

    def __init__(self, n):
        self.n = n

    @property
    def num_threads(self):
        return self.n

    def set_num_threads(self, n):
        self.n = n


class LibraryOfThreads(Library):
    """One with a number for each calling thread, as that of MKL."""

    internal_api = "mkl"

    def __init__(self, n):
        self.default = n
        self.of_thread = threading.local()

    @property
    def num_threads(self):
        return getattr(self.of_thread, "n", self.default)

    def set_num_threads(self, n):
        self.of_thread.n = n


def test_all_blas_libraries_have_their_own_number_again(monkeypatch):
    monkeypatch.setattr(_threads, "_blas", lambda: libraries)
    libraries = [Library(3), Library(5), LibraryOfThreads(7)]
    with _threads.one_blas_thread():
        assert blas_threads() == [1, 1, 1]
    assert blas_threads() == [3, 5, 7]


def test_a_library_with_a_number_for_each_thread_is_limited_in_all_of_them(threads, monkeypatch):
    threads(2)
    monkeypatch.setattr(_threads, "_blas", functools.cache(lambda: [LibraryOfThreads(7)]))
    monkeypatch.setattr(_threads, "_helpers", _threads._Helpers())
    inside, both = [], threading.Barrier(2)

    def task(part):
        both.wait(5)
        inside.append(blas_threads())

    over_parts(task, 2)
    assert inside == [[1], [1]]
    assert blas_threads() == [7]


def test_any_thread_may_set_the_number(threads):
    threads(2)  # in this thread, which threadpoolctl remembers
    libraries = len(blas_threads())
    seen = []

    def other():
        with _threads.one_blas_thread():
            seen.append(blas_threads())
        seen.append(blas_threads())
        threads(3)
        seen.append(blas_threads())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [[1] * libraries, [2] * libraries, [3] * libraries]


def test_fewer_threads_leave_no_idle_ones(threads, monkeypatch):
    monkeypatch.setattr(_threads, "_helpers", _threads._Helpers())
    before = set(threading.enumerate())

    def helping():
        return [thread for thread in threading.enumerate() if thread not in before]

    for number in (4, 2, 3, 1):
        threads(number)
        over_parts(lambda _: None, 8)
        ended = time.monotonic() + 5
        while len(helping()) > number - 1 and time.monotonic() < ended:
            time.sleep(0.001)
        assert len(helping()) == number - 1
