"""A run that is asked to end finishes its step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from foundation_nn._signals import heard_politely


@contextmanager
def finish_on_signal(stop: Callable[[str], None]) -> Iterator[None]:
    """Turn the first signal into ``stop("interrupt")``; a second one ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is told of signals
        return

    def interrupt() -> None:
        raise KeyboardInterrupt

    with heard_politely(lambda: stop("interrupt"), interrupt):
        yield
