"""How many threads to use, and the one place that uses them.

NumPy's element-wise functions run on one core; its matrix products run on all cores, on threads
that belong to the BLAS library. These two do not go together: after each product an idle thread of
BLAS keeps its core busy for a while, waiting for the next one, and whoever else wants that core
waits, too. So there is one kind of thread. Within our operations BLAS computes on the calling
thread alone (:func:`one_blas_thread`), and the work is shared between threads of this file: blocks
of rows (:func:`over_rows`), independent parts (:func:`over_parts`), and the rows of large matrix
products (:func:`product`). NumPy releases the interpreter lock during its loops, so Python's own
threads are enough.
"""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import cache
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray
from threadpoolctl import ThreadpoolController

from foundation_nn._arguments import whole_number

#: Bytes of one operand in a block, which the passes of a kernel find in the cache. Smaller ones
#: (256 kB) are slower by a tenth: each pass over each block is a call of NumPy.
BLOCK_BYTES = 1 << 20
#: Less than this is done before a second thread has woken up.
THREAD_BYTES = 1 << 20
#: BLAS uses one thread for arrays with fewer elements in any case, even for sums of their rows.
SERIAL_SIZE = 9216
#: A piece of a shared matrix product has at least so many multiplications, about 0.1 ms.
PRODUCT_WORK = 1 << 23
#: A long product is cut into pieces with at least so many, about 1 ms. Shorter ones cost it a
#: twentieth of its time, since BLAS rearranges the other matrix anew for each piece.
LONG_PRODUCT_WORK = 1 << 26
#: So many multiplications are done, in about 0.05 ms, before another thread has woken up.
HEAD_START = 1 << 21
#: BLAS computes so many rows or columns at a time, and for fewer it takes as long.
TILE = 16
#: The product of two arrays whose sizes multiply to less is certainly too small to be cut.
_SMALL_PRODUCT = 2 * PRODUCT_WORK
#: The C library keeps the memory of smaller arrays at hand.
SMALL_BYTES = 1 << 12


# A helper that waited for helpers might wait for itself: within one, loops are serial.
_here = threading.local()


class Job(Protocol):
    """Something that several threads can work on."""

    def take_part(self) -> None:
        """Called in each helping thread; returns when nothing is left to do."""


