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

from foundation_nn.engine._threads import call_helpers, error_of, get_num_threads, is_helper

Work = Callable[[], None]

#: What waits to be done keeps memory. If it is more than this, the calling thread helps.
MOST_WAITING = 8


class Aside:
    """Work to be done before :meth:`finish` returns, by whichever thread comes first.

    Work for one ``key`` is done in the order in which it was added: a sum of several gradients is
    the same to the bit, whatever the number of threads.
    """

    def __init__(self) -> None:
        self._context = copy_context()
        self._lock = threading.Lock()
        self._nobody_works = threading.Condition(self._lock)
        self._waiting: dict[Hashable, deque[Work]] = {}
        self._ready: deque[Hashable] = deque()  # keys with work that no thread has begun with
        self._working = 0
        self._error: BaseException | None = None

    def add(self, key: Hashable, work: Work) -> None:
        """Have this done, later; at once where there is nobody to help."""
        if get_num_threads() == 1 or is_helper():
            work()
            return
        with self._lock:
            if key in self._waiting:
                self._waiting[key].append(work)
                return
            self._waiting[key] = deque([work])
            self._ready.append(key)
        call_helpers(self, 1)
        if len(self._ready) > MOST_WAITING:
            self._do_one_key()

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
        self._wait()
        if self._error is not None:
            raise self._error

    def give_up(self) -> None:
        """Leave undone what nobody has begun with."""
        with self._lock:
            self._ready.clear()
        self._wait()

    def _wait(self) -> None:
        with self._lock:
            while self._working:
                self._nobody_works.wait()

    def _do_one_key(self) -> bool:
        """Do all that waits for one key; False if there is none."""
        with self._lock:
            if not self._ready:
                return False
            key = self._ready.popleft()
            self._working += 1
        while (work := self._next_of(key)) is not None:
            error = error_of(work)
            if error is not None:
                self._error = error
        return True

    def _next_of(self, key: Hashable) -> Work | None:
        """The next work for a key; None if there is none, and the thread is free again."""
        with self._lock:
            if self._waiting[key] and self._error is None:
                return self._waiting[key].popleft()
            del self._waiting[key]
            self._working -= 1
            self._nobody_works.notify_all()
            return None
