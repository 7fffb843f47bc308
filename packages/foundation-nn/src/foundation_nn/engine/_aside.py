"""Work that helping threads do while the calling thread goes on.

The walk back along the tape is a chain: the gradient of one layer is needed for that of the layer
before it. The gradients of weights are not part of the chain, as nobody asks for them before its
end, and they are half of the matrix products of a backward pass. So they are done aside.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from contextvars import copy_context

from foundation_nn.engine._threads import call_helpers, get_num_threads, is_helper

Work = Callable[[], None]

#: What waits to be done keeps memory. If it is more than this, the calling thread helps, or waits.
MOST_WAITING = 8


class Aside:
    """Work to be done before :meth:`finish` returns, by whichever thread comes first.

    Work for one ``key`` is done in the order in which it was added, one after the other: a sum of
    several gradients is the same to the bit, whatever the number of threads.
    """

    def __init__(self) -> None:
        self._context = copy_context()
        self._lock = threading.Lock()
        self._progress = threading.Condition(self._lock)  # some work was done
        self._waiting: dict[Hashable, deque[Work]] = {}  # also keys that a thread works for
        self._count = 0  # of what is in there
        self._ready: deque[Hashable] = deque()  # keys with work that no thread has begun with
        self._workers: dict[Hashable, int] = {}  # which thread works for a key
        self._error: BaseException | None = None

    def add(self, key: Hashable, work: Work) -> None:
        """Have this done, later; at once where there is nobody to help."""
        alone = get_num_threads() == 1 or is_helper()
        with self._lock:
            in_line = key in self._waiting
            if in_line or not alone:
                self._waiting.setdefault(key, deque()).append(work)
                self._count += 1
                if not in_line:
                    self._ready.append(key)
        if not in_line and alone:
            work()
            return
        if not in_line:
            call_helpers(self, 1)
        while self._count > MOST_WAITING and self._error is None:
            if not self._do_one_key():
                self._wait(lambda: self._count <= MOST_WAITING)

    def waits_for(self, key: Hashable) -> bool:
        """Whether there is work for this key that may not be done yet."""
        return key in self._waiting

    def take_part(self) -> None:
        """Called in a helping thread."""
        context = self._context.copy()
        while context.run(self._do_one_key):
            pass

    def finish(self) -> None:
        """Help until all is done, and raise the first error."""
        while self._do_one_key():
            pass
        self._wait(lambda: False)
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # it refers to this frame, and with it to all that is in it

    def give_up(self) -> None:
        """Leave undone what nobody has begun with."""
        with self._lock:
            for key in self._ready:  # a helper may keep a reference to this object for a while
                self._count -= len(self._waiting.pop(key))
            self._ready.clear()
        self._wait(lambda: False)

    def _wait(self, enough: Callable[[], bool]) -> None:
        """Wait until no other thread works, or there was enough progress.

        If this thread is among those that work, an interrupt has torn it out of that, and to wait
        for it would take for ever.
        """
        this_thread = threading.get_ident()
        with self._lock:
            while set(self._workers.values()) - {this_thread} and not enough():
                self._progress.wait()

    def _do_one_key(self) -> bool:
        """Do all that waits for one key; False if there is none."""
        with self._lock:
            if not self._ready:
                return False
            key = self._ready.popleft()
            self._workers[key] = threading.get_ident()
        while (work := self._next_of(key)) is not None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001, it is raised by ``finish``
                self._error = self._error or error
        return True

    def _next_of(self, key: Hashable) -> Work | None:
        """The next work for a key; None if there is none, and the thread is free again."""
        with self._lock:
            self._progress.notify_all()
            if self._waiting[key] and self._error is None:
                self._count -= 1
                return self._waiting[key].popleft()
            self._count -= len(self._waiting.pop(key))
            del self._workers[key]
            return None