class _Helpers:
    """Threads that wait for jobs; they are started when they are needed first.

    A ``ThreadPoolExecutor`` would do, too, but takes twice as long to get a thread going.
    """

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Have no threads, and no jobs."""
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._count = 0

    def _help(self) -> None:
        _here.is_helper = True
        _inside.depth = 1  # the thread that has the job limits what the whole process shares
        _limit(of_each_thread=True)
        while (job := self._jobs.get()) is not None:
            job.take_part()

    def call(self, job: Job, count: int, of: int) -> None:
        """Let ``count`` threads of ``of`` take part in a job; returns at once."""
        with self._lock:
            while self._count < of:
                threading.Thread(target=self._help, name="foundation", daemon=True).start()
                self._count += 1
        for _ in range(count):
            self._jobs.put(job)

    def keep(self, count: int) -> None:
        """End the threads that are more than so many, when they are done with their jobs."""
        with self._lock:
            while self._count > count:
                self._jobs.put(None)
                self._count -= 1


_helpers = _Helpers()


def call_helpers(job: Job, count: int) -> None:
    """Let so many helping threads take part in a job; returns at once."""
    _helpers.call(job, count, of=get_num_threads() - 1)


def is_helper() -> bool:
    """Whether the calling thread is a helping one, in which loops are serial."""
    return getattr(_here, "is_helper", False)


def _available() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_setting = {"threads": _available()}


def get_num_threads() -> int:
    """The number of threads that operations use; at the start, the cores one may run on."""
    return _setting["threads"]


def set_num_threads(n: int) -> None:
    """Set the number of threads of all operations, and of NumPy's own matrix products.

    Operations that are running go on with the threads they have.

    Raises
    ------
    TypeError
        If ``n`` is no number.
    ValueError
        If it is not whole, or less than one.
    """
    n = whole_number("set_num_threads", "n", n, at_least=1)
    _blas.cache_clear()  # others may have loaded a BLAS since
    with _all_threads.lock:
        for library in _blas():
            library.set_num_threads(n)
        if _all_threads.inside:
            _all_threads.to_restore = [(library, n) for library, _ in _limit(of_each_thread=False)]
        if _inside.depth:
            _inside.to_restore = [(library, n) for library, _ in _limit(of_each_thread=True)]
        _setting["threads"] = n
    _helpers.keep(n - 1)


def over_parts(task: Callable[[int], object], count: int) -> None:
    """Call ``task(i)`` for each i below ``count``, shared between threads.

    A thread that has finished takes the next part, so that one with a busy neighbour holds nobody
    up. Tasks must write to disjoint places. While they run, BLAS itself uses one thread.
    """
    helpers = min(get_num_threads(), count) - 1
    with one_blas_thread():
        if helpers < 1 or is_helper():
            for i in range(count):
                task(i)
            return
        parts = _Parts(task, count)
        try:
            call_helpers(parts, helpers)
            parts.do()
        finally:
            parts.finish()


class _Parts:
    """The parts of :func:`over_parts`, which several threads take until none is left."""

    def __init__(self, task: Callable[[int], object], count: int) -> None:
        self._task = task
        self._left = iter(range(count))  # ``next`` is atomic: each part is taken once
        self._context = copy_context()  # carries no_grad() and np.errstate(...) into the threads
        self._lock = threading.Lock()
        self._open = True
        self._helping = 0
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()

    def do(self) -> None:
        for part in self._left:
            self._task(part)

    def take_part(self) -> None:
        with self._lock:
            if not self._open:  # too late: all is done
                return
            self._helping += 1
            context = self._context.copy()
        self._done.put(error_of(lambda: context.run(self.do)))

    def finish(self) -> None:
        """Wait for those who help, and raise the first of their errors."""
        with self._lock:
            self._open = False
        for _ in self._left:  # after an error of our own, nobody begins with another part
            pass
        done = [self._done.get() for _ in range(self._helping)]
        # A helper that is still busy elsewhere will find these parts in its queue, much later. The
        # task, and with it the arrays that it works on, shall not stay in memory until then.
        self._task = lambda _: None
        errors = [error for error in done if error is not None]
        if errors:
            try:
                raise errors[0]
            finally:  # an error refers to this frame; if that referred to it, both would stay
                done.clear()
                errors.clear()


def error_of(work: Callable[[], None]) -> BaseException | None:
    """Do something, and return what it raised, for the thread that waits for it."""
    try:
        work()
    except BaseException as error:  # noqa: BLE001, it is raised there
        return error
    return None


def over_rows(task: Callable[[slice], None], rows: int, row_bytes: int) -> None:
    """Call ``task(slice)`` for consecutive blocks of rows until all ``rows`` are done.

    The blocks do not depend on the number of threads, so the results do not either. Tasks must
    write to disjoint places.

    Parameters
    ----------
    task : callable
        Computes the rows of its slice.
    rows : int
    row_bytes : int
        Size of one row of the largest operand.
    """
    if rows * row_bytes < min(THREAD_BYTES, BLOCK_BYTES):
        task(slice(0, rows))
        return
    blocks = cut_rows(rows, row_bytes)
    over_parts(lambda i: task(blocks[i]), len(blocks))


def cut_rows(rows: int, row_bytes: int) -> list[slice]:
    """Consecutive blocks of rows, of about the same size, that stay in the cache; at least one."""
    count = max(1, math.ceil(rows * row_bytes / BLOCK_BYTES))
    step = max(1, math.ceil(rows / count))
    return [slice(start, min(start + step, rows)) for start in range(0, max(rows, 1), step)]


def product(a: NDArray[Any], b: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
    """The matrix product ``a @ b`` for use in operations; a large one is shared between threads.

    Parameters
    ----------
    a : (..., n, k) ndarray
    b : (..., k, m) ndarray
        Matrices, or stacks of as many matrices.
    out : (..., n, m) ndarray, optional
        Where the result is put.
    """
    if a.size * b.size < _SMALL_PRODUCT and a.ndim == b.ndim == 2 and out is None:
        # The same as a @ b, and 0.4 µs faster.
        return a.dot(b)  # type: ignore[no-any-return]
    if (
        a.size * b.shape[-1] < 2 * PRODUCT_WORK
        or get_num_threads() == 1
        or min(a.ndim, b.ndim) < 2
        or a.shape[:-2] != b.shape[:-2]
    ):
        return a @ b if out is None else np.matmul(a, b, out=out)
    c = np.empty((*a.shape[:-1], b.shape[-1]), np.result_type(a, b)) if out is None else out
    n, m = c.shape[-2:]
    if a.ndim > 2:
        pieces = _pieces(len(a), a.size * m)
        over_parts(lambda i: np.matmul(a[pieces[i]], b[pieces[i]], out=c[pieces[i]]), len(pieces))
    elif n >= m:  # BLAS rearranges one of the matrices anew for each piece: the smaller one
        pieces = _pieces(n, a.size * m, TILE)
        over_parts(lambda i: np.matmul(a[pieces[i]], b, out=c[pieces[i]]), len(pieces))
    else:
        pieces = _pieces(m, a.size * m, TILE)
        over_parts(lambda i: np.matmul(a, b[:, pieces[i]], out=c[:, pieces[i]]), len(pieces))
    return c


def _pieces(length: int, work: int, unit: int = 1) -> list[slice]:
    """How an axis of a product is cut for several threads: in multiples of a unit.

    The calling thread takes the first piece, which is larger, as it begins while others wake up.
    """
    threads = get_num_threads()
    # Long products have more pieces than threads: one with a busy neighbour does fewer of them.
    count = min(work // PRODUCT_WORK, max(threads, work // LONG_PRODUCT_WORK), 2 * threads)
    head_start = min(HEAD_START / work, 1 / count)
    first = _rounded_up(length * (head_start + (1 - head_start) / count), unit)
    step = max(unit, _rounded_up((length - first) / (count - 1), unit))
    stops = [*range(first, length, step), length]
    return [slice(start, stop) for start, stop in itertools.pairwise([0, *stops])]


def _rounded_up(size: float, unit: int) -> int:
    return math.ceil(size / unit) * unit


class _Inside(threading.local):
    """How many of the contexts below the calling thread is in, and what to put back after them."""

    depth = 0
    to_restore: Sequence[tuple[Any, int]] = ()


class _AllThreads:
    """The same for the whole process: how many threads are in a context."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.to_restore: Sequence[tuple[Any, int]] = ()


_inside = _Inside()
_all_threads = _AllThreads()


class one_blas_thread:
    """Within this context matrix products run on the calling thread alone.

    Several threads may be in here at once. Most BLAS libraries have one number of threads for the
    whole process: the first thread that enters sets it to one, and the last that leaves puts it
    back. Others, such as MKL, have a number for each calling thread, which is set and put back by
    each. A context within another one costs nothing.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        _inside.depth += 1
        if _inside.depth > 1:
            return
        with _all_threads.lock:
            _all_threads.inside += 1
            if get_num_threads() == 1:  # BLAS has one thread already, and need not be asked
                return
            if _all_threads.inside == 1:
                _all_threads.to_restore = _limit(of_each_thread=False)
            _inside.to_restore = _limit(of_each_thread=True)

    def __exit__(self, *_: object) -> None:
        _inside.depth -= 1
        if _inside.depth:
            return
        with _all_threads.lock:
            _restore(_inside)
            _all_threads.inside -= 1
            if not _all_threads.inside:
                _restore(_all_threads)


@cache
def _blas() -> list[Any]:
    """The loaded BLAS libraries; looking for them takes longer than a small product."""
    libraries = [x for x in ThreadpoolController().lib_controllers if x.user_api == "blas"]
    return [_called_directly(library) for library in libraries]


def _is_of_each_thread(library: Any) -> bool:
    """Whether the number that is set is that of the calling thread alone, not of the process."""
    return library.internal_api == "mkl" or getattr(library, "threading_layer", "") == "openmp"


class _OpenBLAS:
    """An OpenBLAS with threads of its own, asked and set by its own two functions.

    By threadpoolctl, which looks for these functions at each call, :class:`one_blas_thread` takes
    5 µs more. In recent versions it also does nothing in a thread if another one has set the number
    and is still alive, so that no thread undoes what another did. Our threads take care of that
    themselves, by the lock and the counter above.
    """

    internal_api = "openblas"

    def __init__(
        self, get_num_threads: Callable[[], int], set_num_threads: Callable[[int], object]
    ) -> None:
        self._get_num_threads = get_num_threads
        self.set_num_threads = set_num_threads

    @property
    def num_threads(self) -> int:
        return self._get_num_threads()


def _called_directly(library: Any) -> Any:
    """The library as threadpoolctl has found it, or the two functions where it is an OpenBLAS."""
    if library.internal_api == "openblas" and not _is_of_each_thread(library):
        for prefix, suffix in itertools.product(("", "scipy_"), ("", "64_", "_64")):
            getter = getattr(library.dynlib, f"{prefix}openblas_get_num_threads{suffix}", None)
            setter = getattr(library.dynlib, f"{prefix}openblas_set_num_threads{suffix}", None)
            if getter is not None and setter is not None:
                return _OpenBLAS(getter, setter)
    return library


def _limit(of_each_thread: bool) -> Sequence[tuple[Any, int]]:
    """Have libraries use one thread; those that used more before, and how many.

    Parameters
    ----------
    of_each_thread : bool
        Which libraries: those with a number for each thread, or those with one for the process.
    """
    several = []
    for library in _blas():
        if _is_of_each_thread(library) is of_each_thread:
            n = library.num_threads
            if n != 1:
                library.set_num_threads(1)
                several.append((library, n))
    return several


def _restore(where: _Inside | _AllThreads) -> None:
    for library, n in where.to_restore:
        library.set_num_threads(n)
    where.to_restore = ()


def _after_fork() -> None:
    """Begin anew in a forked child, which has no other thread than the one that forked.

    The helpers are gone, and so are the threads that were in :class:`one_blas_thread` or held its
    lock: they would never leave.
    """
    _helpers.begin_anew()
    _all_threads.lock = threading.Lock()
    _all_threads.inside = min(_inside.depth, 1)
    if not _all_threads.inside:
        _restore(_all_threads)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def scratch(shape: tuple[int, ...], dtype: DTypeLike, slot: int = 0) -> NDArray[Any]:
    """Room for intermediate results within a task of :func:`over_rows`.

    The same memory at each request of this thread for this ``slot``: an array that a worker thread
    allocates and frees is mapped anew each time, which takes longer than the arithmetic.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < SMALL_BYTES:
        return np.empty(shape, dtype)
    held: dict[int, NDArray[np.uint8]] = _here.__dict__.setdefault("scratch", {})
    if slot not in held or held[slot].size < size:
        held[slot] = np.empty(size, np.uint8)
    return held[slot][:size].view(dtype).reshape(shape)
